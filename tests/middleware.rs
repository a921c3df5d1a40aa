//! Middleware, judged by what a server recorded: it sees each attempt, its decisions hold, and what goes wrong in it
//! fails its page and no other.
#![allow(clippy::disallowed_methods, reason = "time is measured here")]

mod crawls;
mod recorder;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use actix_crawler::{
    Conducts, Retry, Settings, ThrottledClient,
    extract::NearDuplicates,
    middleware::{
        AsyncMiddleware, Attempt, Decision, Middleware, Received, Refuse, RotatingUserAgents, SoftBlock,
        after_response, before_request,
    },
    outcome::FetchError,
    prelude::*,
};
use crawls::{CONTACT, Links, MS, block_on, crawl, crawl_with, links, run, run_logged};
use recorder::{Answer, Recorder};

const SEED: &str = "http://one.test/";

/// Ten pages that the first leads to.
fn site() -> Recorder {
    Recorder::start(|asked| match asked.path.as_str() {
        "/" => Answer::page((1..10).map(|n| format!("/{n}"))),
        _ => Answer::page(["/"]),
    })
}

#[test]
fn a_request_has_the_fields_that_it_needs_host_first_and_a_date_only_of_its_own() {
    let site = site();
    let dated = Request::get("http://one.test/dated".parse().unwrap()).header("date", "Sun, 06 Nov 1994 08:49:37 GMT");
    run(crawl(&site).seed(SEED).request(dated));
    for asked in site.asked() {
        let names: Vec<_> = asked.headers.iter().map(|(name, _)| name.as_str()).collect();
        let expected: &[_] = match asked.path.as_str() {
            "/dated" => &["host", "accept", "accept-encoding", "date", "user-agent"],
            _ => &["host", "accept", "accept-encoding", "user-agent"],
        };
        assert_eq!(names, expected, "{}", asked.path);
    }
}

fn quick(attempts: u32) -> Settings {
    Settings { retry: Retry { attempts, base: MS, max: MS }, ..Settings::default() }
}

/// Writes down what it sees.
#[derive(Clone, Default)]
struct Diary(Arc<Mutex<Vec<String>>>);

impl Diary {
    fn note(&self, what: String) {
        self.0.lock().unwrap().push(what);
    }
}

impl Middleware for Diary {
    fn name(&self) -> &'static str {
        "diary"
    }

    fn before(&self, request: &mut Request, attempt: &Attempt) -> Result<(), Refuse> {
        request.set_header("x-attempt", attempt.number.to_string());
        self.note(format!("before {} {} {}", request.url.path(), attempt.number, attempt.domain));
        Ok(())
    }

    fn after(&self, request: &Request, received: &Received, attempt: &Attempt) -> Decision {
        self.note(format!("after {} {} {}", request.url.path(), attempt.number, received.status()));
        Decision::Pass
    }

    fn failed(&self, request: &Request, error: &FetchError, attempt: &Attempt) -> Decision {
        self.note(format!("failed {} {} {}", request.url.path(), attempt.number, error.key()));
        Decision::Pass
    }
}

#[test]
fn a_middleware_sees_each_attempt_redirect_and_failure() {
    let site = Recorder::start(|asked| match (asked.path.as_str(), asked.time) {
        ("/", 1) => Answer::status(502),
        ("/", 2) => Answer::hang_up(),
        ("/", _) => Answer::redirect("/there"),
        _ => Answer::page(["/last"]),
    });
    let diary = Diary::default();
    let crawler = crawl_with(links as Links, &site, quick(4)).threads(1).middleware(diary.clone()).seed(SEED);
    let report = run(crawler);
    assert_eq!(report.pages(), 2, "{report}");
    let seen = diary.0.lock().unwrap().clone();
    // A connection that dies unanswered is asked once more under the same permit, which is no attempt of its own.
    let failure = seen.iter().any(|line| line.starts_with("failed / 2"));
    assert!(failure || seen.contains(&"after / 2 302".to_owned()), "{seen:?}");
    assert_eq!(seen[..2], ["before / 1 one.test", "after / 1 502"], "{seen:?}");
    assert!(seen.contains(&"before /there 1 one.test".to_owned()), "{seen:?}");
    assert_eq!(seen.last().unwrap(), "after /last 1 200", "{seen:?}");
    let attempts: Vec<_> = site.asked().iter().map(|asked| asked.header("x-attempt").unwrap().to_owned()).collect();
    assert_eq!(attempts[..2], ["1", "2"], "{attempts:?}");
    assert_eq!(attempts[attempts.len() - 2..], ["1", "1"], "what is changed holds for one attempt: {attempts:?}");
}

