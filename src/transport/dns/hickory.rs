//! HickoryLookUp: asks the name servers that the system is set up with, and heeds how long their answers hold.

use std::{
    io,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use hickory_resolver::TokioResolver;
use tokio::{
    runtime::{Builder, Handle},
    sync::{Semaphore, mpsc},
};

use super::{LookUp, NEGATIVE_TTL, names::Ticket};
use crate::error::{Error, Result};

/// Asks name servers, on a thread of its own.
pub struct HickoryLookUp {
    /// Unbounded as a queue, bounded by what it holds: there is one ticket for each name that somebody waits for, or
    /// that waits for its turn to be called off.
    tickets: mpsc::UnboundedSender<Ticket>,
}

/// The most look-ups at a time: each may open two sockets, for IPv4 and for IPv6, beside those of the crawl.
const AT_ONCE: usize = 128;

/// The longest that an answer is believed: a site that moves is found again within the hour, whatever its TTL was.
const LONGEST_TTL: Duration = Duration::from_secs(3600);

impl HickoryLookUp {
    /// Starts the thread. It ends with this value, or when its last look-up does.
    ///
    /// # Errors
    /// The system tells no name server, or refuses the thread.
    pub fn new(_: Handle) -> Result<Self> {
        let unable = |error: &dyn std::fmt::Display| {
            Error::Start(io::Error::other(format!("the system's name servers are not to be had: {error}")))
        };
        let mut builder = TokioResolver::builder_tokio().map_err(|error| unable(&error))?;
        // What is remembered is remembered once, where it is bounded.
        builder.options_mut().cache_size = 0;
        let resolver = builder.build().map_err(|error| unable(&error))?;
        let runtime = Builder::new_current_thread().enable_all().build().map_err(Error::Start)?;
        let (tickets, inbox) = mpsc::unbounded_channel();
        thread::Builder::new()
            .name("crawler-dns".to_owned())
            .spawn(move || runtime.block_on(serve(resolver.into(), inbox)))
            .map_err(Error::Start)?;
        Ok(Self { tickets })
    }
}

impl LookUp for HickoryLookUp {
    fn look_up(&self, ticket: Ticket) {
        // A thread that is gone drops the ticket, which tells those who wait.
        drop(self.tickets.send(ticket));
    }
}

async fn serve(resolver: Arc<TokioResolver>, mut tickets: mpsc::UnboundedReceiver<Ticket>) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    while let Some(ticket) = tickets.recv().await {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let Some(ticket) = ticket.if_wanted() else { continue };
        let resolver = resolver.clone();
        tokio::spawn(async move {
            look_up(&resolver, ticket).await;
            drop(place);
        });
    }
}

async fn look_up(resolver: &TokioResolver, ticket: Ticket) {
    // A name with a dot is whole; only single labels are tried with the machine's search domains.
    let name = if ticket.name().contains('.') { format!("{}.", ticket.name()) } else { ticket.name().to_owned() };
    let answer = resolver.lookup_ip(name.as_str()).await;
    #[allow(clippy::disallowed_methods, reason = "an answer's age is real time")]
    let now = Instant::now();
    match answer {
        Ok(found) => {
            let ttl = found.valid_until().saturating_duration_since(now).min(LONGEST_TTL);
            ticket.fill(Ok(found.iter().collect()), ttl, now);
        }
        Err(error) => ticket.fill(Err(error.to_string().into()), NEGATIVE_TTL, now),
    }
}
