//! Faults of the machine that crawls cost no URL and no attempt: no file, no port, no route, no name server. Each crawl
//! runs in a network of its own, or with a limit of its own, and is judged by its log and by what a server answered.
#![cfg(all(feature = "cli", target_os = "linux"))]
#![allow(clippy::disallowed_methods, reason = "tests may")]

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream, UdpSocket},
    path::Path,
    process::{Command, Output},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// What this file runs as a process of its own: a server within the network of a crawl. The value says which.
const SERVE: &str = "LOCAL_FAULTS_SERVE";

/// The port of the site in its own network.
const PORT: u16 = 8_080;

/// Long enough for several requests of each domain to fail, since each fails at once.
const OUTAGE: Duration = Duration::from_secs(4);

#[test]
fn too_many_open_files_cost_no_url_and_no_attempt() {
    let site = site(TcpListener::bind("127.0.0.1:0").unwrap(), Duration::from_millis(100));
    let crawl = Crawl::new(domains(30)).resolve(format!("*.test:127.0.0.1:{site}"));
    let output = crawl.run("exec prlimit --nofile=40:40 \"$@\"");
    crawl.all_are_done(&output, 30);
}

#[test]
fn a_process_that_may_open_too_few_files_is_told_so_and_does_not_panic() {
    for most in [31, 12, 6] {
        let output = Crawl::new(domains(1)).run(&format!("exec prlimit --nofile={most}:{most} \"$@\""));
        let stderr = text(&output.stderr);
        assert!(!output.status.success() && stderr.contains("ulimit -n"), "{most}: {stderr}");
        assert!(!stderr.contains("panicked"), "{most}: {stderr}");
    }
}

