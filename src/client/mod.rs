//! ThrottledClient: an HTTP client in which every request waits for its permit: exactly N requests a second, in
//! parallel, from any thread. Uses the crawler's throttle, gate and transport, and has no limiter of its own.
//!
//! ```text
//! client.get(url).send() ─→ DomainQueue ──Permit──→ Workers (arbiters) ─→ Fetch ─→ caller
//!                            ▲ first come, first served  │
//!                            └─ a refusal, a retry, a hop ┘
//! ```

mod attempt;
mod domain_queue;
mod domain_queues;
mod execute;
mod job;
mod network;
mod request;
mod response;
mod workers;

use std::{
    fmt, io,
    num::NonZeroU32,
    pin::Pin,
    sync::{Arc, Mutex, Weak, atomic::AtomicU64},
    thread,
    time::Duration,
};

use http::Method;
use tokio::runtime::{Builder, Runtime};

use self::{
    attempt::Rules,
    domain_queue::{Dispatcher, DomainQueue, Undispatched},
    domain_queues::DomainQueues,
    job::{Job, JobQueue},
    workers::Workers,
};
pub use self::{
    execute::{Completion, Execution, ExecutionProgress, FailFast, IntoRequest},
    request::RequestBuilder,
    response::Response,
};
pub use crate::fetcher::http::ACCEPT_PAGES;
use crate::{
    conducts::Conducts,
    domain::{Domain, DomainKey},
    error::{Error, Result},
    fetcher::{layers::MiddlewareLayer, offload::OffloadThreads, stack::FetchStack},
    identity::CanonicalUrl,
    middleware::{AnyMiddleware, AsyncMiddleware, DefaultHeaders, Middleware, with_headers},
    permit::Permit,
    politeness::{Override, Politeness},
    rate::Rate,
    retry::Retry,
    throttle::Evidence,
    transport::{SharedTransport, TransportSettings, body::BodyLimits, open_files},
    user_agent,
};

/// An HTTP client in which every request waits for its permit. Clones share one exact limit, on any threads.
///
/// ```
#[doc = include_str!("example_api.md")]
/// # block_on(async {
/// # let _with_its_own_rate =
/// ThrottledClient::new("pricebot/1.0 (+https://example.org/bot)", Rate::per_second(50))?;
///
/// let requests = (1..=20).map(|id| client.get(format!("{api}/items/{id}")));
/// let items = client.execute(requests, |response| async move { response.json::<serde_json::Value>() }).await;
///
/// assert_eq!(items.len(), 20);
/// assert!(items.iter().all(Result::is_ok));
/// # Ok(()) });
/// # Ok::<(), Error>(())
/// ```
///
/// Its futures are `Send` and run on any runtime: the network has threads of its own. If a future is dropped while it
/// waits, its place goes to the next.
#[derive(Clone)]
pub struct ThrottledClient {
    shared: Arc<Shared>,
}

/// What all clones of a client share.
struct Shared {
    queues: DomainQueues,
    workers: Workers,
    body: BodyLimits,
    /// The `Accept` header of requests that have none.
    accept: String,
    /// Numbers the requests, which are served in this order.
    numbers: AtomicU64,
    /// The threads for name look-ups.
    _look_ups: LookUps,
    /// Where blocking middleware runs; none without one.
    _hooks: Option<OffloadThreads>,
}

/// The longest that a hook of a middleware may take: as long as a crawl lets a page's `parse` take.
const HOOK_TIMEOUT: Duration = Duration::from_secs(30);

