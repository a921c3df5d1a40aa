//! Fetchers: what the fetchers of a crawl share, and how each is started, first and after a panic.

use std::sync::Arc;

use actix::{Actor, Addr, Recipient};
use tokio::sync::watch;

use crate::{
    conducts::Conducts,
    engine::Scheduler,
    fetcher::{
        Fetched, Fetcher, FilesAsked, Listed, VisitContext,
        item_files::FilesContext,
        offload::Offload,
        permits::DomainPermits,
        pool::FetcherFactory,
        readers::{page::PageRules, sitemap::SitemapSettings},
        stack::FetchStack,
        turn_end::TurnEnd,
    },
    file_store::{FileStore, pending_files::PendingFiles},
    pipeline::Supervisor,
    politeness::Politeness,
    retry::Retry,
    spider::Spider,
    submissions::Submissions,
    threads::own_arbiter::OwnArbiter,
};

/// The pipelines of a crawl, which its fetchers share.
pub(super) type Pipelines<S> = Arc<[Supervisor<<S as Spider>::Item>]>;

/// What every fetcher of the crawl shares.
pub(super) struct FetcherParts<S: Spider> {
    pub rules: Arc<PageRules<S>>,
    pub pipelines: Pipelines<S>,
    pub offload: Offload,
    pub fetch: FetchStack,
    /// Whether code of a user's own runs on their threads, which it may block.
    pub blocks_fetchers: bool,
    pub retry: Retry,
    pub conducts: Conducts,
    pub politeness: watch::Receiver<Arc<Politeness>>,
    pub robots_token: Arc<str>,
    pub submissions: Arc<Submissions<S::Item>>,
    pub sitemaps: Arc<SitemapSettings>,
    pub files: FileParts,
}

/// What the fetchers need for files.
#[derive(Clone)]
pub(super) struct FileParts {
    /// The folder, if there is one.
    pub store: Option<FileStore>,
    /// Who waits for what.
    pub pending: Arc<PendingFiles>,
}

/// Who hears from the fetchers: the scheduler.
#[derive(Clone)]
pub(super) struct Reports {
    fetched: Recipient<Fetched>,
    listed: Recipient<Listed>,
    files_asked: Recipient<FilesAsked>,
}

impl Reports {
    pub fn to(scheduler: &Addr<Scheduler>) -> Self {
        Self {
            fetched: scheduler.clone().recipient(),
            listed: scheduler.clone().recipient(),
            files_asked: scheduler.clone().recipient(),
        }
    }
}

impl<S: Spider> Clone for FetcherParts<S> {
    fn clone(&self) -> Self {
        Self {
            rules: self.rules.clone(),
            pipelines: self.pipelines.clone(),
            offload: self.offload.clone(),
            fetch: self.fetch.clone(),
            blocks_fetchers: self.blocks_fetchers,
            retry: self.retry.clone(),
            conducts: self.conducts.clone(),
            politeness: self.politeness.clone(),
            robots_token: self.robots_token.clone(),
            submissions: self.submissions.clone(),
            sitemaps: self.sitemaps.clone(),
            files: self.files.clone(),
        }
    }
}

/// Returns the function that starts a fetcher on its arbiter, first and after a panic. The first one has that of the
/// scheduler, which calls the function: so in a crawl with few requests in flight they pass nothing between threads.
/// Where code of a user's own may block it, it has a thread of its own, so that the other fetchers still get permits.
pub(super) fn factory<S: Spider>(parts: FetcherParts<S>, reports: Reports) -> FetcherFactory {
    Box::new(move |number| {
        let (parts, reports) = (parts.clone(), reports.clone());
        let arbiter = if number == 0 && !parts.blocks_fetchers { OwnArbiter::shared() } else { OwnArbiter::new() };
        let fetcher = Fetcher::start_in_arbiter(&arbiter.handle(), move |_| {
            let FetcherParts {
                rules,
                pipelines,
                offload,
                fetch,
                blocks_fetchers: _,
                retry,
                conducts,
                politeness,
                robots_token,
                submissions,
                sitemaps,
                files: FileParts { store, pending },
            } = parts;
            let Reports { fetched, listed, files_asked } = reports;
            let fetch = fetch.build();
            let domain_key = politeness.borrow().domain_key.clone();
            let permits = DomainPermits::new(conducts.tenant(&domain_key), politeness);
            let context = VisitContext {
                fetch,
                permits,
                rules,
                pipelines,
                offload,
                turn_end: TurnEnd::default(),
                retry,
                robots_token,
                sitemaps,
                submissions,
                files: FilesContext { store, pending, asked: files_asked },
                listed,
            };
            Fetcher::new(context, fetched)
        });
        (arbiter, fetcher.recipient())
    })
}
