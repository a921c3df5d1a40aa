//! Float: which integers a column of floats has. Knows no database.

/// Tells whether a float is exactly this integer.
pub(in crate::feed) fn is_exact(value: i128) -> bool {
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "that is the question")]
    let float = (value as f64) as i128;
    float == value
}
