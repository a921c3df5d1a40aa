//! Outlet: the way from a page to one pipeline, which outlives the pipeline's panics.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use actix::{Arbiter, MailboxError};
use tokio::time::timeout;

use super::{CrawlEnded, Pipeline, PipelineError, Running, Scraped};
use crate::error::Error;

/// Delivers items to a pipeline and starts it anew when it panicked or fell silent.
///
/// A panic closes the mailbox for the items behind it too. Those are sent again one at a time, alone, so that only
/// the item over which the pipeline panics by itself is given up. A pipeline that blocks is silent to the items behind
/// too: only the one that it was sent first is given up for that, and the others are sent to the next.
pub(crate) struct Outlet<I: Send + Sync + 'static> {
    recipe: Box<dyn Pipeline<I>>,
    current: Mutex<Generation<I>>,
    quarantine: tokio::sync::Mutex<()>,
    restarts: AtomicU64,
    patience: Duration,
}

struct Generation<I: Send + Sync + 'static> {
    number: u64,
    running: Running<I>,
    arbiter: Arbiter,
    unanswered: Arc<Mutex<Unanswered>>,
}

/// What a generation of the pipeline was sent and has not answered.
#[derive(Default)]
struct Unanswered {
    /// In the order of the sending.
    items: BTreeSet<u64>,
    next: u64,
    /// Whether an item was found over which this generation fell silent.
    blamed: bool,
}

/// The place of one item among the unanswered.
struct Place {
    number: u64,
    unanswered: Arc<Mutex<Unanswered>>,
}

/// How often an item is sent that stands behind another over which the pipeline falls silent. A pipeline that answers
/// nobody any more holds a page up for so many times the patience, and not for as many times as there are items.
const BEHIND: u32 = 3;

/// How often an item is sent alone before it is held to be what the pipeline panics over: other items that panic it
/// may come in between.
const ALONE: u32 = 3;

impl<I: Send + Sync + 'static> Outlet<I> {
    /// Starts the pipeline on an arbiter of its own. An item that is not acknowledged within `patience` fails its page.
    pub fn open(recipe: Box<dyn Pipeline<I>>, patience: Duration) -> Result<Self, Error> {
        let current = Mutex::new(Generation::start(&*recipe, 0)?);
        Ok(Self { recipe, current, quarantine: tokio::sync::Mutex::new(()), restarts: AtomicU64::new(0), patience })
    }

    /// Delivers one item and waits for its acknowledgement: this waiting is the back-pressure.
    pub async fn deliver(&self, scraped: Scraped<I>) -> Result<(), PipelineError> {
        for _ in 0..BEHIND {
            match self.send(scraped.clone()).await {
                Ok(reply) => return reply,
                Err((dead, Lost::Closed)) => return self.deliver_alone(dead, scraped).await,
                Err((dead, Lost::Behind)) => self.restart(dead),
                Err((dead, Lost::Silent)) => {
                    self.restart(dead);
                    break;
                }
            }
        }
        Err(PipelineError::Silent(self.patience))
    }

    async fn deliver_alone(&self, mut dead: u64, scraped: Scraped<I>) -> Result<(), PipelineError> {
        let _alone = self.quarantine.lock().await;
        for _ in 0..ALONE {
            self.restart(dead);
            match self.send(scraped.clone()).await {
                Ok(reply) => return reply,
                Err((number, Lost::Closed | Lost::Behind)) => dead = number,
                Err((number, Lost::Silent)) => {
                    self.restart(number);
                    return Err(PipelineError::Silent(self.patience));
                }
            }
        }
        self.restart(dead);
        Err(PipelineError::Panicked)
    }

    /// Sends an item to the current generation, and tells which that was where no answer came.
    async fn send(&self, scraped: Scraped<I>) -> Result<Result<(), PipelineError>, (u64, Lost)> {
        let (number, place, answer) = {
            let generation = self.lock();
            // Sent while it is locked, so that the places are in the order of the mailbox.
            (generation.number, Place::take(&generation.unanswered), generation.running.scraped.send(scraped))
        };
        match timeout(self.patience, answer).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(MailboxError::Closed)) => Err((number, Lost::Closed)),
            Ok(Err(MailboxError::Timeout)) | Err(_) if place.is_to_blame() => Err((number, Lost::Silent)),
            Ok(Err(MailboxError::Timeout)) | Err(_) => Err((number, Lost::Behind)),
        }
    }

    /// Tells the pipeline that the crawl has ended and waits until it has written what it holds.
    pub async fn close(&self) -> Result<(), PipelineError> {
        let ended = self.lock().running.ended.send(CrawlEnded);
        let reply = timeout(self.patience, ended).await;
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
            Ok(running) => Ok(Self { number, running, arbiter, unanswered: Arc::default() }),
            Err(error) => {
                arbiter.stop();
                Err(error)
            }
        }
    }
}

impl Place {
    fn take(unanswered: &Arc<Mutex<Unanswered>>) -> Self {
        let mut all = unanswered.lock().unwrap_or_else(PoisonError::into_inner);
        let number = all.next;
        all.next += 1;
        all.items.insert(number);
        Self { number, unanswered: unanswered.clone() }
    }

    /// Tells, of an item that was not answered in time, whether the pipeline fell silent over it: nothing that was sent
    /// before it is unanswered. There is one such item in each generation.
    fn is_to_blame(&self) -> bool {
        let mut all = self.unanswered.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = all.items.first() == Some(&self.number);
        is_first && !std::mem::replace(&mut all.blamed, true)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.unanswered.lock().unwrap_or_else(PoisonError::into_inner).items.remove(&self.number);
    }
}

enum Lost {
    /// The actor is gone: it panicked over this item or over one before it.
    Closed,
    /// No answer came in time, although nothing stood before it.
    Silent,
    /// No answer came in time, as it stood behind another.
    Behind,
}
