//! AllowedPages: pages whose robots file has arrived and allows them. They are fetched before anything that is not
//! requested yet; otherwise a crawl of many domains would request all robots files first, and hold a page of every
//! domain until then.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    time::Instant,
};

use hashbrown::HashMap;

use crate::{domain::Domain, frontier::Leased, request::Request};

/// The pages, by domain. They stay on lease; each domain has at most as many as may wait for robots files.
#[derive(Default)]
pub struct AllowedPages {
    domains: HashMap<Domain, DomainPages>,
    /// When each domain is due; a place that differs from the one in its `Waiting` is stale.
    due: BinaryHeap<Reverse<(Instant, Domain)>>,
}

#[derive(Default)]
struct DomainPages {
    pages: VecDeque<Leased>,
    due: Option<Instant>,
}

impl AllowedPages {
    /// Adds a page that may be fetched.
    pub fn push(&mut self, domain: &Domain, leased: Leased) {
        self.domains.entry_ref(domain).or_default().pages.push_back(leased);
    }

    /// Takes the next page of a domain.
    pub fn pop(&mut self, domain: &Domain) -> Option<Leased> {
        let waiting = self.domains.get_mut(domain)?;
        let leased = waiting.pages.pop_front();
        if waiting.pages.is_empty() {
            self.domains.remove(domain);
        }
        leased
    }

    /// Tells whether the domain has a page here.
    pub fn has(&self, domain: &Domain) -> bool {
        self.domains.contains_key(domain)
    }

    /// Returns how many pages of a domain are here.
    pub fn count(&self, domain: &Domain) -> usize {
        self.domains.get(domain).map_or(0, |waiting| waiting.pages.len())
    }

    /// Returns how many pages of a domain go before the one that is looked for; `None` if it is not here.
    pub fn before(&self, domain: &Domain, is_it: &dyn Fn(&Request) -> bool) -> Option<usize> {
        self.domains.get(domain)?.pages.iter().position(|leased| is_it(&leased.request))
    }

    /// Takes all pages of a domain.
    pub fn take(&mut self, domain: &Domain) -> impl Iterator<Item = Leased> + use<> {
        self.domains.remove(domain).map(|waiting| waiting.pages).unwrap_or_default().into_iter()
    }

    /// Takes all pages.
    pub fn take_all(&mut self) -> impl Iterator<Item = Leased> + use<> {
        self.due.clear();
        std::mem::take(&mut self.domains).into_values().flat_map(|waiting| waiting.pages)
    }

    /// Schedules a domain at `at`, unless it is scheduled earlier. Tells whether it has a page here.
    pub fn schedule(&mut self, domain: &Domain, at: Instant) -> bool {
        let Some(waiting) = self.domains.get_mut(domain) else { return false };
        if waiting.due.is_none_or(|due| at < due) {
            waiting.due = Some(at);
            self.due.push(Reverse((at, domain.clone())));
        }
        true
    }

    /// Removes and returns the next domain due at or before `horizon`.
    pub fn pop_due(&mut self, horizon: Instant) -> Option<Domain> {
        if self.next_due()? > horizon {
            return None;
        }
        let Reverse((_, domain)) = self.due.pop()?;
        if let Some(waiting) = self.domains.get_mut(&domain) {
            waiting.due = None;
        }
        Some(domain)
    }

    /// Returns when the next domain is due.
    pub fn next_due(&mut self) -> Option<Instant> {
        loop {
            let Reverse((at, domain)) = self.due.peek()?;
            if self.domains.get(domain).is_some_and(|waiting| waiting.due == Some(*at)) {
                return Some(*at);
            }
            self.due.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;
    use crate::frontier::LeaseId;

    #[test]
    fn a_domain_comes_up_while_it_has_pages_at_the_earliest_of_its_instants() {
        let (mut allowed, now) = (AllowedPages::default(), Instant::now());
        let at = |seconds| now + Duration::from_secs(seconds);
        let [a, b] = ["a.org", "b.org"].map(Domain::new);
        assert!(!allowed.schedule(&a, now));
        for (id, domain) in [(1, &a), (2, &a), (3, &b)] {
            let request = Arc::new(Request::parse("http://a.org/").unwrap());
            allowed.push(domain, Leased { id: LeaseId(id), request, attempt: 1 });
        }
        assert!(allowed.schedule(&a, at(3)) && allowed.schedule(&a, at(1)) && allowed.schedule(&a, at(2)));
        assert!(allowed.schedule(&b, at(2)));
        assert_eq!((allowed.pop_due(now), allowed.next_due()), (None, Some(at(1))));
        assert_eq!(allowed.pop_due(at(1)), Some(a.clone()));
        assert_eq!([&a, &a, &a].map(|domain| allowed.pop(domain).map(|leased| leased.id.0)), [Some(1), Some(2), None]);
        assert_eq!((allowed.pop_due(at(9)), allowed.pop_due(at(9))), (Some(b.clone()), None), "without stale places");
        assert_eq!((allowed.has(&a), allowed.take(&b).count(), allowed.has(&b)), (false, 1, false));
    }
}
