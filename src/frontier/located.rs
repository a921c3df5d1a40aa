//! Located: where a request is in a frontier, for whoever asks about one URL. Knows no queue.

use std::{sync::Arc, time::Instant};

use crate::request::Request;

/// The most waiting requests of a domain that are looked at for one: they take some milliseconds, and the scheduler
/// does nothing else meanwhile.
pub const MAX_LOOKED_AT: usize = 100_000;

/// Where a request is.
///
/// ```
/// use std::time::Instant;
///
/// use actix_crawler::{Domain, Recrawl, Request, frontier::{Frontier, Located, MemoryFrontier}};
///
/// let (now, domain) = (Instant::now(), Domain::new("example.org"));
/// let mut frontier = MemoryFrontier::new(Recrawl::default(), now);
/// for url in ["https://example.org/1", "https://example.org/2"] {
///     let request = Request::parse(url)?;
///     frontier.offer(&domain, request.fingerprint(), request, now);
/// }
/// let locate = |frontier: &MemoryFrontier, path: &str| frontier.locate(&domain, &|request| request.url.path() == path);
/// assert!(matches!(locate(&frontier, "/2"), Located::Waits(waiting) if waiting.ahead == 1));
/// frontier.lease(&domain, now);
/// assert!(matches!(locate(&frontier, "/1"), Located::Leased { attempt: 1, .. }));
/// assert!(matches!(locate(&frontier, "/3"), Located::NotFound { not_looked_at: 0 }));
/// # Ok::<(), actix_crawler::Error>(())
/// ```
#[derive(Clone, Debug)]
pub enum Located {
    /// On lease.
    Leased {
        /// The request.
        request: Arc<Request>,
        /// The number of the attempt, counted from 1.
        attempt: u32,
    },
    /// In the queue.
    Waits(Waiting),
    /// Neither on lease nor among the requests that were looked at.
    NotFound {
        /// How many requests of the domain wait and were not looked at.
        not_looked_at: u64,
    },
}

/// A request in its domain's queue.
///
/// ```
/// use std::time::Instant;
///
/// use actix_crawler::frontier::Waiting;
///
/// fn may_be_leased(waiting: &Waiting, now: Instant) -> bool {
///     waiting.ahead == 0 && waiting.not_before.is_none_or(|at| at <= now)
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Waiting {
    /// The request.
    pub request: Arc<Request>,
    /// The requests of the domain that are leased before it, as things stand.
    pub ahead: u64,
    /// The number of attempts so far.
    pub attempts: u32,
    /// When it may be leased; `None` for at once.
    pub not_before: Option<Instant>,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        domain::Domain,
        frontier::{
            Frontier, MemoryFrontier, Next, durable::Opening, stores::tables::TablesStore, windowed::testing::tiny,
        },
        recrawl::Recrawl,
    };

    #[test]
    fn a_request_is_found_in_its_place_on_lease_and_while_it_is_delayed() {
        let now = crate::clock::now();
        let memory = MemoryFrontier::new(Recrawl::default(), now);
        let (windowed, _) = tiny(TablesStore::default(), Opening::new(Recrawl::default(), now)).unwrap();
        places(Box::new(memory), now);
        places(Box::new(windowed), now);
    }

    fn places(mut frontier: Box<dyn Frontier>, now: Instant) {
        let domain = Domain::new("e.org");
        for (path, priority) in [("/last", -1), ("/second", 0), ("/first", 1)] {
            let request = Request::parse(&format!("http://e.org{path}")).unwrap().priority(priority);
            frontier.offer(&domain, request.fingerprint(), request, now);
        }
        let ahead = |frontier: &dyn Frontier, path: &str| match frontier
            .locate(&domain, &|request: &Request| request.url.path() == path)
        {
            Located::Waits(Waiting { ahead, not_before, attempts, .. }) => Ok((ahead, not_before, attempts)),
            Located::Leased { attempt, .. } => Err(Some(attempt)),
            Located::NotFound { not_looked_at: 0 } => Err(None),
            other @ Located::NotFound { .. } => panic!("{other:?}"),
        };
        let ready = |before| Ok((before, None, 0));
        let all = ["/first", "/second", "/last", "/none"];
        assert_eq!(all.map(|path| ahead(&*frontier, path)), [ready(0), ready(1), ready(2), Err(None)]);
        let Next::Leased(leased) = frontier.lease(&domain, now) else { panic!("it waits") };
        assert_eq!(all.map(|path| ahead(&*frontier, path)), [Err(Some(1)), ready(0), ready(1), Err(None)]);
        let until = now + Duration::from_secs(9);
        frontier.give_back(leased.id, Some(until), true);
        let delayed = ahead(&*frontier, "/first").unwrap();
        assert_eq!((delayed.0, delayed.1.is_some_and(|at| at >= until), delayed.2), (0, true, 1));
        assert_eq!(all.map(|path| ahead(&*frontier, path))[1..], [ready(0), ready(1), Err(None)]);
    }
}
