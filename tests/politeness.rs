//! Politeness, judged by the kernel's arrival times at a server, never by the crawler's own counters.
#![allow(clippy::disallowed_methods, reason = "tests read clocks")]

mod crawls;
mod recorder;

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use actix_crawler::{Politeness, Retry, RobotsPolicy, Settings, politeness::DomainKey, prelude::*, settings::Override};
use crawls::{CONTACT, Links, MS, block_on, crawl, crawl_with, end_of, links, run, until};
use recorder::{Answer, Arrivals, Asked, Recorder};

/// Promise 2, with all kinds of requests: each of 30 domains has a robots file, redirects, pages that fail at first,
/// and lost connections. Promise 1: nothing arrived that no permit was counted for.
#[test]
fn no_gap_is_short_over_many_domains_with_redirects_robots_and_retries() {
    const SPACING: Duration = Duration::from_millis(100);
    let site = Recorder::start(|asked| match (asked.path.as_str(), asked.time) {
        ("/robots.txt", 1) => Answer::redirect("/robots"),
        ("/robots", _) => Answer::ok("user-agent: *\ndisallow: /no"),
        ("/", _) => Answer::page(["/1", "/2", "/redirect", "/fails", "/dies", "/no"]),
        ("/redirect", _) => Answer::redirect("/3"),
        ("/fails", 1) => Answer::status(500),
        ("/dies", 1) => Answer::hang_up(),
        _ => Answer::page(["/", "/4"]),
    });
    let retry = Retry { base: 10 * MS, ..Retry::default() };
    let settings = Settings { retry, ..Settings::default() };
    let domains: Vec<String> = (0..30).map(|n| format!("d{n}.test")).collect();
    let politeness = Politeness { spacing: Some(SPACING), ..Politeness::default() };
    let report = run(crawl_with(links as Links, &site, settings)
        .politeness(politeness)
        .seeds(domains.iter().map(|domain| format!("http://{domain}/"))));

    let by_host = site.by_host();
    assert_eq!(by_host.len(), domains.len());
    let max_asked = ["/", "/1", "/2", "/3", "/4", "/dies", "/fails", "/fails", "/redirect", "/robots", "/robots.txt"];
    for (host, asked) in &by_host {
        let arrivals = Arrivals::of(asked);
        assert!(arrivals.smallest_gap() >= SPACING, "{host}: {:?}", arrivals.smallest_gap());
        assert!(asked.iter().all(|asked| asked.in_flight == 1), "{host}: one at a time is the default");
        let mut paths: Vec<&str> = asked.iter().map(|asked| asked.path.as_str()).collect();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths, dedup(&max_asked), "{host}");
        let counted = report.stats.domains.iter().find(|(domain, _)| domain.as_str() == host).unwrap().1;
        assert_eq!(counted.requests, asked.len() as u64, "{host}: a request for which no permit was counted");
        assert_eq!(counted.pages, 7, "{host}: {report}");
    }
    assert_eq!(report.failed(), 0, "{report}");
    // The law allows it in 1.2 s; a busy machine may need several times as long.
    assert!(site.arrivals().span() < 40 * SPACING, "{:?} for 12 requests a domain", site.arrivals().span());
}

fn dedup<'a>(paths: &[&'a str]) -> Vec<&'a str> {
    let mut paths = paths.to_vec();
    paths.dedup();
    paths
}

/// Promise 3. Scrapy, Nutch and StormCrawler forgot a domain with its queue, and the next URL went out at once.
#[test]
fn a_domain_rests_even_when_its_queue_was_empty() {
    const SPACING: Duration = Duration::from_millis(150);
    let site = Recorder::start(|asked| {
        let page: u32 = asked.path[1..].parse().unwrap();
        Answer::page((page < 7).then(|| format!("/{}", page + 1)))
    });
    let seeds = (0..10).map(|n| format!("http://d{n}.test/0"));
    run(crawl(&site).spacing(SPACING).per_domain(4).seeds(seeds));
    for (host, asked) in site.by_host() {
        let gap = Arrivals::of(&asked).smallest_gap();
        assert_eq!(asked.len(), 8, "{host}");
        assert!(gap >= SPACING, "{host}: {gap:?}");
    }
}

