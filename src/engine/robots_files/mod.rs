//! RobotsFiles: which origins' robots files are known, requested or missing, and the pages that wait for them. Knows no
//! permits and no network.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use hashbrown::{HashMap, HashSet, hash_map::Entry};
use url::Url;

use super::accounts::Accounts;
use crate::{
    domain::Domain,
    events::event::{Event, RobotsEnd},
    fetcher::readers::Extracted,
    frontier::{LeaseId, Leased, durable::Ticket},
    outcome::{FetchError, Outcome},
    request::{Kind, Request},
    robots::{LIFETIME, Robots, RobotsCache, RobotsFile, Unreachable, is_robots_file},
    warnings::Warnings,
};

/// Maps origins to domains: robots files are per origin (scheme, host and port, RFC 9309 §2.3), permits per domain.
pub struct RobotsFiles {
    cache: RobotsCache<Arc<str>>,
    /// Origins whose file is being requested.
    pending: HashMap<Arc<str>, PendingFile>,
    /// Requested URLs, each with the origins that wait for its response. Redirects may lead to URLs of other origins,
    /// and several origins to the same URL, which is requested once.
    awaited: HashMap<Url, Vec<Arc<str>>>,
    /// How many pages of each domain wait.
    parked: HashMap<Domain, usize>,
    /// The files that the frontier's store is looking for, with the URL to request otherwise.
    looked_for: HashMap<Ticket, Url>,
    /// The files of other processes' domains that the store is looking for.
    elsewhere: HashSet<Url>,
    /// The number of the next lease for a robots file.
    next_lease: u64,
    warnings: Warnings,
}

struct PendingFile {
    /// The requested URLs: the origin's own, then the redirects from there.
    path: Vec<Url>,
    parked: Vec<(Domain, Leased)>,
}

/// What a robots file means for one URL.
#[derive(Debug, PartialEq)]
pub enum Ruling {
    /// Fetch it; the file may ask for this time between two starts.
    Allowed(Option<Duration>),
    /// Do not fetch it.
    Disallowed,
    /// Not before this instant: the file could not be fetched, and is requested again then.
    NotBefore(Instant),
    /// The file is unreachable: the outcome of its request, and the detail.
    Unreachable(&'static str, String),
    /// The file has to be requested at this URL first.
    Ask(Url),
    /// The file is being requested.
    Asked,
}

/// What follows from a response.
#[derive(Debug)]
pub enum FollowUp {
    /// Request the file at this URL next.
    Ask(Url),
    /// An origin's file is known, or known to be missing.
    Ruled {
        /// The URL of the origin's file.
        url: Url,
        /// Its rules.
        robots: Robots,
        /// Its text if it was just fetched, to be stored for a day. Empty if the origin has no file.
        text: Option<Vec<u8>>,
        /// The pages that waited for it, with their domains. They are ruled by `robots`, since the cache may be too
        /// small to keep it.
        parked: Vec<(Domain, Leased)>,
    },
}

/// What a response says about a robots file.
#[derive(Clone)]
enum RobotsAnswer {
    /// The file, when it was fetched, and whether to save it in the frontier's store.
    File(RobotsFile, Instant, bool),
    None,
    NotHad(Unreachable),
}

/// RFC 9309 §2.3.1.2: crawlers should follow at least five consecutive redirects.
const MAX_HOPS: usize = 5;

/// The most files requested at once. Each first request takes a permit, so only redirects to a slow domain can
/// accumulate: beyond this a redirect counts as a failure and is retried later.
const MAX_PENDING: usize = 10_000;

impl RobotsFiles {
    /// Creates the state for a crawler whose product token is `token`.
    pub fn new(token: &str) -> Self {
        Self::with_cache(RobotsCache::new(token))
    }

    /// Like [`RobotsFiles::new`], with a cache of another size.
    pub(super) fn with_cache(cache: RobotsCache<Arc<str>>) -> Self {
        let (pending, awaited, parked, looked_for, elsewhere) = Default::default();
        Self { cache, pending, awaited, parked, looked_for, elsewhere, next_lease: 0, warnings: Warnings::default() }
    }

