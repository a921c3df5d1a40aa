//! tmp
use std::borrow::Cow;
/// tmp
pub fn decode<'a>(bytes: &'a [u8], _content_type: Option<&str>, _is_html: bool) -> (Cow<'a, str>, &'static str) {
    (String::from_utf8_lossy(bytes), "UTF-8")
}
