//! Candidate: a request on its way to Admission, canonical and with its fingerprint. Knows no frontier.
//!
//! Candidates are made where a page is parsed, so that the scheduler's thread has little to do for the many links that
//! were seen before.

use std::{cell::LazyCell, sync::Arc};

use super::seen_cache::SeenCache;
use crate::{
    identity::{Fingerprint, Identity},
    request::Request,
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

    /// Makes candidates of what is followed from a page, one link further. Leaves out those whose answer is cached: most
    /// links of most pages.
    pub fn found_on(page: &Request, mut links: Vec<Request>, identity: &dyn Identity, cache: &SeenCache) -> Vec<Self> {
        let make_canonical = |link: &mut Request| {
            identity.canonicalize(&mut link.url);
            (fingerprint(link, identity), link.dont_filter)
        };
        let fingerprints: Vec<_> = links.iter_mut().map(make_canonical).collect();
        // Asked in one go: each reads another place in memory, and so the reads overlap.
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

/// Returns the fingerprint that an identity gives a request whose URL is canonical.
pub fn fingerprint(request: &Request, identity: &dyn Identity) -> Fingerprint {
    identity.fingerprint(&request.method, &request.url, &request.body)
}
