//! Redirect: from a response that redirects to the request that follows it. Does not know the network.

use std::{borrow::Cow, sync::Arc};

use http::{HeaderMap, Method, header::LOCATION};
use url::Url;

use crate::{
    extract::resolve,
    frontier::candidate::fingerprint,
    identity::{Identity, strip_user_info},
    outcome::Outcome,
    request::Request,
};

/// The most redirects in a row. Browsers follow 20, and curl's documentation calls 10 sensible.
const MAX_HOPS: usize = 10;

/// Words in the names of headers that open an origin to whoever sends them.
const SECRET_WORDS: [&str; 12] = [
    "auth",
    "cookie",
    "token",
    "secret",
    "api-key",
    "apikey",
    "access-key",
    "session",
    "password",
    "passwd",
    "credential",
    "signature",
];

/// Tells whether a header belongs to one origin, so that it never follows a redirect to another (RFC 9110 §15.4): those
/// of HTTP itself (`Authorization`, `Cookie`, `Proxy-Authorization`), and those whose name looks like a secret
/// (`X-Api-Key`, `X-Auth-Token`, `X-CSRF-Token`, …).
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('_', "-");
    // `:authority` and the like are no headers that a request can have; `Author` says who wrote it.
    name != "author" && SECRET_WORDS.iter().any(|word| name.contains(word))
}

/// Returns the target of a response that redirects; `None` if it does not.
pub fn target(status: u16, headers: &HeaderMap, url: &Url) -> Option<Url> {
    if !matches!(status, 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = as_text(headers.get(LOCATION)?.as_bytes());
    let mut to = resolve(url, location.trim()).ok()?;
    strip_user_info(&mut to);
    Some(to)
}

/// Reads a `Location`. Servers send raw UTF-8 in it, and browsers read it as such. Other bytes are percent-encoded one by
/// one, so that the request asks for exactly what the server named.
fn as_text(location: &[u8]) -> Cow<'_, str> {
    let encode = |byte: &u8| if byte.is_ascii() { char::from(*byte).to_string() } else { format!("%{byte:02X}") };
    str::from_utf8(location).map_or_else(|_| location.iter().map(encode).collect(), Cow::Borrowed)
}

/// Returns the request that follows a redirect. It needs a permit of its own.
///
/// # Errors
/// [`Outcome::RedirectLoop`] where it leads back or has gone on for too long.
pub fn follow(request: &Request, status: u16, to: &Url, identity: &dyn Identity) -> Result<Request, Outcome> {
    follow_with_secrets(request, status, to, identity, &[])
}

/// As [`follow`], where headers of the names `secrets` stay with their origin too, whatever their case.
///
/// # Errors
/// As [`follow`].
pub fn follow_with_secrets(
    request: &Request,
    status: u16,
    to: &Url,
    identity: &dyn Identity,
    secrets: &[String],
) -> Result<Request, Outcome> {
    let mut next = request.clone();
    next.url = to.clone();
    identity.canonicalize(&mut next.url);
    if becomes_get(status, &request.method) {
        next.method = Method::GET;
        next.body.clear();
        next.headers.retain(|(name, _)| !name.to_ascii_lowercase().starts_with("content-"));
    }
    if next.url.origin() != request.url.origin() {
        let is_named = |name: &str| secrets.iter().any(|secret| secret.eq_ignore_ascii_case(name));
        next.headers.retain(|(name, _)| !is_secret(name) && !is_named(name));
    }
    next.redirected_from.push(fingerprint(request, identity));
    let from: Arc<str> = request.url.as_str().into();
    next.redirect_chain.push(from.clone());
    next.parent = Some(from);
    if next.redirected_from.contains(&fingerprint(&next, identity)) {
        return Err(Outcome::RedirectLoop(format!("{status} leads back to {}", next.url)));
    }
    if next.redirected_from.len() > MAX_HOPS {
        return Err(Outcome::RedirectLoop(format!("over {MAX_HOPS} redirects in a row")));
    }
    Ok(next)
}

/// Tells whether the method becomes GET (RFC 9110 §15.4): always after 303 (except HEAD), and after 301 and 302 if it was
/// POST, as in browsers.
fn becomes_get(status: u16, method: &Method) -> bool {
    (status == 303 && *method != Method::HEAD) || (matches!(status, 301 | 302) && *method == Method::POST)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::identity::CanonicalUrl;

    fn go(request: &Request, status: u16, to: &str) -> Result<Request, Outcome> {
        follow(request, status, &request.url.join(to).unwrap(), &CanonicalUrl::default())
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
        assert!(matches!(go(&request, 302, "/a#top"), Err(Outcome::RedirectLoop(_))));
        let there = go(&request, 302, "/b").unwrap();
        assert!(matches!(go(&there, 302, "/a"), Err(Outcome::RedirectLoop(_))));
        let mut hop = request;
        for n in 0..MAX_HOPS {
            hop = go(&hop, 301, &format!("/{n}")).unwrap();
        }
        assert!(matches!(go(&hop, 301, "/one-more"), Err(Outcome::RedirectLoop(_))));
    }

    #[test]
    fn credentials_do_not_cross_origins() {
        let request = Request::parse("https://e.org/").unwrap();
        let request = request.header("Authorization", "Bearer x").header("Cookie", "a=b").header("X-Other", "kept");
        assert_eq!(go(&request, 302, "/in").unwrap().headers.len(), 3);
        let elsewhere = go(&request, 302, "https://other.org/").unwrap();
        assert_eq!(elsewhere.headers, [("X-Other".to_owned(), "kept".to_owned())]);
        assert_eq!(go(&request, 302, "http://e.org/").unwrap().headers.len(), 1, "another scheme is another origin");
        for secret in ["X-Api-Key", "x_api_key", "X-Auth-Token", "Session-Id", "X-Amz-Security-Token", "Client-Secret"]
        {
            let request = Request::parse("https://e.org/").unwrap().header(secret, "x");
            assert_eq!(go(&request, 302, "/in").unwrap().headers.len(), 1, "{secret}");
            assert_eq!(go(&request, 302, "https://other.org/").unwrap().headers, [], "{secret}");
        }
        let request = Request::parse("https://e.org/").unwrap().header("X-Tenant", "x");
        let to = Url::parse("https://other.org/").unwrap();
        let next = follow_with_secrets(&request, 302, &to, &CanonicalUrl::default(), &["x-tenant".to_owned()]);
        assert_eq!(next.unwrap().headers, [], "what the user names");
        for plain in ["Accept", "Referer", "X-Requested-With", "Author"] {
            let request = Request::parse("https://e.org/").unwrap().header(plain, "x");
            assert_eq!(go(&request, 302, "https://other.org/").unwrap().headers.len(), 1, "{plain}");
        }
    }

    #[test]
    fn a_post_becomes_a_get_only_where_the_status_says_so() {
        let post = Request::post(Url::parse("https://e.org/form").unwrap(), "a=b").header("content-type", "x");
        for (status, method) in
            [(301, Method::GET), (302, Method::GET), (303, Method::GET), (307, Method::POST), (308, Method::POST)]
        {
            let next = go(&post, status, "/next").unwrap();
            assert_eq!(next.method, method, "{status}");
            assert_eq!(next.body.is_empty(), method == Method::GET);
        }
    }
}
