//! Names: the cache of host addresses and the look-ups in progress. Knows no name server.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::watch;

use crate::outcome::local_fault::LocalFault;

/// The addresses of a name, or why there are none.
pub type Resolved = Result<Arc<[IpAddr]>, NotFound>;

/// Why there are no addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotFound {
    /// In words.
    pub why: Arc<str>,
    /// What it tells of the name servers.
    pub cause: Cause,
}

/// What a look-up without a result tells of the name servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// They answered that there is no address.
    NoAddress,
    /// They did not answer, or could not be asked: a fault of this machine, or one of the name's own servers.
    Fault(LocalFault),
    /// Nothing: the look-up was given up, or not made, since it is no name.
    GivenUp,
}

/// The DNS cache that all arbiters share: bounded, with at most one look-up at a time for each name.
pub struct Names {
    state: Mutex<NamesState>,
    most: usize,
}

#[derive(Default)]
struct NamesState {
    /// Look-ups in progress. Each has one [`PendingLookUp`], so the waiters and the threads bound their number.
    sought: HashMap<Arc<str>, watch::Sender<Option<Resolved>>>,
    /// Two generations: when `young` is full it becomes `old`, and entries of the former `old` that were not used since
    /// are dropped.
    young: HashMap<Arc<str>, CachedName>,
    old: HashMap<Arc<str>, CachedName>,
}

struct CachedName {
    found: Resolved,
    until: Instant,
}

/// The state of a name.
pub enum Resolution {
    /// Its cached addresses, or the cached failure.
    Cached(Resolved),
    /// A look-up is in progress.
    Pending(LookUpWait),
    /// Not cached: the caller starts a look-up with the ticket, and waits like all others.
    Missing(PendingLookUp, LookUpWait),
}

/// Waits for a look-up in progress. Dropping it abandons this wait only.
pub struct LookUpWait(watch::Receiver<Option<Resolved>>);

/// The obligation to look a name up. Dropped unfilled, it reports a failure to all waiters.
pub struct PendingLookUp {
    name: Arc<str>,
    names: Arc<Names>,
    filled: bool,
}

impl Names {
    /// Creates a cache of at most `most` names.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), most })
    }

    /// Returns the state of a name.
    pub fn ask(self: &Arc<Self>, name: &str, now: Instant) -> Resolution {
        let mut state = self.state();
        if let Some(found) = state.recall(name, now, self.most) {
            return Resolution::Cached(found);
        }
        if let Some(sought) = state.sought.get(name) {
            return Resolution::Pending(LookUpWait(sought.subscribe()));
        }
        let name: Arc<str> = name.into();
        let (sought, waiting) = watch::channel(None);
        state.sought.insert(name.clone(), sought);
        Resolution::Missing(PendingLookUp { name, names: self.clone(), filled: false }, LookUpWait(waiting))
    }

    /// Forgets what is known of a name, so that it is looked up afresh.
    pub fn forget(&self, name: &str) {
        let mut state = self.state();
        state.young.remove(name);
        state.old.remove(name);
    }

    fn state(&self) -> MutexGuard<'_, NamesState> {
        // No code under the lock panics midway; even a partly updated cache would only ask again.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Into<Arc<str>>> From<T> for NotFound {
    fn from(why: T) -> Self {
        Self { why: why.into(), cause: Cause::NoAddress }
    }
}

impl NamesState {
    fn recall(&mut self, name: &str, now: Instant, most: usize) -> Option<Resolved> {
        if let Some(known) = self.young.get(name) {
            return (known.until > now).then(|| known.found.clone());
        }
        let (name, known) = self.old.remove_entry(name)?;
        if known.until <= now {
            return None;
        }
        let found = known.found.clone();
        self.remember(name, known, most);
        Some(found)
    }

    fn remember(&mut self, name: Arc<str>, known: CachedName, most: usize) {
        self.old.remove(&name);
        if self.young.len() >= (most / 2).max(1) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(name, known);
    }
}

impl LookUpWait {
    /// Waits for the result.
    pub async fn found(mut self) -> Resolved {
        let lost = || Err(NotFound { cause: Cause::GivenUp, ..NotFound::from("the look-up was given up") });
        match self.0.wait_for(Option::is_some).await {
            Ok(found) => found.as_ref().map_or_else(lost, Clone::clone),
            Err(_) => lost(),
        }
    }
}

