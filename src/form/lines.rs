//! Lines: the line ends of a text area, and those that `wrap=hard` adds. Knows no form.

/// Converts every line end to LF, as in a text area.
pub(super) fn with_line_feeds(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// Breaks lines so that none has more than `columns` characters (HTML §4.10.11, "textarea wrapping transformation").
///
/// The standard leaves open where. As in browsers, a line ends after a space or a hyphen, and spaces at its end do not
/// count; a word that is too long is broken.
pub(super) fn wrapped(text: &str, columns: usize) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / columns.max(1));
    for (nth, line) in text.split('\n').enumerate() {
        if nth > 0 {
            out.push('\n');
        }
        wrap(line, columns.max(1), &mut out);
    }
    out
}

fn wrap(line: &str, columns: usize, out: &mut String) {
    let mut length = 0;
    for word in words(line) {
        let visible = word.trim_end_matches(is_space).chars().count();
        if length > 0 && length + visible > columns {
            out.push('\n');
            length = 0;
        }
        for character in word.chars() {
            if length >= columns && !is_space(character) {
                out.push('\n');
                length = 0;
            }
            out.push(character);
            length += 1;
        }
    }
}

/// Splits a line after each run of spaces, and after a hyphen within a word.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let mut before = [' '; 2];
        let end = rest.char_indices().find_map(|(at, character)| {
            let [earlier, last] = before;
            before = [last, character];
            let after_space = at > 0 && is_space(last) && !is_space(character);
            let after_hyphen = last == '-' && earlier.is_alphanumeric() && character.is_alphabetic();
            (after_space || after_hyphen).then_some(at)
        });
        let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
        rest = after;
        (!word.is_empty()).then_some(word)
    })
}

fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// "each line has no more than character width characters", but for the spaces that hang; nothing else changes.
        #[test]
        fn no_line_is_longer_and_nothing_but_line_ends_is_added(text in "[a-f \t\n-]{0,60}|\\PC{0,30}", columns in 1..30_usize) {
            let wrapped = wrapped(&text, columns);
            for line in wrapped.split('\n') {
                prop_assert!(line.trim_end_matches(is_space).chars().count() <= columns, "{line:?} of {wrapped:?}");
            }
            prop_assert_eq!(wrapped.replace('\n', ""), text.replace('\n', ""));
            if text.split('\n').all(|line| line.chars().count() <= columns) {
                prop_assert_eq!(wrapped, text);
            }
        }
    }
}
