//! Redirect: makes the next request from a redirect response. Knows no network.

use std::{borrow::Cow, sync::Arc, time::Duration};

use http::{HeaderMap, Method, header::LOCATION};
use url::Url;

use crate::{
    extract::resolve,
    frontier::candidate::fingerprint,
    headers::origin_header::belongs_to_origin,
    identity::{Identity, strip_user_info},
    outcome::Outcome,
    request::{Kind, Request},
};

/// The most redirects in a row: what browsers follow (Fetch standard, "HTTP-redirect fetch", step 7) and Scrapy too. A
/// site that sets a cookie with each step needs some.
const MAX_HOPS: usize = 20;

/// The longest delay of a refresh that counts as a redirect. Pages that announce a redirect wait for 0 to 5 s, and
/// Nutch has the same limit. With a longer delay the page is meant to be read: it reloads itself, or shows the next
/// slide. Its target is then a link.
pub const MAX_REFRESH_DELAY: Duration = Duration::from_secs(5);

/// What the settings say of redirects.
#[derive(Clone, Debug)]
pub struct RedirectRules {
    /// Names of headers that stay with their origin, beside those that look like secrets.
    pub secret_headers: Arc<[String]>,
    /// Whether a page with a short refresh is a redirect.
    pub follows_refresh: bool,
}

/// Returns the target of a redirect response; `None` if it is none.
pub fn target(status: u16, headers: &HeaderMap, url: &Url) -> Option<Url> {
    if !matches!(status, 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = as_text(headers.get(LOCATION)?.as_bytes());
    let mut to = resolve(url, location.trim()).ok()?;
    strip_user_info(&mut to);
    Some(to)
}

/// Decodes a `Location`. Servers send raw UTF-8 in it, and browsers accept that. Other bytes are percent-encoded one by
/// one, so that the request names exactly what the server named.
fn as_text(location: &[u8]) -> Cow<'_, str> {
    let encode = |byte: &u8| if byte.is_ascii() { char::from(*byte).to_string() } else { format!("%{byte:02X}") };
    str::from_utf8(location).map_or_else(|_| location.iter().map(encode).collect(), Cow::Borrowed)
}

/// Where an answer sends us, and by what.
#[derive(Clone, Copy, Debug)]
pub struct Hop<'a> {
    /// The status of the response; a page with a refresh has one of success.
    pub status: u16,
    /// Where to.
    pub to: &'a Url,
    /// Whether the answer changed the cookies that are sent.
    pub cookies_changed: bool,
    /// The session of the pool that it was asked for in, if it was: the next request prefers it, whose cookies it may
    /// need.
    pub pooled: Option<&'a str>,
}

/// Why a redirect is not followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotFollowed {
    /// It leads back, and the same answer would come again.
    LeadsBack {
        /// The status of the answer.
        status: u16,
        /// Where to.
        to: Url,
    },
    /// It is one too many in a row.
    TooMany,
}

impl From<NotFollowed> for Outcome {
    fn from(why: NotFollowed) -> Self {
        Self::RedirectLoop(match why {
            NotFollowed::LeadsBack { status, to } => format!("{status} leads back to {to}"),
            NotFollowed::TooMany => format!("over {MAX_HOPS} redirects in a row"),
        })
    }
}

/// Returns the request that follows a redirect. It needs a permit of its own. Headers of the names `secrets`, whatever
/// their case, stay with their origin as those do that look like secrets.
///
/// A redirect to an earlier URL of its chain is a loop, unless cookies have changed since. Then the same request may
/// get another response, so it is made once more, with `dont_filter`; curl, wget and browsers do so too.
///
/// # Errors
/// It leads back, or has gone on for too long.
pub fn follow(
    request: &Request,
    hop: Hop<'_>,
    identity: &dyn Identity,
    secrets: &[String],
) -> Result<Request, NotFollowed> {
    let Hop { status, to, cookies_changed, pooled } = hop;
    let mut next = request.clone();
    next.url = to.clone();
    if request.kind() != Kind::File {
        identity.canonicalize(&mut next.url);
    }
    if becomes_get(status, &request.method) {
        next.method = Method::GET;
        next.body.clear();
        next.headers.retain(|(name, _)| !name.to_ascii_lowercase().starts_with("content-"));
    }
    if next.url.origin() != request.url.origin() {
        let is_named = |name: &str| secrets.iter().any(|secret| secret.eq_ignore_ascii_case(name));
        next.headers.retain(|(name, _)| !belongs_to_origin(name) && !is_named(name));
    }
    let from: Arc<str> = request.url.as_str().into();
    next.parent = Some(from.clone());
    let asked = fingerprint(&next, identity);
    let redirects = next.rare.get_or_insert_default();
    redirects.visited = None;
    if let Some(pooled) = pooled {
        redirects.session = Some(pooled.into());
    }
    redirects.from.push(fingerprint(request, identity));
    redirects.urls.push(from);
    if redirects.from.len() > MAX_HOPS {
        return Err(NotFollowed::TooMany);
    }
    if std::mem::take(&mut redirects.repeats.is_repeat) {
        next.dont_filter = false;
    }
    if cookies_changed {
        redirects.repeats.allowed = redirects.from.len();
    }
    if let Some(before) = redirects.from.iter().rposition(|before| *before == asked) {
        if before >= redirects.repeats.allowed {
            return Err(NotFollowed::LeadsBack { status, to: next.url });
        }
        redirects.repeats.is_repeat = !next.dont_filter;
        next.dont_filter = true;
    }
    Ok(next)
}

