//! Sessions, judged by what a server recorded: whose cookies each request carried, through which proxy, and how many
//! came.
#![cfg(feature = "cookies")]
#![allow(clippy::disallowed_methods, reason = "time is measured here")]

mod crawls;
mod recorder;

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use actix_crawler::{
    Capacity, Conducts, Domain, Error, Retry, Settings, ThrottledClient,
    client::Login,
    middleware::{Decision, after_response, before_request},
    prelude::*,
    sessions::{DEFAULT, SessionCookie, SessionSettings, Sessions},
};
use crawls::{CONTACT, Links, MS, block_on, crawl, crawl_with, end_of, links, run, run_logged};
use recorder::{Answer, Asked, Recorder};

/// A request in a session.
fn visit(path: &str, session: &str) -> Request {
    Request::parse(&format!("http://one.test{path}")).unwrap().session(session)
}

/// The `sid` that each request carried, by path.
fn sids(site: &Recorder) -> Vec<(String, String)> {
    site.asked().iter().map(|asked| (asked.path.clone(), sid(asked).to_owned())).collect()
}

/// The `sid` that a request carried.
fn sid(asked: &Asked) -> &str {
    let cookies = asked.header("cookie").unwrap_or("");
    cookies.split("; ").find_map(|cookie| cookie.strip_prefix("sid=")).unwrap_or("-")
}

fn quick(attempts: u32) -> Settings {
    Settings { retry: Retry { attempts, base: MS, max: MS }, ..Settings::default() }
}

/// Ten pages. Who comes without a cookie gets one, counted from 1.
fn cloakroom() -> Recorder {
    let visitors = AtomicU32::new(0);
    Recorder::start(move |asked| {
        let page = if asked.path == "/" { Answer::page((1..10).map(|n| format!("/{n}"))) } else { Answer::page(["/"]) };
        match sid(asked) {
            "-" => page.header("set-cookie", format!("sid={}; Path=/", visitors.fetch_add(1, SeqCst) + 1)),
            _ => page,
        }
    })
}

#[test]
fn each_session_has_its_own_cookies_on_redirects_and_on_the_links_of_its_pages() {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/in/alice" => Answer::redirect("/home/alice").header("set-cookie", "sid=alice; Path=/"),
        "/in/bob" => Answer::redirect("/home/bob").header("set-cookie", "sid=bob; Path=/"),
        "/home/alice" => Answer::page(["/alice/1", "/alice/2"]),
        "/home/bob" => Answer::page(["/bob/1", "/nobody/1"]),
        _ => Answer::page(["/alice/3", "/bob/3"]),
    });
    fn follow(page: &Response) -> Result<Parsed<String>> {
        let name = page.session().map_or("none", |session| session.name()).to_owned();
        let mut parsed = Parsed::of([format!("{} {name}", page.url().path())]);
        for link in page.links() {
            let request = Request::get(link.url().clone());
            parsed.visit(if link.url().path().starts_with("/nobody") { request.session(DEFAULT) } else { request });
        }
        Ok(parsed)
    }
    let crawler = crawl_with(follow as Links, &site, quick(1)).cookies().per_domain(1);
    let report = run(crawler.request(visit("/in/alice", "alice")).request(visit("/in/bob", "bob")));
    for (path, sid) in sids(&site) {
        let whose = ["alice", "bob"].into_iter().find(|who| path.contains(who) && !path.starts_with("/in"));
        // Found on the page of either, in whose session it is.
        if !path.ends_with("/3") {
            assert_eq!(sid, whose.unwrap_or("-"), "{path}");
        }
    }
    assert!(site.paths().contains(&"/nobody/1".to_owned()), "{:?}", site.paths());
    let requests: Vec<_> = report.sessions.iter().map(|(name, counts)| (name.as_str(), counts.requests)).collect();
    assert_eq!(requests.iter().map(|(_, requests)| requests).sum::<u64>(), site.count() as u64, "{requests:?}");
    assert!(report.sessions["alice"].requests >= 4 && report.sessions["default"].requests >= 1, "{requests:?}");
}

#[test]
fn one_url_in_two_sessions_is_fetched_once_unless_it_is_not_to_be_filtered() {
    for dont_filter in [false, true] {
        let site = cloakroom();
        let seed = |who: &str| if dont_filter { visit("/3", who).dont_filter() } else { visit("/3", who) };
        run(crawl_with(|_: &Response| Ok(Parsed::<String>::new()), &site, quick(1))
            .cookies()
            .request(seed("alice"))
            .request(seed("bob")));
        assert_eq!(site.count(), if dont_filter { 2 } else { 1 });
    }
}