/// Regression: it said 32 for one that needed 33.
#[test]
fn the_number_of_open_files_that_is_asked_for_is_enough() {
    let site = site(TcpListener::bind("127.0.0.1:0").unwrap(), Duration::from_millis(10));
    for options in ["--retries 0", "--state STATE"] {
        let begin = |most: u64| {
            let state = tempfile::tempdir().unwrap();
            let crawl = Crawl::new(domains(3)).resolve(format!("*.test:127.0.0.1:{site}"));
            let crawl = crawl.with(&options.replace("STATE", state.path().to_str().unwrap()));
            let output = crawl.run(&format!("exec prlimit --nofile={most}:{most} \"$@\""));
            if output.status.success() {
                crawl.all_are_done(&output, 3);
                return None;
            }
            let said = text(&output.stderr);
            let needed = said.split("and needs ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok());
            assert!(needed.is_some() && !said.contains("panicked"), "{most}: {said}");
            needed
        };
        let needed: u64 = begin(12).expect("twelve are too few");
        assert!(needed >= 32, "{needed}");
        assert_eq!(begin(needed - 1), Some(needed), "{options}");
        assert_eq!(begin(needed), None, "{options}");
    }
}

#[test]
fn the_limit_of_open_files_is_raised_as_far_as_it_may_be() {
    let site = site(TcpListener::bind("127.0.0.1:0").unwrap(), Duration::from_millis(200));
    let crawl = Crawl::new(domains(60)).resolve(format!("*.test:127.0.0.1:{site}"));
    let output = crawl.run("exec prlimit --nofile=30:300 \"$@\"");
    crawl.all_are_done(&output, 60);
}

#[test]
fn a_crawl_that_runs_out_of_local_ports_waits_for_its_own() {
    let crawl = Crawl::new(domains(16)).resolve(format!("*.test:127.0.0.1:{PORT}"));
    let output = crawl.run_alone(
        "echo 40000 40007 > /proc/sys/net/ipv4/ip_local_port_range; serve site & serve_started; exec \"$@\"",
    );
    crawl.all_are_done(&output, 16);
}

#[test]
fn a_crawl_without_any_route_is_paused_and_goes_on_when_there_is_one() {
    let crawl = Crawl::new(domains(30)).resolve(format!("*.test:10.9.9.9:{PORT}"));
    let output = crawl.run_alone(&format!(
        "serve site & serve_started; (sleep {}; ip addr add 10.9.9.9/32 dev lo) & exec \"$@\"",
        OUTAGE.as_secs()
    ));
    crawl.all_are_done(&output, 30);
    assert!(crawl.counts()["local/network"] > 0, "{:?}", crawl.counts());
    let said = text(&output.stderr);
    assert_eq!(said.matches("the crawl is held up: no route to any network").count(), 1, "once for a reason: {said}");
    assert!(said.contains("the crawl goes on"), "{said}");
    assert_eq!(crawl.most_attempts(), 1, "no attempt is counted");
}

/// connect(2): a firewall of this machine answers `EPERM` or `EACCES`, as a `prohibit` route does; one to nowhere
/// `EINVAL`. Regression: each was the fault of whatever host was asked, and failed its pages for good.
#[test]
fn a_machine_that_forbids_all_connections_is_at_fault_itself() {
    for route in ["prohibit", "blackhole"] {
        let crawl = Crawl::new(domains(20)).resolve(format!("*.test:10.9.9.9:{PORT}"));
        let crawl = crawl.with("--retries 0 --robots ignore");
        let output = crawl.run_alone(&format!(
            "serve site & serve_started; ip route add {route} default
            (sleep {}; ip addr add 10.9.9.9/32 dev lo) & exec \"$@\"",
            OUTAGE.as_secs()
        ));
        crawl.all_are_done(&output, 20);
    }
}

#[test]
fn a_network_that_is_lost_with_requests_in_flight_costs_them_no_attempt() {
    let urls = (0..3).flat_map(|page| (0..20).map(move |n| format!("http://d{n}.test/{page}"))).collect();
    let crawl = Crawl::new(urls).resolve(format!("*.test:10.9.9.9:{PORT}")).with("--timeout 3s --delay 700ms");
    let output = crawl.run_alone(
        "ip addr add 10.9.9.9/32 dev lo; serve site & serve_started
        (sleep 1; ip addr del 10.9.9.9/32 dev lo; sleep 4; ip addr add 10.9.9.9/32 dev lo) & exec \"$@\"",
    );
    crawl.all_are_done(&output, 60);
    assert_eq!(crawl.most_attempts(), 1, "no attempt is counted");
}

#[test]
fn a_crawl_whose_name_servers_are_away_is_paused_and_goes_on_when_they_are_back() {
    let urls = (0..30).map(|n| format!("http://d{n}.test:{PORT}/")).collect();
    let crawl = Crawl::new(urls);
    let output = crawl.run_alone(&format!(
        "name_server_at 127.0.0.53; serve site & serve_started; (sleep {}; serve names) & exec \"$@\"",
        OUTAGE.as_secs()
    ));
    crawl.all_are_done(&output, 30);
    assert!(crawl.counts()["local/name_servers"] > 0, "{:?}", crawl.counts());
    assert_eq!(crawl.most_attempts(), 1, "no attempt is counted");
}

/// Regression: with no other domain to compare it with, it was the domain's own fault after ten seconds, and its pages
/// failed.
#[test]
fn a_crawl_of_one_domain_is_paused_while_no_name_server_answers_anything() {
    let urls: Vec<_> = (0..5).map(|n| format!("http://only.test:{PORT}/{n}")).collect();
    // Its port is closed, or it receives every question and says nothing.
    let silence = "serve silence & names_served; silence=$!;";
    let end = "kill $silence; while ss -lun | grep -q 127.0.0.53:53; do sleep 0.05; done;";
    for (before, after) in [("", ""), (silence, end)] {
        let crawl = Crawl::new(urls.clone()).with("--retries 0 --timeout 4s");
        // Longer than it stays open whose fault a failure is.
        let output = crawl.run_alone(&format!(
            "name_server_at 127.0.0.53; serve site & serve_started; {before}
            (sleep 13; {after} serve names) & exec \"$@\""
        ));
        crawl.all_are_done(&output, 5);
        assert!(crawl.counts()["local/name_servers"] > 0, "{:?}", crawl.counts());
        assert_eq!(crawl.most_attempts(), 1, "no attempt is counted");
        let said = text(&output.stderr);
        assert!(said.contains("the crawl is held up: no name server answers"), "{said}");
    }
}

/// A name server that answers is not this machine's fault, also where there is no other domain: the crawl must end.
#[test]
fn a_crawl_of_one_domain_that_name_servers_deny_or_cannot_find_ends() {
    let crawl = Crawl::new(vec![format!("http://bad.test:{PORT}/")]).with("--retries 0 --robots ignore");
    let output = crawl.run_alone("name_server_at 127.0.0.53; serve names & names_served; exec \"$@\"");
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    assert_eq!(
        (crawl.counts()["failed/dns"], crawl.counts().get("local/name_servers")),
        (1, None),
        "{:?}",
        crawl.counts()
    );
}

/// Three and more, so that it is not their number that tells.
#[test]
fn domains_whose_own_name_servers_fail_are_at_fault_themselves_while_others_are_found() {
    let good = (0..20).map(|n| format!("http://d{n}.test:{PORT}/"));
    let bad = (0..6).map(|n| format!("http://bad{n}.test:{PORT}/"));
    let crawl = Crawl::new(good.chain(bad).collect()).with("--retries 0 --robots ignore");
    let output = crawl
        .run_alone("name_server_at 127.0.0.53; serve names & serve site & names_served; serve_started; exec \"$@\"");
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    let report = crawl.report();
    let ledger = &report["ledger"];
    assert_eq!((ledger["done"].as_u64(), ledger["failed"].as_u64()), (Some(20), Some(6)), "{report}");
    assert_eq!(crawl.counts()["failed/dns"], 6, "{:?}", crawl.counts());
}

#[test]
fn a_host_without_a_route_is_at_fault_itself_while_there_is_another() {
    let mut urls = domains(10);
    urls.push("http://far.example/".to_owned());
    let crawl = Crawl::new(urls).with("--retries 0 --robots ignore --resolve far.example:10.7.7.7:80");
    let crawl = crawl.resolve(format!("*.test:127.0.0.1:{PORT}"));
    let began = Instant::now();
    let output = crawl.run_alone("serve site & serve_started; exec \"$@\"");
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    assert_eq!(crawl.report()["ledger"]["done"], 10, "{}", crawl.report());
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}

#[test]
fn a_client_waits_for_the_network_as_a_crawl_does() {
    let crawl = Crawl::new(domains(10)).resolve(format!("*.test:10.9.9.9:{PORT}"));
    let output = crawl.poll_alone(&format!(
        "serve site & serve_started; (sleep {}; ip addr add 10.9.9.9/32 dev lo) & exec \"$@\"",
        OUTAGE.as_secs()
    ));
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout).matches("\"status\":200").count(), 10, "{}", text(&output.stdout));
}

