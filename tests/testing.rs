//! The module `testing`, as the tests of programs use it: whole crawls in virtual time, exact to the millisecond.
#![cfg(feature = "testing")]
#![allow(clippy::disallowed_methods, reason = "tests read clocks")]

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use actix_crawler::{
    Politeness, Rate, Retry, Settings, ThrottledClient, client,
    prelude::*,
    report::Ended,
    testing::{Answer, Arrival, Crawled, Run, Site},
};
use tokio::time::sleep;

const AGENT: &str = "testingtest/1.0 (+https://example.org/bot)";
const S: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

type Links = fn(&Response) -> Result<Parsed<String>>;

fn links(page: &Response) -> Result<Parsed<String>> {
    Ok(Parsed::new().item(page.url().to_string()).follow(page.links()))
}

fn crawl(seed: &str) -> Crawler<Links> {
    Crawler::new(links as Links, AGENT).seed(seed)
}

/// A list with a page for each number below `pages`.
fn list(pages: u32) -> Site {
    Site::new("https://example.org").respond("/", move |arrival| {
        let page = arrival.query("page").and_then(|page| page.parse().ok()).unwrap_or(0);
        let next = (page + 1 < pages).then(|| format!("<a href='/?page={}'>next</a>", page + 1));
        Answer::html(next.unwrap_or_default())
    })
}

#[test]
fn an_hour_of_politeness_takes_no_time_and_is_exact() {
    let site = list(3_600);
    let began = Instant::now();
    let run = site.crawl(crawl("https://example.org/").ignore_robots()).unwrap();
    let took = began.elapsed();
    assert_eq!(run.items().len(), 3_600, "{}", run.report());
    // The second, and what the law adds for the network.
    assert!(run.gaps("example.org").iter().all(|gap| *gap == S + 2 * MS), "{run}");
    assert_eq!((run.elapsed(), run.report().stats.elapsed), (3_599 * (S + 2 * MS), run.elapsed()));
    // An hour in real time; this judges only that nothing waits for it.
    assert!(took < Duration::from_secs(60), "{took:?}");
}

/// Many domains that link to each other, some of which fail, are slow, or refuse.
fn many_domains() -> Site {
    let mut site = Site::new("https://d0.example").latency(30 * MS);
    for domain in 0..12 {
        let url = |path: String| format!("https://d{domain}.example{path}");
        let links = (0..12).flat_map(|to| [domain, domain + 3, domain + 5].map(|page| (to, page % 12)));
        let out: String = links.map(|(to, page)| format!("<a href=https://d{to}.example/{page}>x</a>")).collect();
        site = site.page(&url("/".into()), Answer::html(out.clone()).after(domain * 100 * MS));
        for page in 0..12 {
            let answer = match page % 6 {
                0 => Answer::status(500),
                1 => Answer::hang_up(),
                2 => Answer::redirect("/"),
                _ => Answer::html(out.clone()),
            };
            site = site.page(&url(format!("/{page}")), answer);
        }
    }
    site
}

#[test]
fn two_runs_are_the_same_to_the_millisecond() {
    let site = many_domains();
    let run = || site.crawl(crawl("https://d0.example/").within(Within::Any)).unwrap();
    let (one, other) = (run(), run());
    assert!(one.arrivals().len() > 100, "{one}");
    assert_eq!(lines(&one), lines(&other));
    assert_eq!(one.items(), other.items());
    for domain in 0..12 {
        one.assert_spaced(&format!("d{domain}.example"), S);
    }
}

fn lines<T>(run: &Run<T>) -> Vec<String> {
    run.arrivals().iter().map(ToString::to_string).collect()
}

#[test]
fn robots_files_redirects_and_refusals_are_obeyed_as_on_the_wire() {
    let site = Site::new("https://shop.example")
        .robots("User-agent: *\nDisallow: /admin\nCrawl-delay: 7")
        .page("/", "<a href=/old>old</a><a href=/admin>no</a><a href=/busy>busy</a>")
        .redirect("/old", "/new")
        .page("/new", "here")
        .answers("/busy", [Answer::status(429).with_header("retry-after", "120"), "now".into()]);
    let run = site.crawl(crawl("https://shop.example/")).unwrap();
    run.assert_visited(["/", "/old", "/busy", "/busy", "/new"]);
    run.assert_never_asked("/admin");
    run.assert_spaced("shop.example", 7 * S);
    let [refused, again] = run.times("/busy")[..] else { panic!("{run}") };
    assert!(again - refused >= 120 * S, "{run}");
    assert_eq!(run.items().len(), 3, "{}", run.report());
    assert_eq!(run.items_of("/new"), ["https://shop.example/new"]);
    assert_eq!(run.report().ended, Ended::Finished);
}

