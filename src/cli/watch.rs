//! CrawlWatch: starts a crawl, shows its progress until it ends, and handles Ctrl-C and SIGTERM.

use std::{
    sync::{Arc, mpsc::sync_channel},
    thread,
    time::Duration,
};

use actix_crawler::{CrawlHandle, Crawler, Error, Report, Spider, internals::Signals};
use tokio::{
    sync::{mpsc::UnboundedReceiver, oneshot},
    time::{sleep, timeout},
};

use super::{
    block_on,
    exit::{Exit, Failure},
    now,
    progress_view::ProgressView,
};

/// The time between two updates: as often as people notice.
const LOOK_AGAIN: Duration = Duration::from_millis(150);

/// How long an aborted crawl may take to end.
const ABORT_TIMEOUT: Duration = Duration::from_secs(5);

/// What to show while a crawl runs.
pub struct CrawlWatch {
    /// Shows the progress.
    pub progress: ProgressView,
    /// Sentences to show in between.
    pub remarks: Option<UnboundedReceiver<String>>,
}

impl CrawlWatch {
    /// Waits for the end of a crawl.
    ///
    /// # Errors
    /// The crawl's thread died, or the crawl did not end when aborted.
    pub async fn until_the_end(mut self, handle: &CrawlHandle, mut signals: Signals) -> Result<Arc<Report>, Failure> {
        let mut stopping = false;
        let report = loop {
            tokio::select! {
                report = handle.wait() => break report?,
                signal = signals.next() => {
                    if stopping {
                        break self.make_it_end(handle).await?;
                    }
                    stopping = true;
                    self.stop(handle, signal).await;
                }
                Some(remark) = next(&mut self.remarks) => self.progress.say(&remark),
                () = sleep(LOOK_AGAIN) => self.look(handle).await,
            }
        };
        self.progress.end();
        Ok(report)
    }

    async fn stop(&self, handle: &CrawlHandle, signal: &str) {
        let again = if signal == "SIGTERM" { "another SIGTERM" } else { "Ctrl-C again" };
        let in_flight = handle.progress().await.map_or(0, |progress| progress.ledger.leased);
        self.progress.say(&format!("stopping: what is in flight ends first ({in_flight}); {again} stops at once"));
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

/// Starts a crawl on a thread of its own, since an output may block: a named pipe, until somebody reads it.
///
/// # Errors
/// The crawl cannot start, which `explain` puts in words; or a signal comes first.
pub async fn start<S: Spider>(
    crawler: Crawler<S>,
    signals: &mut Signals,
    explain: impl FnOnce(Error) -> Failure,
) -> Result<CrawlHandle, Failure> {
    let (started_to, started) = oneshot::channel();
    // Nobody waits for it any more after a signal, and the process ends.
    let start = move || drop(started_to.send(crawler.start()));
    thread::Builder::new().name("start".to_owned()).spawn(start).map_err(Error::Start)?;
    tokio::select! {
        started = started => started.unwrap_or(Err(Error::Ended)).map_err(explain),
        _ = signals.next() => Err(Failure::interrupted("interrupted before the crawl had begun; nothing was fetched")),
    }
}

/// Ends the process at the second signal from now on, whatever blocks this thread then: an output, if its reader has
/// stopped reading. A command that hears the first signal has ended by then otherwise.
///
/// # Errors
/// The system refuses it.
pub fn end_at_the_second_signal() -> Result<(), Failure> {
    let (listening, begun) = sync_channel(1);
    let heed = async move {
        let mut signals = match listen() {
            Ok(signals) => signals,
            Err(failure) => {
                drop(listening.send(Err(failure)));
                return Ok(());
            }
        };
        drop(listening.send(Ok(())));
        signals.next().await;
        signals.next().await;
        std::process::exit(Exit::Interrupted as i32)
    };
    let thread = thread::Builder::new().name("signals".to_owned());
    thread.spawn(move || block_on(heed)).map_err(Error::Start)?;
    // Its files are open from here on, and are counted with the others.
    begun.recv().unwrap_or(Ok(()))
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
