//! Prefix: the beginning of a text, cut between two characters.

/// Returns as much of a text as has at most `max_bytes` bytes.
pub(super) fn prefix(text: &str, max_bytes: usize) -> &str {
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
