//! Page: parses an answer off the network's thread, hands its items to the pipelines and waits until each is
//! acknowledged, and returns its links. A page that sends its readers on is a redirect. Knows no permits and no network.

use std::{sync::Arc, time::Duration};

use futures_util::future::try_join_all;

use super::{Answer, Content, Reading};
use crate::{
    count::Count,
    extract::{Refresh, Skipped},
    fetcher::{
        VisitContext,
        offload::NoResult,
        redirect::{self, Hop, MAX_REFRESH_DELAY, NotFollowed, RedirectRules},
    },
    frontier::{candidate::Candidate, seen_cache::SeenCache},
    identity::Identity,
    outcome::{FetchError, Outcome, RedirectBy},
    pipeline::{PipelineError, Scraped, Supervisor},
    request::Request,
    response::Response,
    spider::{Parsed, Spider},
    transport::{body::BodyLimits, exchange::Extent, raw_response::RawResponse},
};

/// The whole body: a page larger than the limit fails.
pub fn extent(limits: BodyLimits) -> Extent {
    Extent { max_bytes: limits.max_bytes, accepts_part: false, keeps_wire_bytes: false }
}

/// Parses a page and delivers its items.
pub async fn read<S: Spider>(answer: Answer, request: &Arc<Request>, context: &VisitContext<S>) -> Reading {
    match parse(answer, request.clone(), context).await {
        Ok(PageOrRedirect::Page(page)) => deliver(page, request, context).await,
        Ok(PageOrRedirect::Redirect(reading)) => reading,
        Err(outcome) => outcome.into(),
    }
}

/// What parsing made of an answer.
enum PageOrRedirect<I> {
    /// A page, which the spider has read.
    Page(Page<I>),
    /// A page that sends its readers on; the spider has not seen it.
    Redirect(Reading),
}

/// A parsed page, ready to leave the parsing thread.
pub(super) struct Page<I> {
    items: Vec<I>,
    found: Vec<Candidate>,
    skipped: Skipped,
    counts: Vec<Count>,
    /// After which wait the page is to be asked for again, and why.
    pub(super) again: Option<(Duration, String)>,
    stop: Option<String>,
}

impl<I> Page<I> {
    /// Takes in what a spider has made of a request.
    pub(super) fn of(parsed: Parsed<I>, request: &Request, identity: &dyn Identity, seen_cache: &SeenCache) -> Self {
        let Parsed { items, requests, counts, again, stop } = parsed;
        let counts = counts.into_iter().map(Count::Spider).collect();
        let found = Candidate::found_on(request, requests, identity, seen_cache);
        Self { items, found, skipped: Skipped::default(), counts, again, stop }
    }
}

/// Decodes and parses on another thread, where the spider's code can harm no other page.
async fn parse<S: Spider>(
    mut answer: Answer,
    request: Arc<Request>,
    context: &VisitContext<S>,
) -> Result<PageOrRedirect<S::Item>, Outcome> {
    let (spider, limits, identity) = (context.spider.clone(), context.body_limits, context.identity.clone());
    let (seen_cache, scanner) = (context.seen_cache.clone(), context.scanner.clone());
    let (redirects, cookies_changed) = (context.redirects.clone(), answer.cookies_changed);
    // The memory reservation is held while the parse is awaited, and released when that wait times out, although a
    // parse that never returns keeps the body.
    let _reservation = answer.response.release_memory();
    let work = move || {
        let is_asked_for = request.keeps_redirects && matches!(answer.response.status, 300..=399);
        if !is_asked_for && !spider.accepts(answer.response.status) {
            return Err(Outcome::Status(answer.response.status));
        }
        let page = answer.decode(request, limits).map_err(Outcome::Fetch)?.with_scanner(scanner);
        if let Some(redirect) = redirect_of(&page, &redirects, cookies_changed, &*identity) {
            return Ok(PageOrRedirect::Redirect(redirect));
        }
        let parsed = spider.parse(&page).map_err(|error| Outcome::Parse(error.to_string()))?;
        let parsed = Page::of(parsed, page.request(), &*identity, &seen_cache);
        Ok(PageOrRedirect::Page(Page { skipped: page.skipped_of_asked(), ..parsed }))
    };
    match context.offload.run(work).await {
        Ok(parsed) => parsed,
        Err(NoResult::Panicked(message)) => Err(Outcome::Panic(message)),
        Err(NoResult::TimedOut(limit)) => {
            Err(Outcome::Parse(format!("parse did not return within {}", humantime::format_duration(limit))))
        }
    }
}

