//! FileQueue: the files that items wait for, by domain, each until it is settled. It is in memory only: the page that
//! waits for a file keeps its lease, and asks for the file again after a crash. Knows no permits and no robots files.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    sync::Arc,
    time::Instant,
};

use hashbrown::HashMap;

use crate::{
    domain::Domain,
    frontier::{LeaseId, Leased},
    request::Request,
};

/// The files of one crawl that are not settled.
#[derive(Default)]
pub struct FileQueue {
    domains: HashMap<Domain, OfDomain>,
    leased: HashMap<LeaseId, (Domain, WaitingFile)>,
    waiting: u64,
    next_lease: u64,
    /// When each domain is due; a place that differs from the one in `scheduled` is stale.
    due: BinaryHeap<Reverse<(Instant, Domain)>>,
    scheduled: HashMap<Domain, Instant>,
}

#[derive(Default)]
struct OfDomain {
    ready: VecDeque<WaitingFile>,
    /// Those that failed, and when they may be requested again.
    later: Vec<(Instant, WaitingFile)>,
}

struct WaitingFile {
    request: Arc<Request>,
    attempts: u32,
    /// Whether its robots file has allowed it already.
    is_allowed: bool,
}

/// Where a file stands.
pub enum FileStands {
    /// It waits, behind so many of its domain, after so many attempts.
    Waits {
        /// The request.
        request: Arc<Request>,
        /// How many go before it.
        ahead: u64,
        /// How often it was requested.
        attempts: u32,
        /// When it may be requested again.
        not_before: Option<Instant>,
    },
    /// It is on lease.
    Leased {
        /// The request.
        request: Arc<Request>,
        /// The number of the attempt.
        attempt: u32,
    },
}

/// Marks the leases of files among those of the frontier, which counts from one.
const IS_FILE: u64 = 1 << 63;

/// Tells whether a lease is one of a file.
pub fn is_file(id: LeaseId) -> bool {
    id.0 & IS_FILE != 0
}

impl FileQueue {
    /// Adds a file.
    pub fn push(&mut self, domain: &Domain, request: Request) {
        let waiting = WaitingFile { request: Arc::new(request), attempts: 0, is_allowed: false };
        self.domains.entry_ref(domain).or_default().ready.push_back(waiting);
        self.waiting += 1;
    }

    /// Leases the next file of a domain that may be requested at `now`. Tells whether its robots file has allowed it.
    pub fn lease(&mut self, domain: &Domain, now: Instant) -> Option<(Leased, bool)> {
        let of_domain = self.domains.get_mut(domain)?;
        let late = of_domain.later.iter().position(|(at, _)| *at <= now);
        let waiting = match late {
            Some(place) => of_domain.later.swap_remove(place).1,
            None => of_domain.ready.pop_front()?,
        };
        if of_domain.is_empty() {
            self.domains.remove(domain);
        }
        self.waiting -= 1;
        self.next_lease += 1;
        let id = LeaseId(IS_FILE | self.next_lease);
        let leased = Leased { id, request: waiting.request.clone(), attempt: waiting.attempts + 1 };
        let is_allowed = waiting.is_allowed;
        self.leased.insert(id, (domain.clone(), waiting));
        Some((leased, is_allowed))
    }

    /// Ends a lease. Tells whether there was one.
    pub fn settle(&mut self, id: LeaseId) -> bool {
        self.leased.remove(&id).is_some()
    }

    /// Returns a file to the queue. Returns its domain; `None` if there was no lease.
    pub fn give_back(&mut self, id: LeaseId, not_before: Option<Instant>, attempted: bool) -> Option<Domain> {
        let (domain, mut waiting) = self.leased.remove(&id)?;
        waiting.attempts += u32::from(attempted);
        waiting.is_allowed = false;
        self.put_back(&domain, waiting, not_before);
        Some(domain)
    }

    /// Returns an allowed file to the front of the queue. Its robots file is not consulted again, since that may have
    /// been evicted by then.
    pub fn allowed(&mut self, id: LeaseId) {
        if let Some((domain, waiting)) = self.leased.remove(&id) {
            self.put_back(&domain, WaitingFile { is_allowed: true, ..waiting }, None);
        }
    }

    fn put_back(&mut self, domain: &Domain, waiting: WaitingFile, not_before: Option<Instant>) {
        let of_domain = self.domains.entry_ref(domain).or_default();
        match not_before {
            Some(at) => of_domain.later.push((at, waiting)),
            None => of_domain.ready.push_front(waiting),
        }
        self.waiting += 1;
    }

    /// Takes all waiting files of a domain.
    pub fn take(&mut self, domain: &Domain) -> Vec<Arc<Request>> {
        let OfDomain { ready, later } = self.domains.remove(domain).unwrap_or_default();
        let taken: Vec<_> = ready.into_iter().chain(later.into_iter().map(|(_, waiting)| waiting)).collect();
        self.waiting -= taken.len() as u64;
        taken.into_iter().map(|waiting| waiting.request).collect()
    }

    /// Tells whether a domain has waiting files.
    pub fn has(&self, domain: &Domain) -> bool {
        self.domains.contains_key(domain)
    }

    /// Returns when the next file of a domain may be requested; `None` if there is none.
    pub fn ready_at(&self, domain: &Domain, now: Instant) -> Option<Instant> {
        let of_domain = self.domains.get(domain)?;
        if of_domain.ready.is_empty() { of_domain.later.iter().map(|(at, _)| *at).min() } else { Some(now) }
    }

    /// Returns how many files wait.
    pub fn waiting(&self) -> u64 {
        self.waiting
    }