/// Configures a [`ThrottledClient`]. Created by [`ThrottledClient::builder`].
///
/// ```
/// # use std::time::Duration;
/// # use actix_crawler::{Error, Rate, ThrottledClient};
/// let client = ThrottledClient::builder("pricebot/1.0 (+https://example.org/bot)")
///     .rate(Rate::per_second(50))
///     .rate_of("*.slow.example", Rate::per_minute(10))
///     .concurrency(100)
///     .timeout(Duration::from_secs(20))
///     .build()?;
///
/// let nameless = ThrottledClient::builder("").build();
/// assert!(nameless.is_err(), "a client is never anonymous");
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "it becomes a client with build()"]
pub struct ClientBuilder {
    user_agent: String,
    politeness: Politeness,
    transport: TransportSettings,
    retry: Retry,
    follow_redirects: bool,
    retry_refusals: bool,
    accept: String,
    adaptive: bool,
    threads: usize,
    conducts: Conducts,
    middleware: Vec<AnyMiddleware>,
    headers: DefaultHeaders,
}

impl ThrottledClient {
    /// Creates a client that starts requests to each domain at `rate`. The user agent names the program and a contact,
    /// a URL or a mail address: `pricebot/1.0 (+https://example.org/bot)`.
    ///
    /// # Errors
    /// As [`ClientBuilder::build`].
    pub fn new(user_agent: impl Into<String>, rate: Rate) -> Result<Self> {
        Self::builder(user_agent).rate(rate).build()
    }

    /// Sets up a client.
    pub fn builder(user_agent: impl Into<String>) -> ClientBuilder {
        let transport = TransportSettings::default();
        let most = u32::try_from(transport.max_connections).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MAX);
        ClientBuilder {
            user_agent: user_agent.into(),
            // As many as connections: the rate is what APIs limit.
            politeness: Politeness { per_domain: most, ..Politeness::default() },
            transport,
            retry: Retry::default(),
            follow_redirects: true,
            retry_refusals: true,
            accept: "*/*".to_owned(),
            adaptive: false,
            // One worker sends about 10,000 requests a second; more than four would wait for the callers.
            threads: thread::available_parallelism().map_or(1, usize::from).min(4),
            conducts: Conducts::shared(),
            middleware: Vec::new(),
            headers: DefaultHeaders::new(),
        }
    }

    /// Begins a GET request.
    pub fn get(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::GET, url)
    }

    /// Begins a POST request.
    pub fn post(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::POST, url)
    }

    /// Begins a PUT request.
    pub fn put(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::PUT, url)
    }

    /// Begins a PATCH request.
    pub fn patch(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::PATCH, url)
    }

    /// Begins a DELETE request.
    pub fn delete(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::DELETE, url)
    }

    /// Begins a HEAD request.
    pub fn head(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::HEAD, url)
    }

    /// Begins an OPTIONS request.
    pub fn options(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::OPTIONS, url)
    }

    /// Begins a request with any method.
    pub fn request(&self, method: Method, url: impl AsRef<str>) -> RequestBuilder {
        RequestBuilder::new(self.clone(), method, url.as_ref())
    }

    /// Changes the rate of all domains without an override, at once. Earlier starts still count. A window of more than
    /// a day is shortened to a day.
    pub fn set_rate(&self, rate: Rate) {
        self.shared.queues.set_rate(rate);
    }

    /// Changes the rate of a domain (`example.org`), or of all that end in it (`*.example.org`), at once. A window of
    /// more than a day is shortened to a day.
    pub fn set_rate_of(&self, domain: &str, rate: Rate) {
        self.shared.queues.set_rate_of(domain, rate);
    }

    /// Changes at once how many requests may be in flight to each domain. 0 means 1.
    pub fn set_concurrency(&self, in_flight: u32) {
        self.shared.queues.set_concurrency(NonZeroU32::new(in_flight).unwrap_or(NonZeroU32::MIN));
    }

    /// Returns the evidence of this client's requests to a domain, measured at the moment of writing; `None` if it sent
    /// none recently. Gaps are measured from the previous start by any tenant.
    pub fn evidence(&self, domain: &Domain) -> Option<Evidence> {
        self.shared.queues.evidence(domain)
    }
}

