//! RefusedRequests: counts the refusals of each waiting request, to find one that its domain refuses while it answers
//! others. Knows no conduct and no queues.

use hashbrown::{HashMap, hash_map::EntryRef};

use crate::{domain::Domain, identity::Fingerprint, request::Request};

/// The refusals of requests that wait for another attempt. It is in memory only: a later process counts anew.
#[derive(Default)]
pub struct RefusedRequests {
    domains: HashMap<Domain, HashMap<Fingerprint, u8>>,
    requests: usize,
}

/// The most requests whose refusals are counted (1 MB); beyond it, all are counted anew.
const MAX_COUNTED: usize = 10_000;

impl RefusedRequests {
    /// Returns how often a request was refused so far.
    pub fn count(&self, domain: &Domain, request: &Request) -> u8 {
        // Most domains never refuse, so few fingerprints are made.
        self.domains.get(domain).and_then(|requests| requests.get(&request.fingerprint()).copied()).unwrap_or(0)
    }

    /// Counts a refusal.
    pub fn note(&mut self, domain: &Domain, request: &Request) {
        if self.requests >= MAX_COUNTED {
            *self = Self::default();
        }
        let requests = self.domains.entry_ref(domain).or_default();
        let count = requests.entry(request.fingerprint()).or_default();
        self.requests += usize::from(*count == 0);
        *count = count.saturating_add(1);
    }

    /// Forgets a request that is over.
    pub fn settled(&mut self, domain: &Domain, request: &Request) {
        if let EntryRef::Occupied(mut requests) = self.domains.entry_ref(domain)
            && requests.get_mut().remove(&request.fingerprint()).is_some()
        {
            self.requests -= 1;
            if requests.get().is_empty() {
                requests.remove();
            }
        }
    }

    /// Forgets the requests of a domain that is given up: they end with it.
    pub fn given_up(&mut self, domain: &Domain) {
        self.requests -= self.domains.remove(domain).map_or(0, |requests| requests.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_count_until_the_request_or_its_domain_is_over() {
        let (mut refused, a) = (RefusedRequests::default(), Domain::new("a.org"));
        let [one, other] = ["http://a.org/1", "http://a.org/2"].map(|url| Request::parse(url).unwrap());
        for request in [&one, &one, &other] {
            refused.note(&a, request);
        }
        assert_eq!([&one, &other].map(|request| refused.count(&a, request)), [2, 1]);
        refused.settled(&a, &one);
        assert_eq!(([&one, &other].map(|request| refused.count(&a, request)), refused.requests), ([0, 1], 1));
        refused.given_up(&a);
        assert!(refused.domains.is_empty() && refused.requests == 0);
        for number in 0..2 * MAX_COUNTED {
            refused.note(&a, &Request::parse(&format!("http://a.org/{number}")).unwrap());
        }
        assert!(refused.requests <= MAX_COUNTED);
    }
}
