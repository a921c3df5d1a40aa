//! Suspicion: whose fault a failure is that may be one domain's or this machine's, judged by what happens to others.
//! Knows no clock and no network.

use std::{
    collections::{HashSet, VecDeque},
    time::{Duration, Instant},
};

/// Judges one kind of failure, such as name servers that do not answer.
///
/// A name server that fails for one domain is that domain's fault if others are looked up meanwhile, and it fails
/// again. Once is not enough: the failed try may have begun while everything failed, and others worked when it was
/// given up. If several domains fail in a row and none works in between, it is this machine's fault. So is a failure
/// that was shown to be one for everybody.
#[derive(Debug, Default)]
pub struct Suspicion {
    /// The domains that failed since something last worked.
    row: VecDeque<Box<str>>,
    row_began: Option<Instant>,
    /// Which domains worked last, the latest at the end, and the host that did: what to try when all others fail.
    good: VecDeque<(Box<str>, Box<str>)>,
    worked: Option<Instant>,
    /// Domains that failed while others worked.
    bad: HashSet<Box<str>>,
}

/// Whose fault a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtFault {
    /// The domain's.
    Domain,
    /// This machine's.
    Machine,
    /// Too little is known: try again soon, and ask again.
    Open,
}

/// So many different domains in a row that fail are no accident: broken domains are a few in a hundred.
const DOMAINS_IN_A_ROW: usize = 3;

/// How long a single failure stays open. A name server or a network that is restarted is away for some seconds.
const MAX_OPEN: Duration = Duration::from_secs(10);

/// How long this machine is suspected without anything that works. A crawl whose last domains are all dead must end.
const MAX_SUSPECTED: Duration = Duration::from_secs(3_600);

/// The most bad domains that are remembered, at some 60 bytes each. When they are more they are forgotten, and learned
/// again.
const MAX_BAD: usize = 10_000;

impl Suspicion {
    /// Judges a failure of `who` where everybody fails now, as if no name server answers whatever is asked.
    pub fn judge_all(&mut self, who: &str, now: Instant) -> AtFault {
        self.add_to_row(who);
        if self.suspected(now) < MAX_SUSPECTED { AtFault::Machine } else { AtFault::Domain }
    }

    /// Judges a failure of `who`, which has failed since `since` without a success. `begun` is when the try began that
    /// failed last.
    pub fn judge(&mut self, who: &str, since: Instant, begun: Instant, now: Instant) -> AtFault {
        let others_work = self.worked.is_some_and(|at| at > since) && begun > since;
        if others_work || (self.bad.contains(who) && self.row.len() < DOMAINS_IN_A_ROW) {
            self.row.retain(|failed| &**failed != who);
            if self.bad.len() >= MAX_BAD {
                self.bad.clear();
            }
            self.bad.insert(who.into());
            return AtFault::Domain;
        }
        self.add_to_row(who);
        let suspected = self.suspected(now);
        match self.row.len() {
            DOMAINS_IN_A_ROW.. if suspected < MAX_SUSPECTED => AtFault::Machine,
            ..DOMAINS_IN_A_ROW if now.saturating_duration_since(since) < MAX_OPEN => AtFault::Open,
            _ => AtFault::Domain,
        }
    }

    fn add_to_row(&mut self, who: &str) {
        if self.row.len() < DOMAINS_IN_A_ROW && !self.row.iter().any(|failed| &**failed == who) {
            self.row.push_back(who.into());
        }
    }

    /// Returns how long it has not worked for anybody.
    fn suspected(&mut self, now: Instant) -> Duration {
        now.saturating_duration_since(*self.row_began.get_or_insert(now))
    }

    /// Returns a host for which it worked lately, of a domain that has not failed since.
    pub fn control(&self) -> Option<&str> {
        let (_, host) = self.good.iter().rev().find(|(good, _)| !self.row.contains(good))?;
        Some(host)
    }

