//! Seeded: what became of one seed that a running crawl was given. Knows no frontier.

use serde::Serialize;

use crate::{explain::End, outcome::DropReason};

/// What became of a seed that a running crawl was given.
///
/// ```
/// use actix_crawler::{Scope, outcome::DropReason, handle::Seeded, prelude::*};
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let titles = |page: &Response| Ok(Parsed::of(page.title().map(str::to_owned)));
/// let crawler = Crawler::new(titles, "quotesbot/1.0 (+https://example.org/bot)");
/// let scope = Scope { deny: vec!["/print/".parse()?], ..Scope::default() };
/// let handle = crawler.scope(scope).allow_private().stay_open().start()?;
/// handle.pause().await?;
///
/// assert_eq!(handle.seed("http://127.0.0.1:9/").await?, Seeded::Queued);
/// assert_eq!(handle.seed("http://127.0.0.1:9/").await?, Seeded::AlreadySeen);
/// assert_eq!(handle.seed("http://127.0.0.1:9/print/1").await?, Seeded::Dropped(DropReason::Rule));
/// # handle.stop().await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Seeded {
    /// It waits in the queue of its domain; where several machines share the crawl, on the one that owns the domain.
    Queued,
    /// It was queued before, by a seed or a link, and is not due again.
    /// [`Request::dont_filter`](crate::Request::dont_filter) queues it all the same.
    AlreadySeen,
    /// It has failed for good before, as this says, and is not requested again;
    /// [`Request::dont_filter`](crate::Request::dont_filter) queues it all the same. It is [`Seeded::AlreadySeen`] if
    /// its failure is not known any more: that of the last 65,536 URLs that ended is, and with a state that of as many
    /// from earlier runs.
    FailedBefore(End),
    /// It will not be fetched, for this reason.
    Dropped(DropReason),
}
