//! Nodes that are stopped between the check of their term and the write, as no check can prevent: another takes over,
//! and then they are continued.

use std::{
    env, fs,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
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

/// Where the system has control groups that it can freeze: of the first version, or of the second.
#[derive(Debug)]
struct Freezer {
    root: PathBuf,
    state: &'static str,
    /// What freezes a group, and what thaws it.
    words: [&'static str; 2],
    /// Where it says that it is frozen, and what.
    frozen: (&'static str, &'static str),
    taken: Mutex<Vec<u32>>,
}

impl Freezer {
    /// Those in which this process may make groups.
    fn all() -> Vec<Self> {
        let first = |root: &str| Self {
            root: root.into(),
            state: "freezer.state",
            words: ["FROZEN", "THAWED"],
            frozen: ("freezer.state", "FROZEN"),
            taken: Mutex::default(),
        };
        let second = |root: &str| Self {
            root: root.into(),
            state: "cgroup.freeze",
            words: ["1", "0"],
            frozen: ("cgroup.events", "frozen 1"),
            taken: Mutex::default(),
        };
        let known = [first("/sys/fs/cgroup/freezer"), second("/sys/fs/cgroup/unified"), second("/sys/fs/cgroup")];
        known.into_iter().filter(|freezer| freezer.can_freeze()).collect()
    }

    fn can_freeze(&self) -> bool {
        let group = self.group(std::process::id());
        let can = fs::create_dir(&group).is_ok() && group.join(self.state).exists();
        let _ = fs::remove_dir(group);
        can
    }

    fn group(&self, process: u32) -> PathBuf {
        self.root.join(format!("actix-crawler-test-{process}"))
    }

    /// Puts a process into a group of its own, and returns what freezes it.
    fn take(&self, process: u32) -> String {
        let group = self.group(process);
        // It may be there from before.
        let _ = fs::create_dir(&group);
        self.taken.lock().unwrap().push(process);
        fs::write(group.join("cgroup.procs"), process.to_string()).unwrap();
        format!("{} {}", self.words[0], group.join(self.state).display())
    }

    fn has_frozen(&self, process: u32) -> bool {
        let (file, word) = self.frozen;
        fs::read_to_string(self.group(process).join(file)).is_ok_and(|state| state.contains(word))
    }

    fn thaw(&self, process: u32) {
        fs::write(self.group(process).join(self.state), self.words[1]).unwrap();
    }
}

/// Thaws what a test that has failed has left frozen, so that its timer ends it.
impl Drop for Freezer {
    fn drop(&mut self) {
        for process in self.taken.lock().unwrap_or_else(PoisonError::into_inner).iter().copied() {
            let group = self.group(process);
            let _ = (fs::write(group.join(self.state), self.words[1]), fs::remove_dir(group));
        }
    }
}

struct Scene {
    server: std::sync::Arc<PostgresServer>,
    name: &'static str,
    database: String,
    site: Recorder,
    stops: tempfile::TempDir,
    is_without_timer: bool,
    /// What stops nodes; a signal if it is none.
    freezer: Option<Freezer>,
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
        Self { server, name, database, site, stops: tempfile::tempdir().unwrap(), is_without_timer, freezer: None }
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

    /// Stops or freezes the owner at its next write, waits until another has gone on, and continues it. Returns the
    /// signal that ended it, if one has.
    fn stop_and_continue(&self, nodes: &mut Vec<Child>) -> Option<i32> {
        nodes.retain_mut(|node| node.try_wait().unwrap().is_none());
        while nodes.len() < 2 {
            nodes.push(self.node());
        }
        let owner = self.stopped_owner(nodes);
        // On a busy machine the other may give up.
        let mut keep_two = || {
            nodes.retain_mut(|node| node.id() == owner || node.try_wait().unwrap().is_none());
            while nodes.len() < 2 {
                nodes.push(self.node());
            }
        };
        until("another owns the crawl", || {
            keep_two();
            self.owner().is_some_and(|other| other != owner)
        });
        let asked = self.site.count();
        until("the other crawls", || {
            keep_two();
            self.site.count() > asked + 1
        });
        match &self.freezer {
            Some(freezer) => freezer.thaw(owner),
            None => kill(Pid::from_raw(owner.cast_signed()), Signal::SIGCONT).unwrap(),
        }
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
            // Renamed, so that it is never there without what it says.
            let written = self.stops.path().join("written");
            fs::write(&written, self.freezer.as_ref().map_or_else(String::new, |freezer| freezer.take(owner))).unwrap();
            fs::rename(&written, &stop).unwrap();
            let asked = Instant::now();
            while asked.elapsed() < 2 * TERM {
                if self.freezer.as_ref().map_or_else(|| is_stopped(owner), |freezer| freezer.has_frozen(owner)) {
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

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
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

/// A frozen process gets no signal before it is thawed, or dies frozen, as the version of its control groups has it.
#[allow(clippy::print_stdout, clippy::print_stderr, reason = "it says what it has judged")]
#[test]
fn a_node_that_is_frozen_between_check_and_write_is_ended_before_it_writes() {
    let freezers = Freezer::all();
    if freezers.is_empty() {
        eprintln!("left out: this process may make no control groups");
    }
    let times = if env::var_os("ACTIX_CRAWLER_TEST_LONGER").is_some() { 20 } else { 5 };
    for (freezer, name) in freezers.into_iter().zip(["frozen1", "frozen2"]) {
        let scene = Scene { freezer: Some(freezer), ..Scene::new(name, false) };
        let ended = scene.run(times);
        println!("{:?}: {ended:?}, {} requests", scene.freezer, scene.site.count());
        assert!(ended.iter().all(|signal| *signal == Some(Signal::SIGKILL as i32)), "{ended:?}");
        assert_eq!(scene.short(), Vec::<Duration>::new(), "of {} requests", scene.site.count());
    }
}

/// What the tests above would miss if it could not see a late write.
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
