//! Escaped: text that others sent, as it may stand where people read. Knows not where it came from.

use std::fmt::{self, Write};

/// Text whose control characters are shown and not obeyed, as `\u{1b}`: a server could move the cursor of a terminal
/// with them, hide text or change settings. Line ends and tabs stay.
///
/// ```
/// # use actix_crawler::report::Escaped;
/// assert_eq!(Escaped("a\u{1b}[2Jb\tc\r\n").to_string(), "a\\u{1b}[2Jb\tc\r\n");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut signs = self.0.chars().peekable();
        while let Some(sign) = signs.next() {
            if is_harmful(sign) && !(sign == '\r' && signs.peek() == Some(&'\n')) {
                write!(f, "{}", sign.escape_unicode())?;
            } else {
                f.write_char(sign)?;
            }
        }
        Ok(())
    }
}

/// Control characters (C0, DEL, C1), and those that turn the direction of the text around.
fn is_harmful(sign: char) -> bool {
    let is_turning = matches!(sign, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}');
    (sign.is_control() && !matches!(sign, '\n' | '\t')) || is_turning
}

/// Writes DEL and the C1 control characters of a JSON text as JSON escapes, so that it means the same: JSON allows them
/// unescaped, and terminals obey them. Lower ones were escaped when the text was written.
pub fn escape_json(json: &mut Vec<u8>) {
    let Ok(text) = std::str::from_utf8(json) else { return };
    if text.contains(char::is_control) {
        let escaped = text.chars().fold(String::with_capacity(text.len() + 16), |mut escaped, sign| {
            match sign {
                '\u{7f}'..='\u{9f}' => escaped.extend(format!("\\u{:04x}", u32::from(sign)).chars()),
                _ => escaped.push(sign),
            }
            escaped
        });
        *json = escaped.into_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_for_a_terminal_has_no_control_character_and_says_the_same() {
        let text = "a\u{9b}31m\u{7f}\u{1b}[2J é";
        let mut json = serde_json::to_vec(text).unwrap();
        escape_json(&mut json);
        assert!(!String::from_utf8(json.clone()).unwrap().contains(char::is_control));
        assert_eq!(serde_json::from_slice::<String>(&json).unwrap(), text);
    }

    #[test]
    fn control_characters_are_shown_and_not_obeyed() {
        let shown = |text| Escaped(text).to_string();
        assert_eq!(shown("plain é 洪\n\tline\r\nline"), "plain é 洪\n\tline\r\nline");
        assert_eq!(shown("a\x1b[2Jb\r\u{9b}31m\x07\u{202e}\r"), r"a\u{1b}[2Jb\u{d}\u{9b}31m\u{7}\u{202e}\u{d}");
    }
}
