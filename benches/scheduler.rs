//! The cost of picking the next domain, among a thousand and among a million.

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use actix_crawler::{Domain, Politeness, internals};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

fn due(c: &mut Criterion) {
    let mut group = c.benchmark_group("next domain");
    for size in [1_000_u32, 100_000, 1_000_000] {
        let mut domains = internals::domains(Arc::new(Politeness::default()));
        #[allow(clippy::disallowed_methods, reason = "the clock is made of this one reading")]
        let mut now = Instant::now();
        for n in 0..size {
            domains.schedule(&Domain::new(&format!("d{n}.test")), now + Duration::from_micros(u64::from(n)));
        }
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter(|| {
                now += Duration::from_micros(1);
                let domain = domains.pop_due(now);
                if let Some(domain) = &domain {
                    domains.schedule(domain, now + Duration::from_secs(1));
                }
                black_box(domain)
            });
        });
    }
}

criterion_group!(benches, due);
criterion_main!(benches);
