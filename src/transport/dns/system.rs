//! SystemLookUp: resolves names with getaddrinfo, on threads that may block.

use crate::clock;
use std::{
    collections::VecDeque,
    net::ToSocketAddrs,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::runtime::Handle;

use super::{LookUp, NEGATIVE_TTL, names::Ticket};

/// Calls getaddrinfo, which uses the hosts file, name servers and whatever else the machine is configured with.
pub struct SystemLookUp {
    threads: Handle,
    queue: Arc<Mutex<Queue>>,
}

#[derive(Default)]
struct Queue {
    tickets: VecDeque<Ticket>,
    working: usize,
}

/// The most concurrent look-ups. A name whose servers are down blocks a thread for half a minute, hence the large
/// number; half of the blocking threads remain for parsing.
const MAX_AT_ONCE: usize = 128;

/// How long an answer is cached, as in Chromium and Firefox: getaddrinfo does not report the TTL.
const TTL: Duration = Duration::from_secs(60);

impl SystemLookUp {
    /// Looks up on `threads`.
    pub fn new(threads: Handle) -> Self {
        Self { threads, queue: Arc::default() }
    }
}

impl LookUp for SystemLookUp {
    fn look_up(&self, ticket: Ticket) {
        let mut queue = lock(&self.queue);
        queue.drop_unwanted();
        queue.tickets.push_back(ticket);
        if queue.working < MAX_AT_ONCE {
            queue.working += 1;
            let tickets = self.queue.clone();
            self.threads.spawn_blocking(move || work(&tickets));
        }
    }
}

impl Queue {
    /// Drops the tickets that no one waits for any more. All requests have the same time-out, so those are at the
    /// front; the rest are at most as many as the requests in progress.
    fn drop_unwanted(&mut self) {
        while let Some(ticket) = self.tickets.pop_front() {
            if let Some(wanted) = ticket.if_wanted() {
                self.tickets.push_front(wanted);
                return;
            }
        }
    }

    fn next(&mut self) -> Option<Ticket> {
        self.drop_unwanted();
        let next = self.tickets.pop_front();
        if next.is_none() {
            self.working -= 1;
        }
        next
    }
}

fn work(queue: &Mutex<Queue>) {
    loop {
        let Some(ticket) = lock(queue).next() else { return };
        // The port is not used; with one, getaddrinfo returns each address once, without one once for each socket type.
        let found = match (ticket.name(), 0).to_socket_addrs() {
            Ok(addresses) => Ok(addresses.map(|address| address.ip()).collect()),
            Err(error) => Err(error.to_string().into()),
        };
        let ttl = if found.is_ok() { TTL } else { NEGATIVE_TTL };
        ticket.fill(found, ttl, clock::now());
    }
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    // No code under the lock can panic.
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::dns::names::{Names, Resolution};

    #[test]
    fn names_that_nobody_waits_for_any_more_do_not_pile_up() {
        let (names, now) = (Names::new(10), clock::now());
        let mut queue = Queue::default();
        for n in 0..1_000 {
            let Resolution::Missing(ticket, waiting) = names.ask(&format!("{n}.test"), now) else { panic!("known") };
            queue.drop_unwanted();
            queue.tickets.push_back(ticket);
            drop(waiting);
        }
        assert_eq!(queue.tickets.len(), 1);
    }
}
