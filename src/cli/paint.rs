//! Paint: bold and dim words on terminals, unless `NO_COLOR` is set (<https://no-color.org>).

use std::{env, fmt, io::IsTerminal};

/// Whether words are styled.
#[derive(Clone, Copy, Debug)]
pub struct Paint(bool);

impl Paint {
    /// Checks whether `stream` is a terminal, and styling is wanted.
    pub fn on(stream: &impl IsTerminal) -> Self {
        Self(stream.is_terminal() && is_wanted())
    }

    /// Makes words bold.
    pub fn bold(self, words: impl fmt::Display) -> String {
        self.wrap("1", &words)
    }

    /// Makes words dim.
    pub fn dim(self, words: impl fmt::Display) -> String {
        self.wrap("2", &words)
    }

    fn wrap(self, code: &str, words: &dyn fmt::Display) -> String {
        if self.0 { format!("\x1b[{code}m{words}\x1b[0m") } else { words.to_string() }
    }
}

/// Tells whether `NO_COLOR` allows styling.
pub fn is_wanted() -> bool {
    let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !refused && env::var_os("TERM").is_none_or(|term| term != "dumb")
}
