//! Derive: writes the implementation of `Extract` for a struct. What it calls is in `extract/derived` of actix-crawler.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::{Data, DeriveInput, Error, Field, Fields, Ident, LitStr, Path, Result, spanned::Spanned};

use crate::{
    container::Container,
    rule::{Part, Place, Rule},
    shape::Shape,
};

pub fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let container = Container::of(input)?;
    let krate = &container.krate;
    let name = &input.ident;
    let mut code = Vec::new();
    let mut errors: Option<Error> = None;
    for (number, field) in fields(input)?.iter().enumerate() {
        match FieldCode::new(field, number, name, krate) {
            Ok(field) => code.push(field),
            Err(error) => match &mut errors {
                Some(errors) => errors.combine(error),
                None => errors = Some(error),
            },
        }
    }
    if let Some(errors) = errors {
        return Err(errors);
    }
    let rules = code.iter().map(|field| &field.rule);
    let values = code.iter().map(|field| &field.value);
    let checks = code.iter().map(|field| &field.check);
    let files = code.iter().map(|field| &field.files);
    let json = container.json.iter().map(|(method, name)| quote!(let from = &from.#method(#name);));
    let (impl_generics, type_generics, where_clause) = input.generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        const _: () = {
            use #krate::extract::derived;
            #(#rules)*
            impl #impl_generics #krate::extract::Extract for #name #type_generics #where_clause {
                fn read_from(from: &#krate::extract::Source<'_>) -> derived::Read<Self> {
                    #(#json)*
                    derived::Read::Ok(Self { #(#values),* })
                }
                fn check_in(checked: &mut derived::Checked) -> derived::Read<()> {
                    if checked.is_new::<Self>() {
                        #(#checks)*
                    }
                    derived::Read::Ok(())
                }
                fn files_in(&mut self, see: &mut dyn ::core::ops::FnMut(&mut dyn ::core::any::Any)) {
                    #[allow(unused_imports)]
                    use #krate::extract::derived::{MayHaveFiles as _, NoFiles as _};
                    let _ = &see;
                    #(#files)*
                }
            }
            impl #impl_generics #krate::extract::FieldValue for #name #type_generics #where_clause {
                fn of_piece(piece: &derived::Piece<'_>) -> derived::Read<derived::Maybe<Self>> {
                    piece.nested::<Self>()
                }
                fn check_in(checked: &mut derived::Checked) -> derived::Read<()> {
                    <Self as #krate::extract::Extract>::check_in(checked)
                }
                fn files_in(&mut self, see: &mut dyn ::core::ops::FnMut(&mut dyn ::core::any::Any)) {
                    <Self as #krate::extract::Extract>::files_in(self, see);
                }
            }
        };
    })
}

fn fields(input: &DeriveInput) -> Result<Vec<&Field>> {
    match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => Ok(fields.named.iter().collect()),
            Fields::Unnamed(_) | Fields::Unit => {
                Err(Error::new(input.ident.span(), "`Extract` is for structs whose fields have names"))
            }
        },
        Data::Enum(_) | Data::Union(_) => Err(Error::new(
            input.ident.span(),
            "`Extract` is for structs; for an enum implement `FromText`, which reads it from a text",
        )),
    }
}

/// The code of a field: its rule, its value in the struct, its check, and how its files are shown.
struct FieldCode {
    rule: TokenStream,
    value: TokenStream,
    check: TokenStream,
    files: TokenStream,
}

