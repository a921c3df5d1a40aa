//! Redirects: each hop is a request of its own, with its own permit, ledger entry and scope check.

mod crawls;
mod recorder;

use std::time::Duration;

use actix_crawler::{Politeness, RobotsPolicy, prelude::*, settings::Override};
use crawls::{CONTACT, MS, crawl, run, run_logged};
use recorder::{Answer, Arrivals, Asked, Recorder};

/// `/n` redirects to `/n+1`; `/end` is a page.
fn chain(asked: &Asked) -> Answer {
    match asked.path[1..].parse::<u32>() {
        Ok(n) => Answer::redirect(format!("/{}", n + 1)),
        Err(_) => Answer::ok(""),
    }
}

#[test]
fn twenty_hops_are_followed_and_the_next_is_not() {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/20" if asked.host == "twenty.test" => Answer::ok(""),
        _ => chain(asked),
    });
    let (report, log) = run_logged(crawl(&site).seeds(["http://twenty.test/0", "http://more.test/0"]));
    let paths: Vec<String> = (0..=20).map(|n| format!("/{n}")).collect();
    for (host, asked) in site.by_host() {
        assert_eq!(asked.iter().map(|asked| asked.path.clone()).collect::<Vec<_>>(), paths, "{host}");
    }
    let ledger = report.stats.ledger;
    assert_eq!((ledger.discovered, ledger.done, ledger.failed), (42, 41, 1), "{report}");
    assert_eq!(
        (report.pages(), report.stats.get("outcome/redirect"), report.stats.get("outcome/redirect_loop")),
        (1, 40, 1)
    );
    let end = log.iter().find(|line| line.outcome == "redirect_loop").unwrap();
    assert_eq!((end.url.as_str(), end.detail.as_str()), ("http://more.test/20", "over 20 redirects in a row"));
}

#[test]
fn a_loop_ends_where_it_closes() {
    let site = Recorder::start(|asked| match asked.url().as_str() {
        "http://self.test/" => Answer::redirect("/"),
        "http://fragment.test/" => Answer::redirect("/#top"),
        "http://two.test/" => Answer::redirect("http://two.test/b"),
        "http://two.test/b" => Answer::redirect("http://two.test/"),
        "http://three.test/" => Answer::redirect("http://half.test/"),
        "http://half.test/" => Answer::redirect("http://way.test/"),
        "http://way.test/" => Answer::redirect("http://three.test/"),
        _ => Answer::ok(""),
    });
    let seeds = ["self", "fragment", "two", "three"].map(|name| format!("http://{name}.test/"));
    let report = run(crawl(&site).seeds(seeds));
    let mut once = site.sorted_urls();
    once.dedup();
    assert_eq!(site.count(), once.len(), "nothing is asked for twice");
    assert_eq!(site.count(), 7);
    assert_eq!((report.failed(), report.stats.get("outcome/redirect_loop")), (4, 4), "{report}");
}

#[test]
fn a_hop_to_another_domain_waits_for_that_domains_permit() {
    const FROM: Duration = Duration::from_millis(10);
    const TO: Duration = Duration::from_millis(120);
    let site = Recorder::start(|asked| match asked.host.as_str() {
        "to.test" => Answer::ok(""),
        _ => Answer::redirect(format!("http://to.test{}", asked.path)),
    });
    let politeness = Politeness {
        spacing: Some(FROM),
        robots: RobotsPolicy::Ignore,
        overrides: vec![Override { domain: "to.test".into(), spacing: Some(TO), ..Override::default() }],
        ..Politeness::default()
    };
    let hops = (0..12).map(|n| format!("http://from{}.test/{n}", n % 4));
    let own = (12..15).map(|n| format!("http://to.test/{n}"));
    let report = run(crawl(&site).politeness(politeness).seeds(hops).seeds(own));
    let to = &site.by_host()["to.test"];
    assert_eq!((to.len(), report.pages()), (15, 15), "{report}");
    assert!(Arrivals::of(to).smallest_gap() >= TO, "{:?}", Arrivals::of(to).smallest_gap());
    assert!(to.iter().all(|asked| asked.in_flight == 1));
    let counted = report.stats.domains.iter().find(|(domain, _)| domain.as_str() == "to.test").unwrap().1;
    assert_eq!(counted.requests, 15);
}

