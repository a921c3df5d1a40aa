//! FieldText: a header's value as text, whatever bytes it has. Knows no names of headers.

use std::borrow::Cow;

use http::HeaderValue;

/// Returns a value as text. Servers send raw UTF-8, which is taken as it is meant; bytes that are not UTF-8 stand for
/// the characters of their numbers ("isomorphic decode" of the Infra standard, by which Fetch reads every value).
pub fn text_of(value: &HeaderValue) -> Cow<'_, str> {
    let bytes = value.as_bytes();
    str::from_utf8(bytes).map_or_else(|_| bytes.iter().copied().map(char::from).collect(), Cow::Borrowed)
}
