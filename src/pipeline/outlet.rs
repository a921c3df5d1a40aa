//! Outlet: the way from a page to one pipeline, which outlives the pipeline's panics.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use actix::{Arbiter, MailboxError};
use tokio::{
    sync::{Semaphore, oneshot},
    time::timeout,
};

use super::{CrawlEnded, Pipeline, PipelineError, Running, Scraped};
use crate::error::Error;

/// Delivers items to a pipeline and starts it anew when it panicked or fell silent.
///
/// A panic closes the mailbox for the items behind it too, and a pipeline that blocks is silent to them all. They are
/// sent again one at a time, alone, so that only the item over which the pipeline fails by itself is given up.
pub(crate) struct Outlet<I: Send + Sync + 'static> {
    recipe: Arc<dyn Pipeline<I>>,
    current: Mutex<Generation<I>>,
    /// Room for items on their way.
    under_way: Semaphore,
    /// Who holds it sends alone, and is the only one who starts the pipeline again.
    quarantine: tokio::sync::Mutex<Option<Starting<I>>>,
    restarts: AtomicU64,
    /// Items in a row, each alone, that were not answered.
    silences: AtomicU32,
    patience: Duration,
}

/// A start that has not returned yet. Who waits for it next goes on with it: a start that blocks costs one thread.
type Starting<I> = oneshot::Receiver<Result<Generation<I>, Error>>;

struct Generation<I: Send + Sync + 'static> {
    number: u64,
    running: Running<I>,
    arbiter: Arbiter,
}

/// So many items are under way to a pipeline at a time, as many as an actor's mailbox takes. The patience with an item
/// begins when it has its place among them: of 4,000 items of one page, the last would else time out although the
/// pipeline takes one after the other.
const UNDER_WAY: usize = 16;

/// How often an item is sent alone before it is held to be what the pipeline panics over: other items that panic it
/// may come in between.
const ALONE: u32 = 3;

/// After so many items in a row that were not answered alone, the pipeline answers nobody: those that wait are given up
/// with them, or each would cost the whole patience.
const MAX_SILENCES: u32 = 3;

impl<I: Send + Sync + 'static> Outlet<I> {
    /// Starts the pipeline on an arbiter of its own. An item that is not acknowledged within `patience` fails its page.
    pub fn open(recipe: Box<dyn Pipeline<I>>, patience: Duration) -> Result<Self, Error> {
        Ok(Self {
            current: Mutex::new(Generation::start(&*recipe, 0)?),
            recipe: recipe.into(),
            under_way: Semaphore::new(UNDER_WAY),
            quarantine: tokio::sync::Mutex::default(),
            restarts: AtomicU64::new(0),
            silences: AtomicU32::new(0),
            patience,
        })
    }

    /// Delivers one item and waits for its acknowledgement: this waiting is the back-pressure.
    pub async fn deliver(&self, scraped: Scraped<I>) -> Result<(), PipelineError> {
        // Held to the end, so that no more than these can fall into quarantine.
        let _place = self.under_way.acquire().await;
        let (number, running) = self.current();
        match self.send(&running, scraped.clone()).await {
            Ok(reply) => reply,
            Err(Lost::Closed | Lost::Silent) => self.deliver_alone(number, scraped).await,
        }
    }

    async fn deliver_alone(&self, mut dead: u64, scraped: Scraped<I>) -> Result<(), PipelineError> {
        let mut alone = self.quarantine.lock().await;
        for _ in 0..ALONE {
            self.restart(dead, &mut alone).await?;
            if self.silences.load(Ordering::Relaxed) >= MAX_SILENCES {
                return Err(PipelineError::Silent(self.patience));
            }
            let (number, running) = self.current();
            match self.send(&running, scraped.clone()).await {
                Ok(reply) => return reply,
                Err(Lost::Closed) => dead = number,
                Err(Lost::Silent) => {
                    self.silences.fetch_add(1, Ordering::Relaxed);
                    // Whether it could be started, the next item will see.
                    let _ = self.restart(number, &mut alone).await;
                    return Err(PipelineError::Silent(self.patience));
                }
            }
        }
        let _ = self.restart(dead, &mut alone).await;
        Err(PipelineError::Panicked)
    }

    async fn send(&self, running: &Running<I>, scraped: Scraped<I>) -> Result<Result<(), PipelineError>, Lost> {
        match timeout(self.patience, running.scraped.send(scraped)).await {
            Ok(Ok(reply)) => {
                self.silences.store(0, Ordering::Relaxed);
                Ok(reply)
            }
            Ok(Err(MailboxError::Closed)) => Err(Lost::Closed),
            Ok(Err(MailboxError::Timeout)) | Err(_) => Err(Lost::Silent),
        }
    }

    /// Tells the pipeline that the crawl has ended and waits until it has written what it holds.
    pub async fn close(&self) -> Result<(), PipelineError> {
        let (_, running) = self.current();
        let reply = timeout(self.patience, running.ended.send(CrawlEnded)).await;
        self.lock().arbiter.stop();
        match reply {
            Ok(Ok(reply)) => reply,
            Ok(Err(_)) => Err(PipelineError::Panicked),
            Err(_) => Err(PipelineError::Silent(self.patience)),
        }
    }

    /// Returns how often the pipeline was started anew.
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
        let patience = if starting.is_some() && is_silent { Duration::ZERO } else { self.patience };
        let start = starting.get_or_insert_with(|| self.start(dead + 1));
        let Ok(started) = timeout(patience, start).await else {
            self.silences.fetch_add(1, Ordering::Relaxed);
            return Err(PipelineError::Silent(self.patience));
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
    fn start(&self, number: u64) -> Starting<I> {
        let (started, starting) = oneshot::channel();
        let recipe = self.recipe.clone();
        // An arbiter, so that the recipe finds its system.
        Arbiter::new().spawn_fn(move || {
            if let Err(Ok(late)) = started.send(Generation::start(&*recipe, number)) {
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
    fn start(recipe: &dyn Pipeline<I>, number: u64) -> Result<Self, Error> {
        let arbiter = Arbiter::new();
        let started = catch_unwind(AssertUnwindSafe(|| recipe.start(&arbiter.handle())));
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
    /// No answer came in time: it fell silent over this item or over one before it.
    Silent,
}
