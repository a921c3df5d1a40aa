//! Crawler: the builder. Knows what a crawl may be told, and no actor (`wiring`).

mod frontier;
mod middleware;
mod network;
#[cfg(test)]
mod seam_tests;
mod wiring;

use std::{num::NonZeroU32, path::PathBuf, sync::Arc, thread, time::Duration};

use tokio::sync::watch;

use self::wiring::run_system;
use crate::{
    conducts::Conducts,
    error::{Error, Result},
    fetcher::{
        layers::MiddlewareLayer,
        offload::{Offload, OffloadThreads},
        stack::{FetchStack, Layer},
    },
    frontier::durable::{Opened, Opening},
    handle::CrawlHandle,
    identity::Identity,
    middleware::{AnyMiddleware, DefaultHeaders, with_headers},
    pipeline::{Each, Pipeline},
    politeness::{Politeness, RobotsPolicy},
    rate::Rate,
    recrawl::Recrawl,
    report::Report,
    request::Request,
    retry::Retry,
    scope::{Scope, Within},
    spider::Spider,
    transport::{SharedTransport, TransportSettings, credentials::OriginCredentials},
    user_agent,
};

/// A crawl that is being set up. The shortest is the politest:
///
/// ```no_run
/// # use actix_crawler::prelude::*;
/// # async fn example(quotes: impl Spider<Item = String>) -> Result<()> {
/// let report = Crawler::new(quotes, "quotesbot/1.0 (+https://example.org/bot)")
///     .seed("https://quotes.toscrape.com/")
///     .pipeline(JsonLines::create("quotes.jsonl"))
///     .run()
///     .await?;
/// # Ok(()) }
/// ```
pub struct Crawler<S: Spider> {
    spider: S,
    user_agent: String,
    seeds: Vec<Result<Request>>,
    settings: Settings,
    identity: Option<Arc<dyn Identity>>,
    frontier: Option<OpenFrontier>,
    layers: Vec<Arc<dyn Layer>>,
    middleware: Vec<AnyMiddleware>,
    pipelines: Vec<Box<dyn Pipeline<S::Item>>>,
    conducts: Conducts,
}

/// Opens a frontier of the caller's own, on the crawl's thread.
type OpenFrontier = Box<dyn FnOnce(Opening) -> Result<Opened> + Send>;

/// Everything about a crawl but its spider and its pipelines.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How politely.
    pub politeness: Politeness,
    /// Which URLs.
    pub scope: Scope,
    /// How often again.
    pub retry: Retry,
    /// What is fetched again although it was seen.
    pub recrawl: Recrawl,
    /// How bytes get here.
    pub transport: TransportSettings,
    /// Headers that requests carry; see [`Crawler::header`].
    pub headers: DefaultHeaders,
    /// Threads for the network, one fetcher on each; as many as there are cores by default.
    pub threads: usize,
    /// The longest that a page's `parse` may take; 30 s by default. A page that takes longer fails.
    pub parse_timeout: Duration,
    /// The longest that a pipeline may take to acknowledge an item; 5 minutes by default. The page of an item that takes
    /// longer fails, and the pipeline is started again.
    pub pipeline_timeout: Duration,
    /// The most requests that wait in memory.
    pub max_queued: u64,
    /// The most requests of one domain that wait, so that an endless site does not take the room of all others; what is
    /// found beyond is dropped as `budget/domain_queue_full`. By default a million in memory, ten million with a state.
    pub max_queued_per_domain: Option<u64>,
    /// The most bytes of memory that waiting requests take; what is found beyond is dropped as `budget/queue_full`. It
    /// does not hold with a state.
    pub max_queued_bytes: u64,
    /// Whether the crawl waits for seeds when it has nothing to do.
    pub stay_open: bool,
    /// Whether the limit of each domain is looked for; see [`Crawler::adaptive`].
    pub adaptive: bool,
    /// The longest that the crawl may take; see [`Crawler::max_time`].
    pub max_time: Option<Duration>,
    /// Whether signals stop the crawl; see [`Crawler::stop_on_signals`].
    pub stop_on_signals: bool,
    /// Where the crawl log is written.
    pub log: Option<PathBuf>,
    /// The directory that the crawl's state is kept in, so that it can be resumed; in memory without one.
    pub state: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            politeness: Politeness::default(),
            scope: Scope::default(),
            retry: Retry::default(),
            recrawl: Recrawl::default(),
            transport: TransportSettings::default(),
            headers: DefaultHeaders::new(),
            threads: thread::available_parallelism().map_or(1, usize::from),
            // Parsing takes milliseconds; what takes half a minute does not end.
            parse_timeout: Duration::from_secs(30),
            // A database that is being restarted may take minutes, and the crawl waits for it.
            pipeline_timeout: Duration::from_secs(300),
            // About 3.5 GB at 350 bytes each; a larger crawl wants a frontier on disk.
            max_queued: 10_000_000,
            max_queued_per_domain: None,
            // What `max_queued` usual requests take; requests with bodies or states weigh more, and are fewer then.
            max_queued_bytes: 4_000_000_000,
            stay_open: false,
            adaptive: false,
            max_time: None,
            stop_on_signals: false,
            log: None,
            state: None,
        }
    }
}

