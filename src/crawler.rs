//! Crawler: the builder of a crawl. Knows its settings, and no actor (`wiring`).

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
    extract::links::MAX_LINKS,
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
    transport::{SharedTransport, TransportSettings, credentials::OriginCredentials, open_files},
    user_agent,
};

/// Configures and starts a crawl. The shortest program is the politest:
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

/// Opens the caller's own frontier, on the crawl's thread.
type OpenFrontier = Box<dyn FnOnce(Opening) -> Result<Opened> + Send>;

/// All settings of a crawl except its spider and its pipelines.
///
/// ```
/// use std::time::Duration;
///
/// use actix_crawler::{Settings, prelude::*};
///
/// let settings = Settings { parse_timeout: Duration::from_secs(5), max_queued: 100_000, ..Settings::default() };
/// let titles = |page: &Response| Ok(Parsed::of(page.title().map(str::to_owned)));
/// let crawler = Crawler::new(titles, "quotesbot/1.0 (+https://example.org/bot)").settings(settings);
/// ```
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Settings {
    /// How politely domains are treated.
    pub politeness: Politeness,
    /// Which URLs belong to the crawl.
    pub scope: Scope,
    /// When failed requests are retried.
    pub retry: Retry,
    /// Which seen URLs are fetched again.
    pub recrawl: Recrawl,
    /// The network: time-outs, bounds, proxies, TLS.
    pub transport: TransportSettings,
    /// Headers that requests carry; see [`Crawler::header`].
    pub headers: DefaultHeaders,
    /// Network threads, with one fetcher each; one for each core by default.
    pub threads: usize,
    /// The longest that `parse` may take for a page; 30 s by default. A page that takes longer fails.
    pub parse_timeout: Duration,
    /// The longest that a pipeline may take to acknowledge an item; 5 minutes by default. If it takes longer, the
    /// item's page fails and the pipeline is restarted.
    pub pipeline_timeout: Duration,
    /// The most waiting requests in memory.
    pub max_queued: u64,
    /// The most waiting requests of one domain, so that an endless site does not use up the room of all others; further
    /// ones are dropped as `budget/domain_queue_full`. By default a million in memory, ten million with a state.
    pub max_queued_per_domain: Option<u64>,
    /// The most memory for waiting requests, in bytes; further ones are dropped as `budget/queue_full`. Does not apply
    /// with a state.
    pub max_queued_bytes: u64,
    /// The most links that are read from one page; 10,000 by default. What is beyond is dropped as
    /// `budget/links_per_page`.
    pub max_links_per_page: usize,
    /// Whether a page that sends its readers on within 5 s, by a `Refresh` header or `<meta http-equiv=refresh>`, is a
    /// redirect; see [`Crawler::ignore_refresh`].
    pub follow_refresh: bool,
    /// Whether the crawl waits for more seeds when nothing is left to do.
    pub stay_open: bool,
    /// Whether the limit of each domain is searched for; see [`Crawler::adaptive`].
    pub adaptive: bool,
    /// The longest that the crawl may take; see [`Crawler::max_time`].
    pub max_time: Option<Duration>,
    /// Whether signals stop the crawl; see [`Crawler::stop_on_signals`].
    pub stop_on_signals: bool,
    /// The file for the crawl log.
    pub log: Option<PathBuf>,
    /// The directory for the crawl's state, so that it can be resumed; in memory without one.
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
            // Parsing takes milliseconds; what takes half a minute will not end.
            parse_timeout: Duration::from_secs(30),
            // A restarting database may take minutes, and the crawl waits for it.
            pipeline_timeout: Duration::from_secs(300),
            // About 3.5 GB at 350 bytes each; a larger crawl needs a frontier on disk.
            max_queued: 10_000_000,
            max_queued_per_domain: None,
            // The size of `max_queued` ordinary requests; with bodies or states fewer fit.
            max_queued_bytes: 4_000_000_000,
            max_links_per_page: MAX_LINKS,
            follow_refresh: true,
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
    /// Creates a crawl. The user agent names the crawler and a contact, a URL or a mail address: `quotesbot/1.0
    /// (+https://example.org/bot)`.
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

    /// Shares the conduct of domains only with those given the same `conducts`, instead of [`Conducts::shared`], which
    /// all crawls and clients of a process share.
    #[must_use]
    pub fn conducts(mut self, conducts: &Conducts) -> Self {
        self.conducts = conducts.clone();
        self
    }

    /// Adds a seed URL.
    #[must_use]
    pub fn seed(mut self, url: impl AsRef<str>) -> Self {
        self.seeds.push(Request::parse(url.as_ref()));
        self
    }

    /// Adds seed URLs.
    #[must_use]
    pub fn seeds<T: AsRef<str>>(self, urls: impl IntoIterator<Item = T>) -> Self {
        urls.into_iter().fold(self, Self::seed)
    }

    /// Adds a request as a seed.
    #[must_use]
    pub fn request(mut self, request: Request) -> Self {
        self.seeds.push(Ok(request));
        self
    }

    /// Sends items to a pipeline; with several, each gets every item. A page is done when every pipeline has
    /// acknowledged all its items. For the possible replies see [`PipelineError`](crate::pipeline::PipelineError); to
    /// acknowledge many items together, [`Batching`](crate::pipeline::Batching).
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

    /// Replaces all settings.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Replaces the settings of politeness.
    #[must_use]
    pub fn politeness(mut self, politeness: Politeness) -> Self {
        self.settings.politeness = politeness;
        self
    }

    /// Limits the rate of starts at each domain, instead of the default second between two starts.
    #[must_use]
    pub fn rate(mut self, rate: Rate) -> Self {
        self.settings.politeness.rate = Some(rate);
        self
    }

    /// Sets the least time between two starts at each domain, instead of the default second.
    #[must_use]
    pub fn spacing(mut self, spacing: Duration) -> Self {
        self.settings.politeness.spacing = Some(spacing);
        self
    }

    /// Sets the most requests in flight at each domain; 0 is read as 1.
    #[must_use]
    pub fn per_domain(mut self, in_flight: u32) -> Self {
        self.settings.politeness.per_domain = NonZeroU32::new(in_flight).unwrap_or(NonZeroU32::MIN);
        self
    }

    /// Sets the most pages in flight in total; 0 is read as 1.
    #[must_use]
    pub fn concurrency(mut self, in_flight: u32) -> Self {
        self.settings.politeness.concurrency = NonZeroU32::new(in_flight).unwrap_or(NonZeroU32::MIN);
        self
    }

    /// Searches for each domain's limit: starts at the given rate, raises it until the domain refuses, and settles just
    /// below. Only for your own sites, or with permission, since it provokes refusals. Each domain's limit is kept as
    /// long as the crawl runs, at about a kilobyte.
    #[must_use]
    pub fn adaptive(mut self) -> Self {
        self.settings.adaptive = true;
        self
    }

    /// Neither requests nor obeys robots.txt: for your own sites.
    #[must_use]
    pub fn ignore_robots(mut self) -> Self {
        self.settings.politeness.robots = RobotsPolicy::Ignore;
        self
    }

    /// Hands pages that send their readers on to the spider, as any other page. By default such a page is a redirect, if
    /// it does so within 5 s: the spider sees the page that it leads to, and not the page itself. In either case
    /// [`Response::links`](crate::response::Response::links) has the target of a page that the spider sees.
    #[must_use]
    pub fn ignore_refresh(mut self) -> Self {
        self.settings.follow_refresh = false;
        self
    }

    /// Reads at most so many links from one page.
    #[must_use]
    pub fn max_links_per_page(mut self, links: usize) -> Self {
        self.settings.max_links_per_page = links;
        self
    }

    /// Replaces the settings of the scope.
    #[must_use]
    pub fn scope(mut self, scope: Scope) -> Self {
        self.settings.scope = scope;
        self
    }

    /// Sets how far from the seeds' hosts the crawl goes.
    #[must_use]
    pub fn within(mut self, within: Within) -> Self {
        self.settings.scope.within = within;
        self
    }

    /// Sets the most links from a seed to a page.
    #[must_use]
    pub fn max_depth(mut self, depth: u32) -> Self {
        self.settings.scope.max_depth = Some(depth);
        self
    }

    /// Sets the most pages. Successful pages count; redirects, error statuses and robots files do not.
    #[must_use]
    pub fn max_pages(mut self, pages: u64) -> Self {
        self.settings.scope.max_pages = Some(pages);
        self
    }

    /// Sets the most requests. Pages, redirects, error statuses and retries count; robots files do not.
    #[must_use]
    pub fn max_requests(mut self, requests: u64) -> Self {
        self.settings.scope.max_requests = Some(requests);
        self
    }

    /// Sets the number of network threads; 0 is read as 1.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.settings.threads = threads.max(1);
        self
    }

    /// Allows connections to private and loopback addresses: for sites in your own network.
    #[must_use]
    pub fn allow_private(mut self) -> Self {
        self.settings.transport.guard.allow_private = true;
        self
    }

    /// Resolves a host to a given address: `HOST:ADDRESS` or `HOST:ADDRESS:PORT`, `*.test:127.0.0.1:8080`.
    #[must_use]
    pub fn resolve(mut self, rule: impl Into<String>) -> Self {
        self.settings.transport.resolve.push(rule.into());
        self
    }

    /// Writes the crawl log, one JSON line for every request that ended or was dropped: `time`, `url`, `domain`,
    /// `outcome`, `detail`, `status`, `attempt`, `final`, `waited` and `elapsed` in seconds, `bytes`, `depth` and `parent`.
    ///
    /// The lines with `final` form the ledger: one for each finished URL. Other lines report attempts that will be
    /// repeated, and robots files, whose `outcome` begins with `robots/`.
    #[must_use]
    pub fn log(mut self, path: impl Into<PathBuf>) -> Self {
        self.settings.log = Some(path.into());
        self
    }

    /// Keeps the crawl's state in a directory, for crawls that exceed memory or must survive a crash. The same crawl
    /// with the same directory continues where the last one ended, however it ended.
    #[must_use]
    pub fn state(mut self, dir: impl Into<PathBuf>) -> Self {
        self.settings.state = Some(dir.into());
        self
    }

    /// Fetches the seeds again although the crawl's state has seen them, to find new links.
    #[must_use]
    pub fn seeds_again(mut self) -> Self {
        self.settings.recrawl.seeds = true;
        self
    }

    /// Visits a URL again when it is found or seeded this long after it was last admitted: see
    /// [`Recrawl::revisit_after`].
    #[must_use]
    pub fn revisit_after(mut self, age: Duration) -> Self {
        self.settings.recrawl.revisit_after = Some(age);
        self
    }

    /// Waits for more seeds when nothing is left to do, until [`CrawlHandle::close`] or [`CrawlHandle::stop`].
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

    /// Runs the crawl and returns the report. Works within any runtime.
    ///
    /// # Errors
    /// As [`Crawler::start`].
    pub async fn run(self) -> Result<Arc<Report>> {
        self.start()?.wait().await
    }

    /// Runs the crawl and returns the report, for a `main` without a runtime.
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

    /// Starts the crawl on its own threads and returns at once.
    ///
    /// # Errors
    /// A setting, a seed or the user agent is invalid, there is no seed, an output cannot be opened, or the system
    /// cannot start a thread. Each message says what to change; nothing has been fetched then.
    pub fn start(self) -> Result<CrawlHandle> {
        let plan = self.check()?;
        let identity = plan.identity.clone();
        let (report_to, report) = watch::channel(None);
        let (started_to, started) = std::sync::mpsc::sync_channel(1);
        thread::Builder::new()
            .name("crawler".to_owned())
            .spawn(move || run_system(plan, report_to, &started_to))
            .map_err(Error::Start)?;
        // The thread answers, or it dies and its end of the channel is dropped.
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
        // Before any thread is started: the runtime of one that gets no files panics.
        settings.fit_open_files(pipelines.len())?;
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

/// Files that a state has open. With 100,000 requests there were five; merging tables opens more for a moment.
const STATE_FILES: usize = 24;

impl Settings {
    /// Takes as many connections as there are files for, and one thread in place of several where there is none.
    fn fit_open_files(&mut self, pipelines: usize) -> Result<()> {
        let outputs = pipelines + usize::from(self.log.is_some());
        let files = outputs + if self.state.is_some() { STATE_FILES } else { 0 };
        let wanted = self.transport.max_connections;
        // The scheduler has a thread, and so has each output.
        let fit = |threads| open_files::fit(wanted, threads + 1 + outputs, files);
        self.transport.max_connections = fit(self.threads.max(1)).or_else(|_| {
            self.threads = 1;
            fit(1)
        })?;
        Ok(())
    }
}

/// A crawl with checked settings.
struct Plan<S: Spider> {
    spider: Arc<S>,
    user_agent: String,
    seeds: Vec<Request>,
    settings: Settings,
    identity: Arc<dyn Identity>,
    /// Opens the caller's own frontier, if there is one.
    open: Option<OpenFrontier>,
    fetch: FetchStack,
    /// Warnings about the settings, for the report.
    warnings: Vec<String>,
    pipelines: Vec<Box<dyn Pipeline<S::Item>>>,
    conducts: Conducts,
    threads: OffloadThreads,
    offload: Offload,
}
