//! Supervisor: delivers items to one pipeline actor, has it flushed when it holds items and no more come, and starts it
//! again when it panicked or did not answer. Knows nothing of what the pipeline writes.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use actix::{Arbiter, MailboxError};
use tokio::{
    sync::{Semaphore, oneshot},
    time::{sleep, timeout},
};

use super::{CrawlEnded, Flush, Pipeline, PipelineError, Running, Scraped, Start};
use crate::{clock, error::Error};

/// Delivers items to a pipeline and keeps the pipeline running.
///
/// A panic closes the mailbox for the items behind it too, and a pipeline that blocks leaves all of them unanswered. They
/// are sent again one at a time, alone, so that only the item over which the pipeline fails by itself is given up.
pub(crate) struct Supervisor<I: Send + Sync + 'static> {
    recipe: Arc<dyn Pipeline<I>>,
    resumes: bool,
    current: Mutex<Generation<I>>,
    /// Places for items that were sent and not acknowledged. The timeout of an item begins when it has its place: of
    /// 4,000 items of one page, the last would else time out although the pipeline takes one after the other.
    unacknowledged: Semaphore,
    /// Items sent up to now.
    sent: AtomicU64,
    /// Whoever holds it flushes for all that wait: a timer for each of them would cost more than their commit.
    flushing: tokio::sync::Mutex<()>,
    /// Why the pipeline takes nothing any more.
    broken: OnceLock<PipelineError>,
    /// Whoever holds it sends alone, and is the only one who starts the pipeline again.
    quarantine: tokio::sync::Mutex<Option<Starting<I>>>,
    restarts: AtomicU64,
    /// Items in a row, each sent alone, that were not answered.
    silences: AtomicU32,
    timeout: Duration,
}

/// A start that has not returned yet. The next item that needs it waits for the same one: a start that blocks costs one
/// thread.
type Starting<I> = oneshot::Receiver<Result<Generation<I>, Error>>;

struct Generation<I: Send + Sync + 'static> {
    number: u64,
    running: Running<I>,
    arbiter: Arbiter,
}

/// How often an item is sent alone before it is blamed for the panic: other items that panic the pipeline may come in
/// between.
const MAX_ATTEMPTS_ALONE: u32 = 3;

/// After so many items in a row that were not answered alone, the pipeline counts as answering nobody: items that wait
/// are given up with them, or each would cost the whole timeout.
const MAX_SILENCES: u32 = 3;

/// A batching pipeline is flushed when no item came for so long while some wait for it. Longer than the gap between two
/// items of a busy crawl, and short enough that a crawl whose pages all wait stands still for a moment only.
const FLUSH_AFTER: Duration = Duration::from_millis(100);

/// As [`FLUSH_AFTER`], for an item that is sent alone: no other can come.
const FLUSH_ALONE_AFTER: Duration = Duration::from_millis(1);

/// An item that has waited for this part of the timeout is flushed although others still come: a slow crawl would else
/// fill its batch too late. Three quarters are left for the commit.
const FLUSH_BY: u32 = 4;

