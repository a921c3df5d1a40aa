//! Spared: what delays the starts of a domain for a while, beside its limits. Knows no reasons.

use std::time::{Duration, Instant};

/// The delays in force.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spared {
    /// Until when nothing starts.
    pub cooling_until: Option<Instant>,
    /// The wider spacing.
    pub slow: Option<Slow>,
}

/// A temporary wider spacing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slow {
    /// The least time between two starts.
    pub spacing: Duration,
    /// Until when.
    pub until: Instant,
}

impl Spared {
    /// Tells whether it delays nothing at `now` or later.
    pub fn is_over(&self, now: Instant) -> bool {
        self.cooling_until.is_none_or(|until| until <= now) && self.slow.is_none_or(|slow| slow.until <= now)
    }
}
