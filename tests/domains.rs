//! What is set for a domain holds for it and all names below it, and for nothing else: judged by the server's log.

mod crawls;
mod recorder;

use std::{collections::BTreeSet, time::Duration};

use actix_crawler::{
    Politeness, RobotsPolicy, Scope, Settings, ThrottledClient,
    politeness::DomainKey,
    prelude::*,
    settings::{DomainSettings, Override},
};
use crawls::{CONTACT, Links, MS, crawl, crawl_with, links, run};
use recorder::{Answer, Arrivals, Recorder};

/// Every host has a home page with links to three pages, and a robots file that bars one of them.
fn site() -> Recorder {
    Recorder::start(|asked| match asked.path.as_str() {
        "/robots.txt" => Answer::ok("user-agent: *\ndisallow: /private"),
        "/" => Answer::page(["/a", "/b", "/private"]),
        _ => Answer::ok(""),
    })
}

const SEEDS: [&str; 3] = ["http://one.test/", "http://two.test/", "http://www.two.test/"];

/// The requested URLs of the log, without those of robots files if they are not asked for.
fn urls(site: &Recorder) -> BTreeSet<String> {
    site.asked().iter().map(|asked| format!("{}{}", asked.host, asked.path)).collect()
}

#[test]
fn robots_files_of_a_domain_are_ignored_and_those_of_others_obeyed() {
    let site = site();
    let ours = DomainSettings::new().ignore_robots();
    let obeys = Politeness { robots: RobotsPolicy::Obey, ..Politeness::default() };
    let crawler = crawl(&site).politeness(obeys.clone()).rate(Rate::UNLIMITED).domain("Two.test", ours);
    run(crawler.seeds(SEEDS));
    let asked = urls(&site);
    for (url, expected) in [
        ("one.test/robots.txt", true),
        ("two.test/robots.txt", false),
        ("www.two.test/robots.txt", false),
        ("one.test/private", false),
        ("two.test/private", true),
        ("www.two.test/private", true),
    ] {
        assert_eq!(asked.contains(url), expected, "{url} of {asked:?}");
    }

    let site = self::site();
    let obeyed = DomainSettings { robots: Some(RobotsPolicy::Obey), ..DomainSettings::new() };
    run(crawl(&site).domain("two.test", obeyed).seeds(SEEDS));
    let asked = urls(&site);
    assert!(asked.contains("one.test/private") && asked.contains("www.two.test/robots.txt"), "{asked:?}");
    assert!(!asked.contains("two.test/private") && !asked.contains("one.test/robots.txt"), "{asked:?}");
}

#[test]
fn headers_of_a_domain_go_there_only_and_the_nearest_of_several_holds() {
    let site = site();
    let hosts = Politeness { domain_key: DomainKey::Host, ..Politeness::default() };
    run(crawl_with(links as Links, &site, Settings { politeness: hosts, ..Settings::default() })
        .ignore_robots()
        .rate(Rate::UNLIMITED)
        .header("x-of", "all")
        .header_for("http://b.www.two.test", "x-of", "origin")
        .domain("two.test", DomainSettings::new().header("X-Of", "two").header("x-two", "2"))
        .domain("www.two.test", DomainSettings::new().header("x-of", "www"))
        .seeds(SEEDS)
        .seeds(["http://a.two.test/", "http://a.www.two.test/", "http://b.www.two.test/", "http://nottwo.test/"]));
    for (host, asked) in site.by_host() {
        let (of, two) = match host.as_str() {
            "one.test" | "nottwo.test" => ("all", None),
            "two.test" | "a.two.test" => ("two", Some("2")),
            "www.two.test" | "a.www.two.test" => ("www", None),
            _ => ("origin", None),
        };
        for asked in asked {
            assert_eq!((asked.header("x-of"), asked.header("x-two")), (Some(of), two), "{host}");
        }
    }
    assert_eq!(site.by_host().len(), 7);
}