impl FieldCode {
    fn new(field: &Field, number: usize, of: &Ident, krate: &Path) -> Result<Self> {
        let rule = Rule::of(field)?;
        let Some(name) = &field.ident else { return Err(Error::new_spanned(field, "this field has no name")) };
        let shape = Shape::of(&field.ty);
        if let (Shape::Maybe(_) | Shape::Many(_), Some((path, _))) = (&shape, &rule.default)
            && !rule.is_unread()
        {
            let why = "an `Option` is `None` and a `Vec` is empty where nothing is found: leave `default` out";
            return Err(Error::new_spanned(path, why));
        }
        if rule.is_unread() {
            let value = default_of(&rule);
            let files = files_in(name, &shape, &quote!((&derived::Unread::of(value)).show(see)));
            return Ok(Self { rule: quote!(), value: quote!(#name: #value), check: quote!(), files });
        }
        let span = field.ty.span();
        let (place_type, place) = place_of(&rule, krate);
        let options = options_of(&rule);
        let static_name = format_ident!("FIELD_{number}");
        let (of, text) = (of.to_string(), name.to_string());
        let text = text.trim_start_matches("r#");
        let value_type = shape.value();
        // The compiler points to the type of the field where that type cannot be read from a page.
        let (value, check, files) = match (&shape, &rule.parse) {
            (shape, Some(parse)) => {
                let files = quote!((&derived::Unread::of(value)).show(see));
                (read_by(shape, rule.default.is_some(), &static_name, parse), quote!(), files)
            }
            (shape, None) => {
                let method = format_ident!("{}", method_of(shape, rule.default.is_some()), span = span);
                let value = quote_spanned!(span=> #static_name.#method::<#value_type>(from)?);
                let check = quote_spanned!(span=> <#value_type as #krate::extract::FieldValue>::check_in(checked)?;);
                let files = quote_spanned!(span=> <#value_type as #krate::extract::FieldValue>::files_in(value, see));
                (value, check, files)
            }
        };
        let value = match (&shape, &rule.default) {
            (Shape::One(_), Some(_)) => {
                let default = default_of(&rule);
                quote!(match #value { derived::Maybe::Some(value) => value, derived::Maybe::None => #default })
            }
            _ => value,
        };
        Ok(Self {
            rule: quote! {
                static #static_name: derived::FieldRule<#place_type> =
                    derived::FieldRule::new(#of, #text, #place) #options;
            },
            value: quote!(#name: #value),
            check: quote!(#static_name.check()?; #check),
            files: files_in(name, &shape, &files),
        })
    }
}

/// Shows the files of each value of a field.
fn files_in(name: &Ident, shape: &Shape<'_>, of_value: &TokenStream) -> TokenStream {
    match shape {
        Shape::One(_) => quote!({ let value = &mut self.#name; #of_value; }),
        Shape::Maybe(_) | Shape::Many(_) => quote!(self.#name.iter_mut().for_each(|value| #of_value);),
    }
}

fn method_of(shape: &Shape<'_>, has_default: bool) -> &'static str {
    match shape {
        Shape::One(_) if !has_default => "one",
        Shape::One(_) | Shape::Maybe(_) => "maybe",
        Shape::Many(_) => "many",
    }
}

/// Reads a field by a function of the user's own, at which it is at fault if that does not fit.
fn read_by(shape: &Shape<'_>, has_default: bool, rule: &Ident, parse: &Path) -> TokenStream {
    let method = format_ident!("{}_by", method_of(shape, has_default));
    quote_spanned!(parse.span()=> #rule.#method(from, #parse)?)
}

fn default_of(rule: &Rule) -> TokenStream {
    match &rule.default {
        Some((_, Some(value))) => quote!(#value),
        Some((path, None)) => quote_spanned!(path.span()=> ::core::default::Default::default()),
        None => quote!(),
    }
}

/// Returns the type of a rule's place, and its value.
fn place_of(rule: &Rule, krate: &Path) -> (TokenStream, TokenStream) {
    let Some((place, text)) = &rule.place else { return (quote!(derived::Itself), quote!(derived::Itself)) };
    let kind = match place {
        Place::Css => quote!(#krate::extract::Css),
        Place::XPath => quote!(derived::XPath),
        Place::Json => quote!(derived::JsonPointer),
        Place::Jmes => quote!(derived::Jmes),
        Place::PageUrl => return (quote!(derived::PageUrl), quote!(derived::PageUrl)),
    };
    let value = quote!(#kind::new(#text));
    (kind, value)
}

/// Returns the calls that set what else a rule says.
fn options_of(rule: &Rule) -> TokenStream {
    let attr = rule.attr.as_ref().map(|attr: &LitStr| quote!(.attr(#attr)));
    let url = rule.url.as_ref().map(|_| quote!(.url()));
    let part = rule.part.as_ref().map(|(part, _)| match part {
        Part::OwnText => quote!(.own_text()),
        Part::RawText => quote!(.raw_text()),
        Part::Html => quote!(.html()),
        Part::InnerHtml => quote!(.inner_html()),
    });
    let re = rule.re.as_ref().map(|re| quote!(.re(#re)));
    let trim = rule.trim.then(|| quote!(.trim()));
    quote!(#attr #url #part #re #trim)
}
