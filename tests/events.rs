//! Events: what those hear who watch a crawl, held against the server's own record and the report.

mod crawls;
#[path = "../examples/events_in_actix_web.rs"]
#[allow(dead_code, reason = "its `main` is run as an example")]
mod events_in_actix_web;
mod recorder;

use std::{collections::BTreeMap, time::Duration};

use actix_crawler::{
    CrawlHandle,
    events::{BUFFER, CrawlEvent, CrawlEvents, Happened, Resource},
    report::Ended,
};
use crawls::{block_on, crawl, end_of, until};
use futures_util::StreamExt;
use recorder::{Answer, Asked, Recorder};
use serde_json::Value;

const SEED: &str = "http://one.test/";

/// A crawl that waits for its seeds, so that those who watch it miss nothing.
fn open(site: &Recorder) -> CrawlHandle {
    crawl(site).stay_open().start().unwrap()
}

fn read(events: CrawlEvents) -> Vec<CrawlEvent> {
    block_on(events.collect())
}

fn site(asked: &Asked) -> Answer {
    match asked.path.as_str() {
        "/" => Answer::page(["/1", "/2", "/moved", "/gone", "/broken", "mailto:me@one.test", "http://one.test/"]),
        "/moved" => Answer::redirect("/3"),
        "/gone" => Answer::status(404),
        "/broken" if asked.time < 2 => Answer::status(502),
        _ => Answer::ok("a page"),
    }
}

#[test]
fn the_events_of_a_crawl_agree_with_what_its_server_saw_and_what_it_reports() {
    let site = Recorder::start(site);
    let handle = open(&site);
    let (first, second) = (handle.events(), handle.events());
    let report = block_on(async {
        handle.seed(SEED).await.unwrap();
        handle.close().await;
        end_of(&handle).await
    });
    let events = read(first);
    assert_eq!(read(second), events, "each reader sees the same");

    let mut requested = Vec::new();
    let mut ends = BTreeMap::<_, Vec<_>>::new();
    let mut queued = BTreeMap::new();
    for event in &events {
        match &event.what {
            Happened::Requested { url, resource: Resource::Page, .. } => requested.push(url.to_string()),
            Happened::RequestEnded(end) => {
                ends.entry(end.url.to_string()).or_default().push((end.outcome, end.status, end.is_final));
            }
            Happened::Queued { url, found_on, depth, .. } => {
                queued.insert(url.to_string(), (found_on.as_deref().map(str::to_owned), *depth));
            }
            _ => {}
        }
    }
    requested.sort();
    assert_eq!(requested, site.sorted_urls());
    assert_eq!(ends["http://one.test/gone"], [("status", Some(404), true)]);
    assert_eq!(ends["http://one.test/broken"], [("status", Some(502), false), ("ok", Some(200), true)]);
    assert_eq!(queued[SEED], (None, 0));
    assert_eq!(queued["http://one.test/2"], (Some(SEED.to_owned()), 1));
    assert_eq!(queued.len() as u64, report.stats.ledger.discovered - report.stats.ledger.dropped, "{report}");
    assert!(events.is_sorted_by_key(|event| event.time));
    let Some(Happened::CrawlEnded { ended, pages, ledger, why: None }) = events.last().map(|event| &event.what) else {
        panic!("{:?}", events.last())
    };
    assert_eq!((*ended, *pages, *ledger), (Ended::Finished, report.pages(), report.stats.ledger));
}

