//! Lease: the guard of a loan. Dropped unsettled, it gives its entry back. Knows no frontier and no scheduler.

use std::{fmt, sync::Arc};

use super::Leased;
use crate::request::Request;

/// One frontier entry on loan. If it is dropped unsettled, the entry waits again.
#[must_use = "a lease that is dropped gives its request back"]
pub struct Lease {
    leased: Leased,
    returned: Option<Arc<dyn Returned>>,
}

/// Is told that a lease was dropped unsettled.
pub trait Returned: Send + Sync {
    /// Takes the news; it must not block.
    fn returned(&self, leased: Leased);
}

impl Lease {
    /// Makes a guard of a loan.
    pub fn new(leased: Leased, returned: Arc<dyn Returned>) -> Self {
        Self { leased, returned: Some(returned) }
    }

    /// Returns what is to be fetched.
    pub fn request(&self) -> &Arc<Request> {
        &self.leased.request
    }

    /// Ends the guard: from here on the scheduler answers for the loan.
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
