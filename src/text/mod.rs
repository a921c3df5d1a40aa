//! Text: how durations, times, bytes, names and panics are written for people and for files, and how JSON is read.
//! Knows nothing of crawls.

pub(crate) mod device_name;
pub(crate) mod durations;
pub(crate) mod hexadecimal;
pub(crate) mod json;
pub(crate) mod masked;
pub(crate) mod nearest;
pub(crate) mod panic_message;
pub(crate) mod serialized;