/// The same with seeds added at random times while other domains keep the crawl busy.
#[test]
fn a_domain_that_was_quiet_is_as_polite_as_before_also_after_it_was_forgotten() {
    const SPACING: Duration = Duration::from_millis(80);
    let site = Recorder::start(|_| Answer::ok(""));
    block_on(async {
        let handle = crawl(&site).spacing(SPACING).stay_open().start().unwrap();
        for (round, pause) in [0, 30, 70, 79, 80, 81, 90, 200, 400].into_iter().enumerate() {
            tokio::time::sleep(pause * MS).await;
            handle.seed(&format!("http://quiet.test/{round}")).await.unwrap();
            until("the page is asked for", async || site.count() > round).await;
        }
        until("it is forgotten", async || handle.progress().await.unwrap().domains_active == 0).await;
        for round in 9..12 {
            handle.seed(&format!("http://quiet.test/{round}")).await.unwrap();
        }
        handle.close().await;
        let report = end_of(&handle).await;
        assert_eq!(report.pages(), 12);
        let domain = report.stats.domains.values().next().unwrap();
        assert_eq!(domain.requests, 12, "what was measured before it was forgotten counts too");
    });
    assert!(site.arrivals().smallest_gap() >= SPACING, "{:?}", site.arrivals().smallest_gap());
}

/// Foreign code blocks the parsing threads with every page, and the scheduler's own thread now and then: permits are
/// late and accumulate, and none may be bunched with the next.
#[test]
fn threads_that_are_blocked_for_200_ms_at_a_time_change_nothing() {
    const SPACING: Duration = Duration::from_millis(50);
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/" => Answer::page((1..8).map(|n| format!("/{n}"))),
        _ => Answer::ok(""),
    });
    let calls = AtomicU32::new(0);
    let blocks = move |url: &url::Url| {
        if calls.fetch_add(1, Ordering::Relaxed) % 40 == 39 {
            thread::sleep(200 * MS);
        }
        url.host_str().unwrap_or_default().to_owned()
    };
    let spider = |page: &Response| {
        thread::sleep(200 * MS);
        links(page)
    };
    let politeness = Politeness {
        spacing: Some(SPACING),
        domain_key: DomainKey::By(Arc::new(blocks)),
        robots: RobotsPolicy::Ignore,
        per_domain: NonZeroU32::new(8).unwrap(),
        ..Politeness::default()
    };
    let seeds = (0..5).map(|n| format!("http://d{n}.test/"));
    let crawler = crawl_with(spider, &site, Settings::default()).politeness(politeness).seeds(seeds);
    // With one thread, one page at a time is parsed, and permits never accumulate.
    run(crawler.threads(4));
    for (host, asked) in site.by_host() {
        let gap = Arrivals::of(&asked).smallest_gap();
        assert_eq!(asked.len(), 8, "{host}");
        assert!(gap >= SPACING, "{host}: {gap:?}");
    }
}

#[test]
fn no_window_holds_more_than_its_number_and_most_hold_no_less() {
    const PER: Duration = Duration::from_millis(500);
    for burst in [1, 10] {
        let site = Recorder::start(|asked| Answer::ok("").after((asked.index % 7) as u32 * 10 * MS));
        let rate = Rate::new(10, PER).unwrap().burst(burst);
        run(crawl(&site).rate(rate).per_domain(16).seeds((0..45).map(|n| format!("http://one.test/{n}"))));
        let arrivals = site.arrivals();
        assert_eq!(arrivals.0.len(), 45);
        assert!(arrivals.fullest(PER) <= 10, "burst {burst}: {} in one window", arrivals.fullest(PER));
        assert!(arrivals.rate() > 15.0, "burst {burst}: only {:.1} of 20 a second", arrivals.rate());
    }
}