#[test]
fn every_failure_of_a_server_is_the_one_that_the_wire_shows() {
    let site = Site::new("https://e.example")
        .page("/", "<a href=/silent>1</a><a href=/gone>2</a><a href=/half>3</a><a href=https://dead.example/>4</a><a href=https://unknown.example/>5</a><a href=http://10.0.0.1/>6</a>")
        .page("/silent", Answer::silence())
        .page("/gone", Answer::hang_up())
        .page("/half", Answer::html("x".repeat(1_000)).cut_short())
        .page("http://10.0.0.1/", "internal")
        .unreachable("https://dead.example/");
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log.jsonl");
    let once = Retry { attempts: 1, ..Retry::default() };
    let crawler = crawl("https://e.example/").settings(Settings { retry: once, ..Settings::default() });
    let run = site.crawl(crawler.ignore_robots().within(Within::Any).log(&log)).unwrap();
    let text = std::fs::read_to_string(log).unwrap();
    let outcome = |url: &str| {
        let line = text.lines().find(|line| line.contains(url) && line.contains("\"final\":true"));
        let line: serde_json::Value = serde_json::from_str(line.unwrap_or_else(|| panic!("{text}"))).unwrap();
        line["outcome"].as_str().unwrap().to_owned()
    };
    let urls = ["/silent", "/gone", "/half", "dead.example", "unknown.example", "10.0.0.1"];
    let expected = ["timeout", "truncated", "truncated", "connect", "dns", "private_address"];
    assert_eq!(urls.map(outcome), expected, "{text}");
    assert_eq!(run.items().len(), 1, "{}", run.report());
}

#[test]
fn a_client_is_paced_in_virtual_time_as_on_the_wire() {
    let site = Site::new("https://api.example").respond("/", |arrival| Answer::json(format!("{:?}", arrival.path())));
    let run = site.run(|| async {
        let client = ThrottledClient::new(AGENT, Rate::per_second(50))?;
        let requests = (0..500).map(|id| client.get(format!("https://api.example/{id}")));
        let statuses = client.execute(requests, |response| async move { Ok::<_, Error>(response.status()) }).await;
        Ok::<_, Error>(statuses.len())
    });
    let run = run.unwrap();
    assert_eq!(*run.output().as_ref().unwrap(), 500);
    let times: Vec<_> = run.arrivals().iter().map(Arrival::at).collect();
    // Never more than 50 in a second, wherever it begins.
    assert!(times.windows(51).all(|window| window[50] - window[0] >= S), "{run}");
    assert!((9_980 * MS..10_100 * MS).contains(&times[499]), "{run}");
}

#[test]
fn a_crawl_and_a_client_of_one_run_keep_their_limits_together() {
    let site = list(30);
    let run = site.run(|| async {
        let handle = crawl("https://example.org/").ignore_robots().start()?;
        let client = ThrottledClient::new(AGENT, Rate::per_second(50))?;
        for id in 0..20 {
            client.get(format!("https://example.org/?id={id}")).send().await?;
        }
        handle.wait().await
    });
    let run = run.unwrap();
    assert_eq!(run.output().as_ref().unwrap().pages(), 30);
    run.assert_spaced("example.org", S);
    assert_eq!(run.arrivals().len(), 50);
}

#[test]
fn a_run_shares_nothing_with_the_process_or_with_other_runs() {
    let site = list(2);
    let first = |_| site.crawl(crawl("https://example.org/").ignore_robots()).unwrap().arrivals()[0].at();
    assert_eq!([0, 1, 2].map(first), [Duration::ZERO; 3]);
}

#[test]
fn a_crawl_is_controlled_while_it_runs() {
    let site = list(u32::MAX);
    let run = site.run(|| async {
        let handle = crawl("https://example.org/").ignore_robots().start()?;
        sleep(10 * S + 500 * MS).await;
        handle.pause().await?;
        sleep(100 * S).await;
        handle.resume().await?;
        sleep(10 * S).await;
        handle.stop().await;
        handle.wait().await
    });
    let run = run.unwrap();
    assert_eq!(run.output().as_ref().unwrap().ended, Ended::Stopped);
    let longest = run.gaps("example.org").into_iter().max().unwrap();
    assert!((100 * S..=102 * S).contains(&longest), "{run}");
}