#[test]
fn a_client_that_waited_long_enough_says_what_is_wrong_with_this_machine() {
    let crawl = Crawl::new(domains(2)).resolve(format!("*.test:10.9.9.9:{PORT}")).with("--timeout 2s");
    let output = crawl.poll_alone("exec \"$@\"");
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("no route to any network"), "{}", text(&output.stdout));
    let said = text(&output.stderr);
    assert_eq!(said.matches("requests wait: no route to any network").count(), 1, "once for a reason: {said}");
}

/// What the other tests start within a network of its own.
#[test]
fn serve() {
    match std::env::var(SERVE).as_deref() {
        Ok("site") => {
            site(TcpListener::bind(("0.0.0.0", PORT)).unwrap(), Duration::from_millis(50));
            // The crawl ends first, and its network with it.
            thread::sleep(Duration::from_secs(60));
        }
        Ok("names") => name_server(),
        Ok("silence") => {
            let _socket = UdpSocket::bind("127.0.0.53:53").unwrap();
            thread::sleep(Duration::from_secs(60));
        }
        _ => {}
    }
}

/// Answers every path but that of a robots file with a page, and returns its port.
fn site(listener: TcpListener, wait: Duration) -> u16 {
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || converse(stream, wait));
        }
    });
    port
}

fn converse(mut stream: TcpStream, wait: Duration) {
    let mut buffer = [0; 4096];
    while let Ok(1..) = stream.read(&mut buffer) {
        thread::sleep(wait);
        let status = if buffer.starts_with(b"GET /robots.txt") { "404 Not Found" } else { "200 OK" };
        let head = format!("HTTP/1.1 {status}\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\nhi");
        if stream.write_all(head.as_bytes()).is_err() {
            return;
        }
    }
}

