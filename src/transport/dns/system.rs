//! SystemLookUp: resolves names with getaddrinfo, on threads that may block.

use crate::clock;
use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use dns_lookup::{AddrInfoHints, LookupError, LookupErrorKind, SockType};
use tokio::runtime::Handle;

use super::{
    LookUp, NEGATIVE_TTL,
    names::{Cause, NotFound, PendingLookUp, Resolved},
};
use crate::outcome::local_fault::LocalFault;

/// Calls getaddrinfo, which uses the hosts file, name servers and whatever else the machine is configured with.
pub struct SystemLookUp {
    threads: Handle,
    queue: Arc<Mutex<LookUpQueue>>,
}

#[derive(Default)]
struct LookUpQueue {
    tickets: VecDeque<PendingLookUp>,
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
    fn look_up(&self, ticket: PendingLookUp) {
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

impl LookUpQueue {
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

    fn next(&mut self) -> Option<PendingLookUp> {
        self.drop_unwanted();
        let next = self.tickets.pop_front();
        if next.is_none() {
            self.working -= 1;
        }
        next
    }
}

fn work(queue: &Mutex<LookUpQueue>) {
    loop {
        let Some(ticket) = lock(queue).next() else { return };
        let found = look_up(ticket.name());
        let ttl = match &found {
            Ok(_) => TTL,
            Err(NotFound { cause: Cause::NoAddress, .. }) => NEGATIVE_TTL,
            Err(_) => Duration::ZERO,
        };
        ticket.fill(found, ttl, clock::now());
    }
}

fn look_up(name: &str) -> Resolved {
    // Of one kind of socket: else each address would come once for every kind.
    let hints = AddrInfoHints { socktype: SockType::Stream.into(), ..AddrInfoHints::default() };
    let found = dns_lookup::getaddrinfo(Some(name), None, Some(hints)).map_err(not_found)?;
    let addresses = found.map(|found| found.map(|found| found.sockaddr.ip()));
    addresses.collect::<io::Result<_>>().map_err(|error| NotFound::from(error.to_string()))
}

fn not_found(error: LookupError) -> NotFound {
    let kind = error.kind();
    let error = io::Error::from(error);
    let fault = match kind {
        LookupErrorKind::Again => Some(LocalFault::NameServers),
        LookupErrorKind::Memory => Some(LocalFault::Memory),
        _ => LocalFault::of(&error),
    };
    NotFound { why: error.to_string().into(), cause: fault.map_or(Cause::NoAddress, Cause::Fault) }
}

fn lock(queue: &Mutex<LookUpQueue>) -> MutexGuard<'_, LookUpQueue> {
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
        let mut queue = LookUpQueue::default();
        for n in 0..1_000 {
            let Resolution::Missing(ticket, waiting) = names.ask(&format!("{n}.test"), now) else { panic!("known") };
            queue.drop_unwanted();
            queue.tickets.push_back(ticket);
            drop(waiting);
        }
        assert_eq!(queue.tickets.len(), 1);
    }
}
