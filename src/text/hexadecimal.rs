//! Hexadecimal: bytes as pairs of digits. Does not know what they are.

use std::fmt::Write as _;

/// Returns bytes in hexadecimal, with small letters.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
