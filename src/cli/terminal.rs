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
