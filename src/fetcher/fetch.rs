//! Fetch: the interface between permits and the network. A permit and a request go in, one result comes out; layers
//! wrap it. Knows no queues, pages or spiders.
//!
//! ```text
//! visit, client ─→ layers of the user ─→ HttpCache | Record | Replay ─→ (archive) ─→ Http ─→ wire
//!                  middleware              from the settings             to come     or a browser
//! ```
//!
//! Each arbiter builds its own stack from a [`FetchStack`](super::stack::FetchStack), since awc's client is `!Send`. A
//! request costs one allocation here, and one more for each layer.

use futures_util::future::LocalBoxFuture;
use url::Url;

use super::receipt::Receipt;
use crate::{
    conduct::Heeded,
    count::Count,
    outcome::{FetchError, Outcome},
    permit::Permit,
    request::Request,
    transport::{
        body::BodyLimits,
        exchange::Extent,
        raw_response::{RawResponse, WireBytes},
    },
};

/// Fetches one request under a permit.
///
/// An unneeded permit is dropped, which frees its slot for the next request. A used one ends with the last byte of the
/// response. Any further request to a server needs a permit of its own: see [`FetchContext::permits`].
///
/// The future may continue after the last byte, for instance until an archive has acknowledged the response. Only when
/// it returns is the page parsed and its lease settled.
pub trait Fetch {
    /// Fetches one request.
    fn fetch<'a>(
        &'a self,
        permit: Permit,
        request: &'a Request,
        context: FetchContext<'a>,
    ) -> LocalBoxFuture<'a, FetchResult>;
}

/// How to fetch a request, and the source of further permits.
#[derive(Clone, Copy)]
pub struct FetchContext<'a> {
    /// How much of the response is read. An archiving layer sets `Extent::keeps_wire_bytes` for the layers below it.
    pub extent: Extent,
    /// Whether the request may be sent once more although the server may have received it.
    pub may_repeat: bool,
    /// Which attempt at the request this is, counted from 1.
    pub attempt: u32,
    /// The source of permits for further requests.
    #[cfg_attr(not(test), expect(dead_code, reason = "read by a browser layer"))]
    pub permits: &'a dyn Permits,
}

/// Grants further permits to a layer that answers one request with several: a browser needs one for each sub-request.
pub trait Permits {
    /// Waits for a permit of the domain of `url`. `None` if none will be granted, because the crawl stops or the domain
    /// is given up.
    #[cfg_attr(not(test), expect(dead_code, reason = "asked by a browser layer"))]
    fn permit<'a>(&'a self, url: &'a Url) -> LocalBoxFuture<'a, Option<Permit>>;
}

/// Grants nothing, for callers with one permit for one request.
pub struct NoPermits;

impl Permits for NoPermits {
    fn permit<'a>(&'a self, _: &'a Url) -> LocalBoxFuture<'a, Option<Permit>> {
        Box::pin(std::future::ready(None))
    }
}

/// The result of one request.
#[derive(Debug)]
pub struct FetchResult {
    /// The response, or why there is none.
    pub response: Result<RawResponse, NoResponse>,
    /// What the request cost: status, bytes and times.
    pub receipt: Receipt,
    /// The bytes on the wire, also of an incomplete response; `None` unless `Extent::keeps_wire_bytes` was set.
    #[cfg_attr(not(test), expect(dead_code, reason = "read by an archive layer"))]
    pub wire: Option<WireBytes>,
    /// The cooling that follows if the domain refused us or could not be reached. It is in force already, and reported
    /// for the caller's records.
    pub heeded: Option<Heeded>,
    /// Whether the response changed the cookies that are sent, so that the same request may be answered otherwise.
    pub cookies_changed: bool,
    /// What layers count of this request.
    pub counts: Vec<Count>,
}

/// Why there is no response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoResponse {
    /// Nothing was sent: the domain began to cool after the permit was granted. Queue the request again.
    Unsent,
    /// The response is missing or incomplete.
    Failed(FetchError),
    /// A middleware ended it, before or after it was sent.
    Ended(Box<Outcome>),
}

impl<'a> FetchContext<'a> {
    /// For a whole page; a larger body is an error.
    pub fn page(limits: BodyLimits, may_repeat: bool, permits: &'a dyn Permits) -> Self {
        let extent = Extent { max_bytes: limits.max_bytes, accepts_part: false, keeps_wire_bytes: false };
        Self { extent, may_repeat, attempt: 1, permits }
    }
}

impl FetchResult {
    /// Returns a result that did not use the network.
    pub fn offline(response: Result<RawResponse, NoResponse>) -> Self {
        let status = response.as_ref().ok().map(|response| response.status);
        let receipt = Receipt { status, ..Receipt::default() };
        Self { response, receipt, wire: None, heeded: None, cookies_changed: false, counts: Vec::new() }
    }
}