impl PendingLookUp {
    /// Returns the name to look up.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the ticket if anyone still waits for it; otherwise cancels the look-up.
    pub fn if_wanted(mut self) -> Option<Self> {
        let names = self.names.clone();
        // Checked under the lock, so that no waiter joins in between.
        let mut state = names.state();
        if state.sought.get(&self.name).is_some_and(|sought| sought.receiver_count() > 0) {
            return Some(self);
        }
        state.sought.remove(&self.name);
        self.filled = true;
        None
    }

    /// Sends the result to all waiters and caches it for `ttl`.
    pub fn fill(mut self, found: Resolved, ttl: Duration, now: Instant) {
        self.filled = true;
        let mut state = self.names.state();
        let sought = state.sought.remove(&self.name);
        let known = CachedName { found: found.clone(), until: now + ttl };
        state.remember(self.name.clone(), known, self.names.most);
        drop(state);
        if let Some(sought) = sought {
            sought.send_replace(Some(found));
        }
    }
}

impl Drop for PendingLookUp {
    fn drop(&mut self) {
        if !self.filled {
            self.names.state().sought.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const TTL: Duration = Duration::from_secs(60);

    fn address(last: u8) -> Arc<[IpAddr]> {
        [IpAddr::from([192, 0, 2, last])].into()
    }

    fn unknown(resolution: Resolution) -> (PendingLookUp, LookUpWait) {
        match resolution {
            Resolution::Missing(ticket, waiting) => (ticket, waiting),
            _ => panic!("something is known"),
        }
    }

    fn known(names: &Arc<Names>, name: &str, now: Instant) -> Option<Resolved> {
        match names.ask(name, now) {
            Resolution::Cached(found) => Some(found),
            _ => None,
        }
    }

    fn learn(names: &Arc<Names>, name: &str, found: Resolved, now: Instant) {
        unknown(names.ask(name, now)).0.fill(found, TTL, now);
    }

    #[test]
    fn an_answer_is_known_until_its_time_is_over() {
        let (names, now) = (Names::new(10), Instant::now());
        learn(&names, "a.test", Ok(address(1)), now);
        assert_eq!(known(&names, "a.test", now + TTL / 2), Some(Ok(address(1))));
        assert_eq!(known(&names, "a.test", now + TTL), None);
        let failed: Resolved = Err("no such host".into());
        learn(&names, "b.test", failed.clone(), now);
        assert_eq!(known(&names, "b.test", now), Some(failed));
    }

    #[test]
    fn one_look_up_serves_all_who_ask_meanwhile() {
        let (names, now) = (Names::new(10), Instant::now());
        let (ticket, first) = unknown(names.ask("a.test", now));
        let Resolution::Pending(second) = names.ask("a.test", now) else { panic!("a second look-up") };
        let Resolution::Pending(third) = names.ask("a.test", now) else { panic!("a third look-up") };
        drop(first);
        let ticket = ticket.if_wanted().expect("two still wait");
        ticket.fill(Ok(address(1)), TTL, now);
        assert_eq!(second.found().now_or_never(), Some(Ok(address(1))), "the wait that was given up cancels no other");
        assert_eq!(third.found().now_or_never(), Some(Ok(address(1))));
    }

    #[test]
    fn a_look_up_that_nobody_waits_for_is_called_off() {
        let (names, now) = (Names::new(10), Instant::now());
        let (ticket, waiting) = unknown(names.ask("a.test", now));
        drop(waiting);
        let Resolution::Pending(again) = names.ask("a.test", now) else { panic!("a second look-up") };
        let ticket = ticket.if_wanted().expect("wanted again");
        drop(again);
        assert!(ticket.if_wanted().is_none());
        drop(unknown(names.ask("a.test", now)));
    }

    #[test]
    fn a_lost_ticket_leaves_nobody_waiting() {
        let (names, now) = (Names::new(10), Instant::now());
        let (ticket, waiting) = unknown(names.ask("a.test", now));
        drop(ticket);
        assert!(waiting.found().now_or_never().expect("the wait is over").is_err());
        drop(unknown(names.ask("a.test", now)));
    }

    #[test]
    fn memory_is_bounded_and_keeps_what_is_asked_for() {
        let (names, now) = (Names::new(100), Instant::now());
        learn(&names, "often.test", Ok(address(0)), now);
        for n in 0..1000 {
            learn(&names, &format!("{n}.test"), Ok(address(1)), now);
            assert_eq!(known(&names, "often.test", now), Some(Ok(address(0))), "after {n}");
            let state = names.state();
            assert!(state.young.len() + state.old.len() <= 101);
        }
        assert_eq!(known(&names, "999.test", now), Some(Ok(address(1))));
        assert_eq!(known(&names, "1.test", now), None);
    }
}
