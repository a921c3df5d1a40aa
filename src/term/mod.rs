//! Term: until when this process may ask anybody at all. Knows no clock, no domain and nobody who grants it.

mod length;
mod heartbeat_watch;

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

#[cfg_attr(
    not(any(test, feature = "cluster")),
    expect(unused_imports, reason = "only nodes of a cluster have bounds")
)]
pub(crate) use self::{heartbeat_watch::HeartbeatWatch, length::TermLength};

/// The time in which the requests of a registry of conducts may begin: without bounds, unless the crawl is shared with
/// other machines. Then the term is renewed again and again, and another machine takes over only when it must have
/// lapsed here ([`HeartbeatWatch`]).
///
/// Every gate asks it, first of all, when a permit is granted and again before each write of its request. A process
/// that is stopped between that and the write is beyond its own control: the system ends it (`cluster/watchdog`).
#[derive(Debug)]
pub(crate) struct Term {
    /// What `until` is counted from.
    begun: Instant,
    /// The end in nanoseconds, or one of the three values below.
    until: AtomicU64,
}

/// The term has lapsed: nobody may be asked, until it is renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lapsed;

/// A term belongs to one crawl at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AlreadyBound;

const BOUNDLESS: u64 = u64::MAX;

/// No renewal has come yet. This is an instant too: that of the beginning.
const NOT_RENEWED: u64 = 0;

/// No renewal counts any more: before every instant at which one could end.
const ENDED: u64 = 1;

impl Term {
    /// Creates a term without bounds.
    pub fn boundless(now: Instant) -> Self {
        Self { begun: now, until: AtomicU64::new(BOUNDLESS) }
    }

    /// Tells whether anybody may be asked.
    ///
    /// # Errors
    /// The term has lapsed.
    pub fn check(&self, now: Instant) -> Result<(), Lapsed> {
        // Relaxed: an end that is read late is one that was lawful when it was stored.
        let until = self.until.load(Ordering::Relaxed);
        if until == BOUNDLESS || self.nanos(now) < until { Ok(()) } else { Err(Lapsed) }
    }

    /// Tells whether the term has bounds.
    pub fn is_bound(&self) -> bool {
        self.until.load(Ordering::Relaxed) != BOUNDLESS
    }
}

#[cfg_attr(not(any(test, feature = "cluster")), expect(dead_code, reason = "only nodes of a cluster have bounds"))]
impl Term {
    /// Gives the term bounds: it lapses now, until its first renewal. One that has ended begins again.
    ///
    /// # Errors
    /// It has bounds already: another crawl renews it.
    pub fn bind(&self) -> Result<(), AlreadyBound> {
        let free = |known| (known == BOUNDLESS || known == ENDED).then_some(NOT_RENEWED);
        let bound = self.until.fetch_update(Ordering::SeqCst, Ordering::SeqCst, free);
        bound.map(drop).map_err(|_| AlreadyBound)
    }

    /// Renews the term, for which leave was asked at `asked` and has come. Changes nothing of a term that has ended, or
    /// has no bounds.
    pub fn renew(&self, asked: Instant, length: TermLength) {
        let until = self.nanos(asked + length.open()).clamp(ENDED + 1, BOUNDLESS - 1);
        let later = |known| (known != BOUNDLESS && known != ENDED).then(|| until.max(known));
        // It fails where nothing is changed.
        let _ = self.until.fetch_update(Ordering::SeqCst, Ordering::SeqCst, later);
    }

    /// Ends a bound term for good.
    pub fn end(&self) {
        let bound = |known| (known != BOUNDLESS).then_some(ENDED);
        let _ = self.until.fetch_update(Ordering::SeqCst, Ordering::SeqCst, bound);
    }
}

impl Term {
    fn nanos(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.begun).as_nanos()).unwrap_or(BOUNDLESS - 1)
    }
}

#[cfg(test)]
mod tests;
