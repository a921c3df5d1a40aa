//! A crawl with a simulated clock: draining queues next to other domains, beyond the budget and across a kill; and
//! robots files of many domains.

use std::{collections::BTreeSet, num::NonZeroU32, sync::mpsc, time::SystemTime};

use actix::{Actor, Context, Handler};
use futures_util::FutureExt;

use super::*;
use crate::{
    conduct::{
        Lessons,
        cooling::{CoolingCause, Refusals},
    },
    conducts::Conducts,
    engine::tuning::SettingChange,
    events::Happened,
    extract::Skipped,
    fetcher::{
        Assignment, Grant, Granted,
        readers::{Extracted, Reading},
        receipt::Receipt,
        visit::{Notified, Visit},
    },
    frontier::{
        Lease, Next,
        candidate::Candidate,
        durable::Checkpoint,
        memory::MemoryFrontier,
        seen_cache::SeenCache,
        shared::{CrawlState, Others},
    },
    identity::CanonicalUrl,
    outcome::{Outcome, RedirectBy, local_fault::LocalFault},
    politeness::RobotsPolicy,
    rate::Rate,
    recrawl::Recrawl,
    request::{
        Kind, Request,
        sitemap_file::{FoundBy, SitemapFile},
    },
    robots::{RobotsCache, RobotsFile},
    scope::{Scope, Within},
    threads::own_arbiter::OwnArbiter,
};

/// The most requests that may end unsent in one turn: under a millisecond of the scheduler's time, also in a test
/// build.
const MAX_IN_A_TURN: u64 = 500;

const MS: Duration = Duration::from_millis(1);

/// Tells requests apart.
type OfRequest = fn(&Request) -> bool;

/// A fetcher that passes its grants to the test.
struct TestFetcher(mpsc::Sender<Assignment>);

impl Actor for TestFetcher {
    type Context = Context<Self>;
}

impl Handler<Granted> for TestFetcher {
    type Result = ();

    fn handle(&mut self, Granted(grants): Granted, _: &mut Self::Context) {
        grants.into_iter().for_each(|grant| self.0.send(grant).unwrap());
    }
}

/// A crawl with a simulated clock, in which every page succeeds in the millisecond that it is due.
struct World {
    crawl: Crawl,
    streams: Arc<Streams>,
    grants: mpsc::Receiver<Assignment>,
    in_hand: Vec<Grant>,
    /// What the spider has heard of.
    heard: Vec<(String, Outcome)>,
    /// Whose requests have to wait until when for their session, and how many were granted and heard that.
    rests: Option<(OfRequest, Instant)>,
    held: usize,
    /// What follows from each failure that it hears of.
    follows: fn(&Request) -> Vec<Request>,
    now: Instant,
    /// When each domain was requested.
    starts: Vec<(Instant, Domain)>,
    /// How many robots files were requested, and their content.
    robots_asked: usize,
    /// For each page, how many robots files had been requested before it.
    robots_before: Vec<usize>,
    robots_file: fn(&Domain) -> RobotsFile,
    /// Arbiters need a running system.
    _system: actix_rt::SystemRunner,
}

impl Crawl {
    fn ledger(&self) -> crate::stats::Ledger {
        self.accounts.to_store(Duration::ZERO).ledger
    }
}

impl World {
    fn new(frontier: Box<dyn Frontier>, budget: Budget) -> Self {
        let (rate, per_domain, robots) = (Some(Rate::per_second(100)), NonZeroU32::MAX, RobotsPolicy::Ignore);
        let politeness = Politeness { rate, per_domain, robots, ..Politeness::default() };
        Self::with(politeness, frontier, budget, RobotsFiles::new("bot"))
    }

    fn with(politeness: Politeness, frontier: Box<dyn Frontier>, budget: Budget, robots: RobotsFiles) -> Self {
        let system = actix_rt::System::new();
        let (sender, grants) = mpsc::channel();
        let politeness = Arc::new(politeness);
        let factory = move |_| {
            let (arbiter, sender) = (OwnArbiter::new(), sender.clone());
            let hand = TestFetcher::start_in_arbiter(&arbiter.handle(), |_| TestFetcher(sender));
            (arbiter, hand.recipient())
        };
        let streams = Arc::<Streams>::default();
        let scope = Scope { within: Within::Any, ..Scope::default() };
        let crawl = Crawl::new(CrawlParts {
            retry: Retry::default(),
            frontier,
            admission: Admission::new(
                scope,
                politeness.domain_key.clone(),
                Arc::new(SeenCache::new(&Recrawl::default())),
            ),
            budget,
            domains: Domains::new(
                politeness.clone(),
                Conducts::new().tenant(&politeness.domain_key),
                Arc::new(()),
                false,
            ),
            robots,
            sitemaps: SitemapFiles::default(),
            pool: Pool::new(1, Box::new(factory)),
            returned: Arc::new(()),
            log: false,
            streams: streams.clone(),
            politeness: watch::Sender::new(politeness),
        });
        Self {
            crawl,
            streams,
            grants,
            in_hand: Vec::new(),
            heard: Vec::new(),
            rests: None,
            held: 0,
            follows: |_| Vec::new(),
            now: Instant::now(),
            starts: Vec::new(),
            robots_asked: 0,
            robots_before: Vec::new(),
            robots_file: |_| RobotsFile::read(b"", "bot"),
            _system: system,
        }
    }

