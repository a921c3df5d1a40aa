//! Crawler: the builder of a crawl. Knows its settings, and no actor (`wiring`).

mod files;
mod frontier;
mod items;
mod middleware;
mod network;
mod sessions;
mod sitemaps;
mod team;
#[cfg(test)]
mod seam_tests;
mod wiring;

use std::{num::NonZeroU32, path::PathBuf, sync::Arc, thread, time::Duration};

use tokio::sync::oneshot;

use self::{
    sessions::who_logs_in,
    team::TeamFiles,
    wiring::{run_here, run_system},
};
use crate::{
    capacity::Capacity,
    client::LogInFunction,
    clock,
    conducts::Conducts,
    conversion::Conversions,
    error::{Error, Result},
    events::Streams,
    fetcher::{
        layers::{MiddlewareLayer, SessionLayer},
        offload::{Offload, OffloadThreads},
        stack::{FetchStack, Layer},
    },
    file_store::FileStore,
    files::FileFields,
    frontier::{
        candidate::SeedMaker,
        durable::{Opened, Opening},
    },
    handle::CrawlHandle,
    identity::Identity,
    middleware::{AnyMiddleware, with_headers},
    order::{BestFirst, Order},
    pipeline::{Each, Pipeline},
    politeness::{Politeness, RobotsPolicy},
    rate::Rate,
    report::Report,
    request::Request,
    scope::{Scope, Within},
    sessions::SessionPool,
    settings::{DomainSettings, NamedDomains, Settings},
    sitemaps::SitemapRule,
    spider::Spider,
    transport::{SharedTransport, credentials::OriginCredentials, open_files, response_store::ResponseStore},
    user_agent,
    validation::Validate,
    warc::Archive,
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
    log_in: Option<LogInFunction>,
    sitemap_rule: Option<SitemapRule>,
    conversions: Conversions,
    validators: Vec<Box<dyn Validate<S::Item>>>,
    best_first: Option<BestFirst>,
    pipelines: Vec<Box<dyn Pipeline<S::Item>>>,
    /// The fields of items that have files.
    file_fields: FileFields<S::Item>,
    conducts: Conducts,
    capacity: Option<Capacity>,
}

