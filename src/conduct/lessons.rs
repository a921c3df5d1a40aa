//! Lessons: what is remembered in a few bytes of a domain that is not in use. Knows no rate.

use std::time::{Duration, Instant};

use crate::{
    conduct::{
        cooling::{Cooling, Refusals},
        throttle::Starts,
    },
    rate::MAX_WINDOW,
};

/// What still matters of a domain once its throttle is fresh. Takes 96 bytes and is kept for a day at most, since
/// refusals and robots files are valid for no longer, and no window is longer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lessons {
    refusals: Option<Refusals>,
    asked: Option<AskedSpacing>,
    /// Kept for tenants whose limits may change: stricter limits count starts that the present ones no longer count.
    starts: Option<Starts>,
}

/// The spacing that a robots file asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AskedSpacing {
    /// The least time between two starts.
    pub spacing: Duration,
    /// Until when the file is valid.
    pub until: Instant,
}

/// How a quota holds requests to a domain back for a while. The throttle applies this; it is copied here only to be
/// stored for a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sparing {
    /// Until when it is not asked at all: nothing of its quota is left.
    pub rests_until: Option<Instant>,
    /// The wider spacing that makes the rest of its quota last.
    pub slowed: Option<AskedSpacing>,
}

impl Sparing {
    /// Tells whether no quota holds requests back.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl Lessons {
    /// Remembers refusals and the spacing of a robots file.
    pub fn new(refusals: Option<Refusals>, asked: Option<AskedSpacing>) -> Self {
        Self { refusals, asked, starts: None }
    }

    /// Remembers the starts too.
    #[must_use]
    pub fn with_starts(self, starts: Option<Starts>) -> Self {
        Self { starts, ..self }
    }

    /// Returns the starts that a limit may still count.
    pub fn starts(&self, now: Instant) -> Option<Starts> {
        self.starts.filter(|starts| starts.last + MAX_WINDOW > now)
    }

    /// Returns the refusals that still count.
    pub fn refusals(&self, now: Instant) -> Option<Refusals> {
        Cooling::recalled(self.refusals?).refusals(now)
    }

    /// Returns the spacing of a robots file that is still valid.
    pub fn asked(&self, now: Instant) -> Option<AskedSpacing> {
        self.asked.filter(|asked| asked.until > now)
    }

    /// Returns when the last of the lessons expires; `None` if all have.
    pub fn end(&self, now: Instant) -> Option<Instant> {
        let refusals = self.refusals.and_then(|refusals| Cooling::recalled(refusals).counts_until());
        let counted = self.starts.map(|starts| starts.last + MAX_WINDOW);
        refusals.max(self.asked.map(|asked| asked.until)).max(counted).filter(|end| *end > now)
    }

    /// Combines two lessons; the stricter part of each holds.
    #[must_use]
    pub fn stricter(&self, other: &Self, now: Instant) -> Self {
        let refusals = [self, other].into_iter().filter_map(|lessons| lessons.refusals(now));
        let asked = [self, other].into_iter().filter_map(|lessons| lessons.asked(now));
        let starts = [self, other].into_iter().filter_map(|lessons| lessons.starts(now));
        Self::new(
            refusals.max_by_key(|refusals| (refusals.in_a_row, refusals.until)),
            asked.max_by_key(|asked| (asked.spacing, asked.until)),
        )
        .with_starts(starts.max_by_key(|starts| starts.last))
    }

    /// Tells whether all lessons have expired.
    pub fn is_empty(&self, now: Instant) -> bool {
        self.refusals(now).is_none() && self.asked(now).is_none() && self.starts(now).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_of_a_quiet_domain_is_small() {
        assert!(size_of::<Lessons>() <= 96, "{}", size_of::<Lessons>());
    }
}
