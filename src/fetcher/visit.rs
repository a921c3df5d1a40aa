//! Visit: one request, from its permit to its settled lease. Read this file first.
//!
//! ```text
//! permit + lease → response (the permit ends with the last byte; that of a robots file when its Crawl-delay is known)
//!                → a redirect: its target is a request of its own (a page with a short refresh is one, too)
//!                → a refusal: the domain cools
//!                → else the reader of the request's kind (readers/); for a page:
//!                      parse (off the loop; a panic is an error of this page)
//!                      items to the pipelines, each acknowledged (this waiting is the back-pressure)
//!                → its content goes to the engine, with the settled lease: now, and only now, the page is done
//! ```
//! An early return drops the lease, which returns the URL to the frontier.

use std::{sync::Arc, time::Duration};

use super::{
    VisitContext,
    fetch::{FetchContext, FetchResult, NoResponse, Streaming},
    http::is_idempotent,
    item_files,
    readers::{self, Extracted, Reading, TimedResponse, file::Receiving, robots_txt},
    receipt::Receipt,
    redirect::{self, Hop},
};
use crate::{
    clock,
    conduct::Cooled,
    file_store::FileStore,
    frontier::{Lease, Leased, candidate::Candidate},
    outcome::{FetchError, Outcome, RedirectBy},
    permit::Permit,
    request::{Kind, Request},
    sessions::Session,
    spider::Spider,
    stats::count::Count,
};

/// An ended request with its settled lease.
#[derive(Debug)]
pub struct Visit {
    /// The settled lease.
    pub leased: Leased,
    /// How it ended.
    pub outcome: Outcome,
    /// What the response contained.
    pub content: Extracted,
    /// The status, bytes and times.
    pub receipt: Receipt,
    /// The cooling that follows if the domain refused or could not be reached; in force already.
    pub cooled: Option<Cooled>,
    /// What middleware and spider count.
    pub counts: Vec<Count>,
    /// Why the spider stops the crawl, if it does.
    pub stop: Option<String>,
    /// The permit of a robots file. The engine drops it when the file's `Crawl-delay` is in force: if it ended with the
    /// last byte, another request could go to the domain while the file is parsed and reported.
    pub permit: Option<Permit>,
    /// How long an unsent request has to wait for its session.
    pub session_rest: Option<Duration>,
    /// Whether the spider was notified that no page came; then the request is over.
    pub is_notified: bool,
    /// Whether it ended without a request of its own, or after one that has been accounted for.
    pub is_without_request: bool,
}

/// A failure of which the spider was notified, with its settled lease.
#[derive(Debug)]
pub struct Notified {
    /// The settled lease.
    pub leased: Leased,
    /// The outcome, with what the spider made of it.
    pub reading: Reading,
}

/// Sends one request and reads its response.
pub async fn visit<S: Spider>(permit: Permit, lease: Lease, context: &VisitContext<S>) -> Visit {
    let request = lease.request();
    let extent = readers::extent(request.kind(), context);
    let (may_repeat, attempt) = (is_idempotent(&request.method), lease.attempt());
    let file = if request.kind() == Kind::File { Receiving::of(request, context) } else { None };
    if request.kind() == Kind::File && file.is_none() {
        // No page waits for the file any more, since the crawl stops.
        drop(permit);
        return Visit { is_without_request: false, ..Visit::without_request(lease.settle(), Outcome::Unsent) };
    }
    let sink = file.as_ref().map(Receiving::sink);
    let settings = context.files.store.as_ref().map(FileStore::settings);
    let stream = sink.as_ref().zip(settings).map(|(sink, settings)| Streaming {
        sink,
        max_time: settings.max_time,
        max_whole: context.rules.body_limits.max_bytes,
    });
    let how = FetchContext { extent, may_repeat, attempt, session: None, stream, permits: &context.permits };
    let tenancy = permit.tenancy();
    let FetchResult { response, receipt, cooled, cookies_changed, mut counts, permit, session, sent_to, .. } =
        context.fetch.fetch(permit, request, how).await;
    let mut session_rest = None;
    let reading = match response {
        Ok(response) => {
            let _being_read = session.as_ref().map(Session::being_read);
            let elapsed = receipt.elapsed;
            let answer = TimedResponse { response, elapsed, cookies_changed, session: session.clone(), sent_to };
            read(Box::new(answer), cooled, file, request, context).await
        }
        Err(NoResponse::Unsent) => Outcome::Unsent.into(),
        Err(NoResponse::SessionRests(wait)) => {
            session_rest = Some(wait);
            Outcome::Unsent.into()
        }
        Err(NoResponse::Failed(FetchError::Local(fault, detail))) => Outcome::Local(fault, detail).into(),
        Err(NoResponse::Failed(error)) => without_answer(request.kind(), error).into(),
        Err(NoResponse::Ended(outcome)) => ended(request.kind(), *outcome).into(),
    };
    if let (Outcome::Ok, Some(session)) = (&reading.outcome, &session) {
        session.worked();
    }
    // Only a forecast, since the domain may be given up meanwhile. If the engine finds that the request is over and the
    // spider was not notified, it has the spider notified then.
    let is_notified = request.kind() == Kind::Page && reading.outcome.is_without_page() && {
        let is_given_up = || tenancy.given_up(clock::now()).is_some();
        let may_repeat = may_repeat || receipt.started.is_none();
        let is_redirect = matches!(reading.outcome, Outcome::Redirect { .. });
        is_redirect || is_given_up() || !may_repeat_again(context, &reading, attempt, may_repeat)
    };
    // Boxed, so that it takes no room in each page in flight.
    let reading =
        if is_notified { Box::pin(readers::failure::notify(reading, request, context)).await } else { reading };
    let Reading { outcome, content, counts: read, stop } = reading;
    counts.extend(read);
    let (leased, is_without_request) = (lease.settle(), false);
    Visit {
        leased,
        outcome,
        content,
        receipt,
        cooled,
        counts,
        stop,
        permit,
        session_rest,
        is_notified,
        is_without_request,
    }
}