#[test]
fn a_target_is_judged_like_any_link() {
    let site = Recorder::start(|asked| match asked.url().as_str() {
        "http://in.test/" => Answer::page(["/out", "/loop-mail", "/seen", "/deep/a/b"]),
        "http://in.test/out" => Answer::redirect("http://out.test/"),
        "http://in.test/loop-mail" => Answer::redirect("mailto:someone@in.test"),
        "http://in.test/seen" => Answer::redirect("http://in.test/"),
        "http://in.test/deep/a/b" => Answer::redirect("../c?d=e#f"),
        _ => Answer::ok(""),
    });
    let report = run(crawl(&site).within(Within::Domain).seed("http://in.test/"));
    let urls = site.sorted_urls();
    let expected =
        ["", "deep/a/b", "deep/c?d=e", "loop-mail", "out", "seen"].map(|path| format!("http://in.test/{path}"));
    assert_eq!(urls, expected, "a page that was seen is not asked for again, what is outside not at all");
    assert_eq!(report.stats.get("drop/scope/host"), 1, "{report}");
    assert_eq!(report.stats.get("drop/scope/scheme"), 1, "{report}");
    let ledger = report.stats.ledger;
    assert_eq!((ledger.discovered, ledger.done, ledger.dropped), (8, 6, 2), "{report}");
}

/// A redirect of a seed extends the scope, since the seed stands for the site that answers there; a redirect of a link
/// does not.
#[test]
fn a_seed_that_redirects_to_another_host_takes_that_host_into_the_scope() {
    let site = Recorder::start(|asked| match asked.url().as_str() {
        "http://old.test/" => Answer::redirect("http://between.test/"),
        "http://between.test/" => Answer::redirect("http://www.new.test/start"),
        "http://www.new.test/start" => Answer::page(["/a", "http://away.test/", "/leads-away"]),
        "http://www.new.test/leads-away" => Answer::redirect("http://elsewhere.test/"),
        _ => Answer::ok(""),
    });
    let report = run(crawl(&site).within(Within::Host).seed("http://old.test/"));
    let expected = ["between.test/", "old.test/", "www.new.test/a", "www.new.test/leads-away", "www.new.test/start"];
    assert_eq!(site.sorted_urls(), expected.map(|url| format!("http://{url}")));
    assert_eq!(report.stats.get("drop/scope/host"), 2, "{report}");
}

/// Regression: a link that came before the redirect was dropped for good, so a seed whose new home another seed links
/// to was not crawled, or not whole.
#[test]
fn what_is_crawled_does_not_depend_on_whether_a_seed_redirects_before_its_new_host_is_linked_to() {
    let crawled = |first: &'static str| {
        let site = Recorder::start(move |asked| {
            let answer = match asked.url().as_str() {
                "http://a.test/" => Answer::page(["http://new.test/", "http://new.test/p", "/more"]),
                "http://a.test/more" => Answer::page(["http://new.test/", "http://new.test/p"]),
                "http://old.test/" => Answer::redirect("http://new.test/"),
                "http://new.test/" => Answer::page(["/p"]),
                _ => Answer::ok(""),
            };
            answer.after(if asked.host == first || asked.host == "new.test" { Duration::ZERO } else { 300 * MS })
        });
        let report = run(crawl(&site).within(Within::Host).seeds(["http://a.test/", "http://old.test/"]));
        (site.sorted_urls(), report.stats.get("drop/scope/host"))
    };
    let expected =
        ["a.test/", "a.test/more", "new.test/", "new.test/p", "old.test/"].map(|url| format!("http://{url}"));
    for first in ["a.test", "old.test"] {
        assert_eq!(crawled(first), (expected.to_vec(), 0), "{first} answers first");
    }
}

