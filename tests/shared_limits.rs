//! Crawls and clients of one process at one domain, judged by the kernel's arrival times at its server.

#![allow(clippy::disallowed_methods, reason = "time is measured here")]

mod crawls;
mod recorder;

use std::{sync::Arc, thread, time::Duration};

use actix_crawler::{
    Capacity, Conducts, Crawler, Domain, Politeness, Rate, RobotsPolicy, Settings, ThrottledClient,
    client::ClientBuilder,
    politeness::DomainKey,
    transport::{AddressGuard, TransportSettings},
};
use crawls::{CONTACT, Links, MS, block_on, crawl, end_of, run, until};
use futures_util::future::join_all;
use recorder::{Answer, Arrivals, Asked, Recorder};

const S: Duration = Duration::from_secs(1);

/// A crawl of pages below `/name/`.
fn crawl_of(site: &Recorder, name: &str, pages: u32, conducts: &Conducts) -> Crawler<Links> {
    crawl(site).conducts(conducts).seeds((0..pages).map(|n| site.url(&format!("/{name}/{n}"))))
}

fn client(rate: Rate, conducts: &Conducts) -> ClientBuilder {
    ThrottledClient::builder(CONTACT).rate(rate).allow_private().conducts(conducts)
}

/// Makes requests below `/name/` as fast as allowed.
fn poll(client: &ThrottledClient, site: &Recorder, name: &str, requests: u32) {
    block_on(async {
        let requests = (0..requests).map(|n| client.get(site.url(&format!("/{name}/{n}"))).send());
        assert!(join_all(requests).await.iter().all(Result::is_ok));
    });
}

/// The requests made while all of them had work: from the first request of the last to start, to the last request of
/// the first to end.
fn together<'a>(asked: &'a [Asked], names: &[&str]) -> (&'a [Asked], Vec<usize>) {
    let is_of = |asked: &Asked, name: &str| asked.path.starts_with(&format!("/{name}/"));
    let from = names.iter().map(|name| asked.iter().position(|asked| is_of(asked, name)).unwrap()).max().unwrap();
    let to = names.iter().map(|name| asked.iter().rposition(|asked| is_of(asked, name)).unwrap()).min().unwrap();
    let part = &asked[from..=to];
    let counts = names.iter().map(|name| part.iter().filter(|asked| is_of(asked, name)).count()).collect();
    (part, counts)
}

fn assert_fair(counts: &[usize]) {
    let share = counts.iter().sum::<usize>() as f64 / counts.len() as f64;
    assert!(share >= 8.0, "{counts:?}");
    for count in counts {
        assert!((share / 2.0..=share * 2.0).contains(&(*count as f64)), "{counts:?}");
    }
}

/// One crawl has a spacing, the other a rate, and the client another rate with a far horizon: all limits hold together,
/// and none starves.
#[test]
fn two_crawls_and_a_client_keep_their_limits_together_and_each_has_its_share() {
    const SPACING: Duration = Duration::from_millis(40);
    let site = Recorder::start(|_| Answer::ok("").after(70 * MS));
    let conducts = Conducts::new();
    thread::scope(|scope| {
        scope.spawn(|| run(crawl_of(&site, "spaced", 40, &conducts).spacing(SPACING).per_domain(3)));
        scope.spawn(|| run(crawl_of(&site, "rated", 40, &conducts).rate(Rate::per_second(20)).per_domain(2)));
        let (client, site) = (client(Rate::per_second(100), &conducts).build().unwrap(), site.share());
        scope.spawn(move || poll(&client, &site, "client", 40));
    });
    let all = site.asked();
    assert_eq!(all.len(), 120);
    let (asked, counts) = together(&all, &["spaced", "rated", "client"]);
    println!("{} of 120 together: {counts:?}, {:.1}/s", asked.len(), Arrivals::of(asked).rate());
    let arrivals = Arrivals::of(asked);
    assert!(arrivals.smallest_gap() >= SPACING, "{:?}", arrivals.smallest_gap());
    assert!(arrivals.fullest(S) <= 20, "{} in one second", arrivals.fullest(S));
    assert!(asked.iter().all(|asked| asked.in_flight <= 2), "the least of what each allows in flight");
    assert_fair(&counts);
    assert!(arrivals.rate() >= 15.0, "{:.1} of 20 a second", arrivals.rate());
}

#[test]
fn one_place_in_flight_goes_round() {
    let site = Recorder::start(|_| Answer::ok("").after(20 * MS));
    let conducts = Conducts::new();
    thread::scope(|scope| {
        scope.spawn(|| run(crawl_of(&site, "crawl", 30, &conducts)));
        for name in ["one", "other"] {
            let (client, site) = (client(Rate::UNLIMITED, &conducts).concurrency(1).build().unwrap(), site.share());
            scope.spawn(move || poll(&client, &site, name, 30));
        }
    });
    let all = site.asked();
    let (asked, counts) = together(&all, &["crawl", "one", "other"]);
    println!("{counts:?}");
    assert!(asked.iter().all(|asked| asked.in_flight == 1));
    assert_fair(&counts);
}

