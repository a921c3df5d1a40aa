//! Handle: controls and observes a running crawl, from any thread and any runtime.

mod domain_handle;
mod submit;
mod tuning;
mod watch;

use std::{
    any::Any,
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use actix::{Addr, Handler, Message, dev::ToEnvelope};
use futures_util::future::{Either, select};
use tokio::sync::{Semaphore, oneshot};

pub use self::domain_handle::DomainHandle;
pub use crate::submissions::{Submitted, seeded::Seeded};
use crate::{
    engine::{
        Control, GetFailures, GetFirstFailures, GetProgress, GetStats, GiveUp, MAX_QUESTIONS, Scheduler, Seed,
        crawl::MAX_SEEDS_AT_ONCE,
        ending::{ABORT_WITHIN, Ending},
    },
    error::{Error, Result},
    events::Streams,
    frontier::candidate::{Candidate, SeedMaker},
    identity::strip_user_info,
    report::Report,
    request::Request,
    sessions::SessionPool,
    stats::{Failure, FirstFailure, Progress, Stats},
    submissions::Submissions,
    text::panic_message::message_of,
};

/// Controls a crawl. Clones control the same one; dropping all of them has no effect on it.
///
/// ```
/// use actix_crawler::{report::Ended, prelude::*};
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
    ending: Arc<Ending>,
    seed_maker: SeedMaker,
    streams: Arc<Streams>,
    /// Places for questions that wait for the frontier.
    questions: Arc<Semaphore>,
    /// The `Submissions` of the spider's items.
    submissions: Arc<dyn Any + Send + Sync>,
    /// The type of those.
    item: &'static str,
    sessions: Option<SessionPool>,
}

/// The longest time that a stop may take: a crawl that is to be stopped drains for minutes at the most.
const MAX_DRAIN: Duration = Duration::from_secs(86_400);

