//! Copied: public events, made from the engine's, which borrow. Knows no streams.

use std::{sync::Arc, time::SystemTime};

use super::{CrawlEvent, Happened, RequestEnd, Resource};
use crate::{
    clock,
    events::event::{self, Event, Fate, RobotsEnd},
    report::Report,
    request::{Kind, Request},
};

impl CrawlEvent {
    /// Copies an event of the engine; `None` if the engine kept nothing of it, because nobody read then.
    pub(crate) fn of(event: &Event<'_>) -> Option<Self> {
        let time = if let Event::RequestEnded(ended) = event { ended.time } else { clock::wall() };
        Some(Self { time, what: Happened::of(event)? })
    }

    /// Makes what stands in the place of events that were left out.
    pub(super) fn left_out(events: u64) -> Self {
        Self { time: clock::wall(), what: Happened::LeftOut { events } }
    }

    /// Makes the last event from the report of a crawl that ended at `time`.
    pub(crate) fn end(report: &Report, time: SystemTime) -> Self {
        let what = Happened::CrawlEnded {
            ended: report.ended,
            why: report.failure.clone().or_else(|| report.stop_reason.clone()),
            pages: report.pages(),
            ledger: report.stats.ledger,
        };
        Self { time, what }
    }
}

impl Happened {
    fn of(event: &Event<'_>) -> Option<Self> {
        let url = |request: &Request| -> Arc<str> { request.url.as_str().into() };
        Some(match *event {
            Event::Seeded { seeds } => Self::Seeded { seeds: seeds as u64 },
            Event::Queued { domain, request, .. } => {
                let request = request?;
                let (domain, depth) = (domain.clone(), request.depth);
                Self::Queued { url: url(request), domain, depth, found_on: request.parent.clone() }
            }
            Event::Dropped { what, reason, .. } => {
                let (domain, request) = what?;
                let found_on = request.parent.clone();
                Self::Dropped { url: url(request), domain: domain.clone(), reason, found_on }
            }
            Event::LinksDropped { domain, page, reason, links } => {
                Self::LinksDropped { url: url(page), domain: domain.clone(), reason, links }
            }
            Event::Granted { domain, request, attempt } => {
                let resource = request.kind().into();
                Self::Requested { url: url(request), domain: domain.clone(), resource, attempt }
            }
            Event::RequestEnded(ended) => Self::RequestEnded(ended.into()),
            Event::Failed { domain, request, reason, detail } => Self::Failed {
                url: url(request),
                domain: domain.clone(),
                outcome: reason,
                detail: detail.to_owned(),
                found_on: request.parent.clone(),
            },
            Event::Heard { domain, request, items, .. } => {
                Self::FailureHeard { url: url(request), domain: domain.clone(), items }
            }
            Event::FetcherLost { domain, request, is_last } => {
                Self::FetcherLost { url: url(request), domain: domain.clone(), is_last }
            }
            Event::Cooled { domain, why, until, gives_up } => {
                let wait = until.saturating_duration_since(clock::now());
                Self::Cooled { domain: domain.clone(), why: why.to_string(), wait, gives_up }
            }
            Event::SitemapRead { domain, file, pages, files, .. } => {
                Self::SitemapRead { url: url(file), domain: domain.clone(), pages, files }
            }
            Event::RobotsFile { url, end } => Self::RobotsFile {
                url: url.as_str().into(),
                result: match end {
                    RobotsEnd::Fetched => "fetched",
                    RobotsEnd::Unreachable => "unreachable",
                    RobotsEnd::TooManyRedirects => "too_many_redirects",
                    RobotsEnd::TooManyAtOnce => "too_many_at_once",
                },
            },
            Event::CrawlDelayAboveCap { domain, asked, cap } => {
                Self::CrawlDelayAboveCap { domain: domain.clone(), asked, cap }
            }
            Event::Paused { domains } => Self::Paused { domains: domains.map(str::to_owned) },
            Event::Resumed { domains } => Self::Resumed { domains: domains.map(str::to_owned) },
            Event::Cancelled { domains } => Self::Cancelled { domains: domains.to_owned() },
            Event::OutageBegan { fault, detail } => Self::OutageBegan { fault, detail: detail.to_owned() },
            Event::OutageEnded { outage } => Self::OutageEnded { outage },
            Event::FetchersReplaced { fetchers } => Self::FetchersReplaced { fetchers },
        })
    }
}

impl From<event::RequestEnded<'_>> for RequestEnd {
    fn from(ended: event::RequestEnded<'_>) -> Self {
        let event::RequestEnded { request, receipt, outcome, .. } = ended;
        Self {
            url: request.url.as_str().into(),
            domain: ended.domain.clone(),
            resource: request.kind().into(),
            outcome: outcome.key(),
            detail: outcome.detail(),
            status: receipt.status,
            attempt: ended.attempt,
            is_final: !matches!(ended.fate, Fate::Again { .. }),
            items: ended.items,
            bytes: receipt.bytes,
            waited: receipt.waited,
            elapsed: receipt.elapsed,
            depth: request.depth,
            found_on: request.parent.clone(),
        }
    }
}

impl From<Kind> for Resource {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Page => Self::Page,
            Kind::RobotsTxt => Self::RobotsTxt,
            Kind::Sitemap(_) => Self::Sitemap,
            Kind::File => Self::File,
        }
    }
}