    /// With robots files that are obeyed.
    fn obeying() -> Self {
        let (rate, per_domain) = (Some(Rate::per_second(100)), NonZeroU32::MAX);
        let politeness = Politeness { rate, per_domain, robots: RobotsPolicy::Obey, ..Politeness::default() };
        let frontier = Box::new(MemoryFrontier::new(Recrawl::default(), Instant::now()));
        Self::with(politeness, frontier, Budget::default(), RobotsFiles::new("bot"))
    }

    fn in_memory(budget: Budget) -> Self {
        Self::new(Box::new(MemoryFrontier::new(Recrawl::default(), Instant::now())), budget)
    }

    fn seed(&mut self, domain: &Domain, pages: u32) {
        let page = |page| Request::parse(&format!("http://{}/{page}", domain.as_str())).unwrap();
        let seeds = (0..pages).map(|number| Candidate::new(page(number), &CanonicalUrl::default())).collect();
        self.crawl.seed(seeds, None, self.now);
    }

    /// Makes the domain refuse until it is given up.
    fn refuse(&mut self, domain: &Domain) {
        self.refuse_for(domain, Duration::from_secs(600));
    }

    fn refuse_for(&mut self, domain: &Domain, wait: Duration) {
        let until = self.now + wait;
        let why = CoolingCause::Status(503);
        let refused = Lessons::new(Some(Refusals { in_a_row: 8, limit: 8, until, why }), None);
        self.crawl.domains.recall(domain, refused, self.now);
    }

    /// Runs one turn of the scheduler, and the fetchers until the next turn. Returns how many requests ended unsent, or
    /// are told to the spider.
    fn turn(&mut self) -> u64 {
        let unasked = |crawl: &Crawl| crawl.ledger().failed + crawl.ledger().dropped;
        let before = unasked(&self.crawl);
        self.crawl.turn(self.now);
        let (after, mut notified) = (unasked(&self.crawl), self.crawl.failures.notifying());
        let all = after - before + notified as u64;
        while self.in_hand.len() < self.crawl.granter.busy() || notified > 0 {
            match self.grants.recv_timeout(Duration::from_secs(10)).expect("what is granted comes") {
                Assignment::Send(grant) => self.in_hand.push(grant),
                Assignment::Notify(lease, outcome) => {
                    notified -= 1;
                    self.notify(lease, outcome);
                }
            }
        }
        for mut grant in std::mem::take(&mut self.in_hand) {
            if let Some((_, until)) =
                self.rests.filter(|(rests, until)| *until > self.now && rests(grant.lease.request()))
            {
                self.hold(grant, until);
                continue;
            }
            match grant.permit.try_start(self.now) {
                Ok(()) => self.fetch(grant),
                Err(_) => self.in_hand.push(grant),
            }
        }
        let progress = self.crawl.progress(Duration::ZERO, self.now);
        assert!(progress.ledger.adds_up(), "{progress:?}");
        all
    }

    /// Runs turns to an instant, each when it is due.
    fn turns_to(&mut self, until: Instant) {
        while self.now < until {
            self.turn();
            let due = self.crawl.next_turn(self.now).filter(|_| self.in_hand.is_empty());
            self.now = due.unwrap_or(self.now).max(self.now + MS).min(until);
        }
    }

    /// Runs turns until nothing more ends in this millisecond.
    fn turns(&mut self) -> u64 {
        std::iter::from_fn(|| Some(self.turn()).filter(|ended| *ended > 0)).sum()
    }

    fn notify(&mut self, lease: Lease, outcome: Outcome) {
        let request = lease.request().clone();
        self.heard.push((request.url.path().to_owned(), outcome.clone()));
        let follow = (self.follows)(&request).into_iter();
        let found = follow.map(|request| Candidate::new(request, &CanonicalUrl::default())).collect();
        let content = Extracted::Page { found, items: 0, skipped: Skipped::default(), version: None };
        let reading = Reading { content, ..outcome.into() };
        self.crawl.notified(Notified { leased: lease.settle(), reading }, self.now, SystemTime::now());
    }

