//! Drops: which URLs were dropped, and why, so that a link on every page is counted as dropped once; and which of these
//! drops may be undone.

use hashbrown::HashMap;

use crate::{identity::Fingerprint, outcome::DropReason, request::Request};

/// The URLs that were dropped.
#[derive(Default)]
pub(super) struct Drops {
    reasons: HashMap<Fingerprint, DropReason>,
    /// Whether any were dropped for their host since hosts last came into the scope: links to them may be skipped.
    is_any_by_host: bool,
    /// Whether hosts have come into the scope after such drops.
    has_new_hosts: bool,
    /// Whether the scope was changed, so that what it dropped before may belong to it now.
    is_of_another_scope: bool,
}

/// Remembered drops, by fingerprint (24 MB); beyond it, a repeated drop is counted again.
const MAX_DROPS_REMEMBERED: usize = 1_000_000;

impl Drops {
    /// Returns why a request was dropped, if that is remembered.
    pub fn of(&self, fingerprint: &Fingerprint) -> Option<DropReason> {
        self.reasons.get(fingerprint).copied()
    }

    /// Adds a request that was not dropped before.
    pub fn add(&mut self, fingerprint: Fingerprint, reason: DropReason) {
        self.note_again(reason);
        if !self.is_full() {
            self.reasons.insert(fingerprint, reason);
        }
    }

    /// Takes note that a request was dropped before, for this reason.
    pub fn note_again(&mut self, reason: DropReason) {
        self.is_any_by_host |= reason == DropReason::Host;
    }

    /// Forgets the drop of a request that is admitted.
    pub fn remove(&mut self, fingerprint: &Fingerprint) {
        self.reasons.remove(fingerprint);
    }

    /// Adds what an earlier process has dropped as too deep.
    pub fn resume(&mut self, too_deep: impl Iterator<Item = Fingerprint>) {
        self.reasons.extend(too_deep.map(|fingerprint| (fingerprint, DropReason::Depth)));
    }

    /// Tells whether no more drops are remembered.
    pub fn is_full(&self) -> bool {
        self.reasons.len() >= MAX_DROPS_REMEMBERED
    }

    /// Takes note that a host has come into the scope. Tells whether links may be skipped that were dropped for their
    /// host.
    pub fn host_included(&mut self) -> bool {
        let is_any = std::mem::take(&mut self.is_any_by_host);
        self.has_new_hosts |= is_any;
        is_any
    }

    /// Takes note that the scope was changed.
    pub fn scope_changed(&mut self) {
        self.is_of_another_scope = true;
    }

    /// Tells whether some may have been dropped, and others admitted, under another scope.
    pub fn is_of_another_scope(&self) -> bool {
        self.is_of_another_scope
    }

    /// Tells whether a request may be admitted that was dropped before: by a shorter path, as a seed, whose host
    /// belongs to the scope from then on, where hosts have come into the scope since, and after a change of the scope.
    /// Other drops are final.
    pub fn may_be_undone(&self, reason: DropReason, request: &Request) -> bool {
        let is_seed = request.depth == 0 && request.parent.is_none() && reason != DropReason::Unchanged;
        let is_by_host = self.has_new_hosts && reason == DropReason::Host;
        reason == DropReason::Depth || is_seed || is_by_host || (self.is_of_another_scope && reason.is_by_scope())
    }
}
