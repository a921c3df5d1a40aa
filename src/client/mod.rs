//! ThrottledClient: an HTTP client in which every request waits for its permit: exactly N requests a second, in
//! parallel, from any thread. Uses the crawler's throttle, gate and transport, and has no limiter of its own.
//!
//! ```text
//! client.get(url).send() ─→ DomainQueue ──Permit──→ Workers (arbiters) ─→ Fetch ─→ caller
//!                            ▲ first come, first served  │
//!                            └─ a refusal, a retry, a hop ┘
//! ```

mod attempt;
mod builder;
mod domain_queue;
mod domain_queues;
mod execute;
mod job;
mod login;
mod network;
mod places;
mod request;
mod response;
mod sessions;
mod workers;

use std::{
    fmt, io,
    num::NonZeroU32,
    pin::Pin,
    sync::{Arc, Weak, atomic::AtomicU64},
    time::Instant,
};

use http::Method;

pub(crate) use self::login::{LogInByFunction, LogInFunction, log_in_function};
pub use self::{
    builder::ClientBuilder,
    execute::{Completion, Execution, ExecutionProgress, FailFast, IntoRequest, Written},
    login::Login,
    request::RequestBuilder,
    response::Response,
};
use self::{
    builder::LookUps,
    domain_queue::{Dispatcher, DomainQueue, Undispatched},
    domain_queues::DomainQueues,
    job::{ClientJob, JobQueue},
    places::ClientPlaces,
    workers::ClientWorkers,
};
pub use crate::fetcher::http::ACCEPT_PAGES;
use crate::{
    capacity::Place,
    conduct::throttle::Evidence,
    domain::Domain,
    error::{Error, Result},
    fetcher::offload::OffloadThreads,
    permit::Permit,
    rate::Rate,
    sessions::SessionPool,
    transport::body::BodyLimits,
    warc::Archive,
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
    shared: Arc<SharedClient>,
}

/// What all clones of a client share.
struct SharedClient {
    /// The places in flight of a shared capacity; none without one.
    places: Option<ClientPlaces>,
    queues: DomainQueues,
    workers: ClientWorkers,
    body: BodyLimits,
    /// The `Accept` header of requests that have none.
    accept: String,
    /// Numbers the requests, which are served in this order.
    numbers: AtomicU64,
    /// The sessions that requests are sent in; none where no cookies are kept.
    sessions: Option<SessionPool>,
    archive: Option<Archive>,
    /// The threads for name look-ups, and for writing the archive.
    _look_ups: LookUps,
    /// Where blocking middleware runs; none without one.
    _hooks: Option<OffloadThreads>,
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
        ClientBuilder::new(user_agent.into())
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

    /// Begins a request with any method. A user name and a password in its URL are sent to its origin (RFC 7617),
    /// unless it has an `Authorization`, and shown to nobody.
    pub fn request(&self, method: Method, url: impl AsRef<str>) -> RequestBuilder {
        RequestBuilder::new(self.clone(), method, url.as_ref())
    }

    /// Changes the rate of all domains without an override, at once. Earlier starts still count, for a day at most. A
    /// window of more than a day is shortened to a day.
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

    /// Returns the sessions of this client, to look at them and to save them; `None` where it keeps no cookies.
    pub fn sessions(&self) -> Option<&SessionPool> {
        self.shared.sessions.as_ref()
    }

    /// Closes the archive, if there is [one](ClientBuilder::archive): waits until its last file has its index and its
    /// final name. Call it in a program that ends right after its last request; otherwise the next program with the
    /// same folder completes the file. Later requests fail.
    ///
    /// # Errors
    /// A file has no index. Its records are written all the same.
    pub async fn close_archive(&self) -> Result<()> {
        let complaints = match &self.shared.archive {
            Some(archive) => archive.close().await,
            None => Vec::new(),
        };
        if complaints.is_empty() { Ok(()) } else { Err(Error::Output(complaints.join("; "))) }
    }

    /// Returns the evidence of this client's requests to a domain, measured at the moment of writing; `None` if it sent
    /// none recently. Gaps are measured from the previous start by any tenant.
    pub fn evidence(&self, domain: &Domain) -> Option<Evidence> {
        self.shared.queues.evidence(domain)
    }
}

impl SharedClient {
    /// Puts a job into the queue of its domain.
    fn admit(self: &Arc<Self>, mut job: ClientJob) -> Arc<DomainQueue> {
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

impl Dispatcher for SharedClient {
    fn dispatch(self: Arc<Self>, permit: Permit, job: ClientJob) -> Result<(), Box<Undispatched>> {
        let queue: Weak<Self> = Arc::downgrade(&self);
        self.workers.assign(queue, permit, job)
    }

    fn place(&self, queue: &Arc<DomainQueue>, now: Instant) -> Result<Option<Place>, Instant> {
        self.places.as_ref().map(|places| places.take(queue, now)).transpose()
    }

    fn spawn(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>) -> io::Result<()> {
        self.workers.spawn(task)
    }

    fn forget(&self, queue: &Arc<DomainQueue>) -> bool {
        self.queues.forget(queue)
    }
}

impl JobQueue for SharedClient {
    fn requeue(self: Arc<Self>, job: ClientJob) {
        drop(self.admit(job));
    }
}

impl fmt::Debug for ThrottledClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThrottledClient").finish_non_exhaustive()
    }
}