/// Opens the caller's own frontier, on the crawl's thread.
type OpenFrontier = Box<dyn FnOnce(Opening) -> Result<Opened> + Send>;

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
            log_in: None,
            sitemap_rule: None,
            conversions: Conversions::default(),
            validators: Vec::new(),
            best_first: None,
            pipelines: Vec::new(),
            file_fields: FileFields::default(),
            conducts: Conducts::shared(),
            capacity: None,
        }
    }

    /// Creates a crawl with all that a file says: its seeds, its User-Agent, and all other settings. What is called after it
    /// replaces the file's.
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

    /// Keeps a bound on requests in flight and on the memory of bodies together with all that are given the same `capacity`.
    #[must_use]
    pub fn capacity(mut self, capacity: &Capacity) -> Self {
        self.capacity = Some(capacity.clone());
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

    /// Replaces all settings. Their seeds come after those that are given here; the User-Agent stays.
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

    /// Sets what is otherwise for a domain and all names below it; see [`DomainSettings`]. Given again, it replaces what was
    /// given before.
    #[must_use]
    pub fn domain(mut self, name: impl Into<String>, settings: DomainSettings) -> Self {
        self.settings.domains.insert(name.into(), settings);
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

    /// Reads at most so many links from one page; 0 is refused when the crawl starts.
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

    /// Sets the most pages. Successful pages count; redirects, error statuses, robots files, sitemaps and files of items do not.
    #[must_use]
    pub fn max_pages(mut self, pages: u64) -> Self {
        self.settings.scope.max_pages = Some(pages);
        self
    }

    /// Sets the most requests. Pages, redirects, error statuses and retries count; robots files,
    /// sitemaps and files of items do not.
    #[must_use]
    pub fn max_requests(mut self, requests: u64) -> Self {
        self.settings.scope.max_requests = Some(requests);
        self
    }

    /// Makes the crawl's threads give way to others of this machine, as `nice` does for a process: 0, the default, not at
    /// all, 19 the most. A service whose cores a crawl shares answers sooner so; the crawl takes what it leaves, and its
    /// limits hold as before. Only Linux has it for threads; elsewhere it changes nothing.
    ///
    /// ```
    /// # use actix_crawler::prelude::*;
    /// # fn with(crawler: Crawler<fn(&Response) -> Result<Parsed<String>>>) {
    /// let crawler = crawler.nice(10).stay_open();
    /// # }
    /// ```
    #[must_use]
    pub fn nice(mut self, niceness: u8) -> Self {
        self.settings.nice = niceness;
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

    /// Runs the crawl and returns the report. Works within any runtime. A crawl that fails on its way, since its output
    /// broke for instance, has a report too: [`Report::check`](crate::Report::check) makes an error of it.
    ///
    /// # Errors
    /// As [`Crawler::start`].
    pub async fn run(self) -> Result<Arc<Report>> {
        let (started_to, started) = oneshot::channel();
        // The caller may have dropped this future; the crawl then goes on.
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

    /// Starts the crawl on its own threads, and returns when its state, its log and its pipelines are open: at once, unless
    /// one of them blocks, as a named pipe does that nobody reads.
    ///
    /// # Errors
    /// A setting, a seed or the user agent is invalid, there is no seed, an output cannot be opened, the system cannot
    /// start a thread, or a frontier or an identity of your own panics. Each message says what to change; nothing has been
    /// fetched then.
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
            run_here(self.check()?, started);
            return Ok(());
        }
        let thread = thread::Builder::new().name("crawler".to_owned());
        thread.spawn(move || run_system(self.settings.nice, || self.check(), started)).map_err(Error::Start)?;
        Ok(())
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
            log_in,
            sitemap_rule,
            conversions,
            validators,
            best_first,
            pipelines,
            file_fields,
            conducts,
            capacity,
        } = self;
        let identity = identity.unwrap_or_else(|| Arc::new(settings.scope.canonical.clone()));
        let of_settings = settings.seeds.iter().map(|seed| Request::parse(seed));
        let seeds = seeds.into_iter().chain(of_settings).collect::<Result<Vec<_>>>()?;
        let in_seeds = seeds.iter().filter_map(|seed| OriginCredentials::in_url(&seed.url));
        settings.transport.credentials.extend(in_seeds);
        if seeds.is_empty() && !settings.stay_open {
            return Err(Error::setting("seeds", "none is given; begin with .seed(\"https://…\")"));
        }
        settings.refuse_feeds()?;
        if best_first.is_some() {
            settings.order = Order::Found;
        }
        if !file_fields.is_empty() && settings.files.dir.is_none() {
            let why = "items have files, and there is no folder for them; add .files(\"folder\")";
            return Err(Error::setting("files.dir", why));
        }
        let domains = NamedDomains::new(&settings.domains, &settings.politeness.domain_key)?;
        domains.apply_to(&mut settings)?;
        // They say how a program binds a secret to its origin.
        settings.headers.check_with(&settings.transport.secret_headers)?;
        settings.check_values()?;
        if clock::is_virtual() {
            settings.fit_virtual_time()?;
        }
        let at_home = !seeds.is_empty() && seeds.iter().all(|seed| user_agent::is_loopback(&seed.url));
        if !at_home {
            user_agent::check(&user_agent)?;
        }
        for seed in &seeds {
            user_agent::check_headers(&seed.headers, &seed.url)?;
        }
        let said = user_agent::header(&user_agent)?;
        // Before any thread is started: the runtime of one that gets no files panics.
        settings.fit_open_files(pipelines.len(), pipelines.iter().map(|pipeline| pipeline.max_open_files()).sum())?;
        let (threads, offload) = OffloadThreads::new(settings.threads, settings.parse_timeout)?;
        let log_in =
            log_in.map(|log_in| who_logs_in(log_in, &user_agent, &settings, &conducts, &middleware)).transpose()?;
        let sessions = settings.open_sessions(log_in.is_some(), offload.threads())?;
        let transport = SharedTransport::new(settings.transport.clone(), offload.threads())?.sharing(capacity.as_ref());
        let (warnings, responses) = (transport.warnings(), transport.response_store().cloned());
        let archive = transport.archive().cloned();
        let middleware = with_headers(settings.headers.clone(), middleware);
        let fetch = FetchStack::http(transport, said).layers(layers);
        let fetch = if middleware.is_empty() {
            fetch
        } else {
            fetch.layer(MiddlewareLayer::new(middleware, offload.clone(), settings.transport.body))
        };
        let fetch = match &sessions {
            Some(sessions) => fetch.layer(SessionLayer::new(sessions.clone(), log_in)?),
            None => fetch,
        };
        let store = FileStore::open(&settings.files, clock::wall())?;
        Ok(Plan {
            spider: Arc::new(spider),
            user_agent,
            seeds,
            settings,
            domains,
            seed_maker: SeedMaker { identity, best_first },
            open: frontier,
            sitemap_rule,
            fetch,
            sessions,
            warnings,
            conversions,
            validators,
            responses,
            archive,
            pipelines,
            files: TeamFiles { store, desk: Arc::default(), fields: file_fields },
            conducts,
            streams: Arc::default(),
            capacity,
            threads,
            offload,
        })
    }
}

