//! The throttled client with refusals, retries, quotas, callers that give up, and many requests at once.

#![allow(clippy::disallowed_methods, reason = "time is measured here")]

mod recorder;

use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use actix_crawler::{
    Conducts, Domain, Error, Rate, Request, Result, Retry, ThrottledClient,
    client::{ClientBuilder, ExecutionProgress, Response},
    politeness::DomainKey,
};
use futures_util::{FutureExt, StreamExt, future::join_all};
use recorder::{Answer, Asked, Recorder};

const S: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);
const CONTACT: &str = "clienttest/1.0 (+https://example.org/bot)";

fn builder(rate: Rate) -> ClientBuilder {
    let quick = Retry { base: 10 * MS, max: 20 * MS, ..Retry::default() };
    ThrottledClient::builder(CONTACT).rate(rate).allow_private().retry(quick).conducts(&Conducts::new())
}

fn unlimited() -> ThrottledClient {
    builder(Rate::UNLIMITED).build().unwrap()
}

/// Answers the first request on a connection, and closes it at the second.
fn hangs_up_once() -> Recorder {
    Recorder::start(|asked| if asked.index == 1 { Answer::hang_up() } else { Answer::ok("") })
}

/// Responds with the path as JSON.
fn echo() -> Recorder {
    Recorder::start(|asked: &Asked| Answer::ok(format!("{:?}", asked.path)))
}

#[tokio::test]
async fn a_request_says_what_its_builder_was_told() {
    let api = echo();
    let client = unlimited();
    let posted = client
        .post(api.url("/items?a=1"))
        .query(&[("b", "2 3")])
        .bearer_auth("secret")
        .header("x-trace", "7")
        .json(&serde_json::json!({"id": 5}));
    let response = posted.send().await.unwrap();
    assert_eq!((response.status(), response.attempts()), (200, 1));
    assert_eq!(response.json::<String>().unwrap(), "/items?a=1&b=2+3");
    let formed = client.put(api.url("/")).basic_auth("me", "pass").form(&[("k", "v w")]);
    formed.send().await.unwrap();
    let asked = api.asked();
    assert_eq!(asked[0].method, "POST");
    assert_eq!(asked[0].header("authorization"), Some("Bearer secret"));
    assert_eq!(asked[0].header("content-type"), Some("application/json"));
    assert_eq!(asked[0].header("user-agent"), Some(CONTACT));
    assert_eq!(asked[0].header("x-trace"), Some("7"));
    assert_eq!(asked[0].body, br#"{"id":5}"#);
    assert_eq!(asked[1].header("authorization"), Some("Basic bWU6cGFzcw=="));
    assert_eq!(asked[1].body, b"k=v+w");
    for method in ["PATCH", "DELETE", "HEAD", "OPTIONS"] {
        client.request(method.parse().unwrap(), api.url("/")).send().await.unwrap();
        assert_eq!(api.asked().last().unwrap().method, method);
    }
}

#[tokio::test]
async fn a_mistake_is_named_and_nothing_is_sent() {
    let client = unlimited();
    assert!(matches!(client.get("api.example.com/x").send().await, Err(Error::Url { .. })));
    assert!(matches!(client.get("http://127.0.0.1:1/").query(&5).send().await, Err(Error::Setting { .. })));
    let anonymous = ThrottledClient::new("bot", Rate::UNLIMITED).unwrap_err().to_string();
    assert!(anonymous.contains("contact"), "{anonymous}");
}

#[tokio::test]
async fn a_private_address_is_refused_unless_it_was_allowed() {
    let api = echo();
    let client = ThrottledClient::new(CONTACT, Rate::UNLIMITED).unwrap();
    let refused = client.get(api.url("/")).send().await.unwrap_err();
    assert!(matches!(refused, Error::Fetch { .. }), "{refused}");
    assert!(api.asked().is_empty());
}

#[tokio::test]
async fn what_must_not_be_repeated_is_not_also_when_a_kept_alive_connection_dies() {
    for (repeatable, written) in [(None, 3), (Some(true), 3), (Some(false), 2)] {
        let (api, client) = (hangs_up_once(), unlimited());
        client.get(api.url("/")).send().await.unwrap();
        let request = client.get(api.url("/"));
        let ended = match repeatable {
            Some(repeatable) => request.repeatable(repeatable).send().await,
            None => request.send().await,
        };
        assert_eq!((ended.is_ok(), api.asked().len()), (written == 3, written), "{repeatable:?}");
    }
}

/// Regression: it failed for good though nothing was written. A job is granted up to 100 ms before it is due, and a
/// server may close the idle connection while it waits at the gate.
#[tokio::test]
async fn a_post_whose_connection_closes_while_it_waits_at_the_gate_goes_over_a_new_one() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let posts = Arc::new(AtomicUsize::new(0));
    let counted = posts.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(std::result::Result::ok) {
            let posts = counted.clone();
            std::thread::spawn(move || {
                // The permit of the next is granted at 900 to 950 ms, and due at 1,000.
                stream.set_read_timeout(Some(970 * MS)).unwrap();
                let mut bytes = [0; 4_096];
                while let Ok(1..) = stream.read(&mut bytes) {
                    posts.fetch_add(1, Ordering::SeqCst);
                    stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
                }
            });
        }
    });
    let client = builder(Rate::per_second(1)).build().unwrap();
    let answers = join_all((0..4).map(|_| client.post(url.as_str()).send())).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(posts.load(Ordering::SeqCst), 4, "and none twice");
}

