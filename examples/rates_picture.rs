//! Draws how each usual approach to "50 requests a second" behaves, from the arrival times that a server recorded.
//!
//! You will see a line for each approach, after 6 s each, and the picture that docs/RATES.md shows.
//! Run: `cargo run --example rates_picture docs/rates.svg`

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "an example prints, and measures")]

#[path = "../tests/recorder/mod.rs"]
mod recorder;

use std::{
    fmt::Write,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use actix_crawler::{Rate, ThrottledClient};
use futures_util::{StreamExt, future::join_all};
use recorder::{Answer, Arrivals, Recorder};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{Mutex, Semaphore, mpsc},
    time::{interval, sleep, sleep_until},
};

const N: usize = 50;
const S: Duration = Duration::from_secs(1);
const RUN: Duration = Duration::from_secs(6);
const EVERY: Duration = Duration::from_millis(1_000 / N as u64);

type Approach = Pin<Box<dyn Future<Output = ()> + Send>>;
type Start = fn(String) -> Approach;

#[tokio::main]
async fn main() {
    let approaches: [(&str, Start); 9] = [
        ("a decorator that sleeps 1/N s", |url| Box::pin(sleeping(url))),
        ("a semaphore of N", |url| Box::pin(semaphore(url))),
        ("one task every 1/N s", |url| Box::pin(tasks(url))),
        ("a leaky bucket with a filler task", |url| Box::pin(filler(url))),
        ("a producer with many consumers", |url| Box::pin(producer(url))),
        ("N staggered workers", |url| Box::pin(staggered(url))),
        ("batches of N, one a second", |url| Box::pin(batches(url))),
        ("a token bucket with a burst of N", |url| Box::pin(token_bucket(url))),
        ("ThrottledClient, Rate::per_second(N)", |url| Box::pin(ours(url))),
    ];
    let mut rows = String::new();
    for (index, (name, approach)) in approaches.into_iter().enumerate() {
        let latency = |asked: &recorder::Asked| Duration::from_millis(500 + asked.index as u64 * 271 % 500);
        let api = Recorder::start(move |asked| Answer::ok("{}").after(latency(asked)).header("connection", "close"));
        drop(tokio::time::timeout(RUN, tokio::spawn(approach(api.url("/")))).await);
        draw(&mut rows, index, name, &api.arrivals());
    }
    let height = 40 + 90 * 9;
    let picture = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 900 {height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"900\" height=\"{height}\" fill=\"#fff\"/>\n\
         <text x=\"20\" y=\"24\">Requests in the last second, over 6 s; the dashed line is the limit of 50. Measured at the server.</text>\n\
         {rows}</svg>\n"
    );
    if let Some(path) = std::env::args().nth(1) {
        std::fs::write(path, picture).expect("the picture's folder exists");
    }
}

/// Draws a row: the number of arrivals within the last second, at every 20 ms.
fn draw(rows: &mut String, index: usize, name: &str, arrivals: &Arrivals) {
    let first = arrivals.0.iter().min().copied().unwrap_or_else(Instant::now);
    let at: Vec<_> = arrivals.0.iter().map(|at| *at - first).filter(|at| *at < RUN).collect();
    let kept = Arrivals(at.iter().map(|at| first + *at).collect());
    let rate = at.len() as f64 / RUN.as_secs_f64();
    let (fullest, gap) = (kept.fullest(S), kept.smallest_gap().as_secs_f64() * 1e3);
    let text = format!("{rate:.1}/s · at most {fullest} in a second · smallest gap {gap:.1} ms");
    println!("{name}: {text}");
    let base = 120 + 90 * index;
    // The limit is 30 px high; far higher values are cut off.
    let height = |count: usize| count.min(90) as f64 * 30.0 / N as f64;
    let curve: String = (0..=300_u32).fold(String::new(), |mut curve, step| {
        let now = step * Duration::from_millis(20);
        let count = at.iter().filter(|at| **at <= now && **at + S > now).count();
        let _ = write!(curve, "{:.1},{:.1} ", 20.0 + f64::from(step) * 860.0 / 300.0, base as f64 - height(count));
        curve
    });
    let color = match (fullest > N, rate < 0.98 * N as f64 || gap < 19.0) {
        (true, _) => "#c62828",
        (false, true) => "#b26a00",
        (false, false) => "#2e7d32",
    };
    let (limit, title) = (base - 30, base - 62);
    let _ = writeln!(
        rows,
        "<text x=\"20\" y=\"{title}\" font-weight=\"bold\">{name}</text><text x=\"880\" y=\"{title}\" text-anchor=\"end\" fill=\"{color}\">{text}</text>\n\
         <polygon points=\"20,{base} {curve}880,{base}\" fill=\"{color}\" fill-opacity=\".3\" stroke=\"{color}\"/>\n\
         <line x1=\"20\" x2=\"880\" y1=\"{limit}\" y2=\"{limit}\" stroke=\"#444\" stroke-dasharray=\"5 4\"/>"
    );
}

