//! Candidate: a request with canonical URL and fingerprint, on its way to Admission. Knows no frontier.
//!
//! Candidates are made on the thread that parses the page, so that the scheduler has little to do for the many links
//! that were seen before.

use std::{cell::LazyCell, sync::Arc, time::Duration};

use http::Method;

use super::seen_cache::SeenCache;
use crate::{
    identity::{Fingerprint, Identity},
    order::Ranking,
    request::{Kind, Request, SubmissionId},
    sessions::is_pooled,
};

/// A request whose URL is canonical, with its fingerprint.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub(super) request: Request,
    pub(super) fingerprint: Fingerprint,
    /// For how long the page is known to be unchanged, from the sitemap that lists it.
    pub(super) unchanged_for: Option<Duration>,
}

impl Candidate {
    /// Makes the URL of `request` canonical.
    pub fn new(mut request: Request, identity: &dyn Identity) -> Self {
        // The URL of a file may be signed as it stands.
        if request.kind() != Kind::File {
            identity.canonicalize(&mut request.url);
        }
        Self { fingerprint: fingerprint(&request, identity), request, unchanged_for: None }
    }

    /// Makes a candidate of a request that was one on another machine, with its fingerprint.
    pub fn sent(request: Request, fingerprint: Fingerprint) -> Self {
        Self { request, fingerprint, unchanged_for: None }
    }

    /// Sets who waits for it.
    #[must_use]
    pub(crate) fn submitted_as(mut self, id: SubmissionId) -> Self {
        self.request.submit_as(id);
        self
    }

    /// Makes candidates of the pages that a sitemap lists, each with the time for which it is known to be unchanged.
    pub fn listed_in(
        sitemap: &Request,
        pages: Vec<(Request, Option<Duration>)>,
        identity: &dyn Identity,
        cache: &SeenCache,
        ranking: &Ranking,
    ) -> Vec<Self> {
        let parent: Arc<str> = sitemap.url.as_str().into();
        let listed = pages.into_iter().map(|(mut request, unchanged_for)| {
            request.depth = sitemap.depth.saturating_add(1);
            request.parent = Some(parent.clone());
            Self { unchanged_for, ..Self::new(request, identity) }
        });
        let is_brought = |listed: &Self| listed.request.dont_filter || !cache.holds(listed.fingerprint);
        let mut brought: Vec<_> = listed.filter(is_brought).collect();
        for listed in &mut brought {
            ranking.rank(&mut listed.request);
        }
        brought
    }

    /// Makes candidates of the links on a page, one link deeper; what was asked for by HEAD, and is asked for in
    /// another way then, is where it was. Skips those in the cache: most links of most pages.
    pub fn found_on(
        page: &Request,
        mut links: Vec<Request>,
        identity: &dyn Identity,
        cache: &SeenCache,
        ranking: &Ranking,
    ) -> Vec<Self> {
        let make_canonical = |link: &mut Request| {
            identity.canonicalize(&mut link.url);
            (fingerprint(link, identity), link.dont_filter)
        };
        let fingerprints: Vec<_> = links.iter_mut().map(make_canonical).collect();
        // Looked up together: each reads a different place in memory, so the reads overlap.
        let is_brought = |(asked, dont_filter)| (dont_filter || !cache.holds(asked)).then_some(asked);
        let brought: Vec<_> = fingerprints.into_iter().map(is_brought).collect();
        let parent: LazyCell<Arc<str>, _> = LazyCell::new(|| page.url.as_str().into());
        // The sessions of a pool take turns.
        let session = page.rare.as_ref().and_then(|rare| rare.session.clone()).filter(|name| !is_pooled(name));
        let mut candidates = Vec::with_capacity(brought.iter().flatten().count());
        candidates.extend(links.into_iter().zip(brought).filter_map(|(mut request, fingerprint)| {
            let fingerprint = fingerprint?;
            let is_again = page.method == Method::HEAD && request.url == page.url;
            request.depth = if is_again { page.depth } else { page.depth.saturating_add(1) };
            request.parent = if is_again { page.parent.clone() } else { Some(parent.clone()) };
            request.begins_anew(session.as_ref());
            ranking.rank(&mut request);
            Some(Self { request, fingerprint, unchanged_for: None })
        }));
        candidates
    }

    /// Returns the request.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Returns the request alone.
    pub fn into_request(self) -> Request {
        self.request
    }

    /// Returns the fingerprint.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
}

/// Makes candidates of seeds.
#[derive(Clone)]
pub struct SeedMaker {
    pub identity: Arc<dyn Identity>,
    pub ranking: Ranking,
}

impl SeedMaker {
    /// Makes a candidate of a seed. Runs code of a user's own.
    pub fn candidate(&self, seed: Request) -> Candidate {
        let mut made = Candidate::new(seed, &*self.identity);
        self.ranking.rank(&mut made.request);
        made
    }
}

/// Returns the fingerprint that an identity gives a request with a canonical URL. A sitemap is not the page of the same
/// URL: a site may redirect its sitemap to its home page, which is still to be crawled.
pub fn fingerprint(request: &Request, identity: &dyn Identity) -> Fingerprint {
    let fingerprint = identity.fingerprint(&request.method, &request.url, &request.body);
    if matches!(request.kind(), Kind::Sitemap(_) | Kind::File) { fingerprint.of_another_kind() } else { fingerprint }
}
