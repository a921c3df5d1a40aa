//! Nodes on machines of their own, as far as the network is concerned: each has a network namespace and one link, to a
//! router that has the servers and the database, and may drop what it is told to, in one direction or both.

use std::path::PathBuf;

use super::*;

/// Tells a test that it runs within a network of its own.
const INSIDE: &str = "CLUSTER_INSIDE";

const DATABASE_ADDRESS: &str = "10.9.19.254";
const SITES: &str = "10.9.19.0/25";
const SHAPE: Shape = Shape { network: [10, 9], domains: 20, pages: 60 };

/// What is lost between a node and others.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// To the database and from it.
    Database,
    /// What the node tells the database.
    ToDatabase,
    /// What the database answers: it hears each sign of life, and the node does not know.
    FromDatabase,
    /// What the node asks of the sites, and what they answer.
    Sites,
    ToSites,
    FromSites,
    /// To all and from all.
    Both,
}

/// Runs a test once more, in a network of its own with all that it starts. Says what is missing where there can be
/// none.
fn inside(test: &str, run: impl FnOnce()) {
    if env::var_os(INSIDE).is_some() {
        // Rules go before the router's own addresses, and what is lost is lost in the direction of the rule alone.
        shell(
            "ip link set lo up; ip addr add 10.9.19.1/24 dev lo; ip rule add pref 100 lookup local; ip rule del pref 0
               echo 0 > /proc/sys/net/ipv4/ip_early_demux; cd /proc/sys/net/ipv4/conf
               echo 0 > all/rp_filter; echo 0 > default/rp_filter",
        );
        return run();
    }
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    command.arg(env::current_exe().unwrap()).args(["--exact", &format!("networks::{test}"), "--nocapture"]);
    let output = command.env(INSIDE, "1").output().unwrap();
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(
        !said.starts_with("unshare:"),
        "this test needs network namespaces: run it as root, with iproute2 and util-linux: {said}"
    );
    assert!(output.status.success(), "{said}");
    println!("{said}");
}

fn shell(script: &str) -> String {
    let output = Command::new("sh").args(["-ec", script]).output().unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A network namespace with a link to the router. It ends with what holds it open.
struct Machine {
    number: u8,
    holder: Child,
}

impl Machine {
    fn new(number: u8) -> Self {
        let holder = Command::new("unshare").args(["--net", "sleep", "infinity"]).spawn().unwrap();
        let (process, network) = (holder.id(), |of: &str| std::fs::read_link(format!("/proc/{of}/ns/net")).ok());
        let own = |process: u32| network(&process.to_string()).is_some_and(|it| Some(it) != network("self"));
        until("it has a network of its own", || own(process));
        shell(&format!(
            "ip link add to{number} type veth peer name uplink netns {process}
             ip addr add 10.9.{number}.1/24 dev to{number} && ip link set to{number} up
             nsenter -t {process} -n sh -ec 'ip link set lo up; ip addr add 10.9.{number}.2/24 dev uplink; ip link set uplink up
             ip route add default via 10.9.{number}.1'"
        ));
        Self { number, holder }
    }

    fn address(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 9, self.number, 2)
    }

    /// A command of this machine.
    fn command(&self, program: PathBuf) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.holder.id().to_string(), "-n"]).arg(program);
        command
    }

    /// The rules that drop, each for packets of one direction.
    fn rules(&self, cut: Cut) -> Vec<String> {
        let (number, me) = (self.number, self.address());
        let to = |whom: &str| format!("pref 10 iif to{number} to {whom} blackhole");
        let from = |whom: &str| format!("pref 10 from {whom} to {me} blackhole");
        match cut {
            Cut::Database => vec![to(DATABASE_ADDRESS), from(DATABASE_ADDRESS)],
            Cut::ToDatabase => vec![to(DATABASE_ADDRESS)],
            Cut::FromDatabase => vec![from(DATABASE_ADDRESS)],
            Cut::Sites => vec![to(SITES), from(SITES)],
            Cut::ToSites => vec![to(SITES)],
            Cut::FromSites => vec![from(SITES)],
            Cut::Both => [self.rules(Cut::Database), self.rules(Cut::Sites)].concat(),
        }
    }

    fn cut(&self, cut: Cut) {
        self.rules(cut).iter().for_each(|rule| drop(shell(&format!("ip rule add {rule}"))));
    }

    fn heal(&self, cut: Cut) {
        self.rules(cut).iter().for_each(|rule| drop(shell(&format!("ip rule del {rule}"))));
    }

    /// How many connections to sites have sent what nobody has acknowledged.
    fn unacknowledged(&self) -> usize {
        let sockets = self.command("ss".into()).args(["-Htn", "state", "established", "dst", SITES]).output().unwrap();
        let sockets = String::from_utf8(sockets.stdout).unwrap();
        let sends = |line: &&str| line.split_whitespace().nth(1).is_some_and(|queued| queued != "0");
        sockets.lines().filter(sends).count()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = (self.holder.kill(), self.holder.wait());
    }
}

/// A database, and two machines with a node each of a new crawl.
struct Scene {
    site: Site,
    shared: Shared,
    machines: [Machine; 2],
}

