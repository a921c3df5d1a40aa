//! Supervisor: delivers items to one pipeline actor, flushes it when no more items come, and restarts it after a panic
//! or a time-out. Does not know what the pipeline writes.

use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use actix::MailboxError;
use tokio::{
    sync::{Semaphore, oneshot},
    time::{error::Elapsed, sleep, timeout},
};

use super::{CrawlEnded, CrawlStart, Flush, Pipeline, PipelineError, Running, Scraped, Start};
use crate::{clock, error::Error, threads::own_arbiter::OwnArbiter};

/// Delivers items to a pipeline and keeps it running.
///
/// After a panic the mailbox also rejects the items behind the one that caused it, and a blocked pipeline answers none
/// of them. These items are sent again one at a time, alone, so that only an item on which the pipeline fails by itself
/// is given up.
pub(crate) struct Supervisor<I: Send + Sync + 'static> {
    recipe: Arc<dyn Pipeline<I>>,
    crawl: CrawlStart,
    current: Mutex<Generation<I>>,
    /// One permit for each unacknowledged item. The time-out of an item begins when it has its permit: otherwise the
    /// last of 4,000 items of a page would time out although the pipeline accepts one after the other.
    unacknowledged: Semaphore,
    /// The number of items sent so far.
    sent: AtomicU64,
    /// The holder flushes for all waiting items: a timer for each would cost more than their commit.
    flushing: tokio::sync::Mutex<()>,
    /// The numbers of the items that are sent and not answered yet.
    unanswered: Mutex<BTreeSet<u64>>,
    /// Why the pipeline accepts nothing any more.
    broken: OnceLock<PipelineError>,
    /// The holder sends one item alone, and is the only one that restarts the pipeline.
    quarantine: tokio::sync::Mutex<Option<Starting<I>>>,
    restarts: AtomicU64,
    /// The number of consecutive items that were sent alone and not answered.
    silences: AtomicU32,
    timeout: Duration,
}

/// A start that has not returned yet. Later items wait for the same one, so a start that blocks occupies one thread
/// only.
type Starting<I> = oneshot::Receiver<Result<Generation<I>, NotStarted>>;

/// Why there is no new generation.
enum NotStarted {
    /// The factory panicked: foreign code at fault, as over an item.
    Panicked,
    /// Its output cannot be opened.
    Failed(Error),
}

struct Generation<I: Send + Sync + 'static> {
    number: u64,
    /// Shared by the items that are being delivered: a clone of an address costs several allocations.
    running: Arc<Running<I>>,
    arbiter: OwnArbiter,
}

/// Lone retries before an item is blamed for the panic: other items that make the pipeline panic may be sent in
/// between.
const MAX_ATTEMPTS_ALONE: u32 = 3;

/// After this many consecutive items without an answer, the pipeline counts as not answering at all: further items are
/// given up at once, or each would take the whole time-out.
const MAX_SILENCES: u32 = 3;

/// How long no item must come before a batching pipeline is flushed. Longer than the gap between two items of a busy
/// crawl, and short enough that a crawl whose pages all wait pauses only briefly.
const FLUSH_AFTER: Duration = Duration::from_millis(100);

/// The same for an item that is sent alone: no other can come.
const FLUSH_ALONE_AFTER: Duration = Duration::from_millis(1);

/// The part of the time-out (one in this many) after which a waiting item is flushed even while others come, since a
/// slow crawl might fill its batch too late. Three quarters remain for the commit.
const FLUSH_BY: u32 = 4;