    /// Returns what the robots file means for `url`. After [`Ruling::Ask`] and [`Ruling::Asked`] the caller parks the
    /// page, and after the former it also requests the file. Every request for a file must be answered; for a lost one,
    /// with [`Outcome::Panic`].
    pub fn rule(&mut self, url: &Url, now: Instant) -> Ruling {
        if is_robots_file(url) {
            return Ruling::Allowed(None);
        }
        let origin = url.origin().ascii_serialization();
        if self.pending.contains_key(origin.as_str()) {
            return Ruling::Asked;
        }
        match self.cache.look(origin.as_str(), now) {
            Some(robots) => ruling(&robots, url),
            None => self.ask(url, origin.into()),
        }
    }

    /// Returns the robots file of a URL's origin if it is known.
    pub fn known(&mut self, url: &Url, now: Instant) -> Option<Robots> {
        self.cache.look(url.origin().ascii_serialization().as_str(), now)
    }

    fn ask(&mut self, url: &Url, origin: Arc<str>) -> Ruling {
        let file = robots_file_of(url);
        self.pending.insert(origin.clone(), PendingFile { path: vec![file.clone()], parked: Vec::new() });
        if self.wait_for(&file, origin) { Ruling::Ask(file) } else { Ruling::Asked }
    }

    /// Lets `origin` wait for the response from `url`; tells whether it is the first to do so.
    fn wait_for(&mut self, url: &Url, origin: Arc<str>) -> bool {
        match self.awaited.entry(url.clone()) {
            Entry::Occupied(mut others) => {
                others.get_mut().push(origin);
                false
            }
            Entry::Vacant(place) => {
                place.insert(vec![origin]);
                true
            }
        }
    }

    /// Creates the lease for a robots request. The request's kind distinguishes it from the frontier's leases.
    pub fn lease(&mut self, url: Url) -> Leased {
        self.next_lease += 1;
        Leased { id: LeaseId(self.next_lease), request: Arc::new(Request::robots_txt(url)), attempt: 1 }
    }

    /// Records that the frontier's store looks for a file before it is requested.
    pub fn look_for(&mut self, url: Url, ticket: Ticket) {
        self.looked_for.insert(ticket, url);
    }

    /// Handles what the store found: a file, and its age. An expired or missing one is requested.
    pub fn found(&mut self, ticket: Ticket, file: Option<(Bytes, Duration)>, now: Instant) -> Vec<FollowUp> {
        let Some(url) = self.looked_for.remove(&ticket) else { return Vec::new() };
        let file = file.filter(|(_, age)| *age < LIFETIME);
        let Some((text, since)) = file.and_then(|(text, age)| Some((text, now.checked_sub(age)?))) else {
            return vec![FollowUp::Ask(url)];
        };
        self.elsewhere.remove(&url);
        let said = RobotsAnswer::File(RobotsFile::read(&text, self.cache.token()), since, false);
        let origins = self.awaited.remove(&url).unwrap_or_default();
        origins.into_iter().filter_map(|origin| self.settle(origin, said.clone(), now)).collect()
    }

    /// Notes that a file of another process's domain is to be looked for in the store. Tells whether that is new: the
    /// second time it was not there.
    pub fn begin_elsewhere(&mut self, url: &Url) -> bool {
        let is_new = !self.elsewhere.remove(url);
        if is_new {
            self.elsewhere.insert(url.clone());
        }
        is_new
    }

    /// Tells whether any origin waits for the response from this URL.
    pub fn is_awaited(&self, url: &Url) -> bool {
        self.awaited.contains_key(url)
    }

    /// Keeps a page until its origin's file is known.
    pub fn park(&mut self, domain: &Domain, leased: Leased) {
        let origin = leased.request.url.origin().ascii_serialization();
        if let Some(pending) = self.pending.get_mut(origin.as_str()) {
            pending.parked.push((domain.clone(), leased));
            *self.parked.entry_ref(domain).or_default() += 1;
        }
    }