#[cfg(feature = "disk")]
#[test]
fn sessions_and_their_cookies_outlive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/in/alice" => Answer::page(["/alice/1", "/alice/2"]).header("set-cookie", "sid=alice; Path=/"),
        _ => Answer::page([""; 0]),
    });
    let stops = |page: &Response| {
        let mut parsed = links(page)?;
        if page.url().path().starts_with("/in") {
            parsed.stop("enough");
        }
        Ok(parsed)
    };
    let crawler = || crawl_with(stops, &site, quick(1)).cookies().per_domain(1).state(&state);
    let handle = crawler().request(visit("/in/alice", "alice")).start().unwrap();
    block_on(end_of(&handle));
    let file = state.join("sessions.json");
    assert_eq!(mode(&file), 0o600);
    let first = site.count();
    let report = run(crawler().request(visit("/in/alice", "alice")));
    assert!(report.pages() >= 3, "{report}");
    for asked in &site.asked()[first..] {
        assert_eq!(sid(asked), "alice", "{}", asked.path);
    }
    assert_eq!(report.sessions["alice"].requests as usize, site.count() - first);
}

fn mode(path: &Path) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path).unwrap().permissions()) & 0o777
}

#[test]
fn cookies_are_given_in_code_in_a_file_of_curl_and_in_one_that_was_saved() {
    let (dir, site) = (tempfile::tempdir().unwrap(), cloakroom());
    let [jar, saved] = ["jar.txt", "saved.json"].map(|name| dir.path().join(name));
    fs::write(&jar, "# Netscape HTTP Cookie File\n#HttpOnly_one.test\tFALSE\t/\tFALSE\t0\tsid\tby-curl\n").unwrap();
    let by_code = SessionSettings::new().cookie(SessionCookie::new("sid", "by-code", "one.test"));
    let given = Sessions::new()
        .named("code", by_code)
        .named("curl", SessionSettings::new().cookies_file(&jar))
        .named("default", SessionSettings::new().cookie(SessionCookie::new("sid", "default", "one.test")));
    let handle = crawl_with(|_: &Response| Ok(Parsed::<String>::new()), &site, quick(1))
        .sessions(given)
        .request(visit("/1", "code"))
        .request(visit("/2", "curl"))
        .seed("http://one.test/3")
        .start()
        .unwrap();
    block_on(end_of(&handle));
    handle.sessions().unwrap().save(&saved).unwrap();
    assert_eq!(mode(&saved), 0o600);
    let again = Sessions::new()
        .named("code", SessionSettings::new().cookies_file(&saved))
        .named("curl", SessionSettings::new().cookies_file(&saved));
    run(crawl_with(|_: &Response| Ok(Parsed::<String>::new()), &site, quick(1))
        .sessions(again)
        .request(visit("/4", "code"))
        .request(visit("/5", "curl")));
    let mut carried = sids(&site);
    carried.sort();
    let expected = [("/1", "by-code"), ("/2", "by-curl"), ("/3", "default"), ("/4", "by-code"), ("/5", "by-curl")];
    assert_eq!(carried, expected.map(|(path, sid)| (path.to_owned(), sid.to_owned())));
}

#[test]
fn what_was_saved_goes_before_what_is_given_unless_other_cookies_are_given() {
    let (dir, site) = (
        tempfile::tempdir().unwrap(),
        Recorder::start(|_| Answer::page([""; 0]).header("set-cookie", "sid=renewed; Path=/")),
    );
    let file = dir.path().join("sessions.json");
    for (path, given, expected) in [("/1", "old", "old"), ("/2", "old", "renewed"), ("/3", "new", "new")] {
        let alice = SessionSettings::new().cookie(SessionCookie::new("sid", given, "one.test"));
        run(crawl(&site).sessions(Sessions::new().named("alice", alice).file(&file)).request(visit(path, "alice")));
        assert_eq!(sid(site.asked().last().unwrap()), expected, "{path}");
    }
}

