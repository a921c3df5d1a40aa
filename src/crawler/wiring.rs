//! Wiring: starts the actors of a crawl with checked settings; the only file that knows every one of them.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use actix::{Actor, AsyncContext};
use futures_util::{FutureExt, future::join_all};
use hashbrown::HashSet;
use tokio::{runtime::Builder, sync::watch};

use super::{
    OpenOwnFrontier,
    fetchers::{FetcherParts, Pipelines, Reports, factory},
    plan::Plan,
};
use crate::{
    clock,
    conducts::Conducts,
    crawl_log::CrawlLog,
    engine::{
        ClosePipelines, ClosedPipelines, FileWaits, Notices, Scheduler, SchedulerParts,
        budget::Budget,
        crawl::{Crawl, CrawlParts},
        domains::Domains,
        ending::Ending,
        robots_files::RobotsFiles,
        signals,
        sitemap_files::SitemapFiles,
    },
    error::{Error, Result},
    extract::{Scanner, links::MAX_URL_LENGTH},
    feed::{FeedStreams, Outputs, Temporary},
    fetcher::{
        offload::OffloadThreads,
        pool::Pool,
        readers::{page::PageRules, sitemap::SitemapSettings},
        redirect::RedirectRules,
    },
    file_store::pending_files::{PagesAndFiles, PendingFiles},
    files::Files,
    frontier::{
        Frontier,
        admission::{Admission, QueueBounds},
        candidate::{Candidate, SeedMaker},
        durable::{self, Opened, Opening, Resumed},
        memory::MemoryFrontier,
        seen_cache::SeenCache,
        stores::fjall,
    },
    handle::CrawlHandle,
    identity::Identity,
    pipeline::{CrawlStart, NamedFields, Pipeline, StepsAhead, Supervisor},
    politeness::Politeness,
    report::StateReport,
    request::Request,
    robots::product_token,
    settings::{NamedDomains, Settings},
    spider::Spider,
    stats::count::requests_in,
    submissions::{SubmissionEnds, Submissions},
    text::panic_message::message_of,
    threads::niceness::give_way,
    warc::Archive,
};

/// Checks what was asked for, and runs the crawl's own actix system, which ends with the crawl. All other threads of
/// the crawl are started by this one, and are as nice.
pub(super) fn run_system<S: Spider>(
    nice: u8,
    check: impl FnOnce() -> Result<Plan<S>>,
    started: impl FnOnce(Result<CrawlHandle>),
) {
    give_way(nice);
    let plan = match begin(check) {
        Ok(plan) => plan,
        Err(error) => return started(Err(error)),
    };
    // The system's own way to make it panics where the process may open no more files.
    let runtime = match Builder::new_current_thread().enable_io().enable_time().build() {
        Ok(runtime) => runtime,
        Err(error) => return started(Err(Error::Start(error))),
    };
    let system = actix_rt::System::with_tokio_rt(|| runtime);
    match begin(|| system.block_on(wire(plan))) {
        Err(error) => started(Err(error)),
        Ok((begun, threads)) => {
            started(Ok(begun));
            if let Err(error) = system.run() {
                tracing::error!(%error, "the crawl's system ended badly");
            }
            drop(threads);
        }
    }
}

/// Runs the crawl in the system of this thread, whose time is virtual. Others may run there too.
pub(super) fn run_here<S: Spider>(plan: Plan<S>, started: impl FnOnce(Result<CrawlHandle>)) {
    // Without signals nothing is waited for.
    let wired = begin(|| wire(plan).now_or_never().unwrap_or(Err(Error::Ended)));
    started(wired.map(|(begun, threads)| {
        let crawl = begun.clone();
        drop(actix_rt::spawn(async move {
            // The report is not of interest here, only that the threads are kept until it comes.
            let _ = crawl.wait().await;
            drop(threads);
        }));
        begun
    }));
}

/// Choosing domains, opening a frontier, and admitting the seeds run code of a user's own.
fn begin<T>(first_steps: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(first_steps)).unwrap_or_else(|panic| {
        Err(Error::Start(match panic.downcast::<io::Error>() {
            // Of a thread that finds no files.
            Ok(error) => *error,
            Err(panic) => io::Error::other(format!(
                "code of its own frontier, identity, domain key or `best_first` panicked: {}",
                message_of(&*panic)
            )),
        }))
    })
}