#[test]
fn no_more_are_in_flight_than_may_be_at_a_domain_and_in_all() {
    let site = Recorder::start(|asked| Answer::ok("").after((20 + asked.index as u32 % 5 * 10) * MS));
    let seeds = (0..80).map(|n| format!("http://d{}.test/{n}", n % 4));
    run(crawl(&site).per_domain(3).concurrency(7).seeds(seeds));
    let most = |of: fn(&Asked) -> usize| site.asked().iter().map(of).max().unwrap();
    assert_eq!(site.count(), 80);
    assert_eq!(most(|asked| asked.in_flight), 3, "at one domain");
    assert!((4..=7).contains(&most(|asked| asked.in_flight_in_all)), "{}", most(|asked| asked.in_flight_in_all));
}

#[test]
fn a_domain_rests_after_each_response() {
    const REST: Duration = Duration::from_millis(120);
    const TAKES: Duration = Duration::from_millis(60);
    let site = Recorder::start(|asked| {
        match asked.path.as_str() {
            "/redirects" => Answer::redirect("/there"),
            _ => Answer::ok(""),
        }
        .after(TAKES)
    });
    let politeness =
        Politeness { rest: Some(REST), spacing: Some(MS), robots: RobotsPolicy::Ignore, ..Politeness::default() };
    let seeds = ["1", "redirects", "2", "3"].map(|path| format!("http://one.test/{path}"));
    run(crawl(&site).politeness(politeness).seeds(seeds));
    assert_eq!(site.count(), 5);
    let gap = site.arrivals().smallest_gap();
    assert!(gap >= REST + TAKES, "{gap:?}");
}

#[test]
fn an_override_holds_for_its_domains_and_no_other() {
    let site = Recorder::start(|_| Answer::ok("").after(20 * MS));
    let politeness = Politeness {
        spacing: Some(30 * MS),
        robots: RobotsPolicy::Ignore,
        overrides: vec![
            Override { domain: "slow.test".into(), spacing: Some(250 * MS), ..Override::default() },
            Override {
                domain: "*wide.test".into(),
                per_domain: NonZeroU32::new(4),
                rate: Some(Rate::UNLIMITED),
                ..Override::default()
            },
        ],
        ..Politeness::default()
    };
    let seeds = ["slow.test", "www.slow.test", "other.test", "very-wide.test"]
        .iter()
        .flat_map(|host| (0..5).map(move |n| format!("http://{host}/{n}")));
    run(crawl(&site).politeness(politeness).seeds(seeds));
    let by_host = site.by_host();
    let slow = [&by_host["slow.test"][..], &by_host["www.slow.test"][..]].concat();
    assert_eq!(slow.len(), 10);
    assert!(Arrivals::of(&slow).smallest_gap() >= 250 * MS, "hosts of one domain share its throttle");
    let other = Arrivals::of(&by_host["other.test"]);
    assert!(other.smallest_gap() >= 30 * MS && other.span() < 1_000 * MS, "{other:?}");
    let wide = by_host["very-wide.test"].iter().map(|asked| asked.in_flight).max();
    assert!((2..=4).contains(&wide.unwrap()), "{wide:?}");
}

