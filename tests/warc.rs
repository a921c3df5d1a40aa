//! Archives of crawls in the WARC format: what is in them, judged by Python's standard library against what the servers
//! sent; that nothing is missing after kills and full disks; and crawls from archives.
#![cfg(all(feature = "warc", feature = "cli"))]
#![allow(clippy::disallowed_methods, reason = "tests read clocks")]

mod kills;
mod network;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::Mutex,
    thread,
    time::Duration,
};

use actix_crawler::{Ended, Report, ThrottledClient, prelude::*, warc::Warc};
use flate2::{Compression, write::GzEncoder};
use kills::run_and_kill;
use network::{Server, crawl, header, settings};

/// Serves bytes by path, and closes each connection.
fn serve(answer: impl Fn(&str, &str) -> Vec<u8> + Send + Sync + 'static) -> Server {
    Server::start(move |mut stream: TcpStream, heads: &Mutex<Vec<String>>| {
        let (mut head, mut buffer) = (Vec::new(), [0; 4096]);
        while !head.windows(4).any(|window| window == b"\r\n\r\n") {
            match stream.read(&mut buffer) {
                Ok(read @ 1..) => head.extend_from_slice(&buffer[..read]),
                _ => return,
            }
        }
        let head = String::from_utf8(head).unwrap();
        let answer = answer(head.split(' ').nth(1).unwrap(), &head);
        heads.lock().unwrap().push(head);
        // The client may have disconnected.
        let _ = stream.write_all(&answer);
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.read(&mut buffer);
    })
}

fn answer(fields: &str, body: &[u8]) -> Vec<u8> {
    let fields = format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    [fields.as_bytes(), body].concat()
}

