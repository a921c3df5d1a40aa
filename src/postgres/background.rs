//! Background: runs futures to their end for code that blocks. Knows no database.

use std::{io, panic, thread};

use tokio::runtime::{Builder, Runtime};

/// A runtime of its own, whose tasks run while something is waited for. The threads of a crawl belong to runtimes,
/// which do not let themselves be blocked by another, so each wait has a thread.
pub(crate) struct Background(Option<Runtime>);

impl Background {
    /// Creates the runtime.
    ///
    /// # Errors
    /// The system has no room for it.
    pub fn new() -> io::Result<Self> {
        Builder::new_current_thread().enable_all().build().map(|runtime| Self(Some(runtime)))
    }

    /// Waits for a future.
    #[allow(clippy::missing_panics_doc, reason = "it passes on the future's own")]
    pub fn block_on<F>(&self, future: F) -> F::Output
    where
        F: Future<Output: Send> + Send,
    {
        let Some(runtime) = &self.0 else { unreachable!("it is there until it is dropped") };
        let waited = thread::scope(|scope| scope.spawn(|| runtime.block_on(future)).join());
        waited.unwrap_or_else(|panicked| panic::resume_unwind(panicked))
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // A runtime that is dropped within another would wait for its threads, and panics.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
