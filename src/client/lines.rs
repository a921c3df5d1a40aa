//! Lines: the waiting lines of all domains, and the limits that hold there. Knows no network.

use std::{
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use dashmap::DashMap;
use url::Url;

use super::{Desk, line::Line, pace::Pace};
use crate::{
    adaptive::Adaptive,
    clock,
    domain::Domain,
    politeness::{Limits, Override, Politeness},
    rate::Rate,
    throttle::Evidence,
};

/// One line for each domain that is asked, or was so lately that it can be told.
pub struct Lines {
    table: DashMap<Domain, Arc<Line>>,
    politeness: RwLock<Politeness>,
    /// Held over a whole change: of two at once, the later wish must be the later on every line too.
    changing: Mutex<()>,
    adaptive: bool,
}

impl Lines {
    /// Begins without any; with `adaptive`, each looks for its domain's limit.
    pub fn new(politeness: Politeness, adaptive: bool) -> Self {
        Self { table: DashMap::new(), politeness: RwLock::new(politeness), changing: Mutex::default(), adaptive }
    }

    /// Returns the domain whose limit a request to `url` uses.
    pub fn domain(&self, url: &Url) -> Domain {
        self.read(|politeness| politeness.domain_key.domain(url))
    }

    /// Returns the line of a domain.
    pub fn line(&self, domain: &Domain, desk: &Arc<Desk>) -> Arc<Line> {
        if let Some(line) = self.table.get(domain) {
            return line.clone();
        }
        let open = || {
            let limits = self.read(|politeness| politeness.limits(domain));
            let (limits, pace) = self.begin(limits);
            Line::new(domain.clone(), limits, pace, Arc::downgrade(desk))
        };
        self.table.entry(domain.clone()).or_insert_with(open).clone()
    }

    /// Forgets a line that nobody can tell from a new one.
    pub fn forget(&self, line: &Arc<Line>) -> bool {
        let domain = line.gate().domain();
        self.table.remove_if(domain, |_, known| Arc::ptr_eq(known, line) && line.close_if_fresh()).is_some()
    }

    /// Returns what `domain` was really asked, since it was last forgotten.
    pub fn evidence(&self, domain: &Domain) -> Option<Evidence> {
        Some(self.table.get(domain)?.gate().throttle().evidence())
    }

    /// Changes the rate of all domains that have none of their own.
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
            // The first that matches holds, and this is the latest wish.
            politeness.overrides.insert(0, given);
        });
    }

    /// Changes how many requests may be in flight to each domain.
    pub fn set_concurrency(&self, in_flight: NonZeroU32) {
        self.change(|politeness| politeness.per_domain = in_flight);
    }

    /// Returns how many requests may be in flight to each domain that has no number of its own.
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
        let mut lines: Vec<_> = self.table.iter().map(|entry| entry.value().clone()).collect();
        lines.retain(|line| {
            let (before, after) = (old.limits(line.gate().domain()), new.limits(line.gate().domain()));
            if before != after {
                self.renew(line, before, after);
            }
            before != after
        });
        drop(changing);
        // Only now: a line that calls its next may end permits, whose news goes through other lines.
        for line in lines {
            line.call_next();
        }
    }

    fn renew(&self, line: &Line, before: Limits, after: Limits) {
        // Held until the limits are there too: no answer is heard in between.
        let mut pace = line.pace();
        let limits = if self.adaptive && before.rate == after.rate {
            // What was found stays.
            Limits { rate: line.gate().throttle().limits().rate, ..after }
        } else {
            let (limits, begun) = self.begin(after);
            if self.adaptive {
                *pace = begun;
            }
            limits
        };
        line.gate().throttle().set_limits(limits);
    }

    /// With `adaptive`, the rate that is given is where the search begins.
    fn begin(&self, limits: Limits) -> (Limits, Pace) {
        if !self.adaptive {
            return (limits, Pace::default());
        }
        let adaptive = Adaptive::from(limits.rate, clock::now());
        (Limits { rate: adaptive.rate(), ..limits }, Pace::new(Some(adaptive)))
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

    /// The first was still on its way from line to line when the second was done, and took that back.
    #[test]
    fn of_two_changes_at_once_every_line_keeps_the_later() {
        let client = ThrottledClient::new("linestest/1.0 (+https://example.org/bot)", Rate::per_second(1)).unwrap();
        let lines = &client.desk.lines;
        for domain in ["one.test", "two.test"] {
            lines.line(&Domain::new(domain), &client.desk);
        }
        let opened: Vec<_> = lines.table.iter().map(|entry| entry.value().clone()).collect();
        let [first, last] = opened.as_slice() else { panic!("two lines") };
        thread::scope(|scope| {
            let held = first.pace();
            scope.spawn(|| lines.set_rate(Rate::per_second(10)));
            while lines.read(|politeness| politeness.rate) != Some(Rate::per_second(10)) {
                thread::yield_now();
            }
            let second = scope.spawn(|| lines.set_rate_of(last.gate().domain().as_str(), Rate::per_second(20)));
            // Time to overtake, which it must not.
            thread::sleep(Duration::from_millis(20));
            assert!(!second.is_finished());
            drop(held);
        });
        let rate_of = |line: &Line| line.gate().throttle().limits().rate;
        assert_eq!((rate_of(first), rate_of(last)), (Rate::per_second(10), Rate::per_second(20)));
    }
}