    /// Ends a request whose session rests.
    fn hold(&mut self, Grant { permit, lease, .. }: Grant, until: Instant) {
        let domain = permit.domain().clone();
        drop(permit);
        let session_rest = Some(until - self.now);
        let visit = Visit {
            session_rest,
            is_without_request: false,
            ..Visit::without_request(lease.settle(), Outcome::Unsent)
        };
        self.held += 1;
        self.crawl.released(&domain, self.now);
        self.crawl.ended(visit, self.now, SystemTime::now());
    }

    /// Ends the request for a robots file that was granted.
    fn end_robots(&mut self, outcome: Outcome) {
        let Ok(Assignment::Send(Grant { permit, lease, .. })) = self.grants.recv_timeout(Duration::from_secs(10))
        else {
            panic!("it was granted")
        };
        assert_eq!(lease.request().kind(), Kind::RobotsTxt);
        let domain = permit.domain().clone();
        drop(permit);
        let visit = Visit { is_without_request: false, ..Visit::without_request(lease.settle(), outcome) };
        self.crawl.released(&domain, self.now);
        self.crawl.ended(visit, self.now, SystemTime::now());
    }

    fn fetch(&mut self, Grant { mut permit, lease, .. }: Grant) {
        let domain = permit.domain().clone();
        permit.wrote(self.now);
        drop(permit);
        let content = match lease.request().kind() {
            Kind::RobotsTxt => {
                self.robots_asked += 1;
                Extracted::RobotsTxt((self.robots_file)(&domain))
            }
            Kind::Page | Kind::Sitemap(_) | Kind::File => {
                self.starts.push((self.now, domain.clone()));
                self.robots_before.push(self.robots_asked);
                Extracted::Nothing
            }
        };
        let receipt = Receipt { status: Some(200), started: Some(self.now), ..Receipt::default() };
        let over = Visit::without_request(lease.settle(), Outcome::Ok);
        let visit = Visit { content, receipt, is_without_request: false, ..over };
        self.crawl.released(&domain, self.now);
        self.crawl.ended(visit, self.now, SystemTime::now());
    }
}

fn domains() -> [Domain; 2] {
    ["big.test", "other.test"].map(Domain::new)
}

/// Regression: the whole queue of a given-up domain failed in one turn, and with a million requests in it no other
/// domain got a permit for seconds.
#[test]
fn a_domain_that_is_given_up_with_a_long_queue_takes_no_time_from_another() {
    let ([big, other], mut world) = (domains(), World::in_memory(Budget::default()));
    world.seed(&big, 50_000);
    world.seed(&other, 60);
    world.refuse(&big);
    let mut turns = 0;
    while !world.crawl.is_finished() {
        let ended = world.turn();
        assert!(ended <= MAX_IN_A_TURN, "{ended} requests ended in one turn");
        let due = world.crawl.next_turn(world.now);
        assert!(due.is_some() || world.crawl.is_finished(), "it would wait for ever");
        world.now += MS;
        turns += 1;
        assert!(turns < 2_000, "{:?}", world.crawl.ledger());
    }
    let ledger = world.crawl.ledger();
    assert_eq!((ledger.failed, ledger.done, ledger.dropped), (50_000, 60, 0));
    let heard: BTreeSet<_> = world.heard.iter().map(|(path, _)| path).collect();
    assert_eq!((heard.len(), world.heard.len()), (50_000, 50_000), "each is heard of once");
    assert!(world.starts.iter().all(|(_, domain)| *domain == other), "who was given up is left alone");
    let gaps = world.starts.windows(2).map(|pair| pair[1].0 - pair[0].0);
    assert_eq!(gaps.filter(|gap| *gap != 10 * MS).count(), 0, "100 a second, and each on its place");
}

#[test]
fn what_is_found_while_a_domain_is_drained_ends_with_the_rest() {
    let ([big, _], mut world) = (domains(), World::in_memory(Budget::default()));
    world.seed(&big, 1_000);
    world.refuse(&big);
    assert_eq!(world.turns(), MAX_IN_A_TURN, "no second step in the same millisecond");
    world.seed(&big, 1_200);
    for _ in 0..10 {
        world.now += MS;
        world.turns();
    }
    assert!(world.crawl.is_finished());
    assert_eq!(world.crawl.ledger().failed, 1_200);
    world.seed(&big, 1_201);
    assert!(!world.crawl.is_finished());
    for _ in 0..3 {
        world.now += MS;
        world.turns();
    }
    assert_eq!((world.crawl.ledger().failed, world.starts.len()), (1_201, 0));
}

