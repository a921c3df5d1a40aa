//! Sitemaps: which of them are requested, what they bring, what is left out and why, judged by what servers were asked.

#![allow(clippy::disallowed_methods, reason = "tests read clocks")]
#![cfg_attr(not(feature = "cli"), allow(unused_imports, reason = "some tests need the binary or a state"))]

mod crawls;
mod nginx;
mod recorder;

use std::{collections::BTreeSet, io::Write, path::Path, process::Command, sync::Arc, thread, time::Duration};

use actix_crawler::{Conducts, Report, Settings, prelude::*, settings::Sitemaps};
use crawls::{CONTACT, Links, links, read_log, run, run_logged};
use flate2::{Compression, write::GzEncoder};
use nginx::Nginx;
use recorder::{Answer, Asked, Recorder};
use serde::{Deserialize, Serialize};

const HOME: &str = "http://one.test/";

/// A crawl that obeys robots files and follows links within its seeds' domains.
fn crawl(site: &Recorder, sitemaps: Sitemaps) -> Crawler<Links> {
    Crawler::new(links as Links, CONTACT)
        .settings(Settings { sitemaps, ..Settings::default() })
        .conducts(&Conducts::new())
        .resolve(site.rule())
        .allow_private()
        .rate(Rate::UNLIMITED)
        .threads(2)
}

fn read_all() -> Sitemaps {
    Sitemaps { read: true, ..Sitemaps::default() }
}

fn urls(paths: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let urls = paths.into_iter().map(|path| format!("<url><loc>{}</loc></url>", path.as_ref()));
    format!("<?xml version='1.0'?><urlset>{}</urlset>", urls.collect::<String>())
}

fn index(paths: &[&str]) -> String {
    let files = paths.iter().map(|path| format!("<sitemap><loc>{path}</loc></sitemap>"));
    format!("<sitemapindex>{}</sitemapindex>", files.collect::<String>())
}

/// The paths that were asked for, sorted, without robots files.
fn asked(site: &Recorder) -> Vec<String> {
    let mut paths: Vec<_> = site.asked().iter().filter(|asked| asked.path != "/robots.txt").map(Asked::url).collect();
    paths.sort();
    paths
}

fn count(report: &Report, key: &str) -> u64 {
    report.stats.get(key)
}

#[test]
fn sitemaps_are_found_in_robots_txt_and_at_their_usual_place_and_their_pages_are_followed_within_the_scope() {
    let site = Recorder::start(|asked| match (asked.host.as_str(), asked.path.as_str()) {
        ("one.test", "/robots.txt") => Answer::ok(
            "User-agent: *\nDisallow: /private\nSitemap: http://cdn.test/maps/one.xml\nSitemap: /maps/index.xml",
        ),
        (_, "/robots.txt") => Answer::status(404),
        ("cdn.test", "/maps/one.xml") => {
            Answer::ok(urls(["http://one.test/a", "http://cdn.test/x", "http://one.test/private/p"]))
        }
        ("one.test", "/maps/index.xml") => {
            Answer::ok(index(&["1.xml", "http://cdn.test/maps/2.xml", "http://one.test/maps/index.xml"]))
        }
        ("one.test", "/maps/1.xml") => Answer::ok(urls(["/b", "/c"])),
        ("one.test", "/sitemap.xml") => Answer::ok("http://one.test/d\nhttp://one.test/a\n"),
        ("one.test", "/" | "/a" | "/b" | "/c" | "/d") => Answer::page([""; 0]),
        _ => Answer::status(500),
    });
    let (report, log) = run_logged(crawl(&site, read_all()).seed(HOME));
    let expected: Vec<_> = ["http://cdn.test/maps/one.xml"]
        .into_iter()
        .map(str::to_owned)
        .chain(
            ["/", "/a", "/b", "/c", "/d", "/maps/1.xml", "/maps/index.xml", "/sitemap.xml"]
                .map(|path| format!("http://one.test{path}")),
        )
        .collect();
    assert_eq!(asked(&site), expected, "{report}");
    assert_eq!(report.pages(), 5, "a sitemap is no page: {report}");
    assert_eq!((count(&report, "sitemaps/read"), count(&report, "sitemaps/urls")), (4, 7), "{report}");
    // A page elsewhere, an index's file elsewhere that no robots file names.
    assert_eq!(count(&report, "drop/scope/host"), 2, "{report}");
    assert_eq!(count(&report, "drop/robots/disallowed"), 1, "{report}");
    let listed = log.iter().find(|line| line.url == "http://one.test/b").unwrap();
    assert_eq!((listed.depth, listed.parent.as_deref()), (1, Some("http://one.test/maps/1.xml")));
    assert!(log.iter().any(|line| line.url.ends_with("/sitemap.xml") && line.outcome == "sitemap/ok" && line.is_final));
}

