//! Collect: keeps items in memory, for tests and small crawls.

use std::sync::{Arc, Mutex, PoisonError};

use super::{Each, Pipeline, Running, Start};
use crate::error::Error;

/// Keeps every item until it is taken. Clones share the items. Memory grows with the crawl.
///
/// ```
/// # use actix_crawler::prelude::*;
/// # fn with(crawler: Crawler<fn(&Response) -> Result<Parsed<String>>>) -> Result<()> {
/// let items = Collect::new();
/// crawler.pipeline(items.clone()).run_blocking()?;
/// println!("{:?}", items.take());
/// # Ok(()) }
/// ```
pub struct Collect<I>(Arc<Mutex<Vec<I>>>);

impl<I> Default for Collect<I> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<I> Clone for Collect<I> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<I> Collect<I> {
    /// Creates an empty collection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the items collected so far, in order.
    pub fn take(&self) -> Vec<I> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<I: Clone + Send + Sync + 'static> Pipeline<I> for Collect<I> {
    fn start(&self, start: &Start) -> Result<Running<I>, Error> {
        let items = self.0.clone();
        Each::new(move |item: &I| items.lock().unwrap_or_else(PoisonError::into_inner).push(item.clone())).start(start)
    }
}
