//! RobotsDesk: which origins' robots files are known, asked for or wanting, and the pages that wait for them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use hashbrown::HashMap;
use url::Url;

use crate::{
    domain::Domain,
    fetcher::{RobotsAnswer, RobotsResult},
    frontier::Leased,
    outcome::FetchError,
    robots::{Look, Robots, RobotsCache},
    stats::Stats,
};

/// Robots files are per origin (scheme, host and port, RFC 9309 §2.3), permits per domain: the desk stands between.
pub struct RobotsDesk {
    token: String,
    cache: RobotsCache<Arc<str>>,
    /// Origins whose file is being asked for.
    pending: HashMap<Arc<str>, Pending>,
    /// Where an answer that is awaited belongs: a redirect leads to other URLs than the origin's own.
    awaited: HashMap<Url, Arc<str>>,
    /// Origins whose file could not be had lately, and how often in a row.
    failures: HashMap<Arc<str>, Failure>,
    parked: HashMap<Domain, usize>,
}

struct Pending {
    /// The URL of the origin's own file.
    url: Url,
    hops: u32,
    parked: Vec<(Domain, Leased)>,
}

struct Failure {
    in_a_row: u32,
    outcome: &'static str,
    detail: String,
}

/// What a robots file means for one URL.
#[derive(Debug)]
pub enum Ruling {
    /// It may be fetched.
    Allowed,
    /// It may not.
    Disallowed,
    /// Not before this: the file could not be had, and is asked for again then.
    NotBefore(Instant),
    /// Never: the file could not be had again and again. What its own requests ended in, and the detail.
    Unreachable(&'static str, String),
    /// The file has to be asked for here first.
    Ask(Url),
    /// The file is being asked for.
    Asked,
}

/// What follows from an answer.
pub enum Verdict {
    /// The file is to be asked for here next.
    Hop(Url),
    /// The origin's file is known, or known to be wanting.
    Ruled {
        /// The URL of the origin's file.
        url: Url,
        /// The least time between two starts that it asks for.
        spacing: Option<Duration>,
        /// The pages that waited for it.
        parked: Vec<Leased>,
    },
}

/// RFC 9309 §2.3.1.2: at least five consecutive redirects are followed.
const MOST_HOPS: u32 = 5;

/// After so many failures in a row to get a robots file, with the waits between them, the pages of its origin fail
/// rather than wait for ever.
const PATIENCE: u32 = 3;

impl RobotsDesk {
    /// Creates the desk of a crawler whose product token is `token`.
    pub fn new(token: &str) -> Self {
        Self {
            token: token.to_owned(),
            cache: RobotsCache::default(),
            pending: HashMap::new(),
            awaited: HashMap::new(),
            failures: HashMap::new(),
            parked: HashMap::new(),
        }
    }

    /// Tells what the robots file means for `url`.
    pub fn rule(&mut self, url: &Url, now: Instant) -> Ruling {
        let origin: Arc<str> = url.origin().ascii_serialization().into();
        if self.pending.contains_key(&origin) {
            return Ruling::Asked;
        }
        match self.cache.look(&origin, now) {
            Look::Known(Robots::AllowAll) => Ruling::Allowed,
            Look::Known(Robots::Rules(rules)) if rules.decide(url).is_allowed() => Ruling::Allowed,
            Look::Known(Robots::Rules(_)) => Ruling::Disallowed,
            Look::Known(Robots::DenyAll { until, .. }) => match self.failures.get(&origin) {
                Some(failure) if failure.in_a_row >= PATIENCE => {
                    Ruling::Unreachable(failure.outcome, format!("robots.txt: {}", failure.detail))
                }
                _ => Ruling::NotBefore(*until),
            },
            Look::Fetching => Ruling::Asked,
            Look::Missing => self.ask(url, origin),
        }
    }