#[test]
fn where_nothing_is_named_the_usual_places_are_tried_one_by_one_and_a_missing_one_is_no_failure() {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/sitemap.xml" => Answer::redirect("/"),
        // A page in place of "not found".
        "/sitemap_index.xml" => {
            Answer::ok("<!DOCTYPE html><title>Not here</title>").header("content-type", "text/html")
        }
        "/sitemap.txt" => Answer::ok("http://one.test/a"),
        "/" | "/a" => Answer::page([""; 0]),
        _ => Answer::status(404),
    });
    let report = run(crawl(&site, read_all()).seed(HOME));
    let paths = ["/", "/", "/a", "/sitemap.txt", "/sitemap.xml", "/sitemap.xml.gz", "/sitemap_index.xml"];
    assert_eq!(asked(&site), paths.map(|path| format!("http://one.test{path}")), "{report}");
    assert_eq!((report.pages(), report.failed()), (2, 0), "the home page is crawled all the same: {report}");
    assert_eq!((count(&report, "sitemaps/missing"), count(&report, "sitemaps/read")), (3, 1), "{report}");
}

#[test]
fn an_error_of_a_sitemap_is_shown_and_costs_no_page() {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/robots.txt" => {
            Answer::ok(["gone", "html", "bomb", "cut", "deep"].map(|name| format!("Sitemap: /{name}.xml\n")).concat())
        }
        "/html.xml" => Answer::ok("<html><body>Sorry</body></html>"),
        "/bomb.xml" => Answer::ok(
            "<!DOCTYPE x [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]><urlset><url><loc>/&b;</loc></url></urlset>",
        ),
        "/cut.xml" => Answer::ok("<urlset><url><loc>/a</loc></url><url><loc>/b</loc></url><url><loc>/c"),
        "/deep.xml" => Answer::ok("<urlset>".repeat(40_000)),
        "/" | "/a" | "/b" => Answer::page([""; 0]),
        _ => Answer::status(404),
    });
    let report = run(crawl(&site, read_all()).seed(HOME));
    assert_eq!((report.pages(), report.failed()), (3, 5), "{report}");
    assert_eq!((count(&report, "failed/sitemap/parse"), count(&report, "failed/sitemap/status")), (4, 1), "{report}");
    assert_eq!(count(&report, "sitemaps/failed"), 5, "{report}");
    let text = report.to_string();
    assert!(text.contains("sitemap/status") && text.contains("http://one.test/gone.xml: 404"), "{text}");
}

#[test]
fn what_is_left_out_is_counted_with_its_reason() {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/robots.txt" => Answer::ok("Sitemap: /0.xml"),
        "/0.xml" => Answer::ok(index(&["/1.xml", "/pages.xml", "/skip.xml"])),
        "/1.xml" => Answer::ok(index(&["/2.xml"])),
        "/2.xml" => Answer::ok(index(&["/3.xml"])),
        "/pages.xml" => Answer::ok(
            "<urlset>
                <url><loc>/old</loc><lastmod>2025-01-01</lastmod></url>
                <url><loc>/new</loc><lastmod>2026-01-01</lastmod><priority>0.9</priority></url>
                <url><loc>/minor</loc><priority>0.1</priority></url>
                <url><loc>/tag/x</loc></url>
                <url><loc>mailto:me@one.test</loc></url>
                <url><loc>/one</loc></url><url><loc>/two</loc></url><url><loc>/three</loc></url>
            </urlset>",
        ),
        _ => Answer::page([""; 0]),
    });
    let sitemaps = Sitemaps {
        since: Some("2025-06".parse().unwrap()),
        min_priority: Some(0.5),
        deny: vec!["/tag/".parse().unwrap()],
        files: vec![r"/[0-9]\.xml|pages".parse().unwrap()],
        max_nesting: 2,
        max_urls: 6,
        ..read_all()
    };
    let report = run(crawl(&site, sitemaps).seed(HOME));
    let paths = ["/", "/0.xml", "/1.xml", "/2.xml", "/new", "/one", "/pages.xml", "/sitemap.xml", "/two"];
    assert_eq!(asked(&site), paths.map(|path| format!("http://one.test{path}")), "{report}");
    for (reason, urls) in [
        ("sitemap/older", 1),
        ("sitemap/priority", 1),
        ("sitemap/rule", 2),
        ("sitemap/nesting", 1),
        ("budget/urls_per_sitemap", 1),
        ("scope/scheme", 1),
    ] {
        assert_eq!(count(&report, &format!("drop/{reason}")), urls, "{reason}: {report}");
    }
}

