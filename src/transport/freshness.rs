//! Freshness: whether a stored response may be used for a request (RFC 9111). Knows no disk and no network.
//!
//! The crate `http-cache-semantics` decides. Response headers are not taken from it, because it keeps only one of
//! several headers with the same name.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::SystemTime,
};

use http::{HeaderName, HeaderValue};
use http_cache_semantics::{BeforeRequest, CacheOptions, CachePolicy};

use super::stored_response::StoredResponse;
use crate::error::Result;

/// How a stored response may be used.
#[derive(Debug, PartialEq, Eq)]
pub enum Freshness {
    /// It may be used without asking the server.
    Fresh,
    /// The server must be asked, with these conditional headers; none if the stored response has no validator.
    Stale(Vec<(HeaderName, HeaderValue)>),
}

/// Tells whether this build has a cache.
///
/// # Errors
/// Never: this build has one.
#[allow(clippy::unnecessary_wraps, reason = "a build without a cache refuses")]
pub fn check() -> Result<()> {
    Ok(())
}

/// Tells whether a response may be stored.
pub fn is_storable(answer: &StoredResponse) -> bool {
    guarded(|| policy(answer).is_some_and(|policy| policy.is_storable())).unwrap_or(false)
}

/// Judges a stored response for a request with the headers `asked`.
pub fn judge(stored: &StoredResponse, asked: &[(String, String)], now: SystemTime) -> Freshness {
    let judged = guarded(|| Some(policy(stored)?.before_request(&question(&stored.url, asked)?, now)));
    match judged.flatten() {
        Some(BeforeRequest::Fresh(_)) => Freshness::Fresh,
        Some(BeforeRequest::Stale { request, matches: true }) => {
            let condition = |name: HeaderName| {
                let value = request.headers.get(name.as_str())?;
                Some((name, HeaderValue::from_bytes(value.as_bytes()).ok()?))
            };
            let conditions = [http::header::IF_NONE_MATCH, http::header::IF_MODIFIED_SINCE];
            Freshness::Stale(conditions.into_iter().filter_map(condition).collect())
        }
        Some(BeforeRequest::Stale { matches: false, .. }) | None => Freshness::Stale(Vec::new()),
    }
}

/// Runs the other crate's code on a server's headers. A panic counts as no stored response.
fn guarded<T>(read: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(read)).ok()
}

fn policy(stored: &StoredResponse) -> Option<CachePolicy> {
    let mut response = http1::Response::builder().status(stored.status).body(()).ok()?;
    for (name, value) in &stored.headers {
        let name: http1::HeaderName = name.as_str().parse().ok()?;
        response.headers_mut().append(name, http1::HeaderValue::from_bytes(value.as_bytes()).ok()?);
    }
    let options = CacheOptions {
        // A private cache: each identity has responses of its own.
        shared: false,
        // No heuristic freshness from a page's age: it would hide changes, and revalidation is cheap.
        cache_heuristic: 0.0,
        ..CacheOptions::default()
    };
    let asked = question(&stored.url, &stored.asked)?;
    Some(CachePolicy::new_options(&asked, &response, stored.fetched_at, options))
}

fn question(url: &str, asked: &[(String, String)]) -> Option<http1::Request<()>> {
    let mut question = http1::Request::get(url.split('#').next()?).body(()).ok()?;
    for (name, value) in asked {
        let name: http1::HeaderName = name.parse().ok()?;
        question.headers_mut().append(name, value.parse().ok()?);
    }
    Some(question)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn stored(headers: &[(&'static str, &'static str)]) -> StoredResponse {
        let headers = headers
            .iter()
            .map(|&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let (url, asked) = ("https://e.org/".to_owned(), vec![("accept".to_owned(), "text/html".to_owned())]);
        let fetched_at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        StoredResponse { url, asked, status: 200, headers, fetched_at, body: "x".into() }
    }

    fn after(seconds: u64, headers: &[(&'static str, &'static str)], accept: &str) -> Freshness {
        let stored = stored(headers);
        let now = stored.fetched_at + Duration::from_secs(seconds);
        judge(&stored, &[("accept".to_owned(), accept.to_owned())], now)
    }

    fn stale(conditions: &[(&'static str, &'static str)]) -> Freshness {
        let condition = |&(name, value): &_| (HeaderName::from_static(name), HeaderValue::from_static(value));
        Freshness::Stale(conditions.iter().map(condition).collect())
    }

    #[test]
    fn what_its_server_calls_fresh_is_and_later_it_is_asked_for_by_its_tag() {
        let headers = [("cache-control", "max-age=60"), ("etag", "\"v1\"")];
        assert_eq!(after(59, &headers, "text/html"), Freshness::Fresh);
        assert_eq!(after(61, &headers, "text/html"), stale(&[("if-none-match", "\"v1\"")]));
    }

    #[test]
    fn without_a_word_about_freshness_the_server_is_asked() {
        let modified = "Tue, 14 Nov 2000 00:00:00 GMT";
        assert_eq!(after(1, &[("last-modified", modified)], "text/html"), stale(&[("if-modified-since", modified)]));
        assert_eq!(after(1, &[], "text/html"), stale(&[]));
    }

    #[test]
    fn an_answer_that_varies_is_no_answer_to_another_question() {
        let headers = [("cache-control", "max-age=60"), ("vary", "Accept"), ("etag", "\"v1\"")];
        assert_eq!(after(1, &headers, "text/html"), Freshness::Fresh);
        assert_eq!(after(1, &headers, "*/*"), stale(&[]));
    }

    #[test]
    fn what_must_not_be_kept_is_not() {
        assert!(is_storable(&stored(&[("etag", "\"v1\"")])));
        assert!(is_storable(&stored(&[("cache-control", "private, max-age=9")])), "a crawl is one user");
        assert!(!is_storable(&stored(&[("cache-control", "no-store")])));
    }

    #[test]
    fn hostile_headers_are_survived() {
        for value in ["max-age=99999999999999999999", "max-age=18446744073709551615", "max-age=-1", "=,\"", "\u{7f}"] {
            let Ok(value) = HeaderValue::from_str(value) else { continue };
            for name in ["cache-control", "age", "date", "expires", "vary", "pragma"] {
                let mut stored = stored(&[("etag", "\"v1\"")]);
                stored.headers.insert(HeaderName::from_static(name), value.clone());
                let now = stored.fetched_at + Duration::from_secs(1);
                judge(&stored, &[], now);
            }
        }
    }
}
