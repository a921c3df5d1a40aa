//! Kept: answers that come from the shelf in place of the network, and those that go onto it.

use std::time::Duration;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{AUTHORIZATION, COOKIE, ETAG, LAST_MODIFIED},
};

use tokio::time::timeout;

use super::{Answer, Http, Manner, Sent, redirect};
use crate::{
    clock,
    identity::strip_user_info,
    outcome::{FetchError, Phase},
    permit::Permit,
    request::Request,
    transport::{
        body::Held,
        freshness::{Freshness, is_storable, judge},
        shelf::{Key, Purpose, Shelf, StoredAnswer},
    },
};

/// Headers with which a caller does a cache's work himself, or wants only a part.
const OF_A_CACHE: [&str; 6] =
    ["if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "range"];

impl Http {
    /// Sends a request unless the shelf has its answer; a permit that is not needed leaves its place to the next.
    pub(super) async fn send_or_recall(&self, permit: Permit, request: &Request, manner: Manner) -> Sent {
        let Some(store) = self.transport.shelf() else { return self.send_within(permit, request, manner, &[]).await };
        match store.purpose() {
            Purpose::Replay => {
                drop(permit);
                let stored = self.recall(store, Key::new(request, b""), request).await;
                recalled(
                    stored.and_then(|stored| stored.map(Answer::recalled).ok_or_else(|| not_recorded(request, store))),
                )
            }
            Purpose::Record => {
                let sent = self.send_within(permit, request, manner, &[]).await;
                if let Ok(answer) = &sent.answer
                    && sent.heeded.is_none()
                {
                    store.write(Key::new(request, b""), answer.stored(request, Vec::new())).await;
                }
                sent
            }
            // A robots file is asked for by every crawl: to find its page in a cache would make it old unseen.
            Purpose::Cache if manner.extent.takes_part || !is_plain(request) => {
                self.send_within(permit, request, manner, &[]).await
            }
            Purpose::Cache => self.send_or_revalidate(permit, request, manner, store).await,
        }
    }

    async fn send_or_revalidate(&self, permit: Permit, request: &Request, manner: Manner, store: &Shelf) -> Sent {
        let key = Key::new(request, &self.who_asks(request));
        let asked = self.asked(request);
        let conditions = match self.recall(store, key, request).await {
            Err(error) => return recalled(Err(error)),
            Ok(None) => Vec::new(),
            Ok(Some(kept)) => match judge(&kept.0, &asked, clock::wall()) {
                Freshness::Fresh => {
                    drop(permit);
                    return recalled(Ok(Answer::recalled(kept)));
                }
                // What is kept goes back until the server has spoken: who waits for memory must hold none.
                Freshness::Stale(conditions) => conditions,
            },
        };
        let mut sent = self.send_within(permit, request, manner, &conditions).await;
        let Ok(answer) = &mut sent.answer else { return sent };
        if answer.status == 304 && !conditions.is_empty() {
            match self.recall(store, key, request).await {
                Err(error) => return Sent { answer: Err(Some(error)), ..sent },
                Ok(Some((mut kept, held))) if is_the_same(&kept, &answer.headers) => {
                    kept.renew(&answer.headers, answer.fetched_at);
                    store.write(key, kept.clone()).await;
                    let Answer { elapsed, received, .. } = *answer;
                    *answer = Answer { elapsed, received, ..Answer::recalled((kept, held)) };
                    return sent;
                }
                Ok(_) => {}
            }
        }
        let stored = answer.stored(request, asked);
        if sent.heeded.is_none() && is_storable(&stored) {
            store.write(key, stored).await;
        }
        sent
    }

    /// Takes an answer out. It may wait for memory no longer than one from the network.
    async fn recall(
        &self,
        store: &Shelf,
        key: Key,
        request: &Request,
    ) -> Result<Option<(StoredAnswer, Held)>, FetchError> {
        let limit = self.transport.whole_deadline();
        let url = url_of(request);
        let read = store.read(key, &url, self.transport.bodies());
        timeout(limit, read).await.map_err(|_| FetchError::Timeout { phase: Phase::Whole, limit })
    }

    /// What tells a server who asks: the answers that one identity gets are no other's.
    fn who_asks(&self, request: &Request) -> Vec<u8> {
        let ours = self.transport.identity(request, None).map(|(name, value)| (name.to_string(), value));
        let own = request.headers.iter().filter(|(name, _)| tells_who(name));
        let own = own.filter_map(|(name, value)| Some((name.to_ascii_lowercase(), HeaderValue::from_str(value).ok()?)));
        ours.chain(own).flat_map(|(name, value)| [name.as_bytes(), b"\n", value.as_bytes(), b"\n"].concat()).collect()
    }

    /// The headers that an answer may vary by.
    fn asked(&self, request: &Request) -> Vec<(String, String)> {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let usual = self.usual.iter().map(|(name, value)| (name.to_string(), text(value)));
        let own = request.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
        let mut asked: Vec<_> =
            usual.filter(|(name, _)| request.headers.iter().all(|(own, _)| !own.eq_ignore_ascii_case(name))).collect();
        asked.extend(own.filter(|(name, _)| !tells_who(name)));
        asked
    }
}

impl Answer {
    fn recalled((stored, held): (StoredAnswer, Held)) -> Self {
        let StoredAnswer { status, headers, fetched_at, body, .. } = stored;
        Self { status, headers, fetched_at, elapsed: Duration::ZERO, received: 0, body, held }
    }

    fn stored(&self, request: &Request, asked: Vec<(String, String)>) -> StoredAnswer {
        let body = if redirect::target(self.status, &self.headers, &request.url).is_some() {
            // It may have been cut, and nobody reads it.
            Bytes::new()
        } else {
            self.body.clone()
        };
        let Self { status, headers, fetched_at, .. } = self;
        let (url, headers) = (url_of(request), headers.clone());
        StoredAnswer { url, asked, status: *status, headers, fetched_at: *fetched_at, body }
    }
}

fn not_recorded(request: &Request, store: &Shelf) -> FetchError {
    let (method, url, dir) = (&request.method, url_of(request), store.dir().display());
    FetchError::NotRecorded(format!("{method} {url} is not in the recording {dir}; record it with the network"))
}

fn recalled(answer: Result<Answer, FetchError>) -> Sent {
    let (waited, elapsed) = (Duration::ZERO, Duration::ZERO);
    Sent { answer: answer.map_err(Some), started: None, waited, elapsed, heeded: None }
}

/// Passwords are not written to disk.
fn url_of(request: &Request) -> String {
    let mut url = request.url.clone();
    strip_user_info(&mut url);
    url.into()
}

fn is_plain(request: &Request) -> bool {
    let is_of_a_cache = |name: &str| OF_A_CACHE.iter().any(|header| name.eq_ignore_ascii_case(header));
    request.method == Method::GET
        && request.body.is_empty()
        && !request.headers.iter().any(|(name, _)| is_of_a_cache(name))
}

fn tells_who(name: &str) -> bool {
    [AUTHORIZATION, COOKIE].iter().any(|header| name.eq_ignore_ascii_case(header.as_str()))
}

/// Tells whether "not modified" speaks of what is kept (RFC 9111 §4.3.4). One that names nothing speaks of what was
/// asked for.
fn is_the_same(stored: &StoredAnswer, headers: &HeaderMap) -> bool {
    let bare = |value: &HeaderValue| value.as_bytes().strip_prefix(b"W/").unwrap_or(value.as_bytes()).to_vec();
    let same = |name: HeaderName| {
        headers.get(&name).map(|value| stored.headers.get(&name).is_some_and(|kept| bare(kept) == bare(value)))
    };
    same(ETAG).or_else(|| same(LAST_MODIFIED)).unwrap_or(true)
}
