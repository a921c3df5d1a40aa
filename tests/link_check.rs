//! A link checker, against real servers: every page that has a broken link is named, and every URL is requested once.
#![allow(clippy::disallowed_methods, reason = "tests read clocks")]

mod crawls;
mod nginx;
mod recorder;

use std::{collections::BTreeMap, fs};

use actix_crawler::{Conducts, LinkChecker, Politeness, Settings, Within, link_check::BrokenLink, prelude::*};
use crawls::{CONTACT, crawl_with, run};
use nginx::Nginx;
use recorder::{Answer, Recorder};

const PAGES: usize = 40;

#[test]
fn each_page_with_a_link_that_is_broken_is_named_and_nginx_is_asked_for_each_url_once() {
    let files = tempfile::tempdir().unwrap();
    let www = files.path().join("www");
    fs::create_dir(&www).unwrap();
    for page in 0..PAGES {
        let next = (page + 1) % PAGES;
        let odd = if page % 2 == 1 { "<a href='/odd/gone.html#part'>gone</a>" } else { "" };
        let body = format!("<a href=/{next}.html>next</a><a href=/gone.html>gone</a><a href=/folder>folder</a>{odd}");
        fs::write(www.join(format!("{page}.html")), body).unwrap();
    }
    fs::create_dir(www.join("folder")).unwrap();
    let nginx = Nginx::serve(files);
    let origin = format!("http://127.0.0.7:{}", nginx.port);
    let found = Collect::new();
    let report = run(Crawler::new(LinkChecker::new([format!("{origin}/0.html")]).unwrap(), CONTACT)
        .pipeline(found.clone())
        .conducts(&Conducts::new())
        .allow_private()
        .ignore_robots()
        .rate(Rate::UNLIMITED)
        .per_domain(4));
    let mut pages = BTreeMap::<String, usize>::new();
    for BrokenLink { url, why, .. } in found.take() {
        *pages.entry(format!("{} {why}", url.strip_prefix(&origin).unwrap())).or_default() += 1;
    }
    // nginx adds the slash by a redirect, and shows no folder without an index.
    let each = |path: &str, why: &str, count| (format!("{path} {why}"), count);
    let told = [
        each("/folder", "status: 403", PAGES),
        each("/gone.html", "status: 404", PAGES),
        each("/odd/gone.html", "status: 404", PAGES / 2),
    ];
    assert_eq!(pages, told.into(), "{report}");
    let log = fs::read_to_string(nginx.files.path().join("asked")).unwrap();
    let mut lines: Vec<_> = log.lines().collect();
    assert_eq!(lines.len(), PAGES + 4, "{log}");
    lines.sort_unstable();
    lines.dedup();
    assert_eq!(lines.len(), PAGES + 4, "each once: {log}");
}

#[test]
fn links_to_other_hosts_are_checked_and_not_followed_and_what_is_forbidden_is_not_broken() {
    let site = Recorder::start(|asked| match asked.url().as_str() {
        "http://one.test/" => Answer::redirect("http://www.one.test/"),
        "http://www.one.test/" => Answer::page([
            "/2",
            "http://other.test/",
            "http://other.test/gone",
            "http://one.test/hidden",
            "http://127.0.0.1:1/",
        ]),
        "http://www.one.test/2" => Answer::page(["http://other.test/gone", "http://127.0.0.1:1/"]),
        "http://other.test/" => Answer::page(["/never-followed"]),
        url if url.ends_with("/robots.txt") => Answer::ok("user-agent: *\ndisallow: /hidden"),
        _ => Answer::status(410),
    });
    let found = Collect::new();
    let checker = LinkChecker::new(["http://one.test/"]).unwrap();
    let politeness = Politeness { rate: Some(Rate::UNLIMITED), ..Politeness::default() };
    let crawler = crawl_with(checker, &site, Settings::default()).politeness(politeness).retry(Retry::attempts(1));
    run(crawler.within(Within::Any).pipeline(found.clone()));
    let mut found: Vec<_> =
        found.take().iter().map(|link| format!("{} {} {}", link.page, link.url, link.why)).collect();
    found.sort();
    let [at_root, gone_at_root, at_2, gone_at_2] = &found[..] else { panic!("{found:#?}") };
    assert!(at_root.starts_with("http://www.one.test/ http://127.0.0.1:1/ connect"), "{at_root}");
    assert_eq!(gone_at_root, "http://www.one.test/ http://other.test/gone status: 410");
    assert!(at_2.starts_with("http://www.one.test/2 http://127.0.0.1:1/ connect"), "{at_2}");
    assert_eq!(gone_at_2, "http://www.one.test/2 http://other.test/gone status: 410");
    assert!(!site.sorted_urls().iter().any(|url| url.ends_with("never-followed") || url.ends_with("hidden")));
}