/// Returns where a page sends its readers, if that makes it a redirect: the spider does not see it then, as in Scrapy,
/// whose `MetaRefreshMiddleware` puts the target in its place.
///
/// A page that leads back to where the chain came from has nothing else to offer, so it is read. It is asked for again
/// only where it sends its readers on at once and has changed the cookies, as a page does that looks whether they are
/// kept. What a spider accepts beside 2xx it wants to see.
fn redirect_of(
    page: &Response,
    rules: &RedirectRules,
    cookies_changed: bool,
    identity: &dyn Identity,
) -> Option<Reading> {
    let status = page.status();
    if !rules.follows_refresh || page.request().keeps_redirects || !(200..300).contains(&status) {
        return None;
    }
    let Refresh { delay, url: to } = page.sends_on().filter(|refresh| refresh.delay <= MAX_REFRESH_DELAY)?;
    let hop = Hop { status, to: &to, cookies_changed: cookies_changed && delay.is_zero() };
    match redirect::follow(page.request(), hop, identity, &rules.secret_headers) {
        Ok(next) => Some(Reading::redirect(Outcome::Redirect { status, to, by: RedirectBy::Refresh }, next, identity)),
        Err(NotFollowed::LeadsBack { .. }) => None,
        Err(too_many @ NotFollowed::TooMany) => Some(Outcome::from(too_many).into()),
    }
}

/// Sends the items to every pipeline and waits until each is acknowledged, unless the page is to be asked for again.
pub(super) async fn deliver<S: Spider>(
    mut page: Page<S::Item>,
    request: &Request,
    context: &VisitContext<S>,
) -> Reading {
    let (mut counts, stop) = (std::mem::take(&mut page.counts), page.stop.take());
    let mut reading = match page.again.take() {
        Some((after, why)) => Outcome::Retry { by: "spider", why, after }.into(),
        None => deliver_items(page, request, context).await,
    };
    counts.append(&mut reading.counts);
    Reading { counts, stop, ..reading }
}

async fn deliver_items<S: Spider>(page: Page<S::Item>, request: &Request, context: &VisitContext<S>) -> Reading {
    let count = page.items.len() as u64;
    let mut counts = Vec::new();
    if count > 0 && !context.pipelines.is_empty() {
        let url: Arc<str> = request.url.as_str().into();
        let scraped = page.items.into_iter().map(|item| Scraped { item: Arc::new(item), url: url.clone() });
        let deliveries =
            scraped.flat_map(|scraped| context.pipelines.iter().map(move |pipeline| take(pipeline, scraped.clone())));
        match try_join_all(deliveries).await {
            Ok(taken) => {
                let dropped = taken.chunks(context.pipelines.len()).filter(|taken| taken.contains(&false)).count();
                counts.resize(dropped, Count::ItemDropped);
            }
            Err(broken) if broken.stops_the_crawl() => return Outcome::Broken(broken.to_string()).into(),
            Err(panicked @ PipelineError::Panicked) => return Outcome::Panic(panicked.to_string()).into(),
            Err(refused) => return Outcome::Pipeline(refused.to_string()).into(),
        }
    }
    let items = count - counts.len() as u64;
    let Page { found, skipped, .. } = page;
    Reading { content: Content::Page { found, items, skipped }, counts, ..Outcome::Ok.into() }
}

/// Hands an item to a pipeline. Answers whether it was taken; one that the pipeline leaves out is no error.
async fn take<I: Send + Sync + 'static>(pipeline: &Supervisor<I>, scraped: Scraped<I>) -> Result<bool, PipelineError> {
    match pipeline.deliver(scraped).await {
        Ok(()) => Ok(true),
        Err(PipelineError::Dropped(why)) => {
            tracing::debug!(%why, "an item was left out");
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

impl Answer {
    fn decode(self, request: Arc<Request>, limits: BodyLimits) -> Result<Response, FetchError> {
        let (body, broken_off) = self.response.decoded(limits)?;
        let RawResponse { status, headers, fetched_at, .. } = self.response;
        Ok(Response::new(request, status, headers, body, fetched_at, self.elapsed).with_broken_off(broken_off))
    }
}
