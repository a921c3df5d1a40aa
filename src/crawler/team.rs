//! Team: what the fetchers of a crawl share, and how each is started, first and after a panic.

use std::sync::Arc;

use actix::{Actor, Addr, Recipient};
use tokio::sync::watch;

use super::wiring::Pipelines;
use crate::{
    conducts::Conducts,
    conversion::Conversions,
    engine::Scheduler,
    extract::Scanner,
    fetcher::{
        Fetched, Fetcher, FilesAsked, Listed, VisitContext, item_files::FilesContext, offload::Offload,
        permits::DomainPermits, pool::Hire, readers::sitemap::SitemapSettings, redirect::RedirectRules,
        stack::FetchStack,
    },
    file_store::{FileStore, desk::FileDesk},
    files::FileFields,
    frontier::seen_cache::SeenCache,
    identity::Identity,
    order::BestFirst,
    own_arbiter::OwnArbiter,
    politeness::Politeness,
    retry::Retry,
    spider::Spider,
    submissions::Submissions,
    transport::body::BodyLimits,
    validation::Validators,
};

/// What every fetcher of the crawl shares.
pub(super) struct Team<S: Spider> {
    pub spider: Arc<S>,
    pub pipelines: Pipelines<S>,
    pub validators: Arc<Validators<S::Item>>,
    pub conversions: Conversions,
    pub offload: Offload,
    pub fetch: FetchStack,
    pub body_limits: BodyLimits,
    pub redirects: RedirectRules,
    pub scanner: Scanner,
    pub retry: Retry,
    pub seen_cache: Arc<SeenCache>,
    pub best_first: Option<BestFirst>,
    pub conducts: Conducts,
    pub politeness: watch::Receiver<Arc<Politeness>>,
    pub robots_token: Arc<str>,
    pub keeps_visits: bool,
    pub submissions: Arc<Submissions<S::Item>>,
    pub sitemaps: Arc<SitemapSettings>,
    pub files: TeamFiles<S::Item>,
}

/// What the fetchers need for files.
pub(super) struct TeamFiles<I> {
    /// The folder, if there is one.
    pub store: Option<FileStore>,
    /// Who waits for what.
    pub desk: Arc<FileDesk>,
    /// The fields of items that have files.
    pub fields: FileFields<I>,
}

impl<I> Clone for TeamFiles<I> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), desk: self.desk.clone(), fields: self.fields.clone() }
    }
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

impl<S: Spider> Clone for Team<S> {
    fn clone(&self) -> Self {
        Self {
            spider: self.spider.clone(),
            pipelines: self.pipelines.clone(),
            validators: self.validators.clone(),
            conversions: self.conversions.clone(),
            offload: self.offload.clone(),
            fetch: self.fetch.clone(),
            body_limits: self.body_limits,
            redirects: self.redirects.clone(),
            scanner: self.scanner.clone(),
            retry: self.retry.clone(),
            seen_cache: self.seen_cache.clone(),
            best_first: self.best_first.clone(),
            conducts: self.conducts.clone(),
            politeness: self.politeness.clone(),
            robots_token: self.robots_token.clone(),
            keeps_visits: self.keeps_visits,
            submissions: self.submissions.clone(),
            sitemaps: self.sitemaps.clone(),
            files: self.files.clone(),
        }
    }
}

/// Returns the function that starts a fetcher on its own arbiter, first and after a panic.
pub(super) fn fetchers<S: Spider>(team: Team<S>, identity: Arc<dyn Identity>, reports: Reports) -> Hire {
    Box::new(move || {
        let (team, identity, reports) = (team.clone(), identity.clone(), reports.clone());
        let arbiter = OwnArbiter::new();
        let fetcher = Fetcher::start_in_arbiter(&arbiter.handle(), move |_| {
            let Team {
                spider,
                pipelines,
                validators,
                conversions,
                offload,
                fetch,
                body_limits,
                redirects,
                scanner,
                retry,
                seen_cache,
                best_first,
                conducts,
                politeness,
                robots_token,
                keeps_visits,
                submissions,
                sitemaps,
                files: TeamFiles { store, desk, fields },
            } = team;
            let Reports { fetched, listed, files_asked } = reports;
            let fetch = fetch.build();
            let domain_key = politeness.borrow().domain_key.clone();
            let permits = DomainPermits::new(conducts.tenant(&domain_key), politeness);
            let context = VisitContext {
                fetch,
                permits,
                spider,
                pipelines,
                validators,
                conversions,
                offload,
                identity,
                seen_cache,
                best_first,
                body_limits,
                redirects,
                scanner,
                retry,
                robots_token,
                keeps_visits,
                sitemaps,
                submissions,
                files: FilesContext { store, desk, fields, asked: files_asked },
                listed,
            };
            Fetcher::new(context, fetched)
        });
        (arbiter, fetcher.recipient())
    })
}