#[test]
fn the_sessions_of_a_pool_take_turns() {
    let site = cloakroom();
    let report = run(crawl(&site).sessions(Sessions::pool(3)).per_domain(1).seed("http://one.test/"));
    assert_eq!(report.pages(), 10, "{report}");
    let visits = site.asked().iter().fold(BTreeMap::<_, u32>::new(), |mut visits, asked| {
        *visits.entry(sid(asked).to_owned()).or_default() += 1;
        visits
    });
    // Three came for the first time, and then each came again and again.
    assert_eq!((visits["-"], visits.len()), (3, 4), "{visits:?}");
    let requests: Vec<_> = report.sessions.values().map(|counts| counts.requests).filter(|n| *n > 0).collect();
    assert_eq!(requests, [4, 3, 3], "{report}");
}

#[test]
fn a_session_of_a_pool_is_another_visitor_after_its_uses() {
    let site = cloakroom();
    run(crawl(&site).sessions(Sessions::pool(1).max_uses(4)).per_domain(1).seed("http://one.test/"));
    let sids: Vec<_> = sids(&site).into_iter().map(|(_, sid)| sid).collect();
    assert_eq!(sids, ["-", "1", "1", "1", "-", "2", "2", "2", "-", "3"]);
}

/// Refuses the visitor who came first, from the third request on.
fn refusing(status: u16) -> (Recorder, Arc<AtomicU32>) {
    let (visitors, refused) = (AtomicU32::new(0), Arc::<AtomicU32>::default());
    let (counted, of_first) = (refused.clone(), AtomicU32::new(0));
    let site = Recorder::start(move |asked| {
        let page = if asked.path == "/" { Answer::page((1..10).map(|n| format!("/{n}"))) } else { Answer::page(["/"]) };
        match sid(asked) {
            "-" => page.header("set-cookie", format!("sid={}; Path=/", visitors.fetch_add(1, SeqCst) + 1)),
            "1" if of_first.fetch_add(1, SeqCst) >= 2 => {
                counted.fetch_add(1, SeqCst);
                match status {
                    302 => Answer::redirect("/login?next=/"),
                    200 => Answer::page(["/trap"]).header("x-blocked", "yes"),
                    status => Answer::status(status),
                }
            }
            _ => page,
        }
    });
    (site, refused)
}

#[test]
fn a_refused_session_rests_and_its_request_is_made_again_in_another() {
    let refuses = |page: &Response| {
        if page.header("x-blocked").is_some() { Ok(Parsed::session_refused("a trap")) } else { links(page) }
    };
    let notices = || {
        after_response("notices", |received| match received.header("x-blocked") {
            Some(_) => Decision::refuse_session("a trap"),
            None => Decision::Pass,
        })
    };
    for (how, status) in [("status", 403), ("redirect", 302), ("parse", 200), ("middleware", 200)] {
        let (site, refused) = refusing(status);
        let sessions = Sessions::pool(2).blocked_at("/login").rest(Duration::from_secs(3_600));
        let crawler = match how {
            // The permit of a page ends before it is parsed, so without a pause the next request is under way by then.
            "parse" => crawl_with(refuses as fn(&Response) -> Result<Parsed<String>>, &site, quick(3)).spacing(50 * MS),
            "middleware" => crawl_with(links as Links, &site, quick(3)).middleware(notices()),
            _ => crawl_with(links as Links, &site, quick(3)),
        };
        let (report, log) = run_logged(crawler.sessions(sessions).per_domain(1).seed("http://one.test/"));
        assert_eq!((report.pages(), report.failed()), (10, 0), "{how}: {report}");
        assert_eq!(refused.load(SeqCst), 1, "{how}: it is not used again while it rests");
        assert_eq!(report.sessions.values().map(|counts| counts.blocked).sum::<u64>(), 1, "{how}: {report}");
        assert_eq!(report.stats.get("sessions/refused"), 1, "{how}");
        let again: Vec<_> = log.iter().filter(|line| line.attempt == 2).collect();
        assert_eq!((again.len(), again[0].outcome.as_str()), (1, "ok"), "{how}: {again:?}");
    }
}

