//! The derive macro of `actix-crawler`, which re-exports it and documents it: depend on that crate, not on this one.

#![deny(missing_docs, unsafe_code)]
#![warn(clippy::pedantic)]
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod container;
mod derive;
mod names;
mod rule;
mod shape;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Implements `actix_crawler::extract::Extract`; see there.
#[proc_macro_derive(Extract, attributes(extract))]
pub fn extract(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    derive::derive(&input).unwrap_or_else(|error| error.to_compile_error()).into()
}
