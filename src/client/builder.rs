//! ClientBuilder: the settings of a ThrottledClient, and how it is put together. Knows no requests.

use std::{
    fmt,
    num::NonZeroU32,
    sync::{Arc, Mutex, atomic::AtomicU64},
    thread,
    time::Duration,
};

use tokio::runtime::{Builder, Handle, Runtime};

use super::{
    SharedClient, ThrottledClient, attempt::Rules, domain_queues::DomainQueues, login::LogInFunction,
    places::ClientPlaces, workers::ClientWorkers,
};
use crate::{
    capacity::Capacity,
    clock,
    conducts::Conducts,
    domain::DomainKey,
    error::{Error, Result},
    fetcher::{
        layers::{MiddlewareLayer, SessionLayer},
        offload::OffloadThreads,
        stack::FetchStack,
    },
    identity::CanonicalUrl,
    middleware::{AnyMiddleware, AsyncMiddleware, DefaultHeaders, Middleware, with_headers},
    politeness::{Override, Politeness},
    rate::Rate,
    retry::Retry,
    sessions::{SessionPool, Sessions},
    transport::{SharedTransport, TransportSettings, open_files},
    user_agent,
};

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
#[derive(Clone)]
#[must_use = "it becomes a client with build()"]
#[allow(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
pub struct ClientBuilder {
    user_agent: String,
    politeness: Politeness,
    pub(super) transport: TransportSettings,
    retry: Retry,
    follow_redirects: bool,
    retry_refusals: bool,
    accept: String,
    adaptive: bool,
    pub(super) threads: usize,
    conducts: Conducts,
    pub(super) capacity: Option<Capacity>,
    pub(super) middleware: Vec<AnyMiddleware>,
    /// Whether middleware also sees responses; for log-ins it sees requests only.
    pub(super) judges_responses: bool,
    pub(super) headers: DefaultHeaders,
    pub(super) sessions: Sessions,
    pub(super) log_in: Option<LogInFunction>,
}

/// The longest that a hook of a middleware may take: as long as a crawl lets a page's `parse` take.
const HOOK_TIMEOUT: Duration = Duration::from_secs(30);

impl ClientBuilder {
    /// The defaults.
    pub(super) fn new(user_agent: String) -> Self {
        let transport = TransportSettings::default();
        let most = u32::try_from(transport.max_connections).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MAX);
        Self {
            user_agent,
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
            capacity: None,
            middleware: Vec::new(),
            judges_responses: true,
            headers: DefaultHeaders::new(),
            sessions: Sessions::new(),
            log_in: None,
        }
    }

    /// Sets the rate at which requests to each domain start; one a second by default.
    #[doc(alias("rate_limit", "limit", "throttle"))]
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
    #[doc(alias("concurrent_requests", "max_concurrency"))]
    pub fn concurrency(mut self, in_flight: u32) -> Self {
        self.politeness.per_domain = NonZeroU32::new(in_flight).unwrap_or(NonZeroU32::MIN);
        self
    }

    /// Applies one limit to all requests of this client together, whatever their domains. Other clients do not share
    /// it.
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

    /// Keeps a bound on requests in flight and on the memory of bodies together with all that are given the same
    /// `capacity`.
    pub fn capacity(mut self, capacity: &Capacity) -> Self {
        self.capacity = Some(capacity.clone());
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
    #[doc(alias = "max_retries")]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Returns redirects to the caller. By default they are followed, at most 20 in a row, each under a permit of its
    /// own domain. A page that sends its readers on by a `Refresh` header or `<meta http-equiv=refresh>` is no redirect
    /// for a client, but an answer like any other: what an API says is data.
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

    /// Puts a middleware around each request; several are called in the order in which they are given. See
    /// [`Middleware`]. A request that a middleware ends fails with [`Error::Middleware`].
    pub fn middleware(mut self, middleware: impl Middleware) -> Self {
        self.middleware.push(AnyMiddleware::Blocking(Arc::new(middleware)));
        self
    }

    /// As [`ClientBuilder::middleware`], for one whose hooks are async.
    pub fn async_middleware(mut self, middleware: impl AsyncMiddleware) -> Self {
        self.middleware.push(AnyMiddleware::Async(Arc::new(middleware)));
        self
    }

    /// Sends a header with every request that has none of its name, to whatever origin. A `Host`, and one whose name
    /// looks like a secret, is refused, since it would go to all of them: bind it with [`ClientBuilder::header_for`].
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
        self.build_checked()
    }

    pub(super) fn build_checked(self) -> Result<ThrottledClient> {
        self.politeness.check()?;
        let log_in = self.who_logs_in()?;
        let mut settings = self.transport;
        settings.max_connections = open_files::fit(settings.max_connections, self.threads, 0)?;
        let look_ups =
            Builder::new_current_thread().thread_name("throttled-client-dns").build().map_err(Error::Start)?;
        let body = settings.body;
        let secret_headers = settings.secret_headers.clone();
        // Virtual time stands still while tasks run on its own runtime's threads.
        let look_up_on = if clock::is_virtual() { Handle::current() } else { look_ups.handle().clone() };
        // Guarded before anything can fail: see there.
        let look_ups = LookUps(Some(look_ups));
        let sessions = SessionPool::open(&self.sessions, settings.cookies, log_in.is_some(), &look_up_on)?;
        let transport = SharedTransport::new(settings, &look_up_on)?.sharing(self.capacity.as_ref());
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
        self.headers.check_with(&rules.secret_headers)?;
        let middleware = with_headers(self.headers, self.middleware);
        let archive = transport.archive().cloned();
        let fetch = FetchStack::http(transport, user_agent::header(&self.user_agent)?);
        let (fetch, hooks) = if middleware.is_empty() {
            (fetch, None)
        } else {
            let (threads, offload) = OffloadThreads::new(self.threads, HOOK_TIMEOUT)?;
            let layer = MiddlewareLayer::new(middleware, offload, body);
            let layer = if self.judges_responses { layer } else { layer.before_only() };
            (fetch.layer(layer), Some(threads))
        };
        let fetch = match &sessions {
            Some(sessions) => fetch.layer(SessionLayer::new(sessions.clone(), log_in)?),
            None => fetch,
        };
        let shared = |places| SharedClient {
            places,
            queues: DomainQueues::new(&self.conducts, self.politeness, self.adaptive),
            workers: ClientWorkers::new(self.threads, fetch, rules),
            body,
            accept: self.accept,
            numbers: AtomicU64::new(0),
            sessions,
            archive,
            _look_ups: look_ups,
            _hooks: hooks,
        };
        let shared =
            Arc::new_cyclic(|client| shared(self.capacity.map(|capacity| ClientPlaces::of(&capacity, client.clone()))));
        Ok(ThrottledClient { shared })
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("user_agent", &self.user_agent)
            .field("politeness", &self.politeness)
            .field("sessions", &self.sessions)
            .field("middleware", &self.middleware)
            .finish_non_exhaustive()
    }
}

/// Owns the threads for name look-ups. The last clone of a client may be dropped inside a runtime, where waiting for
/// threads to end would panic, so they are shut down in the background.
pub(super) struct LookUps(Option<Runtime>);

impl Drop for LookUps {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
