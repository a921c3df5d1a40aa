//! ThrottledClient: an HTTP client whose every request waits for its permit: exactly N requests a second, in parallel,
//! from any thread. It has the crawler's throttle, gate and transport, and no limiter of its own.
//!
//! ```text
//! client.get(url).send() ─→ DomainQueue ──Permit──→ workers (arbiters) ─→ Http::send ─→ caller
//!                            ▲ first come, first served  │
//!                            └─ a refusal, a retry, a hop ┘
//! ```

mod attempt;
mod crew;
mod domain_queue;
mod domain_queues;
mod execute;
mod job;
mod network;
mod request;
mod response;

use std::{
    fmt, io,
    num::NonZeroU32,
    pin::Pin,
    sync::{Arc, Weak, atomic::AtomicU64},
    thread,
    time::Duration,
};

use http::Method;
use tokio::runtime::{Builder, Runtime};

use self::{
    crew::Crew,
    domain_queue::{Dispatcher, DomainQueue, Undispatched},
    domain_queues::DomainQueues,
    job::Job,
};
pub use self::{
    execute::{Completion, Execution, FailFast, IntoRequest, Progress},
    request::RequestBuilder,
    response::Response,
};
use crate::{
    conducts::Conducts,
    domain::{Domain, DomainKey},
    error::{Error, Result},
    identity::CanonicalUrl,
    permit::Permit,
    politeness::{Override, Politeness},
    rate::Rate,
    retry::Retry,
    throttle::Evidence,
    transport::{SharedTransport, TransportSettings},
    user_agent,
};

/// An HTTP client whose every request waits for its permit. Clones share one exact limit, wherever they are.
///
/// ```no_run
/// # use actix_crawler::{client::ThrottledClient, rate::Rate, error::Result};
/// # async fn example() -> Result<()> {
/// let client = ThrottledClient::new("pricebot/1.0 (+https://example.org/bot)", Rate::per_second(50))?;
/// let requests = (1..=600).map(|id| client.get(format!("https://api.example.com/items/{id}")));
/// let items = client.execute(requests, |response| async move { response.json::<serde_json::Value>() }).await;
/// # Ok(()) }
/// ```
///
/// Its futures are `Send` and need no runtime of a certain kind: the network has threads of its own. A future that is
/// dropped while it waits leaves its place to the next.
#[derive(Clone)]
pub struct ThrottledClient {
    shared: Arc<Shared>,
}

/// What all clones of a client share.
pub struct Shared {
    queues: DomainQueues,
    crew: Crew,
    retry: Retry,
    follow_redirects: bool,
    canonical: CanonicalUrl,
    /// Counts the requests, which are served in this order.
    numbers: AtomicU64,
    /// Where names are looked up.
    _look_ups: LookUps,
}

/// A client that is being set up.
#[derive(Clone, Debug)]
#[must_use = "it becomes a client with build()"]
pub struct ClientBuilder {
    user_agent: String,
    politeness: Politeness,
    transport: TransportSettings,
    retry: Retry,
    follow_redirects: bool,
    adaptive: bool,
    threads: usize,
    conducts: Conducts,
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
            // As many as there may be connections: the rate is what an API limits.
            politeness: Politeness { per_domain: most, ..Politeness::default() },
            transport,
            retry: Retry::default(),
            follow_redirects: true,
            adaptive: false,
            // One worker sends some 10,000 requests a second; more than four would wait for the callers.
            threads: thread::available_parallelism().map_or(1, usize::from).min(4),
            conducts: Conducts::shared(),
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

    /// Changes the rate of all domains that have none of their own, at once. Starts made before still count. A
    /// window over a day is read as a day.
    pub fn set_rate(&self, rate: Rate) {
        self.shared.queues.set_rate(rate);
    }

    /// Changes the rate of a domain (`example.org`), or of all that end in it (`*.example.org`), at once. A
    /// window over a day is read as a day.
    pub fn set_rate_of(&self, domain: &str, rate: Rate) {
        self.shared.queues.set_rate_of(domain, rate);
    }

    /// Changes how many requests may be in flight to each domain, at once; 0 is read as 1.
    pub fn set_concurrency(&self, in_flight: u32) {
        self.shared.queues.set_concurrency(NonZeroU32::new(in_flight).unwrap_or(NonZeroU32::MIN));
    }

