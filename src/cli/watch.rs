//! Watch: shows the progress of a crawl until it ends, and handles Ctrl-C and SIGTERM.

use std::{sync::Arc, time::Duration};

use actix_crawler::{CrawlHandle, Report, internals::Signals};
use tokio::{
    sync::mpsc::UnboundedReceiver,
    time::{sleep, timeout},
};

use super::{exit::Failure, now, progress_view::ProgressView};

/// The time between two updates: as often as people notice.
const LOOK_AGAIN: Duration = Duration::from_millis(150);

/// How long an aborted crawl may take to end.
const ABORT_TIMEOUT: Duration = Duration::from_secs(5);

/// What to show while a crawl runs.
pub struct Watch {
    /// Shows the progress.
    pub progress: ProgressView,
    /// Sentences to show in between.
    pub remarks: Option<UnboundedReceiver<String>>,
}

impl Watch {
    /// Waits for the end of a crawl.
    ///
    /// # Errors
    /// The crawl's thread died, or the crawl did not end when aborted.
    pub async fn until_the_end(mut self, handle: &CrawlHandle, mut signals: Signals) -> Result<Arc<Report>, Failure> {
        let mut stopping = false;
        let report = loop {
            tokio::select! {
                report = handle.wait() => break report?,
                _ = signals.next() => {
                    if stopping {
                        break self.make_it_end(handle).await?;
                    }
                    stopping = true;
                    self.stop(handle).await;
                }
                Some(remark) = next(&mut self.remarks) => self.progress.say(&remark),
                () = sleep(LOOK_AGAIN) => self.look(handle).await,
            }
        };
        self.progress.end();
        Ok(report)
    }

    async fn stop(&self, handle: &CrawlHandle) {
        let in_flight = handle.progress().await.map_or(0, |progress| progress.ledger.leased);
        self.progress.say(&format!("stopping: what is in flight ends first ({in_flight}); Ctrl-C again stops at once"));
        handle.stop().await;
    }

    async fn make_it_end(&self, handle: &CrawlHandle) -> Result<Arc<Report>, Failure> {
        self.progress.say("stopping at once: pages in flight are given up");
        handle.abort().await;
        match timeout(ABORT_TIMEOUT, handle.wait()).await {
            Ok(report) => Ok(report?),
            Err(_) => Err(Failure::interrupted("the crawl did not end when it was aborted")),
        }
    }

    /// Shows the numbers.
    async fn look(&mut self, handle: &CrawlHandle) {
        if let Ok(progress) = handle.progress().await {
            self.progress.show(&progress, now());
        }
    }
}

async fn next(remarks: &mut Option<UnboundedReceiver<String>>) -> Option<String> {
    match remarks {
        Some(remarks) => remarks.recv().await,
        None => None,
    }
}

/// Starts to listen: from now on the signals no longer end the process by themselves.
///
/// # Errors
/// The system refuses it.
pub fn listen() -> Result<Signals, Failure> {
    Signals::listen().map_err(|error| Failure::not_run(format!("the system refuses to pass signals on: {error}")))
}
