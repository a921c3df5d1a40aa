//! Prefix: truncates a text between two characters.

/// Returns the longest beginning of a text with at most `max_bytes` bytes.
pub(crate) fn prefix(text: &str, max_bytes: usize) -> &str {
    let mut end = text.len().min(max_bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_is_cut() {
        assert_eq!((prefix("aé", 2), prefix("aé", 3), prefix("aé", 9), prefix("é", 1)), ("a", "aé", "aé", ""));
    }
}
