//! Candidate: a request with canonical URL and fingerprint, on its way to Admission. Knows no frontier.
//!
//! Candidates are made on the thread that parses the page, so that the scheduler has little to do for the many links
//! that were seen before.

use std::{cell::LazyCell, sync::Arc};

use super::seen_cache::SeenCache;
use crate::{
    identity::{Fingerprint, Identity},
    request::{Repeats, Request},
};

/// A request whose URL is canonical, with its fingerprint.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub(super) request: Request,
    pub(super) fingerprint: Fingerprint,
}

impl Candidate {
    /// Makes the URL of `request` canonical.
    pub fn new(mut request: Request, identity: &dyn Identity) -> Self {
        identity.canonicalize(&mut request.url);
        Self { fingerprint: fingerprint(&request, identity), request }
    }

    /// Makes candidates of the links on a page, one link deeper. Skips those in the cache: most links of most pages.
    pub fn found_on(page: &Request, mut links: Vec<Request>, identity: &dyn Identity, cache: &SeenCache) -> Vec<Self> {
        let make_canonical = |link: &mut Request| {
            identity.canonicalize(&mut link.url);
            (fingerprint(link, identity), link.dont_filter)
        };
        let fingerprints: Vec<_> = links.iter_mut().map(make_canonical).collect();
        // Looked up together: each reads a different place in memory, so the reads overlap.
        let is_brought = |(asked, dont_filter)| (dont_filter || !cache.holds(asked)).then_some(asked);
        let brought: Vec<_> = fingerprints.into_iter().map(is_brought).collect();
        let parent: LazyCell<Arc<str>, _> = LazyCell::new(|| page.url.as_str().into());
        let mut candidates = Vec::with_capacity(brought.iter().flatten().count());
        candidates.extend(links.into_iter().zip(brought).filter_map(|(mut request, fingerprint)| {
            let fingerprint = fingerprint?;
            request.depth = page.depth.saturating_add(1);
            request.parent = Some(parent.clone());
            request.redirected_from.clear();
            request.redirect_chain.clear();
            request.repeats = Repeats::default();
            Some(Self { request, fingerprint })
        }));
        candidates
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

/// Returns the fingerprint that an identity gives a request with a canonical URL.
pub fn fingerprint(request: &Request, identity: &dyn Identity) -> Fingerprint {
    identity.fingerprint(&request.method, &request.url, &request.body)
}
