//! Batching: a pipeline whose actor acknowledges several items together. Does not know where they are committed.

use actix::{Actor, Context, Handler};

use super::{CrawlEnded, Flush, Pipeline, Running, Scraped, Start};
use crate::error::Error;

/// A pipeline whose actor commits up to `max_items` items together, and only then acknowledges each.
///
/// The actor keeps the items with their replies and commits when it has enough, and also at [`Flush`] and
/// [`CrawlEnded`]. A page is done only when its items are committed, so a killed crawl loses none of them. A batch
/// fills only if enough items can be in flight: set [`Crawler::concurrency`](crate::Crawler::concurrency) higher than
/// the number of pages that fill a batch.
///
/// ```
/// use actix::{Actor, Context, Handler, ResponseFuture};
/// use actix_crawler::{pipeline::{Batching, Flush}, prelude::*};
/// use tokio::sync::oneshot::{Sender, channel};
///
/// /// Rows for a database, which are committed a hundred at a time.
/// #[derive(Default)]
/// struct Database {
///     rows: Vec<String>,
///     waiting: Vec<Sender<()>>,
/// }
///
/// impl Database {
///     fn commit(&mut self) {
///         // BEGIN; INSERT …; COMMIT
///         self.rows.clear();
///         for acknowledged in self.waiting.drain(..) {
///             let _ = acknowledged.send(());
///         }
///     }
/// }
///
/// impl Actor for Database {
///     type Context = Context<Self>;
/// }
///
/// impl Handler<Scraped<String>> for Database {
///     type Result = ResponseFuture<Result<(), PipelineError>>;
///
///     fn handle(&mut self, row: Scraped<String>, _: &mut Self::Context) -> Self::Result {
///         let (acknowledged, committed) = channel();
///         self.rows.push((*row).clone());
///         self.waiting.push(acknowledged);
///         if self.rows.len() >= 100 {
///             self.commit();
///         }
///         Box::pin(async { committed.await.map_err(PipelineError::refused) })
///     }
/// }
///
/// impl Handler<Flush> for Database {
///     type Result = ();
///
///     fn handle(&mut self, _: Flush, _: &mut Self::Context) {
///         self.commit();
///     }
/// }
///
/// impl Handler<CrawlEnded> for Database {
///     type Result = Result<(), PipelineError>;
///
///     fn handle(&mut self, _: CrawlEnded, _: &mut Self::Context) -> Self::Result {
///         self.commit();
///         Ok(())
///     }
/// }
///
/// # fn with(crawler: Crawler<fn(&Response) -> Result<Parsed<String>>>) {
/// let crawler = crawler.pipeline(Batching::new(100, Database::default));
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Batching<F> {
    make: F,
    max_items: usize,
}

impl<F> Batching<F> {
    /// Creates the pipeline. `max_items` is the most unacknowledged items that the actor holds.
    pub fn new(max_items: usize, make: F) -> Self {
        Self { make, max_items }
    }
}

impl<I, F, A> Pipeline<I> for Batching<F>
where
    I: Send + Sync + 'static,
    F: Fn() -> A + Clone + Send + Sync + 'static,
    A: Actor<Context = Context<A>> + Handler<Scraped<I>> + Handler<CrawlEnded> + Handler<Flush>,
{
    fn start(&self, start: &Start) -> Result<Running<I>, Error> {
        Ok(Running::start_batching(start, self.make.clone()))
    }

    fn max_unacknowledged(&self) -> usize {
        self.max_items
    }
}
