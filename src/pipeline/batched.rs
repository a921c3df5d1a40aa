//! Batched: a function that takes items in batches, as a pipeline. Does not know what it does with them.

use std::{fmt, slice, sync::Arc, time::Duration};

use super::{
    Pipeline, PipelineError, Running, Scraped, Start,
    committing::{self, Commits},
};
use crate::{error::Error, feed::Batch};

/// Calls a function with up to `items` items together, which are acknowledged when it returns: for rows that are
/// inserted in one transaction, for messages that are sent together.
///
/// A batch is given when it is full, when its first item has waited for `wait`, or when no more items come. The
/// function runs on a thread of its own, so it may block. What it answers holds for all items of the batch; but if it
/// refuses them ([`PipelineError::refused`]), each is given again, alone, so that only the bad one fails its page. So a
/// function that refuses must have taken none of them, or take one a second time without harm. A batch fills only if
/// enough items can be in flight: see [`Crawler::concurrency`](crate::Crawler::concurrency).
///
/// ```
/// use std::{sync::Arc, time::Duration};
///
/// use actix_crawler::{pipeline::Batched, prelude::*};
/// # fn insert(_: &[&str]) -> std::io::Result<()> { Ok(()) }
///
/// # fn with(crawler: Crawler<fn(&Response) -> Result<Parsed<String>>>) {
/// let rows = Batched::new(100, Duration::from_secs(1), |titles: &[Arc<String>]| {
///     let rows: Vec<_> = titles.iter().map(|title| title.as_str()).collect();
///     insert(&rows).map_err(PipelineError::broken)
/// });
/// let crawler = crawler.pipeline(rows);
/// # }
/// ```
pub struct Batched<I> {
    batch: Batch,
    call: Arc<BatchFn<I>>,
}

type BatchFn<I> = dyn Fn(&[Arc<I>]) -> Result<(), PipelineError> + Send + Sync;

impl<I> Batched<I> {
    /// Creates the pipeline.
    pub fn new(
        items: usize,
        wait: Duration,
        call: impl Fn(&[Arc<I>]) -> Result<(), PipelineError> + Send + Sync + 'static,
    ) -> Self {
        Self { batch: Batch::of(items, wait), call: Arc::new(call) }
    }
}

impl<I> Clone for Batched<I> {
    fn clone(&self) -> Self {
        Self { batch: self.batch, call: self.call.clone() }
    }
}

impl<I> fmt::Debug for Batched<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batched").field("batch", &self.batch).finish_non_exhaustive()
    }
}

impl<I: Send + Sync + 'static> Pipeline<I> for Batched<I> {
    fn start(&self, start: &Start) -> Result<Running<I>, Error> {
        Ok(committing::start(start, BatchCalls(self.call.clone()), self.batch))
    }

    fn max_unacknowledged(&self) -> usize {
        self.batch.items
    }
}

struct BatchCalls<I>(Arc<BatchFn<I>>);

impl<I: Send + Sync + 'static> Commits<I> for BatchCalls<I> {
    type Kept = Arc<I>;

    fn take(&mut self, scraped: Scraped<I>) -> Result<Arc<I>, PipelineError> {
        Ok(scraped.item)
    }

    fn commit(&mut self, held: &[Arc<I>]) -> Result<(), PipelineError> {
        (self.0)(held)
    }

    fn commit_alone(&mut self, held: &Arc<I>) -> Result<(), PipelineError> {
        (self.0)(slice::from_ref(held))
    }

    fn close(&mut self) -> Result<(), PipelineError> {
        Ok(())
    }
}
