//! The cost of one permit in the rate law: planned, passed at the gate, started, released.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use actix_crawler::{
    Rate,
    internals::{Law, Limits},
};
use criterion::{Criterion, criterion_group, criterion_main};

fn permits(c: &mut Criterion) {
    let mut group = c.benchmark_group("throttle");
    let spaced = Limits { spacing: Duration::from_millis(100), ..Limits::rate(Rate::UNLIMITED) };
    let limits = [
        ("unlimited", Limits::rate(Rate::UNLIMITED)),
        ("spacing", spaced),
        ("rate 50/s", Limits::rate(Rate::per_second(50))),
        ("rate 5,000/s", Limits::rate(Rate::per_second(5_000))),
    ];
    for (name, limits) in limits {
        group.bench_function(name, |bencher| {
            let mut law = Law::new(limits);
            #[allow(clippy::disallowed_methods, reason = "the clock is made of this one reading")]
            let mut now = Instant::now();
            bencher.iter(|| {
                now += Duration::from_secs(1);
                black_box(law.ask(now))
            });
        });
    }
}

criterion_group!(benches, permits);
criterion_main!(benches);
