//! Limits: the limits of one tenant at one domain, after defaults and overrides. Knows no settings and no clock.

use std::{num::NonZeroU32, time::Duration};

use crate::rate::Rate;

/// The limits at one domain: the settings after defaults and overrides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// The most starts in any window.
    pub rate: Rate,
    /// The least time between two starts.
    pub spacing: Duration,
    /// The least time between the end of a response and the next start.
    pub rest: Duration,
    /// The random part of each spacing: it is lengthened by up to this share of itself.
    pub jitter: f64,
    /// The most requests in flight.
    pub in_flight: NonZeroU32,
}

impl Limits {
    /// A rate only, with any number of requests in flight.
    pub fn rate(rate: Rate) -> Self {
        Self { rate, spacing: Duration::ZERO, rest: Duration::ZERO, jitter: 0.0, in_flight: NonZeroU32::MAX }
    }

    /// Widens the spacing to at least `spacing`; never narrows it.
    #[must_use]
    pub fn slowed_to(mut self, spacing: Duration) -> Self {
        self.spacing = self.spacing.max(spacing);
        self
    }

    /// Returns how long a start affects later ones under these limits.
    pub(crate) fn span(&self) -> Duration {
        let window = self.rate.window().map_or(Duration::ZERO, |window| window.per);
        let spacing = self.spacing.mul_f64(1.0 + self.jitter.max(0.0));
        // Plus the margins that the throttle adds for differences between clocks.
        window.max(spacing).max(self.rest) + Duration::from_millis(10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn robots_may_slow_a_domain_down_but_never_speed_it_up() {
        let limits = Limits { spacing: Duration::from_secs(1), ..Limits::rate(Rate::UNLIMITED) };
        assert_eq!(limits.slowed_to(Duration::from_secs(3)).spacing, Duration::from_secs(3));
        assert_eq!(limits.slowed_to(Duration::from_millis(1)).spacing, Duration::from_secs(1));
    }
}
