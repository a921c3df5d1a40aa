//! Turns: which of several tenants that wait for one domain goes first. Knows no limits.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::TenantId;
use crate::throttle::Refusal;

/// The tenants that were refused, the longest wait first. Without a second tenant it stays empty.
#[derive(Debug, Default)]
pub(super) struct Turns {
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    tenant: TenantId,
    /// When its place is due; `None` while it waits for a request in flight to end.
    due: Option<Instant>,
}

/// How long after its due time a tenant's turn lapses. One that still has work comes within milliseconds, also on a
/// busy thread; one that has none says nothing.
const LAPSE: Duration = Duration::from_millis(50);

impl Turns {
    /// Tells whether a tenant may look for a place now: nobody waits, or it has waited longest.
    ///
    /// # Errors
    /// Another goes first. The tenant is told when its turn has come; the instant is for where the other never asks.
    pub fn ask(&mut self, tenant: TenantId, now: Instant) -> Result<(), Refusal> {
        loop {
            let Some(first) = self.waiting.front() else { return Ok(()) };
            if first.tenant == tenant {
                return Ok(());
            }
            match first.due {
                Some(due) if due + LAPSE < now => self.waiting.pop_front(),
                due => {
                    if !self.waits(tenant) {
                        self.waiting.push_back(Waiting { tenant, due: None });
                    }
                    // A time in any case: the other may never ask again, and then no news would come.
                    return Err(Refusal::Turn(due.map_or(now, |due| due.max(now)) + LAPSE));
                }
            };
        }
    }

    /// Keeps a place for a tenant that was refused, or notes when the one that it has is due.
    pub fn wait(&mut self, tenant: TenantId, due: Option<Instant>) {
        match self.waiting.iter_mut().find(|waiting| waiting.tenant == tenant) {
            Some(waiting) => waiting.due = due,
            None => self.waiting.push_back(Waiting { tenant, due }),
        }
    }

    /// A tenant took a permit, which ends its turn. Returns who is next.
    pub fn took(&mut self, tenant: TenantId, now: Instant) -> Option<TenantId> {
        self.leave(tenant);
        let next = self.waiting.front_mut()?;
        // From now on its turn can lapse: it may have nothing to ask any more.
        next.due.get_or_insert(now);
        Some(next.tenant)
    }

    /// A permit has ended. Returns who waited for that.
    pub fn freed(&mut self, now: Instant) -> Option<TenantId> {
        let first = self.waiting.front_mut().filter(|first| first.due.is_none())?;
        first.due = Some(now);
        Some(first.tenant)
    }

    /// The law has changed: what was said of times holds no more. Returns all who wait.
    pub fn changed(&mut self, now: Instant) -> Vec<TenantId> {
        if let Some(first) = self.waiting.front_mut() {
            first.due = Some(now);
        }
        self.waiting.iter().map(|waiting| waiting.tenant).collect()
    }

    /// A tenant waits no more.
    pub fn leave(&mut self, tenant: TenantId) {
        self.waiting.retain(|waiting| waiting.tenant != tenant);
    }

    fn waits(&self, tenant: TenantId) -> bool {
        self.waiting.iter().any(|waiting| waiting.tenant == tenant)
    }
}
