//! The cost of canonicalizing and fingerprinting a link, done for every link of every page, and what the SeenCache
//! saves.

use std::hint::black_box;

use actix_crawler::{
    Recrawl, Request,
    identity::CanonicalUrl,
    internals::{Candidate, Ranking, SeenCache},
};
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

fn found(c: &mut Criterion) {
    let mut group = c.benchmark_group("40 links of a page");
    let canonical = CanonicalUrl::default();
    let page = Request::parse("https://example.org/").expect("a URL");
    let link = |n| Request::parse(&format!("https://example.org/docs/{n}")).expect("a URL");
    let links: Vec<_> = (0..40).map(link).collect();
    for (name, first_known) in [("all known", 0), ("ten new", 10), ("all new", 40)] {
        let cache = SeenCache::new(&Recrawl::default());
        links.iter().skip(first_known).for_each(|link| cache.note(link.fingerprint()));
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || links.clone(),
                |links| black_box(Candidate::found_on(&page, links, &canonical, &cache, &Ranking::default())),
                criterion::BatchSize::SmallInput,
            );
        });
    }
}

criterion_group!(benches, links, found);
criterion_main!(benches);