#[test]
fn what_waits_for_a_later_attempt_fails_with_its_domain_and_a_sitemap_is_not_told_of() {
    let ([big, _], mut world) = (domains(), World::in_memory(Budget::default()));
    world.seed(&big, 3);
    let Next::Leased(leased) = world.crawl.frontier.lease(&big, world.now) else { panic!("it waits") };
    world.crawl.frontier.give_back(leased.id, Some(world.now + Duration::from_secs(3_600)), true);
    let sitemap = SitemapFile { by: FoundBy::Guess(0), nesting: 0 };
    let sitemap = Request::sitemap("http://big.test/sitemap.xml".parse().unwrap(), sitemap);
    world.crawl.seed(vec![Candidate::new(sitemap, &CanonicalUrl::default())], None, world.now);
    world.refuse(&big);
    world.turns();
    assert!(world.crawl.is_finished());
    let mut heard: Vec<_> = world.heard.iter().map(|(path, _)| path.as_str()).collect();
    heard.sort_unstable();
    assert_eq!((heard, world.crawl.ledger().failed), (vec!["/0", "/1", "/2"], 4));
}

/// Regression: the crawl did not end for as long as the domain was given up, up to a day: such pages are on lease, and
/// only what waits in the frontier was drained.
#[test]
fn pages_that_wait_for_a_robots_file_end_with_their_domain() {
    const DAY: Duration = Duration::from_secs(86_400);
    let [big, other] = domains();
    let mut world = World::obeying();
    world.seed(&big, 3);
    world.crawl.turn(world.now);
    world.refuse_for(&big, DAY);
    // It comes back unsent, since its domain cools, and would be asked for after that.
    world.end_robots(Outcome::Unsent);
    let soon = |world: &World| world.now + 20 * MS;
    world.turns_to(soon(&world));
    assert!(world.crawl.is_finished(), "{:?}", world.crawl.progress(Duration::ZERO, world.now));
    assert_eq!((world.crawl.ledger().failed, world.heard.len(), world.starts.len()), (3, 3, 0));

    // The file of another domain leads there.
    let mut world = World::obeying();
    world.refuse_for(&big, DAY);
    world.seed(&other, 3);
    for _ in 0..4 {
        world.crawl.turn(world.now);
        let to = "http://big.test/robots.txt".parse().unwrap();
        world.end_robots(Outcome::Redirect { status: 302, to, by: RedirectBy::Location });
        world.turns_to(soon(&world));
        world.now += Duration::from_secs(10);
    }
    assert!(world.crawl.is_finished(), "{:?}", world.crawl.progress(Duration::ZERO, world.now));
    assert_eq!((world.crawl.ledger().failed, world.heard.len(), world.starts.len()), (3, 3, 0));
}

#[test]
fn pages_that_a_robots_file_disallows_are_heard_of_once_and_take_no_time_from_another_domain() {
    let ([big, other], mut world) = (domains(), World::obeying());
    world.robots_file = |domain| {
        let rules = if domain.as_str() == "big.test" { "User-agent: *\nDisallow: /" } else { "" };
        RobotsFile::read(rules.as_bytes(), "bot")
    };
    world.seed(&big, 20_000);
    world.seed(&other, 60);
    let mut turns = 0;
    while !world.crawl.is_finished() {
        assert!(world.turn() <= MAX_IN_A_TURN);
        let due = world.crawl.next_turn(world.now);
        assert!(due.is_some() || world.crawl.is_finished() || !world.in_hand.is_empty(), "it would wait for ever");
        world.now += MS;
        turns += 1;
        assert!(turns < 2_000, "{:?}", world.crawl.ledger());
    }
    let ledger = world.crawl.ledger();
    assert_eq!((ledger.done, ledger.dropped, ledger.failed), (60, 20_000, 0));
    let heard: BTreeSet<_> = world.heard.iter().map(|(path, _)| path).collect();
    assert_eq!((heard.len(), world.heard.len()), (20_000, 20_000), "each once");
    assert!(world.heard.iter().all(|(_, outcome)| *outcome == Outcome::Disallowed));
    let gaps = world.starts.windows(2).map(|pair| pair[1].0 - pair[0].0);
    assert_eq!(gaps.filter(|gap| *gap > 11 * MS).count(), 0, "100 a second");
}

#[test]
fn links_that_follow_from_failures_are_admitted_and_a_crawl_that_stops_keeps_what_is_not_heard_of() {
    let ([big, other], mut world) = (domains(), World::in_memory(Budget::default()));
    world.follows = |failed| Request::parse(&format!("http://other.test{}", failed.url.path())).into_iter().collect();
    world.seed(&big, 1_000);
    world.refuse(&big);
    let notified = world.turn();
    assert_eq!((world.crawl.ledger().failed, world.crawl.frontier.queued_of(&other)), (notified, notified));
    world.crawl.turn(world.now);
    world.crawl.set_mode(Mode::Stopping);
    let (ledger, in_flight) =
        (world.crawl.progress(Duration::ZERO, world.now).ledger, world.crawl.granter.busy() as u64);
    assert!(ledger.adds_up() && ledger.leased == notified + in_flight, "{ledger:?}");
    assert_eq!(ledger.queued, 1_000 - notified - in_flight, "{ledger:?}");
    world.turns();
    assert!(world.crawl.is_finished(), "those that were on their way are heard of");
    assert_eq!(world.crawl.ledger().failed, 2 * notified);
}

