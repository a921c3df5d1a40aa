//! Budget: the limits on pages and requests of a crawl, and on pages of each domain. Counts a request when a fetcher
//! gets it and again when it ends, so that a limit is met exactly. Knows no queue and no clock.

use hashbrown::{HashMap, hash_map::Entry};
use xxhash_rust::xxh3::xxh3_64;

use crate::{
    domain::{Domain, by_domain::ByDomain},
    frontier::shared::Allowance,
    scope::Scope,
};

/// What a crawl has used of its limits.
#[derive(Debug, Default)]
pub struct Budget {
    max_pages: Option<u64>,
    max_requests: Option<u64>,
    max_per_domain: Option<u64>,
    /// The limits of domains that have their own settings.
    own: ByDomain<Option<u64>>,
    /// Whether earlier processes have used some of it.
    is_resumed: bool,
    pages: Used,
    requests: Used,
    /// The requests of each domain that are with fetchers, by the hash of its name: a crawl may know millions.
    lent: HashMap<u64, u64>,
    /// The pages of each domain, by the same.
    done: HashMap<u64, u64>,
    /// Whether the pages of domains without a limit are counted too, for a later process that may have one.
    counts_all: bool,
    /// This machine's share of the limits of the crawl; `None` if it has them all.
    share: Option<LimitShare>,
}

/// What a machine may use of limits that several share.
#[derive(Debug, Default)]
struct LimitShare {
    drawn: Allowance<u64>,
    used_up: Allowance<bool>,
}

/// The use of one limit.
#[derive(Clone, Copy, Debug, Default)]
struct Used {
    lent: u64,
    done: u64,
}

/// With less than this left of what it has drawn, a machine draws more: about as many pages as are in flight.
const MIN_LEFT: u64 = 16;

/// What a budget still allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Spending {
    /// More requests are allowed.
    Open,
    /// No more now: the requests in flight may use the rest.
    Reserved,
    /// No more: the limit is used up.
    Used,
}

impl Budget {
    /// Creates a budget of pages; `None` means no limit.
    pub fn new(max_pages: Option<u64>, max_per_domain: Option<u64>) -> Self {
        Self { max_pages, max_per_domain, ..Self::default() }
    }

    /// Creates the budget of a scope.
    pub fn of_scope(scope: &Scope) -> Self {
        let mut budget = Self::default();
        budget.set_limits(scope);
        budget
    }

    /// Also limits the requests: every request for a page counts, whatever its outcome.
    #[cfg(test)]
    #[must_use]
    pub fn with_max_requests(mut self, max_requests: Option<u64>) -> Self {
        self.max_requests = max_requests;
        self
    }

    /// Changes the limits. Pages of domains are counted from the first time that they are limited.
    pub fn set_limits(&mut self, scope: &Scope) {
        self.max_pages = scope.max_pages;
        self.max_requests = scope.max_requests;
        self.max_per_domain = scope.max_pages_per_domain;
    }

    /// Sets the limits of domains that have their own.
    #[must_use]
    pub fn with_own(mut self, own: ByDomain<Option<u64>>) -> Self {
        self.own = own;
        self
    }

    /// Counts the pages of all domains, also of those without a limit.
    pub fn count_all(&mut self) {
        self.counts_all = true;
    }

    fn max_of(&self, domain: &Domain) -> Option<u64> {
        self.own.get(domain.as_str()).copied().flatten().or(self.max_per_domain)
    }

    /// Counts a request given to a fetcher.
    pub fn lent(&mut self, domain: &Domain) {
        self.pages.lent += 1;
        self.requests.lent += 1;
        // Also without a limit: one that is set meanwhile counts what is in flight.
        *self.lent.entry(hash_of(domain)).or_default() += 1;
    }

    /// Counts a sent request. Called before [`Budget::ended`], and not for a request that came back unsent.
    pub fn sent(&mut self) {
        self.requests.done += 1;
    }

    /// Counts a request that ended; it uses up a page only if it returned one.
    pub fn ended(&mut self, domain: &Domain, is_page: bool) {
        self.requests.end(false);
        self.pages.end(is_page);
        if let Entry::Occupied(mut lent) = self.lent.entry(hash_of(domain)) {
            *lent.get_mut() -= 1;
            if *lent.get() == 0 {
                lent.remove();
            }
        }
        if is_page && self.counts(domain) {
            *self.done.entry(hash_of(domain)).or_default() += 1;
        }
    }

    /// Counts the pages and requests of earlier processes.
    pub fn resume(&mut self, pages: u64, requests: u64) {
        (self.pages.done, self.requests.done) = (pages, requests);
        self.is_resumed = true;
    }

    /// Tells whether earlier processes have used some of it.
    pub fn is_resumed(&self) -> bool {
        self.is_resumed
    }

    /// Begins to share the limits on all pages and requests with other machines: what may be used of them has to be
    /// drawn.
    pub fn share(&mut self) {
        self.share = Some(LimitShare::default());
        self.is_resumed = true;
    }

