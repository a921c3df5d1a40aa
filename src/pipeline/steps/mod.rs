//! Steps: what happens to items before a pipeline gets them, in the order in which it is written. Knows no pages and no
//! formats.

mod ahead;
mod chain;
#[cfg(test)]
mod tests;
mod unique;

use std::{fmt, path::PathBuf, sync::Arc};

use serde::Serialize;

pub(crate) use self::{
    ahead::{Stepped, StepsAhead},
    unique::{Claims, EndOfClaim},
};
use self::{
    chain::{Chain, Outs},
    unique::{Claimed, Keys},
};
use super::{Pipeline, PipelineError, Running, Start};
use crate::{
    error::{Error, Result},
    feed::Record,
};

/// Steps that items go through, one after the other, before one or more pipelines get them: leave out duplicates and
/// what is not wanted, and make other items of them. What Scrapy has item pipelines for.
///
/// ```
/// use actix_crawler::{feed::Feed, pipeline::Steps, prelude::*};
///
/// #[derive(serde::Serialize)]
/// struct Product { ean: Option<String>, name: String, cents: Option<u64> }
///
/// #[derive(serde::Serialize)]
/// struct Offer { name: String, euros: f64 }
///
/// # fn with(crawler: Crawler<fn(&Response) -> Result<Parsed<Product>>>) {
/// let offers = Steps::of::<Product>()
///     .unique_by(|product| product.ean.clone())
///     .drop_if("no_price", |product| product.cents.is_none())
///     .map(|product| Offer { name: product.name.clone(), euros: product.cents.unwrap_or(0) as f64 / 100.0 })
///     .to(Feed::to("offers.jsonl"))
///     .to(Feed::to("offers.csv"));
/// let crawler = crawler.pipeline(offers);
/// # }
/// ```
///
/// Such steps stand before some pipelines, and get items whose files are there already. Those of
/// [`Crawler::steps`](crate::Crawler::steps) stand before everything: what they leave out costs no request for a file.
///
/// An item is acknowledged when all pipelines behind the steps have acknowledged what was made of it, or when a step
/// has left it out: that is counted as `items/dropped`, and by its reason as `items/dropped/no_price`. A panic in a
/// step fails the item's page.
#[must_use = "steps lead nowhere without `to`"]
pub struct Steps<I, O = I> {
    run: Box<RunFn<I, O>>,
    keys: Vec<Arc<Keys>>,
}

/// Takes an item through the steps; the keys that it claims on the way are noted.
type RunFn<I, O> = dyn Fn(&Arc<I>, &mut Claims) -> StepResult<O> + Send + Sync;

/// What the steps say of an item.
enum StepResult<O> {
    Pass(Arc<O>),
    /// Another item has the same key, and it is not known yet whether that is acknowledged.
    Wait(EndOfClaim),
    Drop(PipelineError),
}

/// Takes an item through steps. While it waits for another, it has claimed nothing, so two never wait for each other.
fn step<I, O>(run: &RunFn<I, O>, item: &Arc<I>) -> (StepResult<O>, Claims) {
    let mut claims = Claims::default();
    let step = run(item, &mut claims);
    if matches!(step, StepResult::Wait(_)) {
        claims = Claims::default();
    }
    (step, claims)
}

impl Steps<(), ()> {
    /// Begins the steps of items of a type.
    pub fn of<I: Send + Sync + 'static>() -> Steps<I> {
        Steps { run: Box::new(|item, _| StepResult::Pass(item.clone())), keys: Vec::new() }
    }
}

