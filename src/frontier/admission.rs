//! Admission: the one door into the frontier. Canonical URL → seen → scope → traps → queued.

use std::time::Instant;

use hashbrown::HashMap;
use url::Url;

use super::{Frontier, Offered};
use crate::{
    domain::{Domain, DomainKey},
    outcome::DropReason,
    request::{CanonicalUrl, Fingerprint, Request},
    scope::{Boundary, Scope},
};

/// A request whose URL is canonical, with its fingerprint. It is made where the page is parsed, so that the
/// scheduler's thread has little to do for the many links that were seen before.
#[derive(Clone, Debug)]
pub struct Candidate {
    request: Request,
    fingerprint: Fingerprint,
}

impl Candidate {
    /// Makes the URL of `request` canonical.
    pub fn new(mut request: Request, canonical: &CanonicalUrl) -> Self {
        canonical.apply(&mut request.url);
        Self { fingerprint: request.fingerprint(), request }
    }

    /// Returns the request.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Returns the fingerprint.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
}

/// Decides who comes in, and says why not.
pub struct Admission {
    boundary: Boundary,
    key: DomainKey,
    /// What was dropped, so that a link that stands on every page is dropped once.
    dropped: HashMap<Fingerprint, DropReason>,
    queries: HashMap<u64, u32>,
    most_queued: u64,
}

/// What the door answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// It waits in this domain's queue. `again` tells what it was dropped for before.
    Queued {
        /// The domain.
        domain: Domain,
        /// An earlier drop that this undoes.
        again: Option<DropReason>,
    },
    /// It was queued or dropped before.
    AlreadySeen,
    /// It stays outside.
    Dropped(DropReason),
}

/// What was dropped is remembered for this many URLs (24 MB); beyond, a repeated drop is counted again.
const MOST_DROPS_REMEMBERED: usize = 1_000_000;

/// The paths whose queries are counted, at most (16 MB); beyond, paths that come new are not guarded.
const MOST_PATHS_COUNTED: usize = 1_000_000;

impl Admission {
    /// Creates the door of a scope; at most `most_queued` requests wait behind it.
    pub fn new(scope: Scope, key: DomainKey, most_queued: u64) -> Self {
        Self { boundary: Boundary::new(scope), key, dropped: HashMap::new(), queries: HashMap::new(), most_queued }
    }

    /// Takes the host of a seed, or of a seed's redirect, into the scope.
    pub fn include(&mut self, seed: &Url) {
        self.boundary.include(seed);
    }

    /// Returns the domain of a URL.
    pub fn domain(&self, url: &Url) -> Domain {
        self.key.domain(url)
    }

    /// Lets a candidate in, or says why not.
    pub fn admit(&mut self, frontier: &mut dyn Frontier, candidate: Candidate, now: Instant) -> Admitted {
        let Candidate { request, fingerprint } = candidate;
        if !request.dont_filter && frontier.has_seen(&fingerprint, now) {
            return Admitted::AlreadySeen;
        }
        let before = self.dropped.get(&fingerprint).copied();
        // A shorter way to a page makes up for a drop by depth; no other drop changes its mind.
        if before.is_some_and(|reason| reason != DropReason::Depth) {
            return Admitted::AlreadySeen;
        }
        let domain = self.key.domain(&request.url);
        if let Err(reason) = self.check(&*frontier, &request) {
            if before.is_some() {
                return Admitted::AlreadySeen;
            }
            if self.dropped.len() < MOST_DROPS_REMEMBERED {
                self.dropped.insert(fingerprint, reason);
            }
            return Admitted::Dropped(reason);
        }
        self.dropped.remove(&fingerprint);
        match frontier.offer(&domain, fingerprint, request, now) {
            Offered::Queued => Admitted::Queued { domain, again: before },
            Offered::AlreadySeen => Admitted::AlreadySeen,
        }
    }

    fn check(&mut self, frontier: &dyn Frontier, request: &Request) -> Result<(), DropReason> {
        self.boundary.check(request)?;
        self.check_queries(&request.url)?;
        if frontier.queued() >= self.most_queued {
            return Err(DropReason::QueueFull);
        }
        Ok(())
    }

    fn check_queries(&mut self, url: &Url) -> Result<(), DropReason> {
        if url.query().is_none() {
            return Ok(());
        }
        let path = url.as_str().split('?').next().unwrap_or_default();
        let path = xxhash_rust::xxh3::xxh3_64(path.as_bytes());
        if self.queries.len() >= MOST_PATHS_COUNTED && !self.queries.contains_key(&path) {
            return Ok(());
        }
        let queries = self.queries.entry(path).or_default();
        if *queries >= self.boundary.scope().traps.max_queries_per_path {
            return Err(DropReason::TrapQueries);
        }
        *queries += 1;
        Ok(())
    }
}
