//! A database that is stopped, or killed and replaced by its replica, while nodes crawl.

use super::*;

/// Takes nine seconds at the least.
const SHAPE: Shape = Shape { pages: 150, ..super::SHAPE };

/// A primary and its standby, and a crawl there whose nodes ask whichever takes writes.
fn replicated(name: &'static str, site: &Site, is_synchronous: bool) -> (Shared, Arc<PostgresServer>) {
    let primary = Arc::new(PostgresServer::start());
    let standby = Arc::new(primary.standby());
    if is_synchronous {
        primary.commit_on_standby_too();
    }
    let mut shared = Shared::at(primary, name, site, None);
    shared.database = shared.server.url_of_primary(&standby, name);
    (shared, standby)
}

impl Shared {
    /// Kills the primary, as a machine that is lost, and lets the standby take its place.
    fn fail_over(&mut self, standby: Arc<PostgresServer>) {
        self.server.kill();
        standby.promote();
        self.server = standby;
    }
}

#[cfg(feature = "cli")]
#[test]
fn a_primary_that_is_killed_and_replaced_by_its_synchronous_standby_costs_no_page_and_no_seed() {
    let site = Site::of(SHAPE);
    let (mut shared, standby) = replicated("replaced", &site, true);
    let seeded = Recorder::at(TcpListener::bind((address(40), 0)).unwrap(), |asked| match asked.path.as_str() {
        "/robots.txt" => Answer::status(404),
        _ => Answer::page([] as [&str; 0]),
    });
    (0..3).for_each(|_| shared.start());
    until("all crawl", || shared.has_shared_out(3) && site.times().len() > 200);
    // Seeds are added one after the other, also meanwhile; those that are acknowledged count.
    let (database, url) = (shared.database.clone(), seeded.url("/"));
    let is_over = Arc::new(AtomicBool::new(false));
    let over = is_over.clone();
    let seeds = thread::spawn(move || {
        let is_taken = |seed: &String| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_actix-crawler"));
            command.args(["cluster", "seed", &database, "site", seed]).stdout(Stdio::null()).stderr(Stdio::null());
            command.status().unwrap().success()
        };
        let seeds = (0..).map(|nth| format!("{url}{nth}")).take_while(|_| !over.load(Ordering::SeqCst));
        seeds.filter(is_taken).collect::<Vec<_>>()
    });
    until("seeds are crawled", || seeded.count() > 3);
    let done = shared.ledger("done");
    shared.fail_over(standby);
    is_over.store(true, Ordering::SeqCst);
    let seeds = seeds.join().unwrap();
    let kept = shared.ledger("done");
    assert!(kept >= done, "{kept} of {done} pages are still settled");
    shared.run(Duration::ZERO);
    assert!(shared.fates.gave_up + shared.fates.ended_by_system >= 3, "{:?}", shared.fates);
    let crawled: BTreeSet<_> = seeded.paths().into_iter().map(|path| seeded.url(&path)).collect();
    let missing: Vec<_> = seeds.iter().filter(|seed| !crawled.contains(*seed)).collect();
    println!("{} seeds, {done} pages before and {kept} after it, {:?}", seeds.len(), shared.fates);
    assert!(missing.is_empty() && seeds.len() > 3, "{missing:?} of {}", seeds.len());
    let pages = site.pages();
    assert_eq!(site.times().keys().cloned().collect::<BTreeSet<_>>(), pages);
    // One whose answer was lost may be there.
    let (all, ledger) = (pages.len() + seeds.len(), ["discovered", "done", "failed"].map(|key| shared.ledger(key)));
    assert!((all..=all + 1).contains(&usize::try_from(ledger[1]).unwrap()), "{ledger:?} of {all}");
    assert_eq!((ledger[0], ledger[2]), (ledger[1], 0));
    assert!(shared.items().is_superset(&pages));
    let gap = site.smallest_gap().min(seeded.arrivals().smallest_gap());
    assert!(gap >= SPACING, "{gap:?}");
}