#[test]
fn what_waited_when_a_domain_was_given_up_is_not_asked_for_when_it_may_be_asked_again() {
    let ([big, _], mut world) = (domains(), World::in_memory(Budget::default()));
    world.seed(&big, 5_000);
    world.refuse_for(&big, 3 * MS);
    let mut turns = 0;
    while !world.crawl.is_finished() {
        world.turn();
        world.now += MS;
        turns += 1;
        if turns == 5 {
            // A link to it is found, which schedules it.
            world.seed(&big, 5_001);
        }
    }
    assert_eq!((world.crawl.ledger().failed, world.starts.len()), (5_001, 0));
    world.seed(&big, 5_002);
    world.turn();
    assert_eq!(world.starts.len(), 1, "what comes later is");
}

#[test]
fn what_is_beyond_the_budget_is_dropped_in_steps_too() {
    let [big, other] = domains();
    let small: Vec<_> = (0..1_200).map(|number| Domain::new(&format!("d{number}.test"))).collect();
    for (budget, pages) in [(Budget::new(Some(3), None), 3), (Budget::new(None, Some(3)), 6 + 1_200)] {
        let mut world = World::in_memory(budget);
        world.seed(&big, 5_000);
        world.seed(&other, 700);
        small.iter().for_each(|domain| world.seed(domain, 1));
        let mut turns = 0;
        while !world.crawl.is_finished() {
            let before = world.crawl.ledger().dropped;
            assert!(world.turn() <= MAX_IN_A_TURN);
            // Regression: 500 domains were dropped, and nothing said that there are more: the next came a minute later.
            let is_due = world.crawl.next_turn(world.now).is_some_and(|due| due <= world.now + 50 * MS);
            let goes_on = is_due || world.crawl.is_finished();
            assert!(goes_on || world.crawl.ledger().dropped == before, "{:?}", world.crawl.ledger());
            world.now += MS;
            turns += 1;
            assert!(turns < 2_000, "{:?}", world.crawl.ledger());
        }
        let ledger = world.crawl.ledger();
        assert_eq!((ledger.done, ledger.dropped), (pages, 5_700 + 1_200 - pages));
    }
}

/// Regression: each request of a session that rested was granted, heard that, and was queued again.
#[test]
fn while_all_sessions_rest_nothing_is_granted() {
    let ([big, other], mut world) = (domains(), World::in_memory(Budget::default()));
    world.seed(&big, 1_000);
    world.seed(&other, 10);
    let until = world.now + Duration::from_secs(60);
    world.rests = Some((|_| true, until));
    world.turns_to(until);
    assert!(world.held <= 2 && world.starts.is_empty(), "{} were granted for nothing", world.held);
    let due = world.crawl.next_turn(world.now);
    assert!(due.is_some_and(|due| due <= until + 10 * MS), "{due:?}");
    world.turns_to(until + Duration::from_secs(20));
    assert_eq!((world.crawl.is_finished(), world.crawl.ledger().done), (true, 1_010));
}

#[test]
fn while_one_session_rests_its_requests_are_not_granted_and_those_of_others_are() {
    let ([big, _], mut world) = (domains(), World::in_memory(Budget::default()));
    let seed = |who: &str, n| Request::parse(&format!("http://big.test/{who}/{n}")).unwrap().session(who);
    let seeds = (0..3_000).map(|n| seed("alice", n)).chain((0..10).map(|n| seed("bob", n)));
    let seeds = seeds.map(|seed| Candidate::new(seed, &CanonicalUrl::default())).collect();
    world.crawl.seed(seeds, None, world.now);
    let until = world.now + Duration::from_secs(60);
    world.rests = Some((|request| request.session_name() == Some("alice"), until));
    world.turns_to(until);
    assert!(world.held <= 2, "{} were granted for nothing", world.held);
    assert_eq!((world.starts.len(), world.crawl.frontier.queued_of(&big)), (10, 3_000), "bob does not wait for alice");
    world.turns_to(until + Duration::from_secs(60));
    assert!(world.crawl.is_finished());
}

/// Regression: a page that came after the end on all machines, and waited here for its robots file or a permit, was
/// waited for without end.
#[test]
fn what_comes_after_the_end_on_all_machines_is_not_waited_for() {
    let [domain, _] = domains();
    let mut world = World::obeying();
    world.crawl.share_with(Checkpoint::default());
    world.seed(&domain, 3);
    world.crawl.turn(world.now);
    world.crawl.others_did(Others { state: CrawlState::Ended, ..Others::default() });
    world.crawl.set_paused(false);
    world.turns_to(world.now + 50 * MS);
    assert!(world.crawl.is_finished(), "{:?}", world.crawl.progress(Duration::ZERO, world.now));
    assert_eq!(world.starts, [], "it would be stored nowhere");
}

