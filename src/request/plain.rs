//! Plain: a request that has nothing but its URL and its place, as nearly all have, in less than half the memory. Knows
//! no queue.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::Method;
use url::Url;

use super::{Kind, Request};
use crate::{domain::Domain, identity::strip_user_info};

/// A GET request for a page with nothing of its own, while it waits. Its domain is that of its queue.
#[derive(Clone)]
pub(crate) struct Plain {
    pub(super) url: Url,
    pub(super) parent: Option<Arc<str>>,
    pub(super) rank: Option<i32>,
    pub(super) priority: i32,
    pub(super) depth: u32,
}

/// Tells whether a request has no more than a [`Plain`] one, beside its domain.
pub(super) fn is_plain(request: &Request) -> bool {
    // Every field is named, so that a new one cannot be forgotten here.
    let Request {
        url: _,
        method,
        headers,
        body,
        priority: _,
        depth: _,
        parent: _,
        rare,
        keeps_redirects,
        dont_filter,
        proxy,
        rank: _,
        domain: _,
        kind,
        state,
    } = request;
    let is_get_of_page = *method == Method::GET && *kind == Kind::Page && body.is_empty();
    let has_more = !headers.is_empty() || rare.is_some() || proxy.is_some() || state.is_some();
    is_get_of_page && !has_more && !keeps_redirects && !dont_filter
}

impl Plain {
    /// Takes a request of this domain.
    ///
    /// # Errors
    /// It has more, or another domain.
    #[allow(clippy::result_large_err, reason = "it is given back as it came")]
    pub fn of(request: Request, domain: &Domain) -> Result<Self, Request> {
        if !is_plain(&request) || request.domain.as_ref() != Some(domain) {
            return Err(request);
        }
        let Request { url, parent, rank, priority, depth, .. } = request;
        Ok(Self { url, parent, rank, priority, depth })
    }

    /// Returns the request.
    pub fn into_request(self, domain: Domain) -> Request {
        let Self { url, parent, rank, priority, depth } = self;
        Request {
            url,
            method: Method::GET,
            headers: Vec::new(),
            body: Bytes::new(),
            priority,
            depth,
            parent,
            rare: None,
            keeps_redirects: false,
            dont_filter: false,
            proxy: None,
            rank,
            domain: Some(domain),
            kind: Kind::Page,
            state: None,
        }
    }

    /// As [`Request::rank`].
    pub fn rank(&self) -> i32 {
        self.rank.unwrap_or(self.priority)
    }

    /// As [`Request::size`].
    pub fn size(&self) -> u64 {
        let parent = self.parent.as_ref().map_or(0, |parent| parent.len());
        (size_of::<Self>() + self.url.as_str().len() + parent) as u64
    }
}

/// Formats it without a password in its URL.
impl fmt::Debug for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut url = self.url.clone();
        strip_user_info(&mut url);
        f.debug_tuple("Plain").field(&url.as_str()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(request: &Request) -> String {
        serde_json::to_string(request).unwrap()
    }

    #[test]
    fn a_plain_request_is_small_and_comes_back_as_it_was() {
        assert!(2 * size_of::<Plain>() < size_of::<Request>(), "{} {}", size_of::<Plain>(), size_of::<Request>());
        let domain = Domain::new("e.org");
        let mut request = Request::parse("http://www.e.org/a?b").unwrap().priority(3);
        (request.depth, request.parent, request.rank) = (7, Some("http://e.org/".into()), Some(-2));
        request.domain = Some(domain.clone());
        let plain = Plain::of(request.clone(), &domain).unwrap();
        assert_eq!(plain.rank(), request.rank());
        let back = plain.into_request(domain.clone());
        assert_eq!((text(&back), &back.domain), (text(&request), &Some(domain)));
    }

    #[test]
    fn what_is_shown_of_it_has_no_password() {
        let domain = Domain::new("e.org");
        let request = Request { domain: Some(domain.clone()), ..Request::parse("http://me:hidden@e.org/").unwrap() };
        let shown = format!("{:?}", Plain::of(request, &domain).unwrap());
        assert!(shown.contains("http://e.org/") && !shown.contains("hidden"), "{shown}");
    }

    #[test]
    fn a_request_with_anything_of_its_own_is_none() {
        let domain = Domain::new("e.org");
        let page = || {
            let mut page = Request::parse("http://e.org/").unwrap();
            page.domain = Some(domain.clone());
            page
        };
        assert!(Plain::of(page(), &domain).is_ok());
        let with_domain = |other: Request| Request { domain: Some(domain.clone()), ..other };
        let url = || page().url;
        let others = [
            with_domain(Request::post(url(), "")),
            with_domain(Request::robots_txt(url())),
            with_domain(Request::file(url())),
            Request { body: "x".into(), ..page() },
            Request { domain: None, ..page() },
            Request { domain: Some(Domain::new("other.org")), ..page() },
            page().header("x", "y"),
            page().dont_filter(),
            page().no_redirects(),
            page().via("direct"),
            page().session("alice"),
            page().with_state(&7).unwrap(),
        ];
        for other in others {
            let before = text(&other);
            assert_eq!(Plain::of(other, &domain).map_err(|other| text(&other)).unwrap_err(), before);
        }
    }
}
