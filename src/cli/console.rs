//! Console: tells messages on stderr and prints results on stdout. A message that cannot be written is dropped, since
//! the command does its work all the same; a result that cannot be written is an error.

use std::{
    fmt::Display,
    io::{self, Write},
};

use super::{
    bar,
    exit::Failure,
    terminal::{escape, escape_on_terminal},
};

/// Writes a message to stderr, as a line above the bar and with control characters escaped.
pub fn tell(message: impl Display) {
    write(&format!("{message}\n"));
}

/// Writes a result to stdout, and to a terminal with control characters escaped.
///
/// # Errors
/// It cannot be written, or its reader has gone.
pub fn print(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(&escape_on_terminal(bytes))
        .and_then(|()| stdout.flush())
        .map_err(|error| Failure::unprintable(&error))
}

/// Stderr for the library's warnings, each written in one piece.
pub struct StderrWarnings;

impl Write for StderrWarnings {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        write(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Nobody can be told that stderr is full, or that its reader has gone.
fn write(text: &str) {
    bar::above(|| drop(io::stderr().write_all(escape(text).as_bytes())));
}