    /// Adds what was drawn of the limits, and sets which of them all machines together have used up.
    pub fn drawn(&mut self, drawn: Allowance<u64>, used_up: Allowance<bool>) {
        let share = self.share.get_or_insert_default();
        share.drawn.pages += drawn.pages;
        share.drawn.requests += drawn.requests;
        share.used_up = used_up;
    }

    /// Returns the limits on all pages and requests of the crawl.
    pub fn limits(&self) -> Allowance<Option<u64>> {
        Allowance { pages: self.max_pages, requests: self.max_requests }
    }

    /// Tells whether this machine should draw more: it has little left, and there may be more.
    pub fn needs_more(&self) -> bool {
        let Some(LimitShare { drawn, used_up }) = &self.share else { return false };
        let is_low = |used: Used, drawn: u64| used.left(Some(drawn)).is_some_and(|left| left < MIN_LEFT);
        let pages = self.max_pages.is_some() && !used_up.pages && is_low(self.pages, drawn.pages);
        let requests = self.max_requests.is_some() && !used_up.requests && is_low(self.requests, drawn.requests);
        pages || requests
    }

    /// Gives back what was drawn and is not used: half of it, or all if nothing waits here.
    pub fn give_back(&mut self, all: bool) -> Allowance<u64> {
        let Some(LimitShare { drawn, .. }) = &mut self.share else { return Allowance::default() };
        let part = |used: Used, drawn: &mut u64| {
            let left = used.left(Some(*drawn)).unwrap_or(0);
            let given = if all { left } else { left / 2 };
            *drawn -= given;
            given
        };
        Allowance { pages: part(self.pages, &mut drawn.pages), requests: part(self.requests, &mut drawn.requests) }
    }

    /// Forgets the pages of a domain that belongs to another machine now.
    pub fn domain_lost(&mut self, domain: &Domain) {
        self.lent.remove(&hash_of(domain));
        self.done.remove(&hash_of(domain));
    }

    /// Returns the limit that may have held requests back when the crawl has ended: one that is used up, or else one of
    /// single domains.
    pub fn ended_by(&self) -> Option<String> {
        let used = |name: &str, spending: Spending, max: Option<u64>| {
            max.filter(|_| spending == Spending::Used).map(|max| format!("{name}() of {max}"))
        };
        let of_all = used("max_pages", self.of_pages(), self.max_pages);
        let of_all = of_all.or_else(|| used("max_requests", self.of_requests(), self.max_requests));
        let of_domains = || self.max_per_domain.map(|max| format!("max_pages_per_domain() of {max}"));
        let of_own = || (!self.own.is_empty()).then(|| "max_pages of a domain of its own settings".to_owned());
        of_all.or_else(of_domains).or_else(of_own)
    }

    /// Counts the pages of a domain from earlier processes.
    pub fn resume_domain(&mut self, domain: &Domain, pages: u64) {
        if pages > 0 && self.counts(domain) {
            self.done.insert(hash_of(domain), pages);
        }
    }

    /// Tells whether there is any limit.
    pub fn is_limited(&self) -> bool {
        self.max_pages.is_some() || self.max_requests.is_some() || self.max_per_domain.is_some() || !self.own.is_empty()
    }

    /// Returns how many pages of a domain were fetched; `None` if they are not counted.
    pub fn pages(&self, domain: &Domain) -> Option<u64> {
        self.counts(domain).then(|| self.used_of(domain).done)
    }

    fn counts(&self, domain: &Domain) -> bool {
        self.counts_all || self.max_of(domain).is_some()
    }

    fn used_of(&self, domain: &Domain) -> Used {
        let count = |number: Option<&u64>| number.copied().unwrap_or(0);
        Used { lent: count(self.lent.get(&hash_of(domain))), done: count(self.done.get(&hash_of(domain))) }
    }

    /// Returns what the budget allows a domain.
    pub fn of(&self, domain: &Domain) -> Spending {
        let of_domain = self.max_of(domain).map(|max| self.used_of(domain).against(Some(max)));
        self.of_all().max(of_domain.unwrap_or(Spending::Open))
    }

    /// Returns how many more pages of a domain may be requested now; `None` without a limit.
    pub fn left(&self, domain: &Domain) -> Option<u64> {
        let all = [
            self.pages.left(self.max_pages.map(|max| self.share.as_ref().map_or(max, |share| share.drawn.pages))),
            self.requests
                .left(self.max_requests.map(|max| self.share.as_ref().map_or(max, |share| share.drawn.requests))),
            self.max_of(domain).and_then(|max| self.used_of(domain).left(Some(max))),
        ];
        all.into_iter().flatten().min()
    }

    /// Returns what the limits on all pages and requests allow.
    pub fn of_all(&self) -> Spending {
        self.of_pages().max(self.of_requests())
    }

