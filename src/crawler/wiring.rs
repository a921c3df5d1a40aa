//! The wiring: from a crawl whose settings are checked to its running actors; the only file that knows every one of them.

use std::sync::{Arc, mpsc::SyncSender};

use actix::{Actor, Addr, Arbiter, AsyncContext, Recipient};
use futures_util::future::join_all;
use hashbrown::HashSet;
use http::HeaderValue;
use tokio::sync::watch;

use super::{Plan, Settings};
use crate::{
    clock,
    crawl_log::CrawlLog,
    engine::{
        ClosePipelines, Notices, Scheduler, SchedulerParts,
        budget::Budget,
        crawl::{Crawl, CrawlParts},
        domains::Domains,
        robots_files::RobotsFiles,
    },
    error::Result,
    fetcher::{
        Fetched, Fetcher, VisitContext,
        http::Http,
        offload::{Offload, OffloadThreads},
        pool::{Hire, Pool},
    },
    frontier::{
        Frontier,
        admission::{Admission, Candidate},
        disk,
        durable::Resumed,
        known::Known,
        memory::MemoryFrontier,
    },
    identity::CanonicalUrl,
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

type Outlets<S> = Arc<[Outlet<<S as Spider>::Item>]>;
type ReportTo = watch::Sender<Option<Arc<Report>>>;

/// Starts the actors, downstream first: pipelines, log, fetchers, scheduler.
fn wire<S: Spider>(plan: Plan<S>, report: ReportTo) -> Result<(Addr<Scheduler>, OffloadThreads)> {
    let Plan { spider, user_agent, said, seeds, settings, transport, pipelines, threads, offload } = plan;
    let patience = settings.pipeline_patience;
    let outlets = pipelines.into_iter().map(|recipe| Outlet::open(recipe, patience)).collect::<Result<Outlets<S>>>()?;
    let warnings = transport.warnings();
    let add_lines = settings.state.is_some();
    let log = settings.log.as_deref().map(|path| CrawlLog::start(path, add_lines)).transpose()?;
    // What waits on disk takes no memory.
    let max_queued = if settings.state.is_some() { u64::MAX } else { settings.max_queued };
    let (mut frontier, resumed) = open_frontier(&settings, &seeds)?;
    let state = settings.state.clone().map(|dir| StateReport {
        dir,
        resumed: resumed.progress.is_some(),
        changed: resumed.changed.clone(),
    });
    let scheduler = Scheduler::create({
        let outlets = outlets.clone();
        move |context| {
            let notices = Arc::new(Notices(context.address()));
            let politeness = Arc::new(settings.politeness.clone());
            let known = Arc::new(Known::new(&settings.recrawl));
            let hire = fetchers(
                Team {
                    spider,
                    outlets: outlets.clone(),
                    offload,
                    user_agent: said,
                    robots_token: product_token(&user_agent).into(),
                    transport,
                    known: known.clone(),
                },
                settings.scope.canonical.clone(),
                context.address().recipient(),
            );
            if let Some(store) = frontier.durable() {
                store.wake(notices.clone());
            }
            let mut crawl = Crawl::new(CrawlParts {
                retry: settings.retry.clone(),
                frontier,
                budget: Budget::new(settings.scope.max_pages, settings.scope.max_pages_per_domain),
                domains: Domains::new(politeness.clone(), notices.clone()),
                robots: RobotsFiles::new(product_token(&user_agent)),
                pool: Pool::new(settings.threads, hire),
                returned: notices,
                log: log.is_some(),
                admission: Admission::new(settings.scope.clone(), politeness.domain_key.clone(), max_queued, known),
                politeness,
            });
            let (now, time) = (clock::now(), clock::wall());
            crawl.resume(resumed, now, time);
            crawl.seed(candidates(seeds, &settings), now);
            let close_pipelines = closing::<S>(outlets);
            Scheduler::new(
                crawl,
                SchedulerParts { stay_open: settings.stay_open, log, warnings, close_pipelines, report, state },
            )
        }
    });
    Ok((scheduler, threads))
}

/// In memory, or in the directory that the settings name.
fn open_frontier(settings: &Settings, seeds: &[Request]) -> Result<(Box<dyn Frontier>, Resumed)> {
    let now = clock::now();
    let Some(dir) = &settings.state else {
        return Ok((Box::new(MemoryFrontier::new(settings.recrawl.clone(), now)), Resumed::default()));
    };
    let seeds = seeds.iter().map(|seed| seed.url.as_str()).collect::<Vec<_>>().join(" ");
    let parts = [
        ("seeds", format!("{:032x}", xxhash_rust::xxh3::xxh3_128(seeds.as_bytes()))),
        ("politeness", format!("{:?}", settings.politeness)),
        ("scope", format!("{:?}", settings.scope)),
        ("retry", format!("{:?}", settings.retry)),
        ("recrawl", format!("{:?}", settings.recrawl)),
        (disk::FIXED, format!("{:?}", settings.politeness.domain_key)),
    ];
    let opened = disk::open(dir, &parts, settings.recrawl.clone(), now)?;
    if opened.1.progress.is_some() {
        tracing::info!(dir = %dir.display(), changed = ?opened.1.changed, "the crawl is resumed");
    }
    Ok(opened)
}

fn candidates(seeds: Vec<Request>, settings: &Settings) -> Vec<Candidate> {
    let again = settings.recrawl.seeds;
    let mut given = HashSet::new();
    let seeds = seeds.into_iter().map(|mut seed| {
        seed.dont_filter |= again;
        Candidate::new(seed, &settings.scope.canonical)
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
    robots_token: Arc<str>,
    transport: SharedTransport,
    known: Arc<Known>,
}

impl<S: Spider> Clone for Team<S> {
    fn clone(&self) -> Self {
        Self {
            spider: self.spider.clone(),
            outlets: self.outlets.clone(),
            offload: self.offload.clone(),
            user_agent: self.user_agent.clone(),
            robots_token: self.robots_token.clone(),
            transport: self.transport.clone(),
            known: self.known.clone(),
        }
    }
}

/// Returns what starts a fetcher on an arbiter of its own, at first and after a panic.
fn fetchers<S: Spider>(team: Team<S>, canonical: CanonicalUrl, scheduler: Recipient<Fetched>) -> Hire {
    Box::new(move || {
        let (team, canonical, scheduler) = (team.clone(), canonical.clone(), scheduler.clone());
        let arbiter = Arbiter::new();
        let fetcher = Fetcher::start_in_arbiter(&arbiter.handle(), move |_| {
            let body_limits = team.transport.settings().body;
            let http = Http::new(Transport::new(team.transport), team.user_agent, true);
            let Team { spider, outlets, offload, robots_token, known, .. } = team;
            let context = VisitContext { http, spider, outlets, offload, canonical, known, body_limits, robots_token };
            Fetcher::new(context, scheduler)
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
