//! Budget: how many pages the crawl and each domain may have. A page counts from when its request is granted, so that a
//! limit is met exactly, and no longer if it fails. Knows no requests.

use hashbrown::HashMap;

use crate::domain::Domain;

/// The pages of a crawl against their limits.
#[derive(Debug, Default)]
pub struct Budget {
    max: Option<u64>,
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
    /// No more, unless a page in flight fails.
    Reserved,
    /// No more.
    Used,
}

impl Pages {
    fn spending(self, max: Option<u64>) -> Spending {
        match max {
            Some(max) if self.done >= max => Spending::Used,
            Some(max) if self.done + self.lent >= max => Spending::Reserved,
            _ => Spending::Open,
        }
    }
}

impl Budget {
    /// Creates a budget; `None` is no limit.
    pub fn new(max: Option<u64>, max_per_domain: Option<u64>) -> Self {
        Self { max, max_per_domain, ..Self::default() }
    }

    /// Counts a page whose request is granted.
    pub fn lent(&mut self, domain: &Domain) {
        self.all.lent += 1;
        if self.max_per_domain.is_some() {
            self.domains.entry_ref(domain).or_default().lent += 1;
        }
    }

    /// Counts a page that has ended. Only one that ended well uses the budget up.
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

    /// Counts the pages of a domain that were done before this process.
    pub fn resume_domain(&mut self, domain: &Domain, done: u64) {
        if self.max_per_domain.is_some() {
            self.domains.entry_ref(domain).or_default().done = done;
        }
    }

    /// Tells whether there is any limit.
    pub fn is_limited(&self) -> bool {
        self.max.is_some() || self.max_per_domain.is_some()
    }

    /// Returns how many pages of a domain ended well; `None` where they are not counted.
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
        self.all.spending(self.max)
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
