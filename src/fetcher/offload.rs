//! Offload: foreign code on threads of its own, so that it may panic, block or never return.

use std::{any::Any, sync::Arc, time::Duration};

use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::Semaphore,
    time::timeout,
};

use crate::error::Error;

/// Runs work off the network's threads. Cloning is cheap; clones share the threads.
#[derive(Clone, Debug)]
pub struct Offload {
    threads: Handle,
    slots: Arc<Semaphore>,
    patience: Duration,
}

/// Owns the threads. Dropping it waits for none of them: a spider that never returns must not hold up the end.
#[derive(Debug)]
pub struct OffloadThreads(Option<Runtime>);

/// Why work gave no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// It panicked, with this message.
    Panicked(String),
    /// It did not return in time; its thread is left to it.
    Silent(Duration),
}

/// The most threads that work which never returns may hold; beyond, all further work counts as silent.
const MOST_THREADS: usize = 256;

impl OffloadThreads {
    /// Creates threads of which `at_once` work at a time; work that takes longer than `patience` is left behind.
    ///
    /// # Errors
    /// The system refuses.
    pub fn new(at_once: usize, patience: Duration) -> Result<(Self, Offload), Error> {
        let runtime = Builder::new_current_thread()
            .max_blocking_threads(MOST_THREADS)
            .thread_name("crawler-parse")
            .build()
            .map_err(Error::Start)?;
        let offload =
            Offload { threads: runtime.handle().clone(), slots: Arc::new(Semaphore::new(at_once.max(1))), patience };
        Ok((Self(Some(runtime)), offload))
    }
}

impl Drop for OffloadThreads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Offload {
    /// Runs `work` and returns its result.
    ///
    /// # Errors
    /// The work panicked or did not return in time.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Lost> {
        // The slot is given up with the wait, not with the work: so what never returns costs a thread, not a slot.
        let _slot = self.slots.acquire().await;
        match timeout(self.patience, self.threads.spawn_blocking(work)).await {
            Err(_) => Err(Lost::Silent(self.patience)),
            Ok(Ok(result)) => Ok(result),
            Ok(Err(error)) => match error.try_into_panic() {
                Ok(panic) => Err(Lost::Panicked(message_of(&*panic))),
                Err(_) => Err(Lost::Silent(self.patience)),
            },
        }
    }

    /// Returns the threads, for look-ups that block.
    pub fn threads(&self) -> &Handle {
        &self.threads
    }
}

/// Returns what a panic said.
pub fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without a message".to_owned())
}
