//! Plan: a crawl whose settings are checked and whose files are open. Starts nothing.

use std::{sync::Arc, time::Duration};

use http::HeaderValue;

use super::{Crawler, OpenOwnFrontier, fetchers::FileParts, sessions::who_logs_in};
use crate::{
    capacity::Capacity,
    clock,
    conducts::Conducts,
    error::{Error, Result},
    events::Streams,
    fetcher::{
        delivery::ItemRules,
        layers::{MiddlewareLayer, SessionLayer},
        offload::{Offload, OffloadThreads},
        stack::FetchStack,
    },
    file_store::FileStore,
    frontier::candidate::SeedMaker,
    middleware::{AnyMiddleware, with_headers},
    order::{Order, Ranking},
    pipeline::Pipeline,
    request::Request,
    response::conversion::Conversions,
    sessions::SessionPool,
    settings::{NamedDomains, Settings},
    sitemaps::SitemapRule,
    spider::Spider,
    text::masked::masked,
    transport::{
        SharedTransport,
        credentials::OriginCredentials,
        open_files,
        response_store::{Purpose, ResponseStore},
    },
    user_agent,
    validation::Validators,
    warc::Archive,
};

/// A crawl with checked settings.
pub(super) struct Plan<S: Spider> {
    pub spider: Arc<S>,
    pub user_agent: String,
    pub seeds: Vec<Request>,
    pub settings: Settings,
    pub domains: NamedDomains,
    pub seed_maker: SeedMaker,
    /// Opens the caller's own frontier, if there is one.
    pub open: Option<OpenOwnFrontier>,
    pub sitemap_rule: Option<SitemapRule>,
    pub fetch: FetchStack,
    /// Whether code of a user's own runs on the threads of the fetchers, which it may block.
    pub blocks_fetchers: bool,
    pub sessions: Option<SessionPool>,
    /// Warnings about the settings, for the report.
    pub warnings: Vec<String>,
    pub conversions: Conversions,
    pub items: ItemRules<S::Item>,
    /// Where responses are stored.
    pub responses: Option<ResponseStore>,
    /// Where exchanges are archived.
    pub archive: Option<Archive>,
    pub pipelines: Vec<Box<dyn Pipeline<S::Item>>>,
    /// The folder for files, and who waits for them.
    pub files: FileParts,
    pub conducts: Conducts,
    /// Those who watch.
    pub streams: Arc<Streams>,
    pub capacity: Option<Capacity>,
    pub threads: OffloadThreads,
    pub offload: Offload,
}