impl<S: Spider> Crawler<S> {
    /// Sets up a crawl. The user agent names the crawler and a contact, a URL or a mail address:
    /// `quotesbot/1.0 (+https://example.org/bot)`.
    pub fn new(spider: S, user_agent: impl Into<String>) -> Self {
        let seeds = spider.seeds().into_iter().map(Ok).collect();
        Self {
            spider,
            user_agent: user_agent.into(),
            seeds,
            settings: Settings::default(),
            identity: None,
            frontier: None,
            layers: Vec::new(),
            middleware: Vec::new(),
            pipelines: Vec::new(),
            conducts: Conducts::shared(),
        }
    }

    /// Shares the conduct of domains with whoever was given the same, in place of [`Conducts::shared`], which all crawls
    /// and clients of a process share.
    #[must_use]
    pub fn conducts(mut self, conducts: &Conducts) -> Self {
        self.conducts = conducts.clone();
        self
    }

    /// Begins at this URL.
    #[must_use]
    pub fn seed(mut self, url: impl AsRef<str>) -> Self {
        self.seeds.push(Request::parse(url.as_ref()));
        self
    }

    /// Begins at these URLs.
    #[must_use]
    pub fn seeds<T: AsRef<str>>(self, urls: impl IntoIterator<Item = T>) -> Self {
        urls.into_iter().fold(self, Self::seed)
    }

    /// Begins with this request.
    #[must_use]
    pub fn request(mut self, request: Request) -> Self {
        self.seeds.push(Ok(request));
        self
    }

    /// Sends items to a pipeline; each of several gets every item. A page is done when every pipeline has acknowledged all
    /// its items. [`PipelineError`](crate::pipeline::PipelineError) says what a pipeline can answer, and
    /// [`Batching`](crate::pipeline::Batching) how it acknowledges many items together.
    #[must_use]
    pub fn pipeline(mut self, pipeline: impl Pipeline<S::Item>) -> Self {
        self.pipelines.push(Box::new(pipeline));
        self
    }

    /// Calls a function with each item. A panic in it fails the item's page.
    #[must_use]
    pub fn each(self, call: impl Fn(&S::Item) + Send + Sync + 'static) -> Self {
        self.pipeline(Each::new(call))
    }

    /// Puts a layer around every request, robots files included, below all middleware.
    #[cfg(test)]
    pub(crate) fn layer(mut self, layer: impl Layer) -> Self {
        self.layers.push(Arc::new(layer));
        self
    }

    /// Takes all settings at once.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Takes the settings of politeness at once.
    #[must_use]
    pub fn politeness(mut self, politeness: Politeness) -> Self {
        self.settings.politeness = politeness;
        self
    }

    /// Starts at most so often at each domain, in place of the default second between two starts.
    #[must_use]
    pub fn rate(mut self, rate: Rate) -> Self {
        self.settings.politeness.rate = Some(rate);
        self
    }

    /// Leaves at least so long between two starts at each domain, in place of the default second.
    #[must_use]
    pub fn spacing(mut self, spacing: Duration) -> Self {
        self.settings.politeness.spacing = Some(spacing);
        self
    }

    /// Allows so many requests in flight at each domain; 0 is read as 1.
    #[must_use]
    pub fn per_domain(mut self, in_flight: u32) -> Self {
        self.settings.politeness.per_domain = NonZeroU32::new(in_flight).unwrap_or(NonZeroU32::MIN);
        self
    }