impl Shared {
    /// Puts a job into the queue of its domain.
    fn admit(self: &Arc<Self>, mut job: Job) -> Arc<DomainQueue> {
        let domain = self.queues.domain(&job.request.url);
        job.request.domain = Some(domain.clone());
        let mut job = Box::new(job);
        loop {
            let queue = self.queue(&domain);
            match queue.join(*job) {
                Ok(()) => return queue,
                // Removed meanwhile: the next look-up finds or creates the new one.
                Err(back) => job = back,
            }
        }
    }

    fn queue(self: &Arc<Self>, domain: &Domain) -> Arc<DomainQueue> {
        let myself: Weak<Self> = Arc::downgrade(self);
        self.queues.queue(domain, myself)
    }
}

impl Dispatcher for Shared {
    fn dispatch(self: Arc<Self>, permit: Permit, job: Job) -> Result<(), Box<Undispatched>> {
        let queue: Weak<Self> = Arc::downgrade(&self);
        self.workers.assign(queue, permit, job)
    }

    fn spawn(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>) -> io::Result<()> {
        self.workers.spawn(task)
    }

    fn forget(&self, queue: &Arc<DomainQueue>) -> bool {
        self.queues.forget(queue)
    }
}

impl JobQueue for Shared {
    fn requeue(self: Arc<Self>, job: Job) {
        drop(self.admit(job));
    }
}

impl ClientBuilder {
    /// Sets the rate at which requests to each domain start; one a second by default.
    pub fn rate(mut self, rate: Rate) -> Self {
        self.politeness.rate = Some(rate);
        self
    }

    /// Sets the rate of a domain (`example.org`), or of all that end in it (`*.example.org`).
    pub fn rate_of(mut self, domain: impl Into<String>, rate: Rate) -> Self {
        self.politeness.overrides.push(Override { domain: domain.into(), rate: Some(rate), ..Override::default() });
        self
    }

    /// Sets how many requests may be in flight to each domain; 512 by default. 0 means 1.
    pub fn concurrency(mut self, in_flight: u32) -> Self {
        self.politeness.per_domain = NonZeroU32::new(in_flight).unwrap_or(NonZeroU32::MIN);
        self
    }

    /// Applies one limit to all requests of this client together, whatever their domains. Other clients do not share it.
    pub fn one_limit(self) -> Self {
        self.limit_by(DomainKey::By(Arc::new(|_| "all".to_owned())))
    }

    /// Sets which requests share a limit; by default those of one registrable domain.
    pub fn limit_by(mut self, key: DomainKey) -> Self {
        self.politeness.domain_key = key;
        self
    }

    /// Shares the conduct of domains only with those given the same `conducts`, instead of [`Conducts::shared`], which
    /// all crawls and clients of a process share.
    pub fn conducts(mut self, conducts: &Conducts) -> Self {
        self.conducts = conducts.clone();
        self
    }

    /// Sets all limits at once. A client does not fetch robots.txt, and ignores the total concurrency of crawls.
    pub fn politeness(mut self, politeness: Politeness) -> Self {
        self.politeness = politeness;
        self
    }

    /// Searches for a server's undocumented limit: starts at the given rate, raises it until the server refuses, and
    /// settles just below. Each domain's limit is kept for the lifetime of the client.
    pub fn adaptive(mut self) -> Self {
        self.adaptive = true;
        self
    }

    /// Sets how often a failed request is retried, and after what delays.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Returns redirects to the caller. By default they are followed, at most 20 in a row, each under a permit of its own
    /// domain. A page that sends its readers on by a `Refresh` header or `<meta http-equiv=refresh>` is no redirect for a
    /// client, but an answer like any other: what an API says is data.
    pub fn keep_redirects(mut self) -> Self {
        self.follow_redirects = false;
        self
    }

    /// Returns refusals (429, 503) to the caller at once. By default a refused request waits until its domain may be
    /// requested again. The domain cools either way.
    pub fn keep_refusals(mut self) -> Self {
        self.retry_refusals = false;
        self
    }

    /// Sends this `Accept` header with requests that have none of their own, in place of `*/*`.
    pub fn accept(mut self, media_types: impl Into<String>) -> Self {
        self.accept = media_types.into();
        self
    }

