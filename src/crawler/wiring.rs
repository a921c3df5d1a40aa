//! The wiring: from a crawl whose settings are checked to its running actors; the only file that knows every one of them.

use std::sync::{Arc, mpsc::SyncSender};

use actix::{Actor, Addr, Arbiter, AsyncContext, Recipient};
use futures_util::future::join_all;
use hashbrown::HashSet;
use http::HeaderValue;
use tokio::sync::watch;

use super::{OpenFrontier, Plan, Settings};
use crate::{
    clock,
    crawl_log::CrawlLog,
    engine::{
        ClosePipelines, Scheduler, SchedulerParts, WayBack,
        budget::Budget,
        crawl::{Crawl, CrawlParts},
        domains::Domains,
        robots::RobotsDesk,
    },
    error::Result,
    fetcher::{
        Desk, Fetched, Fetcher,
        http::Http,
        offload::{Offload, OffloadThreads},
        pool::{Hire, Pool},
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
    pipeline::Outlet,
    report::{Report, StateReport},
    request::Request,
    robots::product_token,
    spider::Spider,
    transport::{SharedTransport, Transport},
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

/// What one domain may have waiting in memory by default: about 350 MB. Without a bound one endless site takes the memory
/// of all others.
const MAX_IN_MEMORY_PER_DOMAIN: u64 = 1_000_000;

/// What one domain may have waiting in a state by default: about a gigabyte of disk.
const MAX_STORED_PER_DOMAIN: u64 = 10_000_000;

type Outlets<S> = Arc<[Outlet<<S as Spider>::Item>]>;
type ReportTo = watch::Sender<Option<Arc<Report>>>;

/// Starts the actors, downstream first: pipelines, log, fetchers, scheduler.
fn wire<S: Spider>(plan: Plan<S>, report: ReportTo) -> Result<(Addr<Scheduler>, OffloadThreads)> {
    let Plan { spider, user_agent, said, seeds, settings, identity, open, transport, pipelines, threads, offload } =
        plan;
    let patience = settings.pipeline_patience;
    let outlets = pipelines.into_iter().map(|recipe| Outlet::open(recipe, patience)).collect::<Result<Outlets<S>>>()?;
    let warnings = transport.warnings();
    let add_lines = settings.state.is_some();
    let log = settings.log.as_deref().map(|path| CrawlLog::start(path, add_lines)).transpose()?;
    let (mut frontier, resumed) = open_frontier(&settings, &*identity, &seeds, open)?;
    let bounds = queue_bounds(&settings, frontier.durable().is_some());
    let state = settings.state.clone().map(|dir| StateReport {
        dir,
        resumed: resumed.checkpoint.is_some(),
        changed: resumed.changed.clone(),
    });
    let scheduler = Scheduler::create({
        let outlets = outlets.clone();
        move |context| {
            let way_back = Arc::new(WayBack(context.address()));
            let politeness = Arc::new(settings.politeness.clone());
            let cache = Arc::new(SeenCache::new(&settings.recrawl));
            let hire = fetchers(
                Team { spider, outlets: outlets.clone(), offload, user_agent: said, transport, cache: cache.clone() },
                identity.clone(),
                context.address().recipient(),
            );
            if let Some(store) = frontier.durable() {
                store.listen(way_back.clone());
            }
            let mut crawl = Crawl::new(CrawlParts {
                retry: settings.retry.clone(),
                frontier,
                budget: Budget::new(settings.scope.max_pages, settings.scope.max_pages_per_domain),
                domains: Domains::new(politeness.clone(), way_back.clone()),
                robots: RobotsDesk::new(product_token(&user_agent)),
                pool: Pool::new(settings.threads, hire),
                returned: way_back.clone(),
                asker: way_back,
                log: log.is_some(),
                admission: Admission::new(settings.scope.clone(), politeness.domain_key.clone(), cache)
                    .bounds(bounds)
                    .identity(identity.clone()),
                politeness,
            });
            let (now, time) = (clock::now(), clock::wall());
            crawl.resume(resumed, now, time);
            crawl.seed(candidates(seeds, &settings, &*identity), now);
            let close_pipelines = closing::<S>(outlets);
            Scheduler::new(
                crawl,
                SchedulerParts { stay_open: settings.stay_open, log, warnings, close_pipelines, report, state },
            )
        }
    });
    Ok((scheduler, threads))
}

/// The caller's own, or one in the directory that the settings name, or one in memory.
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
    let opening = Opening { settings: parts, recrawl: settings.recrawl.clone(), now: clock::now() };
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

/// What waits in a store takes no memory, so the bounds of memory do not hold there.
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

fn candidates(seeds: Vec<Request>, settings: &Settings, identity: &dyn Identity) -> Vec<Candidate> {
    let again = settings.recrawl.seeds;
    let mut given = HashSet::new();
    let seeds = seeds.into_iter().map(|mut seed| {
        seed.dont_filter |= again;
        Candidate::new(seed, identity)
    });
    // Again, and not twice.
    seeds.filter(|seed| !again || given.insert(seed.fingerprint())).collect()
}

/// What every fetcher of the crawl shares.
struct Team<S: Spider> {
    spider: Arc<S>,
    outlets: Outlets<S>,
    offload: Offload,
    user_agent: HeaderValue,
    transport: SharedTransport,
    cache: Arc<SeenCache>,
}

impl<S: Spider> Clone for Team<S> {
    fn clone(&self) -> Self {
        Self {
            spider: self.spider.clone(),
            outlets: self.outlets.clone(),
            offload: self.offload.clone(),
            user_agent: self.user_agent.clone(),
            transport: self.transport.clone(),
            cache: self.cache.clone(),
        }
    }
}

/// Returns what starts a fetcher on an arbiter of its own, at first and after a panic.
fn fetchers<S: Spider>(team: Team<S>, identity: Arc<dyn Identity>, scheduler: Recipient<Fetched>) -> Hire {
    Box::new(move || {
        let (team, identity, scheduler) = (team.clone(), identity.clone(), scheduler.clone());
        let arbiter = Arbiter::new();
        let fetcher = Fetcher::start_in_arbiter(&arbiter.handle(), move |_| {
            let body_limits = team.transport.settings().body;
            let http = Http::new(Transport::new(team.transport), team.user_agent, true);
            let Team { spider, outlets, offload, cache: seen_cache, .. } = team;
            Fetcher::new(Desk { http, spider, outlets, offload, identity, seen_cache, body_limits }, scheduler)
        });
        (arbiter, fetcher.recipient())
    })
}

/// Returns what closes the pipelines at the end.
fn closing<S: Spider>(outlets: Outlets<S>) -> ClosePipelines {
    Box::new(move || {
        Box::pin(async move {
            let closed = join_all(outlets.iter().map(Outlet::close)).await;
            let restarts: u64 = outlets.iter().map(Outlet::restarts).sum();
            let complaints = closed.into_iter().filter_map(|closed| Some(closed.err()?.to_string()));
            let restarted = (restarts > 0).then(|| format!("restarted {restarts} times after a panic or silence"));
            complaints.chain(restarted).collect()
        })
    })
}