    /// Allows so many pages in flight in all; 0 is read as 1.
    #[must_use]
    pub fn concurrency(mut self, in_flight: u32) -> Self {
        self.settings.politeness.concurrency = NonZeroU32::new(in_flight).unwrap_or(NonZeroU32::MIN);
        self
    }

    /// Looks for each domain's limit: begins at the given rate, rises until the domain refuses, and settles just under
    /// that. For sites of your own, or with leave: nobody else wants to be asked until it hurts. Each domain's limit is
    /// kept as long as the crawl is, at about a kilobyte.
    #[must_use]
    pub fn adaptive(mut self) -> Self {
        self.settings.adaptive = true;
        self
    }

    /// Neither asks for robots.txt nor obeys it: for sites of your own.
    #[must_use]
    pub fn ignore_robots(mut self) -> Self {
        self.settings.politeness.robots = RobotsPolicy::Ignore;
        self
    }

    /// Takes the scope's settings at once.
    #[must_use]
    pub fn scope(mut self, scope: Scope) -> Self {
        self.settings.scope = scope;
        self
    }

    /// Stays this near to the seeds' hosts.
    #[must_use]
    pub fn within(mut self, within: Within) -> Self {
        self.settings.scope.within = within;
        self
    }

    /// Follows at most so many links from a seed.
    #[must_use]
    pub fn max_depth(mut self, depth: u32) -> Self {
        self.settings.scope.max_depth = Some(depth);
        self
    }

    /// Takes at most so many pages. Pages that ended well count; redirects, error statuses and robots files do not.
    #[must_use]
    pub fn max_pages(mut self, pages: u64) -> Self {
        self.settings.scope.max_pages = Some(pages);
        self
    }

    /// Makes at most so many requests. Pages, redirects, error statuses and retries count; robots files do not.
    #[must_use]
    pub fn max_requests(mut self, requests: u64) -> Self {
        self.settings.scope.max_requests = Some(requests);
        self
    }

