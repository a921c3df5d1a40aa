//! HttpCache: caches responses by RFC 9111. A fresh response is answered from the store; a stale one, and one that is
//! asked for again, is revalidated with the server. What a request may have changed is removed.

use std::time::Duration;

use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{CACHE_CONTROL, CONTENT_LOCATION, ETAG, HOST, LAST_MODIFIED, LOCATION},
};
use url::Url;

use super::{record::stored, replay::read};
use crate::{
    clock,
    fetcher::{
        fetch::{Fetch, FetchContext, FetchResult, Fetching, NoResponse},
        http::default_headers,
    },
    headers::origin_header::belongs_to_origin,
    outcome::Outcome,
    permit::Permit,
    request::{Kind, Request},
    sessions::Session,
    stats::count::Count,
    transport::{
        SharedTransport,
        freshness::{Freshness, is_storable, judge},
        response_store::{ResponseStore, StoreKey},
        stored_response::StoredResponse,
    },
};

/// Request headers with which the caller does its own caching, or requests a part of a body.
const CACHE_HEADERS: [&str; 6] =
    ["if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "range"];

/// Answers from a store where RFC 9111 allows it.
pub struct HttpCache {
    inner: Box<dyn Fetch>,
    store: ResponseStore,
    transport: SharedTransport,
    /// Default headers, which a response may vary by unless the request sets them.
    defaults: [(HeaderName, HeaderValue); 3],
}

impl HttpCache {
    /// Caches the responses of `inner`.
    pub fn new(
        inner: Box<dyn Fetch>,
        store: ResponseStore,
        transport: SharedTransport,
        user_agent: HeaderValue,
    ) -> Self {
        Self { inner, store, transport, defaults: default_headers(user_agent) }
    }

    async fn answer(&self, permit: Permit, request: &Request, context: FetchContext<'_>) -> FetchResult {
        let Some(who) = self.identity(request, context.session) else {
            return self.inner.fetch(permit, request, context).await;
        };
        let key = StoreKey::new(request, &who);
        let asked = self.asked(request);
        let mut question = asked.clone();
        if context.attempt > 1 {
            // Whoever asks again wants another answer than the stored one, which only the server has.
            question.push((CACHE_CONTROL.to_string(), "no-cache".to_owned()));
        }
        let conditions = match read(&self.store, key, request, &self.transport).await {
            Err(error) => return FetchResult::offline(Err(NoResponse::Failed(error))),
            Ok(None) => Vec::new(),
            Ok(Some((kept, reservation))) => match judge(&kept, &question, clock::wall()) {
                Freshness::Fresh => {
                    drop(permit);
                    return FetchResult::offline(Ok(kept.into_raw(reservation)));
                }
                // The stored response is dropped before the server is asked. A request that waits for the memory of its
                // response must not hold memory itself, or two requests could wait for each other.
                Freshness::Stale(conditions) => conditions,
            },
        };
        let mut result = if conditions.is_empty() {
            self.inner.fetch(permit, request, context).await
        } else {
            self.inner.fetch(permit, &with_conditions(request, &conditions), context).await
        };
        let Ok(response) = &mut result.response else { return result };
        if response.status == 304 && !conditions.is_empty() {
            match read(&self.store, key, request, &self.transport).await {
                Err(error) => {
                    result.response = Err(NoResponse::Failed(error));
                    return result;
                }
                Ok(Some((mut kept, reservation))) if is_the_same(&kept, &response.headers) => {
                    kept.renew(&response.headers, response.fetched_at);
                    if !self.store.write(key, kept.clone()).await {
                        result.counts.push(Count::NotCached);
                    }
                    result.receipt.status = Some(kept.status);
                    *response = kept.into_raw(reservation);
                    return result;
                }
                // The stored response was evicted or replaced after the server was asked. The next attempt finds none,
                // and asks for the whole response.
                Ok(other) => {
                    drop(other);
                    self.store.remove(key).await;
                    let why = "its cached response is gone".to_owned();
                    let again = Outcome::Retry { by: "cache", why, after: Duration::ZERO };
                    result.response = Err(NoResponse::Ended(again.into()));
                    return result;
                }
            }
        }
        // Of a sitemap that is too long, a part is read.
        let is_whole = !response.is_cut;
        let stored = stored(response, request, asked);
        if is_whole && result.cooled.is_none() && is_storable(&stored) && !self.store.write(key, stored).await {
            result.counts.push(Count::NotCached);
        }
        result
    }

    /// Sends a request that may change what is cached, and removes what it has changed (RFC 9111 §4.4).
    async fn change(&self, permit: Permit, request: &Request, context: FetchContext<'_>) -> FetchResult {
        // A form's own secrets, such as a token against forgery, are not those of the page.
        let headers = [request.headers.clone(), Vec::new()];
        let keys_of = |url: &Url| {
            headers.each_ref().map(|headers| {
                let mut page = Request::get(url.clone());
                page.url.set_fragment(None);
                (page.headers, page.proxy) = (headers.clone(), request.proxy.clone());
                Some(StoreKey::new(&page, &self.identity(&page, context.session)?))
            })
        };
        // Before it is sent: it may change who we are, too.
        let own = keys_of(&request.url);
        let result = self.inner.fetch(permit, request, context).await;
        let Ok(response) = &result.response else { return result };
        if (200..400).contains(&response.status) {
            let named = [LOCATION, CONTENT_LOCATION].map(|name| {
                let url = request.url.join(response.headers.get(name)?.to_str().ok()?).ok()?;
                Some(url).filter(|url| url.origin() == request.url.origin())
            });
            let named = named.iter().flatten().flat_map(keys_of);
            for key in own.into_iter().chain(named).flatten() {
                self.store.remove(key).await;
            }
        }
        result
    }

    /// Returns the headers that identify us to the server: each identity has cached responses of its own. `None` if
    /// they depend on the proxy that the request will take.
    fn identity(&self, request: &Request, session: Option<&Session>) -> Option<Vec<u8>> {
        let ours = self.transport.one_identity(request, session)?;
        let ours = ours.into_iter().map(|(name, value)| (name.to_string(), value));
        let own = request.headers.iter().filter(|(name, _)| self.is_identity(name));
        let own = own.filter_map(|(name, value)| Some((name.to_ascii_lowercase(), HeaderValue::from_str(value).ok()?)));
        let of_one = |(name, value): (String, HeaderValue)| [name.as_bytes(), b"\n", value.as_bytes(), b"\n"].concat();
        Some(ours.chain(own).flat_map(of_one).collect())
    }

    /// Returns the headers that a response may vary by.
    fn asked(&self, request: &Request) -> Vec<(String, String)> {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let defaults = self.defaults.iter().map(|(name, value)| (name.to_string(), text(value)));
        let own = request.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
        let mut asked: Vec<_> = defaults
            .filter(|(name, _)| request.headers.iter().all(|(own, _)| !own.eq_ignore_ascii_case(name)))
            .collect();
        asked.extend(own.filter(|(name, _)| !self.is_identity(name)));
        asked
    }

    /// Tells whether a header says who asks: it is a secret, which belongs to one origin. `Host` names what is asked.
    fn is_identity(&self, name: &str) -> bool {
        let is_named = || self.transport.secret_headers().iter().any(|secret| secret.eq_ignore_ascii_case(name));
        !name.eq_ignore_ascii_case(HOST.as_str()) && (belongs_to_origin(name) || is_named())
    }
}

impl Fetch for HttpCache {
    fn fetch<'a>(&'a self, permit: Permit, request: &'a Request, context: FetchContext<'a>) -> Fetching<'a> {
        if !request.method.is_safe() {
            return Box::pin(self.change(permit, request, context));
        }
        // Each crawl fetches robots files itself: a cached one could be out of date unnoticed. Files of items have an
        // index of their own.
        let is_cached = request.kind() != Kind::RobotsTxt && context.stream.is_none() && is_plain(request);
        if !is_cached {
            return self.inner.fetch(permit, request, context);
        }
        Box::pin(self.answer(permit, request, context))
    }
}

