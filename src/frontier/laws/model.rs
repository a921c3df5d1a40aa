//! Model: the specified behaviour of a frontier, in the simplest form. Knows no frontier.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use super::operations::DOMAINS;
use crate::{frontier::LeaseId, recrawl::Recrawl};

/// The entries and the seen-set of every domain.
#[derive(Clone)]
pub(super) struct Model {
    /// By name; names are numbered in the order of the offers.
    pub entries: BTreeMap<u32, ModelEntry>,
    /// When each page was last admitted.
    pub seen: BTreeMap<(u8, u8), Instant>,
    /// The domains that this process owns.
    pub held: BTreeSet<u8>,
    /// Requests sent to the owner of their domain, and not admitted yet.
    pub sent: Vec<Offer>,
}

#[derive(Clone)]
pub(super) struct ModelEntry {
    pub domain: u8,
    pub rank: i32,
    pub attempts: u32,
    pub until: Option<Instant>,
    pub lease: Option<LeaseId>,
}

#[derive(Clone, Copy)]
pub(super) struct Offer {
    pub name: u32,
    pub domain: u8,
    pub page: u8,
    pub rank: i32,
    pub dont_filter: bool,
}

impl Model {
    pub fn new() -> Self {
        Self { entries: BTreeMap::new(), seen: BTreeMap::new(), held: (0..DOMAINS).collect(), sent: Vec::new() }
    }

    /// Tells whether a page was seen and is not due again.
    pub fn has_seen(&self, domain: u8, page: u8, recrawl: &Recrawl, now: Instant) -> bool {
        let is_due =
            |at: &Instant| recrawl.revisit_after.is_some_and(|after| now.saturating_duration_since(*at) > after);
        self.seen.get(&(domain, page)).is_some_and(|at| !is_due(at))
    }

    /// Admits an offer unless it was seen.
    pub fn offer(&mut self, offer: Offer, recrawl: &Recrawl, now: Instant) -> bool {
        let Offer { name, domain, page, rank, dont_filter } = offer;
        if !dont_filter && self.has_seen(domain, page, recrawl, now) {
            return false;
        }
        self.seen.insert((domain, page), now);
        self.entries.insert(name, ModelEntry { domain, rank, attempts: 0, until: None, lease: None });
        true
    }

    /// Ends the leases of a domain, or of all: a lease cut short is no attempt.
    pub fn end_loans(&mut self, domain: Option<u8>) {
        for entry in self.entries.values_mut() {
            if domain.is_none_or(|domain| entry.domain == domain) {
                entry.lease = None;
            }
        }
    }

    /// Returns the entry that must be leased next, if any.
    pub fn first(&self, domain: u8, now: Instant) -> Option<u32> {
        let may_go = |entry: &(&u32, &ModelEntry)| entry.1.until.is_none_or(|until| until <= now);
        let order = |(name, entry): &(&u32, &ModelEntry)| (entry.rank, u32::MAX - **name);
        self.waiting(domain).filter(may_go).max_by_key(order).map(|(name, _)| *name)
    }

    /// Returns the waiting entries of a domain; none if another process owns it.
    pub fn waiting(&self, domain: u8) -> impl Iterator<Item = (&u32, &ModelEntry)> {
        let is_held = self.held.contains(&domain);
        self.entries.iter().filter(move |(_, entry)| is_held && entry.domain == domain && entry.lease.is_none())
    }

    /// Returns the leased entries.
    pub fn leased(&self) -> impl Iterator<Item = (&u32, LeaseId)> {
        self.entries.iter().filter_map(|(name, entry)| Some((name, entry.lease?)))
    }
}