#[test]
fn a_request_that_is_refused_is_not_sent_and_one_that_is_skipped_is_not_parsed() {
    let site = site();
    let no_thirds = before_request("no_thirds", |request, _| match request.url.path() {
        "/3" => Err(Refuse::new("not that one")),
        "/4" => Err("x".parse::<u32>().unwrap_err())?,
        _ => Ok(()),
    });
    let no_fives = after_response("no_fives", |received| match received.page() {
        Ok(page) if page.url().path() == "/5" => Decision::skip("it is the fifth"),
        _ => Decision::Pass,
    });
    let (report, log) = run_logged(crawl(&site).middleware(no_thirds).middleware(no_fives).seed(SEED));
    assert_eq!((report.pages(), report.failed(), report.stats.ledger.dropped), (7, 0, 3), "{report}");
    assert_eq!(site.count(), 8, "two were not sent");
    for (key, count) in [
        ("drop/middleware/refused", 2),
        ("drop/middleware/skipped", 1),
        ("outcome/ignored", 2),
        ("outcome/skipped", 1),
        ("middleware/no_thirds/refused", 2),
        ("middleware/no_fives/skipped", 1),
    ] {
        assert_eq!(report.stats.get(key), count, "{key}: {report}");
    }
    let line = |path: &str| log.iter().find(|line| line.url.ends_with(path)).unwrap();
    assert_eq!((line("/3").outcome.as_str(), line("/3").detail.as_str()), ("ignored", "no_thirds: not that one"));
    assert!(line("/4").detail.contains("invalid digit"), "{:?}", line("/4"));
    assert_eq!((line("/5").outcome.as_str(), line("/5").status), ("skipped", Some(200)));
    assert!(report.to_string().contains("no_thirds/refused"), "{report}");
}

#[test]
fn a_retry_comes_after_its_wait_and_counts_as_an_attempt() {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/never" => Answer::page([""; 0]).header("x-ready", "no"),
        _ if asked.time == 1 => Answer::page([""; 0]).header("x-ready", "no"),
        _ => Answer::page(["/never"]),
    });
    let ready = after_response("ready", |received| match received.header("x-ready") {
        Some(_) => Decision::retry(200 * MS, "it is not ready"),
        None => Decision::Pass,
    });
    let report = run(crawl_with(links as Links, &site, quick(3)).middleware(ready).seed(SEED));
    let asked = site.asked();
    assert_eq!(site.paths(), ["/", "/", "/never", "/never", "/never"]);
    for pair in [&asked[..2], &asked[2..4], &asked[3..]] {
        let gap = pair[1].at - pair[0].at;
        assert!(gap >= 200 * MS, "{gap:?}");
    }
    assert_eq!((report.pages(), report.failed()), (1, 1), "{report}");
    assert_eq!((report.stats.get("retry"), report.stats.get("failed/retry")), (3, 1), "{report}");
    assert_eq!(report.stats.get("middleware/ready/retried"), 4, "{report}");
    assert!(report.to_string().contains("ready: it is not ready"), "{report}");
}

#[test]
fn a_soft_block_rests_the_domain_for_all_that_share_it_and_no_other_domain() {
    let site = Recorder::start(|asked| match (asked.host.as_str(), asked.path.as_str()) {
        ("one.test", "/") if asked.time == 1 => Answer::ok("<p>Are you a robot?</p>").after(20 * MS),
        ("one.test", "/") => Answer::ok("welcome"),
        _ => Answer::ok("a page").after(MS),
    });
    let conducts = Conducts::new();
    let rest = Duration::from_millis(1_200);
    let block = SoftBlock::new().body("(?i)are you a robot").unwrap().rest(rest);
    thread::scope(|scope| {
        let crawling = scope.spawn(|| run(crawl(&site).conducts(&conducts).middleware(block).seed(SEED)));
        let client = ThrottledClient::builder(CONTACT)
            .rate(Rate::per_second(50))
            .conducts(&conducts)
            .allow_private()
            .transport({
                let mut transport = actix_crawler::transport::TransportSettings::default();
                transport.resolve.push(site.rule());
                transport.guard.allow_private = true;
                transport
            })
            .build()
            .unwrap();
        while site.count() == 0 {
            thread::sleep(MS);
        }
        thread::sleep(100 * MS);
        block_on(async {
            for host in ["one", "other"] {
                client.get(format!("http://{host}.test/client")).send().await.unwrap();
            }
        });
        let report = crawling.join().unwrap();
        assert_eq!((report.pages(), report.stats.get("middleware/soft_block/cooled")), (1, 1), "{report}");
    });
    let asked = site.by_host();
    let one = &asked["one.test"];
    assert_eq!(one.len(), 3, "{one:?}");
    let gap = one[1].at - one[0].at;
    assert!(gap >= rest, "the client waited too: {gap:?}");
}

