//! Submit: gives a running crawl one page to fetch, and waits for what becomes of it.

use std::pin::pin;

use futures_util::future::{Either, select};
use tokio::sync::oneshot;

use super::CrawlHandle;
use crate::{
    engine::Seed,
    error::{Error, Result},
    request::Request,
    submissions::{Submissions, Submitted},
};

impl CrawlHandle {
    /// Adds a request as a seed, and waits for its page: for its items, which the pipelines get too, or for why there
    /// are none. Redirects and retries lie between, under the permits of their domains, and so does the time that it
    /// waits in the queue; give it a [`priority`](Request::priority) to go first. Its links are followed as those of
    /// any page are.
    ///
    /// Dropping the future stops the waiting only: the page is fetched all the same. At most 10,000 pages are waited
    /// for at once, and further callers wait for a place.
    ///
    /// ```
    /// use actix_crawler::{Scope, outcome::DropReason, handle::Submitted, prelude::*};
    ///
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let titles = |page: &Response| Ok(Parsed::of(page.title().map(str::to_owned)));
    /// let crawler = Crawler::new(titles, "quotesbot/1.0 (+https://example.org/bot)");
    /// let scope = Scope { https_only: true, ..Scope::default() };
    /// let handle = crawler.scope(scope).stay_open().start()?;
    ///
    /// let request = Request::parse("http://example.org/")?.priority(1).dont_filter();
    /// match handle.submit::<String>(request).await? {
    ///     Submitted::Page { url, items } => println!("{url}: {items:?}"),
    ///     Submitted::AlreadySeen => println!("seen before"),
    ///     Submitted::FailedBefore(end) => println!("failed {} times: {end}", end.attempts),
    ///     Submitted::Dropped(reason) => assert_eq!(reason, DropReason::Scheme),
    ///     Submitted::Failed(outcome) => println!("{}: {}", outcome.key(), outcome.detail()),
    /// }
    /// # handle.stop().await;
    /// # Ok::<(), Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// The spider's items are of another type, the crawl has ended before the page has, or another process has taken
    /// over its domain, which ends the crawl there; or as [`CrawlHandle::request`].
    pub async fn submit<I: Send + Sync + 'static>(&self, mut request: Request) -> Result<Submitted<I>> {
        let submissions = self.submissions.clone().downcast::<Submissions<I>>().map_err(|_| {
            let (given, asked) = (self.item, std::any::type_name::<I>());
            Error::setting("submit", format!("the spider's items are `{given}`, and not `{asked}`"))
        })?;
        let mut waiter = self.unless_ended(async { Ok::<_, Error>(submissions.wait().await) }).await?;
        request.submit_as(waiter.id);
        let candidate = self.seed_of(request)?;
        let (stored, seeded) = oneshot::channel();
        self.ask(Seed(vec![candidate], stored)).await?;
        let answered = pin!(self.unless_ended(&mut waiter.answered));
        // A crawl that is stopping takes no seed.
        match select(answered, pin!(self.unless_ended(seeded))).await {
            Either::Left((answer, _)) => answer,
            Either::Right((Ok(_), answered)) => answered.await,
            Either::Right((Err(ended), _)) => Err(ended),
        }
    }
}