    fn ask(&mut self, url: &Url, origin: Arc<str>) -> Ruling {
        let mut robots = url.clone();
        robots.set_path("/robots.txt");
        robots.set_query(None);
        robots.set_fragment(None);
        self.cache.fetching(origin.clone());
        self.awaited.insert(robots.clone(), origin.clone());
        self.pending.insert(origin, Pending { url: robots.clone(), hops: 0, parked: Vec::new() });
        Ruling::Ask(robots)
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

    /// Takes all pages out that wait.
    pub fn unpark_all(&mut self) -> Vec<Leased> {
        self.parked.clear();
        self.pending.values_mut().flat_map(|pending| pending.parked.drain(..)).map(|(_, leased)| leased).collect()
    }

    /// Takes in an answer.
    pub fn answered(&mut self, answer: RobotsAnswer, stats: &mut Stats, now: Instant) -> Verdict {
        let url = answer.url;
        let origin = self.awaited.remove(&url).unwrap_or_else(|| url.origin().ascii_serialization().into());
        if let RobotsResult::Redirect(to) = answer.result {
            return self.hop(origin, url, to, stats, now);
        }
        let robots = match &answer.result {
            RobotsResult::Body(status, body) => {
                stats.count(&format!("robots/status/{status}"));
                Robots::from_status(*status, body, &self.token, now)
            }
            RobotsResult::Failed(error) => self.unreachable(&origin, error, stats, now),
            RobotsResult::Redirect(_) | RobotsResult::Unsent => Robots::AllowAll,
        };
        match (&robots, &answer.result) {
            (Robots::DenyAll { .. }, RobotsResult::Body(status, _)) => {
                self.count_failure(&origin, "robots", format!("status {status}"));
            }
            (Robots::DenyAll { .. }, _) => {}
            _ => {
                self.failures.remove(&origin);
            }
        }
        self.settle(&origin, url, robots, stats, now)
    }

    fn hop(&mut self, origin: Arc<str>, from: Url, to: Url, stats: &mut Stats, now: Instant) -> Verdict {
        let hops = self.pending.get_mut(&origin).map_or(MOST_HOPS, |pending| {
            pending.hops += 1;
            pending.hops
        });
        let is_http = matches!(to.scheme(), "http" | "https");
        if hops > MOST_HOPS || !is_http || self.awaited.contains_key(&to) || to == from {
            // RFC 9309 §2.3.1.2: beyond five hops the file counts as unavailable, which allows.
            stats.count("robots/too_many_redirects");
            return self.settle(&origin, from, Robots::AllowAll, stats, now);
        }
        stats.count("robots/redirect");
        self.awaited.insert(to.clone(), origin);
        Verdict::Hop(to)
    }

    fn unreachable(&mut self, origin: &Arc<str>, error: &FetchError, stats: &mut Stats, now: Instant) -> Robots {
        stats.count(&format!("robots/{}", error.key()));
        let failures = self.count_failure(origin, error.key(), error.to_string());
        Robots::unreachable(now, failures)
    }

    fn count_failure(&mut self, origin: &Arc<str>, outcome: &'static str, detail: String) -> u32 {
        let in_a_row = self.failures.get(origin).map_or(0, |failure| failure.in_a_row) + 1;
        self.failures.insert(origin.clone(), Failure { in_a_row, outcome, detail });
        in_a_row
    }

    fn settle(&mut self, origin: &Arc<str>, url: Url, robots: Robots, stats: &mut Stats, now: Instant) -> Verdict {
        stats.count("robots/fetched");
        let spacing = match &robots {
            Robots::Rules(rules) => rules.spacing(),
            _ => None,
        };
        self.cache.store(origin.clone(), robots, now);
        let (url, parked) = match self.pending.remove(origin) {
            Some(pending) => (pending.url, pending.parked),
            None => (url, Vec::new()),
        };
        for (domain, _) in &parked {
            if let Some(count) = self.parked.get_mut(domain) {
                *count = count.saturating_sub(1);
            }
        }
        self.parked.retain(|_, count| *count > 0);
        Verdict::Ruled { url, spacing, parked: parked.into_iter().map(|(_, leased)| leased).collect() }
    }

    /// Says in a few words what is known of an origin's file, for the summary.
    pub fn summary(&mut self, url: &Url, now: Instant) -> Option<String> {
        let origin: Arc<str> = url.origin().ascii_serialization().into();
        match self.cache.look(&origin, now) {
            Look::Known(Robots::AllowAll) => Some("none".to_owned()),
            Look::Known(Robots::Rules(rules)) => Some(match rules.spacing() {
                Some(spacing) => format!("rules, {} between starts", humantime::format_duration(spacing)),
                None => "rules".to_owned(),
            }),
            Look::Known(Robots::DenyAll { .. }) => Some("could not be had".to_owned()),
            Look::Missing | Look::Fetching => None,
        }
    }
}