/// Files that a state has open. With 100,000 requests there were five; merging tables opens more for a moment.
const STATE_FILES: usize = 24;

/// The longest crawl in virtual time: one that waits for seeds that never come would run for ever.
const LONGEST_VIRTUAL: Duration = Duration::from_secs(24 * 3_600);

impl Settings {
    /// Takes one thread, and an end for a crawl that waits for ever.
    fn fit_virtual_time(&mut self) -> Result<()> {
        if self.state.is_some() {
            let why = "a crawl in virtual time has no state on disk, since its store works in real time";
            return Err(Error::setting("state", why));
        }
        self.threads = 1;
        self.max_time.get_or_insert(LONGEST_VIRTUAL);
        Ok(())
    }

    /// Refuses feeds that no pipeline was made of.
    fn refuse_feeds(&self) -> Result<()> {
        if self.feeds.is_empty() {
            return Ok(());
        }
        let why =
            "the settings have feeds that nothing is written to; call .feeds(), for items that are serde::Serialize";
        Err(Error::setting("feeds", why))
    }

    /// Takes as many connections as there are files for, and one thread in place of several where there is none.
    fn fit_open_files(&mut self, pipelines: usize, pipeline_files: usize) -> Result<()> {
        let outputs = pipelines + usize::from(self.log.is_some());
        let downloads = if self.files.dir.is_some() { self.politeness.concurrency.get() as usize } else { 0 };
        // The file that is written, and the full one whose index is made.
        let archive = if self.transport.archive.is_some() { 3 } else { 0 };
        let state = if self.state.is_some() { STATE_FILES } else { 0 };
        let files = outputs - pipelines + pipeline_files + downloads + archive + state;
        let wanted = self.transport.max_connections;
        // The scheduler has a thread, and so have each output and what listens for signals.
        let own = 1 + outputs + usize::from(self.stop_on_signals);
        let fit = |threads| open_files::fit(wanted, threads + own, files);
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
    domains: NamedDomains,
    seed_maker: SeedMaker,
    /// Opens the caller's own frontier, if there is one.
    open: Option<OpenFrontier>,
    sitemap_rule: Option<SitemapRule>,
    fetch: FetchStack,
    sessions: Option<SessionPool>,
    /// Warnings about the settings, for the report.
    warnings: Vec<String>,
    conversions: Conversions,
    validators: Vec<Box<dyn Validate<S::Item>>>,
    /// Where responses are stored.
    responses: Option<ResponseStore>,
    /// Where exchanges are archived.
    archive: Option<Archive>,
    pipelines: Vec<Box<dyn Pipeline<S::Item>>>,
    /// The folder for files, and which fields of items have them.
    files: TeamFiles<S::Item>,
    conducts: Conducts,
    /// Those who watch.
    streams: Arc<Streams>,
    capacity: Option<Capacity>,
    threads: OffloadThreads,
    offload: Offload,
}
