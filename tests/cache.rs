//! Responses on disk: what a second crawl requests, as counted by the server; and a crawl without a server.
#![cfg(feature = "cache")]
#![allow(clippy::disallowed_methods, reason = "tests read clocks")]

mod network;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use actix_crawler::{
    Conducts, Retry, Settings,
    prelude::*,
    transport::{Purpose, ResponseStoreSettings, TransportSettings},
};
use network::{Crawled, Server, crawl, header, page, redirect, settings, text_of};

/// A crawl as [`crawl`] makes, with settings of its own.
fn crawl_with(settings: Settings) -> Crawler<impl Spider<Item = String>> {
    Crawler::new(text_of, "networktest/1.0 (+https://example.org/bot)")
        .conducts(&Conducts::new())
        .settings(settings)
        .ignore_robots()
        .rate(Rate::UNLIMITED)
        .allow_private()
}

fn with(answer: &str, headers: &str) -> String {
    answer.replacen("\r\n", &format!("\r\n{headers}\r\n"), 1)
}

/// Returns the request lines since the last call.
struct Seen(usize);

impl Seen {
    fn since(&mut self, server: &Server) -> Vec<(String, Option<String>)> {
        let heads = server.heads();
        let new = heads[self.0..].iter().map(|head| {
            let condition = header(head, "if-none-match").or_else(|| header(head, "if-modified-since"));
            (head.split(' ').nth(1).unwrap().to_owned(), condition.map(str::to_owned))
        });
        let mut new: Vec<_> = new.collect();
        new.sort();
        self.0 = heads.len();
        new
    }
}

