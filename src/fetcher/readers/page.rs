//! Page: parses an answer off the network's thread, hands its items to the pipelines and waits until each is
//! acknowledged, and returns its links. A page that sends its readers on is a redirect. Knows no permits and no network.

use std::{borrow::Cow, sync::Arc, time::Duration};

use futures_util::future::try_join_all;

use super::{Extracted, Reading, TimedResponse};
use crate::{
    conversion::Conversions,
    count::Count,
    extract::{Refresh, Scanner, Skipped},
    fetcher::{
        VisitContext,
        item_files::{self, WantedFiles},
        offload::NoResult,
        redirect::{self, Hop, MAX_REFRESH_DELAY, NotFollowed, RedirectRules},
    },
    files::FileFields,
    frontier::{candidate::Candidate, seen_cache::SeenCache},
    identity::Identity,
    order::BestFirst,
    outcome::{FetchError, Outcome, RedirectBy},
    page_visit::PageVersion,
    pipeline::{PipelineError, Scraped, Supervisor},
    request::Request,
    response::Response,
    sessions::Session,
    spider::{Parsed, Spider},
    transport::{body::BodyLimits, exchange::Extent, raw_response::RawResponse},
    validation::{Tally, Validators},
};

/// The whole body: a page larger than the limit fails.
pub fn extent(limits: BodyLimits) -> Extent {
    Extent { max_bytes: limits.max_bytes, accepts_part: false, keeps_wire_bytes: false }
}

/// Parses a page and delivers its items.
pub async fn read<S: Spider>(answer: TimedResponse, request: &Arc<Request>, context: &VisitContext<S>) -> Reading {
    match parse(answer, request.clone(), context).await {
        Ok(PageOrRedirect::ParsedPage(page)) => deliver(page, request, context).await,
        Ok(PageOrRedirect::Redirect(reading)) => reading,
        Err(outcome) => outcome.into(),
    }
}

/// What parsing made of an answer.
enum PageOrRedirect<I> {
    /// A page, which the spider has read.
    ParsedPage(ParsedPage<I>),
    /// A page that sends its readers on; the spider has not seen it.
    Redirect(Reading),
}

/// A parsed page, ready to leave the parsing thread.
pub(super) struct ParsedPage<I> {
    items: Vec<I>,
    found: Vec<Candidate>,
    skipped: Skipped,
    version: Option<PageVersion>,
    /// What was found in the items.
    found_in_items: Tally,
    counts: Vec<Count>,
    /// The files that it waits for.
    files: WantedFiles,
    /// After which wait the page is to be asked for again, and why.
    pub(super) again: Option<(Duration, String)>,
    stop: Option<String>,
}

impl<I: 'static> ParsedPage<I> {
    /// Takes in what a spider has made of a request.
    pub(super) fn of<S: Spider<Item = I>>(parsed: Parsed<I>, request: &Request, rules: &PageRules<S>) -> Self {
        let Parsed { mut items, requests, downloads, counts, again, refuses_session, stop } = parsed;
        let refused = refuses_session.then_some(Count::SessionRefused);
        let counts = counts.into_iter().map(Count::Spider).chain(refused).collect();
        let found_in_items = rules.validators.judge(&mut items, request.url.as_str());
        let found =
            Candidate::found_on(request, requests, &*rules.identity, &rules.seen_cache, rules.best_first.as_ref());
        let files = WantedFiles::of(&mut items, downloads, &rules.files);
        Self { items, found, skipped: Skipped::default(), version: None, found_in_items, counts, files, again, stop }
    }
}