/// The default bound on waiting requests of one domain in memory: about 350 MB. Without it one endless site could use
/// the memory of all others.
const MAX_IN_MEMORY_PER_DOMAIN: u64 = 1_000_000;

/// The default bound on waiting requests of one domain with a state: about a gigabyte of disk.
const MAX_STORED_PER_DOMAIN: u64 = 10_000_000;

/// Starts the actors, downstream first: pipelines, log, fetchers, scheduler.
#[allow(clippy::too_many_lines, reason = "a list of what each actor gets, in one order")]
async fn wire<S: Spider>(plan: Plan<S>) -> Result<(CrawlHandle, OffloadThreads)> {
    let Plan {
        spider,
        user_agent,
        seeds,
        settings,
        domains,
        seed_maker,
        open,
        sitemap_rule,
        fetch,
        blocks_fetchers,
        sessions,
        warnings,
        conversions,
        items,
        responses,
        archive,
        pipelines,
        files,
        conducts,
        streams,
        capacity,
        threads,
        offload,
    } = plan;
    // Opened before any output: whether outputs are emptied depends on it, and another process may hold the state.
    let (mut frontier, resumed) = open_frontier(&settings, &seed_maker, &seeds, open)?;
    let has_state = frontier.durable().is_some();
    // Code of a user's own judges them: what panics there leaves the outputs as they were.
    // Whoever began the crawl has them fetched again.
    let again = settings.recrawl.seeds && !resumed.joins_others;
    let seeds = candidates(seeds, again, &seed_maker);
    let named_fields = NamedFields::default();
    let opened = (&resumed, &named_fields);
    let pipelines = started::<S>(pipelines, &items.steps, opened, &mut *frontier, (&user_agent, &settings))?;
    let log = settings.log.as_deref().map(|path| CrawlLog::start(path, has_state)).transpose()?;
    let ending = Ending::new(warnings, state_report(&settings, &resumed), items.validators.found(), sessions.clone());
    let stops_on_signals = settings.stop_on_signals && !clock::is_virtual();
    let has_unnamed_files = settings.files.dir.is_some() && !items.files.are_named();
    let (submissions, pending) = (Arc::new(Submissions::default()), files.pending.clone());
    let scheduler = Scheduler::create({
        let (pipelines, ending, warns) = (pipelines.clone(), ending.clone(), spider.clone());
        let (seed_maker, streams, submissions) = (seed_maker.clone(), streams.clone(), submissions.clone());
        move |context| {
            let SeedMaker { identity, ranking } = seed_maker.clone();
            let (notices, politeness) = (Arc::new(Notices(context.address())), Arc::new(settings.politeness.clone()));
            let (tells_politeness, told) = watch::channel(politeness.clone());
            let seen_cache = Arc::new(SeenCache::new(&settings.recrawl));
            let start_fetcher = factory(
                FetcherParts {
                    rules: Arc::new(PageRules {
                        spider,
                        identity: identity.clone(),
                        seen_cache: seen_cache.clone(),
                        ranking,
                        items,
                        conversions,
                        scanner: scanner(&settings).robot(product_token(&user_agent)),
                        redirects: redirect_rules(&settings),
                        body_limits: settings.transport.body,
                        keeps_visits: settings.recrawl.adaptive.is_some(),
                    }),
                    pipelines: pipelines.clone(),
                    offload,
                    fetch,
                    blocks_fetchers,
                    retry: settings.retry.clone(),
                    conducts: conducts.clone(),
                    politeness: told,
                    robots_token: product_token(&user_agent).into(),
                    submissions: submissions.clone(),
                    files,
                    sitemaps: Arc::new(SitemapSettings { settings: settings.sitemaps.clone(), rule: sitemap_rule }),
                },
                Reports::to(&context.address()),
            );
            listen(&mut *frontier, &notices);
            let mut crawl = Crawl::new(CrawlParts {
                retry: settings.retry.clone(),
                frontier,
                budget: Budget::of_scope(&settings.scope).with_own(domains.bounds(|own| own.max_pages)),
                domains: paced_domains(politeness, &conducts, notices.clone(), settings.adaptive),
                robots: RobotsFiles::new(product_token(&user_agent)),
                sitemaps: sitemap_files(&settings, &identity),
                pool: Pool::new(settings.threads, start_fetcher),
                returned: notices,
                log: log.is_some(),
                streams,
                admission: admission(&settings, &domains, queue_bounds(&settings, has_state), seen_cache, &identity),
                politeness: tells_politeness,
            });
            tell_who_waits(&mut crawl, submissions, pending, &settings.files);
            crawl.share(capacity.as_ref(), Arc::new(Notices(context.address())));
            crawl.resume(resumed, clock::now(), clock::wall());
            crawl.begin(seeds, clock::now());
            let Settings { stay_open, max_time, .. } = settings;
            let close_pipelines = closing::<S>(pipelines, named_fields, archive, warns);
            Scheduler::new(
                crawl,
                SchedulerParts { stay_open, max_time, log, responses, has_unnamed_files, close_pipelines, ending },
            )
        }
    });
    if stops_on_signals {
        signals::heed(scheduler.clone(), ending.clone()).await;
    }
    Ok((CrawlHandle::new(scheduler, ending, seed_maker, streams, submissions, sessions), threads))
}