/// A robots file of about forty lines that differ from domain to domain.
fn robots_file(domain: &Domain) -> RobotsFile {
    let lines = (0..40).map(|line| format!("Disallow: /{}/private-{line}/\n", domain.as_str()));
    RobotsFile::read(format!("User-agent: *\n{}", lines.collect::<String>()).as_bytes(), "bot")
}

/// Crawls `domains` with `pages` each; the robots cache is too small for all files. Returns the world at the end.
fn crawl_with_robots(domains: usize, pages: u32, cache_bytes: usize) -> World {
    let concurrency = NonZeroU32::new(5).unwrap();
    let politeness = Politeness { concurrency, robots: RobotsPolicy::Obey, ..Politeness::default() };
    let cache = RobotsCache::holding("bot", cache_bytes, cache_bytes);
    let frontier = Box::new(MemoryFrontier::new(Recrawl::default(), Instant::now()));
    let mut world = World::with(politeness, frontier, Budget::default(), RobotsFiles::with_cache(cache));
    world.robots_file = robots_file;
    for n in 0..domains {
        world.seed(&Domain::new(&format!("d{n}.test")), pages);
    }
    let mut turns = 0;
    while !world.crawl.is_finished() {
        world.turn();
        world.now += 5 * MS;
        turns += 1;
        assert!(turns < 20_000, "{:?}, {} robots files", world.crawl.ledger(), world.robots_asked);
    }
    assert_eq!(world.crawl.ledger().done, (domains * pages as usize) as u64);
    world
}

/// Regression: each file was evicted before its page's turn and requested again: 141,839 robots requests and no page in
/// 70 s.
#[test]
fn a_page_is_ruled_by_the_file_that_it_waited_for_however_small_the_cache() {
    let world = crawl_with_robots(2_000, 1, 0);
    assert_eq!(world.robots_asked, 2_000);
}

/// Regression: all robots files were requested before the first page.
#[test]
fn the_pages_of_a_domain_follow_soon_upon_its_robots_file() {
    let world = crawl_with_robots(2_000, 2, 8 << 20);
    assert_eq!(world.robots_asked, 2_000);
    // A thousand requests a second, and one second between two requests of a domain.
    let before = world.robots_before[500];
    assert!((900..1_200).contains(&before), "{before} of 2,000 robots files before the 500th page");
}

/// Regression: the request that looked whether a fault of this machine is over was a page that waited for a file, which
/// was not requested while that one was under way: the crawl stood still for ever.
#[test]
fn a_page_that_looks_whether_an_outage_is_over_gets_its_files() {
    let ([big, other], mut world) = (domains(), World::in_memory(Budget::default()));
    let grant = |world: &World| match world.grants.recv_timeout(Duration::from_secs(10)).expect("it was granted") {
        Assignment::Send(grant) => grant,
        Assignment::Notify(..) => panic!("a request was granted"),
    };
    world.seed(&big, 1);
    world.crawl.turn(world.now);
    let Grant { permit, lease, .. } = grant(&world);
    drop(permit);
    world.crawl.released(&big, world.now);
    let fault = Outcome::Local(LocalFault::Network, "no route".to_owned());
    let visit = Visit { is_without_request: false, ..Visit::without_request(lease.settle(), fault) };
    world.crawl.ended(visit, world.now, SystemTime::now());
    world.now += 2 * Duration::from_secs(1);
    world.crawl.turn(world.now);
    let Grant { permit, lease, .. } = grant(&world);
    let file = Request::file(format!("http://{}/a.svg", other.as_str()).parse().unwrap());
    world.crawl.files_asked(vec![Candidate::new(file, &CanonicalUrl::default())], world.now);
    world.crawl.turn(world.now);
    assert!(world.grants.try_recv().is_err(), "the fault may last");
    drop(permit);
    world.crawl.released(&big, world.now);
    let due = world.crawl.next_turn(world.now).expect("the page is at work, and another may look");
    assert!(due <= world.now + Duration::from_secs(1));
    world.now += Duration::from_secs(1);
    world.crawl.turn(world.now);
    let looks = grant(&world);
    assert_eq!(looks.lease.request().url.path(), "/a.svg");
    world.fetch(looks);
    assert!(world.crawl.granter.outage(world.now).is_none(), "it was answered");
    world.crawl.ended(Visit::without_request(lease.settle(), Outcome::Ok), world.now, SystemTime::now());
}