/// How the pages of a crawl are read. Each page that is parsed holds a clone of the one `Arc`.
pub struct PageRules<S: Spider> {
    pub(crate) spider: Arc<S>,
    pub(crate) identity: Arc<dyn Identity>,
    pub(crate) seen_cache: Arc<SeenCache>,
    /// How good the found requests are, by a function of the user's.
    pub(crate) best_first: Option<BestFirst>,
    /// What judges items before they go to the pipelines.
    pub(crate) validators: Arc<Validators<S::Item>>,
    /// The fields of items that have files.
    pub(crate) files: FileFields<S::Item>,
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
    mut answer: TimedResponse,
    request: Arc<Request>,
    context: &VisitContext<S>,
) -> Result<PageOrRedirect<S::Item>, Outcome> {
    let (rules, cookies_changed) = (context.rules.clone(), answer.cookies_changed);
    // The memory reservation is held while the parse is awaited, and released when that wait times out, although a
    // parse that never returns keeps the body.
    let _reservation = answer.response.release_memory();
    let work = move || {
        let PageRules { spider, conversions, redirects, body_limits, .. } = &*rules;
        let is_asked_for = request.keeps_redirects && matches!(answer.response.status, 300..=399);
        if !is_asked_for && !spider.accepts(answer.response.status) {
            return Err(Outcome::Status(answer.response.status));
        }
        let session = answer.session.take();
        let page = answer.decode(request, *body_limits).map_err(Outcome::Fetch)?;
        let page = page.with_scanner(rules.scanner.clone()).with_session(session);
        if let Some(redirect) = redirect_of(&page, redirects, cookies_changed, &*rules.identity) {
            return Ok(PageOrRedirect::Redirect(redirect));
        }
        let page = conversions.apply(page, body_limits.max_bytes).map_err(Outcome::Parse)?;
        let parsed = spider.parse(&page).map_err(|error| Outcome::Parse(error.to_string()))?;
        if let (true, Some((_, why)), Some(session)) = (parsed.refuses_session, parsed.retries(), page.session()) {
            session.refused(why);
        }
        let parsed = ParsedPage::of(parsed, page.request(), &rules);
        let version = rules.keeps_visits.then(|| page.version());
        Ok(PageOrRedirect::ParsedPage(ParsedPage { skipped: page.skipped_of_asked(), version, ..parsed }))
    };
    match context.offload.run(work).await {
        Ok(parsed) => parsed,
        Err(NoResult::Panicked(message)) => Err(Outcome::Panic(message)),
        // It is fetched again by the crawl that goes on.
        Err(NoResult::Ended) => Err(Outcome::Unsent),
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
    let pooled = page.session().filter(|session| session.is_pooled()).map(Session::name);
    let hop = Hop { status, to: &to, cookies_changed: cookies_changed && delay.is_zero(), pooled };
    match redirect::follow(page.request(), hop, identity, &rules.secret_headers) {
        Ok(next) => Some(Reading::redirect(Outcome::Redirect { status, to, by: RedirectBy::Refresh }, next, identity)),
        Err(NotFollowed::LeadsBack { .. }) => None,
        Err(too_many @ NotFollowed::TooMany) => Some(Outcome::from(too_many).into()),
    }
}

/// Sends the items to every pipeline and waits until each is acknowledged, unless the page is to be asked for again.
pub(super) async fn deliver<S: Spider>(
    mut page: ParsedPage<S::Item>,
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
    mut page: ParsedPage<S::Item>,
    request: &Request,
    context: &VisitContext<S>,
) -> Reading {
    let mut of_files = match item_files::attach(std::mem::take(&mut page.items), page.files, request, context).await {
        Ok((items, counts)) => {
            page.items = items;
            counts
        }
        Err(outcome) => return outcome.into(),
    };
    let count = page.items.len();
    let submission = request.submission().filter(|id| context.submissions.has(*id));
    let (mut counts, mut reasons) = (Vec::new(), Vec::new());
    let mut dropped = 0;
    if submission.is_some() || count > 0 && !context.pipelines.is_empty() {
        let url: Arc<str> = request.url.as_str().into();
        let scraped = page.items.into_iter().map(|item| Scraped { item: Arc::new(item), url: url.clone() });
        let mut scraped: Vec<_> = scraped.collect();
        let deliveries =
            scraped.iter().flat_map(|scraped| context.pipelines.iter().map(|pipeline| take(pipeline, scraped.clone())));
        match try_join_all(deliveries).await {
            Ok(taken) => {
                let mut of_items = taken.chunks(context.pipelines.len().max(1));
                scraped.retain(|_| !of_items.next().is_some_and(|taken| taken.iter().any(Taken::is_left_out)));
                dropped = count - scraped.len();
                counts.resize(dropped, Count::ItemDropped);
                reasons.extend(taken.iter().filter_map(Taken::counts));
                if let Some(id) = submission {
                    let items = scraped.into_iter().map(|scraped| scraped.item).collect();
                    context.submissions.keep(id, url, items);
                }
            }
            Err(broken) if broken.stops_the_crawl() => return Outcome::Broken(broken.to_string()).into(),
            Err(panicked @ PipelineError::Panicked) => return Outcome::Panic(panicked.to_string()).into(),
            Err(refused) => return Outcome::Pipeline(refused.to_string()).into(),
        }
    }
    let items = (count - dropped) as u64;
    counts.append(&mut reasons);
    counts.append(&mut of_files);
    let ParsedPage { found, skipped, version, found_in_items, .. } = page;
    counts.extend((0..found_in_items.left_out()).map(|_| Count::ItemInvalid));
    context.rules.validators.add(found_in_items);
    Reading { content: Extracted::Page { found, items, skipped, version }, counts, ..Outcome::Ok.into() }
}

/// What a pipeline did with an item.
enum Taken {
    Whole,
    /// It is for other pipelines.
    NotForThis,
    /// It left the item out, for this reason if that is counted by itself.
    LeftOut(Option<&'static str>),
}

impl Taken {
    fn is_left_out(&self) -> bool {
        matches!(self, Self::LeftOut(_))
    }

    fn counts(&self) -> Option<Count> {
        match self {
            Self::Whole => None,
            Self::NotForThis => Some(Count::ItemNotForFeed),
            Self::LeftOut(reason) => reason.map(Count::ItemDroppedAs),
        }
    }
}

/// Hands an item to a pipeline. One that the pipeline leaves out is no error.
async fn take<I: Send + Sync + 'static>(pipeline: &Supervisor<I>, scraped: Scraped<I>) -> Result<Taken, PipelineError> {
    match pipeline.deliver(scraped).await {
        Ok(()) => Ok(Taken::Whole),
        Err(PipelineError::NotForThis) => Ok(Taken::NotForThis),
        Err(PipelineError::Dropped(why)) => {
            tracing::debug!(%why, "an item was left out");
            Ok(Taken::LeftOut(match why {
                Cow::Borrowed(reason) => Some(reason),
                Cow::Owned(_) => None,
            }))
        }
        Err(error) => Err(error),
    }
}

impl TimedResponse {
    fn decode(self, request: Arc<Request>, limits: BodyLimits) -> Result<Response, FetchError> {
        let (body, broken_off) = self.response.decoded(limits)?;
        let RawResponse { status, headers, fetched_at, .. } = self.response;
        Ok(Response::new(request, status, headers, body, fetched_at, self.elapsed).with_broken_off(broken_off))
    }
}