/// Regression: a request that waited 100 ms at the gate had 100 ms less for its answer.
#[tokio::test]
async fn the_time_out_of_all_requests_does_not_count_their_wait_at_the_gate() {
    let api = Recorder::start(|_| Answer::ok("").after(120 * MS));
    let once = Retry::attempts(1);
    let client = builder(Rate::per_second(50)).timeout(180 * MS).retry(once.clone()).build().unwrap();
    let answers = join_all((0..100).map(|_| client.get(api.url("/")).send())).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_err()).count(), 0, "{answers:?}");
    let (api, hasty) = (echo(), builder(Rate::per_second(2)).timeout(45 * MS).retry(once).build().unwrap());
    let answers = join_all((0..3).map(|_| hasty.get(api.url("/")).send())).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
}

/// Regression: the password was not sent, and told in each error.
#[tokio::test]
async fn the_password_of_a_url_is_sent_to_its_origin_and_shown_to_nobody() {
    let api = Recorder::start(|asked| match asked.path.as_str() {
        "/gone" => Answer::redirect("/away"),
        _ => Answer::status(404),
    });
    let client = unlimited();
    let with_password = |path: &str| api.url(path).replace("http://", "http://me:s3cret@");
    let request = client.get(with_password("/x"));
    assert!(!format!("{request:?}").contains("s3cret") && !format!("{request:?}").contains("bWU6"), "{request:?}");
    let response = request.send().await.unwrap();
    assert!(!format!("{response:?} {}", response.url()).contains("s3cret"), "{response:?}");
    let refused = response.error_for_status().unwrap_err().to_string();
    assert_eq!(refused, format!("{} answered 404", api.url("/x")));
    let own = client.get(with_password("/own")).bearer_auth("token").send().await.unwrap();
    let given = Request::parse(&with_password("/gone")).unwrap();
    let statuses = client.execute([given], |response| async move { Ok(response.status()) }).await;
    assert_eq!((own.status(), statuses.len()), (404, 1));
    let told: Vec<_> = api.asked().iter().map(|asked| asked.header("authorization").map(str::to_owned)).collect();
    let basic = || Some("Basic bWU6czNjcmV0".to_owned());
    assert_eq!(told, [basic(), Some("Bearer token".to_owned()), basic(), basic()]);
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let failed = client.get(format!("http://me:s3cret@{nobody}/")).send().await.unwrap_err();
    assert!(matches!(failed, Error::Fetch { .. }) && !format!("{failed} {failed:?}").contains("s3cret"), "{failed}");
}

