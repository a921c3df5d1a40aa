//! Broken: which law does not hold, and how.

use std::fmt::{self, Debug};

/// Says which law is broken, and how.
#[derive(Debug)]
pub(super) struct Broken(pub String);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a law of the frontier is broken: {}", self.0)
    }
}

/// The result of a step.
pub(super) type LawResult<T> = std::result::Result<T, Broken>;

/// Holds where both are equal.
pub(super) fn same<T: PartialEq + Debug>(law: &str, found: &T, expected: &T) -> LawResult<()> {
    if found == expected { Ok(()) } else { Err(Broken(format!("{law}: {found:?}, and not {expected:?}"))) }
}

/// Holds where it is true.
pub(super) fn holds(law: &str, holds: bool) -> LawResult<()> {
    if holds { Ok(()) } else { Err(Broken(law.to_owned())) }
}