    /// Works with so many network threads; 0 is read as 1.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.settings.threads = threads.max(1);
        self
    }

    /// Connects to private and loopback addresses too: for sites in your own network.
    #[must_use]
    pub fn allow_private(mut self) -> Self {
        self.settings.transport.guard.allow_private = true;
        self
    }

    /// Resolves a host to an address of your choice: `HOST:ADDRESS` or `HOST:ADDRESS:PORT`, `*.test:127.0.0.1:8080`.
    #[must_use]
    pub fn resolve(mut self, rule: impl Into<String>) -> Self {
        self.settings.transport.resolve.push(rule.into());
        self
    }

    /// Writes the crawl log, one JSON line for every request that ended or was dropped; its fields are those of a
    /// [`LogLine`](crate::engine::log_line::LogLine).
    ///
    /// The lines with `final` are the ledger: one for each URL that is done with. Others tell of attempts that are
    /// repeated, and of robots files, whose `outcome` begins with `robots/`.
    #[must_use]
    pub fn log(mut self, path: impl Into<PathBuf>) -> Self {
        self.settings.log = Some(path.into());
        self
    }

    /// Keeps the crawl's state in a directory: crawls larger than memory, that a crash does not harm. The same crawl
    /// with the same directory goes on where the last ended, however that ended.
    #[must_use]
    pub fn state(mut self, dir: impl Into<PathBuf>) -> Self {
        self.settings.state = Some(dir.into());
        self
    }

    /// Fetches the seeds although the crawl's state has seen them, to find what is new since.
    #[must_use]
    pub fn seeds_again(mut self) -> Self {
        self.settings.recrawl.seeds = true;
        self
    }

    /// Visits a URL again when it is found or seeded so long after it was last taken in: see
    /// [`Recrawl::revisit_after`].
    #[must_use]
    pub fn revisit_after(mut self, age: Duration) -> Self {
        self.settings.recrawl.revisit_after = Some(age);
        self
    }

    /// Waits for more seeds when there is nothing to do, until [`CrawlHandle::close`] or [`CrawlHandle::stop`].
    #[must_use]
    pub fn stay_open(mut self) -> Self {
        self.settings.stay_open = true;
        self
    }

    /// Stops after this time: what is in flight ends as usual, and what waits stays queued.
    #[must_use]
    pub fn max_time(mut self, time: Duration) -> Self {
        self.settings.max_time = Some(time);
        self
    }

    /// Stops when the process is asked to end, by SIGTERM or ctrl-c: what is in flight ends as usual. A second signal ends
    /// the crawl at once. These signals no longer end the process by themselves, also after the crawl.
    #[must_use]
    pub fn stop_on_signals(mut self) -> Self {
        self.settings.stop_on_signals = true;
        self
    }

    /// Crawls, and returns the report. Works within any runtime.
    ///
    /// # Errors
    /// As [`Crawler::start`].
    pub async fn run(self) -> Result<Arc<Report>> {
        self.start()?.wait().await
    }

    /// Crawls, and returns the report: for a `main` without a runtime.
    ///
    /// # Errors
    /// As [`Crawler::start`].
    pub fn run_blocking(self) -> Result<Arc<Report>> {
        if tokio::runtime::Handle::try_current().is_ok() {
            let why = "run_blocking() was called within a runtime; call run().await there";
            return Err(Error::Start(std::io::Error::other(why)));
        }
        let handle = self.start()?;
        let waiting = tokio::runtime::Builder::new_current_thread().build().map_err(Error::Start)?;
        waiting.block_on(handle.wait())
    }

    /// Starts the crawl on threads of its own and returns at once.
    ///
    /// # Errors
    /// A setting, a seed or the user agent is wrong, there is no seed, an output cannot be opened, or the system refuses
    /// a thread. Each names what to change; nothing was fetched then.
    pub fn start(self) -> Result<CrawlHandle> {
        let plan = self.check()?;
        let identity = plan.identity.clone();
        let (report_to, report) = watch::channel(None);
        let (started_to, started) = std::sync::mpsc::sync_channel(1);
        thread::Builder::new()
            .name("crawler".to_owned())
            .spawn(move || run_system(plan, report_to, &started_to))
            .map_err(Error::Start)?;
        // The thread answers, or dies and drops its end.
        let scheduler = started.recv().map_err(|_| Error::Ended)??;
        Ok(CrawlHandle::new(scheduler, report, identity))
    }

    fn check(self) -> Result<Plan<S>> {
        let Self {
            spider,
            user_agent,
            seeds,
            mut settings,
            identity,
            frontier,
            layers,
            middleware,
            pipelines,
            conducts,
        } = self;
        let identity = identity.unwrap_or_else(|| Arc::new(settings.scope.canonical.clone()));
        let seeds = seeds.into_iter().collect::<Result<Vec<_>>>()?;
        let in_seeds = seeds.iter().filter_map(|seed| OriginCredentials::in_url(&seed.url));
        settings.transport.credentials.extend(in_seeds);
        if seeds.is_empty() && !settings.stay_open {
            return Err(Error::setting("seeds", "none is given; begin with .seed(\"https://…\")"));
        }
        settings.politeness.check()?;
        let at_home = !seeds.is_empty() && seeds.iter().all(|seed| user_agent::is_loopback(&seed.url));
        if !at_home {
            user_agent::check(&user_agent)?;
        }
        for seed in &seeds {
            user_agent::check_headers(&seed.headers, &seed.url)?;
        }
        let said = user_agent::header(&user_agent)?;
        let (threads, offload) = OffloadThreads::new(settings.threads, settings.parse_timeout)?;
        let transport = SharedTransport::new(settings.transport.clone(), offload.threads())?;
        let warnings = transport.warnings();
        settings.headers.check()?;
        let middleware = with_headers(settings.headers.clone(), middleware);
        let fetch = FetchStack::http(transport, said).layers(layers);
        let fetch = if middleware.is_empty() {
            fetch
        } else {
            fetch.layer(MiddlewareLayer::new(middleware, offload.clone(), settings.transport.body))
        };
        Ok(Plan {
            spider: Arc::new(spider),
            user_agent,
            seeds,
            settings,
            identity,
            open: frontier,
            fetch,
            warnings,
            pipelines,
            conducts,
            threads,
            offload,
        })
    }
}

/// A crawl whose settings are checked.
struct Plan<S: Spider> {
    spider: Arc<S>,
    user_agent: String,
    seeds: Vec<Request>,
    settings: Settings,
    identity: Arc<dyn Identity>,
    /// Opens the frontier, where the caller brings one.
    open: Option<OpenFrontier>,
    fetch: FetchStack,
    /// What the report has to say of the settings.
    warnings: Vec<String>,
    pipelines: Vec<Box<dyn Pipeline<S::Item>>>,
    conducts: Conducts,
    threads: OffloadThreads,
    offload: Offload,
}
