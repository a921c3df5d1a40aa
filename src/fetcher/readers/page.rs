//! Page: parses an answer off the network's thread, has its items delivered, and returns its links. A page with a short
//! refresh is a redirect. Knows no permits, no network and no pipelines.

use std::{sync::Arc, time::Duration};

use super::{Extracted, Reading, TimedResponse};
use crate::{
    extract::{Refresh, Scanner, Skipped},
    fetcher::{
        VisitContext,
        delivery::{self, Delivered, ItemRules, Ready},
        redirect::{self, Hop, MAX_REFRESH_DELAY, NotFollowed, RedirectRules},
    },
    frontier::{candidate::Candidate, seen_cache::SeenCache},
    identity::Identity,
    order::Ranking,
    outcome::{FetchError, Outcome, RedirectBy},
    pipeline::PipelineError,
    recrawl::page_visit::PageVersion,
    request::Request,
    response::{Response, conversion::Conversions},
    sessions::{RefusedBy, Session},
    spider::{Parsed, Spider},
    stats::count::Count,
    transport::{body::BodyLimits, exchange::Extent, raw_response::RawResponse},
    validation::FieldTally,
};

/// The whole body: a page larger than the limit fails.
pub fn extent(limits: BodyLimits) -> Extent {
    Extent { max_bytes: limits.max_bytes, accepts_part: false, keeps_wire_bytes: false }
}

/// Parses a page and delivers its items.
pub async fn read<S: Spider>(answer: Box<TimedResponse>, request: &Arc<Request>, context: &VisitContext<S>) -> Reading {
    match parse(answer, request.clone(), context).await {
        Ok(PageOrRedirect::ParsedPage(mut page)) => deliver(&mut page, request, context).await,
        Ok(PageOrRedirect::Redirect(reading)) => reading,
        Err(outcome) => outcome.into(),
    }
}

/// What parsing made of an answer.
enum PageOrRedirect<I> {
    /// A page, which the spider has read.
    ParsedPage(ParsedPage<I>),
    /// A page with a short refresh; the spider does not see it.
    Redirect(Reading),
}

/// A parsed page, ready to leave the parsing thread.
pub(super) struct ParsedPage<I> {
    /// Its items after the first steps, or why one was refused there.
    items: Result<Ready<I>, PipelineError>,
    found: Vec<Candidate>,
    skipped: Skipped,
    version: Option<PageVersion>,
    /// What was found in the items.
    pub(super) found_in_items: FieldTally,
    counts: Vec<Count>,
    /// After which wait the page is to be asked for again, and why.
    pub(super) again: Option<(Duration, String)>,
    stop: Option<String>,
}

impl<I: Send + Sync + 'static> ParsedPage<I> {
    /// Takes what a spider returned for a request.
    pub(super) fn of<S: Spider<Item = I>>(parsed: Parsed<I>, request: &Request, rules: &PageRules<S>) -> Self {
        let Parsed { mut items, requests, downloads, counts, again, refuses_session, stop } = parsed;
        let refused = refuses_session.then_some(Count::SessionRefused);
        let counts = counts.into_iter().map(Count::Spider).chain(refused).collect();
        if again.is_some() {
            // They come with the next answer.
            items.clear();
        }
        let found_in_items = rules.items.validators.judge(&mut items, request.url.as_str());
        let found = Candidate::found_on(request, requests, &*rules.identity, &rules.seen_cache, &rules.ranking);
        let items = Ready::of(items, downloads, &rules.items);
        Self { items, found, skipped: Skipped::default(), version: None, found_in_items, counts, again, stop }
    }
}

/// How the pages of a crawl are read. Each page that is parsed holds a clone of the one `Arc`.
pub struct PageRules<S: Spider> {
    pub(crate) spider: Arc<S>,
    pub(crate) identity: Arc<dyn Identity>,
    pub(crate) seen_cache: Arc<SeenCache>,
    /// How good the found requests are, by a function of the user's.
    pub(crate) ranking: Ranking,
    /// What becomes of items before they go to the pipelines.
    pub(crate) items: ItemRules<S::Item>,
    /// What makes pages of other documents.
    pub(crate) conversions: Conversions,
    /// How the links of pages are read, but for what each page says itself.
    pub(crate) scanner: Scanner,
    pub(crate) redirects: RedirectRules,
    pub(crate) body_limits: BodyLimits,
    /// Whether the engine compares pages with their earlier versions.
    pub(crate) keeps_visits: bool,
}

/// Decodes and parses on another thread, where the spider's code can harm no other page.
async fn parse<S: Spider>(
    mut answer: Box<TimedResponse>,
    request: Arc<Request>,
    context: &VisitContext<S>,
) -> Result<PageOrRedirect<S::Item>, Outcome> {
    let rules = context.rules.clone();
    // The memory reservation is held while the parse is awaited, and released when that wait times out, although a
    // parse that never returns keeps the body.
    let _reservation = answer.response.release_memory();
    // Freed here, where it was allocated, as is the answer, which comes back. Otherwise both threads would wait for
    // each other in the allocator at each page.
    let _body = answer.response.body.clone();
    let work = move || {
        let parsed = parse_answer(&mut answer, request, &rules);
        (parsed, answer)
    };
    context.turn_end.parse.come().await;
    match context.offload.run(work).await {
        Ok((parsed, _answer)) => parsed,
        Err(lost) => Err(lost.outcome("parse did not return")),
    }
}