/// Promise 4. There are more slow, sleeping, refusing and dead domains than slots, with the most requests queued, and
/// the fast domain proceeds as if it were alone.
#[test]
fn slow_sleeping_refusing_and_dead_domains_hold_up_no_other() {
    const FAST: Duration = Duration::from_millis(25);
    let site = Recorder::start(|asked| match asked.host.as_str() {
        "refuses0.test" | "refuses1.test" => Answer::status(429).header("retry-after", 30),
        "busy.test" => Answer::status(503),
        "hangs.test" => Answer::ok("").after(Duration::from_secs(20)),
        _ => Answer::ok(""),
    });
    let sleepy = |domain: &str| Override {
        domain: domain.into(),
        spacing: Some(Duration::from_secs(30)),
        ..Override::default()
    };
    let politeness = Politeness {
        spacing: Some(FAST),
        concurrency: NonZeroU32::new(4).unwrap(),
        robots: RobotsPolicy::Ignore,
        overrides: vec![sleepy("*sleeps.test")],
        ..Politeness::default()
    };
    let sleeping = (0..8).map(|n| format!("{n}sleeps.test"));
    let others =
        ["refuses0.test", "refuses1.test", "busy.test", "dead0.test", "dead1.test", "hangs.test"].map(String::from);
    let held_up: Vec<String> = sleeping.chain(others).collect();
    // Their URLs come first, which a first-come, first-served crawler would get stuck on.
    let seeds = held_up.iter().flat_map(|host| (0..20).map(move |n| format!("http://{host}/{n}")));
    let closed = closed_port();
    let crawler = crawl(&site)
        .politeness(politeness)
        .resolve(format!("dead0.test:127.0.0.1:{closed}"))
        .resolve(format!("dead1.test:127.0.0.1:{closed}"))
        .stay_open()
        .seeds(seeds);
    block_on(async {
        let handle = crawler.start().unwrap();
        let asked = |host: &str| site.by_host().get(host).map_or(0, Vec::len);
        until("the others had their turn", async || asked("hangs.test") == 1 && asked("7sleeps.test") == 1).await;
        let begin = Instant::now();
        for n in 0..60 {
            handle.seed(&format!("http://fast.test/{n}")).await.unwrap();
        }
        until("the fast domain is done", async || asked("fast.test") == 60).await;
        let took = begin.elapsed();
        let (progress, stats) = (handle.progress().await.unwrap(), handle.stats().await.unwrap());
        handle.abort().await;
        end_of(&handle).await;
        // Alone it takes 1.5 s.
        assert!(took < Duration::from_secs(4), "{took:?}");
        assert!(progress.domains_cooling >= 4 && stats.domains_cooling >= 4, "{progress:?}, {stats:?}");
    });
    assert!(Arrivals::of(&site.by_host()["fast.test"]).smallest_gap() >= FAST);
}

fn closed_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Promise 6: without settings a crawl obeys robots.txt, sends one request at a time with one second between two, and
/// has a name.
#[test]
fn the_shortest_program_is_the_politest() {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/robots.txt" => Answer::ok("user-agent: *\ndisallow: /private"),
        _ => Answer::page(["/a", "/private"]).after(20 * MS),
    });
    let report = run(Crawler::new(links, CONTACT)
        .conducts(&actix_crawler::Conducts::new())
        .resolve(site.rule())
        .allow_private()
        .seed("http://shop.test/"));
    assert_eq!(site.paths(), ["/robots.txt", "/", "/a"]);
    assert!(site.arrivals().smallest_gap() >= Duration::from_secs(1), "{:?}", site.arrivals().smallest_gap());
    assert!(site.asked().iter().all(|asked| asked.in_flight == 1 && asked.header("user-agent") == Some(CONTACT)));
    assert_eq!(report.stats.get("drop/robots/disallowed"), 1);

    let anonymous = Crawler::new(links, "bot/1.0").seed("http://shop.test/").start().err().unwrap();
    assert!(anonymous.to_string().contains("contact"), "{anonymous}");
}

/// Regression: a crawl whose seeds are on this machine needs no contact, and then asked the whole web without one.
#[test]
fn a_crawl_without_a_contact_asks_this_machine_only_wherever_links_and_redirects_lead() {
    let site = Recorder::start(|asked| match &*asked.path {
        "/0" => Answer::page(["/1", "http://shop.test/link"]),
        "/1" => Answer::redirect("http://shop.test/redirect"),
        _ => Answer::page(["/0"]),
    });
    let crawler = Crawler::new(links as Links, "x").conducts(&actix_crawler::Conducts::new()).resolve(site.rule());
    let crawler = crawler.allow_private().rate(Rate::UNLIMITED).within(Within::Any).seed(site.url("/0"));
    let report = run(crawler.retry(Retry::attempts(1)));
    assert!(site.asked().iter().all(|asked| !asked.host.contains("shop.test")), "{:?}", site.sorted_urls());
    assert_eq!(report.stats.ledger.failed, 2, "{report}");
    assert!(report.to_string().contains("no contact"), "{report}");
}
