//! Fuzzes URLs: making one canonical never panics, does it once and for all, and leaves a URL.

use actix_crawler::{
    Request,
    identity::{CanonicalUrl, Fingerprint},
};
use http::Method;
use url::Url;

/// The first byte chooses the settings; it is printable in the seeds, so that those can be read.
pub fn fuzz(input: &[u8]) {
    let [choice, text @ ..] = input else { return };
    let text = String::from_utf8_lossy(text);
    let canonical = CanonicalUrl { strip_tracking: choice & 1 == 1, sort_query: choice & 2 == 2 };
    if let Ok(request) = Request::parse(&text) {
        assert!(matches!(request.url.scheme(), "http" | "https"), "{}", request.url);
    }
    let base: Url = "https://e.org/a/b?c".parse().unwrap();
    let Ok(mut url) = base.join(&text) else { return };
    if !matches!(url.scheme(), "http" | "https") {
        return;
    }
    canonical.apply(&mut url);
    let once = url.clone();
    canonical.apply(&mut url);
    assert_eq!(once, url);
    assert_eq!(once.as_str().parse().as_ref(), Ok(&once));
    assert!(once.fragment().is_none() && once.username().is_empty() && once.password().is_none(), "{once}");
    assert_eq!(Fingerprint::of(&Method::GET, &once, b""), Fingerprint::of(&Method::GET, &url, b""));
}
