//! LocalOutage: while a fault of this machine lasts, requests are held back but for one at a time that looks whether it
//! is over: the probe. Knows no network.

use std::time::{Duration, Instant};

use super::accounts::Accounts;
use crate::{
    domain::Domain,
    events::event::Event,
    frontier::{LeaseId, Leased},
    outcome::{Outcome, local_fault::LocalFault},
    request::Kind,
    stats::Outage,
};

/// Whether a fault of this machine holds the crawl up.
#[derive(Debug, Default)]
pub struct LocalOutage(Option<Ongoing>);

#[derive(Debug)]
struct Ongoing {
    fault: LocalFault,
    since: Instant,
    /// Between the end of one probe and the next.
    wait: Duration,
    next: Instant,
    /// The probes that have not ended.
    probes: Vec<Probe>,
    /// Requests that came back.
    requests: u64,
}

#[derive(Debug)]
struct Probe {
    lease: (Kind, LeaseId),
    domain: Option<Domain>,
    /// Whether its answer may have come, and its page is at work: it may wait for a file, which is requested only after
    /// it.
    is_answered: bool,
}

/// The wait before the first probe; it doubles each time.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// The longest wait between probes: the crawl resumes at most half a minute after the fault has ended.
const MAX_WAIT: Duration = Duration::from_secs(30);

impl LocalOutage {
    /// Records how a request ended.
    pub fn note(&mut self, accounts: &mut Accounts, leased: &Leased, outcome: &Outcome, now: Instant) {
        match outcome {
            Outcome::Local(fault, detail) if self.met(*fault, leased, now) => {
                if let Some(unsaid) = accounts.warn(fault.key(), now) {
                    tracing::warn!(detail, unsaid, "the crawl is held up: {fault}");
                }
                accounts.note(&Event::OutageBegan { fault: *fault, detail });
            }
            Outcome::Local(..) => {}
            Outcome::Unsent => self.unsent(leased, now),
            _ => {
                if let Some(outage) = self.ended(leased, now) {
                    tracing::info!("the crawl goes on; it was {outage}");
                    accounts.note(&Event::OutageEnded { outage });
                }
            }
        }
    }

    /// A request met a fault of this machine. Tells whether this one begins an outage.
    fn met(&mut self, fault: LocalFault, leased: &Leased, now: Instant) -> bool {
        let Some(ongoing) = &mut self.0 else {
            let (next, wait) = (now + FIRST_WAIT, FIRST_WAIT);
            self.0 = Some(Ongoing { fault, since: now, wait, next, probes: Vec::new(), requests: 1 });
            return true;
        };
        ongoing.requests += 1;
        if ongoing.take_probe(leased) {
            ongoing.fault = fault;
            ongoing.wait = (2 * ongoing.wait).min(MAX_WAIT);
            ongoing.next = now + ongoing.wait;
        }
        false
    }

    /// A request has ended otherwise. If it was the probe, the fault is over, and is returned.
    fn ended(&mut self, leased: &Leased, now: Instant) -> Option<Outage> {
        self.0.take_if(|ongoing| ongoing.take_probe(leased)).map(|ongoing| ongoing.outage(now))
    }

    /// A request came back unsent, which shows nothing. If it was the probe, another one is sent.
    fn unsent(&mut self, leased: &Leased, now: Instant) {
        if let Some(ongoing) = &mut self.0
            && ongoing.take_probe(leased)
        {
            ongoing.next = now + FIRST_WAIT;
        }
    }

    /// A permit of `domain` has ended. If the probe had it, its answer has come, or none will; should it not end soon,
    /// since its page waits for something, there is another.
    pub fn released(&mut self, domain: &Domain, now: Instant) {
        if let Some(ongoing) = &mut self.0
            && let Some(probe) = ongoing.probes.iter_mut().find(|probe| probe.is_of(domain) && !probe.is_answered)
        {
            probe.is_answered = true;
            ongoing.next = now + FIRST_WAIT;
        }
    }

    /// Tells whether a request may be granted now.
    pub fn allows(&self, now: Instant) -> bool {
        self.0.as_ref().is_none_or(|ongoing| !ongoing.is_probed() && ongoing.next <= now)
    }

    /// A request was granted: the probe, if the crawl is held up.
    pub fn granted(&mut self, leased: &Leased) {
        if let Some(ongoing) = &mut self.0 {
            let Leased { id, request, .. } = leased;
            let domain = request.domain.clone();
            ongoing.probes.push(Probe { lease: (request.kind(), *id), domain, is_answered: false });
        }
    }

    /// Returns when a request that is due at `due` may be granted; `None` while the probe is under way.
    pub fn not_before(&self, due: Instant) -> Option<Instant> {
        match &self.0 {
            None => Some(due),
            Some(ongoing) if ongoing.is_probed() => None,
            Some(ongoing) => Some(due.max(ongoing.next)),
        }
    }

    /// Returns what holds the crawl up.
    pub fn outage(&self, now: Instant) -> Option<Outage> {
        self.0.as_ref().map(|ongoing| ongoing.outage(now))
    }
}

impl Ongoing {
    /// Removes a request from the probes. Tells whether it was one.
    fn take_probe(&mut self, leased: &Leased) -> bool {
        let lease = (leased.request.kind(), leased.id);
        let place = self.probes.iter().position(|probe| probe.lease == lease);
        place.map(|place| self.probes.swap_remove(place)).is_some()
    }

    /// Tells whether a probe is under way.
    fn is_probed(&self) -> bool {
        self.probes.iter().any(|probe| !probe.is_answered)
    }

    fn outage(&self, now: Instant) -> Outage {
        let lasted = now.saturating_duration_since(self.since);
        Outage { fault: self.fault, lasted, requests: self.requests }
    }
}

impl Probe {
    fn is_of(&self, domain: &Domain) -> bool {
        self.domain.as_ref() == Some(domain)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::request::Request;

    fn leased(id: u64) -> Leased {
        Leased { id: LeaseId(id), request: Arc::new(Request::parse("http://a.test/").unwrap()), attempt: 1 }
    }

    #[test]
    fn one_request_at_a_time_looks_whether_it_is_over_and_ever_less_often() {
        let (mut outage, start) = (LocalOutage::default(), Instant::now());
        outage.granted(&leased(1));
        assert!(outage.allows(start) && outage.ended(&leased(1), start).is_none());
        assert!(outage.met(LocalFault::Network, &leased(2), start));
        assert!(!outage.met(LocalFault::Network, &leased(3), start), "one outage for all");
        let (mut now, mut waits) = (start, Vec::new());
        for id in 10..18 {
            let next = outage.not_before(start).unwrap();
            assert!(!outage.allows(next - Duration::from_millis(1)) && outage.allows(next));
            waits.push((next - now).as_secs());
            outage.granted(&leased(id));
            assert!(!outage.allows(next + MAX_WAIT) && outage.not_before(next).is_none(), "only one");
            now = next;
            assert!(outage.ended(&leased(1), now).is_none(), "an older one tells nothing");
            outage.met(LocalFault::Network, &leased(id), now);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30, 30]);
        let next = outage.not_before(start).unwrap();
        outage.granted(&leased(20));
        outage.unsent(&leased(20), next);
        assert!(outage.allows(next + FIRST_WAIT), "it told nothing, and there is another");
        outage.granted(&leased(21));
        let over = outage.ended(&leased(21), next + FIRST_WAIT).unwrap();
        assert_eq!((over.fault, over.requests, over.lasted), (LocalFault::Network, 10, next + FIRST_WAIT - start));
        assert!(outage.allows(next) && outage.outage(next).is_none());
    }
}