#[test]
fn a_domain_has_its_own_pace_and_its_own_proxy() {
    const SPACING: Duration = Duration::from_millis(60);
    let (site, proxy) = (site(), site());
    let slow = DomainSettings::new().spacing(SPACING).proxy(proxy.url(""));
    run(crawl(&site).domain("two.test", slow).seeds(SEEDS));
    let through: BTreeSet<String> = proxy.by_host().into_keys().collect();
    assert_eq!(through, ["two.test", "www.two.test"].map(str::to_owned).into());
    assert_eq!(site.by_host().into_keys().collect::<Vec<_>>(), ["one.test"]);
    let arrivals = Arrivals::of(&proxy.asked());
    assert!(arrivals.0.len() == 2 && arrivals.smallest_gap() + MS >= SPACING, "{arrivals:?}");
}

#[test]
fn a_domain_has_its_own_budget_of_pages_and_of_what_waits() {
    let site = site();
    let few = DomainSettings::new().max_pages(2);
    let scope = Scope { within: Within::Any, max_pages_per_domain: Some(3), ..Scope::default() };
    let report = run(crawl(&site).scope(scope).domain("two.test", few).seeds(SEEDS));
    let pages = |name: &str| site.asked().iter().filter(|asked| asked.host.ends_with(name)).count();
    assert_eq!((pages("one.test"), pages("two.test")), (3, 2), "{report}");

    let site = self::site();
    let short = DomainSettings::new().max_queued(1);
    let report = run(crawl(&site).domain("one.test", short).seed(SEEDS[0]).seed(SEEDS[1]));
    assert_eq!(report.stats.get("drop/budget/domain_queue_full"), 2, "{report}");
    assert_eq!(site.by_host()["two.test"].len(), 4, "{report}");
}

#[test]
fn a_name_that_cannot_be_a_domain_of_its_own_is_refused_with_what_to_write() {
    let start = |name: &str, settings: DomainSettings| {
        let crawler = Crawler::new(links as Links, CONTACT).seed("http://one.test/").domain(name, settings);
        crawler.start().err().map(|error| error.to_string()).unwrap_or_default()
    };
    for (name, why) in [
        ("*.one.test", "no star"),
        ("https://one.test/", "write a name as example.org"),
        ("one.test:80", "write a name as example.org"),
        ("www.one.test", "write one.test, or"),
        ("", "write a name as example.org"),
    ] {
        let said = start(name, DomainSettings::new());
        assert!(said.starts_with(&format!("domains.\"{name}\": ")) && said.contains(why), "{name}: {said}");
    }
    let secret = start("one.test", DomainSettings::new().header("x-api-key", "7"));
    assert!(secret.contains("header_for"), "{secret}");
    let jitter = start("one.test", DomainSettings::new().spacing(Duration::from_secs(100_000)));
    assert!(jitter.contains("domains.\"one.test\".spacing") && jitter.contains("1d"), "{jitter}");
}

/// What is given in code by pattern is nearer than a name of the settings.
#[test]
fn an_override_of_the_politeness_goes_before_the_settings_of_a_domain() {
    let slow = Override { domain: "*".into(), spacing: Some(Duration::from_secs(100)), ..Override::default() };
    let mine = Override { domain: "one.test".into(), rate: Some(Rate::UNLIMITED), ..Override::default() };
    let politeness = Politeness { overrides: vec![mine], ..Politeness::default() };
    let site = site();
    let crawler = crawl(&site).politeness(politeness).ignore_robots();
    let own = DomainSettings { spacing: slow.spacing, ..DomainSettings::new() };
    run(crawler.domain("one.test", own).seed(SEEDS[0]));
    assert_eq!(site.count(), 4);
}

#[test]
fn a_secret_is_not_sent_to_all_origins() {
    for name in ["Authorization", "Cookie", "X-Api-Key", "x_auth_token"] {
        let crawler = Crawler::new(links as Links, CONTACT).seed("http://one.test/");
        let why = crawler.header(name, "x").start().err().map(|error| error.to_string()).unwrap_or_default();
        assert!(why.contains(&name.to_lowercase()) && why.contains("header_for"), "{why}");
        let client = ThrottledClient::builder(CONTACT).header(name, "x").build();
        assert!(client.is_err_and(|error| error.to_string().contains("header_for")), "{name}");
    }
    let site = site();
    run(crawl(&site).header_for("http://one.test", "Authorization", "Bearer 7").seeds(SEEDS));
    for asked in site.asked() {
        assert_eq!(asked.header("authorization"), (asked.host == "one.test").then_some("Bearer 7"), "{}", asked.host);
    }
}
