//! Escaped: text that others sent, as it may stand where people read. Knows not where it came from.

use std::fmt::{self, Write};

/// Text whose control characters are shown and not obeyed, as `\u{1b}`: a server could move the cursor of a terminal with
/// them, hide text or change settings. Line ends and tabs stay.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_and_not_obeyed() {
        let shown = |text| Escaped(text).to_string();
        assert_eq!(shown("plain é 洪\n\tline\r\nline"), "plain é 洪\n\tline\r\nline");
        assert_eq!(shown("a\x1b[2Jb\r\u{9b}31m\x07\u{202e}\r"), r"a\u{1b}[2Jb\u{d}\u{9b}31m\u{7}\u{202e}\u{d}");
    }
}