#[test]
fn an_abort_after_work_that_took_real_time_ends_as_on_the_wire() {
    fn slow(page: &Response) -> Result<Parsed<String>> {
        std::thread::sleep(1_500 * MS);
        links(page)
    }
    let run = list(u32::MAX).latency(300 * MS).run(|| async {
        let crawler = Crawler::new(slow, AGENT).seed("https://example.org/").rate(Rate::UNLIMITED);
        let handle = crawler.ignore_robots().start()?;
        // The second page is in flight.
        sleep(400 * MS).await;
        handle.abort().await;
        handle.wait().await
    });
    let report = run.unwrap().into_output().unwrap();
    assert_eq!((report.ended, report.pages()), (Ended::Aborted, 1), "{report}");
    assert!(report.complaints.is_empty() && report.ledger_adds_up, "{report}");
}

#[tokio::test]
async fn a_run_works_within_a_runtime() {
    assert_eq!(list(3).crawl(crawl("https://example.org/")).unwrap().items().len(), 3);
}

#[test]
fn a_crawl_that_waits_for_ever_ends_after_a_day_and_says_so() {
    let run = list(1).crawl(crawl("https://example.org/").stay_open()).unwrap();
    assert_eq!(run.elapsed(), Duration::from_secs(24 * 3_600));
    assert!(run.report().to_string().contains("1day"), "{}", run.report());
    assert!(list(1).run(std::future::pending::<()>).is_err());
}

#[test]
fn foreign_code_in_a_run_fails_as_in_a_crawl_and_the_run_goes_on() {
    fn spider(page: &Response) -> Result<Parsed<String>> {
        match page.url().query() {
            Some("page=1") => panic!("no such page"),
            Some("page=2") => std::thread::sleep(Duration::from_secs(3)),
            _ => {}
        }
        links(page)
    }
    let settings = Settings { parse_timeout: 50 * MS, ..Settings::default() };
    let seeds = (0..4).map(|page| format!("https://example.org/?page={page}"));
    let crawler = Crawler::new(spider, AGENT).seeds(seeds).settings(settings).ignore_robots();
    let refuses_the_last = |item: &String| assert!(!item.ends_with('3'), "not this one");
    let run = list(0).crawl(crawler.each(refuses_the_last)).unwrap();
    assert_eq!(run.report().pages(), 1, "{}", run.report());
    assert!(run.report().ledger_adds_up, "{}", run.report());
}

#[test]
fn a_state_on_disk_is_refused_with_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let refused = list(1).crawl(crawl("https://example.org/").state(directory.path())).unwrap_err().to_string();
    assert!(refused.contains("virtual time"), "{refused}");
}

#[test]
fn a_function_that_answers_may_assert() {
    let site = Site::new("https://example.org").respond("/", |_| panic!("never ask"));
    let panic = catch_unwind(AssertUnwindSafe(|| site.crawl(crawl("https://example.org/").ignore_robots())));
    assert_eq!(panic.unwrap_err().downcast_ref::<&str>(), Some(&"never ask"));
}

#[test]
fn asserts_that_fail_say_what_happened_instead() {
    let run = list(3).crawl(crawl("https://example.org/").ignore_robots()).unwrap();
    let said = |assert: &dyn Fn(&Run<Crawled<String>>)| {
        let panic = catch_unwind(AssertUnwindSafe(|| assert(&run))).unwrap_err();
        panic.downcast_ref::<String>().unwrap().clone()
    };
    let visited = said(&|run| run.assert_visited(["/", "/other"]));
    for line in ["    /\n", "  ! /?page=1, expected /other\n", "  ! /?page=2, expected nothing more\n", "2.004 s"] {
        assert!(visited.contains(line), "{line} in {visited}");
    }
    assert!(said(&|run| run.assert_never_asked("/?page=2")).contains("2.004 s  GET https://example.org/?page=2 → 200"));
    assert!(said(&|run| run.assert_asked("/", 2)).contains("/ was asked for 1 times, expected 2"));
    assert!(said(&|run| run.assert_spaced("example.org", 2 * S)).contains("were 1.002s apart, less than 2s"));
    assert!(said(&|run| run.assert_spaced("other.example", S)).contains("fewer than two requests"));
}

