//! Engine: that of a crawl whose fetchers drop what they are given, to measure queues and permits. Knows no network.

use std::{num::NonZeroU32, sync::Arc, time::Instant};

use actix::{Actor, Addr, Context, Handler, Message};

use super::domains;
use crate::{
    domain::DomainKey,
    engine::{
        budget::Budget,
        crawl::{Crawl, CrawlParts},
        robots_files::RobotsFiles,
        sitemap_files::SitemapFiles,
    },
    fetcher::{Granted, pool::Pool},
    frontier::{
        Leased, admission::Admission, candidate::Candidate, lease::Returned, memory::MemoryFrontier,
        seen_cache::SeenCache,
    },
    identity::CanonicalUrl,
    politeness::{Politeness, RobotsPolicy},
    recrawl::Recrawl,
    request::Request,
    retry::Retry,
    scope::{Scope, Within},
    threads::own_arbiter::OwnArbiter,
};

/// The engine of a crawl in memory, where each host is a domain and no robots file is asked for.
pub struct Engine {
    crawl: Crawl,
    fetcher: Addr<Nothing>,
}

impl Engine {
    /// Creates an engine that has at most so many requests in flight. Within an actix system.
    pub fn new(at_once: NonZeroU32, now: Instant) -> Self {
        let politeness = Arc::new(Politeness {
            concurrency: at_once,
            robots: RobotsPolicy::Ignore,
            domain_key: DomainKey::Host,
            ..Politeness::default()
        });
        let fetcher = Nothing.start();
        let factory = {
            let fetcher = fetcher.clone();
            Box::new(move |_| (OwnArbiter::new(), fetcher.clone().recipient()))
        };
        let scope = Scope { within: Within::Any, ..Scope::default() };
        let crawl = Crawl::new(CrawlParts {
            retry: Retry::default(),
            frontier: Box::new(MemoryFrontier::new(Recrawl::default(), now)),
            admission: Admission::new(scope, DomainKey::Host, Arc::new(SeenCache::new(&Recrawl::default()))),
            budget: Budget::new(None, None),
            domains: domains(politeness.clone()),
            robots: RobotsFiles::new("bench"),
            sitemaps: SitemapFiles::default(),
            pool: Pool::new(1, factory),
            returned: Arc::new(Nothing),
            log: false,
            streams: Arc::default(),
            politeness: tokio::sync::watch::Sender::new(politeness),
        });
        Self { crawl, fetcher }
    }

    /// Queues the requests that were not seen before.
    pub fn admit(&mut self, requests: impl IntoIterator<Item = Request>, now: Instant) {
        let identity = CanonicalUrl::default();
        let candidates = requests.into_iter().map(|request| Candidate::new(request, &identity)).collect();
        self.crawl.seed(candidates, None, now);
    }

    /// Grants what is due: at most one permit to each domain, as the default politeness allows.
    pub fn grant(&mut self, now: Instant) {
        self.crawl.turn(now);
    }

    /// Waits until all granted permits have ended.
    pub async fn end_permits(&self) {
        // Fails only if the system has stopped: then nothing is left to wait for.
        let _ = self.fetcher.send(AllDropped).await;
    }
}

/// Drops what it is given.
struct Nothing;

/// Answered when all earlier grants are dropped.
struct AllDropped;

impl Message for AllDropped {
    type Result = ();
}

impl Actor for Nothing {
    type Context = Context<Self>;
}

impl Handler<Granted> for Nothing {
    type Result = ();

    fn handle(&mut self, _: Granted, _: &mut Self::Context) {}
}

impl Handler<AllDropped> for Nothing {
    type Result = ();

    fn handle(&mut self, _: AllDropped, _: &mut Self::Context) {}
}

impl Returned for Nothing {
    fn returned(&self, _: Leased) {}
}
