//! DomainQueues: the queues of all domains of a client, and its limits there. Knows no network.

use std::{
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError, RwLock, Weak},
};

use dashmap::DashMap;
use url::Url;

use super::domain_queue::{Dispatcher, DomainQueue};
use crate::{
    clock,
    conduct::{Terms, throttle::Evidence},
    conducts::{Conducts, Tenant},
    domain::Domain,
    politeness::{Override, Politeness},
    rate::Rate,
};

/// One queue for each domain in use, or used so recently that its state still matters.
pub struct DomainQueues {
    table: DashMap<Domain, Arc<DomainQueue>>,
    tenant: Tenant,
    politeness: RwLock<Politeness>,
    /// Held during a whole change, so that of two concurrent changes the later is the later on every queue too.
    changing: Mutex<()>,
    adaptive: bool,
}

impl DomainQueues {
    /// Creates it empty; with `adaptive`, the rate of each domain is searched for.
    pub fn new(conducts: &Conducts, politeness: Politeness, adaptive: bool) -> Self {
        let tenant = conducts.tenant(&politeness.domain_key);
        let (politeness, changing) = (RwLock::new(politeness), Mutex::default());
        Self { table: DashMap::new(), tenant, politeness, changing, adaptive }
    }

    /// Returns the domain whose limit a request to `url` uses.
    pub fn domain(&self, url: &Url) -> Domain {
        self.read(|politeness| politeness.domain_key.domain(url))
    }

    /// Returns the queue of a domain.
    pub fn queue(&self, domain: &Domain, dispatcher: Weak<dyn Dispatcher>) -> Arc<DomainQueue> {
        if let Some(queue) = self.table.get(domain) {
            return queue.clone();
        }
        let open = || {
            let terms = self.read(|politeness| self.terms(politeness, domain));
            DomainQueue::new(&self.tenant, domain, terms, dispatcher)
        };
        self.table.entry(domain.clone()).or_insert_with(open).clone()
    }

    /// Removes a queue whose domain's conduct is kept without it.
    pub fn forget(&self, queue: &Arc<DomainQueue>) -> bool {
        let domain = queue.tenancy().domain();
        self.table.remove_if(domain, |_, known| Arc::ptr_eq(known, queue) && queue.close_if_idle()).is_some()
    }

    /// Returns the evidence of this client's requests to `domain`, since it was last forgotten.
    pub fn evidence(&self, domain: &Domain) -> Option<Evidence> {
        Some(self.table.get(domain)?.tenancy().evidence())
    }

    /// Changes the rate of all domains without an override.
    pub fn set_rate(&self, rate: Rate) {
        self.change(|politeness| politeness.rate = Some(rate.within_a_day()));
    }

    /// Changes the rate of the domains that a pattern matches.
    pub fn set_rate_of(&self, pattern: &str, rate: Rate) {
        let rate = rate.within_a_day();
        self.change(|politeness| {
            let known = politeness.overrides.iter().position(|given| given.domain.eq_ignore_ascii_case(pattern));
            if let Some(given) = known.and_then(|index| politeness.overrides.get_mut(index)) {
                given.rate = Some(rate);
                return;
            }
            let given = Override { domain: pattern.to_owned(), rate: Some(rate), ..Override::default() };
            // The first match wins, and this is the latest change.
            politeness.overrides.insert(0, given);
        });
    }

    /// Changes how many requests may be in flight to each domain.
    pub fn set_concurrency(&self, in_flight: NonZeroU32) {
        self.change(|politeness| politeness.per_domain = in_flight);
    }

    /// Returns how many requests may be in flight to each domain without an override.
    pub fn concurrency(&self) -> usize {
        self.read(|politeness| politeness.per_domain.get() as usize)
    }

    fn change(&self, change: impl FnOnce(&mut Politeness)) {
        let changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut politeness = self.politeness.write().unwrap_or_else(PoisonError::into_inner);
        let old = politeness.clone();
        change(&mut politeness);
        let new = politeness.clone();
        drop(politeness);
        let mut queues: Vec<_> = self.table.iter().map(|entry| entry.value().clone()).collect();
        queues.retain(|queue| {
            let domain = queue.tenancy().domain();
            let (before, after) = (self.terms(&old, domain), self.terms(&new, domain));
            let is_changed = before != after;
            if is_changed {
                queue.tenancy().set_terms(after, clock::now());
            }
            is_changed
        });
        drop(changing);
        // Served only now: a queue that grants may end permits, which notify other queues.
        for queue in queues {
            queue.call_next();
        }
    }

    fn terms(&self, politeness: &Politeness, domain: &Domain) -> Terms {
        Terms { adaptive: self.adaptive, may_change: true, ..Terms::of(politeness.limits(domain)) }
    }

    fn read<T>(&self, read: impl FnOnce(&Politeness) -> T) -> T {
        read(&self.politeness.read().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use std::{thread, time::Duration};

    use super::*;
    use crate::client::ThrottledClient;

    /// Regression: the first change was still being applied to queues when the second was done, and reverted it.
    #[test]
    fn of_two_changes_at_once_every_queue_keeps_the_later() {
        let client = ThrottledClient::builder("queuestest/1.0 (+https://example.org/bot)").conducts(&Conducts::new());
        let client = client.rate(Rate::per_second(1)).build().unwrap();
        let queues = &client.shared.queues;
        for domain in ["one.test", "two.test"] {
            client.shared.queue(&Domain::new(domain));
        }
        let opened: Vec<_> = queues.table.iter().map(|entry| entry.value().clone()).collect();
        let [first, last] = opened.as_slice() else { panic!("two queues") };
        thread::scope(|scope| {
            let held = first.tenancy().hold();
            scope.spawn(|| queues.set_rate(Rate::per_second(10)));
            while queues.read(|politeness| politeness.rate) != Some(Rate::per_second(10)) {
                thread::yield_now();
            }
            let second = scope.spawn(|| queues.set_rate_of(last.tenancy().domain().as_str(), Rate::per_second(20)));
            // Time in which the second change must not overtake.
            thread::sleep(Duration::from_millis(20));
            assert!(!second.is_finished());
            drop(held);
        });
        let rate_of = |queue: &DomainQueue| queue.tenancy().limits().rate;
        assert_eq!((rate_of(first), rate_of(last)), (Rate::per_second(10), Rate::per_second(20)));
    }
}
