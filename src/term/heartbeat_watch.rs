//! HeartbeatWatch: how long another process has not renewed its term. Knows no clock of another machine.

use std::time::Instant;

use super::TermLength;

/// The last sign of life of another process, and when it was first seen, by the clock of this machine.
///
/// A sign is seen after it was given, and it is given after the renewal was asked for: so the wait begins too late,
/// never too early.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeartbeatWatch {
    beat: i64,
    since: Instant,
}

#[cfg_attr(not(any(test, feature = "cluster")), expect(dead_code, reason = "only nodes of a cluster have bounds"))]
impl HeartbeatWatch {
    /// Begins with a sign that was read after `now`.
    pub fn new(beat: i64, now: Instant) -> Self {
        Self { beat, since: now }
    }

    /// Returns the last sign.
    #[cfg(feature = "cluster")]
    pub fn beat(&self) -> i64 {
        self.beat
    }

    /// Notes the sign that was read at `now` at the latest. Another one ends the silence.
    pub fn note(&mut self, beat: i64, now: Instant) {
        if beat != self.beat {
            *self = Self::new(beat, now);
        }
    }

    /// Tells whether the term of that process must have lapsed.
    pub fn is_death(&self, now: Instant, length: TermLength) -> bool {
        now.saturating_duration_since(self.since) >= length.silence()
    }
}