#[test]
fn a_hop_costs_no_depth_and_no_page() {
    let site = Recorder::start(|asked| match asked.path[1..].split_once('/') {
        // Two redirects lead to each page.
        Some((n, "first")) => Answer::redirect(format!("/{n}/second")),
        Some((n, "second")) => Answer::redirect(format!("/{n}/page")),
        Some((n, "page")) => {
            let next = n.parse::<u32>().unwrap() + 1;
            Answer::page([format!("/{next}/first"), format!("/{next}/page?direct")])
        }
        _ => Answer::ok(""),
    });
    let deep = run(crawl(&site).max_depth(2).seed("http://deep.test/0/first"));
    assert_eq!(deep.pages(), 3 + 2, "{deep}");
    assert!(site.paths().iter().all(|path| !path.starts_with("/3")), "{:?}", site.paths());
    let (few, log) = run_logged(crawl(&site).max_pages(4).seed("http://few.test/0/first"));
    assert_eq!(few.pages(), 4, "{few}");
    let depth_of = |path: &str| log.iter().find(|line| line.url == format!("http://few.test{path}")).unwrap().depth;
    assert_eq!(["/0/first", "/0/second", "/0/page", "/1/first", "/1/second"].map(depth_of), [0, 0, 0, 1, 1]);
}

#[test]
fn what_a_request_carries_goes_along_and_credentials_stay_behind() {
    let site = Recorder::start(|asked| match asked.host.as_str() {
        "a.test" => Answer::redirect("http://b.test/"),
        _ => Answer::ok(""),
    });
    let seed = Request::parse("http://a.test/").unwrap();
    let seed =
        seed.header("Authorization", "Bearer x").header("Cookie", "k=v").header("X-Tenant", "7").header("X-Own", "y");
    let states = Collect::new();
    let spider = |page: &Response| Ok(Parsed::of(page.state::<u32>()?));
    let crawler = Crawler::new(spider, CONTACT)
        .conducts(&actix_crawler::Conducts::new())
        .resolve(site.rule())
        .allow_private()
        .ignore_robots();
    let crawler = crawler.within(Within::Any).rate(Rate::UNLIMITED).pipeline(states.clone());
    run(crawler.secret_header("x-tenant").request(seed.with_state(&7_u32).unwrap()));
    let asked = site.asked();
    let carried = |at: usize| ["authorization", "cookie", "x-tenant", "x-own"].map(|name| asked[at].header(name));
    assert_eq!(carried(0), [Some("Bearer x"), Some("k=v"), Some("7"), Some("y")]);
    assert_eq!(carried(1), [None, None, None, Some("y")]);
    assert_eq!(states.take(), [7]);
}

/// A page that is the target of two redirects, and linked itself, is fetched once.
#[test]
fn many_ways_to_one_page_are_one_page() {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/" => Answer::page((0..10).map(|n| format!("/to-page/{n}"))),
        "/page" => Answer::ok("").after(50 * MS),
        _ => Answer::redirect("/page"),
    });
    let report = run(crawl(&site).per_domain(8).seed("http://one.test/"));
    assert_eq!(site.paths().iter().filter(|path| *path == "/page").count(), 1);
    assert_eq!((report.pages(), report.stats.ledger.discovered, report.stats.items), (2, 12, 2), "{report}");
}

/// The site's session has expired: each page leads to the login, which was seen. The crawl ended with "10 done", and
/// nothing said that nine pages were lost.
#[test]
fn redirects_to_what_was_seen_are_counted_and_their_target_is_named() {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/" => {
            Answer::page((0..9).map(|n| format!("/page/{n}")).chain(["/login".into(), "/out".into(), "/outer".into()]))
        }
        "/login" => Answer::ok(""),
        "/out" | "/outer" => Answer::redirect("http://out.test/"),
        _ => Answer::redirect("/login"),
    });
    let (report, log) = run_logged(crawl(&site).within(Within::Host).seed("http://one.test/"));
    assert_eq!(report.stats.get("redirects/already_seen"), 9 + 1, "what was dropped before is lost as well: {report}");
    assert_eq!(report.stats.get("drop/scope/host"), 1, "{report}");
    let targets: Vec<_> = report.stats.redirects_to_seen.iter().map(|to| (to.url.as_str(), to.times)).collect();
    assert_eq!(targets, [("http://one.test/login", 9), ("http://out.test/", 1)]);
    let text = report.to_string();
    let shown: Vec<_> = text.lines().skip_while(|line| !line.starts_with("redirects to seen URLs")).take(2).collect();
    assert!(shown[0].ends_with(" 10") && shown[1].ends_with(" 9  http://one.test/login"), "{text}");
    let said = log.iter().filter(|line| line.detail == "302 http://one.test/login, already seen").count();
    assert_eq!(said, 9, "{log:?}");
}