/// Lets a durable frontier tell the scheduler what it has written and found.
fn listen(frontier: &mut dyn Frontier, notices: &Arc<Notices>) {
    if let Some(store) = frontier.durable() {
        store.listen(notices.clone());
    }
}

fn started<S: Spider>(
    pipelines: Vec<Box<dyn Pipeline<S::Item>>>,
    steps: &StepsAhead<S::Item>,
    (resumed, named_fields): (&Resumed, &NamedFields),
    frontier: &mut dyn Frontier,
    (user_agent, settings): (&str, &Settings),
) -> Result<Pipelines<S>> {
    let has_state = frontier.durable().is_some();
    let folder = settings.state.as_ref().filter(|folder| has_state && folder.is_dir());
    let (goes_on, outputs) = (resumed.checkpoint.is_some(), Outputs::default());
    let start = |number: usize| CrawlStart {
        resumes: goes_on,
        has_state,
        spider: product_token(user_agent).into(),
        state: folder.map(|folder| (folder.clone(), number.to_string())),
        temporary: Temporary::default(),
        streams: FeedStreams::default(),
        outputs: outputs.clone(),
        named_fields: named_fields.clone(),
    };
    // What a check has found of an output holds when it is opened.
    let starts: Vec<_> = (0..pipelines.len()).map(start).collect();
    // All are checked before the first is emptied.
    for (recipe, start) in pipelines.iter().zip(&starts) {
        Supervisor::check(&**recipe, start.clone())?;
    }
    settings.log.as_deref().map_or(Ok(()), |path| CrawlLog::check(path, &outputs))?;
    steps.check(folder.map(|folder| &**folder), &outputs)?;
    let pipelines = pipelines.into_iter().zip(starts);
    let started = pipelines.map(|(recipe, start)| Supervisor::start(recipe, start, settings.pipeline_timeout));
    let started = started.collect::<Result<Vec<_>>>()?;
    steps.open(folder.map(|folder| &**folder), goes_on)?;
    Ok(started.into())
}

fn tell_who_waits(crawl: &mut Crawl, pages: Arc<dyn SubmissionEnds>, pending: Arc<PendingFiles>, files: &Files) {
    crawl.set_submissions(Arc::new(PagesAndFiles(pages, pending.clone())));
    crawl.wait_for_files(FileWaits { pending, max_pages: files.max_waiting_pages, max_wait: files.max_time });
}

fn state_report(settings: &Settings, resumed: &Resumed) -> Option<StateReport> {
    let before = resumed.checkpoint.as_ref();
    Some(StateReport {
        dir: settings.state.clone()?,
        resumed: before.is_some(),
        requests_before: before.map_or(0, |checkpoint| requests_in(&checkpoint.counts)),
        changed: resumed.changed.clone(),
    })
}

