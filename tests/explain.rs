//! Explain: where a URL stands and why, held against what servers then see. One of the crawls is on disk.
#![cfg(feature = "disk")]
#![allow(clippy::disallowed_methods, reason = "forecasts are compared with arrivals")]

mod closing;
mod crawls;
mod recorder;

use std::{
    num::NonZeroU32,
    time::{Duration, Instant},
};

use actix_crawler::{
    CrawlHandle, Crawler, Politeness, Rate, RobotsPolicy, Scope, Settings, Within,
    explain::{Explanation, Wait, WaitsFor, Whereabouts},
    outcome::DropReason,
};
use closing::until_closed;
use crawls::{Links, MS, block_on, crawl, crawl_with, end_of, links, until};
use recorder::{Answer, Asked, Recorder};

/// A crawl that obeys robots files.
fn obedient(site: &Recorder, politeness: Politeness, scope: Scope) -> Crawler<Links> {
    let politeness = Politeness { robots: RobotsPolicy::Obey, ..politeness };
    let crawler = crawl_with(links as Links, site, Settings { scope, ..Settings::default() });
    crawler.politeness(politeness).within(Within::Host)
}

async fn stands(crawl: &CrawlHandle, url: &str) -> Whereabouts {
    crawl.explain(url).await.unwrap().stands
}

async fn wait(crawl: &CrawlHandle, url: &str) -> (Wait, Instant) {
    match stands(crawl, url).await {
        Whereabouts::Waits(wait) => (wait, Instant::now()),
        other => panic!("{url}: {other:?}"),
    }
}

/// Two domains, one with a rate and one whose robots file asks for a delay: 24 pages before the one asked about, and 5.
#[test]
fn a_forecast_is_when_the_server_sees_the_request() {
    let site = Recorder::start(|asked: &Asked| match asked.path.as_str() {
        "/robots.txt" if asked.host == "slow.test" => Answer::ok("User-agent: *\nCrawl-delay: 0.4"),
        "/robots.txt" => Answer::status(404),
        "/" => Answer::page((1..=30).map(|page| format!("/{page}"))),
        _ => Answer::ok(""),
    });
    let rate = Some(Rate::per_second(10));
    let politeness = Politeness { rate, per_domain: NonZeroU32::new(4).unwrap(), ..Politeness::default() };
    let handle = obedient(&site, politeness, Scope::default()).stay_open().start().unwrap();
    let asked = [("http://fast.test/25", "fast.test"), ("http://slow.test/6", "slow.test")];
    block_on(async {
        for (_, host) in asked {
            handle.seed(&format!("http://{host}/")).await.unwrap();
        }
        let mut forecasts = Vec::new();
        for (url, host) in asked {
            until("its page is found", async || matches!(stands(&handle, url).await, Whereabouts::Waits(_))).await;
            let (said, at) = wait(&handle, url).await;
            let forecast = said.forecast.unwrap();
            assert!(forecast > Duration::from_secs(1), "{said:?}");
            assert!((5..=24).contains(&said.ahead.unwrap()) && said.queued > said.ahead.unwrap(), "{said:?}");
            assert_eq!(said.found_on.as_deref(), Some(&*format!("http://{host}/")));
            let by_delay = said.reasons.contains(&WaitsFor::CrawlDelay { asked: 400 * MS });
            assert_eq!(by_delay, host == "slow.test", "{said:?}");
            let by_rate = |reason: &WaitsFor| matches!(reason, WaitsFor::Limits { rate, .. } if *rate == Some(Rate::per_second(10)));
            assert!(said.reasons.iter().any(by_rate), "{said:?}");
            forecasts.push((url, at + forecast, said));
        }
        for (url, forecast, said) in forecasts {
            let arrival = || site.asked().into_iter().find(|asked| asked.url() == url);
            until("it is requested", async || arrival().is_some()).await;
            let at = arrival().unwrap().at;
            // Never early but for the clocks; and late by what thirty round trips and a busy machine add.
            let off = (at + 20 * MS).checked_duration_since(forecast);
            assert!(
                off.is_some_and(|off| off < 600 * MS),
                "{url}: {:?}",
                (forecast.checked_duration_since(at), off, said)
            );
        }
        handle.abort().await;
    });
}