/// Regression: pages that waited for a robots file had passed the scope before, and were requested in the new one.
#[test]
fn a_changed_scope_holds_for_pages_that_wait_for_a_robots_file_or_are_allowed_by_one() {
    for is_answered in [false, true] {
        let ([big, _], mut world) = (domains(), World::obeying());
        world.seed(&big, 3);
        world.crawl.turn(world.now);
        if is_answered {
            world.crawl.turn(world.now);
            world.end_robots(Outcome::Status(404));
        }
        let scope = Scope { within: Within::Any, deny: vec!["/[12]$".parse().unwrap()], ..Scope::default() };
        world.crawl.change(SettingChange::Scope(Box::new(scope)), world.now).unwrap();
        if !is_answered {
            world.end_robots(Outcome::Status(404));
        }
        while !world.crawl.is_finished() {
            world.turn();
            world.now += MS;
        }
        assert_eq!((world.starts.len(), world.crawl.ledger().dropped), (1, 2), "answered before: {is_answered}");
    }
}

#[test]
fn those_who_watch_are_told_of_all_that_the_ledger_counts() {
    let ([big, other], mut world) = (domains(), World::in_memory(Budget::default()));
    let mut events = world.streams.open(std::future::pending());
    world.seed(&other, 7);
    world.seed(&other, 9);
    world.seed(&big, 20);
    world.refuse(&big);
    while !world.crawl.is_finished() {
        world.turn();
        world.now += MS;
    }
    let ledger = world.crawl.ledger();
    assert_eq!((ledger.discovered, ledger.done, ledger.failed), (29, 9, 20));
    let [mut seeded, mut queued, mut requested, mut done, mut failed] = [0; 5];
    while let Some(Some(event)) = events.next().now_or_never() {
        match event.what {
            Happened::Seeded { seeds } => seeded += seeds,
            Happened::Queued { .. } => queued += 1,
            Happened::Requested { .. } => requested += 1,
            Happened::RequestEnded(_) => done += 1,
            Happened::Failed { .. } => failed += 1,
            _ => {}
        }
    }
    assert_eq!([seeded, queued, requested, done, failed], [36, 29, 9, 9, 20]);
}

#[cfg(feature = "disk")]
mod on_disk {
    use std::path::Path;

    use super::*;
    use crate::{
        error::Error,
        frontier::{
            durable::{Listener, Opened, Opening, Resumed},
            stores::fjall,
        },
    };

    fn limit(pages: u64) -> SettingChange {
        SettingChange::Scope(Box::new(Scope { within: Within::Any, max_pages: Some(pages), ..Scope::default() }))
    }

    struct Notifier(mpsc::SyncSender<()>);

    impl Listener for Notifier {
        fn notify(&self) {
            let _ = self.0.try_send(());
        }
    }

    #[test]
    fn a_durable_crawl_ends_when_every_domain_has_had_its_pages_and_keeps_the_rest() {
        let dir = tempfile::tempdir().unwrap();
        let (frontier, _) = open(dir.path(), Instant::now());
        let mut world = World::new(frontier, Budget::new(None, Some(3)));
        let (sender, bell) = mpsc::sync_channel(1);
        world.crawl.frontier.durable().unwrap().listen(Arc::new(Notifier(sender)));
        for domain in domains() {
            world.seed(&domain, 10);
        }
        turn_until(&mut world, &bell, |crawl| {
            let done = crawl.ledger().done;
            assert_eq!(crawl.is_finished(), done == 6, "at {done} of 6");
            done == 6
        });
        let domain = Domain::new("late.test");
        world.seed(&domain, 1);
        assert!(!world.crawl.is_finished(), "one that comes later is seen");
        turn_until(&mut world, &bell, Crawl::is_finished);
        assert_eq!((world.crawl.ledger().done, world.crawl.frontier.queued()), (7, 14));
    }

    /// Opens the frontier of a killed process; it becomes free when the store's thread has noticed the kill.
    fn open(dir: &Path, now: Instant) -> (Box<dyn Frontier>, Resumed) {
        for _ in 0..10_000 {
            let settings = vec![("scope", "a".to_owned())];
            match fjall::open(dir, Opening { settings, ..Opening::new(Recrawl::default(), now) }) {
                Err(Error::Store { .. }) => std::thread::sleep(MS),
                Err(error) => panic!("{error}"),
                Ok(Opened { frontier, resumed }) => return (frontier, resumed),
            }
        }
        panic!("the directory is not let go of")
    }

    /// Runs turns until a condition holds. If nothing is due, waits for news from the store.
    fn turn_until(world: &mut World, bell: &mpsc::Receiver<()>, mut holds: impl FnMut(&mut Crawl) -> bool) {
        for _ in 0..100_000 {
            let (now, time) = (world.now, SystemTime::now());
            world.crawl.store_news(now, time);
            assert!(world.turn() <= MAX_IN_A_TURN);
            world.crawl.commit(Duration::ZERO, now, time);
            if holds(&mut world.crawl) {
                return;
            }
            // Grants made ahead wait for their time, not for news.
            if world.crawl.next_turn(now).is_none() && world.in_hand.is_empty() {
                bell.recv_timeout(Duration::from_secs(10)).expect("the store has news");
            }
            world.now += MS;
        }
        panic!("never: {:?}", world.crawl.ledger())
    }