impl<I: Send + Sync + 'static> Supervisor<I> {
    /// Checks that a pipeline can be started. Changes nothing of its output.
    ///
    /// # Errors
    /// It cannot be.
    pub fn check(recipe: &dyn Pipeline<I>, crawl: CrawlStart) -> Result<(), Error> {
        let start = Start::of(OwnArbiter::shared().handle(), crawl);
        let checked = catch_unwind(AssertUnwindSafe(|| recipe.check(&start)));
        checked.unwrap_or_else(|_| Err(Error::setting("pipeline", "it panicked when it was checked")))
    }

    /// Starts the pipeline on its own arbiter. An item fails its page that is not acknowledged within `timeout` after
    /// it was sent, or after those before it were.
    ///
    /// # Errors
    /// The pipeline cannot be started.
    pub fn start(recipe: Box<dyn Pipeline<I>>, crawl: CrawlStart, timeout: Duration) -> Result<Self, Error> {
        let max_unacknowledged = recipe.max_unacknowledged().clamp(1, Semaphore::MAX_PERMITS);
        let first = Generation::start(&*recipe, crawl.clone(), 0).map_err(|not_started| match not_started {
            NotStarted::Panicked => Error::setting("pipeline", "it panicked when it was started"),
            NotStarted::Failed(error) => error,
        })?;
        Ok(Self {
            current: Mutex::new(first),
            recipe: recipe.into(),
            crawl,
            unacknowledged: Semaphore::new(max_unacknowledged),
            sent: AtomicU64::new(0),
            flushing: tokio::sync::Mutex::default(),
            unanswered: Mutex::default(),
            broken: OnceLock::new(),
            quarantine: tokio::sync::Mutex::default(),
            restarts: AtomicU64::new(0),
            silences: AtomicU32::new(0),
            timeout,
        })
    }

    /// Delivers one item and waits for its acknowledgement, which creates the back-pressure.
    ///
    /// # Errors
    /// The item was not accepted.
    pub async fn deliver(&self, scraped: Scraped<I>) -> Result<(), PipelineError> {
        // Held to the end, so that at most this many items can get into quarantine.
        let _place = self.unacknowledged.acquire().await;
        if let Some(broken) = self.broken.get() {
            return Err(broken.clone());
        }
        let (number, running) = self.current();
        let reply = match self.send(number, &running, scraped.clone(), false).await {
            Ok(reply) => reply,
            // Boxed, so that it takes no room in each item on its way.
            Err(NoAnswer::Closed | NoAnswer::Silent) => Box::pin(self.deliver_alone(number, scraped)).await,
        };
        if let Err(broken) = &reply
            && broken.stops_the_crawl()
        {
            // The first reason is kept.
            let _ = self.broken.set(broken.clone());
        }
        reply
    }

    async fn deliver_alone(&self, mut dead: u64, scraped: Scraped<I>) -> Result<(), PipelineError> {
        let mut alone = self.quarantine.lock().await;
        for _ in 0..MAX_ATTEMPTS_ALONE {
            self.restart(dead, &mut alone).await?;
            if self.silences.load(Ordering::Relaxed) >= MAX_SILENCES {
                return Err(PipelineError::Silent(self.timeout));
            }
            let (number, running) = self.current();
            match self.send(number, &running, scraped.clone(), true).await {
                Ok(reply) => return reply,
                Err(NoAnswer::Closed) => dead = number,
                Err(NoAnswer::Silent) => {
                    self.silences.fetch_add(1, Ordering::Relaxed);
                    return Err(self.restart_after(number, &mut alone, PipelineError::Silent(self.timeout)).await);
                }
            }
        }
        Err(self.restart_after(dead, &mut alone, PipelineError::Panicked).await)
    }

    /// Restarts the pipeline after an item that is given up. Returns why the item is: another reason if its output
    /// cannot be opened again. The next item finds out whether a restart that takes long has succeeded.
    async fn restart_after(
        &self,
        dead: u64,
        starting: &mut Option<Starting<I>>,
        given_up: PipelineError,
    ) -> PipelineError {
        match self.restart(dead, starting).await {
            Err(broken) if broken.stops_the_crawl() => broken,
            _ => given_up,
        }
    }

    /// Sends an item and waits for the reply; flushes a batching pipeline when no other item comes.
    async fn send(
        &self,
        generation: u64,
        running: &Running<I>,
        scraped: Scraped<I>,
        is_alone: bool,
    ) -> Result<Result<(), PipelineError>, NoAnswer> {
        let mut sent = SentItem::take(self);
        let mut reply = pin!(self.in_time(generation, &mut sent, running.scraped.send(scraped)));
        let flushing = self.flush_when_idle(running, is_alone);
        let replied = tokio::select! {
            biased;
            replied = &mut reply => replied,
            () = flushing => reply.await,
        };
        match replied {
            // The reply for an item that the actor held when it panicked on another: this item did not cause it.
            Ok(Ok(Err(PipelineError::Refused(_) | PipelineError::Panicked))) if !running.scraped.connected() => {
                Err(NoAnswer::Closed)
            }
            Ok(Ok(reply)) => {
                self.silences.store(0, Ordering::Relaxed);
                Ok(reply)
            }
            Ok(Err(MailboxError::Closed)) => Err(NoAnswer::Closed),
            Ok(Err(MailboxError::Timeout)) | Err(_) => Err(NoAnswer::Silent),
        }
    }

    /// Waits for the answer to an item. A pipeline that accepts one after the other, as several behind steps do, may
    /// need longer than the time-out for all that it was sent: the time begins anew while items before this one are
    /// answered.
    async fn in_time<T>(
        &self,
        generation: u64,
        sent: &mut SentItem<'_, I>,
        answer: impl Future<Output = T>,
    ) -> Result<T, Elapsed> {
        let mut answer = pin!(answer);
        loop {
            match timeout(self.timeout, &mut answer).await {
                Ok(answer) => return Ok(answer),
                Err(_) if sent.goes_on() && self.lock().number == generation => {}
                Err(elapsed) => {
                    // It stays among those that are not answered: to those behind it, nothing has gone on.
                    sent.is_silent = true;
                    return Err(elapsed);
                }
            }
        }
    }

    /// Flushes a batching pipeline while an item waits for it: whenever no other item has come for a while, and when
    /// the item has waited for a part of the time-out. Returns at once for other pipelines.
    ///
    /// Every waiting item runs this, and one at a time flushes for all: the one that has waited longest. The flush is
    /// repeated, since an item sent while the mailbox was full may reach the actor after it.
    async fn flush_when_idle(&self, running: &Running<I>, is_alone: bool) {
        if running.flush.is_none() {
            return;
        }
        let begun = clock::now();
        let flush_after = if is_alone { FLUSH_ALONE_AFTER } else { FLUSH_AFTER };
        // An item sent alone must not wait for others, which may wait for a pipeline that has stopped.
        let _turn = if is_alone { None } else { Some(self.flushing.lock().await) };
        loop {
            let sent = self.sent.load(Ordering::Relaxed);
            sleep(flush_after).await;
            let is_idle = self.sent.load(Ordering::Relaxed) == sent;
            let is_late = clock::now().saturating_duration_since(begun) >= self.timeout / FLUSH_BY;
            // The pipeline may have been restarted meanwhile.
            if (is_idle || is_late)
                && let Some(flush) = &self.current().1.flush
            {
                // If the mailbox is full, the next round tries again; if it is closed, the item's wait ends.
                let _ = flush.try_send(Flush);
            }
        }
    }

    /// Tells the pipeline that the crawl has ended, and waits until it has written what it holds.
    ///
    /// # Errors
    /// It could not write, panicked, or did not answer in time.
    pub async fn close(&self) -> Result<(), PipelineError> {
        let closed = self.end().await;
        self.lock().arbiter.stop();
        closed
    }

    async fn end(&self) -> Result<(), PipelineError> {
        let (number, running) = self.current();
        if let Some(reply) = self.send_end(&running).await {
            return reply;
        }
        // It has died of an item that nobody waits for any more; what it had accepted before must be closed all the
        // same.
        self.restart(number, &mut *self.quarantine.lock().await).await?;
        let (_, running) = self.current();
        self.send_end(&running).await.unwrap_or(Err(PipelineError::Panicked))
    }

    /// Tells it that the crawl has ended. Returns its answer; `None` if it has died.
    async fn send_end(&self, running: &Running<I>) -> Option<Result<(), PipelineError>> {
        match timeout(self.timeout, running.ended.send(CrawlEnded)).await {
            Ok(Ok(reply)) => Some(reply),
            Ok(Err(_)) => None,
            Err(_) => Some(Err(PipelineError::Silent(self.timeout))),
        }
    }

    /// Returns how often the pipeline was restarted.
    pub fn restarts(&self) -> u64 {
        self.restarts.load(Ordering::Relaxed)
    }

    fn current(&self) -> (u64, Arc<Running<I>>) {
        let generation = self.lock();
        (generation.number, generation.running.clone())
    }

    /// Replaces generation `dead`, unless that has been done. The new one gets its own arbiter, since the old one's may
    /// be blocked for ever.
    ///
    /// # Errors
    /// Its output cannot be opened again, for this item and all further ones; or the start takes too long.
    async fn restart(&self, dead: u64, starting: &mut Option<Starting<I>>) -> Result<(), PipelineError> {
        if self.lock().number != dead {
            return Ok(());
        }
        let is_silent = self.silences.load(Ordering::Relaxed) >= MAX_SILENCES;
        let limit = if starting.is_some() && is_silent { Duration::ZERO } else { self.timeout };
        let start = starting.get_or_insert_with(|| self.start_again(dead + 1));
        let Ok(started) = timeout(limit, start).await else {
            self.silences.fetch_add(1, Ordering::Relaxed);
            return Err(PipelineError::Silent(self.timeout));
        };
        *starting = None;
        match started {
            Ok(Ok(next)) => {
                drop(std::mem::replace(&mut *self.lock(), next));
                // All of them were sent to the one before, and are sent again.
                self.unanswered.lock().unwrap_or_else(PoisonError::into_inner).clear();
                self.restarts.fetch_add(1, Ordering::Relaxed);
            }
            Ok(Err(NotStarted::Panicked)) => tracing::error!("a pipeline panicked when it was started again"),
            Ok(Err(NotStarted::Failed(error))) => {
                return Err(PipelineError::broken(format!("a pipeline could not be started again: {error}")));
            }
            // The crawl has ended, and its threads with it.
            Err(_) => {}
        }
        Ok(())
    }

    /// Starts a generation on its own thread: the factory is foreign code, which may block.
    fn start_again(&self, number: u64) -> Starting<I> {
        let (started, starting) = oneshot::channel();
        let (recipe, crawl) = (self.recipe.clone(), self.crawl.clone());
        // On an arbiter, so that the factory finds its system.
        let arbiter = OwnArbiter::new();
        arbiter.handle().spawn_fn(move || {
            // One that comes too late ends here.
            drop(started.send(Generation::start(&*recipe, crawl, number)));
            arbiter.stop();
        });
        starting
    }

    fn lock(&self) -> MutexGuard<'_, Generation<I>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<I: Send + Sync + 'static> Generation<I> {
    fn start(recipe: &dyn Pipeline<I>, crawl: CrawlStart, number: u64) -> Result<Self, NotStarted> {
        let arbiter = OwnArbiter::new();
        let start = Start::of(arbiter.handle(), crawl).restarted(number);
        let started = catch_unwind(AssertUnwindSafe(|| recipe.start(&start)));
        let not_started = match started {
            Ok(Ok(running)) => return Ok(Self { number, running: running.into(), arbiter }),
            Ok(Err(error)) => NotStarted::Failed(error),
            Err(_) => NotStarted::Panicked,
        };
        arbiter.stop();
        Err(not_started)
    }
}