fn with_conditions(request: &Request, conditions: &[(HeaderName, HeaderValue)]) -> Request {
    let mut request = request.clone();
    for (name, value) in conditions {
        // The value is the server's and may be any bytes. If it is not text it is omitted, and the server sends the
        // whole response.
        if let Ok(value) = value.to_str() {
            request = request.header(name.as_str(), value);
        }
    }
    request
}

fn is_plain(request: &Request) -> bool {
    let is_cache_header = |name: &str| CACHE_HEADERS.iter().any(|header| name.eq_ignore_ascii_case(header));
    request.method == Method::GET
        && request.body.is_empty()
        && !request.headers.iter().any(|(name, _)| is_cache_header(name))
}

/// Tells whether a "304 Not Modified" refers to the stored response (RFC 9111 §4.3.4). Without a validator it refers to
/// the one that was asked about.
fn is_the_same(stored: &StoredResponse, headers: &HeaderMap) -> bool {
    let bare = |value: &HeaderValue| value.as_bytes().strip_prefix(b"W/").unwrap_or(value.as_bytes()).to_vec();
    let same = |name: HeaderName| {
        headers.get(&name).map(|value| stored.headers.get(&name).is_some_and(|kept| bare(kept) == bare(value)))
    };
    same(ETAG).or_else(|| same(LAST_MODIFIED)).unwrap_or(true)
}
