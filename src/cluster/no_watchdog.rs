//! Watchdog, on systems without such a timer: a process that is stopped between the check of its term and a write may
//! write late.

use std::io;

use crate::term::TermLength;

/// Ends nothing.
pub(super) struct Watchdog;

/// An instant of a clock that nobody reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct BootTime;

#[allow(clippy::unnecessary_wraps, clippy::unused_self, reason = "the same face as on Linux")]
impl BootTime {
    /// Returns now.
    pub fn now() -> io::Result<Self> {
        Ok(Self)
    }
}

#[allow(clippy::unnecessary_wraps, clippy::unused_self, reason = "the same face as on Linux")]
impl Watchdog {
    /// Creates nothing.
    pub fn new() -> io::Result<Self> {
        Ok(Self)
    }

    /// Sets nothing.
    pub fn set(&mut self, _: BootTime, _: TermLength) -> io::Result<()> {
        Ok(())
    }
}
