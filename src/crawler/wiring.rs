//! Wiring: starts the actors of a crawl with checked settings; the only file that knows every one of them.

use std::sync::{Arc, mpsc::SyncSender};

use actix::{Actor, Addr, Arbiter, AsyncContext, Recipient};
use futures_util::future::join_all;
use hashbrown::HashSet;
use tokio::sync::watch;

use super::{OpenFrontier, Plan, Settings};
use crate::{
    clock,
    conducts::Conducts,
    crawl_log::CrawlLog,
    engine::{
        ClosePipelines, Notices, Scheduler, SchedulerParts,
        budget::Budget,
        crawl::{Crawl, CrawlParts},
        domains::Domains,
        robots_files::RobotsFiles,
    },
    error::Result,
    extract::{Scanner, links::MAX_URL_LENGTH},
    fetcher::{
        Fetched, Fetcher, VisitContext,
        offload::{Offload, OffloadThreads},
        permits::DomainPermits,
        pool::{Hire, Pool},
        redirect::RedirectRules,
        stack::FetchStack,
    },
    frontier::{
        Frontier,
        admission::{Admission, QueueBounds},
        candidate::Candidate,
        durable::{self, Opened, Opening, Resumed},
        memory::MemoryFrontier,
        seen_cache::SeenCache,
        stores::fjall,
    },
    identity::Identity,
    pipeline::Supervisor,
    politeness::Politeness,
    report::{Report, StateReport},
    request::Request,
    retry::Retry,
    robots::product_token,
    spider::Spider,
    transport::body::BodyLimits,
};

/// Runs the crawl's own actix system, which ends with the crawl.
pub(super) fn run_system<S: Spider>(plan: Plan<S>, report: ReportTo, started: &SyncSender<Result<Addr<Scheduler>>>) {
    let system = actix_rt::System::new();
    match system.block_on(async { wire(plan, report) }) {
        Err(error) => drop(started.send(Err(error))),
        Ok((scheduler, threads)) => {
            drop(started.send(Ok(scheduler)));
            if let Err(error) = system.run() {
                tracing::error!(%error, "the crawl's system ended badly");
            }
            drop(threads);
        }
    }
}

/// The default bound on waiting requests of one domain in memory: about 350 MB. Without it one endless site could use
/// the memory of all others.
const MAX_IN_MEMORY_PER_DOMAIN: u64 = 1_000_000;

/// The default bound on waiting requests of one domain with a state: about a gigabyte of disk.
const MAX_STORED_PER_DOMAIN: u64 = 10_000_000;

type Pipelines<S> = Arc<[Supervisor<<S as Spider>::Item>]>;
type ReportTo = watch::Sender<Option<Arc<Report>>>;