/// Their politeness is apart, so that nothing but the capacity bounds them.
#[test]
fn two_crawls_and_a_client_keep_one_capacity_together_and_each_has_its_share() {
    const MOST: u32 = 6;
    let site = Recorder::start(|_| Answer::ok("").after(60 * MS));
    let capacity = Capacity::of_requests(MOST);
    thread::scope(|scope| {
        for name in ["one", "other"] {
            let crawl = crawl_of(&site, name, 60, &Conducts::new()).per_domain(50).capacity(&capacity);
            scope.spawn(|| run(crawl));
        }
        let client = client(Rate::UNLIMITED, &Conducts::new()).capacity(&capacity).build().unwrap();
        let site = site.share();
        scope.spawn(move || poll(&client, &site, "client", 60));
    });
    let all = site.asked();
    assert_eq!(all.len(), 180);
    let most = all.iter().map(|asked| asked.in_flight_in_all).max().unwrap();
    let (asked, counts) = together(&all, &["one", "other", "client"]);
    println!("{most} in flight, {counts:?}, {:.0}/s", Arrivals::of(asked).rate());
    assert_eq!(most, MOST as usize);
    assert_fair(&counts);
    let busy = asked.iter().filter(|asked| asked.in_flight_in_all + 1 >= MOST as usize).count();
    // A busy machine takes long to make a request, so not all places are always used.
    assert!(5 * busy >= asked.len(), "the places are used: {busy} of {}", asked.len());
    assert_eq!(capacity.in_flight(), 0);
}

/// By default all clients of a process share.
#[test]
fn who_is_told_nothing_shares_with_the_whole_process() {
    let site = Recorder::start(|_| Answer::ok(""));
    let clients =
        [(); 3].map(|()| ThrottledClient::builder(CONTACT).rate(Rate::per_second(20)).allow_private().build().unwrap());
    thread::scope(|scope| {
        for (client, name) in clients.iter().zip(["a", "b", "c"]) {
            let site = site.share();
            scope.spawn(move || poll(client, &site, name, 20));
        }
    });
    let all = site.asked();
    let (_, counts) = together(&all, &["a", "b", "c"]);
    assert!(site.arrivals().fullest(S) <= 20 && site.arrivals().smallest_gap() >= 48 * MS);
    assert_fair(&counts);
}

#[test]
fn with_conducts_of_their_own_they_are_apart() {
    let site = Recorder::start(|_| Answer::ok(""));
    thread::scope(|scope| {
        scope.spawn(|| run(crawl_of(&site, "crawl", 20, &Conducts::new()).spacing(100 * MS)));
        for name in ["one", "other"] {
            let (client, site) = (client(Rate::per_second(10), &Conducts::new()).build().unwrap(), site.share());
            scope.spawn(move || poll(&client, &site, name, 20));
        }
    });
    let all = site.asked();
    let (asked, _) = together(&all, &["crawl", "one", "other"]);
    assert!(Arrivals::of(asked).rate() > 20.0, "{:.1} of 30 a second", Arrivals::of(asked).rate());
    for name in ["crawl", "one", "other"] {
        let own: Vec<_> = all.iter().filter(|asked| asked.path.starts_with(&format!("/{name}/"))).cloned().collect();
        assert!(Arrivals::of(&own).smallest_gap() >= 98 * MS, "{name}");
    }
}

#[test]
fn a_refusal_that_one_hears_holds_for_all() {
    let site = Recorder::start(|asked| match asked.index {
        0 => Answer::status(429).header("retry-after", 2),
        _ => Answer::ok(""),
    });
    let conducts = Conducts::new();
    let (one, other) = (client(Rate::UNLIMITED, &conducts), client(Rate::UNLIMITED, &conducts));
    let (one, other) = (one.build().unwrap(), other.build().unwrap());
    block_on(async {
        // A POST is not repeated, so its caller gets the response while the domain cools.
        assert_eq!(one.post(site.url("/")).send().await.unwrap().status(), 429);
        assert_eq!(other.get(site.url("/")).send().await.unwrap().status(), 200);
    });
    let at = site.arrivals().0;
    assert!(at[1] - at[0] >= 2 * S, "{:?}", at[1] - at[0]);
}

/// The limits of a dropped client no longer apply, but its last start still counts.
#[test]
fn a_tenant_that_ends_takes_its_limits_with_it() {
    let site = Recorder::start(|_| Answer::ok(""));
    let conducts = Conducts::new();
    let fast = client(Rate::per_second(20), &conducts).build().unwrap();
    let slow = client(Rate::every(5 * S), &conducts).build().unwrap();
    poll(&slow, &site, "slow", 1);
    thread::scope(|scope| {
        scope.spawn(|| poll(&fast, &site, "fast", 10));
        thread::sleep(300 * MS);
        assert_eq!(site.count(), 1, "the limits of both hold");
        drop(slow);
    });
    let arrivals = site.arrivals();
    assert_eq!(arrivals.0.len(), 11);
    assert!(arrivals.span() < 3 * S && arrivals.smallest_gap() >= 48 * MS, "{:?}", arrivals.span());
}

