//! SharedSessions: what all sessions of a pool share: slots, cookies, and the file of both. Chooses no session.

mod storage;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

pub(super) use self::storage::Storage;
use super::{
    cookies::{AllCookies, Cookies},
    saved::Saved,
    slot::{Slot, SlotRules},
};
use crate::{domain::Domain, error::Result};

/// What all sessions share.
pub struct SharedSessions {
    pub(super) rules: SlotRules,
    pub(super) blocked_by: Vec<u16>,
    pub(super) blocked_at: Vec<String>,
    pub(super) slots: Mutex<Slots>,
    /// Is notified when a log-in has ended.
    pub(super) news: Notify,
    pub(super) cookies_in_all: Arc<AllCookies>,
    pub(super) storage: Option<Storage>,
    /// How many requests log-ins have sent to each domain.
    pub(super) log_in_requests: Mutex<BTreeMap<Domain, u64>>,
}

/// The most domains that the requests of log-ins are counted for: a log-in asks one or two.
const MAX_LOG_IN_DOMAINS: usize = 1_000;

/// The slots of all sessions.
pub struct Slots {
    pub(super) by_name: BTreeMap<Arc<str>, Slot>,
    /// How many are in the pool.
    pub(super) members: usize,
    /// The member whose turn is next.
    pub(super) turn: usize,
}

impl SharedSessions {
    /// Takes note that cookies have changed.
    pub(super) fn have_changed(self: &Arc<Self>) {
        if let Some(storage) = &self.storage {
            storage.save_soon(self);
        }
    }

    pub(super) fn log_in_requested(&self, domain: &Domain) {
        let mut requests = self.log_in_requests();
        if requests.len() < MAX_LOG_IN_DOMAINS || requests.contains_key(domain) {
            *requests.entry(domain.clone()).or_default() += 1;
        }
    }

    pub(super) fn log_in_requests(&self) -> MutexGuard<'_, BTreeMap<Domain, u64>> {
        // Nothing that is done under it panics.
        self.log_in_requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn save_changes(&self) -> Result<()> {
        self.storage.as_ref().map_or(Ok(()), |storage| storage.save_changes(|| self.saved()))
    }

    pub(super) fn saved(&self) -> Saved {
        // Listed without the lock, which every request takes.
        let slots: Vec<_> = {
            let slots = self.slots();
            slots.by_name.iter().map(|(name, slot)| (name.to_string(), slot.given, slot.cookies.clone())).collect()
        };
        Saved::of(slots.into_iter().map(|(name, given, cookies)| (name, given, cookies.list(None))))
    }

    pub(super) fn fresh(&self) -> Arc<Cookies> {
        Cookies::new(&self.cookies_in_all)
    }

    pub(super) fn slots(&self) -> MutexGuard<'_, Slots> {
        // Nothing that is done under it panics.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for SharedSessions {
    /// A client has no end but this.
    fn drop(&mut self) {
        if let Err(error) = self.save_changes() {
            tracing::warn!(%error, "the cookies of sessions could not be saved");
        }
    }
}
