//! Delivery: takes the items of a page to the pipelines when their files are there, and waits until each is
//! acknowledged. Knows no permits and no network.

use std::{borrow::Cow, sync::Arc};

use futures_util::future::join_all;

use super::{
    VisitContext,
    item_files::{self, WantedFiles},
};
use crate::{
    files::{File, FileFields},
    outcome::Outcome,
    pipeline::{Claims, EndOfClaim, PipelineError, Scraped, Stepped, StepsAhead, Supervisor},
    request::Request,
    spider::Spider,
    stats::count::Count,
    validation::Validators,
};

/// What becomes of items before they go to the pipelines, in this order.
pub struct ItemRules<I: 'static> {
    /// What judges them.
    pub validators: Validators<I>,
    /// The steps of the crawl.
    pub steps: StepsAhead<I>,
    /// Their fields that have files.
    pub files: FileFields<I>,
}

/// Items that have gone through the steps of the crawl, and the files that they and their page want.
pub struct Ready<I> {
    items: Stepped<I>,
    files: WantedFiles,
}

impl<I: Send + Sync + 'static> Ready<I> {
    /// No items.
    pub fn none() -> Self {
        let (passed, waiting, left_out) = Default::default();
        Self { items: Stepped { passed, waiting, left_out }, files: WantedFiles::default() }
    }

    /// Takes items through the steps, and collects the files of those that pass. Both run user code.
    ///
    /// # Errors
    /// A step refuses an item, or ends the crawl.
    pub fn of(items: Vec<I>, downloads: Vec<File>, rules: &ItemRules<I>) -> Result<Self, PipelineError> {
        let mut items = rules.steps.take(items)?;
        let files = WantedFiles::of(items.passed.iter_mut().map(|(item, _)| item), downloads, &rules.files);
        Ok(Self { items, files })
    }
}

/// What was delivered.
#[derive(Default)]
pub struct Delivered {
    /// The number of items that were acknowledged.
    pub items: u64,
    /// What is to be counted.
    pub counts: Vec<Count>,
}

/// Delivers the items of a page. Returns what was delivered, also if the page ends with an outcome of its own for the
/// sake of the others.
///
/// An item whose key belongs to an undelivered item of another page is delivered in a later round. The page holds no
/// keys while it waits for that, so two pages never wait for each other.
pub async fn deliver<S: Spider>(
    ready: Result<Ready<S::Item>, PipelineError>,
    request: &Request,
    context: &VisitContext<S>,
) -> (Delivered, Result<(), Outcome>) {
    let mut delivered = Delivered::default();
    let all = match ready {
        Ok(ready) => deliver_all(ready, request, context, &mut delivered).await,
        Err(refused) => Err(refused.into()),
    };
    (delivered, all)
}

async fn deliver_all<S: Spider>(
    mut ready: Ready<S::Item>,
    request: &Request,
    context: &VisitContext<S>,
    delivered: &mut Delivered,
) -> Result<(), Outcome> {
    let submission = request.submission().filter(|id| context.submissions.has(*id));
    let url: Arc<str> = request.url.as_str().into();
    let mut whole = Vec::new();
    loop {
        let Ready { items: Stepped { passed, waiting, left_out }, files } = ready;
        for why in &left_out {
            delivered.count(&[Taken::left_out(why)]);
        }
        let (items, claims): (Vec<_>, Vec<_>) = passed.into_iter().unzip();
        let (items, mut counts) = item_files::attach(items, files, request, context).await?;
        delivered.counts.append(&mut counts);
        let scraped: Vec<_> =
            items.into_iter().map(|item| Scraped { item: Arc::new(item), url: url.clone() }).collect();
        let deliveries = scraped.iter().zip(claims).map(|(scraped, claims)| take(scraped, claims, &context.pipelines));
        if !scraped.is_empty() && !context.pipelines.is_empty() {
            context.turn_end.deliver.come().await;
        }
        // Each is waited for: one that is refused says nothing of the others, whose keys are known once they are
        // written.
        let taken = join_all(deliveries).await;
        for (scraped, taken) in scraped.into_iter().zip(&taken) {
            if taken.as_ref().is_ok_and(|taken| delivered.count(taken)) && submission.is_some() {
                whole.push(scraped.item);
            }
        }
        all(taken)?;
        if waiting.is_empty() {
            break;
        }
        // Seldom, so that it takes no room in each page.
        ready = Box::pin(wait(waiting, context)).await?;
    }
    if let Some(id) = submission {
        context.submissions.keep(id, url, whole);
    }
    Ok(())
}