/// An API whose answers take 0.8 s, with a page of three items for each number.
#[test]
fn the_answers_of_an_api_are_written_to_a_feed_as_they_come_at_its_exact_rate() {
    let site = Site::new("https://api.example").latency(800 * MS).respond("/items/", |arrival| {
        let page: u32 = arrival.path()["/items/".len()..].parse().unwrap();
        match page {
            7 => Answer::status(404),
            8 => Answer::json(r#"[{"id": 24, "price": 1.5, "more": true}, {"id": 25, "price": 2.5}]"#),
            _ => Answer::json(format!(
                r#"[{{"id": {}, "price": 0.5}}, {{"id": {}, "price": 1.5}}]"#,
                3 * page,
                3 * page + 1
            )),
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let (file, missing) = (folder.path().join("items.csv"), folder.path().join("none/items.csv"));
    let run = site.run(|| async {
        let client = ThrottledClient::new(AGENT, Rate::per_second(50))?;
        let pages = || (0..300).map(|page| client.get(format!("https://api.example/items/{page}")));
        let read = |response: client::Response| async move { response.error_for_status()?.json::<serde_json::Value>() };
        let refused = client.execute(pages(), read).write_to(Feed::to(&*missing)).await;
        let written = client.execute(pages(), read).write_to(Feed::to(&*file)).await?;
        let added = client.execute(pages().take(1), read).write_to(Feed::to(&*file).append()).await?;
        Ok::<_, Error>((refused, written, added))
    });
    let run = run.unwrap();
    let times: Vec<_> = run.arrivals().iter().map(Arrival::at).collect();
    assert_eq!(times.len(), 301, "where nothing can be written, nothing is asked for");
    assert!(times.windows(51).all(|window| window[50] - window[0] >= S), "{run}");
    assert!(times[299] < 6_100 * MS, "{:?}", times[299]);

    let (refused, written, added) = run.into_output().unwrap();
    assert!(refused.unwrap_err().to_string().contains("none"));
    assert_eq!((written.items, written.failed, added.items), (597, 2, 2));
    let told = |place: usize| written.failures.iter().find(|(index, _)| *index == place).unwrap().1.to_string();
    assert!(told(7).contains("answered 404") && told(8).contains("more"), "{} {}", told(7), told(8));
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("id,price\n") && text.lines().count() == 600, "{text}");
    assert!(text.contains("\n25,2.5\n") && !text.contains("\n24,"), "an item that is refused, beside one that is not");
}

/// The answers of a site that takes 0.75 s for each.
fn slow_site(first: &str) -> Site {
    let listed: String = (0..300).map(|page| format!("<a href=/{page}>x</a>")).collect();
    let site = Site::new("https://example.org").latency(750 * MS).page("/list", listed).page("/alone", "");
    site.page("/", format!("<a href={first}>x</a>")).respond("/", |arrival| {
        let page: u32 = arrival.path()[1..].parse().unwrap_or(0);
        let next = arrival.query("next").is_some().then(|| format!("<a href=/{}?next=1>next</a>", page + 1));
        Answer::html(next.filter(|_| page < 30).unwrap_or_default())
    })
}

/// A crawl of 300 pages at 50/s made 1.3 requests a second, and nothing said why.
#[test]
fn a_rate_that_one_request_at_a_time_cannot_reach_is_told() {
    let run = |first: &str, crawler: Crawler<Links>| slow_site(first).crawl(crawler.ignore_robots()).unwrap();
    let fast = || crawl("https://example.org/").rate(Rate::per_second(50));

    let slow = run("/list", fast());
    let [warning] = &slow.report().warnings[..] else { panic!("{}", slow.report()) };
    for words in ["example.org", "rate of 50/s", "allows 1 request at once", "per_domain() of 38"] {
        assert!(warning.contains(words), "it does not say {words}: {warning}");
    }
    assert!(slow.elapsed() >= 302 * 750 * MS, "{:?}", slow.elapsed());

    // With what the warning asks for it is reached.
    let reached = run("/list", fast().per_domain(38));
    assert!(reached.report().warnings.is_empty(), "{}", reached.report());
    assert!(reached.elapsed() < 9 * S && reached.gaps("example.org").iter().all(|gap| *gap >= 19 * MS), "{reached}");

    // Held by half of the places that it needs, and by a spacing instead of a rate; where nothing waits; and by
    // default.
    let half = run("/list", fast().per_domain(19));
    assert!(half.report().warnings[0].contains("allows 19 requests at once"), "{}", half.report());
    for (first, unhindered) in [
        ("/list", crawl("https://example.org/").spacing(20 * MS)),
        ("/list", crawl("https://example.org/").rate(Rate::per_second(1))),
        ("/1?next=1", fast()),
        ("/list", crawl("https://example.org/")),
    ] {
        let run = run(first, unhindered);
        assert!(run.report().warnings.is_empty() && run.items().len() > 25, "{first}: {}", run.report());
    }
}

#[test]
fn what_is_saved_is_read_as_a_page_and_as_a_site() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("page.response");
    let page = Answer::html("<h1>Grüße</h1>").with_header("set-cookie", "a=1").with_header("set-cookie", "b=2");
    let site = Site::new("https://example.org").page("/page", page.with_status(203));
    let saved = site.run(|| async {
        let client = ThrottledClient::new(AGENT, Rate::per_second(50))?;
        client.get("https://example.org/page").send().await?.save(&path)
    });
    saved.unwrap().into_output().unwrap();

    let page = Response::saved(&path).unwrap().with_state(&7_u8);
    assert_eq!((page.url().as_str(), page.status()), ("https://example.org/page", 203));
    assert_eq!(page.headers().get_all("set-cookie").iter().count(), 2);
    assert_eq!((page.text_of("h1").unwrap(), page.state::<u8>().unwrap()), ("Grüße".to_owned(), Some(7)));
    let again = Site::new("https://example.org").saved(folder.path()).unwrap();
    let run = again.crawl(crawl("https://example.org/page")).unwrap();
    assert_eq!(run.items(), ["https://example.org/page"]);

    // Edited by hand.
    let text = std::fs::read_to_string(&path).unwrap().replace("Grüße", "Hallo");
    std::fs::write(&path, text).unwrap();
    assert_eq!(Response::saved(&path).unwrap().text_of("h1").unwrap(), "Hallo");
    std::fs::write(&path, "<h1>no head").unwrap();
    let error = Response::saved(&path).err().unwrap().to_string();
    assert!(error.contains("page.response") && error.contains("first line"), "{error}");
}

#[test]
fn a_recording_is_a_site_and_a_crawl_in_virtual_time_records_and_replays() {
    let folder = tempfile::tempdir().unwrap();
    let site = list(5);
    let recorded = site.crawl(crawl("https://example.org/").record(folder.path())).unwrap();
    let replayed = Site::new("https://example.org").crawl(crawl("https://example.org/").replay(folder.path())).unwrap();
    assert_eq!((recorded.items(), replayed.arrivals().len()), (replayed.items(), 0));
    let read = Site::new("https://example.org").saved(folder.path()).unwrap();
    assert_eq!(read.crawl(crawl("https://example.org/")).unwrap().items(), recorded.items());
}

#[test]
fn the_files_of_a_folder_are_pages() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("deep")).unwrap();
    std::fs::write(folder.path().join("index.html"), "<a href=deep/>deep</a><a href=a.txt>text</a>").unwrap();
    std::fs::write(folder.path().join("deep/index.html"), "<a href=../none>none</a>").unwrap();
    std::fs::write(folder.path().join("a.txt"), "text").unwrap();
    let site = Site::new("http://docs.test").folder(folder.path()).unwrap();
    let run = site.crawl(crawl("http://docs.test/")).unwrap();
    run.assert_visited(["/", "/deep/", "/a.txt", "/none"]);
    assert_eq!(run.items().len(), 3, "{run}");
    assert!(site.folder("no such folder").is_err());
}

#[test]
fn politeness_and_headers_are_those_of_the_wire() {
    let politeness = Politeness { spacing: Some(5 * S), ..Politeness::default() };
    let crawler = crawl("https://example.org/").politeness(politeness).header("x-tenant", "k");
    let run = list(3).crawl(crawler).unwrap();
    run.assert_spaced("example.org", 5 * S);
    assert!(run.arrivals().iter().all(|arrival| arrival.header("x-tenant") == Some("k")), "{run}");
    assert!(run.arrivals().iter().all(|arrival| arrival.header("user-agent") == Some(AGENT)), "{run}");
    assert_eq!(run.arrivals()[0].path(), "/robots.txt");
}
