//! Watch: stays with a crawl until it ends: shows progress, and hears Ctrl-C, SIGTERM and an output that broke.

use std::{
    future::pending,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use actix_crawler::{handle::CrawlHandle, report::Report};
use tokio::{sync::watch, time::sleep};

use super::{exit::Failure, output::Broken, progress::Progress};

/// As often as people see movement.
const GLANCE: Duration = Duration::from_millis(150);

/// Numbers of many domains take time to gather: at most a fiftieth of the scheduler's is spent on it.
const SPARING: u32 = 50;

/// A crawl that was made to end closes its pipelines within this, or is left behind.
const PATIENCE: Duration = Duration::from_secs(5);

/// Waits for the end of a crawl.
///
/// # Errors
/// The output broke, or the crawl did not end when it was made to.
pub async fn watch(
    handle: &CrawlHandle,
    mut signals: Signals,
    mut progress: Progress,
    mut broken: watch::Receiver<Option<Broken>>,
) -> Result<Arc<Report>, Failure> {
    let mut stopping = false;
    let mut glance = GLANCE;
    let report = loop {
        tokio::select! {
            report = handle.wait() => break report?,
            Ok(()) = broken.changed() => {
                handle.abort().await;
                progress.end();
                let broken = broken.borrow().clone();
                return Err(broken.map_or_else(Failure::reader_gone, Failure::from));
            }
            () = signals.next() => {
                if stopping {
                    progress.say("stopping at once: pages in flight are given up");
                    handle.abort().await;
                    tokio::select! {
                        report = handle.wait() => break report?,
                        () = sleep(PATIENCE) => {
                            return Err(Failure::interrupted("the crawl did not end when it was made to"));
                        }
                    }
                }
                stopping = true;
                let in_flight = handle.stats().await.map_or(0, |stats| stats.ledger.leased);
                progress.say(&format!(
                    "stopping: {in_flight} pages in flight end first; once more (Ctrl-C) stops at once"
                ));
                handle.stop().await;
            }
            () = sleep(glance) => {
                let asked = Instant::now();
                if let Ok(stats) = handle.stats().await {
                    let now = Instant::now();
                    glance = GLANCE.max(now.duration_since(asked) * SPARING);
                    progress.show(&stats, now);
                }
            }
        }
    };
    progress.end();
    Ok(report)
}

/// The signals that ask a process to end.
pub struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    /// Begins to listen: from here on they do not end the process by themselves.
    ///
    /// # Errors
    /// The system refuses it.
    #[cfg(unix)]
    pub fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next one.
    #[cfg(unix)]
    pub async fn next(&mut self) {
        let heard = tokio::select! {
            heard = self.terminate.recv() => heard,
            heard = self.interrupt.recv() => heard,
        };
        if heard.is_none() {
            pending().await
        }
    }

    /// Begins to listen.
    ///
    /// # Errors
    /// None here: the first wait would tell.
    #[cfg(not(unix))]
    pub fn listen() -> io::Result<Self> {
        Ok(Self {})
    }

    /// Waits for the next one.
    #[cfg(not(unix))]
    pub async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            pending().await
        }
    }
}