    /// Returns how many pages of a domain wait.
    pub fn parked(&self, domain: &Domain) -> usize {
        self.parked.get(domain).copied().unwrap_or(0)
    }

    /// Looks for a page of this origin that waits. Returns how many go before it.
    pub fn parked_before(&self, url: &Url, is_it: &dyn Fn(&Request) -> bool) -> Option<usize> {
        let pending = self.pending.get(url.origin().ascii_serialization().as_str())?;
        pending.parked.iter().position(|(_, leased)| is_it(&leased.request))
    }

    /// Takes the waiting pages of a domain.
    pub fn unpark(&mut self, domain: &Domain) -> Vec<Leased> {
        if self.parked.remove(domain).is_none() {
            return Vec::new();
        }
        let waiting = self
            .pending
            .values_mut()
            .flat_map(|pending| pending.parked.extract_if(.., |(parked, _)| parked == domain).collect::<Vec<_>>());
        waiting.map(|(_, leased)| leased).collect()
    }

    /// Takes all that wait but for files of items.
    pub fn unpark_pages(&mut self) -> Vec<Leased> {
        if self.parked.is_empty() {
            return Vec::new();
        }
        let (files, pages): (Vec<_>, Vec<_>) =
            self.unpark_all().into_iter().partition(|leased| leased.request.kind() == Kind::File);
        for leased in files {
            if let Some(domain) = leased.request.domain.clone() {
                self.park(&domain, leased);
            }
        }
        pages
    }

    /// Takes all waiting pages.
    pub fn unpark_all(&mut self) -> Vec<Leased> {
        if self.parked.is_empty() {
            return Vec::new();
        }
        self.parked.clear();
        self.pending.values_mut().flat_map(|pending| pending.parked.drain(..)).map(|(_, leased)| leased).collect()
    }

    /// Handles the end of a robots request, for every origin that waits for it.
    pub fn answered(
        &mut self,
        url: &Url,
        outcome: &Outcome,
        content: Extracted,
        accounts: &mut Accounts,
        now: Instant,
    ) -> Vec<FollowUp> {
        let Some(origins) = self.awaited.remove(url) else { return Vec::new() };
        let said = match (outcome, content) {
            (Outcome::Unsent | Outcome::Local(..), _) => {
                self.awaited.insert(url.clone(), origins);
                return vec![FollowUp::Ask(url.clone())];
            }
            (Outcome::Redirect { to, .. }, _) => {
                return origins.into_iter().filter_map(|origin| self.hop(origin, to, accounts, now)).collect();
            }
            (Outcome::Ok, Extracted::RobotsTxt(file)) => RobotsAnswer::File(file, now, true),
            (Outcome::Refused { status, retry_after }, _) => {
                RobotsAnswer::NotHad(Unreachable::refused(*status, *retry_after))
            }
            (Outcome::Status(status), _) => match Robots::from_status(*status, &[], "", now) {
                Robots::DenyAll { why, .. } => RobotsAnswer::NotHad(why),
                Robots::AllowAll | Robots::Rules(_) => RobotsAnswer::None,
            },
            (Outcome::Fetch(error), _) => RobotsAnswer::NotHad(why(error)),
            (other, _) => RobotsAnswer::NotHad(Unreachable::soon(other.key(), &other.detail())),
        };
        let end = if matches!(said, RobotsAnswer::NotHad(_)) { RobotsEnd::Unreachable } else { RobotsEnd::Fetched };
        accounts.note(&Event::RobotsFile { url, end });
        origins.into_iter().filter_map(|origin| self.settle(origin, said.clone(), now)).collect()
    }

