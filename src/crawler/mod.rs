//! Crawler: the builder of a crawl. Knows its settings, and no actor (`wiring`).

mod bounds;
mod cluster;
mod files;
mod frontier;
#[cfg(feature = "derive")]
mod item_spider;
mod items;
mod middleware;
mod network;
mod pace;
mod plan;
mod sessions;
mod sitemaps;
mod fetchers;
#[cfg(test)]
mod seam_tests;
mod wiring;

use std::{path::PathBuf, sync::Arc, thread, time::Duration};

use tokio::sync::oneshot;

use self::wiring::{run_here, run_system};
use crate::{
    capacity::Capacity,
    client::LogInFunction,
    clock,
    cluster::ClusterSettings,
    conducts::Conducts,
    error::{Error, Result},
    fetcher::layer::Layer,
    files::FileFields,
    frontier::durable::{Opened, Opening},
    handle::CrawlHandle,
    identity::Identity,
    middleware::AnyMiddleware,
    order::BestFirst,
    pipeline::{Each, Pipeline, StepsAhead},
    report::Report,
    request::Request,
    response::conversion::Conversions,
    settings::Settings,
    sitemaps::SitemapRule,
    spider::Spider,
    validation::Validate,
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
///
/// What it may do and where it keeps its state is said before it runs:
///
/// ```
/// use actix_crawler::prelude::*;
///
/// let titles = |page: &Response| Ok(Parsed::of(page.title().map(str::to_owned)).follow(page.links()));
/// let crawler = Crawler::new(titles, "quotesbot/1.0 (+https://example.org/bot)")
///     .seed("https://quotes.toscrape.com/")
///     .within(Within::Host)
///     .state("quotes.state");
/// ```
pub struct Crawler<S: Spider> {
    spider: S,
    user_agent: String,
    seeds: Vec<Result<Request>>,
    /// What is wrong with an argument of the builder: told when the crawl starts.
    wrong: Option<Error>,
    settings: Settings,
    identity: Option<Arc<dyn Identity>>,
    frontier: Option<OpenOwnFrontier>,
    layers: Vec<Arc<dyn Layer>>,
    middleware: Vec<AnyMiddleware>,
    log_in: Option<LogInFunction>,
    sitemap_rule: Option<SitemapRule>,
    conversions: Conversions,
    validators: Vec<Box<dyn Validate<S::Item>>>,
    steps: StepsAhead<S::Item>,
    best_first: Option<BestFirst>,
    pipelines: Vec<Box<dyn Pipeline<S::Item>>>,
    /// The fields of items that have files.
    file_fields: FileFields<S::Item>,
    conducts: Conducts,
    capacity: Option<Capacity>,
    cluster: Option<ClusterSettings>,
}

/// Opens the caller's own frontier, on the crawl's thread.
type OpenOwnFrontier = Box<dyn FnOnce(Opening) -> Result<Opened> + Send>;

impl<S: Spider> Crawler<S> {
    /// Creates a crawl. The user agent names the crawler and a contact, a URL or a mail address: `quotesbot/1.0
    /// (+https://example.org/bot)`.
    #[doc(alias = "user_agent")]
    pub fn new(spider: S, user_agent: impl Into<String>) -> Self {
        let seeds = spider.seeds().into_iter().map(Ok).collect();
        Self {
            spider,
            user_agent: user_agent.into(),
            seeds,
            wrong: None,
            settings: Settings::default(),
            identity: None,
            frontier: None,
            layers: Vec::new(),
            middleware: Vec::new(),
            log_in: None,
            sitemap_rule: None,
            conversions: Conversions::default(),
            validators: Vec::new(),
            steps: StepsAhead::default(),
            best_first: None,
            pipelines: Vec::new(),
            file_fields: FileFields::default(),
            conducts: Conducts::shared(),
            capacity: None,
            cluster: None,
        }
    }

    /// Creates a crawl with all that a file says: its seeds, its User-Agent, and all other settings. What is called
    /// after it replaces the file's.
    ///
    /// ```
    /// use actix_crawler::{Settings, prelude::*};
    ///
    /// let titles = |page: &Response| Ok(Parsed::of(page.title().map(str::to_owned)));
    /// let file = r#"{ "seeds": ["https://example.org/"], "contact": "https://example.org/bot", "scope": { "max_pages": 9 } }"#;
    /// let settings: Settings = serde_json::from_str(file)?;
    /// let crawler = Crawler::from_settings(titles, settings).max_depth(2);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub fn from_settings(spider: S, settings: Settings) -> Self {
        Self::new(spider, settings.composed_user_agent()).settings(settings)
    }

    /// Shares the conduct of domains only with those given the same `conducts`, instead of [`Conducts::shared`], which
    /// all crawls and clients of a process share.
    #[must_use]
    pub fn conducts(mut self, conducts: &Conducts) -> Self {
        self.conducts = conducts.clone();
        self
    }

    /// Keeps a bound on requests in flight and on the memory of bodies together with all that are given the same
    /// `capacity`.
    #[must_use]
    pub fn capacity(mut self, capacity: &Capacity) -> Self {
        self.capacity = Some(capacity.clone());
        self
    }

    /// Adds a seed URL.
    #[doc(alias("start_urls", "visit"))]
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
    #[doc(alias = "start_requests")]
    #[must_use]
    pub fn request(mut self, request: Request) -> Self {
        self.seeds.push(Ok(request));
        self
    }

    /// Sends items to a pipeline; with several, each gets every item. A page is done when every pipeline has
    /// acknowledged all its items. For the possible replies see [`PipelineError`](crate::pipeline::PipelineError); to
    /// acknowledge many items together, [`Batching`](crate::pipeline::Batching).
    #[doc(alias = "item_pipelines")]
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

    /// Replaces all settings, also those that were set before. Their seeds come after those that are given here; the
    /// User-Agent stays.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Changes the settings that have no function here, and leaves the others as they are.
    ///
    /// ```
    /// # use actix_crawler::prelude::*;
    /// # fn with(crawler: Crawler<fn(&Response) -> Result<Parsed<String>>>) {
    /// let crawler = crawler.rate(Rate::per_second(5)).configure(|settings| {
    ///     settings.transport.max_connections = 64;
    ///     settings.sitemaps.min_priority = Some(0.3);
    /// });
    /// # }
    /// ```
    #[must_use]
    pub fn configure(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
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
    /// `outcome`, `detail`, `status`, `attempt`, `final`, `waited` and `elapsed` in seconds, `bytes`, `depth` and
    /// `parent`.
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
    #[doc(alias = "jobdir")]
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
    /// [`Recrawl::revisit_after`](crate::Recrawl::revisit_after).
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

    /// Stops when the process is asked to end, by SIGTERM or ctrl-c: what is in flight ends as usual. A second signal
    /// ends the crawl at once. These signals no longer end the process by themselves, also after the crawl.
    #[must_use]
    pub fn stop_on_signals(mut self) -> Self {
        self.settings.stop_on_signals = true;
        self
    }

    /// Runs the crawl and returns the report. Works within any runtime. A crawl that fails on its way, since its output
    /// broke for instance, has a report too: [`Report::check`](crate::Report::check) makes an error of it.
    ///
    /// # Errors
    /// As [`Crawler::start`].
    pub async fn run(self) -> Result<Arc<Report>> {
        let (started_to, started) = oneshot::channel();
        // The caller may wait no longer; the crawl then goes on.
        self.start_thread(move |started| drop(started_to.send(started)))?;
        let handle = started.await.map_err(|_| Error::Ended)??;
        handle.wait().await
    }

    /// Runs the crawl and returns the report, as [`Crawler::run`] does, for a `main` without a runtime.
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

    /// Runs the crawl as [`Crawler::run_blocking`] does, and makes an error of one that failed on its way, as
    /// [`Report::check`](crate::Report::check) does: the last line of a `main` with nothing else to do. It prints
    /// nothing: the report goes to `tracing`, at the level of information, and `tracing_subscriber::fmt::init()` at the
    /// beginning of `main` shows it.
    ///
    /// ```no_run
    /// use actix_crawler::prelude::*;
    ///
    /// #[derive(Extract, serde::Serialize)]
    /// struct Product {
    ///     #[extract(css = "h1")]
    ///     name: String,
    ///     #[extract(css = ".price")]
    ///     price: f64,
    /// }
    ///
    /// fn main() -> Result<()> {
    ///     Crawler::items::<Product>("shopbot/1.0 (+https://example.org/bot)")
    ///         .sitemap("https://shop.example/")
    ///         .sitemaps_allow("/product/")
    ///         .pipeline(JsonLines::create("products.jsonl"))
    ///         .run_to_end()
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`Crawler::start`], and [`Error::Crawl`].
    pub fn run_to_end(self) -> Result<()> {
        let report = self.run_blocking()?;
        tracing::info!("{report}");
        report.check()
    }

    /// Starts the crawl on its own threads, and returns when its state, its log and its pipelines are open: at once,
    /// unless one of them blocks, as a named pipe does that nobody reads.
    ///
    /// # Errors
    /// A setting, a seed or the user agent is invalid, there is no seed, an output cannot be opened, the system cannot
    /// start a thread, or a frontier or an identity of your own panics. Each message says what to change; nothing has
    /// been fetched then.
    pub fn start(self) -> Result<CrawlHandle> {
        let (started_to, started) = std::sync::mpsc::sync_channel(1);
        self.start_thread(move |started| drop(started_to.send(started)))?;
        // The thread answers, or it dies and its end of the channel is dropped.
        started.recv().map_err(|_| Error::Ended)?
    }

    /// Starts the crawl's thread, which calls `started` when the crawl has begun or could not. In virtual time, that is
    /// this thread.
    fn start_thread(self, started: impl FnOnce(Result<CrawlHandle>) + Send + 'static) -> Result<()> {
        if clock::is_virtual() {
            if self.cluster.is_some() {
                return Err(Error::setting("cluster", "virtual time belongs to one thread; leave `cluster` out"));
            }
            run_here(self.check()?, started);
            return Ok(());
        }
        let thread = thread::Builder::new().name("crawler".to_owned());
        thread.spawn(move || self.run_on_this_thread(started)).map_err(Error::Start)?;
        Ok(())
    }

    /// Runs the crawl to its end on this thread, which must have no runtime. Calls `started` when it has begun or could
    /// not.
    pub(crate) fn run_on_this_thread(mut self, started: impl FnOnce(Result<CrawlHandle>)) {
        match self.cluster.take() {
            Some(_) if self.settings.state.is_some() => {
                let why = "the crawl has a state in its database; leave `state` out";
                started(Err(Error::setting("cluster", why)));
            }
            Some(cluster) => self.run_in_cluster(&cluster, started),
            None => run_system(self.settings.nice, || self.check(), started),
        }
    }
}