fn html(body: &str) -> Vec<u8> {
    answer("Content-Type: text/html\r\n", body.as_bytes())
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// A record as Python reads it.
#[derive(Debug, serde::Deserialize)]
struct Seen {
    kind: String,
    fields: BTreeMap<String, String>,
    head: String,
    payload: String,
}

impl Seen {
    fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    fn url(&self) -> &str {
        self.field("warc-target-uri").unwrap_or_default()
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

/// All records of the closed files of a folder.
fn judge(dir: &Path) -> Vec<Seen> {
    let warcs = files(dir).into_iter().filter(|file| file.to_string_lossy().ends_with(".warc.gz"));
    let judge = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/warc/judge.py");
    let output = Command::new("python3").arg(judge).args(warcs).output();
    let output = output.expect("python3 is needed for this test, as in `apt-get install python3`");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The response of a path, or what refers to another.
fn response<'a>(records: &'a [Seen], path: &str) -> &'a Seen {
    let is_it = |seen: &&Seen| ["response", "revisit"].contains(&&*seen.kind) && seen.url().ends_with(path);
    records.iter().find(is_it).unwrap_or_else(|| panic!("{path}: {records:?}"))
}

fn links(page: &Response) -> Result<Parsed<String>> {
    let body = String::from_utf8_lossy(page.body()).into_owned();
    Ok(Parsed::new().item(format!("{} {} {body}", page.url().path(), page.status())).follow(page.links()))
}

type Links = fn(&Response) -> Result<Parsed<String>>;

fn crawler(seed: &str) -> Crawler<Links> {
    Crawler::new(links as Links, "warctest/1.0 (+https://example.org/bot)")
        .conducts(&actix_crawler::Conducts::new())
        .settings(settings())
        .seed(seed)
        .rate(Rate::UNLIMITED)
}

/// Crawls, and returns the items.
fn items(crawler: Crawler<Links>) -> (std::sync::Arc<Report>, BTreeSet<String>) {
    let collected = Collect::new();
    let report = crawler.pipeline(collected.clone()).run_blocking().unwrap();
    assert!(report.ledger_adds_up, "{report}");
    (report, collected.take().into_iter().collect())
}

/// The second is found on the first, so it is fetched after that was archived.
const TWIN: &str = "<a href=/twin/2>twin</a><p>the same text on two pages, and long enough that it is worth a reference; the \
    same text on two pages, and long enough that it is worth a reference; the same text on two pages, and long enough that it \
    is worth a reference; the same text on two pages, and long enough that it is worth a reference";

fn site() -> Server {
    serve(|path, _| match path {
        "/robots.txt" => answer("Content-Type: text/plain\r\n", b"User-agent: *\nDisallow: /no"),
        "/" => {
            let paths = ["gzip", "chunked", "old", "moved", "gone", "half", "large", "twin/1", "hints"];
            html(&paths.map(|path| format!("<a href=/{path}>{path}</a>")).concat())
        }
        "/gzip" => answer("Content-Type: text/html\r\nContent-Encoding: gzip\r\n", &gzip("<p>zipped")),
        "/chunked" => {
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\nX-Odd:  spaced \r\n\
                        \r\n4\r\n<p>w\r\n4\r\nhole\r\n0\r\nTrailer: x\r\n\r\n"
                .to_vec()
        }
        "/old" => b"HTTP/1.0 200 Fine\r\nContent-Type: text/html\r\n\r\n<p>until the end".to_vec(),
        "/moved" => b"HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 4\r\n\r\ngone".to_vec(),
        "/gone" => b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\ngone".to_vec(),
        "/half" => b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 99\r\n\r\nhalf".to_vec(),
        "/large" => answer("Content-Type: text/html\r\n", &vec![b'x'; 200_000]),
        "/hints" => {
            let hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n".to_vec();
            [hints, html("<p>after hints")].concat()
        }
        "/twin/1" | "/twin/2" => html(TWIN),
        _ => html("<p>there"),
    })
}

#[test]
fn an_archive_holds_each_exchange_as_it_was_on_the_wire_and_python_reads_it() {
    let (site, dir) = (site(), tempfile::tempdir().unwrap());
    let mut settings = settings();
    settings.transport.body.max_bytes = 100_000;
    let crawler = crawler(&site.url("/")).settings(settings).seed(site.url("/")).allow_private();
    let (report, items) = items(crawler.ignore_refresh().archive(Warc::to(dir.path())));
    assert_eq!((report.ended, items.len()), (Ended::Finished, 8), "{report}");
    assert!(report.complaints.is_empty(), "{report}");

    let records = judge(dir.path());
    let of = |path: &str| response(&records, path);
    assert_eq!(of("/robots.txt").payload, "User-agent: *\nDisallow: /no");
    assert_eq!(of("/gzip").payload, gzip("<p>zipped").iter().copied().map(char::from).collect::<String>());
    let chunked = of("/chunked");
    assert_eq!(chunked.payload, "<p>whole");
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nX-Orig-Transfer-Encoding: chunked\r\nX-Odd:  spaced \r\n\r\n";
    assert_eq!(chunked.head, head);
    assert!(of("/old").head.starts_with("HTTP/1.0 200 Fine\r\n") && of("/old").payload == "<p>until the end");
    assert_eq!((&*of("/moved").payload, &*of("/gone").payload, &*of("/there").payload), ("gone", "gone", "<p>there"));
    assert!(of("/hints").head.starts_with("HTTP/1.1 200 OK\r\n") && of("/hints").payload == "<p>after hints");
    let truncated = |path: &str| (of(path).payload.len(), of(path).field("warc-truncated"));
    assert_eq!(truncated("/half"), (4, Some("disconnect")));
    assert_eq!(truncated("/large").1, Some("length"));
    assert!(truncated("/large").0 < 100_000, "what announces too much is not read, beyond what came with its head");
    assert_eq!(truncated("/old").1, None);
    let [original, revisit] = [of("/twin/1"), of("/twin/2")];
    assert_eq!(
        (&*original.kind, &*original.payload, &*revisit.kind, &*revisit.payload),
        ("response", TWIN, "revisit", "")
    );
    assert_eq!(revisit.field("warc-refers-to"), original.field("warc-record-id"));
    assert_eq!(revisit.field("warc-refers-to-date"), original.field("warc-date"));
    assert_eq!(revisit.field("warc-payload-digest"), original.field("warc-payload-digest"));

    let responses: Vec<_> = records.iter().filter(|seen| ["response", "revisit"].contains(&&*seen.kind)).collect();
    assert_eq!(responses.len(), site.heads().len(), "each request that was answered");
    for seen in &responses {
        let id = seen.field("warc-record-id");
        let with: Vec<_> = records.iter().filter(|other| other.field("warc-concurrent-to") == id).collect();
        let [request, metadata] = with[..] else { panic!("{with:?}") };
        assert_eq!(
            (&*request.kind, request.url(), request.field("warc-date")),
            ("request", seen.url(), seen.field("warc-date"))
        );
        assert!(site.heads().contains(&format!("{}{}", request.head, request.payload)), "{request:?}");
        assert_eq!(seen.field("warc-ip-address"), Some("127.0.0.1"));
        assert!(metadata.payload.contains("fetchTimeMs: "), "{metadata:?}");
        let is_linked = !["/robots.txt", "/there", "/twin/2"].iter().any(|path| seen.url().ends_with(path));
        let names_the_seed = metadata.payload.contains(&format!("via: {}\r\n", site.url("/")));
        assert_eq!(names_the_seed, is_linked && seen.url() != site.url("/"), "{metadata:?}");
    }
    let hops = |path: &str| {
        let metadata = records.iter().find(|seen| seen.kind == "metadata" && seen.url().ends_with(path)).unwrap();
        metadata.payload.lines().find_map(|line| line.strip_prefix("hopsFromSeed: ")).unwrap_or_default().to_owned()
    };
    assert_eq!([hops("/robots.txt"), hops("/gone"), hops("/there")], ["P", "L", "LR"].map(str::to_owned));
    let made: Vec<_> = files(dir.path()).iter().map(|file| file.extension().unwrap().to_owned()).collect();
    assert_eq!(made, ["cdxj", "gz"], "an index beside one file");
}

#[test]
fn what_was_archived_is_crawled_again_without_any_network() {
    let (site, dir) = (site(), tempfile::tempdir().unwrap());
    let rule = format!("site.test:{}", site.address);
    let (archived, first) =
        items(crawler("http://site.test/").allow_private().resolve(rule).archive(Warc::to(dir.path())));
    let asked = site.heads().len();
    let file =
        files(dir.path()).into_iter().find(|file| file.extension().is_some_and(|ending| ending == "gz")).unwrap();
    for (path, has_index) in [(dir.path(), true), (&file, false)] {
        if !has_index {
            fs::remove_file(file.with_extension("").with_extension("cdxj")).unwrap();
        }
        let (replayed, again) = items(crawler("http://site.test/").replay(path));
        assert_eq!(again, first, "{replayed}");
        assert_eq!(
            replayed.stats.ledger.failed, archived.stats.ledger.failed,
            "what was broken off is again: {replayed}"
        );
    }
    assert_eq!(site.heads().len(), asked);
}

#[test]
fn an_archive_below_a_cache_has_what_was_on_the_wire_and_nothing_else() {
    let site = serve(|path, head| match (path, header(head, "if-none-match")) {
        ("/fresh", _) => answer("Cache-Control: max-age=600\r\n", b"fresh"),
        (_, Some(_)) => b"HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\nConnection: close\r\n\r\n".to_vec(),
        _ => answer("ETag: \"1\"\r\n", b"stale"),
    });
    let (cache, first, second) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for dir in [&first, &second] {
        let urls = ["/fresh", "/stale"].map(|path| site.url(path));
        let bodies = Collect::new();
        let crawler = crawl(&urls.each_ref().map(String::as_str)).cache(cache.path()).archive(Warc::to(dir.path()));
        crawler.pipeline(bodies.clone()).run_blocking().unwrap();
        assert_eq!(bodies.take().into_iter().collect::<BTreeSet<_>>(), ["fresh", "stale"].map(str::to_owned).into());
    }
    assert_eq!(
        (&*response(&judge(first.path()), "/fresh").payload, response(&judge(first.path()), "/stale").payload.len()),
        ("fresh", 5)
    );
    let records = judge(second.path());
    assert!(records.iter().all(|seen| !seen.url().ends_with("/fresh")), "{records:?}");
    assert!(response(&records, "/stale").head.starts_with("HTTP/1.1 304 Not Modified\r\n"), "{records:?}");
}

#[test]
fn what_identifies_the_user_is_left_out_of_an_archive_unless_it_is_asked_for() {
    let site = serve(|_, _| answer("Set-Cookie: sid=theirs\r\n", b"page"));
    for keeps in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let warc = if keeps { Warc::to(dir.path()).keep_credentials() } else { Warc::to(dir.path()) };
        let seed = site.url("/?author:=me").replacen("http://", "http://me:hidden-1@", 1);
        let request = Request::parse(&seed).unwrap().header("X-Api-Key", "hidden-2").header("x-mine", "hidden-3");
        let request = request.header("cookie", "sid=hidden-4").header("x-other", "shown");
        let report = crawl(&[]).request(request).secret_header("X-Mine").archive(warc).run_blocking().unwrap();
        assert_eq!(report.pages(), 1, "{report}");
        let sent = site.heads().pop().unwrap();
        let text: String = judge(dir.path()).iter().map(|seen| format!("{seen:?}")).collect();
        for n in 2..=4 {
            assert!(sent.contains(&format!("hidden-{n}")), "{sent}");
            assert_eq!(text.contains(&format!("hidden-{n}")), keeps, "{text}");
        }
        let basic = header(&sent, "authorization").unwrap();
        assert_eq!(text.contains(basic), keeps, "{text}");
        assert!(!text.contains("hidden-1") && text.contains("x-other: shown"), "no URL has a password: {text}");
        assert!(text.contains("GET /?author:=me HTTP/1.1") && text.contains("Set-Cookie: sid=theirs"), "{text}");
        assert_eq!(text.contains("x-api-key: [left out]"), !keeps, "{text}");
    }
}

#[test]
fn a_client_archives_too_and_its_file_is_closed_with_it() {
    let site = serve(|path, head| match head.split(' ').next() {
        Some("HEAD") => b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\n".to_vec(),
        _ => answer("", path.as_bytes()),
    });
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = ThrottledClient::builder("warctest/1.0 (+https://example.org/bot)");
        let client = client.conducts(&actix_crawler::Conducts::new()).rate(Rate::UNLIMITED).allow_private();
        let client = client.archive(Warc::to(dir.path())).build().unwrap();
        client.get(site.url("/got")).send().await.unwrap();
        client.head(site.url("/head")).send().await.unwrap();
        client.post(site.url("/posted")).body("form").send().await.unwrap();
    });
    let begin = std::time::Instant::now();
    // Its threads end by themselves.
    while !files(dir.path()).iter().any(|file| file.extension().is_some_and(|ending| ending == "gz")) {
        assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", files(dir.path()));
        thread::sleep(Duration::from_millis(10));
    }
    let records = judge(dir.path());
    assert_eq!((&*response(&records, "/got").payload, &*response(&records, "/head").payload), ("/got", ""));
    let posted = records.iter().find(|seen| seen.kind == "request" && seen.url().ends_with("/posted")).unwrap();
    assert_eq!(posted.payload, "form");
    let index = fs::read_to_string(&files(dir.path())[0]).unwrap();
    let methods: Vec<_> =
        index.lines().map(|line| line.rsplit("\"method\": ").next().unwrap().trim_matches(['"', '}'])).collect();
    assert!(methods.contains(&"HEAD") && methods.contains(&"POST") && !index.contains("\"GET\""), "{index}");
}

