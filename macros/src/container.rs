//! Container: the attribute of the struct itself, `#[extract(json_ld = "Product")]`.

use quote::quote;
use syn::{DeriveInput, LitStr, Path, Result, parse_quote};

use crate::names;

/// What the attribute of a struct says.
pub struct Container {
    /// The crate in whose name the code is written.
    pub krate: Path,
    /// Where in the page the JSON is that its fields are read from: a method of `Source`, and a name.
    pub json: Option<(proc_macro2::TokenStream, LitStr)>,
}

const NAMES: [&str; 3] = ["json_ld", "inline_json", "crate"];

impl Container {
    pub fn of(input: &DeriveInput) -> Result<Self> {
        let mut container = Self { krate: parse_quote!(::actix_crawler), json: None };
        for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("extract")) {
            attribute.parse_nested_meta(|meta| {
                let method = match meta.path.get_ident().map(ToString::to_string).unwrap_or_default().as_str() {
                    "json_ld" => quote!(in_json_ld),
                    "inline_json" => quote!(in_inline_json),
                    "crate" => {
                        container.krate = meta.value()?.parse::<LitStr>()?.parse()?;
                        return Ok(());
                    }
                    "css" | "xpath" => {
                        let how = "a struct has no selector: give it to `all(&page, \"…\")`, or to the fields";
                        return Err(meta.error(how));
                    }
                    _ => return Err(names::unknown(&meta.path, &NAMES, "a struct")),
                };
                if container.json.is_some() {
                    return Err(meta.error("the JSON is in one place: of `json_ld` and `inline_json` give one"));
                }
                container.json = Some((method, meta.value()?.parse()?));
                Ok(())
            })?;
        }
        Ok(container)
    }
}