impl Scene {
    fn new() -> Self {
        let machines = [1, 2].map(Machine::new);
        let (server, site) = (Arc::new(PostgresServer::start_at(DATABASE_ADDRESS)), Site::of(SHAPE));
        let shared = Shared::at(server, "networks", &site, None);
        Self { site, shared, machines }
    }

    /// Begins a crawl, and waits until both nodes crawl.
    fn begin(&mut self) {
        self.site = Site::of(SHAPE);
        self.shared.sql("DROP SCHEMA IF EXISTS crawl_site CASCADE");
        let mut begun = Shared::of(self.shared.server.clone(), self.shared.name, &self.site, None);
        self.machines.iter().for_each(|machine| begun.start_by(machine.command(env::current_exe().unwrap())));
        until("both crawl", || begun.has_shared_out(2) && self.site.times().len() > 100);
        self.shared = begun;
    }

    /// When the first machine's last request arrived.
    fn last_of_first(&self) -> Instant {
        let first = self.machines[0].address();
        let asked = self.site.0.iter().flat_map(Recorder::asked);
        asked.filter(|asked| asked.from == first).map(|asked| asked.at).max().unwrap()
    }

    /// Cuts the first machine off until its node has ended and the other has gone on, and then lets all through.
    fn lose_the_first(&mut self, cut: Cut) {
        self.machines[0].cut(cut);
        let cut_at = Instant::now();
        until("the one that is cut off has ended", || {
            self.shared.reap();
            self.shared.nodes.len() == 1
        });
        let ended = cut_at.elapsed();
        until("the other has all", || self.shared.has_shared_out(1));
        let asked = self.site.times().len();
        until("it goes on", || self.site.times().len() > asked + 20);
        self.machines[0].heal(cut);
        if matches!(cut, Cut::Both) {
            // Longer than what the kernel would wait before it sends again.
            thread::sleep(Duration::from_secs(4));
        }
        let last = self.last_of_first().saturating_duration_since(cut_at);
        println!("{cut:?}: the last request arrived after {last:?}, and the node had ended after {ended:?}");
        // What was on its way is there within a moment.
        let bound = if matches!(cut, Cut::Both) { TERM / 10 } else { TERM };
        assert!(last < bound, "{cut:?}: a request {last:?} after the cut");
    }
}

#[test]
fn a_node_that_is_cut_off_from_its_database_ends_and_neither_hurries_anybody_nor_sends_anything_late() {
    inside("a_node_that_is_cut_off_from_its_database_ends_and_neither_hurries_anybody_nor_sends_anything_late", || {
        let mut scene = Scene::new();
        let all = [Cut::Both, Cut::FromDatabase, Cut::Database, Cut::ToDatabase];
        let some = if env::var_os("ACTIX_CRAWLER_TEST_LONGER").is_some() { 4 } else { 2 };
        for cut in &all[..some] {
            scene.begin();
            scene.lose_the_first(*cut);
            scene.shared.run(Duration::ZERO);
            scene.shared.is_whole(&scene.site);
        }
    });
}

/// It cannot know whether its requests have arrived. What it has written before the way was cut arrives when it is open
/// again, and what follows may come right behind that: so gaps are judged only where requests arrive.
#[test]
fn a_node_whose_sites_cannot_be_reached_for_a_while_goes_on_and_loses_nothing() {
    inside("a_node_whose_sites_cannot_be_reached_for_a_while_goes_on_and_loses_nothing", || {
        let mut scene = Scene::new();
        let all = [Cut::FromSites, Cut::ToSites, Cut::Sites];
        let some = if env::var_os("ACTIX_CRAWLER_TEST_LONGER").is_some() { 3 } else { 1 };
        for cut in &all[..some] {
            scene.begin();
            scene.machines[0].cut(*cut);
            let asked = scene.site.times().len();
            until("the other goes on", || scene.site.times().len() > asked + 100);
            thread::sleep(2 * TERM);
            scene.machines[0].heal(*cut);
            println!("{cut:?}");
            scene.shared.run(Duration::ZERO);
            match cut {
                Cut::FromSites => scene.shared.is_whole(&scene.site),
                _ => scene.shared.is_complete(&scene.site),
            }
        }
    });
}

/// Its kernel would send it again, whoever crawls the domain by then.
#[test]
fn what_a_node_has_written_while_the_way_was_cut_never_arrives_after_it_was_killed() {
    inside("what_a_node_has_written_while_the_way_was_cut_never_arrives_after_it_was_killed", || {
        let mut scene = Scene::new();
        scene.begin();
        scene.machines[0].cut(Cut::ToSites);
        let cut = Instant::now();
        until("it has written", || scene.machines[0].unacknowledged() >= 3);
        signal(&scene.shared.nodes[0], Signal::SIGKILL);
        let _ = scene.shared.nodes[0].wait();
        scene.machines[0].heal(Cut::ToSites);
        // Longer than what the kernel would wait before it sends again.
        thread::sleep(Duration::from_secs(5));
        let last = scene.last_of_first().saturating_duration_since(cut);
        println!("the last request arrived {last:?} after the cut");
        assert!(last < TERM / 10, "a request {last:?} after the cut");
        scene.shared.run(Duration::ZERO);
        scene.shared.is_whole(&scene.site);
    });
}