    /// Takes note that it worked for a domain, with one of its hosts.
    pub fn worked(&mut self, who: &str, host: &str, now: Instant) {
        self.worked = Some(now);
        self.row.clear();
        self.row_began = None;
        self.bad.remove(who);
        if self.good.back().is_some_and(|(last, _)| &**last == who) {
            return;
        }
        self.good.retain(|(good, _)| &**good != who);
        self.good.push_back((who.into(), host.into()));
        if self.good.len() > DOMAINS_IN_A_ROW {
            self.good.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn one_domain_that_fails_while_others_work_is_at_fault_itself() {
        let (mut suspicion, start) = (Suspicion::default(), Instant::now());
        suspicion.worked("a.test", "a.test", start);
        let at = |seconds: u32| start + seconds * SECOND;
        assert_eq!(suspicion.judge("bad.test", at(1), at(0), at(1)), AtFault::Open);
        assert_eq!(suspicion.judge("bad.test", at(1), at(2), at(3)), AtFault::Open, "no other was tried");
        suspicion.worked("b.test", "b.test", at(3));
        assert_eq!(suspicion.judge("bad.test", at(1), at(0), at(4)), AtFault::Open, "it may have begun too early");
        assert_eq!(suspicion.judge("bad.test", at(1), at(4), at(5)), AtFault::Domain);
        assert_eq!(suspicion.judge("bad.test", at(9), at(8), at(9)), AtFault::Domain, "known");
        suspicion.worked("bad.test", "bad.test", at(10));
        assert_eq!(suspicion.judge("bad.test", at(11), at(11), at(11)), AtFault::Open, "it worked");
    }

    #[test]
    fn several_domains_that_fail_in_a_row_are_a_fault_of_this_machine_until_one_works() {
        let (mut suspicion, start) = (Suspicion::default(), Instant::now());
        let at_fault = ["a.test", "a.test", "b.test", "c.test", "a.test", "d.test"];
        let at_fault = at_fault.map(|who| suspicion.judge(who, start, start, start + SECOND));
        let (open, machine) = (AtFault::Open, AtFault::Machine);
        assert_eq!(at_fault, [open, open, open, machine, machine, machine]);
        assert_eq!(suspicion.judge("d.test", start, start, start + 600 * SECOND), machine, "however long");
        suspicion.worked("d.test", "d.test", start + 601 * SECOND);
        assert_eq!(suspicion.judge("a.test", start + 602 * SECOND, start + 602 * SECOND, start + 602 * SECOND), open);
    }

    #[test]
    fn a_failure_stays_open_for_ten_seconds_and_a_crawl_of_dead_domains_ends() {
        let (mut suspicion, start) = (Suspicion::default(), Instant::now());
        assert_eq!(suspicion.judge("a.test", start, start, start + 9 * SECOND), AtFault::Open);
        assert_eq!(suspicion.judge("a.test", start, start, start + 10 * SECOND), AtFault::Domain);
        for who in ["b.test", "c.test"] {
            suspicion.judge(who, start, start, start + 10 * SECOND);
        }
        let last = start + 10 * SECOND + MAX_SUSPECTED;
        assert_eq!(suspicion.judge("d.test", last, last, last), AtFault::Domain);
    }

    #[test]
    fn a_failure_of_everybody_is_a_fault_of_this_machine_for_an_hour() {
        let (mut suspicion, start) = (Suspicion::default(), Instant::now());
        assert_eq!(suspicion.judge_all("only.test", start), AtFault::Machine, "there is no other to compare it with");
        assert_eq!(suspicion.judge_all("only.test", start + 3_599 * SECOND), AtFault::Machine);
        assert_eq!(suspicion.judge_all("only.test", start + MAX_SUSPECTED), AtFault::Domain, "a crawl must end");
        suspicion.worked("only.test", "only.test", start + MAX_SUSPECTED);
        assert_eq!(suspicion.judge_all("only.test", start + MAX_SUSPECTED + SECOND), AtFault::Machine);
    }

    #[test]
    fn what_worked_last_is_tried_when_all_others_fail() {
        let (mut suspicion, start) = (Suspicion::default(), Instant::now());
        assert_eq!(suspicion.control(), None);
        for who in ["a.test", "b.test", "c.test", "d.test", "c.test"] {
            suspicion.worked(who, who, start);
        }
        assert_eq!((suspicion.control(), suspicion.good.len()), (Some("c.test"), DOMAINS_IN_A_ROW));
        suspicion.judge("c.test", start, start, start);
        assert_eq!(suspicion.control(), Some("d.test"), "not one that fails now");
    }

    #[test]
    fn bad_domains_are_bounded() {
        let (mut suspicion, start) = (Suspicion::default(), Instant::now());
        suspicion.worked("a.test", "a.test", start + SECOND);
        for n in 0..3 * MAX_BAD {
            let now = start + SECOND;
            assert_eq!(suspicion.judge(&format!("{n}.test"), start, now, now), AtFault::Domain);
        }
        assert!(suspicion.bad.len() <= MAX_BAD);
    }
}