impl<S: Spider> Crawler<S> {
    /// Checks the settings, and opens the files that a crawl writes while it fetches.
    ///
    /// # Errors
    /// As [`Crawler::start`].
    #[allow(clippy::too_many_lines, reason = "a list of what is checked and opened, in one order")]
    pub(super) fn check(self) -> Result<Plan<S>> {
        let Self {
            spider,
            user_agent,
            seeds,
            wrong,
            mut settings,
            identity,
            frontier,
            layers,
            middleware,
            log_in,
            sitemap_rule,
            conversions,
            mut validators,
            steps,
            best_first,
            pipelines,
            mut file_fields,
            conducts,
            capacity,
            cluster: _,
        } = self;
        wrong.map_or_else(|| spider.check(), Err)?;
        let identity = identity.unwrap_or_else(|| Arc::new(settings.scope.canonical.clone()));
        spider.begins(&identity);
        let of_settings = settings.seeds.iter().map(|seed| Request::parse(seed));
        let seeds = seeds.into_iter().chain(of_settings).collect::<Result<Vec<_>>>()?;
        settings.transport.credentials.extend(seeds.iter().filter_map(|seed| OriginCredentials::in_url(&seed.url)));
        if seeds.is_empty() && !settings.stay_open {
            return Err(Error::setting("seeds", "none is given; begin with .seed(\"https://…\")"));
        }
        settings.refuse_feeds()?;
        if !validators.iter().any(|validator| validator.counts_fields()) {
            validators.extend(pipelines.iter().find_map(|pipeline| pipeline.fields()));
        }
        if best_first.is_some() {
            settings.order = Order::Found;
        }
        if !file_fields.is_empty() && settings.files.dir.is_none() {
            let why = "items have files, and there is no folder for them; add .files(\"folder\")";
            return Err(Error::setting("files.dir", why));
        }
        if file_fields.is_empty()
            && settings.files.dir.is_some()
            && let Some(each) = spider.each_file()
        {
            file_fields.add_by_type(each);
        }
        let domains = NamedDomains::new(&settings.domains, &settings.politeness.domain_key)?;
        domains.apply_to(&mut settings)?;
        // They say how a program binds a secret to its origin.
        settings.headers.check_with(&settings.transport.secret_headers)?;
        settings.check_values()?;
        if clock::is_virtual() {
            settings.fit_virtual_time()?;
        }
        settings.refuse_private(&seeds)?;
        let said = said_to(&seeds, &user_agent)?;
        let blocks_fetchers = log_in.is_some() || !layers.is_empty() || middleware.iter().any(AnyMiddleware::is_async);
        // Before any thread is started: the runtime of one that gets no files panics.
        let item_files =
            pipelines.iter().map(|pipeline| pipeline.max_open_files()).sum::<usize>() + steps.max_open_files();
        settings.fit_open_files(pipelines.len(), item_files)?;
        let (threads, offload) = OffloadThreads::new(settings.threads, settings.parse_timeout)?;
        let log_in = log_in
            .map(|log_in| who_logs_in(log_in, &user_agent, &settings, (&conducts, capacity.as_ref()), &middleware))
            .transpose()?;
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
        let ranking = Ranking { rules: settings.priorities.clone().into(), best_first };
        let store = FileStore::open(&settings.files, clock::wall())?;
        Ok(Plan {
            spider: Arc::new(spider),
            user_agent,
            seeds,
            settings,
            domains,
            seed_maker: SeedMaker { identity, ranking },
            open: frontier,
            sitemap_rule,
            fetch,
            blocks_fetchers,
            sessions,
            warnings,
            conversions,
            items: ItemRules { validators: Validators::new(validators), steps, files: file_fields },
            responses,
            archive,
            pipelines,
            files: FileParts { store, pending: Arc::default() },
            conducts,
            streams: Arc::default(),
            capacity,
            threads,
            offload,
        })
    }
}

/// Returns the User-Agent. Without a contact it is refused, unless all seeds are on this machine.
fn said_to(seeds: &[Request], user_agent: &str) -> Result<HeaderValue> {
    let at_home = !seeds.is_empty() && seeds.iter().all(|seed| user_agent::is_loopback(&seed.url));
    if !at_home {
        user_agent::check(user_agent)?;
    }
    for seed in seeds {
        user_agent::check_headers(&seed.headers, &seed.url)?;
    }
    user_agent::header(user_agent)
}

/// Files that a state has open. With 100,000 requests there were five; merging tables opens more for a moment.
const STATE_FILES: usize = 24;

/// The longest crawl in virtual time: one that waits for seeds that never come would run for ever.
const MAX_VIRTUAL: Duration = Duration::from_secs(24 * 3_600);

impl Settings {
    /// Takes one thread, and an end for a crawl that waits for ever.
    fn fit_virtual_time(&mut self) -> Result<()> {
        if self.state.is_some() {
            let why = "a crawl in virtual time has no state on disk, since its store works in real time";
            return Err(Error::setting("state", why));
        }
        self.threads = 1;
        self.max_time.get_or_insert(MAX_VIRTUAL);
        Ok(())
    }

    /// Refuses seeds that say by themselves that they lead into a private network, unless nothing is connected to.
    fn refuse_private(&self, seeds: &[Request]) -> Result<()> {
        let store = self.transport.response_store.as_ref();
        if store.is_some_and(|store| store.purpose == Purpose::Replay) {
            return Ok(());
        }
        for Request { url, .. } in seeds {
            let refused = self.transport.guard.check_url(url);
            refused.map_err(|refused| Error::Url { text: masked(url.as_str()), why: refused.to_string() })?;
        }
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