    /// Returns how many files are on lease.
    pub fn leased(&self) -> u64 {
        self.leased.len() as u64
    }

    /// Looks for a file that is not settled.
    pub fn locate(&self, domain: &Domain, is_it: &dyn Fn(&Request) -> bool) -> Option<FileStands> {
        if let Some((_, waiting)) = self.leased.values().find(|(_, waiting)| is_it(&waiting.request)) {
            return Some(FileStands::Leased { request: waiting.request.clone(), attempt: waiting.attempts + 1 });
        }
        let of_domain = self.domains.get(domain)?;
        let all = of_domain.ready.iter().map(|waiting| (None, waiting));
        let later = of_domain.later.iter().map(|(at, waiting)| (Some(*at), waiting));
        let (ahead, (not_before, waiting)) =
            all.chain(later).enumerate().find(|(_, (_, waiting))| is_it(&waiting.request))?;
        let (request, attempts) = (waiting.request.clone(), waiting.attempts);
        Some(FileStands::Waits { request, ahead: ahead as u64, attempts, not_before })
    }

    /// Schedules a domain at `at`, unless it is scheduled earlier.
    pub fn schedule(&mut self, domain: &Domain, at: Instant) {
        let scheduled = self.scheduled.entry_ref(domain).or_insert(at);
        if *scheduled < at {
            return;
        }
        *scheduled = at;
        self.due.push(Reverse((at, domain.clone())));
        if self.due.len() > 2 * self.scheduled.len() + MAX_STALE {
            self.due = self.scheduled.iter().map(|(domain, at)| Reverse((*at, domain.clone()))).collect();
        }
    }

    /// Iterates over the domains with waiting files.
    pub fn domains(&self) -> impl Iterator<Item = &Domain> {
        self.domains.keys()
    }

    /// Schedules all domains with waiting files at `at`: their pace has changed.
    pub fn schedule_all(&mut self, at: Instant) {
        for domain in self.domains.keys().cloned().collect::<Vec<_>>() {
            self.schedule(&domain, at);
        }
    }

    /// Removes and returns the next domain due at or before `horizon`.
    pub fn pop_due(&mut self, horizon: Instant) -> Option<Domain> {
        if self.next_due()? > horizon {
            return None;
        }
        let Reverse((_, domain)) = self.due.pop()?;
        self.scheduled.remove(&domain);
        Some(domain)
    }

    /// Returns when the next domain is due.
    pub fn next_due(&mut self) -> Option<Instant> {
        loop {
            let Reverse((at, domain)) = self.due.peek()?;
            if self.scheduled.get(domain) == Some(at) {
                return Some(*at);
            }
            self.due.pop();
        }
    }
}

/// Stale places that are kept before they are swept out.
const MAX_STALE: usize = 64;

impl OfDomain {
    fn len(&self) -> usize {
        self.ready.len() + self.later.len()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn request(path: &str) -> Request {
        Request::file(format!("http://a.org/{path}").parse().unwrap())
    }

    fn next(files: &mut FileQueue, domain: &Domain, now: Instant) -> Option<(LeaseId, String, u32)> {
        let (leased, _) = files.lease(domain, now)?;
        Some((leased.id, leased.request.url.path().to_owned(), leased.attempt))
    }

    #[test]
    fn files_go_in_their_order_and_what_failed_when_its_wait_is_over() {
        let (mut files, now, a) = (FileQueue::default(), Instant::now(), Domain::new("a.org"));
        files.push(&a, request("1"));
        files.push(&a, request("2"));
        let (first, path, attempt) = next(&mut files, &a, now).unwrap();
        assert_eq!((path.as_str(), attempt, is_file(first)), ("/1", 1, true));
        let later = now + Duration::from_secs(2);
        assert_eq!(files.give_back(first, Some(later), true), Some(a.clone()));
        assert_eq!(next(&mut files, &a, now).unwrap().1, "/2");
        assert_eq!((next(&mut files, &a, now), files.ready_at(&a, now)), (None, Some(later)));
        let (again, path, attempt) = next(&mut files, &a, later).unwrap();
        assert_eq!((path.as_str(), attempt), ("/1", 2));
        assert!(files.settle(again) && !files.settle(again));
        assert_eq!((files.waiting(), files.leased(), files.has(&a)), (0, 1, false));
    }

    #[test]
    fn what_its_robots_file_allows_goes_first_and_is_not_asked_about_again() {
        let (mut files, now, a) = (FileQueue::default(), Instant::now(), Domain::new("a.org"));
        files.push(&a, request("1"));
        files.push(&a, request("2"));
        let (first, is_allowed) = files.lease(&a, now).unwrap();
        assert!(!is_allowed);
        files.allowed(first.id);
        let (again, is_allowed) = files.lease(&a, now).unwrap();
        assert!(is_allowed && again.request.url == first.request.url);
        assert_eq!((files.take(&a).len(), files.waiting()), (1, 0));
    }

    #[test]
    fn a_domain_comes_up_once_at_the_earliest_of_its_instants() {
        let (mut files, now) = (FileQueue::default(), Instant::now());
        let at = |seconds| now + Duration::from_secs(seconds);
        let [a, b] = ["a.org", "b.org"].map(Domain::new);
        for (domain, seconds) in [(&a, 3), (&a, 1), (&a, 2), (&b, 2)] {
            files.schedule(domain, at(seconds));
        }
        assert_eq!((files.pop_due(now), files.next_due()), (None, Some(at(1))));
        assert_eq!([files.pop_due(at(9)), files.pop_due(at(9)), files.pop_due(at(9))], [Some(a), Some(b), None]);
    }
}
