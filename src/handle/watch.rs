//! Watch: what a handle tells of a crawl while it runs: its events, and where a URL stands.

use tokio::sync::oneshot;

use super::CrawlHandle;
use crate::{
    engine::Question,
    error::Result,
    events::{CrawlEvent, CrawlEvents},
    explain::Explanation,
    request::Request,
};

impl CrawlHandle {
    /// Returns what happens from now on, as a stream of typed events. A crawl that ended before has one event left: how
    /// it ended. To see a crawl from its beginning, start it with [`stay_open`](crate::Crawler::stay_open) and without
    /// seeds, and seed it when the stream is there.
    ///
    /// The crawl never waits for a reader: see [`CrawlEvents`]. Each caller gets a stream of its own.
    ///
    /// ```
    /// use actix_crawler::{events::Happened, prelude::*};
    ///
    /// /// Tells of each page that took longer than a second.
    /// async fn slow_pages(crawl: CrawlHandle) {
    ///     let mut events = crawl.events();
    ///     while let Some(event) = events.next().await {
    ///         match event.what {
    ///             Happened::RequestEnded(end) if end.elapsed.as_secs() >= 1 => println!("{} {:?}", end.url, end.elapsed),
    ///             Happened::LeftOut { events } => println!("{events} events came too fast"),
    ///             _ => {}
    ///         }
    ///     }
    /// }
    /// ```
    pub fn events(&self) -> CrawlEvents {
        let ending = self.ending.clone();
        self.streams.open(async move {
            let report = ending.reported().await?;
            Some(CrawlEvent::end(&report, ending.ended()?))
        })
    }

    /// Tells where a page stands and why: it waits, and for what, is in flight, has ended, and how, or was never found.
    /// `url` is the page's as a link would have it; a `GET` without a body is meant. The crawl's own
    /// [`Identity`](crate::identity::Identity) and [`best_first`](crate::Crawler::best_first) are called for it, as for
    /// a seed.
    ///
    /// How pages ended is remembered for the last 65,536 of this process, how they failed in earlier runs of its state
    /// for as many, and what was dropped where it was found for the first million. What waits is looked at up to
    /// 100,000 requests of its domain in memory, and with a state up to the few thousand that are in memory. The
    /// scheduler takes some milliseconds for a long queue, so do not ask for every page: [`CrawlHandle::events`] tells
    /// of all.
    ///
    /// # Errors
    /// The text is not a URL that can be crawled, the crawl has ended (its log, or
    /// [`State::explain`](crate::frontier::windowed::state::State::explain), knows more then), or its own `Identity` or
    /// `best_first` panics on the URL.
    ///
    /// ```
    /// use actix_crawler::{explain::Whereabouts, prelude::*};
    ///
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let titles = |page: &Response| Ok(Parsed::of(page.title().map(str::to_owned)));
    /// let crawl = Crawler::new(titles, "quotesbot/1.0 (+https://example.org/bot)").stay_open().start()?;
    /// let explained = crawl.explain("https://example.org/").await?;
    /// assert!(matches!(explained.stands, Whereabouts::NeverHeardOf { .. }));
    /// assert_eq!(explained.to_string(), "never heard of; if it is found it is dropped: scope/host");
    /// # crawl.abort().await;
    /// # Ok::<(), Error>(())
    /// # }).unwrap();
    /// ```
    pub async fn explain(&self, url: &str) -> Result<Explanation> {
        let page = self.candidate(Request::parse(url)?)?;
        // The semaphore is never closed; a crawl that ends lets nobody wait.
        let _place = self.unless_ended(self.questions.acquire()).await?;
        let (answer, waiting) = oneshot::channel();
        self.ask(Question(page, answer)).await?;
        self.unless_ended(waiting).await
    }
}
