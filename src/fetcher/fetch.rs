//! Fetch: the interface between permits and the network. A permit and a request go in, one result comes out; layers
//! wrap it. Knows no queues, pages or spiders.
//!
//! ```text
//! visit, client ─→ sessions ─→ middleware ─→ HttpCache | RecordLayer | ReplayLayer ─→ archive ─→ Http ─→ wire
//!                  cookies     of the user   one, from the settings                 if set      or a browser
//! ```
//!
//! Each arbiter builds its own stack from a [`FetchStack`](super::stack::FetchStack), since awc's client is `!Send`. A
//! request costs one allocation here, and one more for each layer.

use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use url::Url;

use super::receipt::Receipt;
use crate::{
    conduct::Cooled,
    outcome::{FetchError, Outcome},
    permit::Permit,
    request::Request,
    sessions::Session,
    stats::count::Count,
    transport::{
        body::BodyLimits,
        body_sink::SharedSink,
        exchange::Extent,
        raw_response::{RawResponse, WireBytes},
    },
};

/// A fetch under way.
pub type Fetching<'a> = LocalBoxFuture<'a, FetchResult>;

/// Fetches one request under a permit.
///
/// An unneeded permit is dropped, which frees its slot for the next request. A used one ends with the last byte of the
/// response, except that of a robots file ([`FetchResult::permit`]). Any further request to a server needs a permit of
/// its own: see [`FetchContext::permits`].
///
/// The future may continue after the last byte, for instance until an archive has acknowledged the response. Only when
/// it returns is the page parsed and its lease settled.
pub trait Fetch {
    /// Fetches one request.
    fn fetch<'a>(&'a self, permit: Permit, request: &'a Request, context: FetchContext<'a>) -> Fetching<'a>;
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
    /// The session that it is sent in; without one, no cookies are sent and kept.
    pub session: Option<&'a Session>,
    /// What takes the body of the response as it comes. A layer that needs the body itself leaves it out; see
    /// [`FetchContext::whole`].
    pub stream: Option<Streaming<'a>>,
    /// The source of permits for further requests.
    #[cfg_attr(not(test), expect(dead_code, reason = "read by a browser layer"))]
    pub permits: &'a dyn Permits,
}

/// How the body of a large response is taken.
#[derive(Clone, Copy)]
pub struct Streaming<'a> {
    /// What takes it.
    pub sink: &'a SharedSink,
    /// The longest that the whole response may take, if that is longer than for a page.
    pub max_time: Duration,
    /// The most bytes of a response that is not streamed.
    pub max_whole: u64,
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
    pub wire: Option<WireBytes>,
    /// The cooling that follows if the domain refused us or could not be reached. It is in force already, and reported
    /// for the caller's records.
    pub cooled: Option<Cooled>,
    /// Whether the response changed the cookies that are sent, so that the same request may be answered otherwise.
    pub cookies_changed: bool,
    /// What layers count of this request.
    pub counts: Vec<Count>,
    /// The permit of a robots file, which must not end before its domain's conduct knows what the file asks for: see
    /// [`Visit::permit`](super::visit::Visit::permit). That of any other request has ended.
    pub permit: Option<Permit>,
    /// The session that it was sent in.
    pub session: Option<Session>,
    /// Whether a middleware says that this session is refused.
    pub refuses_session: bool,
    /// The proxy that it was sent through.
    pub proxy: Option<u64>,
    /// The URL that it was sent to, if a middleware has changed it.
    pub sent_to: Option<Url>,
}

/// Why there is no response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoResponse {
    /// Nothing was sent: the domain began to cool after the permit was granted. Queue the request again.
    Unsent,
    /// Nothing was sent, since the session of the request rests or is being logged in. Queue the request again, to be
    /// leased after this time.
    SessionRests(Duration),
    /// The response is missing or incomplete.
    Failed(FetchError),
    /// A middleware ended it, before or after it was sent; or the archive is broken, and with it the crawl.
    Ended(Box<Outcome>),
}

impl<'a> FetchContext<'a> {
    /// For a whole page; a larger body is an error.
    pub fn page(limits: BodyLimits, may_repeat: bool, permits: &'a dyn Permits) -> Self {
        let extent = Extent { max_bytes: limits.max_bytes, accepts_part: false, keeps_wire_bytes: false };
        Self { extent, may_repeat, attempt: 1, session: None, stream: None, permits }
    }

    /// For a layer that keeps the body: it comes whole, within the bound of pages.
    #[must_use]
    pub fn whole(mut self) -> Self {
        if let Some(stream) = self.stream.take() {
            self.extent.max_bytes = self.extent.max_bytes.min(stream.max_whole);
        }
        self
    }
}

impl FetchResult {
    /// Returns a result that did not use the network.
    pub fn offline(response: Result<RawResponse, NoResponse>) -> Self {
        let status = response.as_ref().ok().map(|response| response.status);
        let receipt = Receipt { status, ..Receipt::default() };
        Self {
            response,
            receipt,
            wire: None,
            cooled: None,
            cookies_changed: false,
            counts: Vec::new(),
            permit: None,
            session: None,
            refuses_session: false,
            proxy: None,
            sent_to: None,
        }
    }
}
