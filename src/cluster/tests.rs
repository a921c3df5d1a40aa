//! Nodes that are stopped between the check of their term and the write, as no check can prevent: another takes over, and then they
//! are continued.

use std::{
    env, fs,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    Crawler, Parsed, Response, Result,
    frontier::part::Part,
    politeness::DomainKey,
    postgres_server::PostgresServer,
    recorder::{Answer, Recorder},
    report::Ended,
    transport::failpoint::STOPS,
};

/// Set in the environment of a node whose system does not end it.
pub(super) const WITHOUT_TIMER: &str = "ACTIX_CRAWLER_TEST_WITHOUT_TIMER";

const DATABASE: &str = "ACTIX_CRAWLER_TEST_DATABASE";
const SEED: &str = "ACTIX_CRAWLER_TEST_SEED";

const TERM: Duration = Duration::from_millis(800);
const SPACING: Duration = Duration::from_millis(100);

/// Is a node of a cluster if the environment says so, and a test without anything to do else.
#[test]
fn a_process_that_is_a_node_and_can_be_stopped() {
    let Ok(database) = env::var(DATABASE) else { return };
    let spider = |page: &Response| -> Result<Parsed<()>> { Ok(Parsed::new().follow(page.links())) };
    let crawler = Crawler::new(spider, "clusterbot/1.0 (+https://example.org/bot)")
        .seed(env::var(SEED).unwrap())
        .allow_private()
        .spacing(SPACING)
        .threads(1)
        .cluster(database, "stops")
        .cluster_term(TERM);
    let report = crawler.run_blocking().unwrap();
    assert_ne!(report.ended, Ended::Failed, "{report}");
}

struct Scene {
    server: std::sync::Arc<PostgresServer>,
    name: &'static str,
    database: String,
    site: Recorder,
    stops: tempfile::TempDir,
    is_without_timer: bool,
}

impl Scene {
    fn new(name: &'static str, is_without_timer: bool) -> Self {
        let server = PostgresServer::shared();
        let database = server.database(name);
        // One domain without end.
        let site = Recorder::start(|asked| {
            let page = asked.path.trim_start_matches('/').parse::<u64>();
            page.map_or_else(
                |_| Answer::status(404),
                |page| Answer::page([format!("/{}", page + 1), format!("/{}", page + 2)]),
            )
        });
        Self { server, name, database, site, stops: tempfile::tempdir().unwrap(), is_without_timer }
    }

    fn node(&self) -> Child {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", "cluster::tests::a_process_that_is_a_node_and_can_be_stopped", "--nocapture"]);
        command.env(DATABASE, &self.database).env(SEED, self.site.url("/0")).env(STOPS, self.stops.path());
        if self.is_without_timer {
            command.env(WITHOUT_TIMER, "1");
        }
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// The process that has the site's only domain.
    fn owner(&self) -> Option<u32> {
        let domain = DomainKey::default().domain(&self.site.url("/").parse().unwrap());
        let sql = format!(
            "SELECT name FROM crawl_stops.node JOIN crawl_stops.part ON session = owner \
             WHERE part = {} AND state = 'live'",
            Part::of(&domain).number()
        );
        self.server.try_psql(self.name, &sql)?.rsplit(' ').next()?.parse().ok()
    }

    /// Stops the owner at its next write, waits until another has gone on, and continues it. Returns the signal that ended it, if
    /// one has.
    fn stop_and_continue(&self, nodes: &mut Vec<Child>) -> Option<i32> {
        // On a busy machine one may have given up.
        nodes.retain_mut(|node| node.try_wait().unwrap().is_none());
        while nodes.len() < 2 {
            nodes.push(self.node());
        }
        let owner = self.stopped_owner(nodes);
        until("another owns the crawl", || self.owner().is_some_and(|other| other != owner));
        let asked = self.site.count();
        until("the other crawls", || self.site.count() > asked + 1);
        kill(Pid::from_raw(owner.cast_signed()), Signal::SIGCONT).unwrap();
        thread::sleep(SPACING);
        let at = nodes.iter().position(|node| node.id() == owner).unwrap();
        let mut stopped = nodes.swap_remove(at);
        if self.is_without_timer {
            // Later than a late write.
            thread::sleep(2 * SPACING);
            let _ = stopped.kill();
        }
        nodes.push(self.node());
        stopped.wait().unwrap().signal()
    }

    /// Stops whoever owns the domain. It may just be given to another node: then that is stopped.
    fn stopped_owner(&self, nodes: &[Child]) -> u32 {
        let begun = Instant::now();
        loop {
            assert!(begun.elapsed() < Duration::from_secs(30), "no owner stops itself");
            let owner = self.owner().filter(|owner| nodes.iter().any(|node| node.id() == *owner));
            let Some(owner) = owner else {
                thread::sleep(Duration::from_millis(5));
                continue;
            };
            let stop = self.stops.path().join(owner.to_string());
            fs::write(&stop, "").unwrap();
            let asked = Instant::now();
            while asked.elapsed() < 2 * TERM {
                if is_stopped(owner) {
                    return owner;
                }
                thread::sleep(Duration::from_millis(5));
            }
            let _ = fs::remove_file(stop);
        }
    }

    fn run(&self, times: usize) -> Vec<Option<i32>> {
        let mut nodes = vec![self.node(), self.node()];
        let ended = (0..times).map(|_| self.stop_and_continue(&mut nodes)).collect();
        for mut node in nodes {
            let _ = node.kill();
            let _ = node.wait();
        }
        ended
    }

    /// The distances between requests that were too short.
    fn short(&self) -> Vec<Duration> {
        let mut arrivals = self.site.arrivals().0;
        arrivals.sort();
        arrivals.windows(2).map(|pair| pair[1] - pair[0]).filter(|gap| *gap < SPACING).collect()
    }
}

fn is_stopped(process: u32) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(process.to_string()).join("stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'))
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(30), "waited for this: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_node_that_is_stopped_between_check_and_write_is_ended_before_it_writes() {
    let scene = Scene::new("stopped", false);
    let times = if env::var_os("ACTIX_CRAWLER_TEST_LONGER").is_some() { 100 } else { 20 };
    let ended = scene.run(times);
    assert!(ended.iter().all(|signal| *signal == Some(Signal::SIGKILL as i32)), "{ended:?}");
    assert_eq!(scene.short(), Vec::<Duration>::new(), "of {} requests", scene.site.count());
}

/// What the test above would miss if it could not see a late write.
#[test]
fn without_the_timer_such_a_node_writes_late() {
    let scene = Scene::new("without_timer", true);
    // Where the machine is busy, a late write may fall between two requests that are far enough apart.
    let writes_late = (0..6).any(|_| {
        scene.run(3);
        !scene.short().is_empty()
    });
    assert!(writes_late, "of {} requests", scene.site.count());
}
