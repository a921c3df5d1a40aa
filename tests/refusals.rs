//! Refusals: 429, 503 and unreachable hosts affect a whole domain, not one URL, and no other domain.
#![allow(clippy::disallowed_methods, reason = "tests read clocks")]

mod crawls;
mod recorder;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime},
};

use actix_crawler::{Crawler, Retry, Settings, middleware::SoftBlock};
use crawls::{Links, MS, crawl, crawl_with, links, run, run_logged};
use recorder::{Answer, Arrivals, Recorder};

const S: Duration = Duration::from_secs(1);

/// A crawl without retries: a page fails if a refusal counts as an attempt.
fn tried_once(site: &Recorder) -> actix_crawler::Crawler<Links> {
    let retry = Retry { attempts: 1, ..Retry::default() };
    crawl_with(links as Links, site, Settings { retry, ..Settings::default() })
}

#[test]
fn a_refusal_cools_its_whole_domain_for_as_long_as_it_says_and_no_other() {
    // When each host may be requested again.
    let leave = Mutex::new(HashMap::<String, Instant>::new());
    let early = Arc::new(Mutex::new(Vec::new()));
    let noted = early.clone();
    let site = Recorder::start(move |asked| {
        if asked.host == "other.test" {
            return Answer::ok("");
        }
        let mut leave = leave.lock().unwrap();
        if let Some(leave) = leave.get(&asked.host) {
            if asked.at < *leave {
                noted.lock().unwrap().push((asked.host.clone(), *leave - asked.at));
            }
            return Answer::ok("");
        }
        let wall = SystemTime::now();
        let (says, wait) = match asked.host.as_str() {
            "seconds.test" => ("1".to_owned(), S),
            _ => {
                // HTTP dates have no fractions of seconds.
                let date = httpdate::fmt_http_date(wall + 2 * S);
                let wait = httpdate::parse_http_date(&date).unwrap().duration_since(wall).unwrap();
                (date, wait)
            }
        };
        leave.insert(asked.host.clone(), Instant::now() + wait);
        Answer::status(429).header("retry-after", says)
    });
    let pages = |host: &'static str, many: u32| (0..many).map(move |n| format!("http://{host}/{n}"));
    let (report, log) = run_logged(
        tried_once(&site)
            .spacing(20 * MS)
            .seeds(pages("seconds.test", 5))
            .seeds(pages("date.test", 5))
            .seeds(pages("other.test", 40)),
    );
    assert_eq!(*early.lock().unwrap(), [], "hosts that were asked too early");
    assert_eq!((report.pages(), report.failed()), (50, 0), "{report}");
    let by_host = site.by_host();
    for host in ["seconds.test", "date.test"] {
        let asked = &by_host[host];
        assert_eq!(asked.len(), 6, "{host}: each page once, and the refused one again");
        let pause = asked[1].at - asked[0].at;
        assert!(pause < 4 * S, "{host}: cools for {pause:?}");
        let of_refused: Vec<_> = log.iter().filter(|line| line.url == asked[0].url()).collect();
        let told: Vec<_> = of_refused.iter().map(|line| (line.outcome.as_str(), line.attempt, line.is_final)).collect();
        assert_eq!(told, [("refused", 1, false), ("ok", 1, true)], "a refusal is no attempt");
        let refusals = report.stats.domains.iter().find(|(domain, _)| domain.as_str() == host).unwrap().1.refusals;
        assert_eq!(refusals, 1, "{host}");
    }
    let other = Arrivals::of(&by_host["other.test"]);
    let fell_asleep = by_host["other.test"].windows(2).filter(|pair| pair[1].at - pair[0].at > S / 2).count();
    assert_eq!(fell_asleep, 0, "{:?}", other.span());
}

/// Eight refusals in a row give a domain up; twelve that were in flight together must count once.
#[test]
fn a_burst_in_flight_counts_once() {
    let site = Recorder::start(|asked| match asked.index {
        0..12 => Answer::status(429).header("retry-after", 1).after(300 * MS + asked.index as u32 * 5 * MS),
        _ => Answer::ok(""),
    });
    let report = run(tried_once(&site).per_domain(12).seeds((0..12).map(|n| format!("http://one.test/{n}"))));
    assert_eq!((report.pages(), report.failed()), (12, 0), "{report}");
    assert_eq!((site.count(), report.stats.get("domain/given_up")), (24, 0), "{report}");
    let asked = site.asked();
    let last_refusal = asked[..12].iter().map(|asked| asked.at).max().unwrap() + 300 * MS;
    assert!(asked[12..].iter().all(|asked| asked.at >= last_refusal + S - 60 * MS));
}