/// A minimal request.
async fn get(url: &str) {
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let Ok(mut stream) = TcpStream::connect(address).await else { return };
    let head = format!("GET / HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    if stream.write_all(head.as_bytes()).await.is_ok() {
        drop(stream.read(&mut [0; 512]).await);
    }
}

fn spawn_get(url: &str) {
    let url = url.to_owned();
    tokio::spawn(async move { get(&url).await });
}

async fn sleeping(url: String) {
    join_all((0..300).map(|_| async {
        sleep(EVERY).await;
        get(&url).await
    }))
    .await;
}

async fn semaphore(url: String) {
    let places = Semaphore::new(N);
    join_all((0..900).map(|_| async {
        let _place = places.acquire().await;
        get(&url).await
    }))
    .await;
}

async fn tasks(url: String) {
    loop {
        spawn_get(&url);
        sleep(EVERY).await;
    }
}

async fn filler(url: String) {
    let (bucket, level) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    tokio::spawn({
        let (bucket, level) = (bucket.clone(), level.clone());
        async move {
            loop {
                if level.load(Ordering::Relaxed) < N {
                    level.fetch_add(1, Ordering::Relaxed);
                    bucket.add_permits(1);
                }
                sleep(EVERY).await;
            }
        }
    });
    // The session gives its drop back when the answer has come, as the usual recipe has it.
    join_all((0..900).map(|_| async {
        if let Ok(drop) = bucket.acquire().await {
            drop.forget();
            get(&url).await;
            level.fetch_sub(1, Ordering::Relaxed);
        }
    }))
    .await;
}

async fn producer(url: String) {
    let (queue, work) = mpsc::channel(N);
    let work = Arc::new(Mutex::new(work));
    for _ in 0..N {
        let (work, url) = (work.clone(), url.clone());
        tokio::spawn(async move {
            while work.lock().await.recv().await.is_some() {
                get(&url).await
            }
        });
    }
    while queue.send(()).await.is_ok() {
        sleep(EVERY).await;
    }
}

async fn staggered(url: String) {
    let worker = |index: u32| {
        let url = url.clone();
        async move {
            sleep(EVERY * index).await;
            loop {
                let next = tokio::time::Instant::now() + S;
                get(&url).await;
                sleep_until(next).await;
            }
        }
    };
    join_all((0..N as u32).map(worker)).await;
}

async fn batches(url: String) {
    let mut every = interval(S);
    loop {
        every.tick().await;
        join_all((0..N).map(|_| get(&url))).await;
    }
}

async fn token_bucket(url: String) {
    let (mut tokens, mut filled) = (N as f64, Instant::now());
    loop {
        tokens = (tokens + filled.elapsed().as_secs_f64() * N as f64).min(N as f64);
        filled = Instant::now();
        if tokens >= 1.0 {
            tokens -= 1.0;
            spawn_get(&url);
        } else {
            sleep(Duration::from_millis(2)).await;
        }
    }
}

async fn ours(url: String) {
    let agent = "picture/1.0 (+https://example.org/bot)";
    let client = ThrottledClient::builder(agent).rate(Rate::per_second(N as u32)).allow_private().build();
    let client = client.expect("its settings are right");
    let urls = std::iter::repeat(url.as_str());
    client.execute(urls, |response| async move { Ok(response.status()) }).unordered().for_each(|_| async {}).await;
}