impl CrawlHandle {
    pub(crate) fn new<I: Send + Sync + 'static>(
        scheduler: Addr<Scheduler>,
        ending: Arc<Ending>,
        seed_maker: SeedMaker,
        streams: Arc<Streams>,
        submissions: Arc<Submissions<I>>,
        sessions: Option<SessionPool>,
    ) -> Self {
        let (questions, item) = (Semaphore::new(MAX_QUESTIONS).into(), std::any::type_name::<I>());
        Self { scheduler, ending, seed_maker, streams, questions, submissions, item, sessions }
    }

    /// Adds a seed, whose host is in the scope from now on, and tells what became of it. `Ok` means that this is
    /// stored: with [`Crawler::state`](crate::Crawler::state) the seed is not lost any more if the process is killed.
    ///
    /// # Errors
    /// The text is not a URL that can be crawled, the crawl has ended, or its state can no longer be written. In the
    /// last two cases the seed may or may not be stored; seed it again.
    pub async fn seed(&self, url: &str) -> Result<Seeded> {
        self.request(Request::parse(url)?).await
    }

    /// Adds a request as a seed.
    ///
    /// # Errors
    /// The crawl has ended, the URL contains a password, or the crawl's own [`Identity`](crate::identity::Identity) or
    /// [`best_first`](crate::Crawler::best_first) panics on it.
    pub async fn request(&self, request: Request) -> Result<Seeded> {
        self.requests([request]).await?.pop().ok_or(Error::Ended)
    }

    /// Adds many seeds, which are stored a thousand at a time, and tells what became of each, in their order.
    ///
    /// # Errors
    /// As [`CrawlHandle::seed`]; if one of them is no URL that can be crawled, none was added.
    pub async fn seeds<T: AsRef<str>>(&self, urls: impl IntoIterator<Item = T>) -> Result<Vec<Seeded>> {
        let requests = urls.into_iter().map(|url| Request::parse(url.as_ref())).collect::<Result<Vec<_>>>()?;
        self.requests(requests).await
    }

    /// Adds many requests as seeds: see [`CrawlHandle::seeds`].
    ///
    /// # Errors
    /// As [`CrawlHandle::request`]; unless the crawl has ended meanwhile, none was added.
    pub async fn requests(&self, requests: impl IntoIterator<Item = Request>) -> Result<Vec<Seeded>> {
        let seeds = requests.into_iter().map(|request| self.seed_of(request)).collect::<Result<Vec<_>>>()?;
        let (mut seeds, mut seeded) = (seeds.into_iter(), Vec::new());
        while seeds.len() > 0 {
            let (stored, waiting) = oneshot::channel();
            self.ask(Seed(seeds.by_ref().take(MAX_SEEDS_AT_ONCE).collect(), stored)).await?;
            // The sender is dropped if the crawl ends before the seeds are stored.
            seeded.extend(self.unless_ended(waiting).await?);
        }
        Ok(seeded)
    }

    /// Makes a candidate of a seed.
    fn seed_of(&self, request: Request) -> Result<Candidate> {
        if request.url.password().is_some() {
            let mut url = request.url;
            strip_user_info(&mut url);
            let why = "a password in a URL is taken only from the seeds that a crawl begins with; give it to the \
                       Crawler with .credentials(…)";
            return Err(Error::Url { text: url.into(), why: why.to_owned() });
        }
        self.candidate(request)
    }

    /// Grants no more permits until [`CrawlHandle::resume`]; requests in flight end as usual. For some domains only,
    /// see [`CrawlHandle::domain`].
    ///
    /// # Errors
    /// The crawl has ended.
    pub async fn pause(&self) -> Result<()> {
        self.ask(Control::Pause).await
    }

    /// Grants permits again; domains that were paused by themselves stay so, and so does a crawl that all of its
    /// machines have paused.
    ///
    /// # Errors
    /// The crawl has ended.
    pub async fn resume(&self) -> Result<()> {
        self.ask(Control::Resume).await
    }

    /// Returns the progress of the crawl, also when it has ended. Takes a microsecond, whatever the number of domains.
    ///
    /// # Errors
    /// None today.
    pub async fn progress(&self) -> Result<Progress> {
        self.ask_or_recall(GetProgress, |report| Progress::from(&report.stats)).await
    }

    /// Returns the first URL that failed for each reason, such as `status/404` or `parse`, with what was wrong: what a
    /// service shows beside [`CrawlHandle::progress`], also when the crawl has ended. [`CrawlHandle::failures`] lists
    /// the latest, and [`CrawlHandle::explain`] says where one URL stands.
    ///
    /// # Errors
    /// None today.
    pub async fn first_failures(&self) -> Result<BTreeMap<String, FirstFailure>> {
        self.ask_or_recall(GetFirstFailures, |report| report.stats.first_failures.clone()).await
    }

    /// Returns the latest failures of this process, at most so many, the last one first; also when the crawl has ended.
    /// The latest [`MAX_FAILURES_LISTED`](crate::stats::MAX_FAILURES_LISTED) are remembered. All of them, those of
    /// earlier processes too, are in the [crawl log](crate::Crawler::log); [`CrawlHandle::events`] tells of each as it
    /// happens, and [`Spider::failed`](crate::Spider::failed) makes items of them.
    ///
    /// # Errors
    /// None today.
    pub async fn failures(&self, most: usize) -> Result<Vec<Failure>> {
        match self.ask(GetFailures(most)).await {
            Err(Error::Ended) => {
                self.wait().await?;
                Ok(self.ending.failures().iter().take(most).cloned().collect())
            }
            told => told,
        }
    }

    /// Returns all stats, with the evidence of up to 100,000 domains, also when the crawl has ended. Up to 20 MB are
    /// copied, so use [`CrawlHandle::progress`] for polling.
    ///
    /// # Errors
    /// None today.
    pub async fn stats(&self) -> Result<Stats> {
        self.ask_or_recall(GetStats, |report| Box::new(report.stats.clone())).await.map(|stats| *stats)
    }

    /// Ends the crawl after pages in flight have ended and pipelines have written what they hold. Has no effect on a
    /// crawl that has ended.
    pub async fn stop(&self) {
        self.ending.tell_to_end();
        // Fails only if the crawl has ended, which is what was wanted.
        let _ = self.ask(Control::Stop).await;
    }

    /// Ends the crawl as [`CrawlHandle::stop`] does, and as [`CrawlHandle::abort`] if it has not ended after this time;
    /// a day at the most. Returns the report, a second after that time at the latest. The time runs also if this future
    /// is dropped.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use actix_crawler::{report::Ended, prelude::*};
    ///
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let titles = |page: &Response| Ok(Parsed::of(page.title().map(str::to_owned)));
    /// let handle = Crawler::new(titles, "quotesbot/1.0 (+https://example.org/bot)").stay_open().start()?;
    ///
    /// let report = handle.stop_within(Duration::from_secs(30)).await?;
    /// assert_eq!(report.ended, Ended::Stopped);
    /// # Ok::<(), Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// None today, as [`CrawlHandle::wait`].
    pub async fn stop_within(&self, time: Duration) -> Result<Arc<Report>> {
        self.ending.tell_to_end();
        self.suspend_within(time).await
    }

    /// Ends the crawl as [`CrawlHandle::stop_within`] does, to go on with it later.
    pub(crate) async fn suspend_within(&self, time: Duration) -> Result<Arc<Report>> {
        let time = time.min(MAX_DRAIN);
        // Also if the scheduler's thread is blocked.
        self.ending.publish_within(time + ABORT_WITHIN);
        let _ = self.ask(Control::StopWithin(time)).await;
        self.wait().await
    }

    /// Ends a crawl with `stay_open` as soon as nothing is left to do.
    pub async fn close(&self) {
        let _ = self.ask(Control::Close).await;
    }

    /// Cancels the crawl: it ends within a second, also if it is closing already. With a state no URL is lost: the same
    /// crawl goes on from there, and fetches the pages again that were in flight. A pipeline, the log or a state that
    /// does not close in that time is abandoned, and so is a frontier of your own that blocks; the report's
    /// `complaints` mention each.
    pub async fn abort(&self) {
        self.ending.tell_to_end();
        self.ending.publish_within(ABORT_WITHIN);
        let _ = self.ask(Control::Abort).await;
    }

    /// Ends the crawl as [`CrawlHandle::abort`] does, and as one that has failed for this reason.
    #[cfg_attr(not(feature = "cluster"), expect(dead_code, reason = "only nodes of a cluster lose their term"))]
    pub(crate) async fn give_up(&self, why: String) {
        self.ending.publish_within(ABORT_WITHIN);
        let _ = self.ask(GiveUp(why)).await;
    }

    /// Waits for the end of the crawl and returns the report. Any number of callers may wait, also after the end.
    ///
    /// # Errors
    /// None today: a crawl whose own thread dies has a report too.
    pub async fn wait(&self) -> Result<Arc<Report>> {
        self.ending.reported().await.ok_or(Error::Ended)
    }

    /// Returns the sessions of the crawl, to look at them and to save them; `None` where it keeps no cookies. They are
    /// there after its end, too.
    pub fn sessions(&self) -> Option<&SessionPool> {
        self.sessions.as_ref()
    }

    /// Tells whether it was stopped or aborted by a handle.
    #[cfg(feature = "disk")]
    pub(crate) fn was_told_to_end(&self) -> bool {
        self.ending.was_told_to_end()
    }

    /// Returns the report if the crawl has ended.
    pub fn report(&self) -> Option<Arc<Report>> {
        self.ending.report()
    }

    /// Makes a candidate of a request, by the crawl's identity.
    fn candidate(&self, request: Request) -> Result<Candidate> {
        let text = request.url.to_string();
        let candidate = catch_unwind(AssertUnwindSafe(|| self.seed_maker.candidate(request)));
        let panicked =
            |why: &str| Error::Url { text, why: format!("the crawl's identity or `best_first` panicked: {why}") };
        candidate.map_err(|panic| panicked(message_of(&*panic)))
    }

    /// Sends a message to the scheduler and waits for the answer.
    async fn ask<M>(&self, message: M) -> Result<M::Result>
    where
        M: Message<Result: Send> + Send + 'static,
        Scheduler: Handler<M>,
        <Scheduler as actix::Actor>::Context: ToEnvelope<Scheduler, M>,
    {
        self.unless_ended(self.scheduler.send(message)).await
    }

    /// Asks the scheduler, or after the end the report.
    async fn ask_or_recall<M>(&self, message: M, recall: impl FnOnce(&Report) -> M::Result) -> Result<M::Result>
    where
        M: Message<Result: Send> + Send + 'static,
        Scheduler: Handler<M>,
        <Scheduler as actix::Actor>::Context: ToEnvelope<Scheduler, M>,
    {
        match self.ask(message).await {
            Err(Error::Ended) => Ok(recall(&*self.wait().await?)),
            told => told,
        }
    }

    /// Waits for an answer; a scheduler that blocks gives none, also after the crawl was ended without it.
    async fn unless_ended<T, E>(&self, answer: impl Future<Output = Result<T, E>>) -> Result<T> {
        match select(pin!(answer), pin!(self.ending.reported())).await {
            Either::Left((answer, _)) => answer.map_err(|_| Error::Ended),
            Either::Right(_) => Err(Error::Ended),
        }
    }
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