/// The slow one is made anew after a fast one was there: the fast one's law had forgotten what the slow one asked, and
/// the domain was forgotten with it. The gap was 1.5 s.
#[test]
fn a_tenant_that_comes_again_keeps_to_what_it_asked_before_whoever_came_between() {
    let site = Recorder::start(|_| Answer::ok(""));
    let conducts = Conducts::new();
    let slow = || client(Rate::every(3 * S), &conducts).build().unwrap();
    poll(&slow(), &site, "slow", 1);
    let fast = client(Rate::per_second(50), &conducts).build().unwrap();
    poll(&fast, &site, "fast", 1);
    // It has nothing more to ask, and leaves the domain by itself.
    let domain = Domain::new("127.0.0.1");
    while fast.evidence(&domain).is_some() {
        thread::sleep(10 * MS);
    }
    poll(&slow(), &site, "slow", 1);
    assert!(site.arrivals().smallest_gap() < S, "the fast one kept to its own limits");
    let at = site.arrivals().0;
    assert!(at[2] - at[0] >= 3 * S, "{:?}", at[2] - at[0]);
}

/// The crawl waited for a day, in silence.
#[test]
fn a_domain_that_a_client_gave_up_is_given_up_for_a_crawl_too() {
    let site = Recorder::start(|_| Answer::status(429).header("retry-after", 172_800));
    let conducts = Conducts::new();
    let client = client(Rate::UNLIMITED, &conducts).build().unwrap();
    assert_eq!(block_on(client.get(site.url("/")).send()).unwrap().status(), 429);
    for robots in [true, false] {
        let mut crawl = crawl_of(&site, "crawl", 3, &conducts);
        if robots {
            crawl = crawl.politeness(Politeness::default());
        }
        let report = run(crawl);
        assert_eq!((report.pages(), report.failed()), (0, 3), "{report}");
    }
    assert_eq!(site.count(), 1);
}

#[test]
fn a_domain_that_is_paused_for_all_gets_no_request_from_crawls_and_clients_while_others_go_on() {
    let site = Recorder::start(|_| Answer::ok(""));
    let conducts = Conducts::new();
    let seeds = |host: &str| (0..20).map(|n| format!("http://{host}/{n}")).collect::<Vec<_>>();
    let asked_of = |host: &str| site.asked().iter().filter(|asked| asked.host == host).count();
    conducts.pause("a.test").unwrap();
    block_on(async {
        let crawl = || crawl(&site).conducts(&conducts).seeds(seeds("a.test")).seeds(seeds("b.test")).start().unwrap();
        let crawls = [crawl(), crawl()];
        let guard = AddressGuard { allow_private: true, ..AddressGuard::default() };
        let transport = TransportSettings { resolve: vec![site.rule()], guard, ..TransportSettings::default() };
        let client = client(Rate::UNLIMITED, &conducts).transport(transport).build().unwrap();
        let mut request = Box::pin(client.get("http://a.test/client").send());
        client.get("http://b.test/client").send().await.unwrap();
        until("all of the other domain is done", async || asked_of("b.test") == 2 * 20 + 1).await;
        assert!(futures_util::poll!(&mut request).is_pending());
        for crawl in &crawls {
            let explained = crawl.explain("http://a.test/7").await.unwrap().to_string();
            assert!(explained.contains("its domain is paused"), "{explained}");
        }
        assert_eq!(asked_of("a.test"), 0);

        conducts.resume("*").unwrap();
        request.await.unwrap();
        for crawl in &crawls {
            assert_eq!(end_of(crawl).await.pages(), 40);
        }
        assert_eq!(asked_of("a.test"), 2 * 20 + 1);
    });
    assert!(conducts.pause("https://a.test/").is_err(), "that is no domain");
}

/// Regression: `7` was read as the address 0.0.0.7, so nothing was paused and nothing said so.
#[test]
fn a_domain_is_paused_for_all_by_whatever_name_a_function_gives_it() {
    let (site, conducts) = (Recorder::start(|_| Answer::ok("")), Conducts::new());
    let by_path =
        |url: &url::Url| url.path_segments().and_then(|mut parts| parts.next()).unwrap_or_default().to_owned();
    let politeness = Politeness {
        spacing: Some(Duration::ZERO),
        domain_key: DomainKey::By(Arc::new(by_path)),
        robots: RobotsPolicy::Ignore,
        ..Politeness::default()
    };
    conducts.pause("7").unwrap();
    let spider = |_: &actix_crawler::Response| Ok(actix_crawler::Parsed::<()>::new());
    let seeds = ["http://a.test/7/x", "http://a.test/8/x"];
    let crawler = crawls::crawl_with(spider, &site, Settings::default()).politeness(politeness).conducts(&conducts);
    let crawl = crawler.seeds(seeds).start().unwrap();
    block_on(async {
        until("the other is asked", async || site.count() == 1).await;
        let explained = crawl.explain(seeds[0]).await.unwrap().to_string();
        assert!(explained.contains("its domain is paused"), "{explained}");
        conducts.resume("7").unwrap();
        assert_eq!(end_of(&crawl).await.pages(), 2);
    });
    assert_eq!(site.paths(), ["/8/x", "/7/x"]);
}
