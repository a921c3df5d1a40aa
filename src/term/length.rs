//! TermLength: how long a renewal holds, and what follows from that. Knows no clock.

use std::time::Duration;

/// How long a renewal of a term holds, counted from when it was asked for.
///
/// Each machine counts on a clock of its own. The process that asks stops by itself at nine tenths, and is ended by its
/// system at the whole; who waits for its end waits for a quarter more. So no two ask at once while the rates of their
/// clocks differ by less than a quarter, ten percent to either side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TermLength(Duration);

#[cfg_attr(not(any(test, feature = "cluster")), expect(dead_code, reason = "only nodes of a cluster have bounds"))]
impl TermLength {
    /// Creates a length.
    pub const fn new(length: Duration) -> Self {
        Self(length)
    }

    /// Returns how often a renewal is asked for: four may be lost.
    pub fn renewal(self) -> Duration {
        self.0 / 5
    }

    /// Returns how long gates stay open.
    pub fn open(self) -> Duration {
        self.0 / 10 * 9
    }

    /// Returns after what time the system ends a process that could not renew.
    pub fn end(self) -> Duration {
        self.0
    }

    /// Returns how long another process must have been silent before its end is certain.
    pub fn silence(self) -> Duration {
        self.0 / 4 * 5
    }
}
