//! The service of the example `job_service`, as its users see it: a process of its own, by HTTP and by signals.
#![cfg(all(unix, feature = "derive", feature = "disk"))]

mod crawls;
#[allow(dead_code, reason = "its `main` is not called here")]
#[path = "../examples/job_service.rs"]
mod job_service;
mod recorder;

use std::{
    collections::HashSet,
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use crawls::MS;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use recorder::{Answer, Asked, Recorder};
use serde_json::Value;

const FOLDER: &str = "JOB_SERVICE_FOLDER";
const PAGES: u32 = 40;

/// What the process of the other test runs: the service. Without a folder there is nothing to serve.
#[test]
fn serve() {
    let Some(folder) = env::var_os(FOLDER) else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    actix_rt::System::new().block_on(job_service::serve(folder.into(), listener, true)).unwrap();
}

/// A running service; killed if its test fails.
struct Service {
    process: Child,
    address: String,
}

impl Service {
    fn start(folder: &Path) -> Self {
        let mut process = Command::new(env::current_exe().unwrap())
            .args(["serve", "--exact", "--nocapture"])
            .env(FOLDER, folder)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let address = lines.find_map(|line| Some(line.unwrap().split_once("http://")?.1.to_owned())).unwrap();
        // Read to the end, so that the service can go on writing.
        thread::spawn(move || lines.for_each(drop));
        Self { process, address }
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let (status, body) = self.read(method, path, body);
        (status, serde_json::from_str(&body).unwrap_or(Value::Null))
    }

    fn read(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        self.read_with("", method, path, body)
    }

    fn read_with(&self, header: &str, method: &str, path: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.0\r\nhost: service\r\n{header}content-length: {length}");
        write!(stream, "{head}\r\n\r\n{body}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        (status, body.to_owned())
    }

    /// Sends SIGTERM, and waits for the end.
    fn terminate(mut self) {
        kill(Pid::from_raw(self.process.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
        assert!(self.process.wait().unwrap().success());
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Fails if it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..3_000 {
        if holds() {
            return;
        }
        thread::sleep(10 * MS);
    }
    panic!("never: {what}");
}

fn site() -> Recorder {
    Recorder::start(|asked: &Asked| {
        let Ok(n) = asked.path[1..].parse::<u32>() else { return Answer::status(404) };
        let children = (3 * n + 1..=3 * n + 3).filter(|child| *child < PAGES);
        Answer::page(children.map(|child| format!("/{child}"))).header("content-type", "text/html").after(200 * MS)
    })
}

/// Returns the URLs of the pages that a job has found.
fn urls_of(service: &Service, job: &str) -> Vec<String> {
    let (status, lines) = service.read("GET", &format!("{job}/pages"), "");
    assert_eq!(status, 200, "{lines}");
    let url = |line: &str| serde_json::from_str::<Value>(line).unwrap()["url"].as_str().unwrap().to_owned();
    lines.lines().map(url).collect()
}

#[test]
fn a_service_of_jobs_that_is_terminated_drains_loses_nothing_and_goes_on_with_the_next_start() {
    let (site, directory) = (site(), tempfile::tempdir().unwrap());
    let folder = directory.path();
    // One server, and a domain for each tenant.
    let port = site.address.port();
    let [of_alice, of_bob] = ["127.0.0.1", "localhost"].map(|host| format!("http://{host}:{port}/0"));

    let service = Service::start(folder);
    let [alice, bob] = [("alice", &of_alice), ("bob", &of_bob)].map(|(tenant, url)| {
        let (status, job) = service.ask("POST", &format!("/{tenant}/jobs"), url);
        assert_eq!((status, &job["state"], &job["params"]), (202, &"running".into(), &url.as_str().into()), "{job}");
        format!("/{tenant}/jobs/{}", job["id"])
    });
    let key = "idempotency-key: 7\r\n";
    let [once, twice] = [(), ()].map(|()| service.read_with(key, "POST", "/bob/jobs", &of_bob));
    let id = |answer: &(u16, String)| serde_json::from_str::<Value>(&answer.1).unwrap()["id"].as_u64().unwrap();
    assert_eq!((once.0, id(&once)), (202, id(&twice)));
    assert_eq!(service.ask("DELETE", &format!("/bob/jobs/{}", id(&once)), "").0, 200);
    let after = |id: u64| service.ask("GET", &format!("/bob/jobs?after={id}"), "").1.as_array().unwrap().len();
    assert_eq!((after(0), after(id(&once)), after(id(&once) - 1)), (2, 0, 1));
    assert_eq!(service.ask("POST", "/carol/jobs", &of_alice).0, 404);
    assert_eq!(service.ask("POST", "/alice/jobs", "no url").0, 400);
    assert_eq!(service.ask("GET", "/alice/jobs/1", "").0, 404);
    assert_eq!(service.ask("GET", &alice.replace("alice", "bob"), "").0, 404, "it is not his");
    assert_eq!(service.ask("GET", &alice.replace("alice", "..%2Falice"), "").0, 404);
    let asked_of = |host: &str| {
        let asked = site.asked().into_iter().filter(|asked| asked.host == host && asked.path != "/robots.txt");
        asked.map(|asked| asked.path).collect::<Vec<_>>()
    };
    until("both are under way", || asked_of("127.0.0.1").len() >= 8 && asked_of("localhost").len() >= 3);
    service.terminate();
    let drained = asked_of("127.0.0.1").len();
    assert!(drained < PAGES as usize, "there is more to do");

    let service = Service::start(folder);
    until("the job is done", || service.ask("GET", &alice, "").1["state"] == "finished");
    let (status, cancelled) = service.ask("DELETE", &bob, "");
    assert_eq!((status, &cancelled["state"]), (200, &"cancelled".into()), "{cancelled}");
    // What was written last arrives.
    thread::sleep(100 * MS);
    let asked_until_then = asked_of("localhost").len();
    assert!(asked_until_then < PAGES as usize, "it was under way");
    service.terminate();

    let service = Service::start(folder);
    let done = service.ask("GET", &alice, "").1;
    assert_eq!((&done["pages"], &done["items"], &done["state"]), (&PAGES.into(), &PAGES.into(), &"finished".into()));
    let of_bob = service.ask("GET", "/bob/jobs", "").1;
    assert_eq!((of_bob[0]["state"].as_str(), of_bob.as_array().unwrap().len()), (Some("cancelled"), 2), "{of_bob}");
    thread::sleep(Duration::from_secs(1));
    assert_eq!(asked_of("localhost").len(), asked_until_then, "nothing comes after it was cancelled");
    let urls = urls_of(&service, &alice);
    assert_eq!((urls.len(), urls.iter().collect::<HashSet<_>>().len()), (PAGES as usize, PAGES as usize), "each once");
    assert_eq!(asked_of("127.0.0.1").len(), PAGES as usize, "nothing was asked twice");
    assert_eq!(urls_of(&service, &bob).len(), cancelled["items"].as_u64().unwrap() as usize, "what it has found stays");
    service.terminate();
}

/// Regression: a job that was killed after a million pages had none until it went on.
#[test]
fn a_kill_leaves_the_numbers_of_a_job_that_were_told_a_while_before() {
    let (site, directory) = (site(), tempfile::tempdir().unwrap());
    let service = Service::start(directory.path());
    let url = format!("http://localhost:{}/0", site.address.port());
    let id = service.ask("POST", "/bob/jobs", &url).1["id"].to_string();
    let record = directory.path().join("tenants/bob").join(id).join("job.json");
    let numbers = || serde_json::from_slice::<Value>(&fs::read(&record).unwrap()).unwrap();
    until("they are told", || numbers()["pages"].as_u64().unwrap() > 0);
    drop(service);
    let killed = numbers();
    assert_eq!((&killed["state"], killed["pages"].as_u64() > Some(0)), (&"running".into(), true), "{killed}");
    assert!(killed["pages"].as_u64() < Some(PAGES.into()), "{killed}");
}
