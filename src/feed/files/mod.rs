//! Files: feeds in files of text, plain or compressed. Knows no names of feeds.

mod closed_lines;
pub(crate) mod codec;
#[cfg(feature = "csv")]
pub(crate) mod csv;
#[cfg(not(feature = "csv"))]
#[path = "no_csv.rs"]
pub(crate) mod csv;
pub(crate) mod ends;
pub(crate) mod json_array;
pub(crate) mod json_lines;
pub(crate) mod layout;
pub(crate) mod records;
pub(crate) mod streams;
pub(crate) mod text_sink;
pub(crate) mod xml;
