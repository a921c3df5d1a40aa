//! Fuzzes cookies with any lines of `Set-Cookie`: nothing panics, what is sent is one line, and no cookie is sent to a
//! site that could not have set it.

use actix_crawler::internals::CookieJar;
use http::{HeaderMap, HeaderValue, header::SET_COOKIE};
use url::Url;

/// Each line is one cookie.
pub fn fuzz(input: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in input.split(|byte| *byte == b'\n').take(100) {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(SET_COOKIE, value);
        }
    }
    let url = |text: &str| text.parse::<Url>().unwrap();
    let cookies = CookieJar::default();
    cookies.take_in(&url("https://www.shop.example.co.uk/a/b"), &headers);
    assert!(cookies.count() <= headers.len() && cookies.list().len() <= cookies.count());
    for place in ["https://www.shop.example.co.uk/a/b?c", "http://shop.example.co.uk/", "https://example.co.uk/a"] {
        if let Some(sent) = cookies.header(&url(place)) {
            assert!(!sent.as_bytes().iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)), "{sent:?}");
        }
    }
    for place in ["https://other.co.uk/a/b", "https://co.uk/a/b", "http://127.0.0.1/a/b", "https://notexample.co.uk/"] {
        assert_eq!(cookies.header(&url(place)), None, "{place}");
    }
    for cookie in cookies.list() {
        assert!(!cookie.name.contains([';', '\n']) && !cookie.value.contains([';', '\n']), "{cookie:?}");
    }
    // What one jar lists, another takes.
    let again = CookieJar::default();
    for cookie in cookies.list() {
        again.add(&cookie);
    }
}
