//! ArchiveLayer: gives each exchange that was on the wire to an archive, and lets its response pass when that has
//! written it. Does not know files.

mod received;

use std::time::{Duration, SystemTime};

use self::received::Received;
use crate::{
    clock,
    fetcher::{
        fetch::{Fetch, FetchContext, FetchResult, Fetching, NoResponse},
        layer::Layer,
    },
    headers::origin_header::belongs_to_origin,
    identity::strip_user_info,
    outcome::{FetchError, Outcome},
    permit::Permit,
    request::{Kind, Request},
    transport::raw_response::WireBytes,
    warc::{Archive, Exchange, Truncated},
};

/// Archives what passes. What cannot be archived ends the crawl, and its URL stays queued.
#[derive(Clone)]
pub struct ArchiveLayer {
    archive: Archive,
    /// Headers that are secrets, beside those whose name looks like one.
    secret_headers: Vec<String>,
}

/// The layer around one fetch.
struct Archiving {
    inner: Box<dyn Fetch>,
    layer: ArchiveLayer,
}

/// What stands in a request record in place of a secret.
const LEFT_OUT: &[u8] = b"[left out]";

impl ArchiveLayer {
    /// Writes to an archive; `secret_headers` are those that it keeps no values of.
    pub fn new(archive: Archive, secret_headers: Vec<String>) -> Self {
        Self { archive, secret_headers }
    }

    /// Returns what is archived of a result; `None` if no head of a response came.
    fn exchange(&self, request: &Request, result: &FetchResult, wire: WireBytes) -> Option<Exchange> {
        let Received { head, body, truncated } = Received::of(request, &result.response, wire.response)?;
        let sent = if self.archive.keeps_credentials() { wire.request } else { self.without_secrets(&wire.request) };
        Some(Exchange {
            url: super::url_of(request),
            began: began(result),
            server: wire.server,
            request: sent,
            head,
            body,
            truncated,
            notes: notes(request, result),
        })
    }

    /// Replaces the values of headers that identify who asks.
    fn without_secrets(&self, request: &[u8]) -> Vec<u8> {
        let mut kept = Vec::with_capacity(request.len());
        let mut in_head = true;
        for line in request.split_inclusive(|byte| *byte == b'\n') {
            let colon = line.iter().position(|byte| *byte == b':').filter(|_| in_head);
            match colon.and_then(|colon| line.get(..colon)) {
                Some(name) if self.is_secret(name) => {
                    kept.extend_from_slice(name);
                    kept.extend_from_slice(b": ");
                    kept.extend_from_slice(LEFT_OUT);
                    kept.extend_from_slice(b"\r\n");
                }
                _ => kept.extend_from_slice(line),
            }
            in_head &= line != b"\r\n";
        }
        kept
    }

    fn is_secret(&self, name: &[u8]) -> bool {
        let Ok(name) = std::str::from_utf8(name) else { return false };
        let is_named = self.secret_headers.iter().any(|secret| secret.eq_ignore_ascii_case(name));
        // The first line has a colon too, in its URL.
        let is_field = !name.contains(' ');
        is_named || (is_field && !name.eq_ignore_ascii_case("host") && belongs_to_origin(name))
    }
}

impl Layer for ArchiveLayer {
    fn wrap(&self, inner: Box<dyn Fetch>) -> Box<dyn Fetch> {
        Box::new(Archiving { inner, layer: self.clone() })
    }
}

impl Fetch for Archiving {
    fn fetch<'a>(&'a self, permit: Permit, request: &'a Request, context: FetchContext<'a>) -> Fetching<'a> {
        let mut context = context.whole();
        context.extent.keeps_wire_bytes = true;
        Box::pin(async move {
            let mut result = self.inner.fetch(permit, request, context).await;
            let wire = result.wire.take().filter(|wire| !wire.response.is_empty());
            let exchange = wire.and_then(|wire| self.layer.exchange(request, &result, wire));
            if let Some(exchange) = exchange
                && let Err(why) = self.layer.archive.write(exchange).await
            {
                result.response = Err(NoResponse::Ended(Box::new(Outcome::Broken(why))));
            }
            result
        })
    }
}

/// Returns when the request was written.
fn began(result: &FetchResult) -> SystemTime {
    let (now, wall) = (clock::now(), clock::wall());
    let ago = result.receipt.started.map_or(Duration::ZERO, |started| now.saturating_duration_since(started));
    wall.checked_sub(ago).unwrap_or(wall)
}

/// Returns what else is known of an exchange, in the words of the standard (ISO 28500:2017 §6.6).
fn notes(request: &Request, result: &FetchResult) -> Vec<(&'static str, String)> {
    let via = request.parent.as_deref().map(|via| ("via", without_user_info(via)));
    let hops = ("hopsFromSeed", hops_of(request));
    let time = ("fetchTimeMs", result.receipt.elapsed.as_millis().to_string());
    let error = match &result.response {
        Err(NoResponse::Failed(error)) => Some(("fetchError", error.to_string())),
        _ => None,
    };
    via.into_iter().chain([hops, time]).chain(error).collect()
}

fn without_user_info(url: &str) -> String {
    let Ok(mut url) = url::Url::parse(url) else { return url.to_owned() };
    strip_user_info(&mut url);
    url.into()
}

/// Returns a letter for each hop from a seed: L for a link, R for a redirect on the way from the last one, P for the
/// robots file that a page waits for, M for a sitemap, E for a file of an item.
fn hops_of(request: &Request) -> String {
    // As many as anybody counts.
    const MAX_HOPS: usize = 255;
    let links = usize::try_from(request.depth).unwrap_or(MAX_HOPS).min(MAX_HOPS);
    let last = match request.kind() {
        Kind::Page => "",
        Kind::RobotsTxt => "P",
        Kind::Sitemap(_) => "M",
        Kind::File => "E",
    };
    ["L".repeat(links), "R".repeat(request.redirected_from().len()), last.to_owned()].concat()
}

/// Returns why a response is not whole, from the failure.
fn reason(error: &FetchError) -> Truncated {
    match error {
        FetchError::Timeout { .. } => Truncated::Time,
        FetchError::TooLarge(_) => Truncated::Length,
        FetchError::Truncated(_) | FetchError::Local(..) => Truncated::Disconnect,
        _ => Truncated::Unspecified,
    }
}