/// One that nothing is sent to any more, as of a crawl that could not start, leaves no thread.
impl<I: Send + Sync + 'static> Drop for Generation<I> {
    fn drop(&mut self) {
        self.arbiter.stop();
    }
}

/// An item that was sent, in its place among the others, until it is answered or nobody waits for that.
struct SentItem<'s, I: Send + Sync + 'static> {
    number: u64,
    /// How many before it were not answered when that was last looked at.
    before: usize,
    is_silent: bool,
    of: &'s Supervisor<I>,
}

impl<'s, I: Send + Sync + 'static> SentItem<'s, I> {
    fn take(of: &'s Supervisor<I>) -> Self {
        let mut unanswered = of.unanswered.lock().unwrap_or_else(PoisonError::into_inner);
        // Counted under the lock: all others are before it.
        let (number, before) = (of.sent.fetch_add(1, Ordering::Relaxed), unanswered.len());
        unanswered.insert(number);
        drop(unanswered);
        Self { number, before, is_silent: false, of }
    }

    /// Tells whether one before it was answered since that was last looked at.
    fn goes_on(&mut self) -> bool {
        let unanswered = self.of.unanswered.lock().unwrap_or_else(PoisonError::into_inner);
        let before = unanswered.range(..self.number).count();
        before < std::mem::replace(&mut self.before, before)
    }
}

impl<I: Send + Sync + 'static> Drop for SentItem<'_, I> {
    fn drop(&mut self) {
        if !self.is_silent {
            self.of.unanswered.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
        }
    }
}

enum NoAnswer {
    /// The actor has stopped: it panicked on this item or an earlier one.
    Closed,
    /// No answer came in time: the actor blocks on this item or an earlier one.
    Silent,
}
