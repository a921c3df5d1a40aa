//! Paused: the domains that nobody who shares a registry of conducts may ask for now. Knows no gates.

use std::sync::{
    PoisonError, RwLock,
    atomic::{AtomicBool, Ordering},
};

use crate::{
    domain::{Domain, by_pattern::ByPattern},
    error::Result,
};

/// The paused domains, by name or pattern.
#[derive(Debug, Default)]
pub(crate) struct Paused {
    /// Whether there may be some: each grant asks.
    some: AtomicBool,
    domains: RwLock<ByPattern<()>>,
}

impl Paused {
    /// Tells whether a domain is paused.
    pub fn has(&self, domain: &Domain) -> bool {
        self.some.load(Ordering::Acquire)
            && self.domains.read().unwrap_or_else(PoisonError::into_inner).of(domain).is_some()
    }

    /// Pauses or resumes the domains that a pattern matches; of several patterns, what was said last holds.
    ///
    /// # Errors
    /// Too many are paused apart. Nothing was changed.
    pub fn set(&self, pattern: &str, is_paused: bool) -> Result<()> {
        let mut domains = self.domains.write().unwrap_or_else(PoisonError::into_inner);
        domains.set(pattern, is_paused.then_some(()))?;
        self.some.store(!domains.is_empty(), Ordering::Release);
        Ok(())
    }
}