/// Regression: the replica did not know the node that crawled, and its parts were taken at once.
#[test]
fn a_node_of_which_a_lagging_replica_knows_nothing_is_waited_for() {
    let site = Site::start();
    let (mut shared, standby) = replicated("unknown", &site, false);
    shared.term = Duration::from_secs(3);
    // It knows nothing of the standby, as a machine that is cut off from it.
    shared.database = shared.server.url(shared.name);
    shared.start();
    until("it crawls", || site.times().len() > 40);
    signal(&shared.nodes[0], Signal::SIGTERM);
    let _ = shared.nodes.remove(0).wait();
    let state = "SELECT state FROM crawl_site.node";
    until("the replica knows that it has left", || standby.try_psql(shared.name, state).as_deref() == Some("left"));
    shared.server.stop_sending();
    let before = site.times().len();
    shared.start();
    until("another crawls", || site.times().len() > before + 40);
    shared.database = standby.url(shared.name);
    shared.fail_over(standby);
    assert_eq!(shared.sql("SELECT state FROM node"), "left", "the replica knows nothing of the other");
    let (begun, count) = (Instant::now(), || site.0.iter().map(Recorder::count).sum::<usize>());
    let asked = count();
    shared.start();
    until("the node from before has ended", || {
        shared.reap();
        shared.fates.gave_up + shared.fates.ended_by_system == 1
    });
    println!("it asked {} more and ended {:?} after the failover", count() - asked, begun.elapsed());
    shared.run(Duration::ZERO);
    shared.is_whole(&site);
}

/// Nodes come and go while the replica hears of nothing, so that it knows others as the owners of parts than the
/// primary.
#[test]
fn a_failover_to_a_replica_that_lags_hurries_nobody_and_every_page_is_crawled() {
    let site = Site::of(SHAPE);
    let (mut shared, standby) = replicated("lagging", &site, false);
    (0..2).for_each(|_| shared.start());
    until("both crawl", || shared.has_shared_out(2) && site.times().len() > 100);
    shared.server.stop_sending();
    signal(&shared.nodes[0], if fastrand::bool() { Signal::SIGKILL } else { Signal::SIGTERM });
    (0..2).for_each(|_| shared.start());
    until("the new ones crawl", || shared.has_shared_out(3));
    let done = shared.ledger("done");
    shared.fail_over(standby);
    println!("{done} pages were settled before it, and {} after", shared.ledger("done"));
    shared.run(Duration::ZERO);
    shared.is_whole(&site);
}

/// After half a term nothing follows from it; after two terms all nodes have given the crawl up, and others go on.
#[test]
fn a_database_that_stands_still_is_waited_for_or_given_up_and_the_crawl_goes_on() {
    let (server, site) = (Arc::new(PostgresServer::start()), Site::of(SHAPE));
    let mut shared = Shared::at(server.clone(), "still", &site, None);
    shared.term = Duration::from_secs(2);
    (0..3).for_each(|_| shared.start());
    until("all crawl", || shared.has_shared_out(3) && site.times().len() > 100);
    server.signal(Signal::SIGSTOP);
    thread::sleep(shared.term / 2);
    server.signal(Signal::SIGCONT);
    let done = shared.ledger("done");
    until("pages are settled again", || shared.ledger("done") > done + 20);
    shared.reap();
    assert_eq!((shared.nodes.len(), shared.has_ended), (3, false), "{:?}", shared.fates);
    server.signal(Signal::SIGSTOP);
    let (stopped, long) = (Instant::now(), 2 * shared.term);
    while stopped.elapsed() < long {
        thread::sleep(Duration::from_millis(20));
        shared.reap();
        // As a supervisor does.
        while shared.nodes.len() < 3 {
            shared.start();
        }
    }
    let last = site.0.iter().flat_map(|recorder| recorder.arrivals().0).max().unwrap();
    assert!(last < stopped + shared.term, "a request {:?} after the database stood still", last - stopped);
    assert_eq!(shared.fates.gave_up + shared.fates.ended_by_system, 3, "{:?}", shared.fates);
    println!("the last request {:?} after it, {:?}", last.saturating_duration_since(stopped), shared.fates);
    server.signal(Signal::SIGCONT);
    shared.run(Duration::ZERO);
    shared.is_whole(&site);
}