/// Says that every name is at 127.0.0.1, but fails for those that begin with `bad`, as a name server does whose own
/// question was not answered.
fn name_server() {
    let socket = UdpSocket::bind("127.0.0.53:53").unwrap();
    let mut buffer = [0; 512];
    while let Ok((_, client)) = socket.recv_from(&mut buffer) {
        let end = 12 + buffer[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
        let question = &buffer[12..end];
        let failed = question[1..].starts_with(b"bad");
        let found = !failed && question[question.len() - 3] == 1;
        let mut answer = buffer[..2].to_vec();
        answer.extend([0x81, if failed { 0x82 } else { 0x80 }, 0, 1, 0, u8::from(found), 0, 0, 0, 0]);
        answer.extend(question);
        if found {
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
        }
        socket.send_to(&answer, client).unwrap();
    }
}

fn domains(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("http://d{n}.test/")).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A crawl by the binary, and what it leaves.
struct Crawl {
    urls: Vec<String>,
    options: Vec<String>,
    dir: TempDir,
}

impl Crawl {
    fn new(urls: Vec<String>) -> Self {
        Self { urls, options: Vec::new(), dir: tempfile::tempdir().unwrap() }
    }

    fn resolve(self, rule: String) -> Self {
        self.with(&format!("--resolve {rule}"))
    }

    fn with(mut self, options: &str) -> Self {
        self.options.extend(options.split(' ').map(str::to_owned));
        self
    }

    /// Runs a script of the shell, to which the crawl's command line is `"$@"`.
    fn run(&self, script: &str) -> Output {
        let mut arguments = vec!["crawl".to_owned(), "--progress".to_owned(), "never".to_owned()];
        arguments.extend(self.urls.iter().cloned());
        for (option, file) in [("--log", "log.jsonl"), ("--summary", "summary.json"), ("--output", "items.jsonl")] {
            arguments.extend([option.to_owned(), self.path(file)]);
        }
        if !self.options.iter().any(|option| option == "--delay") {
            arguments.extend(["--delay".to_owned(), "100ms".to_owned()]);
        }
        self.shell(Command::new("sh"), script, arguments)
    }

    /// As [`Crawl::run`], in a network of its own that has a loopback and nothing else.
    fn run_alone(&self, script: &str) -> Output {
        alone(|| self.run(&in_a_network_of_its_own(script)))
    }

    fn poll_alone(&self, script: &str) -> Output {
        let list = self.path("urls");
        fs::write(&list, self.urls.join("\n")).unwrap();
        let arguments = ["poll", "--input", &list, "--rate", "20/s"].map(str::to_owned);
        alone(|| self.shell(Command::new("sh"), &in_a_network_of_its_own(script), arguments.into()))
    }

    fn shell(&self, mut command: Command, script: &str, arguments: Vec<String>) -> Output {
        command.args(["-c", script, "sh", env!("CARGO_BIN_EXE_actix-crawler")]).args(arguments);
        command.args(["--allow-private", "--contact", "me@example.org"]).args(&self.options);
        command.env("TEST", std::env::current_exe().unwrap()).env("DIR", self.dir.path()).env_remove("RUST_LOG");
        command.output().unwrap()
    }

    fn path(&self, file: &str) -> String {
        self.dir.path().join(file).to_str().unwrap().to_owned()
    }

    fn report(&self) -> Value {
        let path = self.path("summary.json");
        serde_json::from_slice(&fs::read(Path::new(&path)).unwrap()).unwrap()
    }

    fn counts(&self) -> BTreeMap<String, u64> {
        serde_json::from_value(self.report()["counts"].clone()).unwrap()
    }

    /// The most attempts at one page.
    fn most_attempts(&self) -> u64 {
        let log = fs::read_to_string(self.path("log.jsonl")).unwrap();
        let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.map(|line| line["attempt"].as_u64().unwrap()).max().unwrap()
    }

    fn all_are_done(&self, output: &Output, pages: u64) {
        assert!(output.status.success(), "{} {}", output.status, text(&output.stderr));
        let report = self.report();
        let ledger = &report["ledger"];
        assert_eq!((ledger["done"].as_u64(), ledger["failed"].as_u64()), (Some(pages), Some(0)), "{report}");
    }
}

/// Wraps a script so that it runs in a network of its own. Its functions: `serve site`, `serve names`, `serve_started`,
/// `names_served` and `name_server_at ADDRESS`.
fn in_a_network_of_its_own(script: &str) -> String {
    const FUNCTIONS: &str = r#"
        ip link set lo up || exit 99
        serve() { LOCAL_FAULTS_SERVE="$1" exec "$TEST" --exact serve >/dev/null 2>&1; }
        serve_started() { until ss -ltn | grep -q :8080; do sleep 0.05; done; }
        names_served() { until ss -lun | grep -q 127.0.0.53:53; do sleep 0.05; done; }
        name_server_at() {
            printf 'nameserver %s\noptions timeout:1 attempts:1\n' "$1" > "$DIR/resolv.conf"
            mount --bind "$DIR/resolv.conf" /etc/resolv.conf || exit 99
        }"#;
    // Without root, a user namespace gives the right to make the others. All that was started ends with the crawl.
    let quoted = format!("{FUNCTIONS}\n{script}").replace('\'', r"'\''");
    format!("[ $(id -u) = 0 ] || map=-r; exec unshare $map -nmpf --kill-child sh -c '{quoted}' sh \"$@\"")
}

/// Runs a crawl in a network of its own, and says what is missing where there can be none.
fn alone(run: impl FnOnce() -> Output) -> Output {
    let output = run();
    let denied = output.status.code() == Some(99) || text(&output.stderr).starts_with("unshare:");
    assert!(
        !denied,
        "this test needs a network namespace: run it as root, or where user namespaces are allowed, with iproute2 and \
         util-linux: {}",
        text(&output.stderr)
    );
    output
}