/// Opens the caller's own frontier, or one in the configured directory, or one in memory.
fn open_frontier(
    settings: &Settings,
    seed_maker: &SeedMaker,
    seeds: &[Request],
    open: Option<OpenOwnFrontier>,
) -> Result<(Box<dyn Frontier>, Resumed)> {
    let seeds = seeds.iter().map(|seed| seed.url.as_str()).collect::<Vec<_>>().join(" ");
    let parts = vec![
        ("seeds", format!("{:032x}", xxhash_rust::xxh3::xxh3_128(seeds.as_bytes()))),
        ("politeness", format!("{:?}", settings.politeness)),
        ("scope", format!("{:?}", settings.scope)),
        ("retry", format!("{:?}", settings.retry)),
        ("recrawl", format!("{:?}", settings.recrawl)),
        (
            durable::ORDER,
            if seed_maker.ranking.best_first.is_some() {
                "best first".to_owned()
            } else {
                format!("{:?}", settings.order)
            },
        ),
        (durable::DOMAIN_KEY, format!("{:?}", settings.politeness.domain_key)),
        (durable::IDENTITY, seed_maker.identity.name().to_owned()),
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

fn admission(
    settings: &Settings,
    domains: &NamedDomains,
    bounds: QueueBounds,
    seen_cache: Arc<SeenCache>,
    identity: &Arc<dyn Identity>,
) -> Admission {
    Admission::new(settings.scope.clone(), settings.politeness.domain_key.clone(), seen_cache)
        .bounds(bounds)
        .own_bounds(domains.bounds(|own| own.max_queued))
        .order(settings.order)
        .max_sitemaps(settings.sitemaps.max_files_per_domain)
        .recrawl(&settings.recrawl)
        .identity(identity.clone())
}

fn paced_domains(politeness: Arc<Politeness>, conducts: &Conducts, notices: Arc<Notices>, adaptive: bool) -> Domains {
    let tenant = conducts.tenant(&politeness.domain_key);
    Domains::new(politeness, tenant, notices, adaptive)
}

/// Sitemaps are read again where they tell what else is.
fn sitemap_files(settings: &Settings, identity: &Arc<dyn Identity>) -> SitemapFiles {
    let again = settings.recrawl.seeds || settings.recrawl.by_lastmod;
    SitemapFiles::new(settings.sitemaps.read, again, identity.clone())
}

fn redirect_rules(settings: &Settings) -> RedirectRules {
    RedirectRules {
        secret_headers: settings.transport.secret_headers.clone().into(),
        follows_refresh: settings.follow_refresh,
    }
}

/// Reads from pages what the settings allow. What is too long for the scope but not for a page by default is left to
/// Admission, which counts each URL once.
fn scanner(settings: &Settings) -> Scanner {
    let max_url_length = settings.scope.max_url_length.max(MAX_URL_LENGTH);
    Scanner::default().max_links(settings.max_links_per_page).max_url_length(max_url_length)
}

fn candidates(seeds: Vec<Request>, again: bool, seed_maker: &SeedMaker) -> Vec<Candidate> {
    let mut given = HashSet::new();
    let seeds = seeds.into_iter().map(|mut seed| {
        seed.dont_filter |= again;
        seed_maker.candidate(seed)
    });
    // Fetched again, but only once.
    seeds.filter(|seed| !again || given.insert(seed.fingerprint())).collect()
}

/// Returns the function that closes the pipelines and the archive at the end.
fn closing<S: Spider>(
    pipelines: Pipelines<S>,
    named_fields: NamedFields,
    archive: Option<Archive>,
    spider: Arc<S>,
) -> ClosePipelines {
    Box::new(move || {
        Box::pin(async move {
            let closed = join_all(pipelines.iter().map(Supervisor::close)).await;
            let restarts: u64 = pipelines.iter().map(Supervisor::restarts).sum();
            let mut failures = closed.into_iter().filter_map(|closed| Some(closed.err()?.to_string()));
            let failure = failures.next();
            let restarted = (restarts > 0).then(|| format!("restarted {restarts} times after a panic or a timeout"));
            let unindexed = match archive {
                Some(archive) => archive.close().await,
                None => Vec::new(),
            };
            let mut warnings = named_fields.warnings();
            warnings.extend(warnings_of(&*spider));
            ClosedPipelines { failure, warnings, complaints: failures.chain(restarted).chain(unindexed).collect() }
        })
    })
}

/// Returns what a spider warns of.
fn warnings_of(spider: &impl Spider) -> Vec<String> {
    catch_unwind(AssertUnwindSafe(|| spider.warnings()))
        .unwrap_or_else(|panic| vec![format!("the spider's warnings() panicked: {}", message_of(&*panic))])
}
