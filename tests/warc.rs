//! Archives of crawls in the WARC format: what is in them, judged by Python's standard library against what the servers
//! sent; that nothing is missing after kills and full disks; and crawls from archives.
#![cfg(all(feature = "warc", feature = "cli"))]
#![allow(clippy::disallowed_methods, reason = "tests read clocks")]

#[path = "warc/command.rs"]
mod command;
mod kills;
mod network;
#[path = "warc/site.rs"]
mod site;

use std::{collections::BTreeSet, fs, thread, time::Duration};

use actix_crawler::{ThrottledClient, prelude::*, report::Ended, warc::Warc};
use network::{crawl, header, settings};
use site::{TWIN, answer, crawler, files, gzip, items, judge, response, serve, site};

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
    // What was not modified is in the archive of the run before.
    for file in files(second.path()) {
        fs::copy(&file, first.path().join(file.file_name().unwrap())).unwrap();
    }
    let bodies = Collect::new();
    let urls = ["/fresh", "/stale"].map(|path| site.url(path));
    let replay = crawl(&urls.each_ref().map(String::as_str)).replay(first.path()).pipeline(bodies.clone());
    let report = replay.run_blocking().unwrap();
    assert_eq!(
        bodies.take().into_iter().collect::<BTreeSet<_>>(),
        ["fresh", "stale"].map(str::to_owned).into(),
        "{report}"
    );
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