#[test]
fn a_request_whose_session_rests_waits_without_an_attempt_and_others_go_on() {
    let site = Recorder::start(|asked| match (asked.path.as_str(), asked.time) {
        ("/alice/1", 1) => Answer::status(403),
        _ => Answer::page([""; 0]),
    });
    let rest = Duration::from_millis(700);
    let crawler = crawl_with(links as Links, &site, quick(2)).per_domain(1).threads(1);
    let sessions = Sessions::new().blocked_by([403]).rest(rest);
    let seeds = (1..=4)
        .map(|n| visit(&format!("/alice/{n}"), "alice"))
        .chain((1..=4).map(|n| visit(&format!("/bob/{n}"), "bob")));
    let crawler = seeds.fold(crawler.sessions(sessions), |crawler, seed| crawler.request(seed));
    let (report, log) = run_logged(crawler);
    assert_eq!(report.pages(), 8, "{report}");
    let asked = site.asked();
    let refused = asked.iter().position(|asked| asked.path == "/alice/1").unwrap();
    let next = asked[refused + 1..].iter().find(|asked| asked.path.starts_with("/alice")).unwrap();
    assert!(next.at - asked[refused].at >= rest, "{:?}", next.at - asked[refused].at);
    let last_of_bob = asked.iter().rposition(|asked| asked.path.starts_with("/bob")).unwrap();
    assert!(asked[last_of_bob].at < next.at, "bob does not wait for alice");
    assert!(log.iter().all(|line| line.attempt <= if line.url.ends_with("/alice/1") { 2 } else { 1 }), "{log:?}");
}

/// The promise of politeness: the domain's law holds over all sessions, log-ins and their requests together.
#[test]
fn more_sessions_never_mean_more_requests() {
    let site = shop(u32::MAX, Answer::status(401));
    let spacing = Duration::from_millis(40);
    let report = run(crawl(&site)
        .sessions(Sessions::pool(5))
        .log_in(sign_in)
        .rate(Rate::UNLIMITED)
        .spacing(spacing)
        .per_domain(1)
        .seed("http://one.test/"));
    assert_eq!(report.pages(), 10, "{report}");
    let at: Vec<_> = site.asked().iter().map(|asked| asked.at).collect();
    assert!(at.len() >= 10 + 2 * 5, "{:?}", site.paths());
    let gaps: Vec<_> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // The kernel's time stamps vary by less than this.
    assert!(gaps.iter().all(|gap| *gap + 2 * MS >= spacing), "{gaps:?}");
    assert!(site.asked().iter().all(|asked| asked.in_flight == 1));
}

/// A shop that knows who has logged in, each for so many pages. Others get `otherwise`.
fn shop(pages: u32, otherwise: Answer) -> Recorder {
    let known = Mutex::new(BTreeMap::<String, u32>::new());
    Recorder::start(move |asked| {
        let mut known = known.lock().unwrap();
        match (asked.method.as_str(), asked.path.as_str()) {
            ("GET", "/login") => Answer::page([""; 0]).header("set-cookie", format!("form=f{}; Path=/", asked.time)),
            ("POST", "/login") => {
                let has_form = asked.header("cookie").is_some_and(|cookie| cookie.contains("form="));
                if !has_form || asked.body != b"password=s3cret" {
                    return Answer::status(403);
                }
                let sid = format!("{}", known.len() + 1);
                known.insert(sid.clone(), 0);
                Answer::redirect("/welcome").header("set-cookie", format!("sid={sid}; Path=/"))
            }
            (_, "/welcome") => Answer::ok("hello"),
            (_, path) => match known.get_mut(sid(asked)) {
                Some(seen) if *seen < pages => {
                    *seen += 1;
                    if path == "/" { Answer::page((1..10).map(|n| format!("/{n}"))) } else { Answer::page(["/"]) }
                }
                _ => otherwise.clone(),
            },
        }
    })
}

async fn sign_in(login: Login) -> Result<()> {
    login.get("http://one.test/login").send().await?.error_for_status()?;
    login.post("http://one.test/login").form(&[("password", "s3cret")]).send().await?.error_for_status()?;
    Ok(())
}

#[test]
fn a_session_is_logged_in_before_its_first_request_and_once_after_it_has_expired() {
    for otherwise in [Answer::status(401), Answer::redirect("/login")] {
        let site = shop(4, otherwise);
        let sessions = Sessions::new().blocked_by([401]).blocked_at("/login").rest(Duration::from_secs(3_600));
        let report = run(crawl_with(links as Links, &site, quick(3))
            .sessions(sessions)
            .log_in(sign_in)
            .per_domain(3)
            .seed("http://one.test/"));
        assert_eq!((report.pages(), report.failed()), (10, 0), "{report}");
        let log_ins = site.asked().iter().filter(|asked| asked.method == "POST").count() as u64;
        assert_eq!((log_ins, report.sessions["default"].log_ins), (3, 3), "{report}");
        assert_eq!(site.paths()[0], "/login");
        let of_domain = &report.stats.domains[&Domain::new("one.test")];
        assert_eq!(of_domain.requests, site.count() as u64, "those of log-ins are in its row: {report}");
    }
}

