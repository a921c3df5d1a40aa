//! Lease: the guard of a leased entry. Dropped unsettled, it returns the entry. Knows no frontier and no scheduler.

use std::{fmt, sync::Arc};

use super::{LeaseId, Leased};
use crate::request::Request;

/// One leased frontier entry. If dropped unsettled, the entry is queued again.
#[must_use = "a lease that is dropped gives its request back"]
pub struct Lease {
    leased: Leased,
    returned: Option<Arc<dyn Returned>>,
}

/// Is notified when a lease is dropped unsettled.
pub trait Returned: Send + Sync {
    /// Receives the dropped lease; must not block.
    fn returned(&self, leased: Leased);
}

/// Nobody takes leases back.
#[cfg(test)]
impl Returned for () {
    fn returned(&self, _: Leased) {}
}

impl Lease {
    /// Creates a guard.
    pub fn new(leased: Leased, returned: Arc<dyn Returned>) -> Self {
        Self { leased, returned: Some(returned) }
    }

    /// Returns the request to be fetched.
    pub fn request(&self) -> &Arc<Request> {
        &self.leased.request
    }

    /// Returns the ID of the lease.
    pub fn id(&self) -> LeaseId {
        self.leased.id
    }

    /// Returns the number of this attempt, counted from 1.
    pub fn attempt(&self) -> u32 {
        self.leased.attempt
    }

    /// Ends the guard: the scheduler is responsible for the lease from now on.
    pub fn settle(mut self) -> Leased {
        self.returned = None;
        self.leased.clone()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(returned) = self.returned.take() {
            returned.returned(self.leased.clone());
        }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.leased.fmt(f)
    }
}
