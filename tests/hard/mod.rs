//! Hard: values that formats and databases like to spoil.

#![allow(dead_code, reason = "each test takes what it needs")]

use serde::Serialize;

/// Quotes, separators, markup, control characters, and letters beyond the usual.
pub const TEXT: &str = "a \"quote\", a comma\r\nand\ta <tag> & ]]> \u{0}\u{1b} é 洪 🦀 \u{fffe} ' \\ \u{85}\u{2028}end";

/// A text of a megabyte.
pub fn long() -> String {
    "long \"\n".repeat(150_000)
}

/// A field with fields of its own.
#[derive(Clone, Serialize)]
pub struct Nested {
    pub amount: f64,
    pub currency: &'static str,
}

impl Nested {
    pub const LARGE: Self = Self { amount: 1e21, currency: "€" };
}
