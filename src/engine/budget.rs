//! Budget: how many pages the crawl and each domain may have. Counts a page when its request is lent and again when it
//! has ended, so that a limit is met exactly.

use hashbrown::HashMap;

use crate::domain::Domain;

/// The pages of a crawl against their limits.
#[derive(Debug, Default)]
pub struct Budget {
    most: Option<u64>,
    max_per_domain: Option<u64>,
    all: Pages,
    domains: HashMap<Domain, Pages>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Pages {
    lent: u64,
    done: u64,
}

/// What a budget still allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Spending {
    /// More pages.
    Open,
    /// None, unless one that is in flight fails.
    Reserved,
    /// None any more.
    Used,
}

impl Pages {
    fn spending(self, most: Option<u64>) -> Spending {
        match most {
            Some(most) if self.done >= most => Spending::Used,
            Some(most) if self.done + self.lent >= most => Spending::Reserved,
            _ => Spending::Open,
        }
    }
}

impl Budget {
    /// Creates a budget; `None` is no limit.
    pub fn new(most: Option<u64>, max_per_domain: Option<u64>) -> Self {
        Self { most, max_per_domain, ..Self::default() }
    }

    /// Counts a page that is lent.
    pub fn lent(&mut self, domain: &Domain) {
        self.all.lent += 1;
        if self.max_per_domain.is_some() {
            self.domains.entry_ref(domain).or_default().lent += 1;
        }
    }

    /// Counts a page that has ended; only one that ended well is spent.
    pub fn ended(&mut self, domain: &Domain, ok: bool) {
        self.all.end(ok);
        if let Some(pages) = self.domains.get_mut(domain) {
            pages.end(ok);
        }
    }

    /// Counts the pages that were done before this process.
    pub fn resume(&mut self, done: u64) {
        self.all.done = done;
    }

    /// As [`Budget::resume`], for a domain.
    pub fn resume_domain(&mut self, domain: &Domain, done: u64) {
        if self.max_per_domain.is_some() {
            self.domains.entry_ref(domain).or_default().done = done;
        }
    }

    /// Tells whether there is any limit.
    pub fn is_limited(&self) -> bool {
        self.most.is_some() || self.max_per_domain.is_some()
    }

    /// Returns the pages of a domain, where they are counted.
    pub fn pages(&self, domain: &Domain) -> Option<u64> {
        self.domains.get(domain).map(|pages| pages.done)
    }

    /// Tells what the budget allows a domain.
    pub fn of(&self, domain: &Domain) -> Spending {
        let of_domain = self.domains.get(domain).copied().unwrap_or_default();
        self.of_all().max(of_domain.spending(self.max_per_domain))
    }

    /// Tells what the budget allows in all.
    pub fn of_all(&self) -> Spending {
        self.all.spending(self.most)
    }
}

impl Pages {
    fn end(&mut self, ok: bool) {
        self.lent = self.lent.saturating_sub(1);
        self.done += u64::from(ok);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_met_exactly_also_when_pages_fail() {
        let domain = Domain::new("e.org");
        let mut budget = Budget::new(Some(2), None);
        budget.lent(&domain);
        budget.lent(&domain);
        assert_eq!(budget.of(&domain), Spending::Reserved);
        budget.ended(&domain, false);
        assert_eq!(budget.of(&domain), Spending::Open);
        budget.ended(&domain, true);
        budget.lent(&domain);
        budget.ended(&domain, true);
        assert_eq!(budget.of(&domain), Spending::Used);
    }

    #[test]
    fn domains_have_their_own_limits() {
        let (one, other) = (Domain::new("one.org"), Domain::new("other.org"));
        let mut budget = Budget::new(None, Some(1));
        budget.lent(&one);
        budget.ended(&one, true);
        assert_eq!((budget.of(&one), budget.of(&other)), (Spending::Used, Spending::Open));
    }
}