/// Tells whether the method becomes GET (RFC 9110 §15.4): always after 303 (except HEAD), and after 301 and 302 if it
/// was POST, as in browsers. A page that sends its readers on does so with GET.
fn becomes_get(status: u16, method: &Method) -> bool {
    (matches!(status, 200..300 | 303) && *method != Method::HEAD)
        || (matches!(status, 301 | 302) && *method == Method::POST)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::identity::CanonicalUrl;

    fn go(request: &Request, status: u16, to: &str) -> Result<Request, NotFollowed> {
        hop(request, status, to, false)
    }

    fn hop(request: &Request, status: u16, to: &str, cookies_changed: bool) -> Result<Request, NotFollowed> {
        let to = &request.url.join(to).unwrap();
        follow(request, Hop { status, to, cookies_changed, pooled: None }, &CanonicalUrl::default(), &[])
    }

    #[test]
    fn a_target_is_relative_to_the_page() {
        let url = Url::parse("https://e.org/a/b").unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(LOCATION, "../c?x#y".parse().unwrap());
        assert_eq!(target(301, &headers, &url).unwrap().as_str(), "https://e.org/c?x#y");
        assert_eq!(target(200, &headers, &url), None);
        headers.insert(LOCATION, "///other.org/x".parse().unwrap());
        assert_eq!(target(302, &headers, &url).unwrap().as_str(), "https://other.org/x", "URL standard: extra slashes");
        headers.insert(LOCATION, "https://me:pw@e.org/".parse().unwrap());
        assert_eq!(target(301, &headers, &url).unwrap().as_str(), "https://e.org/", "passwords are not theirs to give");
        assert_eq!(target(302, &HeaderMap::new(), &url), None, "no Location, no redirect");
        for (location, to) in [(b"/caf\xe9?\xff".as_slice(), "caf%E9?%FF"), ("/café".as_bytes(), "caf%C3%A9")] {
            headers.insert(LOCATION, HeaderValue::from_bytes(location).unwrap());
            assert_eq!(target(301, &headers, &url).unwrap().as_str(), format!("https://e.org/{to}"));
        }
    }

    #[test]
    fn a_loop_of_any_length_and_a_chain_that_goes_on_are_named() {
        let request = Request::parse("https://e.org/a").unwrap();
        assert!(matches!(go(&request, 302, "/a#top"), Err(NotFollowed::LeadsBack { .. })));
        let there = go(&request, 302, "/b").unwrap();
        assert!(matches!(go(&there, 302, "/a"), Err(NotFollowed::LeadsBack { .. })));
        let mut hop = request;
        for n in 0..MAX_HOPS {
            hop = go(&hop, 301, &format!("/{n}")).unwrap();
        }
        assert_eq!(go(&hop, 301, "/one-more").unwrap_err(), NotFollowed::TooMany);
    }

    #[test]
    fn a_chain_may_come_back_where_cookies_have_changed_since() {
        let page = Request::parse("https://e.org/page").unwrap();
        let again = hop(&page, 302, "/page", true).unwrap();
        assert!(again.dont_filter, "it was seen");
        assert!(go(&again, 302, "/page").is_err(), "nothing has changed since");
        let login = go(&again, 302, "/login").unwrap();
        assert!(!login.dont_filter, "only the repeat asks for that");
        assert!(go(&login, 302, "/page").is_err());
        let set = hop(&login, 302, "/set", true).unwrap();
        let back = go(&set, 302, "/page").unwrap();
        assert!(back.dont_filter);
        assert!(go(&back, 302, "/login").unwrap().dont_filter, "it was asked for with the old cookies");
        assert!(go(&back, 302, "/set").is_err(), "it was asked for with the new ones");
        assert!(go(&back, 302, "/page").is_err());
        let own = hop(&page.clone().dont_filter(), 302, "/page", true).unwrap();
        assert!(go(&own, 302, "/other").unwrap().dont_filter, "the caller's own wish goes along");
        let mut wall = page;
        let hops = std::iter::from_fn(|| {
            wall = hop(&wall, 302, "/page", true).ok()?;
            Some(())
        });
        assert_eq!(hops.count(), MAX_HOPS);
    }

    #[test]
    fn credentials_do_not_cross_origins() {
        let request = Request::parse("https://e.org/").unwrap();
        let request = request.header("Authorization", "Bearer x").header("Cookie", "a=b").header("X-Other", "kept");
        assert_eq!(go(&request, 302, "/in").unwrap().headers.len(), 3);
        let elsewhere = go(&request, 302, "https://other.org/").unwrap();
        assert_eq!(elsewhere.headers, [("X-Other".to_owned(), "kept".to_owned())]);
        assert_eq!(go(&request, 302, "http://e.org/").unwrap().headers.len(), 1, "another scheme is another origin");
        for secret in [
            "X-Api-Key",
            "x_api_key",
            "X-Auth-Token",
            "Session-Id",
            "X-Amz-Security-Token",
            "Client-Secret",
            "Ocp-Apim-Subscription-Key",
            "DD-APPLICATION-KEY",
            "X-JWT-Assertion",
            "X-XSRF",
            // Coinbase, OKX, KuCoin, Kraken, Gemini, Bitfinex
            "CB-ACCESS-SIGN",
            "CB-ACCESS-PASSPHRASE",
            "OK-ACCESS-PASSPHRASE",
            "KC-API-SIGN",
            "API-Sign",
            "X-GEMINI-SIGNATURE",
            "bfx-apikey",
            // Bunny, OVH, lnd, Cloudflare, Shopify, Binance
            "AccessKey",
            "X-Ovh-Consumer",
            "Grpc-Metadata-Macaroon",
            "CF-Access-Client-Secret",
            "X-Shopify-Hmac-Sha256",
            "X-MBX-APIKEY",
            // RFC 9449, WS-Security, a second factor
            "DPoP",
            "X-WSSE",
            "X-TOTP",
            "hmac",
            "X-Passphrase",
        ] {
            let request = Request::parse("https://e.org/").unwrap().header(secret, "x");
            assert_eq!(go(&request, 302, "/in").unwrap().headers.len(), 1, "{secret}");
            assert_eq!(go(&request, 302, "https://other.org/").unwrap().headers, [], "{secret}");
        }
        let request = Request::parse("https://e.org/").unwrap().header("X-Tenant", "x");
        let to = Url::parse("https://other.org/").unwrap();
        let hop = Hop { status: 302, to: &to, cookies_changed: false, pooled: None };
        let next = follow(&request, hop, &CanonicalUrl::default(), &["x-tenant".to_owned()]);
        assert_eq!(next.unwrap().headers, [], "what the user names");
        let virtual_host = Request::parse("https://e.org/").unwrap().header("Host", "mine.test");
        assert_eq!(go(&virtual_host, 302, "/in").unwrap().headers.len(), 1);
        assert_eq!(go(&virtual_host, 302, "https://e.org:8443/").unwrap().headers, []);
        for plain in [
            "Accept",
            "Referer",
            "X-Requested-With",
            "Author",
            "X-Keyword",
            "Pinned",
            "X-Design",
            "X-Compass",
            "X-Bypass-Cache",
            "X-Signal",
            "Consent",
            "CB-ACCESS-TIMESTAMP",
        ] {
            let request = Request::parse("https://e.org/").unwrap().header(plain, "x");
            assert_eq!(go(&request, 302, "https://other.org/").unwrap().headers.len(), 1, "{plain}");
        }
    }

    #[test]
    fn a_post_becomes_a_get_only_where_the_status_says_so() {
        let post = Request::post(Url::parse("https://e.org/form").unwrap(), "a=b").header("content-type", "x");
        for (status, method) in [
            (301, Method::GET),
            (302, Method::GET),
            (303, Method::GET),
            (307, Method::POST),
            (308, Method::POST),
            (200, Method::GET),
        ] {
            let next = go(&post, status, "/next").unwrap();
            assert_eq!(next.method, method, "{status}");
            assert_eq!(next.body.is_empty(), method == Method::GET);
        }
    }
}