/// Starts the actors, downstream first: pipelines, log, fetchers, scheduler.
fn wire<S: Spider>(plan: Plan<S>, report: ReportTo) -> Result<(Addr<Scheduler>, OffloadThreads)> {
    let Plan {
        spider,
        user_agent,
        seeds,
        settings,
        identity,
        open,
        fetch,
        warnings,
        pipelines,
        conducts,
        threads,
        offload,
    } = plan;
    // Opened before any output: whether outputs are emptied depends on it, and another process may hold the state.
    let (mut frontier, resumed) = open_frontier(&settings, &*identity, &seeds, open)?;
    let bounds = queue_bounds(&settings, frontier.durable().is_some());
    let (goes_on, limit) = (resumed.checkpoint.is_some(), settings.pipeline_timeout);
    let start = |recipe| Supervisor::start(recipe, goes_on, limit);
    let pipelines = pipelines.into_iter().map(start).collect::<Result<Pipelines<S>>>()?;
    let body_limits = settings.transport.body;
    let add_lines = settings.state.is_some();
    let log = settings.log.as_deref().map(|path| CrawlLog::start(path, add_lines)).transpose()?;
    let state =
        settings.state.clone().map(|dir| StateReport { dir, resumed: goes_on, changed: resumed.changed.clone() });
    let scheduler = Scheduler::create({
        let pipelines = pipelines.clone();
        move |context| {
            let notices = Arc::new(Notices(context.address()));
            let politeness = Arc::new(settings.politeness.clone());
            let seen_cache = Arc::new(SeenCache::new(&settings.recrawl));
            let hire = fetchers(
                Team {
                    spider,
                    pipelines: pipelines.clone(),
                    offload,
                    fetch,
                    body_limits,
                    redirects: RedirectRules {
                        secret_headers: settings.transport.secret_headers.clone().into(),
                        follows_refresh: settings.follow_refresh,
                    },
                    scanner: scanner(&settings),
                    retry: settings.retry.clone(),
                    seen_cache: seen_cache.clone(),
                    conducts: conducts.clone(),
                    politeness: politeness.clone(),
                    robots_token: product_token(&user_agent).into(),
                },
                identity.clone(),
                context.address().recipient(),
            );
            if let Some(store) = frontier.durable() {
                store.listen(notices.clone());
            }
            let mut crawl = Crawl::new(CrawlParts {
                retry: settings.retry.clone(),
                frontier,
                budget: Budget::new(settings.scope.max_pages, settings.scope.max_pages_per_domain)
                    .with_max_requests(settings.scope.max_requests),
                domains: Domains::new(
                    politeness.clone(),
                    conducts.tenant(&politeness.domain_key),
                    notices.clone(),
                    settings.adaptive,
                ),
                robots: RobotsFiles::new(product_token(&user_agent)),
                pool: Pool::new(settings.threads, hire),
                returned: notices,
                log: log.is_some(),
                admission: Admission::new(settings.scope.clone(), politeness.domain_key.clone(), seen_cache)
                    .bounds(bounds)
                    .identity(identity.clone()),
                politeness,
            });
            let (now, time) = (clock::now(), clock::wall());
            crawl.resume(resumed, now, time);
            crawl.seed(candidates(seeds, &settings, &*identity), None, now);
            let close_pipelines = closing::<S>(pipelines);
            Scheduler::new(
                crawl,
                SchedulerParts {
                    stay_open: settings.stay_open,
                    max_time: settings.max_time,
                    stops_on_signals: settings.stop_on_signals,
                    log,
                    warnings,
                    close_pipelines,
                    report,
                    state,
                },
            )
        }
    });
    Ok((scheduler, threads))
}

/// Opens the caller's own frontier, or one in the configured directory, or one in memory.
fn open_frontier(
    settings: &Settings,
    identity: &dyn Identity,
    seeds: &[Request],
    open: Option<OpenFrontier>,
) -> Result<(Box<dyn Frontier>, Resumed)> {
    let seeds = seeds.iter().map(|seed| seed.url.as_str()).collect::<Vec<_>>().join(" ");
    let parts = vec![
        ("seeds", format!("{:032x}", xxhash_rust::xxh3::xxh3_128(seeds.as_bytes()))),
        ("politeness", format!("{:?}", settings.politeness)),
        ("scope", format!("{:?}", settings.scope)),
        ("retry", format!("{:?}", settings.retry)),
        ("recrawl", format!("{:?}", settings.recrawl)),
        (durable::DOMAIN_KEY, format!("{:?}", settings.politeness.domain_key)),
        (durable::IDENTITY, identity.name().to_owned()),
    ];
    let has_max_depth = settings.scope.max_depth.is_some();
    let opening = Opening { settings: parts, recrawl: settings.recrawl.clone(), has_max_depth, now: clock::now() };
    let Opened { frontier, resumed } = match (open, &settings.state) {
        (Some(open), _) => open(opening)?,
        (None, Some(dir)) => fjall::open(dir, opening)?,
        (None, None) => MemoryFrontier::new(opening.recrawl, opening.now).into(),
    };
    if resumed.checkpoint.is_some() {
        tracing::info!(dir = ?settings.state, changed = ?resumed.changed, "the crawl is resumed");
    }
    Ok((frontier, resumed))
}