    fn of_pages(&self) -> Spending {
        match (&self.share, self.max_pages) {
            (Some(share), Some(_)) => self.pages.against_drawn(share.drawn.pages, share.used_up.pages),
            (_, max) => self.pages.against(max),
        }
    }

    /// Returns what the limit on requests alone allows.
    pub fn of_requests(&self) -> Spending {
        match (&self.share, self.max_requests) {
            (Some(share), Some(_)) => self.requests.against_drawn(share.drawn.requests, share.used_up.requests),
            (_, max) => self.requests.against(max),
        }
    }
}

impl Used {
    fn end(&mut self, counts: bool) {
        self.lent = self.lent.saturating_sub(1);
        self.done += u64::from(counts);
    }

    fn left(self, max: Option<u64>) -> Option<u64> {
        max.map(|max| max.saturating_sub(self.done + self.lent))
    }

    /// What has been drawn of a limit may be used up here before the limit is everywhere: then more may come.
    fn against_drawn(self, drawn: u64, is_used_up: bool) -> Spending {
        match self.against(Some(drawn)) {
            _ if is_used_up => Spending::Used,
            Spending::Open => Spending::Open,
            Spending::Reserved | Spending::Used => Spending::Reserved,
        }
    }

    fn against(self, max: Option<u64>) -> Spending {
        match max {
            Some(max) if self.done >= max => Spending::Used,
            Some(max) if self.done + self.lent >= max => Spending::Reserved,
            _ => Spending::Open,
        }
    }
}

fn hash_of(domain: &Domain) -> u64 {
    xxh3_64(domain.as_str().as_bytes())
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
    fn the_limit_that_is_used_up_is_named() {
        let mut budget = Budget::new(Some(4), None);
        assert_eq!((budget.ended_by(), budget.is_resumed()), (None, false));
        budget.resume(4, 9);
        assert!(budget.is_resumed());
        assert_eq!(budget.ended_by().as_deref(), Some("max_pages() of 4"));
        let mut budget = Budget::new(Some(5), Some(2)).with_max_requests(Some(9));
        budget.resume(4, 9);
        assert_eq!(budget.ended_by().as_deref(), Some("max_requests() of 9"));
        let mut budget = Budget::new(Some(5), Some(2));
        budget.resume(4, 9);
        assert_eq!(budget.ended_by().as_deref(), Some("max_pages_per_domain() of 2"));
    }

    #[test]
    fn domains_have_their_own_limits() {
        let (one, other) = (Domain::new("one.org"), Domain::new("other.org"));
        let mut budget = Budget::new(None, Some(1));
        budget.lent(&one);
        budget.ended(&one, true);
        assert_eq!((budget.of(&one), budget.of(&other)), (Spending::Used, Spending::Open));
    }

    /// Regression: what was in flight when the limit was set ended as if it had been lent under it, and 17 pages came.
    #[test]
    fn a_limit_that_is_set_while_pages_are_in_flight_is_met_exactly() {
        let domain = Domain::new("e.org");
        let mut budget = Budget::default();
        (0..8).for_each(|_| budget.lent(&domain));
        budget.set_limits(&Scope { max_pages_per_domain: Some(10), ..Scope::default() });
        let mut in_flight = 8;
        while in_flight > 0 {
            budget.ended(&domain, true);
            in_flight -= 1;
            while in_flight < 8 && budget.of(&domain) == Spending::Open {
                budget.lent(&domain);
                in_flight += 1;
            }
        }
        assert_eq!((budget.pages(&domain), budget.of(&domain)), (Some(10), Spending::Used));
        assert!(budget.lent.is_empty());
    }

    /// Regression: a run without the limit stored no pages for a domain that the report does not list, and the next run
    /// fetched as many again.
    #[test]
    fn pages_are_counted_for_a_later_process_that_has_a_limit() {
        let domain = Domain::new("e.org");
        let mut budget = Budget::default();
        assert_eq!(budget.pages(&domain), None);
        budget.count_all();
        budget.resume_domain(&domain, 500);
        budget.lent(&domain);
        budget.ended(&domain, true);
        assert_eq!((budget.pages(&domain), budget.of(&domain)), (Some(501), Spending::Open));
    }

    #[test]
    fn every_request_that_was_sent_counts_against_the_limit_of_requests() {
        let domain = Domain::new("e.org");
        let mut budget = Budget::new(Some(9), None).with_max_requests(Some(2));
        budget.lent(&domain);
        budget.lent(&domain);
        assert_eq!(budget.of_all(), Spending::Reserved);
        budget.ended(&domain, false);
        assert_eq!(budget.of_all(), Spending::Open, "it came back unsent");
        budget.lent(&domain);
        for is_page in [false, true] {
            budget.sent();
            budget.ended(&domain, is_page);
        }
        assert_eq!((budget.of_all(), budget.of_requests()), (Spending::Used, Spending::Used));
    }
}
