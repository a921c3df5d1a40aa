//! TenantQueue: the order of tenants that wait for one domain, or for places in flight. Knows no limits.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::TenantId;
use crate::conduct::throttle::Refusal;

/// The refused tenants, the longest wait first. With a single tenant it stays empty.
#[derive(Debug, Default)]
pub struct TenantQueue {
    waiting: VecDeque<WaitingTenant>,
}

#[derive(Debug)]
struct WaitingTenant {
    tenant: TenantId,
    /// When its slot is due; `None` while it waits for a request in flight to end.
    due: Option<Instant>,
}

/// How long after its due time a turn lapses. A tenant with work asks within milliseconds, also on a busy thread; one
/// without work never does.
const LAPSE: Duration = Duration::from_millis(50);

impl TenantQueue {
    /// Tells whether a tenant may ask for a slot now: no one waits, or it has waited longest.
    ///
    /// # Errors
    /// Another tenant goes first. This one is notified when its turn comes; the instant is the latest, in case the
    /// other never asks.
    pub fn ask(&mut self, tenant: TenantId, now: Instant) -> Result<(), Refusal> {
        self.lapse(now);
        let Some(first) = self.waiting.front() else { return Ok(()) };
        if first.tenant == tenant {
            return Ok(());
        }
        // Always an instant: the other tenant may never ask, and then no notification would come.
        let refusal = Refusal::OtherTenant(first.due.map_or(now, |due| due.max(now)) + LAPSE);
        if !self.waits(tenant) {
            self.waiting.push_back(WaitingTenant { tenant, due: None });
        }
        Err(refusal)
    }

    /// Ends the first turn if it has lapsed. Returns the tenant whose turn it is then.
    pub fn lapse(&mut self, now: Instant) -> Option<TenantId> {
        self.waiting.front().filter(|first| first.due.is_some_and(|due| due + LAPSE < now))?;
        self.waiting.pop_front();
        let next = self.waiting.front_mut()?;
        // It may have stopped asking too, so its own turn can lapse from now on.
        next.due = Some(now);
        Some(next.tenant)
    }

    /// Adds a refused tenant to the queue, or updates when its slot is due.
    pub fn wait(&mut self, tenant: TenantId, due: Option<Instant>) {
        match self.waiting.iter_mut().find(|waiting| waiting.tenant == tenant) {
            Some(waiting) => waiting.due = due,
            None => self.waiting.push_back(WaitingTenant { tenant, due }),
        }
    }

    /// Ends the turn of a tenant that got a permit. Returns the next tenant.
    pub fn took(&mut self, tenant: TenantId, now: Instant) -> Option<TenantId> {
        self.leave(tenant);
        let next = self.waiting.front_mut()?;
        // From now on its turn can lapse, since it may have no work left.
        next.due.get_or_insert(now);
        Some(next.tenant)
    }

    /// Records the end of a permit. Returns the tenant that waited for it, if any.
    pub fn freed(&mut self, now: Instant) -> Option<TenantId> {
        let first = self.waiting.front_mut().filter(|first| first.due.is_none())?;
        first.due = Some(now);
        Some(first.tenant)
    }

    /// Resets the due times after a change of the law. Returns all waiting tenants.
    pub fn changed(&mut self, now: Instant) -> Vec<TenantId> {
        if let Some(first) = self.waiting.front_mut() {
            first.due = Some(now);
        }
        self.waiting.iter().map(|waiting| waiting.tenant).collect()
    }

    /// Removes a tenant from the queue.
    pub fn leave(&mut self, tenant: TenantId) {
        self.waiting.retain(|waiting| waiting.tenant != tenant);
    }

    fn waits(&self, tenant: TenantId) -> bool {
        self.waiting.iter().any(|waiting| waiting.tenant == tenant)
    }
}
