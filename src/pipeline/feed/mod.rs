//! Feed, as a pipeline. Does not know where a feed goes, nor how it is written.

#[cfg(all(test, feature = "sqlite"))]
mod tests;

use std::{fmt, sync::Arc};

use serde::Serialize;

use super::{Pipeline, Running, Start, committing, own_sink::IntoSink};
use crate::{
    error::Error,
    feed::{Feed, Record, Spooled},
    validation::{FieldCounts, Validate},
};

impl<I: Serialize + Send + Sync + 'static> Pipeline<I> for Feed {
    fn check(&self, start: &Start) -> Result<(), Error> {
        check_feed(self, start)
    }

    fn start(&self, start: &Start) -> Result<Running<I>, Error> {
        start_feed(self, start, |_: &I| true)
    }

    fn max_unacknowledged(&self) -> usize {
        self.batched().items
    }

    fn max_open_files(&self) -> usize {
        Feed::max_open_files(self)
    }

    fn fields(&self) -> Option<Box<dyn Validate<I>>> {
        Some(Box::new(FieldCounts))
    }
}

/// Returns a feed as this crawl has it, and whether what it uploads is gathered in a temporary folder.
fn of_crawl(feed: &Feed, start: &Start) -> Result<(Feed, bool), Error> {
    let (feed, is_temporary) = feed.gathered(start.state_folder(), start.has_state(), &start.temporary().path())?;
    let feed = feed.noted_in(start.file_in_state("files")).streaming_to(start.streams().clone());
    Ok((feed, is_temporary))
}

fn check_feed(feed: &Feed, start: &Start) -> Result<(), Error> {
    let (feed, _) = of_crawl(feed, start)?;
    feed.check_for_opening(start.spider(), start.opening(), start.has_state(), start.outputs())
}

fn start_feed<I, T>(feed: &Feed, start: &Start, takes: T) -> Result<Running<I>, Error>
where
    I: Serialize + Send + Sync + 'static,
    T: Fn(&I) -> bool + Send + 'static,
{
    let temporary = start.temporary();
    let (feed, is_temporary) = of_crawl(feed, start)?;
    if is_temporary {
        temporary.make()?;
    }
    let mut sink = feed.open_for(start.spider(), start.opening(), start.has_state())?;
    if is_temporary {
        sink = Box::new(Spooled { sink, temporary: temporary.clone() });
    }
    let records = {
        let (feed, named) = (feed.clone(), start.named_fields().of(&feed));
        move |record: &Record| {
            let takes = feed.takes(record);
            if let Some(named) = named.as_ref().filter(|_| takes) {
                named.note(record);
            }
            takes
        }
    };
    Ok(committing::start(start, IntoSink { sink, takes, records }, feed.batched()))
}

impl Feed {
    /// Writes some items alone: those for which the function says so. The others are acknowledged, and count as
    /// items; `items/not_for_feed` says how many they are.
    ///
    /// ```
    /// use actix_crawler::{feed::Feed, prelude::*};
    ///
    /// #[derive(serde::Serialize)]
    /// struct Product { name: String, price: f64 }
    ///
    /// # fn with(crawler: Crawler<fn(&Response) -> Result<Parsed<Product>>>) {
    /// let cheap = Feed::to("cheap.csv").only(|product: &Product| product.price < 10.0);
    /// let crawler = crawler.pipeline(Feed::to("all.jsonl")).pipeline(cheap);
    /// # }
    /// ```
    pub fn only<I>(self, which: impl Fn(&I) -> bool + Send + Sync + 'static) -> Only<I> {
        Only { feed: self, which: Arc::new(which) }
    }
}

/// A feed of some items, by [`Feed::only`].
///
/// ```
/// use actix_crawler::feed::Feed;
///
/// let long = Feed::to("long.jsonl").only(|text: &String| text.len() > 1_000);
/// ```
pub struct Only<I> {
    feed: Feed,
    which: Arc<Which<I>>,
}

type Which<I> = dyn Fn(&I) -> bool + Send + Sync;

impl<I> Clone for Only<I> {
    fn clone(&self) -> Self {
        Self { feed: self.feed.clone(), which: self.which.clone() }
    }
}

impl<I> fmt::Debug for Only<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Only").field("feed", &self.feed).finish_non_exhaustive()
    }
}

impl<I: Serialize + Send + Sync + 'static> Pipeline<I> for Only<I> {
    fn check(&self, start: &Start) -> Result<(), Error> {
        check_feed(&self.feed, start)
    }

    fn start(&self, start: &Start) -> Result<Running<I>, Error> {
        let which = self.which.clone();
        start_feed(&self.feed, start, move |item: &I| which(item))
    }

    fn max_unacknowledged(&self) -> usize {
        self.feed.batched().items
    }

    fn max_open_files(&self) -> usize {
        self.feed.max_open_files()
    }

    fn fields(&self) -> Option<Box<dyn Validate<I>>> {
        Some(Box::new(FieldCounts))
    }
}