/// The log-in page of each was another URL, which was read as a page, and nothing said that the session had expired.
#[test]
fn a_session_that_expires_is_told_also_where_nothing_names_the_page_to_log_in_at() {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/" => Answer::page((0..40).map(|n| format!("/orders/{n}"))),
        path if path.starts_with("/orders/") && asked.index > 25 => Answer::redirect(format!("/login?next={path}")),
        path if path.starts_with("/moved/") => Answer::redirect("/home"),
        "/moved" => Answer::page((0..40).map(|n| format!("/moved/{n}"))),
        _ => Answer::ok(""),
    });
    let report = run(crawl(&site).seed("http://one.test/"));
    let [warning] = &report.warnings[..] else { panic!("{report}") };
    let says = "URLs redirect to http://one.test/login, so their pages were not read: the session has expired";
    assert!(warning.contains(says) && warning.contains("blocked_at(\"/login\")"), "{warning}");
    let report = run(crawl(&site).seed("http://one.test/moved"));
    assert!(report.warnings.is_empty(), "{report}");
}

/// A page that sends its readers on.
fn refresh(value: &str) -> Answer {
    Answer::ok(format!(
        "<meta http-equiv=Refresh content=\"{value}\"><title>one moment</title><a href=/aside>aside</a>"
    ))
    .header("content-type", "text/html")
}

/// HTML standard, §4.2.5.3 and §7.4.6.1; the spider sees the target in place of the page, as in Scrapy.
#[test]
fn a_page_that_sends_its_readers_on_within_five_seconds_is_a_redirect() {
    let site = Recorder::start(|asked| match (asked.host.as_str(), asked.path.as_str()) {
        (_, "/next") => Answer::ok(""),
        ("now.test", "/") => refresh("0; url=/next"),
        ("soon.test", "/") => refresh("5;URL='next'"),
        ("header.test", "/") => Answer::ok("text").header("refresh", "1; url=/next"),
        ("created.test", "/") => Answer::status(201).header("refresh", "0;/next"),
        ("late.test", "/") => refresh("6; url=/next"),
        ("itself.test", "/") => refresh("0; url=/#top"),
        ("circle.test", "/") => refresh("0; url=/back"),
        ("circle.test", "/back") => refresh("0; url=/"),
        ("missing.test", "/") => Answer { status: 404, ..refresh("0; url=/next") },
        ("mail.test", "/") => refresh("0; url=mailto:me@mail.test"),
        _ => Answer::ok(""),
    });
    let hosts = ["now", "soon", "header", "created", "late", "itself", "circle", "missing", "mail"];
    let (report, log) = run_logged(crawl(&site).seeds(hosts.map(|host| format!("http://{host}.test/"))));
    let expected = [
        ("circle.test", "/ /back /aside"),
        ("created.test", "/ /next"),
        ("header.test", "/ /next"),
        ("itself.test", "/ /aside"),
        ("late.test", "/ /aside /next"),
        ("mail.test", "/ /aside"),
        ("missing.test", "/"),
        ("now.test", "/ /next"),
        ("soon.test", "/ /next"),
    ];
    let asked: Vec<_> = site.by_host().into_iter().collect();
    let asked: Vec<_> = asked
        .iter()
        .map(|(host, asked)| (&**host, asked.iter().map(|asked| &*asked.path).collect::<Vec<_>>().join(" ")))
        .collect();
    assert_eq!(asked, expected.map(|(host, paths)| (host, paths.to_owned())));
    assert_eq!((report.stats.get("redirects/refresh"), report.stats.get("outcome/redirect")), (5, 5), "{report}");
    let line = log.iter().find(|line| line.url == "http://now.test/").unwrap();
    assert_eq!((&*line.outcome, &*line.detail), ("redirect", "200 refresh http://now.test/next"));
    let target = log.iter().find(|line| line.url == "http://now.test/next").unwrap();
    assert_eq!((target.depth, target.parent.as_deref()), (0, Some("http://now.test/")), "as with any redirect");
}