#[test]
fn what_is_broken_within_a_sitemap_costs_no_page_after_it_and_is_counted() {
    let long = "x".repeat(1 << 21);
    let broken = format!(
        "<urlset><url><loc>/caf&eacute;</loc></url><url><loc>{long}</loc></url><!--{long}--><url><loc></loc></url>{}<!x>\
         <url {long}='{long}'><loc>/b</loc></url><url><loc>http://[</loc></url>{}<url><loc>/c</loc></url></urlset>",
        "<deep>".repeat(1_000),
        "</wide>".repeat(1_000)
    );
    let site = Recorder::start(move |asked| match asked.path.as_str() {
        "/robots.txt" => Answer::ok("Sitemap: /maps.xml"),
        "/maps.xml" => Answer::ok(broken.clone()),
        _ => Answer::ok("page"),
    });
    let report = run(crawl(&site, read_all()).seed(HOME));
    assert_eq!(
        asked(&site),
        ["/", "/b", "/c", "/caf%C3%A9", "/maps.xml", "/sitemap.xml"].map(|path| format!("http://one.test{path}")),
        "{report}"
    );
    assert_eq!((count(&report, "sitemaps/urls"), count(&report, "sitemaps/unreadable")), (3, 2), "{report}");
    assert_eq!((count(&report, "drop/scope/url_length"), report.failed()), (1, 0), "{report}");
    assert!(report.to_string().contains("unreadable in sitemaps"), "{report}");
}

#[test]
fn a_domain_with_endless_sitemaps_is_read_up_to_the_bound() {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/robots.txt" => Answer::ok("Sitemap: /0.xml"),
        "/sitemap.xml" => Answer::status(404),
        // Each names the next ten.
        path if path.ends_with(".xml") => {
            let number: u64 = path[1..path.len() - 4].parse().unwrap();
            let next: Vec<_> = (1..=10).map(|n| format!("/{}.xml", number * 10 + n)).collect();
            Answer::ok(index(&next.iter().map(String::as_str).collect::<Vec<_>>()))
        }
        _ => Answer::page([""; 0]),
    });
    let sitemaps = Sitemaps { max_files_per_domain: 30, max_nesting: 200, ..read_all() };
    let report = run(crawl(&site, sitemaps).seed(HOME));
    // The home page, and the robots file.
    assert_eq!(site.count(), 32, "{report}");
    assert!(count(&report, "drop/budget/sitemap_files") > 200, "{report}");
}

#[test]
fn a_rule_makes_the_requests_with_their_state_and_its_panic_fails_the_file_alone() {
    #[derive(Clone, Serialize, Deserialize)]
    enum Kind {
        Product(u32),
    }
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/good.xml" => Answer::ok(urls(["/p/1", "/p/2", "/about"])),
        "/bad.xml" => Answer::ok(urls(["/panic"])),
        _ => Answer::page([""; 0]),
    });
    let products = |page: &Response| Ok(Parsed::of(page.state::<Kind>()?));
    let items = Collect::new();
    let crawler = Crawler::new(products, CONTACT)
        .conducts(&Conducts::new())
        .resolve(site.rule())
        .allow_private()
        .ignore_robots()
        .rate(Rate::UNLIMITED)
        .sitemap("http://one.test/good.xml")
        .sitemap("http://one.test/bad.xml")
        .sitemap_rule(|entry| match entry.url.path().split_once("/p/") {
            Some((_, id)) => Request::get(entry.url.clone()).with_state(&Kind::Product(id.parse().unwrap())).ok(),
            None if entry.url.path() == "/panic" => panic!("on purpose"),
            None => None,
        })
        .pipeline(items.clone());
    let report = run(crawler);
    let mut found: Vec<_> = items.take().into_iter().map(|Kind::Product(id)| id).collect();
    found.sort_unstable();
    assert_eq!(found, [1, 2], "{report}");
    assert_eq!((count(&report, "drop/sitemap/rule"), count(&report, "failed/sitemap/panic")), (1, 1), "{report}");
}

