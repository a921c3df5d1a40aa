//! Rule: the attribute of a field, `#[extract(css = "h1", …)]`. Does not know the field's type.

use syn::{Error, Expr, Field, LitStr, Path, Result, meta::ParseNestedMeta, spanned::Spanned};

use crate::names;

/// What the attribute of a field says.
#[derive(Default)]
pub struct Rule {
    /// Where it is; in the element itself, if it does not say.
    pub place: Option<(Place, LitStr)>,
    /// What of it; its text, if it does not say.
    pub part: Option<(Part, Path)>,
    /// The attribute of an element.
    pub attr: Option<LitStr>,
    /// Whether it is resolved as a URL.
    pub url: Option<Path>,
    pub re: Option<LitStr>,
    pub trim: bool,
    /// A function from the text to a result.
    pub parse: Option<Path>,
    /// The value in its absence: of its type's `Default`, or an expression.
    pub default: Option<(Path, Option<Expr>)>,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Place {
    Css,
    XPath,
    Json,
    Jmes,
    PageUrl,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Part {
    OwnText,
    RawText,
    Html,
    InnerHtml,
}

const NAMES: [&str; 15] = [
    "css",
    "xpath",
    "json",
    "jmes",
    "page_url",
    "attr",
    "url",
    "own_text",
    "raw_text",
    "html",
    "inner_html",
    "re",
    "parse",
    "default",
    "trim",
];

impl Rule {
    pub fn of(field: &Field) -> Result<Self> {
        let mut rule = Self::default();
        let mut is_given = false;
        for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("extract")) {
            is_given = true;
            if matches!(attribute.meta, syn::Meta::Path(_)) {
                continue;
            }
            attribute.parse_nested_meta(|meta| rule.add(&meta))?;
        }
        if !is_given {
            let how =
                "this field needs to know what it is read from: `#[extract(css = \"…\")]`, or `#[extract(default)]`";
            return Err(Error::new_spanned(field, how));
        }
        rule.check()?;
        Ok(rule)
    }

    fn add(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let name = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
        match name.as_str() {
            "css" => self.set_place(meta, Place::Css),
            "xpath" => self.set_place(meta, Place::XPath),
            "json" => self.set_place(meta, Place::Json),
            "jmes" => self.set_place(meta, Place::Jmes),
            "page_url" => self.set(meta, Place::PageUrl, LitStr::new("", meta.path.span())),
            "attr" => once(meta, &mut self.attr, text(meta)?),
            "url" => once(meta, &mut self.url, meta.path.clone()),
            "own_text" => self.set_part(meta, Part::OwnText),
            "raw_text" => self.set_part(meta, Part::RawText),
            "html" => self.set_part(meta, Part::Html),
            "inner_html" => self.set_part(meta, Part::InnerHtml),
            "re" => once(meta, &mut self.re, text(meta)?),
            "parse" => once(meta, &mut self.parse, meta.value()?.parse()?),
            "default" => {
                let value = if meta.input.peek(syn::Token![=]) { Some(meta.value()?.parse()?) } else { None };
                once(meta, &mut self.default, (meta.path.clone(), value))
            }
            "trim" => {
                self.trim = true;
                Ok(())
            }
            _ => Err(names::unknown(&meta.path, &NAMES, "a field")),
        }
    }

    fn set_place(&mut self, meta: &ParseNestedMeta<'_>, place: Place) -> Result<()> {
        let written = text(meta)?;
        check_place(place, &written)?;
        self.set(meta, place, written)
    }

    fn set(&mut self, meta: &ParseNestedMeta<'_>, place: Place, written: LitStr) -> Result<()> {
        if self.place.is_some() {
            let why = "a field is read from one place: of `css`, `xpath`, `json`, `jmes` and `page_url` give one";
            return Err(meta.error(why));
        }
        self.place = Some((place, written));
        Ok(())
    }

    fn set_part(&mut self, meta: &ParseNestedMeta<'_>, part: Part) -> Result<()> {
        if self.part.is_some() {
            return Err(meta.error("of `own_text`, `raw_text`, `html` and `inner_html` give one"));
        }
        self.part = Some((part, meta.path.clone()));
        Ok(())
    }

    /// Checks what can be written, but not together.
    fn check(&self) -> Result<()> {
        if let (Some((_, path)), Some(_)) = (&self.part, &self.attr) {
            return Err(Error::new_spanned(path, "an attribute has no other text: leave this out, or `attr`"));
        }
        if let (Some((_, path)), Some(_)) = (&self.part, &self.url) {
            return Err(Error::new_spanned(path, "a URL is in an attribute: leave this out, or `url`"));
        }
        if let Some((Place::PageUrl, written)) = &self.place
            && (self.attr.is_some() || self.part.is_some() || self.url.is_some())
        {
            return Err(Error::new_spanned(written, "`page_url` is a whole URL: leave `url`, `attr` and the like out"));
        }
        if matches!(self.place, Some((Place::Json | Place::Jmes, _))) {
            if let Some(attr) = &self.attr {
                return Err(Error::new_spanned(attr, "a JSON value has no attributes: leave `attr` out"));
            }
            if let Some((_, path)) = &self.part {
                return Err(Error::new_spanned(path, "this is of elements, and a JSON value is none: leave it out"));
            }
        }
        Ok(())
    }

    /// Tells whether the field is read from nothing.
    pub fn is_unread(&self) -> bool {
        let Self { place, part, attr, url, re, default, parse, trim: _ } = self;
        let says_nothing = place.is_none() && part.is_none() && attr.is_none() && url.is_none() && re.is_none();
        says_nothing && parse.is_none() && default.is_some()
    }
}

/// Reads `name = "text"`.
fn text(meta: &ParseNestedMeta<'_>) -> Result<LitStr> {
    let name = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
    if !meta.input.peek(syn::Token![=]) {
        return Err(meta.error(format!("`{name}` needs a text: `{name} = \"…\"`")));
    }
    let text: LitStr = meta.value()?.parse()?;
    // An empty JSON Pointer is all of the JSON.
    if name != "json" && text.value().trim().is_empty() {
        return Err(Error::new_spanned(&text, format!("`{name}` is empty")));
    }
    Ok(text)
}

fn once<T>(meta: &ParseNestedMeta<'_>, place: &mut Option<T>, value: T) -> Result<()> {
    match place.replace(value) {
        Some(_) => Err(meta.error("this is given twice")),
        None => Ok(()),
    }
}

/// Checks what can be told of a path or a selector without compiling it, which `check()` does.
fn check_place(place: Place, written: &LitStr) -> Result<()> {
    let text = written.value();
    let refuse = |why: String| Err(Error::new_spanned(written, why));
    match place {
        Place::Css if text.contains("::text") => {
            refuse("a field is the text of its element anyway: leave `::text` out".to_owned())
        }
        Place::Css if text.contains("::attr") => {
            refuse("CSS selects no attributes: in place of `::attr(name)` write `attr = \"name\"`".to_owned())
        }
        Place::XPath if !cfg!(feature = "xpath") => {
            refuse("`xpath` needs the feature `xpath` of actix-crawler".to_owned())
        }
        Place::Jmes if !cfg!(feature = "jmespath") => {
            refuse("`jmes` needs the feature `jmespath` of actix-crawler".to_owned())
        }
        Place::Json if !text.is_empty() && !text.starts_with('/') => {
            let pointer =
                text.trim_start_matches('$').trim_start_matches('.').replace(['.', '['], "/").replace(']', "");
            refuse(format!("`json` takes a JSON Pointer (RFC 6901), which begins with `/`: write \"/{pointer}\""))
        }
        Place::Css | Place::XPath | Place::Json | Place::Jmes | Place::PageUrl => Ok(()),
    }
}
