//! Handle: controls and observes a running crawl, from any thread and any runtime.

use std::sync::Arc;

use actix::{Addr, MailboxError};
use tokio::sync::{oneshot, watch};

use crate::{
    engine::{Control, GetProgress, GetStats, Scheduler, Seed},
    error::{Error, Result},
    frontier::candidate::Candidate,
    identity::{Identity, strip_user_info},
    report::Report,
    request::Request,
    stats::{Progress, Stats},
};

/// Controls a crawl. Clones control the same one; dropping all of them has no effect on it.
///
/// ```
/// use actix_crawler::{Ended, prelude::*};
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let titles = |page: &Response| Ok(Parsed::of(page.title().map(str::to_owned)));
/// let crawler = Crawler::new(titles, "quotesbot/1.0 (+https://example.org/bot)").stay_open();
/// let handle = crawler.start()?;
///
/// let watching = handle.clone();
/// assert_eq!(watching.progress().await?.pages, 0);
///
/// handle.stop().await;
/// assert_eq!(handle.wait().await?.ended, Ended::Stopped);
/// # Ok::<(), Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct CrawlHandle {
    scheduler: Addr<Scheduler>,
    report: watch::Receiver<Option<Arc<Report>>>,
    identity: Arc<dyn Identity>,
}

impl CrawlHandle {
    pub(crate) fn new(
        scheduler: Addr<Scheduler>,
        report: watch::Receiver<Option<Arc<Report>>>,
        identity: Arc<dyn Identity>,
    ) -> Self {
        Self { scheduler, report, identity }
    }

    /// Adds a seed; its host is in the scope from now on. `Ok` means that the seed is stored: with
    /// [`Crawler::state`](crate::Crawler::state) it is not lost any more if the process is killed.
    ///
    /// # Errors
    /// The text is not a URL that can be crawled, the crawl has ended, or its state can no longer be written. In the
    /// last two cases the seed may or may not be stored; seed it again.
    pub async fn seed(&self, url: &str) -> Result<()> {
        self.request(Request::parse(url)?).await
    }

    /// Adds a request as a seed.
    ///
    /// # Errors
    /// The crawl has ended, or the URL contains a password.
    pub async fn request(&self, request: Request) -> Result<()> {
        if request.url.password().is_some() {
            let mut url = request.url;
            strip_user_info(&mut url);
            let why = "a password in a URL is taken only from the seeds that a crawl begins with; give it to the \
                       Crawler with .credentials(…)";
            return Err(Error::Url { text: url.into(), why: why.to_owned() });
        }
        let candidate = Candidate::new(request, &*self.identity);
        let (stored, waiting) = oneshot::channel();
        self.scheduler.send(Seed(vec![candidate], stored)).await.map_err(|_| Error::Ended)?;
        // The sender is dropped if the crawl ends before the seed is stored.
        waiting.await.map_err(|_| Error::Ended)?
    }

    /// Grants no more permits until [`CrawlHandle::resume`]; requests in flight end as usual.
    ///
    /// # Errors
    /// The crawl has ended.
    pub async fn pause(&self) -> Result<()> {
        ended(self.scheduler.send(Control::Pause).await)
    }

    /// Grants permits again.
    ///
    /// # Errors
    /// The crawl has ended.
    pub async fn resume(&self) -> Result<()> {
        ended(self.scheduler.send(Control::Resume).await)
    }

    /// Returns the progress of the crawl. Takes a microsecond, whatever the number of domains.
    ///
    /// # Errors
    /// The crawl has ended; its report has the last numbers.
    pub async fn progress(&self) -> Result<Progress> {
        ended(self.scheduler.send(GetProgress).await)
    }

    /// Returns all stats, with the evidence of up to 100,000 domains. The scheduler copies up to 20 MB, so use
    /// [`CrawlHandle::progress`] for polling.
    ///
    /// # Errors
    /// The crawl has ended; its report has the last numbers.
    pub async fn stats(&self) -> Result<Stats> {
        ended(self.scheduler.send(GetStats).await).map(|stats| *stats)
    }

    /// Ends the crawl after pages in flight have ended and pipelines have written what they hold. Has no effect on a
    /// crawl that has ended.
    pub async fn stop(&self) {
        // Fails only if the crawl has ended, which is what was wanted.
        let _ = self.scheduler.send(Control::Stop).await;
    }

    /// Ends a crawl with `stay_open` as soon as nothing is left to do.
    pub async fn close(&self) {
        let _ = self.scheduler.send(Control::Close).await;
    }

    /// Ends the crawl within a second: pages in flight are abandoned, and so is a pipeline that does not close in half
    /// a second, which the report's `complaints` mention.
    pub async fn abort(&self) {
        let _ = self.scheduler.send(Control::Abort).await;
    }

    /// Waits for the end of the crawl and returns the report. Any number of callers may wait, also after the end.
    ///
    /// # Errors
    /// The crawl's thread died without a report.
    pub async fn wait(&self) -> Result<Arc<Report>> {
        let mut report = self.report.clone();
        let ended = report.wait_for(Option::is_some).await.map_err(|_| Error::Ended)?;
        ended.clone().ok_or(Error::Ended)
    }

    /// Returns the report if the crawl has ended.
    pub fn report(&self) -> Option<Arc<Report>> {
        self.report.borrow().clone()
    }
}

fn ended<T>(answer: Result<T, MailboxError>) -> Result<T> {
    answer.map_err(|_| Error::Ended)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Regression: each line of progress copied the evidence of all domains. A `Copy` type cannot contain it.
    #[test]
    fn progress_is_numbers_only() {
        fn plain<T: Copy + Send + 'static>() {}
        plain::<Progress>();
    }

    #[test]
    fn a_handle_can_be_shared_by_every_thread_of_a_service() {
        fn shared<T: Clone + Send + Sync + 'static>() {}
        shared::<CrawlHandle>();
    }
}
