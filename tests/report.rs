//! The report as data: programs read it, so its keys and values must not change.

mod crawls;
mod recorder;

use actix_crawler::{Politeness, Retry, prelude::*};
use crawls::{Links, MS, crawl_with, links, run};
use recorder::{Answer, Recorder};
use serde_json::{Value, json};

/// Times differ between runs: only their presence is checked.
fn without_times(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                if name.ends_with("_seconds") && field.is_number() {
                    *field = "some".into();
                }
                without_times(field);
            }
        }
        Value::Array(values) => values.iter_mut().for_each(without_times),
        _ => {}
    }
}

#[test]
fn the_report_of_a_small_crawl_has_these_keys_and_values() {
    let site = Recorder::start(|asked| match (asked.host.as_str(), asked.path.as_str()) {
        ("one.test", "/robots.txt") => Answer::ok("user-agent: *\ndisallow: /no\ncrawl-delay: 0.002"),
        (_, "/robots.txt") => Answer::status(404),
        ("one.test", "/") => Answer::page(["/a", "/gone", "/to", "/no", "/once", "http://two.test/b", "mailto:x@y.z"]),
        (_, "/gone") => Answer::status(404),
        (_, "/to") => Answer::redirect("/a"),
        (_, "/once") if asked.time == 1 => Answer::status(502),
        ("two.test", "/b") if asked.time == 1 => Answer::status(429).header("retry-after", 1),
        ("two.test", "/b") => Answer::page(["http://three.test/far"]),
        _ => Answer::ok("text"),
    });
    let retry = Retry { base: 5 * MS, ..Retry::default() };
    let settings = actix_crawler::Settings { retry, ..Default::default() };
    let crawler = crawl_with(links as Links, &site, settings)
        .politeness(Politeness::default())
        .rate(Rate::UNLIMITED)
        .within(Within::Any)
        .max_depth(1)
        .seed("http://one.test/");
    let report = run(crawler);
    let mut data = serde_json::to_value(&*report).unwrap();
    without_times(&mut data);
    let expected = json!({
        "bytes": 330,
        "complaints": [],
        "counts": {
            "drop/robots/disallowed": 1,
            "drop/scope/depth": 1,
            "failed/status/404": 1,
            "fetcher/replaced": 0,
            "outcome/ok": 4,
            "outcome/redirect": 1,
            "outcome/refused": 1,
            "outcome/status": 2,
            "redirects/already_seen": 1,
            "retry": 1,
            "robots/fetched": 2,
            "robots/status/200": 1,
            "robots/status/404": 1,
            "status/200": 4,
            "status/302": 1,
            "status/404": 1,
            "status/429": 1,
            "status/502": 1,
        },
        "domains": {
            "one.test": {
                "missed": 0,
                "most_in_flight": 1,
                "pages": 3,
                "refusals": 0,
                "requests": 7,
                "robots": "rules, 2ms between starts",
                "smallest_gap_seconds": "some",
            },
            "two.test": {
                "missed": 0,
                "most_in_flight": 1,
                "pages": 1,
                "refusals": 1,
                "requests": 3,
                "robots": "none",
                "smallest_gap_seconds": "some",
            },
        },
        "domains_active": 0,
        "domains_beyond": 0,
        "domains_cooling": 0,
        "elapsed_seconds": "some",
        "ended": "finished",
        "first_failures": { "status/404": { "detail": "404", "url": "http://one.test/gone" } },
        "items": 4,
        "ledger": { "discovered": 8, "done": 5, "dropped": 2, "failed": 1, "leased": 0, "queued": 0 },
        "ledger_adds_up": true,
        "redirects_to_seen": [{ "times": 1, "url": "http://one.test/a" }],
        "warnings": [],
    });
    assert_eq!(data, expected, "{data:#}");
}