    /// Returns what this client asked a domain, as measured at the moment of writing; `None` for one that it did not ask
    /// lately. The gaps are to the starts before, whoever made them.
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
                // Forgotten meanwhile: the next look finds, or opens, the new one.
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
        self.crew.take_on(Arc::downgrade(&self), permit, job)
    }

    fn spawn(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>) -> io::Result<()> {
        self.crew.spawn(task)
    }

    fn forget(&self, queue: &Arc<DomainQueue>) -> bool {
        self.queues.forget(queue)
    }
}

impl ClientBuilder {
    /// Starts requests to each domain at this rate, in place of one a second.
    pub fn rate(mut self, rate: Rate) -> Self {
        self.politeness.rate = Some(rate);
        self
    }

    /// Starts requests to a domain (`example.org`), or to all that end in it (`*.example.org`), at this rate.
    pub fn rate_of(mut self, domain: impl Into<String>, rate: Rate) -> Self {
        self.politeness.overrides.push(Override { domain: domain.into(), rate: Some(rate), ..Override::default() });
        self
    }

    /// Allows so many requests in flight to each domain, in place of 512; 0 is read as 1.
    pub fn concurrency(mut self, in_flight: u32) -> Self {
        self.politeness.per_domain = NonZeroU32::new(in_flight).unwrap_or(NonZeroU32::MIN);
        self
    }

    /// Shares one limit among all requests of this client, wherever they go. Other clients do not share it.
    pub fn one_limit(self) -> Self {
        self.limit_by(DomainKey::By(Arc::new(|_| "all".to_owned())))
    }

    /// Chooses what shares a limit, in place of the registrable domain.
    pub fn limit_by(mut self, key: DomainKey) -> Self {
        self.politeness.domain_key = key;
        self
    }

    /// Shares the conduct of domains with whoever was given the same, in place of [`Conducts::shared`], which all crawls
    /// and clients of a process share.
    pub fn conducts(mut self, conducts: &Conducts) -> Self {
        self.conducts = conducts.clone();
        self
    }

    /// Takes all limits at once. What it says of robots.txt and of the whole crawl's concurrency does not matter here.
    pub fn politeness(mut self, politeness: Politeness) -> Self {
        self.politeness = politeness;
        self
    }

    /// Looks for a limit that nobody told: begins at the given rate, rises until the server refuses, and settles just
    /// under that. Each domain's limit is kept as long as the client is.
    pub fn adaptive(mut self) -> Self {
        self.adaptive = true;
        self
    }

    /// Tries again this often, and after these waits, what may end better.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Returns redirects to the caller. Otherwise each hop is followed, under a permit of its own domain.
    pub fn keep_redirects(mut self) -> Self {
        self.follow_redirects = false;
        self
    }

    /// Gives each request at most so long, from the writing to the last byte, in place of two minutes. Waiting for the
    /// permit does not count.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.transport.deadlines = self.transport.deadlines.within(limit);
        self
    }

    /// Connects to private and loopback addresses too: for services in your own network.
    pub fn allow_private(mut self) -> Self {
        self.transport.guard.allow_private = true;
        self
    }

    /// Takes the settings of the transport at once.
    pub fn transport(mut self, settings: TransportSettings) -> Self {
        self.transport = settings;
        self
    }

    /// Works with at most so many network threads; 0 is read as 1.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// Creates the client. Its threads start with the first request and end with the last clone.
    ///
    /// # Errors
    /// A setting or the user agent is wrong; the message says what to change.
    pub fn build(self) -> Result<ThrottledClient> {
        user_agent::check(&self.user_agent)?;
        self.politeness.check()?;
        let look_ups =
            Builder::new_current_thread().thread_name("throttled-client-dns").build().map_err(Error::Start)?;
        let transport = SharedTransport::new(self.transport, look_ups.handle())?;
        let shared = Shared {
            queues: DomainQueues::new(&self.conducts, self.politeness, self.adaptive),
            crew: Crew::new(self.threads, transport, user_agent::header(&self.user_agent)?),
            retry: self.retry,
            follow_redirects: self.follow_redirects,
            canonical: CanonicalUrl::default(),
            numbers: AtomicU64::new(0),
            _look_ups: LookUps(Some(look_ups)),
        };
        Ok(ThrottledClient { shared: Arc::new(shared) })
    }
}

/// Owns the threads of look-ups that block. The last clone may end within a runtime, where nothing may be waited for.
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