#[test]
fn each_end_is_told_with_its_reason_and_what_is_not_known_is_said_so() {
    let site = Recorder::start(|asked: &Asked| match (asked.path.as_str(), asked.host.as_str()) {
        ("/robots.txt", "one.test") => Answer::ok("User-agent: *\n\nDisallow: /private"),
        ("/robots.txt", _) => Answer::status(404),
        ("/", _) => {
            Answer::page(["/fine", "/gone", "/moved", "/private/page", "/broken", "http://else.test/", "/hangs"])
        }
        ("/moved", _) => Answer::redirect("/fine"),
        ("/gone", _) => Answer::status(404),
        ("/broken", _) => Answer::hang_up(),
        ("/hangs", _) => Answer::ok("").after(Duration::from_secs(20)),
        _ => Answer::page(["/deep"]),
    });
    let scope = Scope { max_depth: Some(1), ..Scope::default() };
    let politeness =
        Politeness { rate: Some(Rate::UNLIMITED), per_domain: NonZeroU32::new(16).unwrap(), ..Politeness::default() };
    let handle = obedient(&site, politeness, scope).stay_open().start().unwrap();
    let url = |path: &str| format!("http://one.test{path}");
    let said = block_on(async {
        handle.seed(&url("/")).await.unwrap();
        for path in ["/gone", "/broken", "/fine"] {
            let is_over = |stands: &Whereabouts| matches!(stands, Whereabouts::Failed(_) | Whereabouts::Done(_));
            until("a page has ended", async || is_over(&stands(&handle, &url(path)).await)).await;
        }
        let paths = ["/", "/gone", "/moved", "/private/page", "/broken", "/deep", "/hangs", "/unknown"];
        let mut said = Vec::new();
        for url in paths.map(url).into_iter().chain(["http://else.test/".to_owned()]) {
            said.push(handle.explain(&url).await.unwrap());
        }
        handle.abort().await;
        end_of(&handle).await;
        assert!(handle.explain(&url("/")).await.is_err(), "a crawl that has ended is not asked");
        said
    });
    let without_time = |explained: &Explanation| {
        let text = explained.to_string();
        let Some((before, after)) = text.split_once(", at ") else { return text };
        let after = after.split_once(';').map_or(String::new(), |(_, after)| format!(";{after}"));
        format!("{before}{after}")
    };
    let found = "; found on http://one.test/";
    assert_eq!(
        said.iter().map(without_time).collect::<Vec<_>>(),
        [
            "done: ok".to_owned(),
            format!("failed: status, 404{found}"),
            format!("done: redirect, 302 http://one.test/fine{found}"),
            format!(
                "dropped: robots/disallowed, disallowed by line 3, `Disallow: /private`, of the group for `*`{found}"
            ),
            without_time(&said[4]),
            "dropped: scope/depth; found on http://one.test/fine".to_owned(),
            "in flight".to_owned(),
            "never heard of".to_owned(),
            format!("dropped: scope/host{found}"),
        ]
    );
    let Whereabouts::Failed(end) = &said[4].stands else { panic!("{:?}", said[4]) };
    assert!(end.attempts > 1 && end.at.is_some(), "{end:?}");
    assert!(said[4].to_string().starts_with(&format!("failed {} times: ", end.attempts)), "{}", said[4]);
    let json = serde_json::to_value(&said[8]).unwrap();
    assert_eq!((&json["stands"], &json["outcome"]), (&"dropped".into(), &"scope/host".into()), "{json}");
    assert_eq!(json["domain"], "else.test");
}