    /// Follows a redirect of an origin's file.
    fn hop(&mut self, origin: Arc<str>, to: &Url, accounts: &mut Accounts, now: Instant) -> Option<FollowUp> {
        let mut to = to.clone();
        to.set_fragment(None);
        if self.pending.len() > MAX_PENDING {
            accounts.note(&Event::RobotsFile { url: &to, end: RobotsEnd::TooManyAtOnce });
            let why = Unreachable::soon("robots", "too many robots files are waited for at once");
            return self.settle(origin, RobotsAnswer::NotHad(why), now);
        }
        let path = &mut self.pending.get_mut(&origin)?.path;
        let is_http = matches!(to.scheme(), "http" | "https");
        if path.len() > MAX_HOPS || path.contains(&to) || !is_http {
            // RFC 9309 §2.3.1.2: the file then counts as missing, which allows everything.
            accounts.note(&Event::RobotsFile { url: &to, end: RobotsEnd::TooManyRedirects });
            return self.settle(origin, RobotsAnswer::None, now);
        }
        path.push(to.clone());
        self.wait_for(&to, origin).then_some(FollowUp::Ask(to))
    }

    /// Stores the result for an origin and releases its pages.
    fn settle(&mut self, origin: Arc<str>, said: RobotsAnswer, now: Instant) -> Option<FollowUp> {
        let pending = self.pending.remove(&origin)?;
        let mut text = None;
        let robots = match said {
            RobotsAnswer::File(file, since, is_new) => {
                self.cache.store_file(origin, &file, since);
                text = is_new.then(|| file.packed.text()).flatten();
                Robots::Rules(file.rules)
            }
            RobotsAnswer::None => {
                self.cache.store_none(origin, now);
                text = Some(Vec::new());
                Robots::AllowAll
            }
            RobotsAnswer::NotHad(why) => {
                let robots = self.cache.failed(origin.clone(), why, now);
                self.warn_of_wait(&origin, &robots, now);
                robots
            }
        };
        for (domain, _) in &pending.parked {
            if let Entry::Occupied(mut count) = self.parked.entry(domain.clone()) {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                }
            }
        }
        let url = pending.path.into_iter().next()?;
        Some(FollowUp::Ruled { url, robots, text, parked: pending.parked })
    }

    /// Warns that pages wait for an unreachable file: once for each reason, and then how many more there were.
    fn warn_of_wait(&mut self, origin: &str, robots: &Robots, now: Instant) {
        if let Robots::DenyAll { until, failures: 1, why } = robots
            && why.max_in_a_row > 1
            && let Some(unsaid) = self.warnings.note(why.outcome, now)
        {
            let wait = until.saturating_duration_since(now).as_secs_f64();
            let (detail, more) =
                (&why.detail, if unsaid > 0 { format!(" (and {unsaid} more like it)") } else { String::new() });
            tracing::warn!(
                "waiting for robots.txt of {origin}: could not be had ({detail}), asked again in {wait:.0} s{more}"
            );
        }
    }
}

/// Returns what a robots file means for `url`, whatever its age.
pub fn ruling(robots: &Robots, url: &Url) -> Ruling {
    match robots {
        Robots::AllowAll => Ruling::Allowed(None),
        Robots::Rules(rules) if rules.decide(url).is_allowed() => Ruling::Allowed(rules.spacing()),
        Robots::Rules(_) => Ruling::Disallowed,
        Robots::DenyAll { failures, why, .. } if *failures >= why.max_in_a_row => {
            Ruling::Unreachable(why.outcome, format!("robots.txt: {}", why.detail))
        }
        Robots::DenyAll { until, .. } => Ruling::NotBefore(*until),
    }
}

/// Returns the URL of the robots file for a URL's origin.
pub fn robots_file_of(url: &Url) -> Url {
    let mut file = url.clone();
    file.set_path("/robots.txt");
    file.set_query(None);
    file.set_fragment(None);
    // Fails only for URLs that cannot have credentials, which also have none to remove.
    let _ = file.set_username("").and_then(|()| file.set_password(None));
    file
}

fn why(error: &FetchError) -> Unreachable {
    let named = if error.is_transient() { Unreachable::soon } else { Unreachable::for_good };
    named(error.key(), &error.to_string())
}

#[cfg(test)]
mod tests;