    /// Such a state was taken for that of a new crawl: a domain was asked 27 ms after the process before had asked it.
    /// Regression: a page that was allowed when the budget was used up went back, and its domain was not woken when
    /// there was more.
    #[test]
    fn a_budget_that_grows_wakes_what_an_earlier_one_has_put_back() {
        let dir = tempfile::tempdir().unwrap();
        let (mut frontier, _) = open(dir.path(), Instant::now());
        let (sender, bell) = mpsc::sync_channel(1);
        frontier.durable().unwrap().listen(Arc::new(Notifier(sender)));
        let (rate, per_domain) = (Some(Rate::per_second(100)), NonZeroU32::MAX);
        let politeness = Politeness { rate, per_domain, robots: RobotsPolicy::Obey, ..Politeness::default() };
        let mut world = World::with(politeness, frontier, Budget::new(Some(1), None), RobotsFiles::new("bot"));
        for domain in &domains() {
            world.seed(domain, 1);
        }
        turn_until(&mut world, &bell, |crawl| crawl.ledger().done == 1 && crawl.is_finished());
        assert_eq!((world.robots_asked, world.starts.len()), (2, 1), "the other is allowed, and beyond the budget");
        world.crawl.change(limit(2), world.now).unwrap();
        turn_until(&mut world, &bell, |crawl| crawl.ledger().done == 2);
    }

    #[test]
    fn a_state_that_was_open_is_resumed_as_asked_also_if_nothing_was_committed() {
        let ([big, _], dir) = (domains(), tempfile::tempdir().unwrap());
        // Killed after its first request, and before its first commit.
        drop(open(dir.path(), Instant::now()));
        let (sender, bell) = mpsc::sync_channel(1);
        let (mut frontier, resumed) = open(dir.path(), Instant::now());
        assert!(resumed.was_open && resumed.checkpoint.is_none());
        frontier.durable().unwrap().listen(Arc::new(Notifier(sender)));
        let mut world = World::new(frontier, Budget::default());
        let opened = world.now;
        world.crawl.resume(resumed, opened, SystemTime::now());
        world.seed(&big, 1);
        turn_until(&mut world, &bell, Crawl::is_finished);
        let (started, _) = world.starts[0];
        assert!(started - opened >= 10 * MS, "{:?} after the process before", started - opened);
    }

    #[test]
    fn a_crawl_that_is_killed_while_a_domain_is_drained_drains_the_rest_and_nothing_twice() {
        const PAGES: u64 = 12_000;
        let ([big, _], dir) = (domains(), tempfile::tempdir().unwrap());
        let (mut failed, mut heard) = (0, BTreeSet::new());
        for most in [2_000, 5_000, PAGES] {
            let (sender, bell) = mpsc::sync_channel(1);
            let (mut frontier, resumed) = open(dir.path(), Instant::now());
            frontier.durable().unwrap().listen(Arc::new(Notifier(sender)));
            let is_new = resumed.checkpoint.is_none();
            let mut world = World::new(frontier, Budget::default());
            world.crawl.resume(resumed, world.now, SystemTime::now());
            if is_new {
                world.seed(&big, u32::try_from(PAGES).unwrap());
                world.refuse(&big);
                world.crawl.durability.remember(&big);
            }
            let ledger = world.crawl.progress(Duration::ZERO, world.now).ledger;
            assert_eq!((ledger.discovered, ledger.queued), (PAGES, PAGES - ledger.failed), "all are there");
            assert!(ledger.failed >= failed, "what has ended stays so");
            turn_until(&mut world, &bell, |crawl| crawl.ledger().failed >= most);
            assert!(world.starts.is_empty(), "who was given up is left alone");
            let again: BTreeSet<_> = world.heard.iter().map(|(path, _)| path.clone()).collect();
            assert_eq!(again.len(), world.heard.len(), "each once in a process");
            assert!(again.len() as u64 <= PAGES - ledger.failed, "what is stored as failed is not heard of again");
            heard.extend(again);
            assert_eq!(world.crawl.is_finished(), most == PAGES);
            failed = if is_new { 0 } else { ledger.failed };
            if most == PAGES {
                world.crawl.commit_all(Duration::ZERO, world.now, SystemTime::now());
                let closed = world.crawl.close(world.now).unwrap();
                closed.blocking_recv().unwrap().unwrap();
            }
            // Otherwise dropped without closing: whatever is not stored by now is lost.
        }
        assert!(failed > 0, "the kills came in the middle");
        assert_eq!(heard.len() as u64, PAGES, "each is heard of");
        let summary = fjall::open_state(dir.path()).unwrap().verify().unwrap();
        assert_eq!((summary.ledger.failed, summary.dead, summary.ledger.queued), (PAGES, PAGES, 0));
        assert_eq!(summary.problems, Vec::<String>::new());
    }
}