/// Requests in a store take no memory, so the memory bounds do not apply to it.
fn queue_bounds(settings: &Settings, is_durable: bool) -> QueueBounds {
    let given = settings.max_queued_per_domain;
    if is_durable {
        let max_queued_per_domain = given.unwrap_or(MAX_STORED_PER_DOMAIN);
        QueueBounds { max_queued_per_domain, ..QueueBounds::NONE }
    } else {
        QueueBounds {
            max_queued: settings.max_queued,
            max_queued_per_domain: given.unwrap_or(MAX_IN_MEMORY_PER_DOMAIN),
            max_queued_bytes: settings.max_queued_bytes,
        }
    }
}

/// Reads from pages what the settings allow. What is too long for the scope but not for a page by default is left to
/// Admission, which counts each URL once.
fn scanner(settings: &Settings) -> Scanner {
    let max_url_length = settings.scope.max_url_length.max(MAX_URL_LENGTH);
    Scanner::default().max_links(settings.max_links_per_page).max_url_length(max_url_length)
}

fn candidates(seeds: Vec<Request>, settings: &Settings, identity: &dyn Identity) -> Vec<Candidate> {
    let again = settings.recrawl.seeds;
    let mut given = HashSet::new();
    let seeds = seeds.into_iter().map(|mut seed| {
        seed.dont_filter |= again;
        Candidate::new(seed, identity)
    });
    // Fetched again, but only once.
    seeds.filter(|seed| !again || given.insert(seed.fingerprint())).collect()
}

/// What every fetcher of the crawl shares.
struct Team<S: Spider> {
    spider: Arc<S>,
    pipelines: Pipelines<S>,
    offload: Offload,
    fetch: FetchStack,
    body_limits: BodyLimits,
    redirects: RedirectRules,
    scanner: Scanner,
    retry: Retry,
    seen_cache: Arc<SeenCache>,
    conducts: Conducts,
    politeness: Arc<Politeness>,
    robots_token: Arc<str>,
}

impl<S: Spider> Clone for Team<S> {
    fn clone(&self) -> Self {
        Self {
            spider: self.spider.clone(),
            pipelines: self.pipelines.clone(),
            offload: self.offload.clone(),
            fetch: self.fetch.clone(),
            body_limits: self.body_limits,
            redirects: self.redirects.clone(),
            scanner: self.scanner.clone(),
            retry: self.retry.clone(),
            seen_cache: self.seen_cache.clone(),
            conducts: self.conducts.clone(),
            politeness: self.politeness.clone(),
            robots_token: self.robots_token.clone(),
        }
    }
}

/// Returns the function that starts a fetcher on its own arbiter, first and after a panic.
fn fetchers<S: Spider>(team: Team<S>, identity: Arc<dyn Identity>, scheduler: Recipient<Fetched>) -> Hire {
    Box::new(move || {
        let (team, identity, scheduler) = (team.clone(), identity.clone(), scheduler.clone());
        let arbiter = Arbiter::new();
        let fetcher = Fetcher::start_in_arbiter(&arbiter.handle(), move |_| {
            let Team {
                spider,
                pipelines,
                offload,
                fetch,
                body_limits,
                redirects,
                scanner,
                retry,
                seen_cache,
                conducts,
                politeness,
                robots_token,
            } = team;
            let fetch = fetch.build();
            let permits = DomainPermits::new(conducts.tenant(&politeness.domain_key), politeness);
            let context = VisitContext {
                fetch,
                permits,
                spider,
                pipelines,
                offload,
                identity,
                seen_cache,
                body_limits,
                redirects,
                scanner,
                retry,
                robots_token,
            };
            Fetcher::new(context, scheduler)
        });
        (arbiter, fetcher.recipient())
    })
}

/// Returns the function that closes the pipelines at the end.
fn closing<S: Spider>(pipelines: Pipelines<S>) -> ClosePipelines {
    Box::new(move || {
        Box::pin(async move {
            let closed = join_all(pipelines.iter().map(Supervisor::close)).await;
            let restarts: u64 = pipelines.iter().map(Supervisor::restarts).sum();
            let complaints = closed.into_iter().filter_map(|closed| Some(closed.err()?.to_string()));
            let restarted = (restarts > 0).then(|| format!("restarted {restarts} times after a panic or a timeout"));
            complaints.chain(restarted).collect()
        })
    })
}