impl<I: Send + Sync + 'static> Supervisor<I> {
    /// Starts the pipeline on an arbiter of its own. An item that is not acknowledged within `timeout` fails its page.
    /// `resumes` tells whether the crawl goes on with a stored state.
    ///
    /// # Errors
    /// The pipeline cannot be started.
    pub fn start(recipe: Box<dyn Pipeline<I>>, resumes: bool, timeout: Duration) -> Result<Self, Error> {
        let max_unacknowledged = recipe.max_unacknowledged().clamp(1, Semaphore::MAX_PERMITS);
        Ok(Self {
            current: Mutex::new(Generation::start(&*recipe, resumes, 0)?),
            recipe: recipe.into(),
            resumes,
            unacknowledged: Semaphore::new(max_unacknowledged),
            sent: AtomicU64::new(0),
            flushing: tokio::sync::Mutex::default(),
            broken: OnceLock::new(),
            quarantine: tokio::sync::Mutex::default(),
            restarts: AtomicU64::new(0),
            silences: AtomicU32::new(0),
            timeout,
        })
    }

    /// Delivers one item and waits for its acknowledgement: this waiting is the back-pressure.
    ///
    /// # Errors
    /// The item was not taken.
    pub async fn deliver(&self, scraped: Scraped<I>) -> Result<(), PipelineError> {
        // Held to the end, so that no more than these can fall into quarantine.
        let _place = self.unacknowledged.acquire().await;
        if let Some(broken) = self.broken.get() {
            return Err(broken.clone());
        }
        let (number, running) = self.current();
        let reply = match self.send(&running, scraped.clone(), false).await {
            Ok(reply) => reply,
            Err(Lost::Closed | Lost::Silent) => self.deliver_alone(number, scraped).await,
        };
        if let Err(broken) = &reply
            && broken.stops_the_crawl()
        {
            // The first reason is the one to tell.
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
            match self.send(&running, scraped.clone(), true).await {
                Ok(reply) => return reply,
                Err(Lost::Closed) => dead = number,
                Err(Lost::Silent) => {
                    self.silences.fetch_add(1, Ordering::Relaxed);
                    // The next item learns whether it could be started.
                    let _ = self.restart(number, &mut alone).await;
                    return Err(PipelineError::Silent(self.timeout));
                }
            }
        }
        let _ = self.restart(dead, &mut alone).await;
        Err(PipelineError::Panicked)
    }

    /// Sends an item and waits for the reply; a batching pipeline is flushed when no other item comes.
    async fn send(
        &self,
        running: &Running<I>,
        scraped: Scraped<I>,
        is_alone: bool,
    ) -> Result<Result<(), PipelineError>, Lost> {
        self.sent.fetch_add(1, Ordering::Relaxed);
        let mut reply = pin!(timeout(self.timeout, running.scraped.send(scraped)));
        let flushing = self.flush_when_idle(running, is_alone);
        let replied = tokio::select! {
            biased;
            replied = &mut reply => replied,
            () = flushing => reply.await,
        };
        match replied {
            // The reply of an item that the actor held when it panicked over another: it is not this item's fault.
            Ok(Ok(Err(PipelineError::Refused(_) | PipelineError::Panicked))) if !running.scraped.connected() => {
                Err(Lost::Closed)
            }
            Ok(Ok(reply)) => {
                self.silences.store(0, Ordering::Relaxed);
                Ok(reply)
            }
            Ok(Err(MailboxError::Closed)) => Err(Lost::Closed),
            Ok(Err(MailboxError::Timeout)) | Err(_) => Err(Lost::Silent),
        }
    }

    /// Flushes a batching pipeline again and again while an item waits for it: whenever no other item came for a while,
    /// and when the item has waited for a part of the timeout. Ends at once for other pipelines.
    ///
    /// Every item that waits runs this, and one of them at a time flushes for all: the one that waits longest. The flush
    /// is repeated, since an item that was sent while the mailbox was full may reach the actor after it.
    async fn flush_when_idle(&self, running: &Running<I>, is_alone: bool) {
        if running.flush.is_none() {
            return;
        }
        let begun = clock::now();
        let flush_after = if is_alone { FLUSH_ALONE_AFTER } else { FLUSH_AFTER };
        // An item that is sent alone must not wait for others, which may wait for a pipeline that is gone.
        let _turn = if is_alone { None } else { Some(self.flushing.lock().await) };
        loop {
            let sent = self.sent.load(Ordering::Relaxed);
            sleep(flush_after).await;
            let is_idle = self.sent.load(Ordering::Relaxed) == sent;
            let is_late = clock::now().saturating_duration_since(begun) >= self.timeout / FLUSH_BY;
            // The pipeline may have been started again meanwhile.
            if (is_idle || is_late)
                && let (_, Running { flush: Some(flush), .. }) = self.current()
            {
                // A full mailbox has work to do, and the next round tries again; a closed one ends the item's wait.
                let _ = flush.try_send(Flush);
            }
        }
    }

    /// Tells the pipeline that the crawl has ended and waits until it has written what it holds.
    ///
    /// # Errors
    /// It could not write it, panicked over it, or did not answer in time.
    pub async fn close(&self) -> Result<(), PipelineError> {
        let (_, running) = self.current();
        let reply = timeout(self.timeout, running.ended.send(CrawlEnded)).await;
        self.lock().arbiter.stop();
        match reply {
            Ok(Ok(reply)) => reply,
            Ok(Err(_)) => Err(PipelineError::Panicked),
            Err(_) => Err(PipelineError::Silent(self.timeout)),
        }
    }

    /// Returns how often the pipeline was started again.
    pub fn restarts(&self) -> u64 {
        self.restarts.load(Ordering::Relaxed)
    }

    fn current(&self) -> (u64, Running<I>) {
        let generation = self.lock();
        (generation.number, generation.running.clone())
    }

    /// Replaces generation `dead` unless somebody has already. The new one gets an arbiter of its own, since the old
    /// one's may be held for ever.
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
                let dead = std::mem::replace(&mut *self.lock(), next);
                dead.arbiter.stop();
                self.restarts.fetch_add(1, Ordering::Relaxed);
            }
            Ok(Err(error)) => tracing::error!(%error, "a pipeline could not be started again"),
            // The crawl has ended, and its threads with it.
            Err(_) => {}
        }
        Ok(())
    }

    /// Starts a generation on a thread of its own: the recipe is foreign code, which may block.
    fn start_again(&self, number: u64) -> Starting<I> {
        let (started, starting) = oneshot::channel();
        let (recipe, resumes) = (self.recipe.clone(), self.resumes);
        // An arbiter, so that the recipe finds its system.
        Arbiter::new().spawn_fn(move || {
            if let Err(Ok(late)) = started.send(Generation::start(&*recipe, resumes, number)) {
                late.arbiter.stop();
            }
            Arbiter::current().stop();
        });
        starting
    }

    fn lock(&self) -> MutexGuard<'_, Generation<I>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<I: Send + Sync + 'static> Generation<I> {
    fn start(recipe: &dyn Pipeline<I>, resumes: bool, number: u64) -> Result<Self, Error> {
        let arbiter = Arbiter::new();
        let start = Start::new(arbiter.handle()).resuming(resumes).restarted(number);
        let started = catch_unwind(AssertUnwindSafe(|| recipe.start(&start)));
        let started = started.unwrap_or_else(|_| Err(Error::setting("pipeline", "it panicked when it was started")));
        match started {
            Ok(running) => Ok(Self { number, running, arbiter }),
            Err(error) => {
                arbiter.stop();
                Err(error)
            }
        }
    }
}

enum Lost {
    /// The actor is gone: it panicked over this item or over one before it.
    Closed,
    /// No answer came in time: it blocks over this item or over one before it.
    Silent,
}
