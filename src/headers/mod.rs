//! Headers: heads of HTTP messages and names of fields. Knows no requests.

pub(crate) mod field_text;
pub(crate) mod http_head;
pub(crate) mod origin_header;
