//! Evidence: the requests that a domain received, measured at the moment of writing.

use std::time::Duration;

/// The requests that a domain received, measured at the moment of writing.
///
/// ```
/// use actix_crawler::{Domain, ThrottledClient};
///
/// fn requests(client: &ThrottledClient, domain: &str) -> u64 {
///     client.evidence(&Domain::new(domain)).map_or(0, |evidence| evidence.requests)
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Requests started.
    pub requests: u64,
    /// The least time between two starts.
    pub smallest_gap: Option<Duration>,
    /// The most requests in flight at once.
    pub most_in_flight: u32,
    /// Further starts that the rate allowed while a request waited, because all places in flight were taken: more than
    /// one in ten of `requests` means that [`per_domain`](crate::Politeness::per_domain) is too small for the rate. 0
    /// without a rate.
    pub missed: u32,
}

impl Evidence {
    /// Counts a request that started `gap` after the previous one, with `in_flight` now in flight.
    pub(crate) fn note_start(&mut self, gap: Option<Duration>, in_flight: u32) {
        self.requests += 1;
        self.smallest_gap = match (self.smallest_gap, gap) {
            (Some(smallest), Some(gap)) => Some(smallest.min(gap)),
            (smallest, gap) => smallest.or(gap),
        };
        self.most_in_flight = self.most_in_flight.max(in_flight);
    }

    /// Adds earlier measurements of the same domain.
    pub fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.smallest_gap = match (self.smallest_gap, other.smallest_gap) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        self.most_in_flight = self.most_in_flight.max(other.most_in_flight);
        self.missed = self.missed.saturating_add(other.missed);
    }
}
