//! Fuzzes what is read of a response's header: waits that are asked for, the content type, `Refresh`, `X-Robots-Tag`
//! and `Link`. Nothing panics, and no wait is without end.

use std::time::{Duration, SystemTime};

use actix_crawler::{
    Response,
    extract::{ContentType, number_in, sitemap::W3cDate},
    internals::refusal,
};
use http::{HeaderMap, HeaderName, HeaderValue};

/// The first byte chooses the status; each line is a field.
pub fn fuzz(input: &[u8]) {
    let [choice, lines @ ..] = input else { return };
    let status = [429, 503, 403, 500, 301, 200][usize::from(*choice) % 6];
    let mut headers = HeaderMap::new();
    let mut page = Response::bytes("https://e.org/a/b?c", "text/html", &b"<p>page"[..]);
    for line in lines.split(|byte| *byte == b'\n').take(100) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = line.split_at(colon);
        let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value[1..].trim_ascii()))
        else {
            continue;
        };
        if let Ok(value) = value.to_str() {
            page = page.with_header(name.as_str(), value);
            let _ = (number_in(value), ContentType::of(Some(value), b"").essence.len());
            if let Ok(date) = value.parse::<W3cDate>() {
                assert!(date.to_string().parse::<W3cDate>().is_ok_and(|again| again == date), "{date}");
            }
        }
        headers.append(name, value);
    }
    for wall in [SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)] {
        if let Some(refused) = refusal(status, &headers, wall) {
            assert!(refused.wait.is_none_or(|wait| wall.checked_add(wait).is_some()), "{refused:?}");
        }
    }
    let _ = (page.robots(), page.is_html(), page.encoding().len());
    if let Some(refresh) = page.refresh() {
        assert!(matches!(refresh.url.scheme(), "http" | "https"), "{}", refresh.url);
    }
    assert!(page.links().all(|link| link.url().fragment().is_none()));
}