/// Regression: it cooled the shared gate for a second each time, as in a crawl, where the scheduler then decides.
#[tokio::test]
async fn a_host_that_is_not_there_does_not_stop_those_that_share_its_limit() {
    let api = echo();
    let client = builder(Rate::UNLIMITED).one_limit().retry(Retry { attempts: 1, ..Retry::default() }).build().unwrap();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let began = Instant::now();
    assert!(client.get(format!("http://{nobody}/")).send().await.is_err());
    client.get(api.url("/")).send().await.unwrap();
    assert!(began.elapsed() < S / 2, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_client_that_keeps_refusals_returns_them_at_once_and_its_domain_rests_all_the_same() {
    let api = Recorder::start(|asked| match asked.index {
        0 => Answer::status(429).header("retry-after", 1),
        _ => Answer::ok(""),
    });
    let client = builder(Rate::UNLIMITED).keep_refusals().build().unwrap();
    let began = Instant::now();
    let refused = client.get(api.url("/")).send().await.unwrap();
    assert_eq!((refused.status(), refused.attempts()), (429, 1));
    assert!(began.elapsed() < S / 2, "{:?}", began.elapsed());
    assert_eq!(client.get(api.url("/")).send().await.unwrap().status(), 200);
    assert!(began.elapsed() >= S, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_request_accepts_what_it_says_or_else_what_its_client_says() {
    let api = echo();
    for (client, accepted) in
        [(unlimited(), "*/*"), (builder(Rate::UNLIMITED).accept("text/csv").build().unwrap(), "text/csv")]
    {
        client.get(api.url("/")).send().await.unwrap();
        assert_eq!(api.asked().last().unwrap().header("accept"), Some(accepted));
        client.get(api.url("/")).header("Accept", "image/png").send().await.unwrap();
        assert_eq!(api.asked().last().unwrap().header("accept"), Some("image/png"));
    }
}

#[tokio::test]
async fn times_without_end_are_refused_or_read_as_long_ones() {
    let why = builder(Rate::every(Duration::MAX)).build().unwrap_err().to_string();
    assert!(why.contains("politeness.rate"), "{why}");
    let api = echo();
    let retry = Retry { base: Duration::MAX, max: Duration::MAX, ..Retry::default() };
    let client = builder(Rate::UNLIMITED).timeout(Duration::MAX).retry(retry).build().unwrap();
    client.get(api.url("/")).timeout(Duration::MAX).send().await.unwrap();
    client.set_rate(Rate::every(Duration::MAX));
    assert!(client.get(api.url("/")).send().now_or_never().is_none(), "a day has not passed");
}

#[tokio::test]
async fn a_status_is_a_response_and_becomes_an_error_only_when_asked() {
    let api = Recorder::start(|_| Answer::status(404));
    let response = unlimited().get(api.url("/")).send().await.unwrap();
    assert_eq!(response.status(), 404);
    assert!(matches!(response.error_for_status(), Err(Error::Status { status: 404, .. })));
}

#[tokio::test]
async fn a_refusal_cools_the_domain_and_is_tried_again_without_the_callers_knowing() {
    let refuse_third = |asked: &Asked| match asked.index {
        2 => Answer::status(429).header("retry-after", 1),
        _ => Answer::ok("1"),
    };
    let api = Recorder::start(refuse_third);
    let client = builder(Rate::UNLIMITED).concurrency(1).build().unwrap();
    let responses = join_all((0..5).map(|_| client.get(api.url("/")).send())).await;
    let attempts: Vec<_> = responses.iter().map(|response| response.as_ref().unwrap().attempts()).collect();
    assert_eq!(attempts, [1, 1, 2, 1, 1], "the refused one keeps its place");
    let at: Vec<_> = api.arrivals().0;
    assert!(at[3] - at[2] >= S, "nothing is sent while the domain cools");
    assert!(at[5] - at[3] < S);
}

/// Regression: it was the first again after each rest, until its domain was given up, and all others failed with it.
#[tokio::test]
async fn a_request_that_is_always_refused_costs_no_other_its_answer() {
    let api = Recorder::start(|asked| match asked.path.as_str() {
        "/broken" => Answer::status(429).header("retry-after", 1),
        _ => Answer::ok(""),
    });
    let client = builder(Rate::UNLIMITED).concurrency(1).build().unwrap();
    let paths = ["broken".to_owned()].into_iter().chain((0..20).map(|n| n.to_string()));
    let answers = join_all(paths.map(|path| client.get(api.url(&format!("/{path}"))).send())).await;
    let statuses: Vec<_> = answers.iter().map(|answer| answer.as_ref().map_or(0, |answer| answer.status())).collect();
    assert_eq!((statuses[0], &statuses[1..]), (429, &[200; 20][..]));
    assert_eq!(api.asked().iter().filter(|asked| asked.path == "/broken").count(), 8, "as often as a domain in a row");
}

#[tokio::test]
async fn what_may_not_be_repeated_is_not() {
    let api = Recorder::start(|_| Answer::status(503).header("retry-after", 0));
    let client = unlimited();
    assert_eq!(client.post(api.url("/")).send().await.unwrap().status(), 503);
    assert_eq!(api.asked().len(), 1);
    let broken = Recorder::start(|asked| if asked.index < 2 { Answer::status(502) } else { Answer::ok("") });
    assert_eq!(client.post(broken.url("/")).send().await.unwrap().status(), 502);
    let again = client.post(broken.url("/")).repeatable(true).send().await.unwrap();
    assert_eq!((again.status(), again.attempts()), (200, 2));
}

/// Regression: three POSTs in sequence to a server that only refuses all went out: the domain's queue was empty between
/// them, and its refusals were forgotten.
#[tokio::test]
async fn requests_that_are_not_repeated_wait_longer_with_each_refusal() {
    let api = Recorder::start(|_| Answer::status(503));
    let client = unlimited();
    for _ in 0..3 {
        assert_eq!(client.post(api.url("/")).send().await.unwrap().status(), 503);
        tokio::time::sleep(800 * MS).await;
    }
    let at = api.arrivals().0;
    assert!(at[1] - at[0] >= 5 * S && at[2] - at[1] >= 10 * S, "{:?}, {:?}", at[1] - at[0], at[2] - at[1]);
}

/// Regression: the domain was requested at the full rate, 44 to 49 times a second, and refused all.
#[tokio::test]
async fn a_domain_that_was_given_up_is_not_asked_and_its_callers_hear_of_it_at_once() {
    // More than a day: one such response is enough.
    let api = Recorder::start(|_| Answer::status(503).header("retry-after", 100_000).after(50 * MS));
    let client = builder(Rate::per_second(50)).concurrency(1).build().unwrap();
    let began = Instant::now();
    let ended = join_all((0..20).map(|_| client.get(api.url("/")).send())).await;
    let (answered, given_up): (Vec<_>, Vec<_>) = ended.into_iter().partition(Result::is_ok);
    assert_eq!((answered.len(), api.asked().len()), (1, 1), "who asked gets the answer");
    for error in given_up.into_iter().map(Result::unwrap_err).chain(client.get(api.url("/")).send().await.err()) {
        let Error::GivenUp { domain, why, until } = error else { panic!("{error}") };
        assert_eq!(domain, "127.0.0.1");
        assert!(why.contains("503"), "{why}");
        assert!(until.duration_since(std::time::SystemTime::now()).unwrap() > 86_000 * S);
    }
    assert!(began.elapsed() < S, "{:?}", began.elapsed());
    assert_eq!(api.asked().len(), 1);
}

#[tokio::test]
async fn a_wait_that_any_status_asks_for_is_waited_for() {
    let api = Recorder::start(|asked| match asked.index {
        0 => Answer::status(403).header("retry-after", 1),
        1 => Answer::status(403).header("x-ratelimit-remaining", 0).header("x-ratelimit-reset", 1),
        2 => Answer::status(502).header("retry-after", 1),
        _ => Answer::ok(""),
    });
    let client = builder(Rate::UNLIMITED).retry(Retry { attempts: 1, ..Retry::default() }).build().unwrap();
    let response = client.get(api.url("/")).send().await.unwrap();
    assert_eq!((response.status(), response.attempts()), (200, 4));
    assert!(api.arrivals().smallest_gap() >= S);
    let forbids = Recorder::start(|_| Answer::status(403));
    assert_eq!(client.get(forbids.url("/")).send().await.unwrap().status(), 403);
    assert_eq!(forbids.asked().len(), 1);
}

#[tokio::test]
async fn the_retry_budget_ends_with_the_last_answer() {
    let api = Recorder::start(|_| Answer::status(500));
    let response = unlimited().get(api.url("/")).send().await.unwrap();
    assert_eq!((response.status(), response.attempts(), api.asked().len()), (500, 3, 3));
}

#[tokio::test]
async fn a_request_has_its_own_time_out_and_waiting_for_the_permit_does_not_count() {
    let api = Recorder::start(|asked| Answer::ok("").after(if asked.path == "/slow" { 5 * S } else { Duration::ZERO }));
    let client = builder(Rate::per_second(2)).build().unwrap();
    let quick = || client.get(api.url("/")).timeout(100 * MS).send();
    assert!(join_all([quick(), quick(), quick()]).await.iter().all(Result::is_ok));
    let slow = client.post(api.url("/slow")).timeout(50 * MS).send().await;
    assert!(matches!(slow, Err(Error::Fetch { .. })));
}

/// The slot of a caller that gives up goes to the next one; no request is lost or sent twice.
#[tokio::test]
async fn a_caller_that_gives_up_leaves_its_place_to_the_next() {
    let api = echo();
    let client = builder(Rate::per_second(2)).build().unwrap();
    let started = Instant::now();
    client.get(api.url("/first")).send().await.unwrap();
    let mut given_up: Vec<_> = (0..100).map(|_| Box::pin(client.get(api.url("/given-up")).send())).collect();
    given_up.iter_mut().for_each(|request| assert!(request.now_or_never().is_none()));
    let next = tokio::spawn(client.get(api.url("/next")).send());
    tokio::time::sleep(300 * MS).await;
    drop(given_up);
    next.await.unwrap().unwrap();
    let paths: Vec<_> = api.asked().into_iter().map(|asked| asked.path).collect();
    assert_eq!(paths, ["/first", "/next"]);
    assert!(started.elapsed() < 900 * MS, "it took the place of the first that gave up: {:?}", started.elapsed());
}

/// Callers give up at every stage: in the queue, at the gate, while the request is in flight.
#[tokio::test]
async fn callers_that_give_up_at_any_moment_neither_lose_nor_double_a_permit() {
    let api = Recorder::start(|_| Answer::ok("").after(20 * MS));
    let client = builder(Rate::per_second(100)).concurrency(4).build().unwrap();
    let calls = (0..300_u32).map(|n| {
        let request = client.get(api.url("/")).send();
        async move { tokio::time::timeout(MS * (n * 37 % 900), request).await.is_ok() }
    });
    let answered = join_all(calls).await.into_iter().filter(|answered| *answered).count();
    assert!(answered > 20, "{answered}");
    assert!(api.arrivals().fullest(S) <= 100);
    // All slots are free again: four requests run at once, and succeed.
    let started = Instant::now();
    let results = join_all((0..8).map(|_| client.get(api.url("/")).send())).await;
    assert!(results.iter().all(Result::is_ok) && started.elapsed() < S);
}

#[tokio::test]
async fn the_rate_and_the_concurrency_change_while_requests_wait() {
    let api = Recorder::start(|_| Answer::ok("").after(50 * MS));
    let client = builder(Rate::per_minute(1)).build().unwrap();
    client.get(api.url("/")).send().await.unwrap();
    let waiting = tokio::spawn(join_all((0..10).map(|_| client.get(api.url("/")).send())));
    tokio::time::sleep(100 * MS).await;
    assert_eq!(api.asked().len(), 1);
    client.set_rate(Rate::per_second(100));
    waiting.await.unwrap();
    assert_eq!(api.asked().len(), 11);
    client.set_concurrency(1);
    let started = Instant::now();
    join_all((0..5).map(|_| client.get(api.url("/")).send())).await;
    assert!(started.elapsed() >= 250 * MS, "one after another");
}

/// Regression: the domain had been forgotten, and the new rate allowed its whole number again.
#[tokio::test]
async fn a_rate_that_changes_after_a_quiet_moment_counts_the_starts_within_its_window() {
    const WINDOW: Duration = Duration::from_secs(5);
    let api = echo();
    let client = builder(Rate::per_second(100)).build().unwrap();
    let began = Instant::now();
    join_all((0..20).map(|_| client.get(api.url("/")).send())).await;
    while client.evidence(&Domain::new("127.0.0.1")).is_some() {
        tokio::time::sleep(20 * MS).await;
    }
    assert!(began.elapsed() < WINDOW, "forgotten while the new window still counts what was asked");
    client.set_rate(Rate::new(20, WINDOW).unwrap().burst(20));
    join_all((0..5).map(|_| client.get(api.url("/")).send())).await;
    assert_eq!(api.asked().len(), 25);
    assert!(api.arrivals().fullest(WINDOW) <= 20);
    assert!(began.elapsed() < 2 * WINDOW, "each start is free again when it has left the window");
}

#[tokio::test]
async fn each_domain_has_its_limit_or_all_share_one() {
    let api = echo();
    let of = |host: &str| api.url("/").replace("127.0.0.1", host);
    let apart = builder(Rate::per_second(1)).rate_of("127.0.0.3", Rate::UNLIMITED).build().unwrap();
    let started = Instant::now();
    let urls = ["127.0.0.1", "localhost", "127.0.0.1"].map(of);
    join_all(urls[..2].iter().map(|url| apart.get(url).send())).await;
    assert!(started.elapsed() < 900 * MS);
    let shared = builder(Rate::per_second(2)).one_limit().build().unwrap();
    join_all(urls.iter().map(|url| shared.get(url).send())).await;
    assert!(started.elapsed() >= 1_000 * MS);
    let by_path = DomainKey::By(Arc::new(|url: &url::Url| url.path().to_owned()));
    let by_path = builder(Rate::per_minute(1)).limit_by(by_path).build().unwrap();
    let responses = join_all(["/a", "/b", "/c"].map(|path| by_path.get(api.url(path)).send())).await;
    assert!(responses.iter().all(Result::is_ok));
}

/// A server that allows 20 requests in 2 s and reports the rest of its quota: it never has to refuse.
#[tokio::test]
async fn a_quota_that_the_server_tells_is_kept_before_anything_is_refused() {
    let window = std::sync::Mutex::new((Instant::now(), 0_u32));
    let refused = Arc::new(AtomicUsize::new(0));
    let count = refused.clone();
    let api = Recorder::start(move |_| {
        let mut window = window.lock().unwrap();
        if window.0.elapsed() > 2 * S {
            *window = (Instant::now(), 0);
        }
        window.1 += 1;
        let (left, reset) = (20_u32.saturating_sub(window.1), (2 * S).saturating_sub(window.0.elapsed()));
        let answer = if window.1 > 20 { Answer::status(429) } else { Answer::ok("") };
        count.fetch_add(usize::from(answer.status == 429), Ordering::Relaxed);
        answer.header("x-ratelimit-remaining", left).header("x-ratelimit-reset", reset.as_secs_f64()).after(5 * MS)
    });
    let client = builder(Rate::per_second(200)).concurrency(4).build().unwrap();
    let results = client.execute((0..50).map(|_| api.url("/")), |response| async move { Ok(response.status()) }).await;
    assert!(results.into_iter().all(|status| status.unwrap() == 200));
    assert_eq!(refused.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn an_unknown_limit_is_found() {
    let taken = std::sync::Mutex::new(std::collections::VecDeque::new());
    let api = Recorder::start(move |asked| {
        let mut taken = taken.lock().unwrap();
        while taken.front().is_some_and(|first| asked.at - *first > S) {
            taken.pop_front();
        }
        if taken.len() >= 20 {
            return Answer::status(429).header("retry-after", 1);
        }
        taken.push_back(asked.at);
        Answer::ok("")
    });
    let client = builder(Rate::per_second(16)).adaptive().build().unwrap();
    let urls = std::iter::repeat_with(|| api.url("/"));
    let statuses = client.execute(urls, |response| async move { Ok(response.status()) }).unordered();
    statuses.take(260).collect::<Vec<_>>().await;
    let last: Vec<_> = api.arrivals().0.into_iter().rev().take(80).collect();
    let rate = 79.0 / (last[0] - last[79]).as_secs_f64();
    assert!((17.0..20.5).contains(&rate), "settles just under 20: {rate:.1}");
}

#[tokio::test]
async fn a_redirect_is_followed_under_a_permit_of_its_own_and_without_credentials() {
    let there = echo();
    let to = there.url("/there").replace("127.0.0.1", "localhost");
    let api = Recorder::start(move |_| Answer::status(302).header("location", &to));
    let client = unlimited();
    let response = client.get(api.url("/")).bearer_auth("secret").send().await.unwrap();
    assert_eq!((response.status(), response.url().path()), (200, "/there"));
    assert_eq!(there.asked()[0].header("authorization"), None);
    let kept = builder(Rate::UNLIMITED).keep_redirects().build().unwrap();
    assert_eq!(kept.get(api.url("/")).send().await.unwrap().status(), 302);
}

#[tokio::test]
async fn headers_that_the_caller_calls_secret_stay_with_their_origin() {
    let there = echo();
    let to = there.url("/there").replace("127.0.0.1", "localhost");
    let api = Recorder::start(move |asked| match asked.path.as_str() {
        "/" => Answer::redirect("/on"),
        _ => Answer::redirect(&to),
    });
    let client = builder(Rate::UNLIMITED).secret_header("x-tenant").build().unwrap();
    client.get(api.url("/")).header("X-Tenant", "7").header("X-Trace", "8").send().await.unwrap();
    assert_eq!(api.asked()[1].header("x-tenant"), Some("7"), "the same origin gets it");
    assert_eq!((there.asked()[0].header("x-tenant"), there.asked()[0].header("x-trace")), (None, Some("8")));
    let error = builder(Rate::UNLIMITED).secret_header("no header").build().unwrap_err();
    assert!(error.to_string().contains("secret_headers"), "{error}");
}

/// What an API says is data, whatever it says.
#[tokio::test]
async fn a_client_follows_no_refresh() {
    let api =
        Recorder::start(|_| Answer::ok("<meta http-equiv=refresh content='0;/b'>").header("refresh", "0; url=/b"));
    let response = unlimited().get(api.url("/a")).send().await.unwrap();
    assert_eq!((response.url().path(), api.count()), ("/a", 1));
}

#[tokio::test]
async fn results_come_in_the_order_given_and_one_failure_ends_no_other() {
    let api = Recorder::start(|asked| match asked.path.as_str() {
        "/3" => Answer::status(404),
        path => Answer::ok(&path[1..]).after(MS * (60 - 10 * path[1..].parse::<u32>().unwrap())),
    });
    let client = unlimited();
    let mut seen = Vec::new();
    let results = client
        .execute((0..6).map(|n| client.get(api.url(&format!("/{n}")))), |response| async move {
            response.error_for_status()?.json::<u32>()
        })
        .progress(|progress| seen.push(progress))
        .await;
    let values: Vec<_> = results.iter().map(|result| result.as_ref().ok().copied()).collect();
    assert_eq!(values, [Some(0), Some(1), Some(2), None, Some(4), Some(5)]);
    assert_eq!(seen.len(), 6);
    assert_eq!(seen[5], ExecutionProgress { done: 6, failed: 1, total: Some(6) });
    let read = |response: actix_crawler::client::Response| async move { response.error_for_status()?.json::<u32>() };
    let urls = || (0..6).map(|n| api.url(&format!("/{n}")));
    let ordered: Vec<_> = client.execute(urls(), read).ordered().map(|done| done.index).collect().await;
    assert_eq!(ordered, [0, 1, 2, 3, 4, 5]);
    let unordered: Vec<_> = client.execute(urls(), read).unordered().map(|done| done.index).collect().await;
    assert_ne!(unordered, ordered, "in the order of completion");
    let failed = client.execute(urls(), read).fail_fast().await;
    assert!(matches!(failed, Err(Error::Status { status: 404, .. })));
}

#[tokio::test]
async fn a_failure_ends_a_fail_fast_execution_and_nothing_more_is_sent() {
    let api = Recorder::start(|asked| if asked.index == 5 { Answer::status(404) } else { Answer::ok("") });
    let client = builder(Rate::per_second(50)).build().unwrap();
    let read = |response: actix_crawler::client::Response| async move { response.error_for_status().map(drop) };
    assert!(client.execute((0..500).map(|_| api.url("/")), read).fail_fast().await.is_err());
    let sent = api.asked().len();
    tokio::time::sleep(200 * MS).await;
    assert!(api.asked().len() <= sent + 1 && sent < 20, "{sent}, then {}", api.asked().len());
}

#[tokio::test]
async fn of_an_endless_iterator_only_what_may_be_under_way_is_taken_and_a_bound_beyond() {
    let api = echo();
    let client = builder(Rate::UNLIMITED).concurrency(4).build().unwrap();
    let taken = AtomicUsize::new(0);
    let endless = || {
        taken.store(0, Ordering::Relaxed);
        std::iter::repeat_with(|| {
            taken.fetch_add(1, Ordering::Relaxed);
            api.url("/")
        })
    };
    let read = |response: actix_crawler::client::Response| async move { Ok(response.status()) };
    assert_eq!(client.execute(endless(), read).ordered().take(100).count().await, 100);
    assert!(taken.load(Ordering::Relaxed) <= 100 + 4 + 32, "{taken:?}");
    assert_eq!(client.execute(endless(), read).unordered().take(100).count().await, 100);
    assert!(taken.load(Ordering::Relaxed) <= 100 + 4 + 32 + 10_000, "{taken:?}");
}

/// Regression: as many as may be in flight were taken, all of the first domain, and the other was not asked for
/// minutes.
#[tokio::test]
async fn a_slow_domain_holds_up_no_other_in_an_execution() {
    let api = echo();
    let client = builder(Rate::per_second(1)).build().unwrap();
    let slow = (0..600).map(|n| api.url(&format!("/{n}")));
    let fast = api.url("/fast").replace("127.0.0.1", "localhost");
    let began = Instant::now();
    let execution = client.execute(slow.chain([fast]), |response| async move { Ok(response.status()) });
    let mut completions = std::pin::pin!(execution.unordered());
    while completions.next().await.is_some_and(|completion| completion.index != 600) {}
    assert!(began.elapsed() < 2 * S, "{:?}", began.elapsed());
}

/// It once went out from this machine's own address, without an error.
#[tokio::test]
async fn a_plain_request_goes_through_its_own_proxy_and_keeps_its_redirect() {
    let api = Recorder::start(|_| Answer::status(302).header("location", "/there"));
    let proxy = Recorder::start(|_| Answer::ok("of the proxy"));
    let client = unlimited();
    let request = || Request::parse(&api.url("/here")).unwrap().header("x-trace", "7");
    let requests = [request().via(proxy.url("")), request().no_redirects()];
    let read = |response: Response| async move { Ok((response.status(), response.body_text())) };
    let [through, kept] = &client.execute(requests, read).ordered().collect::<Vec<_>>().await[..] else { panic!() };
    assert_eq!(through.result.as_ref().unwrap(), &(200, "of the proxy".to_owned()));
    assert_eq!(kept.result.as_ref().unwrap().0, 302);
    let begun = [client.get(api.url("/here")).via(proxy.url("")), client.get(api.url("/here")).no_redirects()];
    for (request, status) in begun.into_iter().zip([200, 302]) {
        assert_eq!(request.send().await.unwrap().status(), status);
    }
    assert_eq!((proxy.count(), api.count()), (2, 2), "nothing of the first goes to the server itself");
    for asked in [&proxy.asked()[0], &api.asked()[0]] {
        assert_eq!(asked.header("x-trace"), Some("7"));
    }
}
