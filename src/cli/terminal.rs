//! Terminal: makes output safe for terminals. Control characters from a server could move the cursor, hide text or
//! change the terminal's settings, so they are escaped.

use std::{
    borrow::Cow,
    io::{self, IsTerminal},
    path::Path,
};

use actix_crawler::report::Escaped;

/// Tells whether an output is a terminal: stdout without a path, or a path such as `/dev/stdout` or `/dev/tty`.
pub fn is_terminal(output: Option<&Path>) -> bool {
    match output {
        None => io::stdout().is_terminal(),
        Some(path) => is_terminal_device(path),
    }
}

#[cfg(unix)]
fn is_terminal_device(path: &Path) -> bool {
    use std::{
        fs::{File, metadata},
        os::unix::fs::FileTypeExt,
    };
    // A pipe is not opened: that would wait for its writer.
    let is_device = metadata(path).is_ok_and(|metadata| metadata.file_type().is_char_device());
    is_device && File::open(path).is_ok_and(|file| file.is_terminal())
}

#[cfg(not(unix))]
fn is_terminal_device(_: &Path) -> bool {
    false
}

/// Escapes control characters as `\u{1b}`; line ends and tabs stay.
pub fn escape(text: &str) -> String {
    Escaped(text).to_string()
}

/// As [`escape`], for bytes that go to stdout, where that is a terminal; elsewhere they are what they are.
pub fn escape_on_terminal(bytes: &[u8]) -> Cow<'_, [u8]> {
    if !io::stdout().is_terminal() {
        return Cow::Borrowed(bytes);
    }
    Cow::Owned(escape(&String::from_utf8_lossy(bytes)).into_bytes())
}

/// Like [`escape`], for JSON, which keeps its meaning. ASCII control characters were escaped when it was written.
pub fn escape_json(json: &mut Vec<u8>) {
    let Ok(text) = std::str::from_utf8(json) else { return };
    if text.contains(char::is_control) {
        let escaped = text.chars().fold(String::new(), |mut escaped, sign| {
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
    fn json_says_the_same_afterwards() {
        let text = "a\u{9b}31m\u{7f}\x1b é";
        let mut json = serde_json::to_vec(text).unwrap();
        escape_json(&mut json);
        assert!(!String::from_utf8(json.clone()).unwrap().contains(char::is_control));
        assert_eq!(serde_json::from_slice::<String>(&json).unwrap(), text);
    }
}
