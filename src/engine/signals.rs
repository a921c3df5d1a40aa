//! Signals: what asks the process to end, and the arbiter that passes it to a crawl.

use std::{future::pending, io, sync::Arc};

use actix::{Addr, Arbiter};
use tokio::sync::oneshot;

use super::{
    ending::{ABORT_WITHIN, Ending},
    messages::Signalled,
    scheduler::Scheduler,
};

/// SIGTERM and SIGINT; elsewhere than on Unix ctrl-c.
pub struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

/// Passes signals to a crawl, from an arbiter of its own: the scheduler's thread may be blocked by code of a user's
/// own. Returns when it has begun to listen.
pub async fn heed(scheduler: Addr<Scheduler>, ending: Arc<Ending>) {
    let (listening, begun) = oneshot::channel();
    Arbiter::new().spawn(async move {
        let mut signals = match Signals::listen() {
            Ok(signals) => signals,
            Err(error) => {
                return tracing::error!(%error, "signals cannot be listened for and will not stop the crawl");
            }
        };
        // Fails only if the crawl is being dropped already.
        let _ = listening.send(());
        for number in 0_usize.. {
            let name = signals.next().await;
            if number > 0 {
                ending.publish_within(ABORT_WITHIN);
            }
            #[allow(clippy::disallowed_methods, reason = "bounded by the signals: people send them, one by one")]
            scheduler.do_send(Signalled { name, is_first: number == 0 });
        }
    });
    // The sender is dropped if the system refuses to pass signals on, which was logged.
    let _ = begun.await;
}

impl Signals {
    /// Begins to listen. From here on the signals do not end the process by themselves.
    ///
    /// # Errors
    /// The system refuses.
    #[cfg(unix)]
    pub fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Begins to listen.
    ///
    /// # Errors
    /// None.
    #[cfg(not(unix))]
    pub fn listen() -> io::Result<Self> {
        Ok(Self {})
    }

    /// Waits for the next signal, and returns its name.
    #[cfg(unix)]
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            Some(()) = self.terminate.recv() => "SIGTERM",
            Some(()) = self.interrupt.recv() => "SIGINT",
            // The runtime ends, and no signal comes any more.
            else => pending().await,
        }
    }

    /// Waits for the next signal, and returns its name.
    #[cfg(not(unix))]
    pub async fn next(&mut self) -> &'static str {
        match tokio::signal::ctrl_c().await {
            Ok(()) => "ctrl-c",
            Err(_) => pending().await,
        }
    }
}