#[test]
fn a_cool_does_not_hold_up_another_domain() {
    let site = Recorder::start(|asked| match asked.host.as_str() {
        "one.test" if asked.time == 1 => Answer::status(418),
        _ => Answer::ok(""),
    });
    let block = SoftBlock::new().status(418).rest(Duration::from_millis(1_500));
    let report = run(crawl(&site).middleware(block).seeds([SEED, "http://two.test/"]));
    let asked = site.by_host();
    let (one, two) = (&asked["one.test"], &asked["two.test"]);
    assert_eq!((report.pages(), one.len(), two.len()), (2, 2, 1), "{report}");
    assert!(two[0].at < one[1].at, "{asked:?}");
}

/// Goes wrong in a way of its own at `/3`.
struct Bad(fn() -> Decision);

impl Middleware for Bad {
    fn name(&self) -> &'static str {
        "bad"
    }

    fn after(&self, request: &Request, _: &Received, _: &Attempt) -> Decision {
        if request.url.path() == "/3" { (self.0)() } else { Decision::Pass }
    }
}

/// As [`Bad`], before the request.
struct AsyncBad(bool);

impl AsyncMiddleware for AsyncBad {
    fn name(&self) -> &'static str {
        "bad"
    }

    async fn before(&self, request: &mut Request, _: &Attempt) -> Result<(), Refuse> {
        if request.url.path() == "/3" {
            assert!(self.0, "cannot bear it");
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

/// Regression: the first fetcher had the scheduler's thread also where a hook may block it.
#[test]
fn an_async_middleware_that_blocks_does_not_hold_up_the_scheduler() {
    struct Blocks(mpsc::Sender<()>, Mutex<mpsc::Receiver<()>>, Arc<AtomicBool>);

    impl AsyncMiddleware for Blocks {
        fn name(&self) -> &'static str {
            "blocks"
        }

        async fn before(&self, _: &mut Request, _: &Attempt) -> Result<(), Refuse> {
            self.0.send(()).unwrap();
            // As a client that does not know of async does.
            let was_released = self.1.lock().unwrap().recv_timeout(Duration::from_secs(20)).is_ok();
            self.2.store(was_released, Ordering::SeqCst);
            Ok(())
        }
    }

    let site = site();
    let ((blocked, blocks), (release, released)) = (mpsc::channel(), mpsc::channel());
    let was_released = Arc::new(AtomicBool::new(false));
    let hook = Blocks(blocked, Mutex::new(released), was_released.clone());
    let handle = crawl(&site).async_middleware(hook).seed(SEED).max_pages(1).start().unwrap();
    blocks.recv_timeout(Duration::from_secs(20)).unwrap();
    let progress = block_on(handle.progress()).unwrap();
    release.send(()).unwrap();
    assert_eq!(progress.ledger.leased, 1);
    block_on(crawls::end_of(&handle));
    assert!(was_released.load(Ordering::SeqCst), "the scheduler has answered while the hook blocked");
}

#[test]
fn a_middleware_that_panics_or_never_returns_fails_its_page_and_no_other() {
    // Also on a machine that is busy, no other page takes so long; the crawls wait for it at the same time.
    let impatient = || Settings { parse_timeout: Duration::from_secs(5), ..Settings::default() };
    let sleep = || {
        thread::sleep(Duration::from_secs(3_600));
        Decision::Pass
    };
    let crawler = |site: &Recorder| crawl_with(links as Links, site, impatient()).seed(SEED);
    let check = |what: usize, outcome: &str, detail: &str| {
        let site = site();
        let crawler = crawler(&site);
        let (report, log) = run_logged(match what {
            0 => crawler.middleware(Bad(|| panic!("cannot bear it"))),
            1 => crawler.middleware(Bad(sleep)),
            2 => crawler.async_middleware(AsyncBad(false)),
            3 => crawler.async_middleware(AsyncBad(true)),
            _ => crawler.middleware(before_request("bad", |request, _| {
                if request.url.path() == "/3" {
                    request.url = "http://elsewhere.test/".parse().unwrap();
                }
                Ok(())
            })),
        });
        assert_eq!((report.pages(), report.failed()), (9, 1), "{what}: {report}");
        let bad = log.iter().find(|line| line.url.ends_with("/3")).unwrap();
        assert!(bad.outcome == outcome && bad.detail.contains(detail) && bad.is_final, "{what}: {bad:?}");
        assert!(!site.by_host().contains_key("elsewhere.test"), "{what}");
    };
    let cases = [
        ("panic", "middleware `bad`: cannot bear it"),
        ("middleware", "`bad` did not return within 5s"),
        ("panic", "middleware `bad`: cannot bear it"),
        ("middleware", "`bad` did not return within 5s"),
        ("middleware", "`bad` changed the origin"),
    ];
    thread::scope(|threads| {
        for (what, (outcome, detail)) in cases.into_iter().enumerate() {
            threads.spawn(move || check(what, outcome, detail));
        }
    });
}

#[test]
fn middleware_is_called_in_the_order_in_which_it_was_given_whatever_its_kind() {
    struct Add(&'static str);
    impl AsyncMiddleware for Add {
        fn name(&self) -> &'static str {
            self.0
        }
        async fn before(&self, request: &mut Request, _: &Attempt) -> Result<(), Refuse> {
            add(request, self.0);
            Ok(())
        }
    }
    fn add(request: &mut Request, what: &str) {
        let given = request.headers.iter().find(|(name, _)| name == "x-order").map(|(_, value)| value.clone());
        request.set_header("x-order", given.unwrap_or_default() + what);
    }
    let blocking = |what: &'static str| {
        before_request(what, move |request, _| {
            add(request, what);
            Ok(())
        })
    };
    let site = site();
    let crawler = crawl(&site).middleware(blocking("a")).async_middleware(Add("b")).middleware(blocking("c"));
    run(crawler.middleware(blocking("d")).seed(SEED).max_depth(0));
    assert_eq!(site.asked()[0].header("x-order"), Some("abcd"));
}

