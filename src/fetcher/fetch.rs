//! Fetch: the seam between permits and the network. A permit and a request go in, one result comes out; layers wrap it.
//! Does not know queues, pages and spiders.
//!
//! ```text
//! visit, client ─→ layers of the user ─→ HttpCache | Record | Replay ─→ (archive) ─→ Http ─→ wire
//!                  middleware              from the settings             to come     or a browser
//! ```
//!
//! A stack is built for each arbiter, since awc's client is `!Send`; [`FetchStack`](super::stack::FetchStack) is its recipe. Without layers a
//! request costs one allocation here, and each layer costs one more.

use futures_util::future::LocalBoxFuture;
use url::Url;

use super::receipt::Receipt;
use crate::{
    conduct::Heeded,
    count::Count,
    outcome::{FetchError, Outcome},
    permit::Permit,
    request::Request,
    robots::MAX_BYTES,
    transport::{
        body::BodyLimits,
        exchange::Extent,
        raw_response::{RawResponse, WireBytes},
    },
};

/// Answers a request under a permit.
///
/// A permit that is not needed is dropped, and its place goes to the next request. One that is used ends with the last
/// byte of the response. Whatever else is sent to a server needs a permit of its own: see [`FetchContext::permits`].
///
/// The future may go on after the last byte, for instance until an archive has acknowledged what it was given: the page
/// is parsed, and its lease settled, only after that.
pub trait Fetch {
    /// Answers one request.
    fn fetch<'a>(
        &'a self,
        permit: Permit,
        request: &'a Request,
        context: FetchContext<'a>,
    ) -> LocalBoxFuture<'a, FetchResult>;
}

/// How a request is fetched, and what a layer may ask for beside its permit.
#[derive(Clone, Copy)]
pub struct FetchContext<'a> {
    /// How much of the response is read. A layer that archives sets `Extent::keeps_wire_bytes` for the layers below.
    pub extent: Extent,
    /// Whether the request may be written once more if the server may have seen it already.
    pub may_repeat: bool,
    /// Which attempt at the request this is, counted from 1.
    pub attempt: u32,
    /// Where a layer gets permits for further requests.
    pub permits: &'a dyn Permits,
}

/// Grants further permits to whoever answers one request with several: a browser asks for one for each sub-request.
pub trait Permits {
    /// Waits for a permit of the domain that `url` belongs to. `None`: there will be none, because the crawl stops or
    /// the domain is given up.
    fn permit<'a>(&'a self, url: &'a Url) -> LocalBoxFuture<'a, Option<Permit>>;
}

/// Grants nothing: one permit, one request.
pub struct NoPermits;

impl Permits for NoPermits {
    fn permit<'a>(&'a self, _: &'a Url) -> LocalBoxFuture<'a, Option<Permit>> {
        Box::pin(std::future::ready(None))
    }
}

/// What came of a permit and its request.
#[derive(Debug)]
pub struct FetchResult {
    /// The response, or why there is none.
    pub response: Result<RawResponse, NoResponse>,
    /// What the permit was spent on.
    pub receipt: Receipt,
    /// What was on the wire, also where no whole response came; `None` unless `Extent::keeps_wire_bytes` was set.
    pub wire: Option<WireBytes>,
    /// What follows for the domain if it refused us or could not be reached. It holds already; it is told for the books.
    pub heeded: Option<Heeded>,
    /// What layers count of this request.
    pub counts: Vec<Count>,
}

/// Why there is no response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoResponse {
    /// Nothing was written: the domain began to cool after the permit was granted. The request is to be queued again.
    Unsent,
    /// No whole response came.
    Failed(FetchError),
    /// A middleware ended it, before or after it was sent.
    Ended(Box<Outcome>),
}

impl<'a> FetchContext<'a> {
    /// Reads a whole page; a larger body is an error.
    pub fn page(limits: BodyLimits, may_repeat: bool, permits: &'a dyn Permits) -> Self {
        let extent = Extent { max_bytes: limits.max_bytes, accepts_part: false, keeps_wire_bytes: false };
        Self { extent, may_repeat, attempt: 1, permits }
    }

    /// Reads the part of a robots file that counts, the first [`MAX_BYTES`] (RFC 9309 §2.5). Twice as much is read,
    /// because a content coding may end in the middle of one of its steps.
    pub fn robots_file(permits: &'a dyn Permits) -> Self {
        let extent = Extent { max_bytes: 2 * MAX_BYTES as u64, accepts_part: true, keeps_wire_bytes: false };
        Self { extent, may_repeat: true, attempt: 1, permits }
    }
}

impl FetchResult {
    /// Returns a response that was not asked for over the network, or why there is none.
    pub fn offline(response: Result<RawResponse, NoResponse>) -> Self {
        let status = response.as_ref().ok().map(|response| response.status);
        Self {
            response,
            receipt: Receipt { status, ..Receipt::default() },
            wire: None,
            heeded: None,
            counts: Vec::new(),
        }
    }
}
