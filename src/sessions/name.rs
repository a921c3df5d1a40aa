//! Name: what a session may be called. Knows no sessions.

use crate::error::{Error, Result};

/// The session of requests that name none, unless there is a pool; a request may name it too.
///
/// ```
/// use actix_crawler::{Request, sessions::DEFAULT};
///
/// // With a pool, this request is sent outside of it.
/// let request = Request::parse("https://example.org/")?.session(DEFAULT);
/// # Ok::<(), actix_crawler::Error>(())
/// ```
pub const DEFAULT: &str = "default";

/// What the names of a pool's sessions begin with: `pool/1`.
const POOLED: &str = "pool/";

/// The longest name in bytes: enough for a mail address or an account's ID, and for a line of the report.
const MAX_LENGTH: usize = 100;

/// Returns the name of a member of the pool, counted from 1.
pub fn of_member(number: usize) -> String {
    format!("{POOLED}{number}")
}

/// Tells whether a session belongs to the pool: requests may be sent in any other of the pool instead.
pub fn is_pooled(name: &str) -> bool {
    name.starts_with(POOLED)
}

/// Checks a name.
///
/// # Errors
/// It is empty, too long, or has control characters.
pub fn check(name: &str) -> Result<()> {
    let why = if name.is_empty() {
        "it has no name"
    } else if name.len() > MAX_LENGTH {
        "its name is longer than 100 bytes"
    } else if name.contains(char::is_control) {
        "its name has control characters"
    } else {
        return Ok(());
    };
    Err(Error::setting(format!("session `{}`", name.escape_debug()), why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_text() {
        for good in ["alice", "me@example.org", "Zoë", DEFAULT, &of_member(7)] {
            check(good).unwrap();
        }
        for wrong in ["", "a\nb", "\u{9b}", &"x".repeat(101)] {
            assert!(check(wrong).unwrap_err().to_string().contains("its name") || wrong.is_empty(), "{wrong:?}");
        }
        assert!(is_pooled(&of_member(1)) && !is_pooled(DEFAULT) && !is_pooled("pool"));
    }
}