    /// Sets the longest time of a request, from the writing to the last byte; two minutes by default. Waiting for the
    /// permit does not count.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.transport.deadlines = self.transport.deadlines.within(limit);
        self
    }

    /// Allows connections to private and loopback addresses: for services in your own network.
    pub fn allow_private(mut self) -> Self {
        self.transport.guard.allow_private = true;
        self
    }

    /// Sets everything about connections at once.
    pub fn transport(mut self, settings: TransportSettings) -> Self {
        self.transport = settings;
        self
    }

    /// Sets the most network threads; by default as many as there are cores, up to 4. 0 means 1.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// Puts a middleware around each request; several are called in the order in which they are given. See [`Middleware`].
    /// A request that a middleware ends fails with [`Error::Middleware`].
    pub fn middleware(mut self, middleware: impl Middleware) -> Self {
        self.middleware.push(AnyMiddleware::Blocking(Arc::new(middleware)));
        self
    }

    /// As [`ClientBuilder::middleware`], for one whose hooks are async.
    pub fn async_middleware(mut self, middleware: impl AsyncMiddleware) -> Self {
        self.middleware.push(AnyMiddleware::Async(Arc::new(middleware)));
        self
    }

    /// Sends a header with every request that has none of its name.
    pub fn header(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { headers: self.headers.header(name, value), ..self }
    }

    /// Sends a header with every request to an origin, `https://example.org`, that has none of its name.
    pub fn header_for(self, origin: impl Into<String>, name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { headers: self.headers.header_for(origin, name, value), ..self }
    }

    /// Creates the client. Its threads start with the first request and end with the last clone.
    ///
    /// # Errors
    /// A setting or the user agent is invalid; the message says what to change.
    pub fn build(self) -> Result<ThrottledClient> {
        user_agent::check(&self.user_agent)?;
        self.politeness.check()?;
        let mut settings = self.transport;
        settings.max_connections = open_files::fit(settings.max_connections, self.threads, 0)?;
        let look_ups =
            Builder::new_current_thread().thread_name("throttled-client-dns").build().map_err(Error::Start)?;
        let body = settings.body;
        let secret_headers = settings.secret_headers.clone();
        let look_up_on = look_ups.handle().clone();
        // Guarded before anything can fail: see there.
        let look_ups = LookUps(Some(look_ups));
        let transport = SharedTransport::new(settings, &look_up_on)?;
        let rules = Rules {
            retry: self.retry,
            follow_redirects: self.follow_redirects,
            retry_refusals: self.retry_refusals,
            held_up_timeout: transport.whole_deadline(),
            warnings: Mutex::default(),
            canonical: CanonicalUrl::default(),
            secret_headers,
            body,
        };
        self.headers.check()?;
        let middleware = with_headers(self.headers, self.middleware);
        let fetch = FetchStack::http(transport, user_agent::header(&self.user_agent)?);
        let (fetch, hooks) = if middleware.is_empty() {
            (fetch, None)
        } else {
            let (threads, offload) = OffloadThreads::new(self.threads, HOOK_TIMEOUT)?;
            (fetch.layer(MiddlewareLayer::new(middleware, offload, body)), Some(threads))
        };
        let shared = Shared {
            queues: DomainQueues::new(&self.conducts, self.politeness, self.adaptive),
            workers: Workers::new(self.threads, fetch, rules),
            body,
            accept: self.accept,
            numbers: AtomicU64::new(0),
            _look_ups: look_ups,
            _hooks: hooks,
        };
        Ok(ThrottledClient { shared: Arc::new(shared) })
    }
}

/// Owns the threads for name look-ups. The last clone of a client may be dropped inside a runtime, where waiting for
/// threads to end would panic, so they are shut down in the background.
struct LookUps(Option<Runtime>);

impl Drop for LookUps {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for ThrottledClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThrottledClient").finish_non_exhaustive()
    }
}
