//! Places: the places in flight that a crawl takes of a shared capacity, and whether it waits for one. Without such a
//! capacity there is always a place.

use std::{sync::Arc, time::Instant};

use crate::capacity::{Capacity, CapacityTenant, HasRoom, Place};

/// The crawl's turn at the places.
#[derive(Default)]
pub struct Places {
    tenant: Option<(CapacityTenant, Arc<dyn HasRoom>)>,
    /// When to ask again at the latest, after a refusal.
    refused_until: Option<Instant>,
}

impl Places {
    /// Takes turns at a capacity, which tells `listener` of room.
    pub fn of(capacity: &Capacity, listener: Arc<dyn HasRoom>) -> Self {
        Self { tenant: Some((capacity.join(&listener), listener)), refused_until: None }
    }

    /// Takes a place; `None` if there is no capacity to share.
    ///
    /// # Errors
    /// All are taken, or others go first: [`Places::has_room`] follows.
    pub fn take(&mut self, now: Instant) -> Result<Option<Place>, ()> {
        let Some((tenant, _)) = &self.tenant else { return Ok(None) };
        let taken = tenant.take(now);
        self.refused_until = taken.as_ref().err().copied();
        taken.map(Some).map_err(drop)
    }

    /// It is the crawl's turn to take a place.
    pub fn has_room(&mut self) {
        self.refused_until = None;
    }

    /// Leaves its turn to others: nothing is granted for now.
    pub fn pass(&mut self) {
        self.refused_until = None;
        if let Some((tenant, _)) = &self.tenant {
            tenant.pass();
        }
    }

    /// Tells whether it makes sense to ask for a place.
    pub fn allow(&self, now: Instant) -> bool {
        self.refused_until.is_none_or(|until| until <= now)
    }

    /// Returns when to ask for a place for a request that is due at `due`.
    pub fn not_before(&self, due: Instant) -> Instant {
        self.refused_until.map_or(due, |until| until.max(due))
    }
}