#[test]
fn a_503_that_names_no_wait_cools_for_five_seconds() {
    let site = Recorder::start(|asked| if asked.index == 0 { Answer::status(503) } else { Answer::ok("") });
    let report = run(tried_once(&site).per_domain(4).spacing(MS).seeds(["http://a.test/1", "http://a.test/2"]));
    assert_eq!((report.pages(), report.failed()), (2, 0), "{report}");
    let asked = site.asked();
    let after_refusal =
        asked.iter().filter(|later| later.at > asked[0].at + 50 * MS).map(|later| later.at - asked[0].at);
    assert!(after_refusal.clone().count() >= 1 && after_refusal.min().unwrap() >= 5 * S);
}

#[test]
fn a_domain_that_only_refuses_or_is_not_there_is_given_up_and_everything_adds_up() {
    let site = Recorder::start(|asked| match asked.host.as_str() {
        "never.test" => Answer::status(429).header("retry-after", 1),
        _ => Answer::ok(""),
    });
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let seeds = ["never", "dead", "ok"].map(|name| (0..20).map(move |n| format!("http://{name}.test/{n}")));
    let crawler = crawl(&site).spacing(10 * MS).resolve(format!("dead.test:{closed}"));
    let (report, log) = run_logged(crawler.seeds(seeds.into_iter().flatten()));
    assert_eq!((report.pages(), report.failed()), (20, 40), "{report}");
    assert_eq!(report.stats.get("domain/given_up"), 2, "{report}");
    let by_host = site.by_host();
    assert_eq!(by_host["never.test"].len(), 8, "eight refusals in a row are an answer");
    assert!(Arrivals::of(&by_host["ok.test"]).span() < 2 * S, "{:?}", Arrivals::of(&by_host["ok.test"]).span());
    let dead = log.iter().filter(|line| line.domain == "dead.test" && line.attempt > 0).count();
    assert_eq!(dead, 4, "four in vain are enough: {log:?}");
    for (domain, outcome) in [("never.test", "refused"), ("dead.test", "connect")] {
        let ends: Vec<_> = log.iter().filter(|line| line.is_final && line.domain == domain).collect();
        let urls: HashSet<_> = ends.iter().map(|line| &line.url).collect();
        assert_eq!((ends.len(), urls.len()), (20, 20), "{domain}: one end for each URL");
        assert!(ends.iter().all(|line| line.outcome == outcome), "{ends:?}");
    }
}

/// Regression: a failed request for a sitemap was taken for one for a robots file, which never counts.
#[test]
fn a_host_that_is_dead_for_its_sitemaps_is_given_up_as_for_its_pages() {
    let site = Recorder::start(|_| Answer::ok(""));
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let crawler = crawl(&site).resolve(format!("dead.test:{closed}"));
    let files = (0..12).map(|n| format!("http://dead.test/{n}.xml"));
    let (report, log) = run_logged(files.fold(crawler, |crawler, file| crawler.sitemap(file)));
    assert_eq!((report.stats.get("domain/given_up"), report.failed()), (1, 12), "{report}");
    assert_eq!(log.iter().filter(|line| line.attempt > 0).count(), 4, "{log:?}");
}

#[test]
fn refusals_that_an_answer_follows_never_add_up_to_giving_up() {
    let site = Recorder::start(|asked| match asked.time {
        1 => Answer::status(429).header("retry-after", 1),
        _ => Answer::ok(""),
    });
    let report = run(tried_once(&site).spacing(10 * MS).seeds((0..12).map(|n| format!("http://one.test/{n}"))));
    assert_eq!((report.pages(), report.failed(), site.count()), (12, 0, 24), "{report}");
}

/// A wait that has passed is no wait that was asked for: the own back-off holds, and grows. Such a domain was asked
/// once a second, for ever where it was a date. RFC 9110 does not say what `0` means after a refusal; curl and urllib3
/// wait as long as without it.
#[test]
fn a_retry_after_that_has_passed_waits_as_long_as_none() {
    let site = Recorder::start(|asked| match (asked.time, asked.host.as_str()) {
        (1..3, "date.test") => Answer::status(503).header("retry-after", "Thu, 01 Jan 1970 00:00:00 GMT"),
        (1..3, "zero.test") => Answer::status(429).header("retry-after", 0),
        _ => Answer::ok(""),
    });
    let report = run(tried_once(&site).spacing(10 * MS).seeds(["http://date.test/", "http://zero.test/"]));
    assert_eq!((report.pages(), report.failed()), (2, 0), "{report}");
    for (host, asked) in site.by_host() {
        let at = Arrivals::of(&asked).0;
        let gaps = (at[1] - at[0], at[2] - at[1]);
        assert!(gaps.0 >= 5 * S && gaps.1 >= 10 * S, "{host}: {gaps:?}");
    }
}

