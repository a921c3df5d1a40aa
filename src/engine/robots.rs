//! RobotsDesk: which origins' robots files are known, asked for or wanting, and the pages that wait for them. Knows no
//! permits and no network.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use hashbrown::{HashMap, hash_map::Entry};
use url::Url;

use super::warnings::Warnings;
use crate::{
    domain::Domain,
    fetcher::{RobotsAnswer, RobotsResult},
    frontier::Leased,
    outcome::FetchError,
    robots::{Robots, RobotsCache, Unreachable, is_robots_file},
    stats::Stats,
};

/// Robots files are per origin (scheme, host and port, RFC 9309 §2.3), permits per domain: the desk stands between.
pub struct RobotsDesk {
    token: String,
    cache: RobotsCache<Arc<str>>,
    /// Origins whose file is being asked for.
    pending: HashMap<Arc<str>, Pending>,
    /// Who waits for the answer from where. A redirect leads to other URLs than the origin's own, and several origins
    /// may be led to the same one: it is asked for once.
    awaited: HashMap<Url, Vec<Arc<str>>>,
    /// How many pages of each domain wait.
    parked: HashMap<Domain, usize>,
    warnings: Warnings,
}

struct Pending {
    /// Where the file was asked for: the origin's own place, then the hops from there.
    path: Vec<Url>,
    parked: Vec<(Domain, Leased)>,
}

/// What a robots file means for one URL.
#[derive(Debug, PartialEq)]
pub enum Ruling {
    /// It may be fetched, with at least this time between two starts if the file asks for one.
    Allowed(Option<Duration>),
    /// It may not.
    Disallowed,
    /// Not before this: the file could not be had, and is asked for again then.
    NotBefore(Instant),
    /// The file cannot be had. What the question for it ended in, and the detail.
    Unreachable(&'static str, String),
    /// The file has to be asked for here first.
    Ask(Url),
    /// The file is being asked for.
    Asked,
}

/// What follows from an answer.
#[derive(Debug)]
pub enum Verdict {
    /// The file is to be asked for here next.
    Ask(Url),
    /// An origin's file is known, or known to be wanting.
    Ruled {
        /// The URL of the origin's file.
        url: Url,
        /// What it means.
        robots: Option<Robots>,
        /// The pages that waited for it, with their domains.
        parked: Vec<(Domain, Leased)>,
    },
}

/// RFC 9309 §2.3.1.2: at least five consecutive redirects are followed.
const MAX_HOPS: usize = 5;

/// The most origins whose files are asked for at once. Each first question takes a permit, so only redirects to a slow
/// domain can pile up: beyond this a redirect counts as a failure, to be tried again later.
const MAX_PENDING: usize = 10_000;

impl RobotsDesk {
    /// Creates the desk of a crawler whose product token is `token`.
    pub fn new(token: &str) -> Self {
        Self {
            token: token.to_owned(),
            cache: RobotsCache::default(),
            pending: HashMap::new(),
            awaited: HashMap::new(),
            parked: HashMap::new(),
            warnings: Warnings::default(),
        }
    }

    /// Tells what the robots file means for `url`. After [`Ruling::Ask`] and [`Ruling::Asked`] the page is to be
    /// parked, and after the former the file to be asked for; each question must be answered, be it with
    /// [`RobotsResult::Lost`].
    pub fn rule(&mut self, url: &Url, now: Instant) -> Ruling {
        if is_robots_file(url) {
            return Ruling::Allowed(None);
        }
        let origin: Arc<str> = url.origin().ascii_serialization().into();
        if self.pending.contains_key(&origin) {
            return Ruling::Asked;
        }
        match self.cache.look(&origin, now) {
            Some(Robots::AllowAll) => Ruling::Allowed(None),
            Some(Robots::Rules(rules)) if rules.decide(url).is_allowed() => Ruling::Allowed(rules.spacing()),
            Some(Robots::Rules(_)) => Ruling::Disallowed,
            Some(Robots::DenyAll { failures, why, .. }) if *failures >= why.patience => {
                Ruling::Unreachable(why.outcome, format!("robots.txt: {}", why.detail))
            }
            Some(Robots::DenyAll { until, .. }) => Ruling::NotBefore(*until),
            None => self.ask(url, origin),
        }
    }

    fn ask(&mut self, url: &Url, origin: Arc<str>) -> Ruling {
        let file = robots_file_of(url);
        self.pending.insert(origin.clone(), Pending { path: vec![file.clone()], parked: Vec::new() });
        if self.wait_for(&file, origin) { Ruling::Ask(file) } else { Ruling::Asked }
    }

    /// Lets `origin` wait for the answer from `url`; tells whether it is the first to do so.
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