#[test]
fn a_log_in_that_fails_or_panics_is_given_up_and_its_requests_say_why() {
    let fails: fn(u32) -> Result<()> = |_| Err(Error::spider("the password is wrong"));
    let panics: fn(u32) -> Result<()> = |_| panic!("in the log-in");
    for (log_in, says) in [(fails, "the password is wrong"), (panics, "in the log-in")] {
        let (site, calls) = (cloakroom(), Arc::<AtomicU32>::default());
        let counted = calls.clone();
        let log_in = move |_: Login| {
            let call = counted.fetch_add(1, SeqCst);
            async move { log_in(call) }
        };
        let sessions = Sessions::new().rest(20 * MS);
        let (report, log) = run_logged(
            crawl(&site).sessions(sessions).log_in(log_in).seed("http://one.test/").seed("http://two.test/"),
        );
        assert_eq!((report.failed(), site.count(), calls.load(SeqCst)), (2, 0, 3), "{report}");
        assert!(log.iter().all(|line| line.outcome == "session" && line.detail.contains(says)), "{log:?}");
        assert_eq!(report.sessions["default"].log_ins_failed, 3, "{report}");
    }
}

#[test]
fn a_429_rests_the_domain_and_the_next_attempt_is_another_sessions() {
    let site = Recorder::start(|asked| match (asked.path.as_str(), asked.time) {
        ("/", 1) => Answer::status(429).header("retry-after", "1"),
        _ => Answer::page([""; 0]),
    });
    let report = run(crawl(&site).sessions(Sessions::pool(2)).seed("http://one.test/"));
    assert_eq!(report.pages(), 1, "{report}");
    let at: Vec<_> = site.asked().iter().map(|asked| asked.at).collect();
    assert!(at[1] - at[0] >= Duration::from_secs(1), "the domain rests, whoever asks");
    let counts: Vec<_> = report
        .sessions
        .iter()
        .filter(|(name, _)| name.starts_with("pool"))
        .map(|(_, counts)| (counts.requests, counts.blocked))
        .collect();
    assert_eq!(counts, [(1, 1), (1, 0)], "{report}");
}

#[test]
fn a_session_goes_through_its_proxy_and_another_serves_where_that_fails() {
    let [one, two] = [cloakroom(), cloakroom()];
    let via = |proxy: &Recorder| SessionSettings::new().proxy(proxy.url(""));
    let named = Sessions::new().named("alice", via(&one)).named("bob", via(&two));
    let nowhere = cloakroom();
    let crawler = crawl_with(|_: &Response| Ok(Parsed::<String>::new()), &nowhere, quick(1)).sessions(named);
    run((1..=3).fold(crawler, |crawler, n| {
        crawler.request(visit(&format!("/a{n}"), "alice")).request(visit(&format!("/b{n}"), "bob"))
    }));
    assert!(
        one.paths().iter().all(|path| path.starts_with("http://one.test/a")) && one.count() == 3,
        "{:?}",
        one.paths()
    );
    assert!(
        two.paths().iter().all(|path| path.starts_with("http://one.test/b")) && two.count() == 3,
        "{:?}",
        two.paths()
    );

    let pool = Sessions::pool(2).pool_proxies(["http://127.0.0.1:1".to_owned(), one.url("")]);
    let report =
        run(crawl_with(links as Links, &nowhere, quick(3)).sessions(pool).per_domain(1).seed("http://one.test/"));
    assert_eq!((report.pages(), report.failed(), nowhere.count()), (1, 0, 0), "{report}");
    assert_eq!(report.sessions["pool/1"].blocked, 1, "{report}");
}

