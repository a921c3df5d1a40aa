//! What it costs to make a link canonical and to fingerprint it, as is done for every link of every page.

use std::hint::black_box;

use actix_crawler::{frontier::admission::Candidate, request::CanonicalUrl, request::Request};
use criterion::{Criterion, criterion_group, criterion_main};

fn links(c: &mut Criterion) {
    let mut group = c.benchmark_group("canonical");
    let everything = CanonicalUrl { strip_tracking: true, sort_query: true };
    for (name, url, canonical) in [
        ("plain", "https://example.org/docs/library/asyncio.html", CanonicalUrl::default()),
        ("fragment", "https://example.org/docs/library/asyncio.html#streams", CanonicalUrl::default()),
        ("percent", "https://example.org/%7euser/caf%c3%a9?q=%e4", CanonicalUrl::default()),
        ("query", "https://example.org/?b=2&utm_source=x&a=1", everything),
    ] {
        let request = Request::parse(url).expect("a URL");
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || request.clone(),
                |request| black_box(Candidate::new(request, &canonical)),
                criterion::BatchSize::SmallInput,
            );
        });
    }
}

criterion_group!(benches, links);
criterion_main!(benches);