#[test]
fn each_file_takes_a_permit_of_its_domain() {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/robots.txt" => Answer::ok("Sitemap: /0.xml"),
        "/0.xml" => Answer::ok(index(&["/1.xml", "/2.xml", "/3.xml"])),
        "/1.xml" | "/2.xml" | "/3.xml" => Answer::ok(urls([asked.path.replace(".xml", "")])),
        _ => Answer::page([""; 0]),
    });
    let spacing = Duration::from_millis(60);
    let report = run(crawl(&site, read_all()).seed(HOME).rate(Rate::UNLIMITED).spacing(spacing));
    // Robots file, five sitemaps, four pages.
    assert_eq!(site.count(), 10, "{report}");
    let gap = site.arrivals().smallest_gap();
    assert!(gap >= spacing - Duration::from_millis(1), "{gap:?}");
}

#[test]
fn a_large_sitemap_comes_whole_and_neither_twice_nor_out_of_the_ledger() {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/robots.txt" => Answer::ok("Sitemap: /big.xml\nSitemap: /same.xml"),
        "/big.xml" | "/same.xml" => Answer::ok(urls((0..5_500).map(|n| format!("/{n}")))),
        _ => Answer::page([""; 0]),
    });
    let report = run(crawl(&site, read_all()).seed(HOME));
    let asked: BTreeSet<_> = site.paths().into_iter().collect();
    assert_eq!((site.count(), asked.len()), (5_505, 5_505), "{report}");
    assert_eq!(report.pages(), 5_501, "{report}");
    assert_eq!(count(&report, "sitemaps/urls"), 11_000, "{report}");
}

#[cfg(feature = "disk")]
#[test]
fn a_second_run_fetches_what_its_sitemaps_say_has_changed_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let site = Recorder::start(|asked| {
        let (past, future) = ("2001-01-01", humantime::format_rfc3339_seconds(std::time::SystemTime::now()));
        match asked.path.as_str() {
            "/sitemap.xml" => Answer::ok(format!(
                "<urlset><url><loc>/still</loc><lastmod>{past}</lastmod></url>
                 <url><loc>/changed</loc><lastmod>{future}</lastmod></url><url><loc>/undated</loc></url></urlset>"
            )),
            "/robots.txt" => Answer::status(404),
            _ => Answer::page([""; 0]),
        }
    });
    let once = || {
        let before = site.count();
        let report = run(crawl(&site, read_all()).seed(HOME).revisit_modified().state(dir.path()));
        let mut paths = site.paths().split_off(before);
        paths.retain(|path| path != "/robots.txt");
        paths.sort();
        (paths, report)
    };
    assert_eq!(once().0, ["/", "/changed", "/sitemap.xml", "/still", "/undated"]);
    // Times are whole seconds.
    thread::sleep(Duration::from_secs(2));
    let (paths, report) = once();
    assert_eq!(paths, ["/changed", "/sitemap.xml"], "{report}");
    assert_eq!(count(&report, "drop/sitemap/unchanged"), 1, "{report}");
}

