//! Outlet: the way from a page to one pipeline, which outlives the pipeline's panics.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use actix::{Arbiter, MailboxError};
use tokio::time::timeout;

use super::{CrawlEnded, Pipeline, PipelineError, Running, Scraped};
use crate::error::Error;

/// Delivers items to a pipeline and starts it anew when it panicked or fell silent.
///
/// A panic closes the mailbox for the items behind it too, and a pipeline that blocks is silent to them all. They are
/// sent again one at a time, alone, so that only the item over which the pipeline fails by itself is given up.
pub(crate) struct Outlet<I: Send + Sync + 'static> {
    recipe: Box<dyn Pipeline<I>>,
    current: Mutex<Generation<I>>,
    quarantine: tokio::sync::Mutex<()>,
    restarts: AtomicU64,
    /// Items in a row, each alone, that were not answered.
    silences: AtomicU32,
    patience: Duration,
}

struct Generation<I: Send + Sync + 'static> {
    number: u64,
    running: Running<I>,
    arbiter: Arbiter,
}

/// How often an item is sent alone before it is held to be what the pipeline panics over: other items that panic it
/// may come in between.
const ALONE: u32 = 3;

/// After so many items in a row that were not answered alone, the pipeline answers nobody: those that wait are given up
/// with them, or each would cost the whole patience.
const MOST_SILENCES: u32 = 3;

impl<I: Send + Sync + 'static> Outlet<I> {
    /// Starts the pipeline on an arbiter of its own. An item that is not acknowledged within `patience` fails its page.
    pub fn open(recipe: Box<dyn Pipeline<I>>, patience: Duration) -> Result<Self, Error> {
        Ok(Self {
            current: Mutex::new(Generation::start(&*recipe, 0)?),
            recipe,
            quarantine: tokio::sync::Mutex::new(()),
            restarts: AtomicU64::new(0),
            silences: AtomicU32::new(0),
            patience,
        })
    }

    /// Delivers one item and waits for its acknowledgement: this waiting is the back-pressure.
    pub async fn deliver(&self, scraped: Scraped<I>) -> Result<(), PipelineError> {
        let (number, running) = self.current();
        match self.send(&running, scraped.clone()).await {
            Ok(reply) => reply,
            Err(Lost::Closed | Lost::Silent) => self.deliver_alone(number, scraped).await,
        }
    }

    async fn deliver_alone(&self, mut dead: u64, scraped: Scraped<I>) -> Result<(), PipelineError> {
        let _alone = self.quarantine.lock().await;
        for _ in 0..ALONE {
            self.restart(dead);
            if self.silences.load(Ordering::Relaxed) >= MOST_SILENCES {
                return Err(PipelineError::Silent(self.patience));
            }
            let (number, running) = self.current();
            match self.send(&running, scraped.clone()).await {
                Ok(reply) => return reply,
                Err(Lost::Closed) => dead = number,
                Err(Lost::Silent) => {
                    self.silences.fetch_add(1, Ordering::Relaxed);
                    self.restart(number);
                    return Err(PipelineError::Silent(self.patience));
                }
            }
        }
        self.restart(dead);
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

    /// Replaces generation `dead` unless somebody has already. The new one gets a thread of its own, since the old
    /// one's may be held for ever.
    fn restart(&self, dead: u64) {
        let mut generation = self.lock();
        if generation.number != dead {
            return;
        }
        match Generation::start(&*self.recipe, dead + 1) {
            Ok(next) => {
                std::mem::replace(&mut *generation, next).arbiter.stop();
                self.restarts.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => tracing::error!(%error, "a pipeline could not be started again"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Generation<I>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<I: Send + Sync + 'static> Generation<I> {
    fn start(recipe: &dyn Pipeline<I>, number: u64) -> Result<Self, Error> {
        let arbiter = Arbiter::new();
        match recipe.start(&arbiter.handle()) {
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
