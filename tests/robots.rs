//! Robots files as servers see them: which are requested, in which order, and with what gaps.

mod crawls;
mod recorder;

use std::time::Duration;

use actix_crawler::{Conducts, Politeness, prelude::*};
use crawls::{Links, MS, block_on, end_of, links, read_log, run, run_logged, until};
use recorder::{Answer, Recorder};

/// A crawl that obeys robots files, as `TestBot`.
fn crawler() -> Crawler<Links> {
    let crawler = Crawler::new(links as Links, "testbot/1.0 (+https://example.org/bot)");
    crawler.conducts(&Conducts::new()).allow_private().threads(1)
}

#[test]
fn the_robots_file_comes_first_and_once_and_what_it_disallows_is_never_asked_for() {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/robots.txt" => Answer::ok("User-agent: TestBot\nDisallow: /no\nAllow: /no/but\n\nUser-agent: *\nDisallow: /"),
        _ => Answer::page(["/a", "/no/1", "/no/but", "/no?2", "/robots.txt"]),
    });
    let report = run(crawler().seed(site.url("/")).rate(Rate::UNLIMITED).per_domain(8));
    let mut paths = site.paths();
    assert_eq!(paths.first().unwrap(), "/robots.txt");
    paths.sort();
    assert_eq!(
        paths,
        ["/", "/a", "/no/but", "/robots.txt", "/robots.txt"],
        "the second time as a page that was linked"
    );
    assert_eq!(report.stats.get("drop/robots/disallowed"), 2);
}

/// Regression: the log showed that pages waited for a robots file, but not why.
#[test]
fn the_crawl_log_tells_what_came_of_each_robots_file() {
    let there = Recorder::start(|asked| match asked.path.as_str() {
        "/robots.txt" => Answer::ok("user-agent: *\ndisallow: /no"),
        _ => Answer::ok(""),
    });
    let robots = there.url("/robots.txt");
    let led = Recorder::start(move |asked| match asked.path.as_str() {
        "/robots.txt" => Answer::redirect(&robots),
        _ => Answer::ok(""),
    });
    let none = Recorder::start(|asked| if asked.path == "/robots.txt" { Answer::status(404) } else { Answer::ok("") });
    let seeds = [there.url("/a"), there.url("/no"), led.url("/a"), none.url("/a")];
    let (report, log) = run_logged(crawler().seeds(seeds).rate(Rate::UNLIMITED));
    let (robots, pages): (Vec<_>, Vec<_>) = log.iter().partition(|line| line.outcome.starts_with("robots/"));
    let told = |site: &Recorder| {
        let of_site = robots.iter().filter(|line| line.url == site.url("/robots.txt"));
        of_site.map(|line| (line.outcome.as_str(), line.status, line.detail.as_str())).collect::<Vec<_>>()
    };
    assert_eq!(told(&led), [("robots/redirect", Some(302), there.url("/robots.txt").as_str())]);
    assert_eq!(told(&none), [("robots/status", Some(404), "")]);
    let of_there = told(&there);
    assert!((1..=2).contains(&of_there.len()) && of_there.iter().all(|line| *line == ("robots/ok", Some(200), "")));
    assert!(robots.iter().all(|line| !line.is_final && line.domain == "127.0.0.1"), "{robots:?}");
    let ends = pages.iter().filter(|line| line.is_final).count() as u64;
    assert_eq!((ends, report.stats.ledger.discovered), (4, 4), "what is final is the ledger");
}

/// Each failed request for a robots file is logged with its reason.
#[test]
fn the_crawl_log_tells_why_a_robots_file_could_not_be_had() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.jsonl");
    block_on(async {
        let handle = crawler().seed(format!("http://{closed}/")).log(&path).start().unwrap();
        until("it is logged", async || std::fs::read_to_string(&path).is_ok_and(|log| log.ends_with('\n'))).await;
        handle.abort().await;
        end_of(&handle).await;
    });
    let first = &read_log(&path)[0];
    assert_eq!((first.outcome.as_str(), first.is_final), ("robots/connect", false));
    assert_eq!(first.url, format!("http://{closed}/robots.txt"));
    assert!(first.detail.contains("refused"), "{first:?}");
}

#[test]
fn two_origins_that_are_led_to_one_robots_file_obey_it_and_ask_once() {
    let shared = Recorder::start(|asked| match asked.path.as_str() {
        "/shared" => Answer::ok("user-agent: *\ndisallow: /x"),
        _ => Answer::ok(""),
    });
    let robots = shared.url("/shared");
    let sites = [(); 2].map(|()| {
        let robots = robots.clone();
        Recorder::start(move |asked| match asked.path.as_str() {
            "/robots.txt" => Answer::redirect(&robots),
            _ => Answer::ok(""),
        })
    });
    let seeds = sites.iter().flat_map(|site| [site.url("/x"), site.url("/y")]);
    run(crawler().seeds(seeds).rate(Rate::UNLIMITED).per_domain(8));
    for site in &sites {
        assert_eq!(site.paths(), ["/robots.txt", "/y"]);
    }
    assert!((1..=2).contains(&shared.count()), "twice only if the second came after the first was answered");
}