/// Regression: through a proxy it was sent without them, and `Session::set` was for nothing. What it is given goes
/// through every proxy; what servers set stays with the one that it came by.
#[test]
fn the_default_session_has_the_cookies_that_it_was_given_through_each_proxy() {
    let given = || SessionSettings::new().cookie(SessionCookie::new("given", "1", "one.test"));
    let [one, two, nowhere] = [cloakroom(), cloakroom(), cloakroom()];
    let pages = Mutex::new(Vec::new());
    let seen = Arc::new(pages);
    let spider = |seen: &Arc<Mutex<Vec<String>>>| {
        let seen = seen.clone();
        move |page: &Response| {
            let session = page.session().unwrap();
            let value = |name: &str| session.value(name).unwrap_or_else(|| "-".to_owned());
            seen.lock().unwrap().push(format!("{} {}", value("given"), value("sid")));
            session.set(&SessionCookie::new("set", "2", "one.test"))?;
            Ok(Parsed::<String>::new())
        }
    };
    let cookies = |site: &Recorder| -> Vec<_> {
        site.asked().iter().map(|asked| asked.header("cookie").unwrap_or("-").to_owned()).collect()
    };
    let crawler = |via: SessionSettings| {
        let urls = (0..4).map(|n| format!("http://one.test/{n}"));
        crawl_with(spider(&seen), &nowhere, quick(1))
            .sessions(Sessions::new().named(DEFAULT, via))
            .per_domain(1)
            .seeds(urls)
    };
    run(crawler(given()).proxy(one.url("")).proxy(two.url("")));
    for proxy in [&one, &two] {
        let sent = cookies(proxy);
        assert!(sent[0].starts_with("given=1") && !sent[0].contains("sid"), "each proxy is another visitor: {sent:?}");
        assert!(["given=1", "sid=1", "set=2"].iter().all(|cookie| sent[1].contains(cookie)), "{sent:?}");
    }
    assert_eq!(*seen.lock().unwrap(), ["1 1"; 4], "a page has what its own visitor has");

    let own = cloakroom();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sessions.json");
    let sessions = Sessions::new().named(DEFAULT, given().proxy(own.url(""))).file(&file);
    run(crawl_with(spider(&seen), &nowhere, quick(1)).sessions(sessions).seed("http://one.test/"));
    assert_eq!(cookies(&own), ["given=1"]);
    assert!(
        fs::read_to_string(file).unwrap().contains("\"sid\""),
        "its proxy is its own, so it is the same everywhere"
    );
    assert_eq!(nowhere.count(), 0);
}

#[test]
fn a_request_in_a_session_fails_where_no_cookies_are_kept_or_there_are_too_many() {
    let site = cloakroom();
    let (report, log) = run_logged(crawl(&site).request(visit("/", "alice")));
    assert_eq!((report.failed(), site.count()), (1, 0), "{report}");
    assert!(log[0].outcome == "session" && log[0].detail.contains(".cookies()"), "{log:?}");
    let seeds = (0..1_001).map(|n| visit(&format!("/seed/{n}"), &format!("s{n}")));
    let crawler =
        seeds.fold(crawl_with(|_: &Response| Ok(Parsed::<String>::new()), &site, quick(1)).cookies(), Crawler::request);
    let report = run(crawler.per_domain(16));
    assert_eq!((report.pages(), report.failed()), (1_000, 1), "{report}");
}

#[test]
fn a_client_sends_requests_in_sessions_and_logs_them_in() {
    let site = shop(3, Answer::status(401));
    let client = ThrottledClient::builder(CONTACT)
        .conducts(&Conducts::new())
        .rate(Rate::UNLIMITED)
        .transport(actix_crawler::transport::TransportSettings { resolve: vec![site.rule()], ..Default::default() })
        .allow_private()
        .sessions(Sessions::new().blocked_by([401]))
        .log_in(sign_in)
        .build()
        .unwrap();
    block_on(async {
        for who in ["alice", "bob", "alice", "alice", "alice"] {
            let page = client.get("http://one.test/1").session(who).send().await.unwrap();
            assert_eq!(page.status(), 200, "{who}");
        }
        let begun = visit("/2", "bob");
        client.execute([begun], |response| async move { response.error_for_status() }).await.remove(0).unwrap();
    });
    let counts = client.sessions().unwrap().counts();
    // The fourth page of alice is refused once.
    assert_eq!((counts["alice"].requests, counts["alice"].log_ins, counts["alice"].blocked), (5, 2, 1), "{counts:?}");
    assert_eq!((counts["bob"].requests, counts["bob"].log_ins), (2, 1), "{counts:?}");
    assert!(!counts.contains_key("carol"));
}

/// The tenants of a domain, one of which is the log-in, have one place in flight: a request that waits for a log-in
/// must not hold it.
#[test]
fn a_log_in_at_the_domain_of_its_requests_is_never_waited_for_with_their_permit() {
    let site = shop(u32::MAX, Answer::status(401));
    let crawler = crawl_with(links as Links, &site, quick(2)).sessions(Sessions::new()).log_in(sign_in).per_domain(1);
    let seeds = (0..200).map(|n| format!("http://one.test/page/{n}"));
    let report = run(crawler.seeds(seeds).concurrency(4));
    assert!(report.pages() >= 200 && report.failed() == 0, "{report}");
    assert_eq!(report.sessions["default"].log_ins, 1, "{report}");
}