#[test]
fn default_headers_go_where_they_belong_and_user_agents_take_turns() {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/" => Answer::redirect("http://two.test/1"),
        "/1" => Answer::page(["/2", "/3"]),
        _ => Answer::ok(""),
    });
    let bots = ["bot/1.0 (+https://e.org/a)", "bot/1.0 (+https://e.org/b)"];
    let crawler = crawl(&site)
        .header("Accept-Language", "de")
        .header_for("http://one.test/", "X-Secret", "hidden")
        .header_for("http://two.test", "accept-language", "fr")
        .middleware(RotatingUserAgents::new(bots).unwrap());
    run(crawler.request(Request::parse(SEED).unwrap().header("x-own", "kept")));
    let asked = site.asked();
    let headers = |name| asked.iter().map(|asked| asked.header(name)).collect::<Vec<_>>();
    assert_eq!(headers("accept-language"), [Some("de"), Some("fr"), Some("fr"), Some("fr")]);
    assert_eq!(headers("x-secret"), [Some("hidden"), None, None, None]);
    assert_eq!(headers("x-own")[0], Some("kept"));
    let used = headers("user-agent");
    assert!(bots.iter().all(|bot| used.iter().filter(|used| **used == Some(*bot)).count() == 2), "{used:?}");
}

#[test]
fn a_robots_file_passes_before_and_no_other_hook() {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/robots.txt" => Answer::ok("User-agent: *\nAllow: /"),
        _ => Answer::page([""; 0]),
    });
    let diary = Diary::default();
    let report = run(Crawler::new(links as Links, CONTACT)
        .conducts(&Conducts::new())
        .resolve(site.rule())
        .allow_private()
        .middleware(diary.clone())
        .seed(SEED));
    assert_eq!(report.pages(), 1, "{report}");
    assert_eq!(
        *diary.0.lock().unwrap(),
        ["before /robots.txt 1 one.test", "before / 1 one.test", "after / 1 200"].map(str::to_owned)
    );
}

