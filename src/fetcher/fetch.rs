//! Fetch: the interface between permits and the network. A permit and a request go in, one result comes out; layers
//! wrap it. Knows no queues, pages or spiders.
//!
//! ```text
//! visit, client ─→ layers of the user ─→ HttpCache | Record | Replay ─→ (archive) ─→ Http ─→ wire
//!                  middleware              from the settings             to come     or a browser
//! ```
//!
//! Each arbiter builds its own stack from a [`FetchStack`], since awc's client is `!Send`. A request costs one
//! allocation here, and one more for each layer.

use std::sync::Arc;

use futures_util::future::LocalBoxFuture;
use http::HeaderValue;
use url::Url;

use super::{
    http::Http,
    layers::{HttpCache, Record, Replay},
    receipt::Receipt,
};
use crate::{
    conduct::Heeded,
    outcome::FetchError,
    permit::Permit,
    request::Request,
    robots::MAX_BYTES,
    transport::{
        SharedTransport, Transport,
        body::BodyLimits,
        exchange::Extent,
        raw_response::{RawResponse, WireBytes},
        response_store::Purpose,
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
    /// The source of permits for further requests.
    pub permits: &'a dyn Permits,
}

/// Grants further permits to a layer that answers one request with several: a browser needs one for each sub-request.
pub trait Permits {
    /// Waits for a permit of the domain of `url`. `None` if none will be granted, because the crawl stops or the domain
    /// is given up.
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
    pub heeded: Option<Heeded>,
}

/// Why there is no response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoResponse {
    /// Nothing was sent: the domain began to cool after the permit was granted. Queue the request again.
    Unsent,
    /// The response is missing or incomplete.
    Failed(FetchError),
}

impl<'a> FetchContext<'a> {
    /// For a whole page; a larger body is an error.
    pub fn page(limits: BodyLimits, may_repeat: bool, permits: &'a dyn Permits) -> Self {
        let extent = Extent { max_bytes: limits.max_bytes, accepts_part: false, keeps_wire_bytes: false };
        Self { extent, may_repeat, permits }
    }

    /// For a robots file, of which the first [`MAX_BYTES`] count (RFC 9309 §2.5). Twice as much is read, since a
    /// content coding may be cut in the middle of a block.
    pub fn robots_file(permits: &'a dyn Permits) -> Self {
        let extent = Extent { max_bytes: 2 * MAX_BYTES as u64, accepts_part: true, keeps_wire_bytes: false };
        Self { extent, may_repeat: true, permits }
    }
}

impl FetchResult {
    /// Returns a result that did not use the network.
    pub fn offline(response: Result<RawResponse, NoResponse>) -> Self {
        let status = response.as_ref().ok().map(|response| response.status);
        Self { response, receipt: Receipt { status, ..Receipt::default() }, wire: None, heeded: None }
    }
}

/// Wraps a [`Fetch`] in another, once for each arbiter.
pub trait Layer: Send + Sync + 'static {
    /// Wraps `inner` in this layer.
    fn wrap(&self, inner: Box<dyn Fetch>) -> Box<dyn Fetch>;
}

impl<F: Fn(Box<dyn Fetch>) -> Box<dyn Fetch> + Send + Sync + 'static> Layer for F {
    fn wrap(&self, inner: Box<dyn Fetch>) -> Box<dyn Fetch> {
        self(inner)
    }
}

/// How to build a stack: the innermost fetch and the layers around it. Each arbiter builds its own.
#[derive(Clone)]
pub struct FetchStack {
    innermost: Arc<dyn Fn() -> Box<dyn Fetch> + Send + Sync>,
    /// Innermost first.
    layers: Vec<Arc<dyn Layer>>,
}

impl FetchStack {
    /// Starts a stack with another innermost fetch than [`Http`], such as a browser.
    pub fn over(innermost: impl Fn() -> Box<dyn Fetch> + Send + Sync + 'static) -> Self {
        Self { innermost: Arc::new(innermost), layers: Vec::new() }
    }

    /// Starts a stack with the network and the layer that the transport's settings ask for.
    pub fn http(transport: SharedTransport, user_agent: HeaderValue) -> Self {
        let store = transport.response_store().cloned();
        let innermost = {
            let (transport, user_agent) = (transport.clone(), user_agent.clone());
            move || -> Box<dyn Fetch> { Box::new(Http::new(Transport::new(transport.clone()), user_agent.clone())) }
        };
        let stack = Self::over(innermost);
        // An archive belongs here, below the cache: it records what was on the wire and nothing else.
        let Some(store) = store else { return stack };
        match store.purpose() {
            Purpose::Cache => stack.layer(move |inner| -> Box<dyn Fetch> {
                Box::new(HttpCache::new(inner, store.clone(), transport.clone(), user_agent.clone()))
            }),
            Purpose::Record => {
                stack.layer(move |inner| -> Box<dyn Fetch> { Box::new(Record::new(inner, store.clone())) })
            }
            Purpose::Replay => {
                stack.layer(move |_| -> Box<dyn Fetch> { Box::new(Replay::new(store.clone(), transport.clone())) })
            }
        }
    }

    /// Adds a layer around all others. User layers are added last, so that they see each request first and its response
    /// last.
    #[must_use]
    pub fn layer(self, layer: impl Layer) -> Self {
        self.layers([Arc::new(layer) as Arc<dyn Layer>])
    }

    /// Adds layers, each around the previous ones.
    #[must_use]
    pub fn layers(mut self, layers: impl IntoIterator<Item = Arc<dyn Layer>>) -> Self {
        self.layers.extend(layers);
        self
    }

    /// Builds the stack of this arbiter.
    pub fn build(&self) -> Box<dyn Fetch> {
        self.layers.iter().fold((self.innermost)(), |inner, layer| layer.wrap(inner))
    }
}
