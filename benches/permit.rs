//! The cost of a permit. Run: `cargo bench --bench permit`
//!
//! `permit/*` is the law alone: grant, pass the gate, write, release. `request/*` is the CPU time of whole requests to
//! a local server, of all threads but the server's, 64 at a time. The difference of two lines is the cost of what one
//! adds: awc alone, our transport under permits, and the client with its queue and its worker threads.

#![allow(clippy::disallowed_methods, reason = "a bench reads clocks")]

use std::{
    fs,
    hint::black_box,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use actix_crawler::{
    Rate, ThrottledClient,
    internals::{Grants, Law, Limits, LocalFetch},
};
use criterion::{Criterion, criterion_group, criterion_main};
use futures_util::{StreamExt, stream};

const CONTACT: &str = "bench/1.0 (+https://example.org/bot)";
const AT_ONCE: usize = 64;

fn permit(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("permit");
    for (name, rate) in [("unlimited", Rate::UNLIMITED), ("1,000,000/s", Rate::per_second(1_000_000))] {
        let mut law = Law::new(Limits::rate(rate));
        let mut now = Instant::now();
        group.bench_function(format!("law, {name}"), |bench| {
            bench.iter(|| {
                // Two microseconds for each: the law never refuses.
                now += Duration::from_micros(2);
                assert!(black_box(law.ask(now)));
            });
        });
    }
    let grants = Grants::new(Limits::rate(Rate::UNLIMITED));
    group.bench_function("grant and drop, with locks and clock", |bench| {
        bench.iter(|| {
            let now = Instant::now();
            drop(black_box(grants.grant(now)).unwrap());
        });
    });
    group.finish();
}

fn request(bench: &mut Criterion) {
    let server = serve();
    let url = format!("http://{server}/");
    let system = actix_rt::System::new();
    let mut group = bench.benchmark_group("request");
    group.sample_size(20).measurement_time(Duration::from_secs(8));

    let awc = system.block_on(async { awc::Client::builder().disable_timeout().finish() });
    group.bench_function("awc alone", |bench| {
        bench.iter_custom(|requests| {
            system.block_on(cpu_of(stream::iter(0..requests).for_each_concurrent(AT_ONCE, |_| async {
                let mut response = awc.get(&url).send().await.unwrap();
                black_box(response.body().await.unwrap());
            })))
        });
    });

    let transport = system.block_on(async { LocalFetch::new(CONTACT).unwrap() });
    group.bench_function("our transport, under permits", |bench| {
        bench.iter_custom(|requests| {
            system.block_on(cpu_of(stream::iter(0..requests).for_each_concurrent(AT_ONCE, |_| async {
                black_box(transport.get(&url).await.unwrap());
            })))
        });
    });

    let client = ThrottledClient::builder(CONTACT).rate(Rate::UNLIMITED).threads(1).allow_private().build().unwrap();
    group.bench_function("the throttled client", |bench| {
        bench.iter_custom(|requests| {
            system.block_on(cpu_of(stream::iter(0..requests).for_each_concurrent(AT_ONCE, |_| async {
                black_box(client.get(&url).send().await.unwrap());
            })))
        });
    });
    group.finish();
}

/// Returns the CPU time that all threads but the server's use while `work` runs.
async fn cpu_of(work: impl Future<Output = ()>) -> Duration {
    let before = cpu();
    work.await;
    cpu() - before
}

fn cpu() -> Duration {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten().map(|task| task.path());
    let ours = tasks.filter(|task| fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() != "server"));
    let used = ours.filter_map(|task| fs::read_to_string(task.join("schedstat")).ok());
    Duration::from_nanos(used.filter_map(|used| used.split(' ').next()?.parse::<u64>().ok()).sum())
}

/// Serves every connection on a thread of its own.
fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let spawn = |work: Box<dyn FnOnce() + Send>| thread::Builder::new().name("server".to_owned()).spawn(work).unwrap();
    spawn(Box::new(move || {
        for stream in listener.incoming().flatten() {
            spawn(Box::new(move || answer(stream)));
        }
    }));
    address
}

fn answer(mut stream: TcpStream) {
    let (mut bytes, mut end) = ([0; 4096], 0);
    stream.set_nodelay(true).unwrap();
    while let Ok(read @ 1..) = stream.read(&mut bytes[end..]) {
        end += read;
        if bytes[..end].ends_with(b"\r\n\r\n") {
            end = 0;
            if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").is_err() {
                return;
            }
        }
    }
}

criterion_group!(benches, permit, request);
criterion_main!(benches);