    /// Tells whether requests wait for a robots file.
    pub fn has_parked(&self) -> bool {
        !self.parked.is_empty()
    }

    /// Takes in an answer, which is news for every origin that waits for it.
    pub fn answered(&mut self, answer: RobotsAnswer, stats: &mut Stats, now: Instant) -> Vec<Verdict> {
        let Some(origins) = self.awaited.remove(&answer.url) else { return Vec::new() };
        let robots = match answer.result {
            RobotsResult::Unsent => {
                self.awaited.insert(answer.url.clone(), origins);
                return vec![Verdict::Ask(answer.url)];
            }
            RobotsResult::Redirect(to) => {
                stats.count("robots/redirect");
                return origins.into_iter().filter_map(|origin| self.hop(origin, &to, stats, now)).collect();
            }
            RobotsResult::Body(code, body) => {
                stats.count(&format!("robots/status/{code}"));
                match answer.heeded {
                    // Whatever its status means else: the server asks to be left alone for now.
                    Some(_) => Robots::unreachable(now, 1, Unreachable::status(code)),
                    None => Robots::from_status(code, &body, &self.token, now),
                }
            }
            RobotsResult::Failed(error) => {
                stats.count(&format!("robots/{}", error.key()));
                Robots::unreachable(now, 1, why(&error))
            }
            RobotsResult::Lost => {
                stats.count("robots/panic");
                Robots::unreachable(now, 1, Unreachable::soon("panic", "the fetcher panicked over it"))
            }
        };
        let is_had = !matches!(robots, Robots::DenyAll { .. });
        stats.count(if is_had { "robots/fetched" } else { "robots/unreachable" });
        origins.into_iter().filter_map(|origin| self.settle(&origin, robots.clone(), now)).collect()
    }

    /// Leads an origin on to where its file is said to be.
    fn hop(&mut self, origin: Arc<str>, to: &Url, stats: &mut Stats, now: Instant) -> Option<Verdict> {
        let mut to = to.clone();
        to.set_fragment(None);
        if self.pending.len() > MAX_PENDING {
            stats.count("robots/too_many_at_once");
            let why = Unreachable::soon("robots", "too many robots files are waited for at once");
            return self.settle(&origin, Robots::unreachable(now, 1, why), now);
        }
        let path = &mut self.pending.get_mut(&origin)?.path;
        let is_http = matches!(to.scheme(), "http" | "https");
        if path.len() > MAX_HOPS || path.contains(&to) || !is_http {
            // RFC 9309 §2.3.1.2: then the file counts as one that is not there, which allows.
            stats.count("robots/too_many_redirects");
            return self.settle(&origin, Robots::AllowAll, now);
        }
        path.push(to.clone());
        self.wait_for(&to, origin).then_some(Verdict::Ask(to))
    }

    /// Takes in what the file of an origin means, and lets its pages go on.
    fn settle(&mut self, origin: &Arc<str>, robots: Robots, now: Instant) -> Option<Verdict> {
        let pending = self.pending.remove(origin)?;
        match robots {
            Robots::DenyAll { why, .. } => self.cache.failed(origin.clone(), why, now),
            robots => self.cache.store(origin.clone(), robots, now),
        }
        let robots = self.cache.look(origin, now);
        if let Some(Robots::DenyAll { until, failures: 1, why }) = robots
            && why.patience > 1
        {
            let wait = until.saturating_duration_since(now).as_secs_f64();
            let detail = &why.detail;
            if let Some(unsaid) = self.warnings.note(why.outcome, now) {
                let more = if unsaid > 0 { format!(" (and {unsaid} more like it)") } else { String::new() };
                tracing::warn!(
                    "waiting for robots.txt of {origin}: could not be had ({detail}), asked again in {wait:.0} s{more}"
                );
            }
        }
        let robots = robots.cloned();
        for (domain, _) in &pending.parked {
            if let Entry::Occupied(mut count) = self.parked.entry(domain.clone()) {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                }
            }
        }
        let url = pending.path.into_iter().next()?;
        Some(Verdict::Ruled { url, robots, parked: pending.parked })
    }
}

/// The place of the robots file of a URL's origin.
fn robots_file_of(url: &Url) -> Url {
    let mut file = url.clone();
    file.set_path("/robots.txt");
    file.set_query(None);
    file.set_fragment(None);
    // The answers to these are errors for URLs without a host, which have neither.
    let _ = file.set_username("").and_then(|()| file.set_password(None));
    file
}

fn why(error: &FetchError) -> Unreachable {
    let named = if error.is_transient() { Unreachable::soon } else { Unreachable::for_good };
    named(error.key(), &error.to_string())
}

#[cfg(test)]
mod tests;