/// With one place for all, another crawl has a request in flight at nearly every moment: a log-in without a place would
/// be a second one.
#[test]
fn a_log_in_takes_a_place_of_the_capacity_that_its_crawl_shares() {
    const LATENCY: Duration = Duration::from_millis(4);
    let (log_ins, left) = (AtomicU32::new(0), AtomicU32::new(0));
    let site = Recorder::start(move |asked| {
        let is_logged_in = sid(asked).parse() == Ok(log_ins.load(SeqCst));
        let answer = match (asked.host.as_str(), asked.path.as_str()) {
            ("one.test", "/login") if asked.method == "POST" => {
                left.store(40, SeqCst);
                Answer::ok("").header("set-cookie", format!("sid={}; Path=/", log_ins.fetch_add(1, SeqCst) + 1))
            }
            ("one.test", "/login") | ("two.test", _) => Answer::ok(""),
            _ if is_logged_in && left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok() => {
                Answer::ok("")
            }
            _ => Answer::status(401),
        };
        answer.after(LATENCY)
    });
    let capacity = Capacity::of_requests(1);
    let pages = |host: &str| (0..200).map(|n| format!("http://{host}/page/{n}")).collect::<Vec<_>>();
    let with_log_ins = crawl_with(links as Links, &site, quick(9))
        .capacity(&capacity)
        .sessions(Sessions::new().blocked_by([401]))
        .log_in(sign_in)
        .per_domain(4)
        .seeds(pages("one.test"));
    let other = crawl_with(links as Links, &site, quick(9)).capacity(&capacity).per_domain(4).seeds(pages("two.test"));
    let other = other.start().unwrap();
    let report = run(with_log_ins);
    assert_eq!(block_on(end_of(&other)).pages(), 200);
    assert!(report.pages() == 200 && report.failed() == 0, "{report}");
    assert!(report.sessions["default"].log_ins >= 5, "{report}");
    assert!(site.arrivals().smallest_gap() >= LATENCY, "one at a time: {:?}", site.arrivals().smallest_gap());
}

#[test]
fn a_log_in_passes_the_middleware_before_it_is_sent_and_no_other() {
    let site = Recorder::start(|asked| match (asked.header("x-signature"), asked.path.as_str()) {
        (None, _) => Answer::status(400),
        (_, "/login") => Answer::page([""; 0]).header("set-cookie", "sid=1; Path=/"),
        _ if asked.host == "one.test" && sid(asked) == "-" => Answer::status(401),
        (_, "/1") => Answer::page(["/2", "/3", "http://two.test/1", "http://two.test/2"]),
        _ => Answer::page([""; 0]),
    });
    let judged = Arc::new(Mutex::new(Vec::new()));
    let judging = judged.clone();
    let log_in = async |login: Login| -> Result<()> {
        login.get("http://one.test/login").send().await?.error_for_status()?;
        Ok(())
    };
    let report = run(crawl_with(links as Links, &site, quick(1))
        .sessions(Sessions::new())
        .log_in(log_in)
        .middleware(before_request("sign", |request, _| {
            request.set_header("x-signature", "signed");
            Ok(())
        }))
        .middleware(after_response("judge", move |received| {
            judging.lock().unwrap().push(received.page().unwrap().url().path().to_owned());
            Decision::Pass
        }))
        .seeds(["http://one.test/1", "http://three.test/1"]));
    assert_eq!((report.failed(), report.sessions["default"].log_ins), (0, 1), "{report}");
    assert!(!judged.lock().unwrap().iter().any(|path| path == "/login"), "what comes of it is the log-in's own");
}