/// Regression: a domain with nothing queued is forgotten once its throttle is fresh, but its robots file is valid for a
/// day. Later pages went out at the crawl's own pace.
#[test]
fn a_crawl_delay_holds_also_after_the_domain_was_forgotten() {
    const DELAY: Duration = Duration::from_millis(400);
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/robots.txt" => Answer::ok("user-agent: *\ncrawl-delay: 0.4"),
        _ => Answer::ok(""),
    });
    block_on(async {
        let handle = crawler().spacing(10 * MS).stay_open().start().unwrap();
        handle.seed(&site.url("/1")).await.unwrap();
        until("the page is fetched", async || site.count() == 2).await;
        // A forgotten domain is no longer counted.
        until("the domain is forgotten", async || handle.progress().await.unwrap().domains_active == 0).await;
        for path in ["/2", "/3", "/4"] {
            handle.seed(&site.url(path)).await.unwrap();
        }
        handle.close().await;
        end_of(&handle).await;
    });
    assert_eq!(site.paths(), ["/robots.txt", "/1", "/2", "/3", "/4"]);
    assert!(site.arrivals().smallest_gap() >= DELAY, "{:?}", site.arrivals().smallest_gap());
}

/// Regression: `a` asks for a delay and `b` has no file; after a quiet moment `b` was requested at the crawl's own
/// pace.
#[test]
fn a_crawl_delay_of_one_origin_holds_for_its_whole_domain_also_after_a_quiet_moment() {
    const DELAY: Duration = Duration::from_millis(700);
    let site = Recorder::start(|asked| match (asked.host.as_str(), asked.path.as_str()) {
        ("a.x.test", "/robots.txt") => Answer::ok("user-agent: *\ncrawl-delay: 0.7"),
        (_, "/robots.txt") => Answer::status(404),
        // Longer than the delay, so that the domain's throttle is fresh when the response has come.
        _ => Answer::ok("").after(900 * MS),
    });
    block_on(async {
        let handle = crawler().resolve(site.rule()).spacing(10 * MS).stay_open().start().unwrap();
        handle.seed("http://a.x.test/1").await.unwrap();
        until("the page is fetched", async || site.count() == 2).await;
        until("the domain is forgotten", async || handle.progress().await.unwrap().domains_active == 0).await;
        for path in ["1", "2", "3"] {
            handle.seed(&format!("http://b.x.test/{path}")).await.unwrap();
        }
        handle.close().await;
        end_of(&handle).await;
    });
    assert_eq!(site.count(), 6);
    assert!(site.arrivals().smallest_gap() >= DELAY, "{:?}", site.arrivals().smallest_gap());
}

#[test]
fn a_crawl_delay_above_the_cap_is_held_to_it_and_reported_by_its_domain() {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/robots.txt" => Answer::ok("user-agent: *\ncrawl-delay: 100"),
        _ => Answer::ok(""),
    });
    let politeness = Politeness { max_crawl_delay: 200 * MS, ..Politeness::default() };
    let report = run(crawler().politeness(politeness).rate(Rate::UNLIMITED).seed(site.url("/")));
    assert_eq!(report.stats.get("robots/crawl_delay_above_cap"), 1);
    let said = report.stats.domains.values().find_map(|domain| domain.robots.clone());
    assert_eq!(said.as_deref(), Some("rules, 1m 40s between starts, held to 200ms"));
    assert!(report.to_string().contains("held to 200ms"), "{report}");
    assert!(site.arrivals().smallest_gap() >= 200 * MS, "{:?}", site.arrivals().smallest_gap());
}

#[test]
fn a_robots_file_that_is_refused_cools_the_domain_for_as_long_as_it_says() {
    let site = Recorder::start(|asked| match asked.index {
        // Longer than the first wait for an unreachable robots file.
        0 => Answer::status(503).header("retry-after", 6),
        _ => Answer::ok(""),
    });
    let report = run(crawler().seed(site.url("/")).rate(Rate::UNLIMITED));
    assert_eq!(site.paths(), ["/robots.txt", "/robots.txt", "/"]);
    let asked = site.asked();
    let wait = asked[1].at - asked[0].at;
    assert!(wait >= Duration::from_secs(6), "{wait:?}");
    assert_eq!((report.pages(), report.stats.domains.values().map(|domain| domain.refusals).sum::<u64>()), (1, 1));
}