/// Notifies the spider of a request that ended without a page. Nothing is sent: there is no permit.
pub async fn notify<S: Spider>(lease: Lease, outcome: Outcome, context: &VisitContext<S>) -> Notified {
    let reading = readers::failure::notify(outcome.into(), lease.request(), context).await;
    Notified { leased: lease.settle(), reading }
}

/// Interprets a response. Redirects and refusals mean the same for requests of every kind.
async fn read<S: Spider>(
    answer: Box<TimedResponse>,
    cooled: Option<Cooled>,
    file: Option<Receiving>,
    request: &Arc<Request>,
    context: &VisitContext<S>,
) -> Reading {
    let status = answer.response.status;
    if let Some(to) = answer.redirect_target(request)
        && !request.keeps_redirects
    {
        let hop = Hop { status, to: &to, cookies_changed: answer.cookies_changed, pooled: answer.pooled() };
        let identity = &*context.rules.identity;
        if request.kind() == Kind::File
            && let Some(why) = item_files::unknown_scheme(&to)
        {
            return Outcome::Fetch(FetchError::Request(why)).into();
        }
        let next = match request.kind() {
            Kind::Page | Kind::Sitemap(_) | Kind::File => {
                redirect::follow(request, hop, identity, &context.rules.redirects.secret_headers).map(Some)
            }
            // The engine follows it, since other origins may wait for the same file.
            Kind::RobotsTxt => Ok(None),
        };
        let outcome = Outcome::Redirect { status, to, by: RedirectBy::Location };
        return match next {
            Ok(Some(next)) => Reading::redirect(outcome, next, identity),
            Ok(None) => outcome.into(),
            Err(why) => Outcome::from(why).into(),
        };
    }
    if let Some(Cooled { asked, .. }) = cooled {
        return Outcome::Refused { status, retry_after: asked }.into();
    }
    readers::read(answer, file, request, context).await
}

fn without_answer(kind: Kind, error: FetchError) -> Outcome {
    match kind {
        Kind::Page | Kind::Sitemap(_) | Kind::File => Outcome::Fetch(error),
        Kind::RobotsTxt => robots_txt::without_answer(error),
    }
}

/// Tells whether the engine will make the request again, as far as that can be known here: its domain may be given up
/// meanwhile.
fn may_repeat_again<S: Spider>(
    context: &VisitContext<S>,
    Reading { outcome, .. }: &Reading,
    attempt: u32,
    may_repeat: bool,
) -> bool {
    matches!(outcome, Outcome::Refused { .. }) || context.retry.wait(outcome, attempt, may_repeat, 0.0).is_some()
}

/// A robots file that a middleware refuses counts as unreachable, whatever the reason.
fn ended(kind: Kind, outcome: Outcome) -> Outcome {
    match (kind, &outcome) {
        (Kind::Page | Kind::Sitemap(_) | Kind::File, _) | (_, Outcome::Broken(_)) => outcome,
        (Kind::RobotsTxt, _) => Outcome::Fetch(FetchError::Request(outcome.detail())),
    }
}

impl Visit {
    /// Makes the end of a request that has not been sent, or whose request has been accounted for.
    pub fn without_request(leased: Leased, outcome: Outcome) -> Self {
        Self {
            leased,
            outcome,
            content: Extracted::Nothing,
            receipt: Receipt::default(),
            cooled: None,
            counts: Vec::new(),
            stop: None,
            permit: None,
            session_rest: None,
            is_notified: false,
            is_without_request: true,
        }
    }

    /// Adds what the spider returned when it was notified.
    #[must_use]
    pub fn with_notice(mut self, reading: Reading) -> Self {
        let Reading { outcome, content, counts, stop } = reading;
        self.counts.extend(counts);
        Self { outcome, content, stop, is_notified: true, ..self }
    }

    /// Returns the links found, or the target of a redirect.
    pub fn found(&self) -> &[Candidate] {
        match &self.content {
            Extracted::Page { found, .. } => found,
            Extracted::Nothing | Extracted::RobotsTxt(_) | Extracted::Sitemap { .. } => &[],
        }
    }
}
