//! Handle: steers and watches a crawl that runs, from any thread and any runtime. Knows nothing of what the crawl does.

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

/// Steers a crawl. Clones steer the same one; dropping all of them changes nothing.
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
    /// The text is no URL that can be crawled, the crawl has ended, or its state cannot be written any more. In the last
    /// two cases the seed may have been stored or not; seed it again.
    pub async fn seed(&self, url: &str) -> Result<()> {
        self.request(Request::parse(url)?).await
    }

    /// Adds a request as a seed.
    ///
    /// # Errors
    /// The crawl has ended, or the URL has a password in it.
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
        // The crawl drops its end when it ends before it could store the seed.
        waiting.await.map_err(|_| Error::Ended)?
    }

    /// Grants no more permits until [`CrawlHandle::resume`]; what is in flight ends as usual.
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

    /// Returns how far the crawl has come. It takes a microsecond, whatever the number of domains.
    ///
    /// # Errors
    /// The crawl has ended; its report has the last numbers.
    pub async fn progress(&self) -> Result<Progress> {
        ended(self.scheduler.send(GetProgress).await)
    }

    /// Returns all numbers up to now, with the evidence of up to 100,000 domains. The scheduler copies all of it, up to
    /// 20 MB, so poll with [`CrawlHandle::progress`] instead.
    ///
    /// # Errors
    /// The crawl has ended; its report has the last numbers.
    pub async fn stats(&self) -> Result<Stats> {
        ended(self.scheduler.send(GetStats).await).map(|stats| *stats)
    }

    /// Lets pages in flight end and pipelines write what they hold, and ends the crawl. Stopping a crawl that has ended
    /// changes nothing.
    pub async fn stop(&self) {
        // It fails only if the crawl has ended, which is what was asked for.
        let _ = self.scheduler.send(Control::Stop).await;
    }

    /// Ends a crawl that was to stay open as soon as it has nothing left to do.
    pub async fn close(&self) {
        let _ = self.scheduler.send(Control::Close).await;
    }

    /// Ends the crawl at once, within a second: pages in flight are given up, and a pipeline that does not close in half a
    /// second is left behind, which the report's `complaints` say.
    pub async fn abort(&self) {
        let _ = self.scheduler.send(Control::Abort).await;
    }

    /// Waits for the end and returns the report. Any number of callers may wait, also after the end.
    ///
    /// # Errors
    /// The crawl's thread died without one.
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

    /// Each line of progress used to copy the evidence of all domains. What is `Copy` cannot.
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