/// Regression: a robots file that was refused with a wait, by another status than 429 and 503, counted as missing:
/// after the wait everything was allowed.
#[test]
fn a_robots_file_is_asked_for_again_after_the_wait_that_any_refusal_asks_for_and_its_pages_wait() {
    let site = Recorder::start(|asked| match (asked.path.as_str(), asked.time) {
        ("/robots.txt", 1) => match asked.host.as_str() {
            "quota.test" => Answer::status(403).header("x-ratelimit-remaining", 0).header("x-ratelimit-reset", 1),
            host => Answer::status(host[1..4].parse().unwrap()).header("retry-after", 1),
        },
        ("/robots.txt", _) => Answer::ok("user-agent: *\ndisallow: /no"),
        _ => Answer::ok(""),
    });
    let hosts = ["s403.test", "s408.test", "s413.test", "s420.test", "s425.test", "s429.test", "quota.test"];
    let seeds = hosts.iter().flat_map(|host| [format!("http://{host}/no"), format!("http://{host}/yes")]);
    let report = run(crawler().resolve(site.rule()).seeds(seeds).rate(Rate::UNLIMITED));
    assert_eq!((report.pages(), report.stats.get("drop/robots/disallowed")), (7, 7), "{report}");
    for (host, asked) in site.by_host() {
        let paths: Vec<_> = asked.iter().map(|asked| asked.path.as_str()).collect();
        assert_eq!(paths, ["/robots.txt", "/robots.txt", "/yes"], "{host}");
        let wait = asked[1].at - asked[0].at;
        assert!(wait >= Duration::from_secs(1), "{host}: {wait:?}");
    }
}

/// Regression: the permit of a robots file ended with its last byte. While a large file was being parsed, another
/// origin of its domain was asked at the crawl's own pace.
#[test]
fn nothing_is_asked_of_a_domain_before_the_delay_of_its_large_robots_file_is_known() {
    const DELAY: Duration = Duration::from_millis(500);
    let lines = (0..17_000).map(|n| format!("Disallow: /{n}*x*y{n}$\n")).collect::<String>();
    let file = format!("User-agent: *\nCrawl-delay: 0.5\n{lines}");
    let site = Recorder::start(move |asked| match (asked.host.as_str(), asked.path.as_str()) {
        ("a.x.test", "/robots.txt") => Answer::ok(file.clone()),
        (_, "/robots.txt") => Answer::status(404),
        _ => Answer::ok(""),
    });
    run(crawler().resolve(site.rule()).spacing(10 * MS).seeds(["http://a.x.test/", "http://b.x.test/"]));
    assert_eq!((site.count(), site.asked()[0].host.as_str()), (4, "a.x.test"));
    assert!(site.arrivals().smallest_gap() >= DELAY, "{:?}", site.arrivals().smallest_gap());
}

#[test]
fn of_a_robots_file_that_does_not_end_what_counts_is_obeyed() {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/robots.txt" => Answer::ok(format!("User-agent: *\nDisallow: /no\n{}", "# and so on\n".repeat(1 << 20))),
        _ => Answer::page(["/no", "/yes"]),
    });
    let report = run(crawler().seed(site.url("/")).rate(Rate::UNLIMITED));
    assert_eq!(site.paths(), ["/robots.txt", "/", "/yes"]);
    assert_eq!(report.stats.get("drop/robots/disallowed"), 1);
}

/// Regression: files that together exceeded the cache were each evicted before their page's turn and requested again,
/// without end, and no page came.
#[test]
fn every_page_comes_also_where_the_robots_files_outgrow_the_memory_for_them() {
    const DOMAINS: usize = 800;
    // 45 KB that pack to about 30 KB: more than 24 MiB in total.
    let file = |host: &str| {
        let mut state = host.bytes().fold(7_u64, |sum, byte| sum * 31 + u64::from(byte));
        let mut word = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            format!("{:x}", state >> 8)
        };
        let lines = (0..1_000).map(|_| format!("Disallow: /{}{}{}\n", word(), word(), word()));
        format!("User-agent: *\nDisallow: /no\n{}", lines.collect::<String>())
    };
    let site = Recorder::start(move |asked| match asked.path.as_str() {
        "/robots.txt" => Answer::ok(file(&asked.host)),
        _ => Answer::ok(""),
    });
    let seeds = (0..DOMAINS).flat_map(|n| ["yes", "no"].map(|path| format!("http://d{n}.test/{path}")));
    let report = run(crawler().resolve(site.rule()).spacing(100 * MS).seeds(seeds));
    assert_eq!((report.pages(), report.stats.get("drop/robots/disallowed")), (DOMAINS as u64, DOMAINS as u64));
    let asked = site.paths().iter().filter(|path| *path == "/robots.txt").count();
    // The second page of a domain may come when its file was evicted.
    assert!((DOMAINS..DOMAINS + DOMAINS / 4).contains(&asked), "{asked} requests for {DOMAINS} robots files");
    assert!(site.paths().iter().all(|path| path != "/no"));
}

/// Regression: the pages that waited for it stayed on lease, and the crawl never ended.
#[test]
fn a_crawl_that_has_had_its_pages_ends_although_a_robots_file_leads_on() {
    let site = Recorder::start(|asked| match (asked.host.as_str(), asked.path.as_str()) {
        ("b.test", "/robots.txt") => Answer::redirect("http://c.test/1"),
        ("c.test", path) => Answer::redirect(format!("{path}1")),
        ("a.test", "/robots.txt") => Answer::status(404),
        _ => Answer::ok(""),
    });
    let crawler = crawler().resolve(site.rule()).spacing(300 * MS).max_pages(1);
    let report = run(crawler.seeds(["http://a.test/", "http://b.test/"]));
    assert_eq!((report.pages(), report.stats.get("drop/budget/pages")), (1, 1), "{report}");
}