/// RFC 9110 §10.2.3; other statuses stay final, or failures of the page.
#[test]
fn a_wait_that_any_status_asks_for_is_waited_for() {
    let site = Recorder::start(|asked| match (asked.host.as_str(), asked.time) {
        ("forbids.test", 1) => Answer::status(403).header("retry-after", 2),
        ("overloaded.test", 1) => Answer::status(500).header("retry-after", 1),
        ("behind.test", 1) => Answer::status(521).header("retry-after", 2),
        ("early.test", 1) => Answer::status(425).header("retry-after", 2),
        ("used-up.test", 1) => Answer::status(403).header("x-ratelimit-remaining", 0).header("x-ratelimit-reset", 1),
        ("never.test", _) => Answer::status(403),
        _ => Answer::ok(""),
    });
    let hosts = ["forbids.test", "overloaded.test", "behind.test", "early.test", "used-up.test", "never.test"];
    let seeds = hosts.iter().flat_map(|host| (0..3).map(move |n| format!("http://{host}/{n}")));
    let (report, log) = run_logged(tried_once(&site).spacing(10 * MS).seeds(seeds));
    // Each page of the first five was refused once, and no budget of retries was touched.
    assert_eq!((report.pages(), report.failed()), (15, 3), "{report}");
    assert_eq!(report.stats.get("outcome/refused"), 15, "{report}");
    let by_host = site.by_host();
    for (host, wait) in [
        ("forbids.test", 2 * S),
        ("overloaded.test", S),
        ("behind.test", 2 * S),
        ("early.test", 2 * S),
        ("used-up.test", S),
    ] {
        let asked = &by_host[host];
        assert_eq!(asked.len(), 6, "{host}");
        for pair in asked.windows(2).filter(|pair| pair[0].time == 1) {
            assert!(pair[1].at - pair[0].at >= wait, "{host}: {:?}", pair[1].at - pair[0].at);
        }
    }
    assert_eq!(by_host["never.test"].len(), 3);
    assert!(log.iter().filter(|line| line.domain == "never.test").all(|line| line.outcome == "status"));
}

/// RFC 9110 §10.2.3: with a redirect, `Retry-After` is the least time before the redirected request.
#[test]
fn a_redirect_that_asks_for_a_wait_is_followed_after_it() {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/from" => Answer::redirect("/to").header("retry-after", 1),
        _ => Answer::ok(""),
    });
    let report = run(tried_once(&site).spacing(10 * MS).seed("http://one.test/from"));
    assert_eq!((report.pages(), report.stats.get("outcome/refused")), (1, 0), "{report}");
    let at = site.arrivals().0;
    assert!(at[1] - at[0] >= S, "{:?}", at[1] - at[0]);
}

/// Regression: it was the oldest after each rest, so nobody else was asked, and after eight refusals the whole domain
/// was given up. Others show that it refuses alone.
#[test]
fn one_page_that_always_refuses_fails_alone() {
    check_that_it_fails_alone(|crawler| crawler);
}

/// Regression: the rest that a middleware asks for made the refusal one of none in a row.
#[test]
fn one_page_that_always_refuses_fails_alone_also_where_a_middleware_rests() {
    let rest = || SoftBlock::new().status(429).rest(S);
    check_that_it_fails_alone(|crawler| crawler.middleware(rest()));
    let site = Recorder::start(|_| Answer::status(429).header("retry-after", 1));
    let pages = (0..20).map(|n| format!("http://one.test/{n}"));
    let report = run(tried_once(&site).middleware(rest()).spacing(20 * MS).seeds(pages));
    assert_eq!((report.failed(), report.stats.get("domain/given_up")), (20, 1), "{report}");
    assert_eq!(site.asked().len(), 8, "as often as a domain may refuse");
}

fn check_that_it_fails_alone(with: impl Fn(Crawler<Links>) -> Crawler<Links>) {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/broken" => Answer::status(429).header("retry-after", 1),
        _ => Answer::ok(""),
    });
    let pages = (0..20).map(|n| format!("http://one.test/{n}"));
    let crawler = tried_once(&site).spacing(20 * MS).seed("http://one.test/broken").seeds(pages);
    let (report, log) = run_logged(with(crawler));
    assert_eq!((report.pages(), report.failed()), (20, 1), "{report}");
    assert_eq!(report.stats.get("domain/given_up"), 0, "{report}");
    let refused: Vec<_> = log.iter().filter(|line| line.url == "http://one.test/broken").collect();
    let is_final: Vec<_> = refused.iter().map(|line| line.is_final).collect();
    assert!(refused.iter().all(|line| line.outcome == "refused" && line.attempt == 1), "{refused:?}");
    assert_eq!((is_final.len(), is_final.iter().position(|last| *last)), (8, Some(7)), "as often as a domain in a row");
}