/// Regression: it was resolved against the URL that was queued. RFC 9110 §10.2.2.
#[test]
fn a_relative_redirect_is_resolved_against_the_url_that_was_asked_for() {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/v2/x/a" => Answer::redirect("b"),
        _ => Answer::ok("here"),
    });
    let rewrite = || {
        before_request("rewrite", |request, _| {
            if request.url.path() == "/a" {
                request.url.set_path("/v2/x/a");
            }
            Ok(())
        })
    };
    run(crawl(&site).middleware(rewrite()).seed("http://one.test/a"));
    assert_eq!(site.paths(), ["/v2/x/a", "/v2/x/b"]);
    for (keeps, paths) in [(false, &["/v2/x/a", "/v2/x/b"][..]), (true, &["/v2/x/a"])] {
        let before = site.count();
        let client = ThrottledClient::builder(CONTACT)
            .rate(Rate::UNLIMITED)
            .conducts(&Conducts::new())
            .allow_private()
            .middleware(rewrite());
        let client = if keeps { client.keep_redirects() } else { client }.build().unwrap();
        let answer = block_on(async { client.get(site.url("/a")).send().await.unwrap() });
        assert_eq!(site.paths()[before..], *paths);
        assert_eq!(answer.redirect_target().map(String::from), keeps.then(|| site.url("/v2/x/b")));
    }
}

#[test]
fn a_client_has_the_same_middleware() {
    let site = Recorder::start(|asked| match (asked.path.as_str(), asked.time) {
        ("/later", 1) => Answer::ok("not yet"),
        _ => Answer::ok("here"),
    });
    let not_yet = after_response("not_yet", |received| match received.page() {
        Ok(page) if page.body_text() == "not yet" => Decision::retry(MS, "not yet"),
        _ => Decision::Pass,
    });
    let refuse = before_request("guard", |request, attempt| {
        request.set_header("x-attempt", attempt.number.to_string());
        if request.url.path() == "/secret" { Err(Refuse::new("it is secret")) } else { Ok(()) }
    });
    let client = ThrottledClient::builder(CONTACT)
        .rate(Rate::per_second(100))
        .conducts(&Conducts::new())
        .allow_private()
        .header("x-all", "yes")
        .middleware(refuse)
        .middleware(not_yet)
        .build()
        .unwrap();
    block_on(async {
        let answer = client.get(site.url("/later")).send().await.unwrap();
        assert_eq!(answer.body_text(), "here");
        let refused = client.get(site.url("/secret")).send().await.unwrap_err();
        assert!(refused.to_string().ends_with("middleware guard: it is secret"), "{refused}");
    });
    let attempts: Vec<_> = site.asked().iter().map(|asked| asked.header("x-attempt").unwrap().to_owned()).collect();
    assert_eq!(attempts, ["1", "2"]);
    assert_eq!(site.asked()[0].header("x-all"), Some("yes"));
}

#[test]
fn pages_that_are_nearly_the_same_are_left_out_but_for_the_first() {
    let story = "A story that is long enough for a date in it to change nothing of what it tells. ".repeat(20);
    let site = Recorder::start(move |asked| {
        match asked.path.as_str() {
            "/other" => Answer::ok(format!("<p>{}", "Quite another text about tea and its leaves. ".repeat(20))),
            path => Answer::ok(format!("<p>{story} Seen at {path}.<a href=/other>other</a>")),
        }
        .header("content-type", "text/html")
    });
    let known = NearDuplicates::new(100);
    let seeds = ["/1", "/2", "/3", "/4"].map(|path| format!("http://one.test{path}"));
    let report = run(crawl(&site).concurrency(1).seeds(seeds).middleware(known.clone()));
    assert_eq!((report.pages(), known.len()), (2, 2), "{report}");
    assert_eq!(report.stats.get("drop/middleware/skipped"), 3, "{report}");
    assert_eq!(report.stats.get("middleware/near_duplicates/skipped"), 3, "{report}");
}
