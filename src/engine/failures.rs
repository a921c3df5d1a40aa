//! Failures: the requests that ended without a page, until the spider has been notified. Knows no spider and no
//! permits.

use std::collections::VecDeque;

use hashbrown::HashMap;

use crate::{
    fetcher::visit::Visit,
    frontier::{LeaseId, Leased},
    outcome::Outcome,
    politeness::Politeness,
    request::Request,
};

/// The failures of which the spider is still to be notified. All are on lease: each is settled after the notification,
/// and queued again if the process dies before.
#[derive(Default)]
pub struct Failures {
    waiting: VecDeque<Visit>,
    /// Those of which the spider is being notified.
    in_progress: HashMap<LeaseId, Visit>,
    /// The most of these at once.
    most: usize,
}

/// While so many wait, a search for a request ends with the first failure that it adds.
const MAX_WAITING: usize = 1_000;

/// While so many wait (about 10 MB), no more permits are granted.
const TOO_MANY: usize = 10_000;

impl Failures {
    /// Creates the list, without failures.
    pub fn new(politeness: &Politeness) -> Self {
        let mut failures = Self::default();
        failures.set_most(politeness);
        failures
    }

    /// Allows as many notifications at once as there may be pages in flight: both use the spider's threads.
    pub fn set_most(&mut self, politeness: &Politeness) {
        self.most = politeness.concurrency.get() as usize;
    }

    /// Adds a request that is over.
    pub fn add(&mut self, visit: Visit) {
        self.waiting.push_back(visit);
    }

    /// Takes the next failure, if the spider can be notified of one more now.
    pub fn next(&mut self) -> Option<(Leased, Outcome)> {
        if self.in_progress.len() >= self.most {
            return None;
        }
        let visit = self.waiting.pop_front()?;
        let next = (visit.leased.clone(), visit.outcome.clone());
        self.in_progress.insert(visit.leased.id, visit);
        Some(next)
    }

    /// Takes a failure of which the spider was notified, or whose fetcher died meanwhile.
    pub fn take(&mut self, id: LeaseId) -> Option<Visit> {
        self.in_progress.remove(&id)
    }

    /// Returns how many more failures the spider can be notified of at once.
    pub fn room(&self) -> usize {
        self.most.saturating_sub(self.waiting.len() + self.in_progress.len())
    }

    /// Tells whether a failure waits of which the spider can be notified now.
    pub fn can_go_on(&self) -> bool {
        !self.waiting.is_empty() && self.in_progress.len() < self.most
    }

    /// Tells whether so many wait that each search should add few.
    pub fn are_many(&self) -> bool {
        self.waiting.len() >= MAX_WAITING
    }

    /// Tells whether so many wait that no permits should be granted.
    pub fn are_too_many(&self) -> bool {
        self.waiting.len() >= TOO_MANY
    }

    /// Takes the failures for which nothing was sent and whose notification has not begun.
    pub fn take_unsent(&mut self) -> Vec<Leased> {
        let (unsent, sent) = std::mem::take(&mut self.waiting).into_iter().partition(|visit| visit.is_without_request);
        self.waiting = sent;
        let unsent: VecDeque<Visit> = unsent;
        unsent.into_iter().map(|visit| visit.leased).collect()
    }

    /// Returns how many failures the spider is being notified of.
    #[cfg(test)]
    pub fn notifying(&self) -> usize {
        self.in_progress.len()
    }

    /// Looks for the one of a request.
    pub fn find(&self, is_it: &dyn Fn(&Request) -> bool) -> Option<&Visit> {
        self.waiting.iter().chain(self.in_progress.values()).find(|visit| is_it(&visit.leased.request))
    }
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroU32, sync::Arc};

    use super::*;

    fn failed(id: u64, is_without_request: bool) -> Visit {
        let request = Arc::new(Request::parse("http://a.org/").unwrap());
        let leased = Leased { id: LeaseId(id), request, attempt: 1 };
        Visit { is_without_request, ..Visit::without_request(leased, Outcome::Status(404)) }
    }

    #[test]
    fn a_spider_hears_of_as_many_at_once_as_there_may_be_pages_in_flight_and_in_order() {
        let concurrency = NonZeroU32::new(2).unwrap();
        let mut failures = Failures::new(&Politeness { concurrency, ..Politeness::default() });
        assert_eq!(failures.room(), 2);
        (1..=3).for_each(|id| failures.add(failed(id, true)));
        let mut next = || failures.next().map(|(leased, _)| leased.id.0);
        assert_eq!([next(), next(), next()], [Some(1), Some(2), None]);
        assert_eq!(failures.room(), 0);
        assert!(failures.take(LeaseId(2)).is_some() && failures.take(LeaseId(2)).is_none());
        assert_eq!(failures.next().map(|(leased, _)| leased.id.0), Some(3));
    }

    #[test]
    fn a_crawl_that_stops_takes_back_what_was_not_sent_and_what_was_sent_is_told() {
        let concurrency = NonZeroU32::new(1).unwrap();
        let mut failures = Failures::new(&Politeness { concurrency, ..Politeness::default() });
        for (id, is_without_request) in [(1, true), (2, true), (3, false), (4, true)] {
            failures.add(failed(id, is_without_request));
        }
        assert!(failures.next().is_some());
        let taken: Vec<_> = failures.take_unsent().into_iter().map(|leased| leased.id.0).collect();
        assert_eq!(taken, [2, 4]);
        assert!(failures.take(LeaseId(1)).is_some());
        assert_eq!(failures.next().map(|(leased, _)| leased.id.0), Some(3));
    }
}