/// Decodes and parses an answer, which keeps its headers.
fn parse_answer<S: Spider>(
    answer: &mut TimedResponse,
    request: Arc<Request>,
    rules: &PageRules<S>,
) -> Result<PageOrRedirect<S::Item>, Outcome> {
    let PageRules { spider, conversions, redirects, body_limits, .. } = rules;
    let is_asked_for = request.keeps_redirects && matches!(answer.response.status, 300..=399);
    if !is_asked_for && !spider.accepts(answer.response.status) {
        return Err(Outcome::Status(answer.response.status));
    }
    let page = answer.decode(request, *body_limits).map_err(Outcome::Fetch)?;
    let page = page.with_scanner(rules.scanner.clone()).with_session(answer.session.take());
    if let Some(redirect) = redirect_of(&page, redirects, answer.cookies_changed, &*rules.identity) {
        answer.response.headers = page.into_headers();
        return Ok(PageOrRedirect::Redirect(redirect));
    }
    let page = conversions.apply(page, body_limits.max_bytes).map_err(Outcome::Parse)?;
    let parsed = spider.parse(&page).map_err(|error| Outcome::Parse(error.to_string()))?;
    if let Some(session) = page.session() {
        match parsed.retries() {
            Some((_, why)) if parsed.refuses_session => session.refused(RefusedBy::Spider, why),
            Some(_) => {}
            // Recorded now, and not after the items are acknowledged: meanwhile another response may say that the
            // session has expired, and a session that never worked would rest.
            None => session.worked(),
        }
    }
    let parsed = ParsedPage::of(parsed, page.request(), rules);
    let version = rules.keeps_visits.then(|| page.version());
    let parsed = ParsedPage { skipped: page.skipped_of_asked(), version, ..parsed };
    answer.response.headers = page.into_headers();
    Ok(PageOrRedirect::ParsedPage(parsed))
}

/// Returns the target of a page's refresh, if the refresh counts as a redirect. The spider then gets the target in
/// place of the page, as with Scrapy's `MetaRefreshMiddleware`.
///
/// A page that leads back to an earlier URL of its chain is read, since nothing else would come. It is requested again
/// only if its refresh has no delay and it has changed the cookies, as pages do that test for cookies. A page with
/// another status than 2xx that the spider accepts is always read.
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
    let pooled = page.session().filter(|session| session.is_pooled()).map(Session::name);
    let hop = Hop { status, to: &to, cookies_changed: cookies_changed && delay.is_zero(), pooled };
    match redirect::follow(page.request(), hop, identity, &rules.secret_headers) {
        Ok(next) => Some(Reading::redirect(Outcome::Redirect { status, to, by: RedirectBy::Refresh }, next, identity)),
        Err(NotFollowed::LeadsBack { .. }) => None,
        Err(too_many @ NotFollowed::TooMany) => Some(Outcome::from(too_many).into()),
    }
}

/// Delivers the items, unless the page is to be asked for again.
pub(super) async fn deliver<S: Spider>(
    page: &mut ParsedPage<S::Item>,
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

async fn deliver_items<S: Spider>(
    page: &mut ParsedPage<S::Item>,
    request: &Request,
    context: &VisitContext<S>,
) -> Reading {
    let items = std::mem::replace(&mut page.items, Ok(Ready::none()));
    let (Delivered { items, mut counts }, all) = delivery::deliver(items, request, context).await;
    if let Err(outcome) = all {
        // What was acknowledged before is written, and counts as such.
        let acknowledged = Extracted::Page { found: Vec::new(), items, skipped: Skipped::default(), version: None };
        return Reading { content: acknowledged, counts, ..outcome.into() };
    }
    let ParsedPage { found, skipped, version, found_in_items, .. } = page;
    counts.extend((0..found_in_items.left_out()).map(|_| Count::ItemInvalid));
    context.rules.items.validators.add(std::mem::take(found_in_items));
    let (found, skipped, version) = (std::mem::take(found), *skipped, version.take());
    Reading { content: Extracted::Page { found, items, skipped, version }, counts, ..Outcome::Ok.into() }
}

impl TimedResponse {
    /// Decodes the body. The page has the headers.
    fn decode(&mut self, request: Arc<Request>, limits: BodyLimits) -> Result<Response, FetchError> {
        let (body, broken_off) = self.response.decoded(limits)?;
        let RawResponse { status, headers, fetched_at, .. } = &mut self.response;
        let headers = std::mem::take(headers);
        Ok(Response::new(request, *status, headers, body, *fetched_at, self.elapsed).with_broken_off(broken_off))
    }
}