/// A site as sites are: an index in robots.txt, half of its files as gzip, dates, images, translations, a page in
/// Latin-1 names, a feed and a list of URLs. Returns the paths of its pages.
fn build_site(www: &Path, origin: &str) -> BTreeSet<String> {
    let mut pages = BTreeSet::new();
    let write = |name: &str, bytes: &[u8]| {
        let path = www.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    let mut page = |path: String| {
        write(&path, format!("<title>{path}</title><p>A page.").as_bytes());
        pages.insert(format!("/{path}"));
        format!("{origin}/{path}")
    };
    let mut files = Vec::new();
    for file in 0..8 {
        let entries: String = (0..40)
            .map(|n| {
                let url = page(format!("{file}/{n}.html"));
                format!(
                    "<url>\n<loc>\n {url} </loc><lastmod>20{:02}-0{}-11</lastmod><priority>0.{n:02}</priority>\
                     <xhtml:link rel='alternate' hreflang='de' href='{url}?de'/>\
                     <image:image><image:loc>{url}.png</image:loc></image:image></url>",
                    20 + file % 6,
                    1 + n % 9
                )
            })
            .collect();
        let text = format!(
            "\u{feff}<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<urlset xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\" \
             xmlns:xhtml=\"http://www.w3.org/1999/xhtml\" xmlns:image=\"http://www.google.com/schemas/sitemap-image/1.1\">\
             {entries}</urlset>"
        );
        if file % 2 == 0 {
            let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
            gzip.write_all(text.as_bytes()).unwrap();
            write(&format!("maps/{file}.xml.gz"), &gzip.finish().unwrap());
            files.push(format!("{origin}/maps/{file}.xml.gz"));
        } else {
            write(&format!("maps/{file}.xml"), text.as_bytes());
            files.push(format!("{origin}/maps/{file}.xml"));
        }
    }
    let feed: String =
        (0..5).map(|n| format!("<item><link>{}</link></item>", page(format!("news/{n}.html")))).collect();
    write("feed.xml", format!("<rss version='2.0'><channel><link>{origin}/</link>{feed}</channel></rss>").as_bytes());
    let list: String = (0..5).map(|n| page(format!("list/{n}.html")) + "\n").collect();
    write("urls.txt", list.as_bytes());
    let inner: Vec<_> = files.split_off(4);
    let names = |files: &[String]| index(&files.iter().map(String::as_str).collect::<Vec<_>>());
    write("maps/inner.xml", names(&inner).as_bytes());
    files.push(format!("{origin}/maps/inner.xml"));
    write("maps/index.xml", names(&files).as_bytes());
    let robots = format!(
        "User-agent: *\nDisallow:\n\nsitemap:{origin}/maps/index.xml\nSitemap: {origin}/feed.xml # news\nSITEMAP : {origin}/urls.txt\n"
    );
    write("robots.txt", robots.as_bytes());
    write("index.html", b"<title>Home</title>");
    pages.insert("/".to_owned());
    pages
}

#[test]
fn a_site_behind_nginx_is_crawled_by_its_sitemaps_alone() {
    let files = tempfile::tempdir().unwrap();
    let www = files.path().join("www");
    std::fs::create_dir(&www).unwrap();
    // The sitemaps name the port, which is known only when nginx listens.
    let nginx = Nginx::serve(files);
    let origin = format!("http://127.0.0.7:{}", nginx.port);
    let pages = build_site(&www, &origin);
    let log = nginx.files.path().join("log.jsonl");
    let report: Arc<Report> = run(Crawler::new(links as Links, CONTACT)
        .conducts(&Conducts::new())
        .allow_private()
        .rate(Rate::UNLIMITED)
        .seed(format!("{origin}/"))
        .sitemaps()
        .log(&log));
    let fetched: BTreeSet<_> = read_log(&log)
        .into_iter()
        .filter(|line| line.outcome == "ok")
        .map(|line| line.url[origin.len()..].to_owned())
        .collect();
    assert_eq!(fetched, pages, "{report}");
    assert_eq!((count(&report, "sitemaps/read"), count(&report, "sitemaps/missing")), (12, 1), "{report}");
    // What nginx itself says: each page and each file once.
    let asked = nginx.asked();
    assert_eq!(asked.len(), pages.len() + 12 + 2, "{asked:?}");
    assert_eq!(asked.iter().collect::<BTreeSet<_>>().len(), asked.len(), "{asked:?}");
}

#[cfg(feature = "cli")]
#[test]
fn the_command_prints_what_is_listed_and_says_what_was_not_read() {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/robots.txt" => Answer::ok("Sitemap: /a.xml\nSitemap: /gone.xml"),
        "/a.xml" => Answer::ok(
            "<urlset><url><loc>/1</loc><lastmod>2026-02-01</lastmod><priority>0.8</priority></url>
             <url><loc>/2</loc><lastmod>2020</lastmod></url></urlset>",
        ),
        _ => Answer::status(404),
    });
    let command = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_actix-crawler"))
            .args(["sitemap", "--allow-private", "--delay", "1ms"])
            .args(arguments)
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (text(&output.stdout), text(&output.stderr), output.status.code())
    };
    let (stdout, stderr, code) = command(&[&site.url("/")]);
    assert_eq!(stdout, format!("{}\n{}\n", site.url("/1"), site.url("/2")), "{stderr}");
    assert!(stderr.contains("pages listed: 2, sitemaps read: 1") && stderr.contains("gone.xml: 404"), "{stderr}");
    assert_eq!(code, Some(3), "{stderr}");

    let (stdout, stderr, code) = command(&[&site.url("/a.xml"), "--json", "--since", "2026"]);
    let line = format!(r#"{{"lastmod":"2026-02-01","priority":0.8,"url":"{}"}}"#, site.url("/1"));
    assert_eq!((stdout.trim(), code), (&*line, Some(0)), "{stderr}");
    assert!(stderr.contains("1 left out: sitemap/older"), "{stderr}");

    let (stdout, stderr, code) = command(&[&site.url("/none.xml")]);
    assert_eq!((stdout.as_str(), code), ("", Some(3)), "{stderr}");
    assert_eq!(command(&["http://127.0.0.1/", "--since", "yesterday"]).2, Some(2));
}
