//! The binary as users see it: its output, files and exit codes.
#![cfg(feature = "cli")]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::Duration,
};

use serde_json::Value;

const HOME: &str = "<title>Home</title><h1>All</h1><a href=/a>a</a><a href=/b rel=nofollow>b</a>\
                    <a href=/doc.pdf>doc</a><a href=http://elsewhere.example/>out</a>";

/// A site on its own port; it reports each request before it responds.
struct Site {
    address: SocketAddr,
    asked: Receiver<String>,
}

impl Site {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, asked) = channel();
        // The thread ends with the process, since it only waits for connections.
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let tell = tell.clone();
                thread::spawn(move || serve(connection, &tell));
            }
        });
        Self { address, asked }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Waits until a path is requested.
    fn wait_for(&self, path: &str) {
        while self.asked.recv_timeout(Duration::from_secs(60)).expect("a request") != path {}
    }
}

fn serve(connection: TcpStream, tell: &Sender<String>) -> Option<()> {
    let mut writer = connection.try_clone().ok()?;
    let mut lines = BufReader::new(connection).lines();
    loop {
        let path = lines.next()?.ok()?.split(' ').nth(1)?.to_owned();
        while !lines.next()?.ok()?.is_empty() {}
        let _ = tell.send(path.clone());
        let (status, kind, body) = match path.as_str() {
            "/" => ("200 OK", "text/html", HOME.to_owned()),
            "/a" => ("200 OK", "text/html", "<title>A, or so</title><h1>One</h1><h1>Two</h1>".to_owned()),
            "/b" => ("200 OK", "text/html", "<title>B</title>".to_owned()),
            "/doc.pdf" => ("200 OK", "application/pdf", "%PDF".to_owned()),
            "/robots.txt" => ("200 OK", "text/plain", "User-agent: *\nDisallow: /private\n".to_owned()),
            // A title that would clear the screen, and a formula.
            "/wicked" => (
                "200 OK",
                "text/html",
                "<title>\u{9b}2Jgone</title><h1>=HYPERLINK(1)</h1><a href=/wicked-x>x</a>".to_owned(),
            ),
            "/broken" => ("200 OK", "text/html", "<a href=/missing>gone</a>".to_owned()),
            "/hangs" => ("200 OK", "text/html", "<a href=/never>never</a>".to_owned()),
            // Never answered: the client waits until it gives up.
            "/never" => loop {
                thread::park();
            },
            path if path.starts_with("/many/") => {
                let number: u32 = path.trim_start_matches("/many/").parse().ok()?;
                let links = (1..10).map(|n| format!("<a href=/many/{}>x</a>", number * 10 + n));
                ("200 OK", "text/html", links.collect())
            }
            _ => ("404 Not Found", "text/html", String::new()),
        };
        let length = body.len();
        write!(writer, "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}").ok()?;
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_actix-crawler"));
    command.args(arguments).env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

fn crawl(url: &str, more: &[&str]) -> Output {
    run(&[&["crawl", url, "--allow-private", "--rate", "200/s"], more].concat())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn lines(bytes: &[u8]) -> Vec<Value> {
    text(bytes).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn path(folder: &tempfile::TempDir, name: &str) -> String {
    folder.path().join(name).to_str().unwrap().to_owned()
}

/// Expects one line on stderr that begins with `error: ` and contains each of `words`, and under it at most what is
/// wrong with a caret; nothing on stdout.
fn refuses(arguments: &[&str], code: i32, words: &[&str]) {
    let output = run(arguments);
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
    assert!(
        error.starts_with("error: ") && error.lines().skip(1).all(|line| line.starts_with("    ")),
        "{arguments:?}: {error}"
    );
    assert_eq!(text(&output.stdout), "", "{arguments:?}");
    for word in words {
        assert!(error.contains(word), "{arguments:?} does not say {word}: {error}");
    }
}

#[test]
fn each_page_is_a_json_line_with_what_was_selected_and_the_summary_goes_to_stderr() {
    let site = Site::start();
    let output = crawl(&site.url("/"), &["--select", "head=h1", "--select", "to=a@href"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let mut pages = lines(&output.stdout);
    pages.sort_by_key(|page| page["url"].to_string());
    let urls: Vec<_> = pages.iter().map(|page| page["url"].as_str().unwrap().to_owned()).collect();
    assert_eq!(urls, ["/", "/a", "/b", "/doc.pdf"].map(|path| site.url(path)));
    let (home, a, pdf) = (&pages[0], &pages[1], &pages[3]);
    assert_eq!((&home["status"], &home["depth"], &home["parent"]), (&200.into(), &0.into(), &Value::Null));
    assert_eq!((&home["title"], &home["links"]), (&"Home".into(), &4.into()));
    assert_eq!(home["bytes"], HOME.len());
    assert!(home["elapsed"].as_f64().unwrap() > 0.0);
    assert!(humantime::parse_rfc3339(home["fetched_at"].as_str().unwrap()).is_ok());
    assert_eq!((&a["parent"], &a["depth"]), (&site.url("/").into(), &1.into()));
    assert_eq!(a["head"], serde_json::json!(["One", "Two"]));
    assert_eq!(home["to"][0], "/a");
    assert_eq!((&pdf["content_type"], &pdf["head"]), (&"application/pdf".into(), &serde_json::json!([])));
    let summary = text(&output.stderr);
    assert!(summary.contains("4 pages") && summary.trim_end().ends_with("adds up"), "{summary}");
}

#[test]
fn csv_has_a_fixed_header_and_one_record_a_page() {
    let (site, folder) = (Site::start(), tempfile::tempdir().unwrap());
    let file = path(&folder, "pages.csv");
    let output = crawl(&site.url("/a"), &["--select", "head=h1", "-o", &file]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("1 page,"), "the summary goes to stdout where pages do not");
    let mut reader = csv::Reader::from_path(&file).unwrap();
    let header: Vec<_> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let fields = "url status depth parent title content_type bytes fetched_at elapsed links head";
    assert_eq!(header, fields.split(' ').collect::<Vec<_>>());
    let record = reader.records().next().unwrap().unwrap();
    assert_eq!((&record[4], &record[10]), ("A, or so", "One | Two"));
}

/// That it could not be written was once all that was said: not how the crawl had ended, nor that its output was on the
/// same full disk.
#[cfg(target_os = "linux")]
#[test]
fn a_summary_that_cannot_be_written_is_told_after_how_the_crawl_ended() {
    let (site, folder) = (Site::start(), tempfile::tempdir().unwrap());
    for output in ["-", &path(&folder, "pages.csv")] {
        let output = crawl(&site.url("/"), &["-o", output, "--summary", "/dev/full"]);
        let said = [&*output.stdout, &*output.stderr].map(text).concat();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("4 pages") && said.contains("adds up"), "{said}");
        let error = text(&output.stderr);
        assert!(error.trim_end().lines().last().unwrap().contains("--summary /dev/full cannot be written"), "{said}");
    }
}

#[test]
fn the_log_and_the_summary_say_how_each_request_ended() {
    let (site, folder) = (Site::start(), tempfile::tempdir().unwrap());
    let (log, summary) = (path(&folder, "log.jsonl"), path(&folder, "summary.json"));
    fs::write(&summary, "x".repeat(100_000)).unwrap();
    let output = crawl(&site.url("/broken"), &["--log", &log, "--summary", &summary]);
    assert_eq!(output.status.code(), Some(3), "a page failed");
    assert!(text(&output.stderr).contains("status/404") && text(&output.stderr).contains("/missing"));
    let log = lines(&fs::read(log).unwrap());
    let failed = log.iter().find(|line| line["outcome"] == "status").unwrap();
    assert_eq!((&failed["url"], &failed["detail"]), (&site.url("/missing").into(), &"404".into()));
    let summary: Value = serde_json::from_slice(&fs::read(summary).unwrap()).unwrap();
    assert_eq!((&summary["ledger_adds_up"], &summary["counts"]["failed/status/404"]), (&true.into(), &1.into()));
}

#[test]
fn a_file_has_the_same_settings_and_options_win_over_it() {
    let (site, folder) = (Site::start(), tempfile::tempdir().unwrap());
    let file = path(&folder, "crawl.toml");
    let settings = format!(
        "seeds = ['{}']\n[pages]\nrespect_nofollow = true\n[pages.select]\nhead = 'h1'\n[politeness]\nrate = '200/s'\n\
         [scope]\nmax_depth = 0\n[transport.guard]\nallow_private = true\n",
        site.url("/")
    );
    fs::write(&file, settings).unwrap();
    let output = run(&["crawl", "--config", &file]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let pages = lines(&output.stdout);
    assert_eq!((pages.len(), &pages[0]["head"]), (1, &serde_json::json!(["All"])));
    assert_eq!(lines(&run(&["crawl", "--config", &file, "--depth", "1"]).stdout).len(), 3, "the nofollow link is left");
}

#[test]
fn pages_go_first_by_their_urls_in_a_file_and_by_option() {
    let (site, folder) = (Site::start(), tempfile::tempdir().unwrap());
    let file = path(&folder, "crawl.toml");
    fs::write(&file, "[[priorities]]\nurl = '/doc'\npriority = 5\n[[priorities]]\nurl = '/a$'\npriority = -1\n")
        .unwrap();
    let asked = |more: &[&str]| {
        let output = crawl(&site.url("/"), more);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        site.asked.try_iter().filter(|path| path != "/robots.txt").collect::<Vec<_>>()
    };
    assert_eq!(asked(&[]), ["/", "/a", "/b", "/doc.pdf"]);
    assert_eq!(asked(&["--config", &file]), ["/", "/doc.pdf", "/b", "/a"]);
    let by_option = ["--config", &file, "--priority", "/a=7", "--priority", "/b$=6"];
    assert_eq!(asked(&by_option), ["/", "/a", "/b", "/doc.pdf"], "options come before the file");
    let home = site.url("/");
    for (rule, word) in [("/a", "and a priority"), ("/a=high", "`high` is no priority"), ("(=1", "regular expression")]
    {
        refuses(&["crawl", &home, "--priority", rule], 2, &["--priority", word]);
    }
}

/// The file's seeds were once crawled in their place.
#[test]
fn a_file_of_seeds_that_has_none_begins_no_crawl() {
    let (site, folder) = (Site::start(), tempfile::tempdir().unwrap());
    let (file, seeds) = (path(&folder, "crawl.toml"), path(&folder, "seeds.txt"));
    fs::write(&file, format!("seeds = ['{}']\n[transport.guard]\nallow_private = true\n", site.url("/"))).unwrap();
    for (content, option) in [("# nothing is listed today\n", None), ("no URL\n", Some("--skip-bad-seeds"))] {
        fs::write(&seeds, content).unwrap();
        let arguments: Vec<_> = ["crawl", "--config", &file, "--seeds", &seeds].into_iter().chain(option).collect();
        let refused = run(&arguments);
        let said = text(&refused.stderr);
        assert!(refused.status.code() == Some(2) && said.contains("no URL to begin with"), "{said}");
    }
}

#[test]
fn a_wrong_setting_in_the_file_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = path(&folder, "crawl.toml");
    for (settings, words) in [
        ("[politeness]\nspaceing = '1s'\n", ["spaceing", "line 2", "spacing"]),
        ("[politeness]\nrate = '2'\n", ["rate", "line 2", "50/s"]),
        ("[scope]\nwithin = 'planet'\n", ["within", "planet", "host"]),
        ("[pages.select]\nhead = 'h1['\n", ["pages.select.head", "h1[", "selector"]),
        ("threads = 'many'\n", ["threads", "line 1", "many"]),
        ("max_depth = 3\n", ["max_depth belongs to [scope]", "line 1", "no key"]),
        ("ca_files = []\n", ["ca_files belongs to [transport.tls]", "line 1", "no key"]),
    ] {
        fs::write(&file, settings).unwrap();
        refuses(&["crawl", "http://127.0.0.1:1/", "--allow-private", "--config", &file], 2, &words);
    }
    refuses(&["crawl", "--config", "nowhere/crawl.toml"], 2, &["--config", "nowhere/crawl.toml"]);
}

#[test]
fn wrong_input_gets_one_line_that_says_what_to_change() {
    let home = "http://127.0.0.1:1/";
    let here = &["crawl", home, "--allow-private"];
    refuses(&["crawl"], 2, &["no URL", "https://"]);
    refuses(&["crawl", "example.org"], 2, &["example.org", "https://"]);
    refuses(&["crawl", "ftp://example.org/"], 2, &["ftp", "http"]);
    refuses(&["crawl", "https://example.org/"], 2, &["--contact"]);
    refuses(&["crawl", "https://example.org/", "--contact", "me"], 2, &["--contact", "`me`", "me@example.org"]);
    refuses(&["crawl", "https://example.org/", "--user-agent", "bot/1.0"], 2, &["bot/1.0", "contact"]);
    refuses(&["crawl", home], 2, &["127.0.0.1", "--allow-private"]);
    refuses(&["crawl", "http://10.1.2.3/", "--contact", "me@example.org"], 2, &["10.1.2.3", "--allow-private"]);
    refuses(&["crawl", "http://localhost/"], 2, &["localhost", "--allow-private"]);
    for (option, value, word) in [
        ("--rate", "2", "30/m"),
        ("--delay", "soon", "250ms"),
        ("--timeout", "0", "30s"),
        ("--allow", "(", "unclosed"),
        ("--select", "h1", "author=.author"),
        ("--select", "x=h1[", "selector"),
        ("--select", "url=h1", "another name"),
        ("--scope", "planet", "domain"),
        ("--robots", "maybe", "obey"),
        ("--max-pages", "0", "1"),
        ("--max-body", "big", "10M"),
        ("--resolve", "shop.test", "shop.test:127.0.0.1"),
        ("--seeds", "nowhere.txt", "nowhere.txt"),
        ("--ca", "nowhere.pem", "cannot be read"),
        ("--ca", "Cargo.toml", "cannot be read"),
        ("--proxy", "here", "no proxy"),
        ("--insecure", "a b", "no host"),
        ("--user", "here=me:secret", "no origin"),
        ("--per-domain", "0", "a whole number from 1"),
        ("--concurrency", "0", "a whole number from 1"),
        ("--retries", "x", "a whole number from 0"),
        ("--max-pages", "99999999999999999999", "a whole number from 1"),
        ("--nonsense", "x", "--nonsense"),
        ("--rate", "2000000/s", "a shorter window"),
        ("--progress", "often", "auto, never"),
        ("--allow-address", "here", "10.1.0.0/16"),
        ("--allow", "(", "write a regular expression"),
    ] {
        refuses(&[here, &[option, value][..]].concat(), 2, &[option.trim_start_matches("--"), word]);
    }
    refuses(&[here, &["--output", "-x"][..]].concat(), 2, &["'-x' found; ", "--option=VALUE"]);
    for option in ["-o", "--log", "--summary"] {
        refuses(&[here, &[option, "nowhere/file.jsonl"][..]].concat(), 1, &[option, "nowhere/file.jsonl", "name"]);
        refuses(&[here, &[option, "src"][..]].concat(), 1, &[option, "src is a directory", "name a file"]);
    }
    for option in ["--state", "--cache", "--record"] {
        refuses(&[here, &[option, "Cargo.toml"][..]].concat(), 1, &[option, "is a file", "name a directory"]);
    }
    for option in ["--log", "--summary"] {
        refuses(&[here, &[option, "-"][..]].concat(), 2, &[option, "name a file"]);
    }
    refuses(&[here, &["--select", "a=h1", "--select", "a=h2"][..]].concat(), 2, &["--select a", "twice"]);
    refuses(&[here, &["-o", "same.jsonl", "--log", "same.jsonl"][..]].concat(), 2, &["same.jsonl", "two files"]);
    refuses(
        &[here, &["-o", "same.jsonl", "--summary", "./same.jsonl"][..]].concat(),
        2,
        &["-o", "--summary", "the same"],
    );
    assert!(!Path::new("same.jsonl").exists());
    refuses(&[here, &["-o", "Cargo.toml/"][..]].concat(), 1, &["-o Cargo.toml/ is a file", "write Cargo.toml"]);
    refuses(&["poll", "nofile"], 2, &["`nofile` is no file that exists", "https://"]);
    refuses(&["fetch", home, "--allow-private", "-o", "src"], 1, &["-o src is a directory; name a file"]);
    let (folder, seeds) = (tempfile::tempdir().unwrap(), "http://127.0.0.1:1/\n");
    let file = path(&folder, "seeds.txt");
    fs::write(&file, seeds).unwrap();
    refuses(&["crawl", "--seeds", &file, "-o", &file, "--allow-private"], 2, &["--seeds and -o", "two files"]);
    refuses(&["poll", &file, "-o", &file, "--allow-private"], 2, &["an argument and -o", "two files"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), seeds);
}

/// Regression: clap took `-1` for an unknown option, and suggested writing `-- -1`.
#[test]
fn a_number_below_zero_is_answered_with_what_to_write() {
    let home = "http://127.0.0.1:1/";
    let numbers: &[(&str, &str, &[&str])] = &[
        ("crawl", "a whole number from 0", &["--depth", "--retries"]),
        ("crawl", "a whole number from 1", &["--max-pages", "--max-pages-per-domain", "--per-domain", "--concurrency"]),
        ("crawl", "a whole number from 1 to 1024", &["--threads"]),
        ("crawl", "250ms", &["--delay", "--timeout", "--revisit-after"]),
        ("crawl", "30/m", &["--rate"]),
        ("crawl", "10M", &["--max-body"]),
        ("poll", "a whole number from", &["--retries", "--concurrency"]),
        ("poll", "30/m", &["--rate"]),
        ("fetch", "250ms", &["--timeout"]),
        ("robots", "10M", &["--max-body"]),
    ];
    for (command, word, options) in numbers {
        for (option, value) in
            options.iter().flat_map(|option| ["-1", "-1s", "--allow-private", "x", ""].map(|v| (option, v)))
        {
            refuses(&[command, home, option, value], 2, &[option, word]);
        }
    }
}

#[test]
fn a_wrong_value_is_said_once() {
    for (option, value, word) in [("--select", "a=[[", "is no CSS selector"), ("--allow", "(", "error:")] {
        let output = run(&["crawl", "http://127.0.0.1:1/", "--allow-private", option, value]);
        assert_eq!(text(&output.stderr).matches(word).count(), 1, "{}", text(&output.stderr));
    }
}

#[test]
fn a_private_address_behind_a_name_is_told_with_the_options_that_allow_it() {
    let output = run(&[
        "crawl",
        "http://shop.test/",
        "--contact",
        "me@example.org",
        "--retries",
        "0",
        "--resolve",
        "shop.test:127.0.0.1:1",
    ]);
    let said = text(&output.stderr);
    assert!(said.contains("; --allow-private permits") && !said.contains("allow_private"), "{said}");
}

#[test]
fn who_cannot_be_reached_is_a_failed_page_with_its_reason() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = thread::spawn(move || crawl(&format!("http://{closed}/"), &["--robots", "ignore", "--retries", "0"]));
    let named = ["crawl", "http://no-such-name.invalid/", "--contact", "me@example.org", "--retries", "0"];
    for (output, reason) in [(run(&named), "dns"), (nobody.join().unwrap(), "connect")] {
        let summary = text(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{summary}");
        let failed = summary.lines().skip_while(|line| !line.starts_with("failed")).nth(1).unwrap();
        assert!(failed.trim_start().starts_with(reason) && failed.contains("http://"), "{summary}");
    }
}

#[test]
fn a_reader_that_leaves_ends_the_crawl_quietly() {
    let site = Site::start();
    let mut child = crawl_many(&site);
    let mut first = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut first).unwrap();
    drop(stdout);
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(1), ""));
}

fn crawl_many(site: &Site) -> Child {
    let url = site.url("/many/1");
    let arguments = ["crawl", &url, "--allow-private", "--delay", "20ms", "--progress", "never"];
    command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[cfg(unix)]
fn interrupt(child: &Child) {
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
}

#[cfg(unix)]
#[test]
fn an_interrupt_lets_pages_in_flight_end_and_prints_the_summary() {
    let site = Site::start();
    let mut child = crawl_many(&site);
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut String::new()).unwrap();
    interrupt(&child);
    let mut rest = Vec::new();
    stdout.read_to_end(&mut rest).unwrap();
    let output = child.wait_with_output().unwrap();
    let summary = text(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{summary}");
    assert!(summary.starts_with("stopping: ") && summary.contains("Stopped after"), "{summary}");
    assert!(summary.trim_end().ends_with("0 leased: adds up"), "{summary}");
    assert_eq!(lines(&rest).len() as u64 + 1, pages_of(&summary), "every page that ended is written");
}

#[test]
fn a_misspelt_option_or_command_is_told_the_nearest_of_any_command() {
    for (arguments, nearest) in [
        ("crawl http://a.test --dely 1s", "'--delay'"),
        ("crawl http://a.test --spacng 1s", "'--spacing'"),
        ("crawl http://a.test --max-dept=3", "'--max-depth'"),
        ("crawl http://a.test --max-page=3", "'--max-pages'"),
        ("poll http://a.test --rte 5/s", "'--rate'"),
        ("fetch http://a.test --insecur a", "'--insecure'"),
        ("robots http://a.test --resolv a", "'--resolve'"),
        ("state dir --forget-domian a", "'--forget-domain'"),
        ("demo --progres never", "'--progress'"),
        ("crwl http://a.test", "'crawl'"),
    ] {
        refuses(&arguments.split(' ').collect::<Vec<_>>(), 2, &[nearest, "; a similar "]);
    }
    refuses(&["crawl", "http://a.test", "--xyz"], 2, &["--help lists the options"]);
}

/// Waits for the end of a process that is interrupted, and tells how long it took.
#[cfg(target_os = "linux")]
fn interrupt_until_it_ends(child: &mut Child, times: usize) -> Option<i32> {
    for _ in 0..times {
        interrupt(child);
        for _ in 0..50 {
            if let Some(status) = child.try_wait().unwrap() {
                return status.code();
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
    child.kill().unwrap();
    panic!("it does not end within a second");
}

/// Regression: neither the first signal nor the second was heard while a named pipe waited for its reader.
#[cfg(target_os = "linux")]
#[test]
fn an_interrupt_is_heard_while_an_output_waits_for_its_reader() {
    let (site, dir) = (Site::start(), tempfile::tempdir().unwrap());
    let pipe = dir.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for option in ["-o", "--log"] {
        let url = site.url("/many/1");
        let mut crawl = command(&["crawl", &url, "--allow-private", option, pipe.to_str().unwrap()]);
        let mut child = crawl.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let tasks = format!("/proc/{}/task", child.id());
        let has_begun = || {
            let names = fs::read_dir(&tasks).unwrap().filter_map(|task| fs::read(task.ok()?.path().join("comm")).ok());
            names.into_iter().any(|name| name == b"crawler\n")
        };
        while !has_begun() {
            thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(interrupt_until_it_ends(&mut child, 1), Some(130), "{option}");
        let said = text(&child.wait_with_output().unwrap().stderr);
        assert!(said.contains("before the crawl had begun"), "{said}");
    }
}

/// Regression: it could only be killed.
#[cfg(target_os = "linux")]
#[test]
fn a_poll_whose_reader_does_not_read_ends_at_the_second_interrupt() {
    let site = Site::start();
    let dir = tempfile::tempdir().unwrap();
    let list = dir.path().join("urls");
    // More than a pipe holds.
    let urls: Vec<String> = (0..200).map(|n| site.url(&format!("/{n}?{}", "x".repeat(1_000)))).collect();
    fs::write(&list, urls.join("\n")).unwrap();
    let mut poll = command(&["poll", "-i", list.to_str().unwrap(), "--rate", "1000/s", "--allow-private"]);
    let mut child = poll.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    site.wait_for(&format!("/80?{}", "x".repeat(1_000)));
    assert_eq!(interrupt_until_it_ends(&mut child, 2), Some(130));
}

fn pages_of(summary: &str) -> u64 {
    let line = summary.lines().find(|line| line.starts_with("pages ")).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[cfg(unix)]
#[test]
fn a_second_interrupt_gives_up_pages_in_flight() {
    let site = Site::start();
    let url = site.url("/hangs");
    let arguments = ["crawl", &url, "--allow-private", "--rate", "200/s", "--progress", "never"];
    let mut child = command(&arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    site.wait_for("/never");
    interrupt(&child);
    let mut said = String::new();
    stderr.read_line(&mut said).unwrap();
    assert!(said.contains("(1)"), "{said}");
    interrupt(&child);
    stderr.read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{said}");
    assert!(said.contains("Stopped at once") && said.trim_end().ends_with("1 leased: adds up"), "{said}");
}

#[test]
fn robots_tells_which_line_decides() {
    let site = Site::start();
    let output = run(&["robots", &site.url("/"), "/private/x", "/open", "--allow-private"]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(said.contains("disallowed  /private/x: by line 2, `Disallow: /private`"), "{said}");
    assert!(said.contains("allowed     /open"), "{said}");
    refuses(&["robots", &site.url("/")], 2, &["--allow-private"]);
}

#[test]
fn fetch_shows_one_answer() {
    let (site, folder) = (Site::start(), tempfile::tempdir().unwrap());
    let output = run(&["fetch", &site.url("/doc.pdf"), "--allow-private", "-i"]);
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0));
    assert!(shown.starts_with("HTTP/1.1 200 OK\n") && shown.ends_with("\n\n%PDF"), "{shown}");
    let file = path(&folder, "doc.pdf");
    run(&["fetch", &site.url("/doc.pdf"), "--allow-private", "-o", &file]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "%PDF");
    fs::write(&file, "what was there, and is longer").unwrap();
    assert_eq!(run(&["fetch", "http://127.0.0.1:1/", "--allow-private", "-o", &file]).status.code(), Some(3));
    assert_eq!(fs::read_to_string(&file).unwrap(), "what was there, and is longer", "no answer takes it away");
    run(&["fetch", &site.url("/doc.pdf"), "--allow-private", "-o", &file]);
    assert_eq!(fs::read_to_string(file).unwrap(), "%PDF");
    run(&["fetch", &site.url("/doc.pdf"), "--allow-private", "-o", "/dev/null"]);
    assert_eq!(run(&["fetch", &site.url("/missing"), "--allow-private"]).status.code(), Some(3));
}

#[test]
fn the_demo_ends_well_with_a_ledger_that_adds_up() {
    let output = run(&["demo", "--progress", "never"]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(said.contains("2 failed") && said.contains("adds up"), "{said}");
    assert!(said.contains("had 0 visitors in /cloister/"), "{said}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_log_that_cannot_be_written_is_an_error_at_the_end() {
    let site = Site::start();
    let output = crawl(&site.url("/a"), &["--log", "/dev/full"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(lines(&output.stdout).len(), 1, "the crawl went on");
    assert_eq!(said.matches("error: the crawl log /dev/full cannot be written").count(), 1, "{said}");
}

#[test]
fn a_pace_of_the_command_line_wins_over_the_domains_of_the_file() {
    let (site, folder) = (Site::start(), tempfile::tempdir().unwrap());
    let file = path(&folder, "crawl.toml");
    fs::write(&file, "[domains.'127.0.0.1']\nspacing = '10m'\n").unwrap();
    assert_eq!(lines(&crawl(&site.url("/"), &["--config", &file]).stdout).len(), 4);
}

#[test]
fn the_documented_file_crawls() {
    let block = include_str!("../docs/CONFIG.md").split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let (site, folder) = (Site::start(), tempfile::tempdir().unwrap());
    fs::write(folder.path().join("crawl.toml"), block).unwrap();
    let url = site.url("/");
    let arguments = ["crawl", &url, "--config", "crawl.toml", "--allow-private", "--rate", "200/s"];
    let output = command(&arguments).current_dir(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let pages = lines(&fs::read(folder.path().join("pages.jsonl")).unwrap());
    assert_eq!(pages.len(), 4);
    assert!(pages.iter().any(|page| page["headline"] == serde_json::json!(["All"])), "{pages:?}");
    assert!(folder.path().join("log.jsonl").exists() && folder.path().join("summary.json").exists());
}

#[test]
fn a_robots_file_that_is_waited_for_is_told() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{closed}/");
    let arguments = ["crawl", &url, "--allow-private", "--progress", "never"];
    let mut child = command(&arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut said).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(said.contains(&format!("waiting for robots.txt of http://{closed}")), "{said}");
    assert!(said.contains("asked again in 1 s"), "{said}");
}

#[test]
fn a_state_that_is_resumed_says_what_is_of_all_runs_and_what_is_different() {
    let (site, folder) = (Site::start(), tempfile::tempdir().unwrap());
    let state = path(&folder, "state");
    assert!(!text(&crawl(&site.url("/"), &["--state", &state]).stderr).contains("in all runs"));
    let said = text(&crawl(&site.url("/"), &["--state", &state, "--depth", "3"]).stderr);
    assert!(said.contains("in all runs: 4 pages"), "{said}");
    assert!(said.contains("with settings that have changed: scope; the same command"), "{said}");
    assert!(said.contains("nothing new") && said.contains("--seeds-again"), "{said}");
    let said = text(&crawl(&site.url("/"), &["--state", &state, "--depth", "3", "--seeds-again"]).stderr);
    assert!(!said.contains("nothing new"), "{said}");
    assert!(text(&run(&["state", &state]).stdout).contains("0 queued"));
    refuses(&["state", &state, "--forget-domain", "nowhere.test"], 1, &["nothing is queued for nowhere.test"]);
}

/// Regression: a limit that earlier runs had used up was told as "nothing new".
#[test]
fn a_limit_that_all_runs_have_used_up_is_told_and_not_called_nothing_new() {
    let (site, folder) = (Site::start(), tempfile::tempdir().unwrap());
    let again = || text(&crawl(&site.url("/many/1"), &["--state", &path(&folder, "state"), "--max-pages", "1"]).stderr);
    let said = again();
    assert!(
        !said.contains("WARNING") && said.contains("ended: --max-pages of 1 is reached; 9 URLs still queued"),
        "{said}"
    );
    let said = again();
    assert!(said.contains("WARNING: the limit --max-pages of 1 counts all runs of the state"), "{said}");
    assert!(said.contains("9 URLs still queued") && !said.contains("nothing new"), "{said}");
}

#[test]
fn a_crawl_that_dropped_all_its_seeds_says_why() {
    let site = Site::start();
    for (seed, more, why) in
        [("/", &["--deny", "."][..], "1 by scope/rule"), ("/private", &[], "1 by robots/disallowed")]
    {
        let output = crawl(&site.url(seed), more);
        let said = text(&output.stderr);
        assert!(said.contains("WARNING: nothing was fetched") && said.contains(why), "{said}");
        assert_eq!(output.status.code(), Some(0), "what is dropped is no failure");
    }
}

#[test]
fn where_a_url_stands_is_told_from_a_state_and_from_a_log() {
    let (site, folder) = (Site::start(), tempfile::tempdir().unwrap());
    let (state, log) = (path(&folder, "state"), path(&folder, "log.jsonl"));
    crawl(&site.url("/many/1"), &["--state", &state, "--log", &log, "--max-pages", "1"]);
    crawl(&site.url("/private"), &["--log", &path(&folder, "other.jsonl")]);
    let explain = |url: &str, more: &[&str]| {
        let output = run(&[&["explain", &site.url(url)], more].concat());
        (text(&output.stdout), text(&output.stderr), output.status.code())
    };
    let (waits, _, code) = explain("/many/12", &["--state", &state]);
    let found = format!("found on {}", site.url("/many/1"));
    assert_eq!((waits.trim_end(), code), (&*format!("waits: no crawl runs; 1 before it; {found}"), Some(0)));
    let (done, _, _) = explain("/many/1", &["--state", &state]);
    assert!(done.starts_with("taken in at ") && done.contains("how is not known any more"), "{done}");
    let (done, _, _) = explain("/many/1", &["--state", &state, "--log", &log]);
    assert!(done.starts_with("done: ok, at 20"), "{done}");
    let (unknown, _, code) = explain("/never", &["--state", &state, "--log", &log]);
    assert!(unknown.starts_with("never heard of") && code == Some(3), "{unknown}");
    let (json, ..) = explain("/private", &["--log", &path(&folder, "other.jsonl"), "--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["stands"], &json["outcome"]), (&"dropped".into(), &"robots/disallowed".into()), "{json}");

    // A crawl that runs holds the state: its log is read all the same.
    let held = actix_crawler::frontier::stores::fjall::open_state(state.as_ref()).unwrap();
    let (_, error, code) = explain("/many/12", &["--state", &state]);
    assert!(error.contains("--log FILE") && !error.contains("CrawlHandle") && code == Some(1), "{error}");
    let (done, _, code) = explain("/many/1", &["--state", &state, "--log", &log]);
    assert!(done.starts_with("done: ok, at 20") && code == Some(0), "{done}");
    drop(held);
    refuses(&["explain", "no-url", "--state", &state], 2, &["https://"]);
    refuses(&["explain", "https://e.org/"], 2, &["--state", "--log"]);
    let (json, error, code) = explain("/none", &["--log", &log, "--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["stands"], &*error, code), (&"not_logged".into(), "", Some(3)), "{json}");
    let (robots, ..) = explain("/robots.txt", &["--log", &log]);
    assert!(robots.starts_with("done: robots/ok"), "{robots}");
    refuses(&["explain", "https://e.org/", "--log", "Cargo.toml"], 1, &["--log Cargo.toml", "no crawl log"]);
}

#[test]
fn the_help_of_each_command_tells_its_exit_codes() {
    for command in ["crawl", "poll", "robots", "fetch", "state", "explain", "config", "demo"] {
        let help = text(&run(&[command, "--help"]).stdout);
        assert!(help.contains("Exit codes:\n    0  "), "{help}");
    }
}

/// Regression: with one more `--select`, the second run wrote eleven cells under ten names.
#[test]
fn fetch_saves_a_response_for_tests_and_prints_no_body() {
    let (site, folder) = (Site::start(), tempfile::tempdir().unwrap());
    let fixtures = format!("{}/fixtures/", folder.path().display());
    let output = run(&["fetch", &site.url("/a"), "--allow-private", "--save", &fixtures]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0));
    let saved: Vec<_> = fs::read_dir(&fixtures).unwrap().map(|entry| entry.unwrap().path()).collect();
    let [file] = &saved[..] else { panic!("{saved:?}") };
    assert!(file.to_string_lossy().ends_with("_a.response"), "{file:?}");
    let text = fs::read_to_string(file).unwrap();
    let (head, body) = text.split_once('\n').unwrap();
    let head: Value = serde_json::from_str(head).unwrap();
    assert_eq!((head["url"].as_str(), head["status"].as_u64()), (Some(&*site.url("/a")), Some(200)));
    assert!(body.starts_with("<title>A, or so</title>"), "{body}");

    let named = format!("{}/named", folder.path().display());
    run(&["fetch", &site.url("/a"), "--allow-private", "--save", &named]);
    assert_eq!(fs::read_to_string(named).unwrap().split_once('\n').unwrap().1, body);
    let nowhere = run(&["fetch", &site.url("/a"), "--allow-private", "--save", "/dev/null/page"]);
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("--save"));
}

#[test]
fn a_csv_file_that_has_no_column_for_a_new_selection_is_refused_before_anything_is_fetched() {
    let (site, folder) = (Site::start(), tempfile::tempdir().unwrap());
    let (state, file) = (path(&folder, "state"), path(&folder, "pages.csv"));
    let arguments = ["--state", &state, "-o", &file, "--select", "head=h1", "--max-pages", "1"];
    assert_eq!(crawl(&site.url("/"), &arguments).status.code(), Some(0));
    let before = fs::read_to_string(&file).unwrap();
    while site.asked.try_recv().is_ok() {}
    let more = crawl(&site.url("/"), &[&arguments[..], &["--select", "to=a@href"]].concat());
    let said = text(&more.stderr);
    assert_eq!(more.status.code(), Some(2), "{said}");
    assert!(said.contains("pages.csv") && said.contains("no column `to`"), "{said}");
    assert!(site.asked.try_recv().is_err(), "nothing was fetched");
    assert_eq!(fs::read_to_string(&file).unwrap(), before);
    assert_eq!(crawl(&site.url("/"), &["--state", &state, "-o", &file]).status.code(), Some(0), "fewer are no matter");
    let mut reader = csv::ReaderBuilder::new().flexible(false).from_path(&file).unwrap();
    assert_eq!(reader.records().map(|record| record.unwrap().len()).collect::<Vec<_>>(), [11, 11, 11, 11]);
}

#[test]
fn csv_for_spreadsheets_has_no_formulas_where_that_is_asked_for() {
    let (site, folder) = (Site::start(), tempfile::tempdir().unwrap());
    let file = path(&folder, "pages.csv");
    for (option, cell) in [(&[][..], "=HYPERLINK(1)"), (&["--escape-formulas"][..], "'=HYPERLINK(1)")] {
        crawl(&site.url("/wicked"), &[&["--select", "head=h1", "--depth", "0", "-o", &file], option].concat());
        let record = csv::Reader::from_path(&file).unwrap().records().next().unwrap().unwrap();
        assert_eq!(&record[10], cell);
    }
}

#[test]
fn what_others_wrote_does_not_control_the_terminal() {
    let (site, folder) = (Site::start(), tempfile::tempdir().unwrap());
    let seeds = path(&folder, "seeds.txt");
    fs::write(&seeds, format!("{}\n{}\n", site.url("/a"), "\u{1b}[2J\u{9b}31mseed")).unwrap();
    for more in [&["--allow-private"][..], &["--allow-private", "--skip-bad-seeds"]] {
        let output = run(&[&["crawl", "--seeds", &seeds], more].concat());
        let said = text(&output.stderr);
        assert!(said.contains(r"\u{1b}[2J\u{9b}31mseed"), "{said:?}");
        assert!(!said.chars().any(|sign| sign.is_control() && sign != '\n'), "{said:?}");
    }
}

#[test]
fn a_limit_of_requests_counts_whatever_was_asked_for() {
    let site = Site::start();
    let output = crawl(&site.url("/many/1"), &["--max-requests", "7"]);
    let mut asked: Vec<_> = site.asked.try_iter().collect();
    asked.retain(|path| path != "/robots.txt");
    assert_eq!((asked.len(), lines(&output.stdout).len()), (7, 7), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("budget/requests"), "{}", text(&output.stderr));
}

#[test]
fn a_bad_seed_is_named_with_its_line_or_skipped_and_counted() {
    let (site, folder) = (Site::start(), tempfile::tempdir().unwrap());
    let seeds = path(&folder, "seeds.txt");
    fs::write(&seeds, format!("\u{feff}{}\n# none\nnot a url\n{}\n", site.url("/a"), site.url("/b"))).unwrap();
    let arguments = ["crawl", "--seeds", &seeds, "--allow-private", "--rate", "200/s"];
    refuses(&arguments, 2, &["--seeds", "line 3", "not a url", "--skip-bad-seeds"]);
    let output = run(&[&arguments[..], &["--skip-bad-seeds"]].concat());
    let said = text(&output.stderr);
    assert_eq!((output.status.code(), lines(&output.stdout).len()), (Some(0), 2), "{said}");
    assert!(said.contains("line 3") && said.contains("1 bad seed skipped, 2 seeds taken"), "{said}");
    fs::write(&seeds, [site.url("/a").as_bytes(), b"\n\nhttp://caf\xe9.test/\n"].concat()).unwrap();
    refuses(&arguments, 2, &["--seeds", "line 3", "not UTF-8"]);
}

#[test]
fn an_output_that_breaks_stops_the_crawl_with_the_reason() {
    let site = Site::start();
    let (folder, url) = (tempfile::tempdir().unwrap(), site.url("/many/1"));
    // In a shell whose files cannot grow beyond 1 KiB.
    let crawler = env!("CARGO_BIN_EXE_actix-crawler");
    let line =
        format!("trap '' XFSZ; ulimit -f 1; exec {crawler} crawl {url} --allow-private --rate 200/s -o pages.jsonl");
    let output = Command::new("sh").args(["-c", &line]).current_dir(folder.path()).output().unwrap();
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("error: pages.jsonl cannot be written any more: "), "{said}");
    assert!(said.contains("Failed after") && said.trim_end().ends_with("adds up"), "{said}");
    assert!(fs::read_to_string(folder.path().join("pages.jsonl")).unwrap().ends_with('\n'), "no part of a line stays");
}

/// Regression: a recording that could not be written lacked answers, with exit code 0 and not a word.
#[test]
fn a_recording_that_lacks_answers_is_an_error_at_the_end_and_a_cache_a_warning() {
    let (site, folder) = (Site::start(), tempfile::tempdir().unwrap());
    // Each file of the store belongs into a folder of one of these names.
    for part in 0..=u8::MAX {
        fs::write(folder.path().join(format!("{part:02x}")), "").unwrap();
    }
    let dir = folder.path().to_str().unwrap();
    for (option, code, in_report, count) in [
        ("--record", 1, "error: the recording ", "responses not recorded"),
        ("--cache", 0, "WARNING: 1 response could not be written to the cache ", "responses not cached"),
    ] {
        let output = crawl(&site.url("/a"), &["--depth", "0", option, dir]);
        let said = text(&output.stderr);
        assert_eq!((output.status.code(), lines(&output.stdout).len()), (Some(code), 1), "{said}");
        let at_once = said.find("a response could not be stored").expect("the first is told at once");
        let at_the_end = said.find(in_report).unwrap_or_else(|| panic!("{said}"));
        assert!(at_once < at_the_end && said.contains(count), "{said}");
    }
}

/// Regression: a disk without room for a state was called damage.
#[test]
fn a_state_that_cannot_be_written_is_not_called_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let crawler = env!("CARGO_BIN_EXE_actix-crawler");
    let line =
        format!("trap '' XFSZ; ulimit -f 1; exec {crawler} crawl http://127.0.0.1:9/ --allow-private --state state");
    let output = Command::new("sh").args(["-c", &line]).current_dir(folder.path()).output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("the crawl's state in state: the system refuses it: File too large"), "{said}");
}

#[test]
fn ten_dead_domains_are_one_line_of_warning() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let seeds: Vec<_> = (0..10).map(|n| format!("http://d{n}.test:{}/", closed.port())).collect();
    let mut arguments = vec!["crawl", "--contact", "me@example.org", "--allow-private", "--progress", "never"];
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log.jsonl");
    arguments.extend(["--resolve", "*.test:127.0.0.1", "--log", log.to_str().unwrap()]);
    arguments.extend(seeds.iter().map(String::as_str));
    let mut child = command(&arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    // Each has been asked for its robots file, which is what is warned of.
    let asked = || {
        let log = fs::read_to_string(&log).unwrap_or_default();
        (0..10).filter(|n| log.contains(&format!("http://d{n}.test:{}/robots.txt", closed.port()))).count()
    };
    while asked() < 10 {
        assert!(child.try_wait().unwrap().is_none(), "it has ended");
        thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    let said = text(&child.wait_with_output().unwrap().stderr);
    assert_eq!(said.matches("waiting for robots.txt").count(), 1, "{said}");
}