#[test]
fn what_a_handle_pauses_resumes_and_cancels_is_told_with_its_pattern() {
    let site = Recorder::start(site);
    let handle = open(&site);
    let events = handle.events();
    block_on(async {
        handle.pause().await.unwrap();
        handle.pause().await.unwrap();
        handle.resume().await.unwrap();
        handle.domain("*.One.test").pause().await.unwrap();
        handle.domain("one.test").cancel().await.unwrap();
        handle.domain("*").resume().await.unwrap();
        handle.stop().await;
        end_of(&handle).await;
    });
    let is_of_handle = |what: &Happened| {
        matches!(what, Happened::Paused { .. } | Happened::Resumed { .. } | Happened::Cancelled { .. })
    };
    let told: Vec<_> = read(events).into_iter().map(|event| event.what).filter(is_of_handle).collect();
    let domains = |pattern: &str| Some(pattern.to_owned());
    let expected = [
        Happened::Paused { domains: None },
        Happened::Resumed { domains: None },
        Happened::Paused { domains: domains("*.one.test") },
        Happened::Cancelled { domains: "one.test".to_owned() },
        Happened::Resumed { domains: domains("*") },
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_crawl_neither_waits_for_a_reader_that_never_reads_nor_hides_what_it_missed() {
    // Each page brings two events of its own, and a hundred links of which each brings one.
    let site = Recorder::start(|asked| Answer::page((0..100).map(|link| format!("/{}/{link}", asked.index))));
    let handle = crawl(&site).stay_open().max_pages(2 * BUFFER as u64 / 100).start().unwrap();
    let (mut read_fast, read_late) = (handle.events(), handle.events());
    let (fast, report) = block_on(async {
        handle.seed(SEED).await.unwrap();
        handle.close().await;
        let mut read = 0;
        while let Some(event) = read_fast.next().await {
            read += u64::from(!matches!(event.what, Happened::LeftOut { .. }));
        }
        (read + read_fast.left_out(), end_of(&handle).await)
    });
    assert_eq!(report.ended, Ended::Finished, "{report}");
    let left_out = read_late.left_out();
    assert!(left_out > 0, "{read_late:?}");
    let late = read(read_late);
    let gaps = late.iter().filter_map(|event| match event.what {
        Happened::LeftOut { events } => Some(events),
        _ => None,
    });
    let gaps: Vec<_> = gaps.collect();
    assert_eq!(gaps, [left_out], "one gap, after what was kept");
    // All events but the gap, and the last, which always comes.
    assert_eq!(late.len(), BUFFER + 2);
    assert_eq!(late.len() as u64 - 1 + left_out, fast, "both know how many there were");
    assert!(matches!(late.last().unwrap().what, Happened::CrawlEnded { ended: Ended::Finished, .. }));
}

#[test]
fn events_of_a_crawl_that_is_stopped_or_over_end_with_why() {
    let site = Recorder::start(|_| Answer::ok("").after(Duration::from_secs(30)));
    let handle = open(&site);
    let before = handle.events();
    block_on(async {
        handle.seed(SEED).await.unwrap();
        until("a request hangs", async || site.count() > 0).await;
        handle.abort().await;
    });
    let before = read(before);
    let Happened::CrawlEnded { ended, ledger, .. } = &before.last().unwrap().what else { panic!("{before:?}") };
    assert_eq!((*ended, ledger.leased), (Ended::Aborted, 1), "{before:?}");
    assert_eq!(read(handle.events()), before[before.len() - 1..], "who comes later learns how it ended");
}

/// The example of a service, asked as a browser would.
#[actix_web::test]
async fn a_service_sends_the_events_of_a_crawl_to_each_who_reads_until_it_ends() {
    let site = Recorder::start(site);
    let handle = open(&site);
    let (server, address) = events_in_actix_web::serve(handle.clone()).unwrap();
    let service = server.handle();
    actix_web::rt::spawn(server);
    let client = awc::Client::builder().disable_timeout().finish();
    let mut readers = Vec::new();
    for _ in 0..2 {
        let response = client.get(format!("{address}/events")).send().await.unwrap();
        assert_eq!(response.headers().get("content-type").unwrap(), "text/event-stream");
        readers.push(response);
    }
    // A third one goes away at once.
    drop(client.get(format!("{address}/events")).send().await.unwrap());
    handle.seed(SEED).await.unwrap();
    handle.close().await;
    until("the crawl has ended", async || handle.report().is_some()).await;
    let report = handle.report().unwrap();
    for mut reader in readers {
        let sent = String::from_utf8(reader.body().await.unwrap().to_vec()).unwrap();
        let events: Vec<Value> = sent
            .split("\n\n")
            .filter_map(|part| part.strip_prefix("data: "))
            .map(|json| serde_json::from_str(json).unwrap())
            .collect();
        let pages = events.iter().filter(|event| event["event"] == "request_ended" && event["outcome"] == "ok");
        assert_eq!(pages.count() as u64, report.pages(), "{sent}");
        let last = events.last().unwrap();
        assert_eq!((&last["event"], &last["ended"]), (&"crawl_ended".into(), &"finished".into()), "{last}");
        assert_eq!(last["ledger"]["done"], report.stats.ledger.done);
        assert!(events.iter().all(|event| event["time"].as_str().unwrap().ends_with('Z')));
    }
    service.stop(true).await;
}