#[test]
fn a_refresh_that_is_ignored_is_a_page_that_links_there() {
    let site = Recorder::start(|asked| if asked.path == "/" { refresh("0; url=/next") } else { Answer::ok("") });
    let report = run(crawl(&site).ignore_refresh().seed("http://one.test/"));
    assert_eq!(site.paths(), ["/", "/aside", "/next"]);
    assert_eq!((report.pages(), report.stats.get("outcome/redirect")), (3, 0), "{report}");
}

#[test]
fn a_chain_of_refreshes_without_end_ends_after_twenty() {
    let site = Recorder::start(|asked| refresh(&format!("0; url=/{}", asked.path[1..].parse::<u32>().unwrap() + 1)));
    let report = run(crawl(&site).seed("http://one.test/0"));
    assert_eq!(site.count(), 21);
    assert_eq!((report.failed(), report.stats.get("outcome/redirect_loop")), (1, 1), "{report}");
}

#[test]
fn a_page_knows_the_urls_that_led_to_it_and_a_redirect_can_be_a_page() {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/old" => Answer::redirect("/older"),
        "/older" => Answer::redirect("/new"),
        _ => Answer::page(["/child"]),
    });
    let spider = |page: &Response| {
        let from: Vec<_> = page.redirected_from().map(str::to_owned).collect();
        let item = format!("{} {} from {from:?}", page.status(), page.url().path());
        Ok(Parsed::new().item(item).follow(page.links()))
    };
    let items = Collect::new();
    let crawler = crawls::crawl_with(spider, &site, actix_crawler::Settings::default()).per_domain(1);
    let kept = Request::parse("http://one.test/older").unwrap().no_redirects();
    run(crawler.pipeline(items.clone()).request(kept.priority(1)).seed("http://two.test/old"));
    let mut items = items.take();
    items.sort();
    assert_eq!(
        items,
        [
            "200 /child from []",
            r#"200 /new from ["http://two.test/old", "http://two.test/older"]"#,
            "302 /older from []"
        ]
    );
}

/// A page that sends its readers on is a redirect too, and one that was asked to keep its redirects is a page.
#[test]
fn a_request_that_keeps_its_redirects_gives_a_page_that_sends_its_readers_on_to_the_spider() {
    const META: &str = "<meta http-equiv=refresh content='0; url=/target'>here";
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/meta" => Answer::ok(META).header("content-type", "text/html"),
        "/header" => Answer::ok("here").header("refresh", "0; url=/target"),
        _ => Answer::ok("there"),
    });
    let spider = |page: &Response| Ok(Parsed::of([format!("{} {}", page.url().path(), page.status())]));
    for (path, is_kept) in [("/meta", true), ("/header", true), ("/meta", false), ("/header", false)] {
        let items = Collect::new();
        let request = Request::parse(&format!("http://one.test{path}")).unwrap();
        let request = if is_kept { request.no_redirects() } else { request };
        let crawler = crawls::crawl_with(spider, &site, actix_crawler::Settings::default());
        let report = run(crawler.pipeline(items.clone()).request(request));
        let expected = if is_kept { path } else { "/target" };
        assert_eq!(items.take(), [format!("{expected} 200")], "{path} {is_kept}");
        assert_eq!(report.stats.get("redirects/refresh"), u64::from(!is_kept), "{report}");
    }
}