#[test]
fn a_recrawl_asks_for_nothing_that_is_fresh_and_only_whether_the_rest_changed() {
    let version = Arc::new(AtomicU32::new(1));
    let current = version.clone();
    let server = Server::http(move |head| {
        let tag = format!("\"v{}\"", current.load(Relaxed));
        let modified = "Tue, 14 Nov 2000 00:00:00 GMT";
        let not_modified = |headers: &str| with("HTTP/1.1 304 Not Modified\r\n\r\n", headers);
        match head.split(' ').nth(1) {
            Some("/fresh") => with(&page("fresh"), "Cache-Control: max-age=600"),
            Some("/tagged") if header(head, "if-none-match") == Some(&tag) => not_modified(&format!("ETag: {tag}")),
            Some("/tagged") => with(&page(&format!("tagged {tag}")), &format!("ETag: {tag}")),
            // Like some servers, it repeats no validator when nothing changed.
            Some("/dated") if header(head, "if-modified-since") == Some(modified) => not_modified("X: y"),
            Some("/dated") => with(&page("dated"), &format!("Last-Modified: {modified}")),
            _ => with(&page("secret"), "Cache-Control: no-store"),
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let urls = ["/fresh", "/tagged", "/dated", "/secret"].map(|path| server.url(path));
    let again = || {
        let mut crawled = Crawled::of(crawl(&urls.each_ref().map(String::as_str)).cache(folder.path()));
        crawled.bodies.sort();
        assert_eq!(crawled.report.pages(), 4, "{:?}", crawled.ends);
        crawled.bodies
    };
    let asked = |path: &str, condition: Option<&str>| (path.to_owned(), condition.map(str::to_owned));
    let mut seen = Seen(0);

    assert_eq!(again(), ["dated", "fresh", "secret", "tagged \"v1\""]);
    assert_eq!(seen.since(&server).len(), 4);
    for _ in 0..2 {
        assert_eq!(again(), ["dated", "fresh", "secret", "tagged \"v1\""]);
        assert_eq!(
            seen.since(&server),
            [
                asked("/dated", Some("Tue, 14 Nov 2000 00:00:00 GMT")),
                asked("/secret", None),
                asked("/tagged", Some("\"v1\"")),
            ]
        );
    }
    version.store(2, Relaxed);
    assert_eq!(again(), ["dated", "fresh", "secret", "tagged \"v2\""]);
    seen.since(&server);
    again();
    assert!(seen.since(&server).contains(&asked("/tagged", Some("\"v2\""))));
}

#[test]
fn the_answers_to_one_who_is_known_are_not_those_to_another() {
    let server = Server::http(|head| {
        let names = ["authorization", "x-api-key", "x-customer"];
        let who = names.iter().find_map(|name| header(head, name)).unwrap_or("nobody");
        with(&page(who), "Cache-Control: max-age=600")
    });
    for name in ["Authorization", "X-Api-Key", "X-Customer"] {
        let (folder, before) = (tempfile::tempdir().unwrap(), server.heads().len());
        for who in ["Bearer a", "Bearer b", "Bearer a"] {
            let request = Request::parse(&server.url("/")).unwrap().header(name, who);
            let crawler = crawl(&[]).secret_header("X-Customer").request(request);
            assert_eq!(Crawled::of(crawler.cache(folder.path())).bodies, [who], "{name}");
        }
        assert_eq!(server.heads().len() - before, 2, "{name}");
    }
}

/// Regression: through a proxy its cookies were no part of who asks.
#[cfg(feature = "cookies")]
#[test]
fn the_answers_to_a_visitor_are_not_those_to_one_whose_cookies_differ() {
    use actix_crawler::ThrottledClient;

    let answer = |head: &str| {
        let who = header(head, "cookie").unwrap_or("nobody");
        let caching = "Vary: Cookie\r\nCache-Control: max-age=600";
        match head.split(' ').nth(1) {
            Some(path) if path.ends_with("/login") => with(&page("in"), "Set-Cookie: sid=1"),
            _ => with(&page(who), caching),
        }
    };
    for proxies in 0..=2 {
        let servers: Vec<_> = (0..proxies.max(1)).map(|_| Server::http(answer)).collect();
        let folder = tempfile::tempdir().unwrap();
        let cache = ResponseStoreSettings::new(folder.path(), Purpose::Cache);
        let mut transport = TransportSettings { response_store: Some(cache), ..TransportSettings::default() };
        transport.guard.allow_private = true;
        let mut builder = ThrottledClient::builder("networktest/1.0 (+https://example.org/bot)")
            .conducts(&Conducts::new())
            .rate(Rate::UNLIMITED)
            .transport(transport)
            .cookies();
        let site = if proxies == 0 { servers[0].url("") } else { "http://site.test".to_owned() };
        for server in servers.iter().take(proxies) {
            builder = builder.proxy(server.url(""));
        }
        let client = builder.build().unwrap();
        let said = async |path: &str| client.get(format!("{site}{path}")).send().await.unwrap().body_text();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            assert_eq!([said("/account").await, said("/account").await], ["nobody", "nobody"]);
            assert_eq!(servers.iter().map(|server| server.heads().len()).sum::<usize>(), 1, "it was cached");
            said("/login").await;
            let mut after = [said("/account").await, said("/account").await, said("/account").await];
            after.sort();
            // Of two proxies that take turns, one has not logged in.
            let known = after.iter().filter(|who| *who == "sid=1").count();
            assert_eq!(known, if proxies == 2 { 1 } else { 3 }, "{proxies}: {after:?}");
        });
    }
}

/// Regression: for an hour the old one came. RFC 9111 §4.4.
#[test]
fn what_a_request_has_changed_is_asked_for_again() {
    use actix_crawler::ThrottledClient;

    let version = AtomicU32::new(1);
    let server = Server::http(move |head| {
        let (method, path) = head.split_once(' ').unwrap();
        match (method, path.split(' ').next()) {
            ("GET", _) => with(&page(&version.load(Relaxed).to_string()), "Cache-Control: max-age=3600"),
            (_, Some("/refused")) => "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n".to_owned(),
            (_, Some("/cart/add")) => {
                version.fetch_add(1, Relaxed);
                redirect("/cart")
            }
            (_, Some("/made")) => {
                version.fetch_add(1, Relaxed);
                "HTTP/1.1 201 Created\r\nContent-Location: /cart\r\nContent-Length: 0\r\n\r\n".to_owned()
            }
            _ => {
                version.fetch_add(1, Relaxed);
                "HTTP/1.1 204 No Content\r\n\r\n".to_owned()
            }
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let cache = ResponseStoreSettings::new(folder.path(), Purpose::Cache);
    let mut transport = TransportSettings { response_store: Some(cache), ..TransportSettings::default() };
    transport.guard.allow_private = true;
    let client = ThrottledClient::builder("networktest/1.0 (+https://example.org/bot)")
        .conducts(&Conducts::new())
        .rate(Rate::UNLIMITED)
        .transport(transport)
        .keep_redirects()
        .build()
        .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let now = async |path: &str| client.get(server.url(path)).send().await.unwrap().body_text();
    runtime.block_on(async {
        for (method, path, of, is_changed) in [
            ("PUT", "/items/7", "/items/7", true),
            ("PATCH", "/items/7", "/items/7", true),
            ("DELETE", "/items/7", "/items/7", true),
            ("POST", "/items/7", "/items/7", true),
            ("POST", "/items/7", "/items/8", false),
            ("POST", "/cart/add", "/cart", true),
            ("POST", "/made", "/cart", true),
            ("POST", "/refused", "/refused", false),
            ("OPTIONS", "/items/7", "/items/7", false),
        ] {
            let before = now(of).await;
            assert_eq!(now(of).await, before, "{method} {path}: it is cached");
            let request = client.request(method.parse().unwrap(), server.url(path)).header("X-Csrf-Token", "x");
            request.send().await.unwrap();
            assert_eq!(now(of).await != before, is_changed, "{method} {path}, then GET {of}");
        }
    });
}

/// Regression: each further attempt got the stored answer, so the domain rested for nothing, and the page failed.
#[test]
fn an_attempt_that_a_middleware_asks_for_is_made_at_the_server() {
    use actix_crawler::middleware::{Decision, after_response};

    let (first, folder) = (AtomicU32::new(0), tempfile::tempdir().unwrap());
    let server = Server::http(move |head| {
        let fresh = |answer: &str, tag: &str| with(answer, &format!("ETag: \"{tag}\"\r\nCache-Control: max-age=600"));
        match (first.fetch_add(1, Relaxed), header(head, "if-none-match")) {
            (0, _) => fresh(&page("are you a robot"), "robot"),
            (_, Some("\"robot\"")) => fresh(&page("welcome"), "page"),
            _ => fresh(&page("it was asked for without its validator"), "page"),
        }
    });
    let block = after_response("block", |received| match received.page() {
        Ok(page) if page.body_text().contains("robot") => Decision::retry(Duration::from_millis(1), "a soft block"),
        _ => Decision::Pass,
    });
    let settings = Settings { retry: Retry::attempts(3), ..settings() };
    let crawled = Crawled::of(crawl_with(settings).seed(server.url("/")).middleware(block).cache(folder.path()));
    assert_eq!(crawled.bodies, ["welcome"], "{:?}", crawled.ends);
    assert_eq!(server.heads().len(), 2);
    assert_eq!(Crawled::of(crawl(&[&server.url("/")]).cache(folder.path())).bodies, ["welcome"]);
    assert_eq!(server.heads().len(), 2, "the better answer is stored");
}

/// Regression: it failed as `status/304`, at the first attempt and for good. The cache may remove it for want of room.
#[test]
fn a_page_whose_cached_answer_is_evicted_while_it_is_asked_about_comes_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().to_owned();
    let server = Server::http(move |head| {
        let other = head.contains("/other");
        match header(head, "if-none-match") {
            Some(_) if other => with("HTTP/1.1 304 Not Modified\r\n\r\n", "ETag: \"another\""),
            Some(tag) => {
                for part in std::fs::read_dir(&cache).unwrap() {
                    std::fs::remove_dir_all(part.unwrap().path()).unwrap();
                }
                with("HTTP/1.1 304 Not Modified\r\n\r\n", &format!("ETag: {tag}"))
            }
            None => with(&page("the page"), "ETag: \"one\""),
        }
    });
    for path in ["/evicted", "/other"] {
        let url = server.url(path);
        let crawled = || {
            let settings = Settings { retry: Retry::attempts(2), ..settings() };
            Crawled::of(crawl_with(settings).seed(&url).cache(folder.path()))
        };
        assert_eq!(crawled().bodies, ["the page"]);
        let again = crawled();
        assert_eq!(again.bodies, ["the page"], "{path}: {:?}", again.ends);
        let first = &again.ends[0];
        assert_eq!((&*first.outcome, &*first.detail), ("retry", "cache: its cached response is gone"));
    }
}

/// Regression: none ever was, since a part of one is accepted, as of a robots file.
#[test]
fn a_sitemap_is_cached_as_a_page_is_unless_only_a_part_of_it_was_read() {
    let server = Server::http(|head| {
        let urls = if head.contains("/long.txt") { 100 } else { 1 };
        with(&page(&"http://elsewhere.test/page\n".repeat(urls)), "Cache-Control: max-age=600")
    });
    let folder = tempfile::tempdir().unwrap();
    for (path, times) in [("/short.txt", 1), ("/long.txt", 2)] {
        let before = server.heads().len();
        for _ in 0..2 {
            let mut settings = settings();
            settings.sitemaps.max_bytes = 1_000;
            Crawled::of(crawl_with(settings).sitemap(server.url(path)).cache(folder.path()));
        }
        assert_eq!(server.heads().len() - before, times, "{path}: {:?}", server.heads());
    }
}

fn links(page: &Response) -> Result<Parsed<String>> {
    Ok(Parsed::new().item(page.url().path().to_owned()).follow(page.links()))
}

#[test]
fn what_was_recorded_is_replayed_without_any_network_and_what_was_not_is_named() {
    let html = |body: &str| page(body).replace("text/plain", "text/html");
    let server = Server::http(move |head| match head.split(' ').nth(1) {
        Some("/robots.txt") => page("User-agent: *\nDisallow: /no"),
        Some("/") => html("<a href=/a>a</a> <a href=/moved>moved</a> <a href=/gone>gone</a> <a href=/no>no</a>"),
        Some("/moved") => redirect("/b"),
        Some("/gone") => html("gone").replace("200 OK", "404 Not Found"),
        _ => html("page"),
    });
    let folder = tempfile::tempdir().unwrap();
    // The site's port occurs only in a rule that the replay does not have, so nothing can be reached.
    let crawler = |seeds: &[&str]| {
        Crawler::new(links, "replaytest/1.0 (+https://example.org/bot)")
            .conducts(&Conducts::new())
            .settings(settings())
            .seeds(seeds)
            .rate(Rate::UNLIMITED)
    };
    let site = "http://site.test/";
    let rule = format!("site.test:{}", server.address);
    let recorded = Crawled::of(crawler(&[site]).allow_private().resolve(rule).record(folder.path()));
    let requests = server.heads().len();
    assert_eq!(requests, 6, "{:?}", server.heads());

    let replayed = Crawled::of(crawler(&[site, "http://site.test/new"]).replay(folder.path()));
    assert_eq!(server.heads().len(), requests, "nothing was asked");
    let sorted = |crawled: &Crawled| {
        let mut bodies = crawled.bodies.clone();
        bodies.sort();
        bodies
    };
    assert_eq!((sorted(&replayed), sorted(&recorded)), (sorted(&recorded), vec!["/".into(), "/a".into(), "/b".into()]));
    assert_eq!(replayed.report.stats.get("drop/robots/disallowed"), 1, "robots files are replayed too");
    let missing: Vec<_> = replayed.ends.iter().filter(|end| end.outcome == "not_recorded").collect();
    assert_eq!(missing.len(), 1, "{:?}", replayed.ends);
    assert!(missing[0].detail.contains("GET http://site.test/new is not in the recording"), "{}", missing[0].detail);
    assert!(replayed.report.ledger_adds_up, "{}", replayed.report);
}

#[test]
fn a_replay_of_a_folder_that_is_not_there_is_refused() {
    let error = crawl(&["http://site.test/"]).replay("/nonexistent/recording").start().err().unwrap();
    assert!(error.to_string().contains("/nonexistent/recording"), "{error}");
}

#[test]
fn a_crawl_that_is_replayed_does_not_wait_for_its_servers_turn() {
    let server = Server::http(|_| page("page"));
    let folder = tempfile::tempdir().unwrap();
    let urls: Vec<_> = (0..50).map(|n| server.url(&format!("/{n}"))).collect();
    let urls: Vec<_> = urls.iter().map(String::as_str).collect();
    Crawled::of(crawl(&urls).record(folder.path()));
    let began = std::time::Instant::now();
    let replayed = Crawled::of(crawl(&urls).rate(Rate::per_second(1)).per_domain(1).replay(folder.path()));
    assert_eq!(replayed.report.pages(), 50);
    println!("50 pages replayed in {:?}", began.elapsed());
    assert!(began.elapsed().as_secs() < 25, "{:?}", began.elapsed());
}
