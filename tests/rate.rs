//! The rate law of the throttled client, judged by the arrival times that a server recorded.

mod recorder;

use std::{
    sync::{Mutex, MutexGuard},
    thread,
    time::Duration,
};

use actix_crawler::{ThrottledClient, client::Response, error::Result, rate::Rate};
use recorder::{Answer, Asked, Recorder};

const S: Duration = Duration::from_secs(1);
const CONTACT: &str = "ratetest/1.0 (+https://example.org/bot)";

/// These tests measure time: one at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn client(rate: Rate) -> ThrottledClient {
    ThrottledClient::builder(CONTACT).rate(rate).allow_private().build().unwrap()
}

/// The API of the question: each answer takes 0.5 to 1 s.
fn slow_api() -> Recorder {
    Recorder::start(|asked: &Asked| Answer::ok("{}").after(Duration::from_millis(500 + asked.index as u64 * 271 % 500)))
}

/// 600 requests at 50 a second: what the law and the promise of speed say.
fn assert_fifty_a_second(api: &Recorder) {
    let arrivals = api.arrivals();
    let (rate, fullest, gap) = (arrivals.rate(), arrivals.fullest(S), arrivals.smallest_gap());
    println!("{} requests: {rate:.2}/s, at most {fullest} in a second, smallest gap {gap:?}", arrivals.0.len());
    assert_eq!(arrivals.0.len(), 600);
    assert!(fullest <= 50, "{fullest} in one second");
    assert!(gap >= Duration::from_millis(19), "a gap of {gap:?}");
    assert!(rate >= 0.99 * 50.0, "only {rate:.2}/s");
}

async fn ok(response: Response) -> Result<u16> {
    Ok(response.error_for_status()?.status())
}

#[tokio::test]
async fn fifty_a_second_means_fifty_and_not_one_more() {
    let _alone = alone();
    let api = slow_api();
    let client = client(Rate::per_second(50));
    let results = client.execute((0..600).map(|id| client.get(api.url(&format!("/{id}")))), ok).await;
    assert!(results.iter().all(Result::is_ok));
    assert_fifty_a_second(&api);
}

#[test]
fn four_threads_with_runtimes_of_their_own_share_one_limit() {
    let _alone = alone();
    let api = slow_api();
    let client = client(Rate::per_second(50));
    thread::scope(|scope| {
        for thread in 0..4 {
            let (client, api) = (client.clone(), &api);
            scope.spawn(move || {
                let urls = (0..150).map(|id| api.url(&format!("/{thread}/{id}")));
                let run = async { client.execute(urls, ok).await };
                let results = match thread % 2 {
                    0 => actix_rt::System::new().block_on(run),
                    _ => tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap().block_on(run),
                };
                assert!(results.iter().all(Result::is_ok));
            });
        }
    });
    assert_fifty_a_second(&api);
}

/// Each arbiter of the caller is blocked for 200 ms out of every 250, by what reads the responses.
#[test]
fn arbiters_that_are_blocked_for_200_ms_at_a_time_change_nothing() {
    let _alone = alone();
    let api = slow_api();
    let client = client(Rate::per_second(50));
    thread::scope(|scope| {
        for arbiter in 0..2 {
            let (client, api) = (client.clone(), &api);
            scope.spawn(move || {
                actix_rt::System::new().block_on(async {
                    actix_rt::spawn(async {
                        loop {
                            thread::sleep(Duration::from_millis(200));
                            actix_rt::time::sleep(Duration::from_millis(50)).await;
                        }
                    });
                    let urls = (0..300).map(|id| api.url(&format!("/{arbiter}/{id}")));
                    assert!(client.execute(urls, ok).await.iter().all(Result::is_ok));
                });
            });
        }
    });
    assert_fifty_a_second(&api);
}
