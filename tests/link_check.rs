//! A link checker, against real servers: every page that has a broken link is named, and every URL is requested once.
#![allow(clippy::disallowed_methods, reason = "tests read clocks")]

mod crawls;
mod nginx;
mod recorder;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use actix_crawler::{Conducts, LinkChecker, Politeness, Settings, Within, link_check::BrokenLink, prelude::*};
use crawls::{CONTACT, MS, block_on, crawl_with, end_of, run, until};
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

/// A site that lives at `www`, where all other names lead, and that links to a page of another host and back.
fn moved_site() -> Recorder {
    Recorder::start(|asked| match asked.url().as_str() {
        "http://one.test/" => Answer::redirect("http://www.one.test/0"),
        "http://other.test/back" => Answer::redirect("http://www.one.test/back"),
        "http://other.test/x" => Answer::redirect("http://other.test/y"),
        "http://other.test/y" => Answer::page(["/never-followed"]),
        "http://www.one.test/back" => Answer::page(["/gone-at-the-back"]),
        url => match url.strip_prefix("http://www.one.test/").and_then(|path| path.parse::<usize>().ok()) {
            Some(n) if n < 20 => {
                let next = format!("/{}", n + 1);
                let gone = format!("/gone{n}");
                Answer::page([&*next, &*gone, "http://other.test/x", "http://other.test/back"]).after(20 * MS)
            }
            _ => Answer::status(404),
        },
    })
}

/// Checks the links of `moved_site`, in two runs if it is to be stopped on the way. Returns the broken links.
fn check_moved(site: &Recorder, state: &Path, stops: bool) -> BTreeSet<String> {
    let mut broken = BTreeSet::new();
    for is_last in [false, true] {
        if !stops && !is_last {
            continue;
        }
        let found = Collect::new();
        let checker = LinkChecker::new(["http://one.test/"]).unwrap();
        let handle =
            crawl_with(checker, site, Settings::default()).state(state).pipeline(found.clone()).start().unwrap();
        block_on(async {
            if !is_last {
                until("it is under way", async || handle.progress().await.unwrap().pages >= 3).await;
                handle.stop().await;
            }
            end_of(&handle).await;
        });
        broken.extend(found.take().iter().map(|link: &BrokenLink| format!("{} {}", link.page, link.url)));
    }
    broken
}

/// Regression: a later run had not seen where its seeds redirect to, followed nothing there, and said that it had
/// finished.
#[test]
fn a_check_that_goes_on_from_its_state_follows_what_it_would_have_followed() {
    let states = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let sites = [moved_site(), moved_site()];
    let whole = check_moved(&sites[0], states[0].path(), false);
    let in_parts = check_moved(&sites[1], states[1].path(), true);
    assert_eq!(whole.len(), 20 + 2, "each page, the last, and the one at the back: {whole:?}");
    assert_eq!((in_parts, sites[1].sorted_urls()), (whole, sites[0].sorted_urls()));
    assert!(!sites[1].sorted_urls().iter().any(|url| url.ends_with("never-followed")));
}

/// Regression: links were noted in the form that they have without settings, so only the first page of one was named.
#[test]
fn links_that_differ_in_what_the_crawl_leaves_out_are_one_and_each_page_is_named() {
    let site = Recorder::start(|asked| match asked.url().as_str() {
        "http://one.test/" => Answer::page(["/a", "/b", "/fine?utm_source=c"]),
        "http://one.test/a" => Answer::page(["/gone?utm_source=a", "/old?utm_source=a"]),
        "http://one.test/b" => Answer::page(["/gone?utm_source=b", "/old?utm_source=b"]),
        "http://one.test/old" => Answer::redirect("/gone?utm_source=old"),
        "http://one.test/fine" => Answer::page(["/"]),
        _ => Answer::status(404),
    });
    let found = Collect::new();
    let checker = LinkChecker::new(["http://one.test/"]).unwrap();
    let crawler = crawl_with(checker, &site, Settings::default());
    run(crawler.configure(|settings| settings.scope.canonical.strip_tracking = true).pipeline(found.clone()));
    let mut found: Vec<_> = found.take().iter().map(|link| format!("{} {}", link.page, link.url)).collect();
    found.sort();
    let at = |page: &str, path: &str| format!("http://one.test/{page} http://one.test/{path}");
    assert_eq!(found, [at("a", "gone"), at("a", "old"), at("b", "gone"), at("b", "old")]);
    assert_eq!(site.count(), 6, "each once");
}

#[test]
fn links_to_other_hosts_are_asked_for_by_head_and_by_get_where_head_is_refused() {
    let site = Recorder::start(|asked| match (&*asked.method, asked.url().as_str()) {
        ("GET", "http://one.test/") => Answer::page([
            "/2",
            "http://other.test/fine",
            "http://other.test/gone",
            "http://no-head.test/fine",
            "http://no-head.test/gone",
            "http://other.test/back",
        ]),
        (_, "http://other.test/back") => Answer::redirect("http://one.test/back"),
        ("GET", "http://one.test/back") => Answer::page(["/gone-at-the-back"]),
        ("HEAD", url) if url.starts_with("http://no-head.test/") => {
            Answer::status(if url.ends_with('e') { 405 } else { 501 })
        }
        (_, url) if url.contains("gone") => Answer::status(404),
        _ => Answer::ok(""),
    });
    let found = Collect::new();
    let checker = LinkChecker::new(["http://one.test/"]).unwrap().head_elsewhere();
    let crawler = crawl_with(checker, &site, Settings::default()).retry(Retry::attempts(1)).max_depth(2);
    let report = run(crawler.within(Within::Any).pipeline(found.clone()));
    let mut links: Vec<_> = found.take().iter().map(ToString::to_string).collect();
    links.sort();
    let on = |page: &str, url: &str| format!("http://{page}: http://{url} (status: 404)");
    let told = [
        on("one.test/", "no-head.test/gone"),
        on("one.test/", "other.test/gone"),
        on("one.test/back", "one.test/gone-at-the-back"),
    ];
    assert_eq!(links, told, "{report}");
    let mut asked: Vec<_> = site.asked().iter().map(|asked| format!("{} {}", asked.method, asked.url())).collect();
    asked.retain(|asked| !asked.contains("one.test"));
    asked.sort();
    let expected = [
        "GET http://no-head.test/fine",
        "GET http://no-head.test/gone",
        "HEAD http://no-head.test/fine",
        "HEAD http://no-head.test/gone",
        "HEAD http://other.test/back",
        "HEAD http://other.test/fine",
        "HEAD http://other.test/gone",
    ];
    assert_eq!(asked, expected);
}