const CRAWLER: &str = env!("CARGO_BIN_EXE_actix-crawler");

fn run(arguments: &[&str]) -> Output {
    Command::new(CRAWLER).args(arguments).output().unwrap()
}

/// A binary tree of pages, of 4 KB each.
fn tree(pages: usize) -> Server {
    serve(move |path, _| {
        let Some(page) = path[1..].parse::<usize>().ok().filter(|page| *page < pages) else {
            return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec();
        };
        let links: String = [2 * page + 1, 2 * page + 2].map(|to| format!("<a href=/{to}>{to}</a>")).concat();
        let noise: String = (0..4_000).map(|_| fastrand::alphanumeric()).collect();
        html(&format!("{links}<p>{noise}"))
    })
}

/// The URLs that were written as items.
fn items_in(path: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    // Another process may have been killed in the last line.
    let url = |line: &str| Some(serde_json::from_str::<serde_json::Value>(line).ok()?["url"].as_str()?.to_owned());
    text.lines().filter_map(url).collect()
}

fn archived_in(dir: &Path) -> BTreeSet<String> {
    judge(dir).iter().filter(|seen| seen.kind == "response").map(|seen| seen.url().to_owned()).collect()
}

#[test]
fn a_crawl_that_is_killed_again_and_again_has_each_page_that_it_settled_in_its_archive() {
    const PAGES: usize = 60;
    let (site, folder) = (tree(PAGES), tempfile::tempdir().unwrap());
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (state, archive, output) = (path("state"), path("archive"), path("pages.jsonl"));
    let seed = site.url("/0");
    let arguments =
        ["crawl", &seed, "--allow-private", "--robots", "ignore", "--rate", "unlimited", "--per-domain", "4"];
    let arguments =
        [&arguments[..], &["--delay", "15ms", "--state", &state, "--warc", &archive, "-o", &output]].concat();
    let spawn = || Command::new(CRAWLER).args(&arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let (kills, output_of_last) = run_and_kill(8, 40..400, spawn);
    let said = String::from_utf8_lossy(&output_of_last.stderr);
    assert!(matches!(output_of_last.status.code(), Some(0 | 3)), "{said}");
    println!("{kills} kills");
    let (archive, archived, items) =
        (Path::new(&archive), archived_in(Path::new(&archive)), items_in(Path::new(&output)));
    assert_eq!(items.len(), PAGES);
    assert!(items.is_subset(&archived), "missing: {:?}", items.difference(&archived));
    for file in files(archive) {
        let name = file.to_string_lossy().into_owned();
        assert!(!name.ends_with(".open") && !name.ends_with(".damaged"), "{name}");
        let index = file.with_extension("").with_extension("cdxj");
        assert!(!name.ends_with(".gz") || index.exists(), "{name}");
    }
}

#[test]
fn an_archive_that_cannot_be_written_stops_the_crawl_over_a_robots_file_too() {
    let (site, folder) = (tree(9), tempfile::tempdir().unwrap());
    let arguments = format!("crawl {} --allow-private --rate 500/s --warc archive", site.url("/0"));
    let line = format!("trap '' XFSZ; ulimit -f 0; exec {CRAWLER} {arguments}");
    let output = Command::new("sh").args(["-c", &line]).current_dir(folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{said}");
    assert!(said.contains("error: the archive archive cannot be written any more: File too large"), "{said}");
    assert_eq!(site.heads().len(), 1, "no page may be fetched: {:?}", site.heads());
}

#[test]
fn a_full_disk_under_an_archive_stops_the_crawl_and_nothing_is_lost() {
    const PAGES: usize = 90;
    let (site, folder) = (tree(PAGES), tempfile::tempdir().unwrap());
    let path = |name: &str| folder.path().join(name);
    for dir in ["archive", "kept"] {
        fs::create_dir(path(dir)).unwrap();
    }
    let crawl = format!(
        "{CRAWLER} crawl {} --allow-private --rate 500/s --warc archive --state state -o pages.jsonl --progress never",
        site.url("/0")
    );
    let script = format!(
        "mount -t tmpfs -o size=160k none archive || exit 99
         {crawl}
         echo $? > first; cp pages.jsonl first.jsonl; mount -o remount,size=64m archive
         {crawl} > second.txt 2>&1
         echo $? > second; cp archive/* kept/"
    );
    // Without root, a user namespace gives the right to mount.
    let alone = "[ $(id -u) = 0 ] || map=-r; exec unshare $map -m sh -c \"$1\"";
    let output = Command::new("sh").args(["-c", alone, "sh", &script]).current_dir(folder.path()).output().unwrap();
    let said = [&*output.stdout, &*output.stderr].map(String::from_utf8_lossy).concat();
    let denied = output.status.code() == Some(99) || said.starts_with("unshare:");
    assert!(!denied, "this test mounts a small disk: run it as root, or where user namespaces are allowed: {said}");
    let code = |name: &str| fs::read_to_string(path(name)).unwrap_or_default();
    assert_eq!(code("first"), "1\n", "{said}");
    assert!(said.contains("cannot be written any more: No space left on device") && said.contains("adds up"), "{said}");
    assert!((1..PAGES).contains(&items_in(&path("first.jsonl")).len()), "{said}");
    assert!(["0\n", "3\n"].contains(&&*code("second")), "{}", code("second.txt"));
    let (items, archived) = (items_in(&path("pages.jsonl")), archived_in(&path("kept")));
    assert_eq!(items.len(), PAGES);
    assert!(items.is_subset(&archived), "missing: {:?}", items.difference(&archived));
}

#[test]
fn the_command_line_lists_extracts_verifies_and_indexes_archives() {
    let (site, dir) = (site(), tempfile::tempdir().unwrap());
    let (archive, seed) = (dir.path().join("archive"), site.url("/"));
    let archive_name = archive.to_str().unwrap();
    let output =
        run(&["crawl", &seed, "--allow-private", "--rate", "unlimited", "--retries", "0", "--warc", archive_name]);
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    let (index, file) = (files(&archive)[0].clone(), files(&archive)[1].clone());
    let file_name = file.to_str().unwrap();
    let text = |output: &Output| String::from_utf8(output.stdout.clone()).unwrap();

    let listed = run(&["warc", "list", file_name]);
    let lines: Vec<serde_json::Value> = text(&listed).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), lines[0]["type"].as_str()), (judge(&archive).len(), Some("warcinfo")));
    let old = lines.iter().find(|line| line["type"] == "response" && line["url"] == site.url("/old")).unwrap();
    for what in [site.url("/old"), old["offset"].to_string()] {
        assert_eq!(text(&run(&["warc", "extract", file_name, &what])), "<p>until the end");
        assert!(text(&run(&["warc", "extract", "--whole", file_name, &what])).starts_with("HTTP/1.0 200 Fine\r\n"));
    }
    let twin = [1, 2].map(|n| text(&run(&["warc", "extract", file_name, &site.url(&format!("/twin/{n}"))])));
    assert_eq!(twin, [TWIN, TWIN], "one of them is stored once");
    assert_eq!(run(&["warc", "extract", file_name, "http://e.org/none"]).status.code(), Some(3));

    let verified = run(&["warc", "verify", file_name]);
    assert_eq!((verified.status.code(), text(&verified)), (Some(0), String::new()));
    let made = fs::read(&index).unwrap();
    fs::remove_file(&index).unwrap();
    assert_eq!(text(&run(&["warc", "index", file_name])).trim_end(), index.to_str().unwrap());
    assert_eq!(fs::read(&index).unwrap(), made, "as the crawl has made it");

    let whole = fs::read(&file).unwrap();
    let mut damaged = whole.clone();
    let at = usize::try_from(old["offset"].as_u64().unwrap()).unwrap();
    damaged[at + 40] ^= 1;
    fs::write(&file, &damaged).unwrap();
    for command in ["verify", "list", "index"] {
        let output = run(&["warc", command, file_name]);
        let said = [&*output.stdout, &*output.stderr].map(String::from_utf8_lossy).concat();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("{file_name}, offset {at}: ")), "{said}");
    }
    fs::write(&file, &whole[..whole.len() - 3]).unwrap();
    let output = run(&["warc", "verify", file_name]);
    assert!(text(&output).contains("the file ends within a record"), "{output:?}");
}