/// Regression: the thread that waits to write held virtual time up for a second of real time.
#[cfg(feature = "testing")]
#[test]
fn sessions_are_saved_in_virtual_time_too() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("sessions.json");
    let with_cookie = |_: &actix_crawler::testing::Arrival| {
        actix_crawler::testing::Answer::html("<a href=/2>2</a>").with_header("set-cookie", "sid=1; Path=/")
    };
    let site = actix_crawler::testing::Site::new("https://example.org").respond("/", with_cookie);
    let read = file.clone();
    let run = site.run(|| async {
        let sessions = Sessions::new().file(&file);
        let crawler = Crawler::new(links as Links, CONTACT).sessions(sessions).seed("https://example.org/").stay_open();
        let handle = crawler.ignore_robots().start()?;
        tokio::time::sleep(Duration::from_secs(30)).await;
        let saved = fs::read_to_string(&read).unwrap_or_default();
        handle.close().await;
        handle.wait().await.map(|_| saved)
    });
    assert!(run.unwrap().into_output().unwrap().contains("sid"));
}

#[test]
fn a_session_that_is_read_and_set_while_the_crawl_runs_is_used_so() {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/1" => Answer::page(["/2"]).header("set-cookie", "token=t1; Path=/"),
        _ => Answer::page([""; 0]),
    });
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (read, has_set) = (seen.clone(), AtomicBool::new(false));
    let spider = move |page: &Response| {
        let session = page.session().unwrap();
        read.lock().unwrap().push(session.value("token").unwrap_or_default());
        if !has_set.swap(true, SeqCst) {
            session.set(&SessionCookie::new("sid", "set-by-hand", "one.test"))?;
            assert!(session.set(&SessionCookie::new("a;b", "x", "one.test")).is_err());
        }
        links(page)
    };
    run(crawl_with(spider, &site, quick(1)).cookies().request(visit("/1", "alice")));
    assert_eq!(*seen.lock().unwrap(), ["t1", "t1"]);
    assert_eq!(sids(&site), [("/1".to_owned(), "-".to_owned()), ("/2".to_owned(), "set-by-hand".to_owned())]);
}

#[test]
fn settings_that_cannot_be_are_told_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let broken = dir.path().join("broken.txt");
    fs::write(&broken, "sid=s3cret\n").unwrap();
    for (sessions, says) in [
        (Sessions::new().named("alice", SessionSettings::new().cookies_file(&broken)), "line 1"),
        (Sessions::new().named("alice", SessionSettings::new().cookies_file(dir.path().join("none"))), "No such file"),
        (Sessions::new().named("alice", SessionSettings::new().proxy("u:hidden@p:1")), "alice"),
        (Sessions::pool(1).pool_proxies(["nonsense"]), "pool_proxies[0]"),
        (
            Sessions::new().named("alice", SessionSettings::new().cookie(SessionCookie::new("a;b", "hidden", "e.org"))),
            "a;b",
        ),
        (Sessions::pool(2_000), "1000"),
    ] {
        let site = cloakroom();
        let error = crawl(&site).sessions(sessions).seed("http://one.test/").start().err().unwrap().to_string();
        assert!(error.contains(says) && !error.contains("hidden") && !error.contains("s3cret"), "{error}");
    }
}

#[path = "../examples/log_in.rs"]
#[allow(dead_code, reason = "it is a program of its own")]
mod log_in;

/// The example, judged by the shop's own log.
#[test]
fn the_example_of_a_log_in_gets_all_orders_and_is_logged_in_once_for_each_session() {
    let shop = log_in::shop::Shop::open().unwrap();
    let report = log_in::crawl(&shop.url, "s3cret").unwrap();
    assert_eq!((report.pages(), report.failed(), report.stats.items), (13, 0, 12), "{report}");
    let asked = shop.asked.lock().unwrap();
    let times = |what: &str| asked.iter().filter(|line| *line == what).count();
    // Thirteen pages at five for a session.
    assert_eq!((times("POST /login 303"), times("POST /login 200")), (3, 0), "{asked:?}");
    assert_eq!(times("GET /login 200"), 3, "no page is redirected to the form unnoticed: {asked:?}");
    assert_eq!(asked.iter().filter(|line| line.starts_with("GET /orders/") && line.ends_with("200")).count(), 12);
    assert!(report.to_string().contains("default                    15 requests, 2 blocked, 3 log-ins"), "{report}");
}

#[test]
fn the_example_says_why_a_log_in_failed() {
    let shop = log_in::shop::Shop::open().unwrap();
    let report = log_in::crawl(&shop.url, "wrong").unwrap();
    assert_eq!((report.pages(), report.failed()), (0, 1), "{report}");
    assert!(report.to_string().contains("Wrong name, password or token"), "{report}");
    assert_eq!(shop.asked.lock().unwrap().iter().filter(|line| line.starts_with("POST")).count(), 3);
}