impl<I: Send + Sync + 'static, O: Send + Sync + 'static> Steps<I, O> {
    /// Adds a step.
    fn then<P: 'static>(
        self,
        step: impl Fn(Arc<O>, &mut Claims) -> StepResult<P> + Send + Sync + 'static,
    ) -> Steps<I, P> {
        let before = self.run;
        let run = move |item: &Arc<I>, claims: &mut Claims| match before(item, claims) {
            StepResult::Pass(item) => step(item, claims),
            StepResult::Wait(end) => StepResult::Wait(end),
            StepResult::Drop(why) => StepResult::Drop(why),
        };
        Steps { run: Box::new(run), keys: self.keys }
    }

    /// Leaves out items whose key an earlier one had, as `items/dropped/duplicate`. An item whose key is `None` has
    /// none, and is never left out.
    ///
    /// A key counts from when its item is acknowledged: if an item cannot be written, the next with its key goes in its
    /// place. The last million keys are remembered, and up to a million more, by hashes of 128 bits (up to 75 MB);
    /// older ones are forgotten, and their duplicates pass. With a state, keys are stored in its folder, so that they
    /// count in later runs too: those of acknowledged items, but for the last moments before a power failure.
    ///
    /// There they are found by the place of this step among those of the crawl. So whoever changes what the key is, or
    /// the order of pipelines and of such steps, and goes on with the state, would have keys of one meaning taken for
    /// another's, and items left out: give such keys names, by [`Steps::unique_by_named`].
    pub fn unique_by<K: Serialize>(self, key: impl Fn(&O) -> K + Send + Sync + 'static) -> Self {
        self.unique(Keys::default(), key)
    }

    /// As [`Steps::unique_by`], with a name by which the keys are found again in a state, wherever the step is then.
    /// Each name is of one step. A new name begins without keys.
    ///
    /// ```
    /// use actix_crawler::pipeline::Steps;
    ///
    /// struct Product { ean: String }
    ///
    /// let steps = Steps::of::<Product>().unique_by_named("ean", |product| product.ean.clone());
    /// ```
    pub fn unique_by_named<K: Serialize>(
        self,
        name: impl Into<String>,
        key: impl Fn(&O) -> K + Send + Sync + 'static,
    ) -> Self {
        self.unique(Keys::named(name.into()), key)
    }

    fn unique<K: Serialize>(mut self, keys: Keys, key: impl Fn(&O) -> K + Send + Sync + 'static) -> Self {
        let keys = Arc::new(keys);
        self.keys.push(keys.clone());
        self.then(move |item, claims| {
            let record = match Record::of(&key(&item), "") {
                Ok(record) => record,
                Err(error) => return StepResult::Drop(PipelineError::refused(format!("its key: {error}"))),
            };
            match keys.claim(record.value()) {
                Claimed::Keyless => StepResult::Pass(item),
                Claimed::Now(claim) => {
                    claims.add(claim);
                    StepResult::Pass(item)
                }
                Claimed::Duplicate => StepResult::Drop(PipelineError::dropped_as("duplicate")),
                Claimed::Pending(end) => StepResult::Wait(end),
            }
        })
    }

    /// Leaves out items, for a reason under which they are counted: `items/dropped/<reason>`.
    pub fn drop_if(self, reason: &'static str, holds: impl Fn(&O) -> bool + Send + Sync + 'static) -> Self {
        self.then(move |item, _| {
            if holds(&item) { StepResult::Drop(PipelineError::dropped_as(reason)) } else { StepResult::Pass(item) }
        })
    }

    /// Makes another item of each.
    pub fn map<P: Send + Sync + 'static>(self, make: impl Fn(&O) -> P + Send + Sync + 'static) -> Steps<I, P> {
        self.then(move |item, _| StepResult::Pass(Arc::new(make(&item))))
    }

    /// Makes another item of each, or refuses it, leaves it out, or ends the crawl, as [`PipelineError`] says.
    pub fn try_map<P: Send + Sync + 'static>(
        self,
        make: impl Fn(&O) -> Result<P, PipelineError> + Send + Sync + 'static,
    ) -> Steps<I, P> {
        self.then(move |item, _| match make(&item) {
            Ok(other) => StepResult::Pass(Arc::new(other)),
            Err(error) => StepResult::Drop(error),
        })
    }

    /// Adds the steps of another.
    fn and<P: Send + Sync + 'static>(mut self, mut more: Steps<O, P>) -> Steps<I, P> {
        self.keys.append(&mut more.keys);
        let run = more.run;
        self.then(move |item, claims| run(&item, claims))
    }

    /// Ends the steps with a pipeline.
    pub fn to(self, pipeline: impl Pipeline<O>) -> StepsTo<I, O> {
        StepsTo { run: self.run.into(), keys: self.keys, outs: Vec::new() }.to(pipeline)
    }
}

/// Steps with the pipelines that they lead to.
///
/// ```
/// use actix_crawler::{pipeline::Steps, prelude::*};
///
/// let long = Collect::new();
/// let steps = Steps::of::<String>().drop_if("short", |text| text.len() < 20).to(long.clone());
/// # fn with(crawler: Crawler<fn(&Response) -> Result<Parsed<String>>>, steps: actix_crawler::pipeline::StepsTo<String>) {
/// let crawler = crawler.pipeline(steps);
/// # }
/// ```
pub struct StepsTo<I, O = I> {
    run: Arc<RunFn<I, O>>,
    keys: Vec<Arc<Keys>>,
    outs: Vec<Box<dyn Pipeline<O>>>,
}

impl<I: Send + Sync + 'static, O: Send + Sync + 'static> StepsTo<I, O> {
    /// Adds another pipeline, which gets the same items.
    #[must_use]
    pub fn to(mut self, pipeline: impl Pipeline<O>) -> Self {
        self.outs.push(Box::new(pipeline));
        self
    }
}

/// Returns the file for the keys of a step, if the crawl has a state.
fn file_of(keys: &Keys, number: usize, start: &Start) -> Option<PathBuf> {
    let by_place = start.file_in_state(&format!("unique-{number}"))?;
    let name = by_place.file_name()?.to_string_lossy().into_owned();
    Some(start.state_folder()?.join(keys.file_name(name)))
}

impl<I, O> fmt::Debug for Steps<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Steps").finish_non_exhaustive()
    }
}

impl<I, O> fmt::Debug for StepsTo<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StepsTo").finish_non_exhaustive()
    }
}

impl<I: Send + Sync + 'static, O: Send + Sync + 'static> Pipeline<I> for StepsTo<I, O> {
    fn check(&self, start: &Start) -> Result<(), Error> {
        for (number, keys) in self.keys.iter().enumerate() {
            keys.check(file_of(keys, number, start).as_deref(), start.outputs())?;
        }
        self.outs.iter().enumerate().try_for_each(|(number, out)| out.check(&start.behind(number)))
    }

    fn start(&self, start: &Start) -> Result<Running<I>, Error> {
        for (number, keys) in self.keys.iter().enumerate() {
            if start.restarts() > 0 {
                keys.begin_again();
            } else {
                keys.open(file_of(keys, number, start), start.resumes())?;
            }
        }
        let outs = self.outs.iter().enumerate();
        let outs = outs.map(|(number, out)| Ok((out.start(&start.behind(number))?, out.max_unacknowledged())));
        let outs = Outs::new(outs.collect::<Result<Vec<_>>>()?);
        Ok(Running::start_batching(start, {
            let run = self.run.clone();
            move || Chain { run, outs: Arc::new(outs) }
        }))
    }

    fn max_unacknowledged(&self) -> usize {
        self.outs.iter().map(|out| out.max_unacknowledged()).max().unwrap_or(1)
    }

    fn max_open_files(&self) -> usize {
        self.keys.len() + self.outs.iter().map(|out| out.max_open_files()).sum::<usize>()
    }
}
