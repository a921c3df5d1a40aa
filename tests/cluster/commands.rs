//! The commands of people: they show a crawl, tell it what to do, and remove it.

use super::*;

/// Runs the program. Returns its exit code, and all that it says.
pub fn command_in(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_actix-crawler")).args(arguments).current_dir(folder).output().unwrap();
    let text = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    (output.status.code(), text.concat())
}

#[test]
fn the_command_shares_a_crawl_shows_it_and_drops_it() {
    let (server, site, dir) = (PostgresServer::shared(), Site::start(), tempfile::tempdir().unwrap());
    let database = server.database("command");
    let run = |arguments: &[&str]| command_in(dir.path(), arguments);
    let seed = site.0[0].url("/0");
    let crawl = ["crawl", &seed, "--allow-private", "--delay", "10ms", "-o", "pages.jsonl"];
    let shared = [&crawl[..], &["--cluster", &database, "--crawl", "site"]].concat();
    let (code, said) = run(&shared);
    assert_eq!(code, Some(0), "{said}");
    let lines = || std::fs::read_to_string(dir.path().join("pages.jsonl")).unwrap().lines().count();
    assert_eq!(lines(), PAGES as usize);
    let (code, said) = run(&["cluster", "status", &database, "site"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("crawl site: ended") && said.contains("50 done") && said.contains("1 node"), "{said}");
    // The same command goes on, and adds to its file.
    assert_eq!(run(&shared).0, Some(0));
    assert_eq!(lines(), PAGES as usize);
    assert_eq!(run(&["cluster", "drop", &database, "site"]), (Some(0), "crawl site is dropped\n".to_owned()));
    for task in ["status", "drop"] {
        let (code, said) = run(&["cluster", task, &database, "site"]);
        assert!(code == Some(1) && said.contains("there is none of this name"), "{said}");
    }
    assert_eq!(
        run(&crawl[..crawl.len() - 2].iter().chain(&["--cluster", &database]).copied().collect::<Vec<_>>()).0,
        Some(2)
    );
}

#[test]
fn all_nodes_are_paused_continued_and_stopped_by_command_and_seeds_from_outside_are_crawled_once() {
    let site = Site::start();
    let mut shared = Shared::new("control", &site, None);
    let seeded = Recorder::at(TcpListener::bind((address(40), 0)).unwrap(), |asked| match asked.path.as_str() {
        "/robots.txt" => Answer::status(404),
        _ => Answer::page([] as [&str; 0]),
    });
    let database = shared.database.clone();
    let command =
        |task: &str, more: &[&str]| command_in(Path::new("."), &[&["cluster", task, &database, "site"], more].concat());
    (0..3).for_each(|_| shared.start());
    until("they crawl", || site.times().len() > 60);
    assert_eq!(command("pause", &[]), (Some(0), "crawl site is paused\n".to_owned()));
    thread::sleep(TERM);
    let asked = site.times();
    assert_eq!(command("seed", &[&seeded.url("/a"), &seeded.url("/a"), &seeded.url("/b")]).0, Some(0));
    assert!(command("seed", &["nothing"]).1.contains("nothing"));
    thread::sleep(TERM / 2);
    assert_eq!((site.times(), seeded.count()), (asked, 0), "a paused crawl asks nobody");
    let (code, status) = command("status", &[]);
    assert!(code == Some(0) && status.contains("crawl site: paused"), "{status}");
    assert_eq!(status.matches(": crawls").count(), 3, "{status}");
    let (code, export) = command("export", &[]);
    let lines: Vec<serde_json::Value> = export.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let waiting: usize = shared.sql("SELECT sum(requests) FROM waiting").parse().unwrap();
    assert_eq!((code, lines.len()), (Some(0), waiting));
    let state = |url: &str| lines.iter().find(|line| line["request"]["url"] == *url).unwrap()["state"].clone();
    assert_eq!(state(&seeded.url("/b")), "waiting");
    let (code, said) = command("drop", &[]);
    assert!(code == Some(1) && said.contains("--force"), "{said}");
    let seen = format!(
        "{} {}, seen ",
        std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim(),
        shared.nodes[0].id()
    );
    assert!(said.contains(&seen) && said.matches(" s ago").count() == 3, "it names all three: {said}");
    assert_eq!(command("resume", &[]), (Some(0), "crawl site goes on\n".to_owned()));
    until("the seeds are crawled", || seeded.asked().iter().any(|asked| asked.path == "/b"));
    assert_eq!(command("stop", &[]), (Some(0), "crawl site stops on all nodes\n".to_owned()));
    for mut node in shared.nodes.drain(..) {
        assert_eq!(node.wait().unwrap().code(), Some(8));
    }
    assert!(command("status", &[]).1.contains("crawl site: stopped"));
    shared.run(Duration::ZERO);
    assert_eq!(site.times().values().sum::<usize>(), site.pages().len());
    let mut paths: Vec<_> = seeded.asked().into_iter().map(|asked| asked.path).collect();
    paths.sort();
    assert_eq!(paths, ["/a", "/b", "/robots.txt"]);
    assert_eq!(shared.ledger("done"), site.pages().len() as u64 + 2);
    let (code, said) = command("seed", &[&seeded.url("/c")]);
    assert!(code == Some(1) && said.contains("it has ended"), "{said}");
    assert!(site.smallest_gap() >= SPACING);
    // One that is silent may ask until its term has lapsed.
    shared.sql("UPDATE node SET state = 'live', seen = now(), term = 60000");
    assert_eq!(command("drop", &[]).0, Some(1));
    shared.sql("UPDATE node SET seen = now() - interval '76 seconds'");
    shared.sql("UPDATE node SET seen = now() WHERE session = (SELECT min(session) FROM node)");
    assert_eq!(command("drop", &[]).1.matches(" s ago").count(), 1);
    assert_eq!(command("drop", &["--force"]), (Some(0), "crawl site is dropped\n".to_owned()));
}