/// Waits for the items on their way that have the keys of these, and takes these through the steps again.
async fn wait<S: Spider>(
    waiting: Vec<(S::Item, EndOfClaim)>,
    context: &VisitContext<S>,
) -> Result<Ready<S::Item>, Outcome> {
    let (items, mut ends): (Vec<_>, Vec<_>) = waiting.into_iter().unzip();
    if !ends.iter().all(EndOfClaim::has_come) {
        context.files.wait(Vec::new(), join_all(ends.iter_mut().map(EndOfClaim::come))).await?;
    }
    let rules = context.rules.clone();
    let again = context.offload.run(move || Ready::of(items, Vec::new(), &rules.items)).await;
    Ok(again.map_err(|lost| lost.outcome("a step did not return"))??)
}

impl Delivered {
    /// Counts an item by what the pipelines did with it. Tells whether none left it out.
    fn count(&mut self, taken: &[Taken]) -> bool {
        let is_whole = !taken.iter().any(|taken| matches!(taken, Taken::LeftOut(_)));
        if is_whole {
            self.items += 1;
        } else {
            self.counts.push(Count::ItemDropped);
        }
        self.counts.extend(taken.iter().filter_map(|taken| match taken {
            Taken::Whole => None,
            Taken::NotForThis => Some(Count::ItemNotForFeed),
            Taken::LeftOut(reason) => reason.map(Count::ItemDroppedAs),
        }));
        is_whole
    }
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
    fn left_out(why: &PipelineError) -> Self {
        tracing::debug!(%why, "an item was left out");
        Self::LeftOut(match why {
            PipelineError::Dropped(Cow::Borrowed(reason)) => Some(reason),
            _ => None,
        })
    }
}

/// Hands an item to all pipelines, and keeps its keys when all have acknowledged it.
async fn take<I: Send + Sync + 'static>(
    scraped: &Scraped<I>,
    claims: Claims,
    pipelines: &[Supervisor<I>],
) -> Result<Vec<Taken>, PipelineError> {
    let taken = match pipelines {
        [only] => vec![take_one(scraped.clone(), only).await?],
        pipelines => all(join_all(pipelines.iter().map(|pipeline| take_one(scraped.clone(), pipeline))).await)?,
    };
    claims.keep()?;
    Ok(taken)
}

/// Returns what all have brought. Of several errors, one that ends the crawl goes before one that ends the page.
fn all<T>(results: Vec<Result<T, PipelineError>>) -> Result<Vec<T>, PipelineError> {
    let stop = results.iter().filter_map(|result| result.as_ref().err()).find(|error| error.stops_the_crawl());
    match stop {
        Some(error) => Err(error.clone()),
        None => results.into_iter().collect(),
    }
}

/// Sends an item to one pipeline. A pipeline may leave it out; that is no error.
async fn take_one<I: Send + Sync + 'static>(
    scraped: Scraped<I>,
    pipeline: &Supervisor<I>,
) -> Result<Taken, PipelineError> {
    match pipeline.deliver(scraped).await {
        Ok(()) => Ok(Taken::Whole),
        Err(PipelineError::NotForThis) => Ok(Taken::NotForThis),
        Err(why @ PipelineError::Dropped(_)) => Ok(Taken::left_out(&why)),
        Err(error) => Err(error),
    }
}

impl From<PipelineError> for Outcome {
    fn from(error: PipelineError) -> Self {
        match error {
            broken if broken.stops_the_crawl() => Self::Broken(broken.to_string()),
            panicked @ PipelineError::Panicked => Self::Panic(panicked.to_string()),
            refused => Self::Pipeline(refused.to_string()),
        }
    }
}
