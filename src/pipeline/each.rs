//! Each: a closure as a pipeline.

use std::sync::Arc;

use actix::{Actor, Context, Handler};

use super::{CrawlEnded, Pipeline, PipelineError, Running, Scraped, Start};
use crate::error::Error;

/// Calls a function with each item, which is acknowledged when the function returns. A panic in it fails the item's
/// page.
///
/// ```
/// # use actix_crawler::prelude::*;
/// # fn with(crawler: Crawler<fn(&Response) -> Result<Parsed<String>>>) {
/// let crawler = crawler.each(|title: &String| println!("{title}"));
/// # }
/// ```
pub struct Each<I>(Arc<EachFn<I>>);

type EachFn<I> = dyn Fn(&Scraped<I>) + Send + Sync;

impl<I> Each<I> {
    /// Creates the pipeline.
    pub fn new(call: impl Fn(&I) + Send + Sync + 'static) -> Self {
        Self::scraped(move |scraped| call(scraped))
    }

    /// Creates the pipeline, for a function that also wants the page's URL, or to keep the item.
    pub(crate) fn scraped(call: impl Fn(&Scraped<I>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(call))
    }
}

impl<I> Clone for Each<I> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<I: 'static> Actor for Each<I> {
    type Context = Context<Self>;
}

impl<I: Send + Sync + 'static> Handler<Scraped<I>> for Each<I> {
    type Result = Result<(), PipelineError>;

    fn handle(&mut self, scraped: Scraped<I>, _: &mut Self::Context) -> Self::Result {
        (self.0)(&scraped);
        Ok(())
    }
}

impl<I: 'static> Handler<CrawlEnded> for Each<I> {
    type Result = Result<(), PipelineError>;

    fn handle(&mut self, _: CrawlEnded, _: &mut Self::Context) -> Self::Result {
        Ok(())
    }
}

impl<I: Send + Sync + 'static> Pipeline<I> for Each<I> {
    fn start(&self, start: &Start) -> Result<Running<I>, Error> {
        let each = self.clone();
        Ok(Running::start(start, move || each))
    }
}