#[test]
fn what_holds_a_url_up_is_told() {
    let site = Recorder::start(|asked: &Asked| match (asked.path.as_str(), asked.host.as_str()) {
        ("/robots.txt", "one.test") => Answer::ok("").after(Duration::from_secs(20)),
        ("/robots.txt", _) => Answer::status(404),
        (_, "busy.test") => Answer::status(503).header("retry-after", "30"),
        ("/", _) => Answer::page(["/1", "/2", "/3"]),
        _ => Answer::ok("").after(Duration::from_secs(20)),
    });
    let politeness = Politeness { rate: Some(Rate::UNLIMITED), ..Politeness::default() };
    let scope = Scope { max_pages_per_domain: Some(2), ..Scope::default() };
    let handle = obedient(&site, politeness, scope).stay_open().start().unwrap();
    block_on(async {
        for seed in ["http://one.test/", "http://busy.test/", "http://two.test/"] {
            handle.seed(seed).await.unwrap();
        }
        until("its robots file is requested", async || site.asked().iter().any(|asked| asked.host == "one.test")).await;
        let (said, _) = wait(&handle, "http://one.test/").await;
        assert!(said.reasons.contains(&WaitsFor::RobotsFile), "{said:?}");

        let cools =
            |reason: &WaitsFor| matches!(reason, WaitsFor::Cools { left, .. } if *left > 20 * Duration::from_secs(1));
        let busy = "http://busy.test/";
        until(
            "it is refused",
            async || matches!(stands(&handle, busy).await, Whereabouts::Waits(wait) if wait.reasons.iter().any(cools)),
        )
        .await;
        let (said, _) = wait(&handle, busy).await;
        assert!(said.forecast.unwrap() > Duration::from_secs(20), "{said:?}");

        let last = "http://two.test/3";
        until("it is found", async || matches!(stands(&handle, last).await, Whereabouts::Waits(_))).await;
        let (said, _) = wait(&handle, last).await;
        assert!(said.reasons.iter().any(|reason| matches!(reason, WaitsFor::Budget { .. })), "{said:?}");

        handle.pause().await.unwrap();
        let (said, _) = wait(&handle, busy).await;
        assert_eq!((said.forecast, &said.reasons[0]), (None, &WaitsFor::Paused));
        handle.abort().await;
    });
}

/// Ten thousand pages wait, in memory or with a state, of which a part is in memory.
#[test]
fn a_long_queue_is_counted_as_far_as_it_is_looked_at() {
    let site = Recorder::start(|_| Answer::page((0..10_000).map(|page| format!("/{page}"))));
    let dir = tempfile::tempdir().unwrap();
    for is_stored in [false, true] {
        let crawler = crawl(&site).rate(Rate::per_minute(1)).stay_open();
        let crawler = if is_stored { crawler.state(dir.path().join("state")) } else { crawler };
        let handle = crawler.start().unwrap();
        block_on(async {
            handle.seed("http://one.test/").await.unwrap();
            until("they wait", async || handle.progress().await.unwrap().ledger.queued == 10_000).await;
            let (near, _) = wait(&handle, "http://one.test/99").await;
            assert_eq!((near.ahead, near.queued), (Some(99), 10_000));
            let forecast = near.forecast.unwrap();
            let minutes = Duration::from_secs(60 * 100);
            assert!(forecast <= minutes + minutes / 100 && forecast > minutes - minutes / 100, "{forecast:?}");
            match stands(&handle, "http://one.test/9999").await {
                Whereabouts::Waits(far) => assert_eq!((far.ahead, is_stored), (Some(9_999), false)),
                Whereabouts::TakenIn { not_looked_at, .. } => {
                    assert!(is_stored && (1..10_000).contains(&not_looked_at))
                }
                other => panic!("{other:?}"),
            }
            handle.abort().await;
            end_of(&handle).await;
        });
    }
    until_closed(&dir.path().join("state"));
    let state = actix_crawler::frontier::stores::fjall::open_state(&dir.path().join("state")).unwrap();
    let said = |path: &str| state.explain(&format!("http://one.test{path}")).unwrap().to_string();
    let found = "found on http://one.test/";
    assert_eq!(said("/9999"), format!("waits: no crawl runs; 9999 before it; {found}"));
    assert!(said("/").starts_with("taken in at ") && said("/").ends_with(" and over: how is not known any more"));
    assert_eq!(said("/never"), "never heard of, or dropped where it was found, which is not stored");
}

#[test]
fn links_beyond_the_scope_are_told_before_they_are_found() {
    let site = Recorder::start(|_| Answer::ok(""));
    let handle =
        crawl_with(links as Links, &site, Settings::default()).within(Within::Host).stay_open().start().unwrap();
    block_on(async {
        handle.seed("http://one.test/").await.unwrap();
        let stands = stands(&handle, "http://two.test/#part").await;
        let would_be_dropped = Some(DropReason::Host);
        assert_eq!(stands, Whereabouts::NeverHeardOf { would_be_dropped, may_have_been_dropped: false });
        assert!(handle.explain("mailto:me@one.test").await.is_err());
        handle.abort().await;
    });
}
