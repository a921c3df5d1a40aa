//! Trial: runs a list of operations on a frontier and its model. Knows no implementation.

mod stored;

use std::{
    collections::BTreeSet,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use super::{
    Subject,
    broken::{Broken, LawResult, holds, same},
    model::{Model, Offer},
    operations::{DOMAINS, Operation},
};
use crate::{
    domain::Domain,
    frontier::{
        Frontier, LeaseId, Leased, Left, Next, Offered,
        durable::{Listener, StoreNews},
    },
    recrawl::Recrawl,
    request::Request,
};

/// The most uncommitted requests. The smallest windowed frontier under test has generations of eight fingerprints, and
/// a crawl commits long before a generation is full, so uncommitted ones are still in memory.
const MAX_UNCOMMITTED: usize = 7;

pub(super) struct Trial<'a, S: Subject> {
    subject: &'a mut S,
    /// `None` only during a kill and at the end.
    frontier: Option<S::Frontier>,
    model: Model,
    recrawl: Recrawl,
    now: Instant,
    /// The name of the next entry.
    name: u32,
    /// The model at each commit.
    commits: Vec<Model>,
    /// The last commit known to be stored.
    safe: usize,
    uncommitted: usize,
    notifier: Notifier,
    rung: mpsc::Receiver<()>,
}

#[derive(Clone)]
struct Notifier(mpsc::Sender<()>);

impl Listener for Notifier {
    fn notify(&self) {
        // The trial may have ended.
        let _ = self.0.send(());
    }
}

pub(super) fn domain_of(number: u8) -> Domain {
    Domain::new(&format!("d{number}.org"))
}

impl<'a, S: Subject> Trial<'a, S> {
    pub fn new(subject: &'a mut S, recrawl: Recrawl, now: Instant) -> Self {
        let (notifier, rung) = mpsc::channel();
        let mut trial = Self {
            frontier: Some(subject.open(&recrawl, now)),
            subject,
            recrawl,
            model: Model::new(),
            now,
            name: 0,
            commits: vec![Model::new()],
            safe: 0,
            uncommitted: 0,
            notifier: Notifier(notifier),
            rung,
        };
        trial.listen();
        trial
    }

    pub fn run(mut self, operations: &[Operation]) -> LawResult<()> {
        for operation in operations {
            self.apply(operation)?;
            self.check_counts()?;
        }
        self.end()
    }

    fn listen(&mut self) {
        let notifier = Arc::new(self.notifier.clone());
        if let Some(durable) = self.frontier.as_mut().and_then(|frontier| frontier.durable()) {
            durable.listen(notifier);
        }
    }

    fn frontier(&mut self) -> LawResult<&mut S::Frontier> {
        self.frontier.as_mut().ok_or_else(|| Broken("the frontier did not come back".to_owned()))
    }

    fn apply(&mut self, operation: &Operation) -> LawResult<()> {
        match *operation {
            Operation::Offer { domain, page, rank, dont_filter } => self.offer(domain, page, rank, dont_filter),
            Operation::Lease { domain } => self.lease(domain).map(drop),
            Operation::Settle { which } => {
                let Some((name, id)) = self.nth_lease(which) else { return Ok(()) };
                self.settle(name, id)
            }
            Operation::GiveBack { which, delay, attempted } => {
                let Some((name, id)) = self.nth_lease(which) else { return Ok(()) };
                self.give_back(name, id, delay, attempted)
            }
            Operation::Drain { domain, max, steps } => self.drain(domain, max, steps),
            Operation::Pass { seconds } => {
                self.now += Duration::from_secs(seconds.into());
                Ok(())
            }
            Operation::Commit => self.commit(),
            Operation::Sync => self.sync(),
            Operation::Kill => self.kill(),
            Operation::HandOver { domain, to_us } => self.hand_over(domain, to_us),
        }
    }

    fn offer(&mut self, domain: u8, page: u8, rank: i32, dont_filter: bool) -> LawResult<()> {
        if self.uncommitted >= MAX_UNCOMMITTED {
            self.commit()?;
        }
        self.uncommitted += 1;
        let url = format!("http://d{domain}.org/{page}");
        let mut request = Request::parse(&url).map_err(|error| Broken(error.to_string()))?;
        // A rank is the priority, or in place of one.
        if self.name.is_multiple_of(2) {
            request.priority = rank;
        } else {
            request.rank = Some(rank);
        }
        request.dont_filter = dont_filter;
        // The entry's name is carried in its depth.
        request.depth = self.name;
        let fingerprint = request.fingerprint();
        let ticket = self.frontier()?.look_up(&mut std::iter::once(fingerprint));
        if let Some(ticket) = ticket {
            self.news_until(|news| matches!(news, StoreNews::Answered(answered) if *answered == ticket))?;
        }
        let now = self.now;
        let is_held = self.model.held.contains(&domain);
        let seen = self.model.has_seen(domain, page, &self.recrawl, now);
        if is_held {
            same("the seen-set is exact", &self.frontier()?.has_seen(&fingerprint, now), &seen)?;
        }
        let offered = self.frontier()?.offer(&domain_of(domain), fingerprint, request, now);
        let offer = Offer { name: self.name, domain, page, rank, dont_filter };
        self.name += 1;
        if !is_held {
            self.model.sent.push(offer);
            return same("what belongs to another process is sent there", &offered, &Offered::Sent);
        }
        let is_new = self.model.offer(offer, &self.recrawl, now);
        let expected = if is_new { Offered::Queued } else { Offered::AlreadySeen };
        same("a request is taken in unless it was seen", &offered, &expected)
    }

    /// Leases the next request, which must match the model's.
    fn lease(&mut self, domain: u8) -> LawResult<Option<(u32, Leased)>> {
        let now = self.now;
        let (ready_at, next) = loop {
            let ready_at = self.frontier()?.ready_at(&domain_of(domain), now);
            match self.frontier()?.lease(&domain_of(domain), now) {
                Next::Coming => {
                    self.commit()?;
                    self.await_news()?;
                }
                next => break (ready_at, next),
            }
        };
        // The scheduler asks for a lease only then.
        let tells_when = match &next {
            Next::Leased(_) => ready_at.is_some_and(|at| at <= now),
            Next::NotBefore(lent) => ready_at.is_some_and(|at| at > now && at <= *lent),
            Next::Coming | Next::Empty => true,
        };
        holds("a domain tells when it has something to lend", tells_when)?;
        match (next, self.model.first(domain, now)) {
            (Next::Leased(leased), Some(name)) => {
                same("leased by rank, then by age", &leased.request.depth, &name)?;
                if let Some(entry) = self.model.entries.get_mut(&name) {
                    same("attempts are counted", &leased.attempt, &(entry.attempts + 1))?;
                    entry.lease = Some(leased.id);
                }
                Ok(Some((name, leased)))
            }
            (Next::NotBefore(at), None) => {
                let soonest = self.model.waiting(domain).filter_map(|(_, entry)| entry.until).min();
                // Stored times are rounded up to milliseconds.
                let is_right = soonest.is_some_and(|soonest| at >= soonest && at - soonest <= Duration::from_millis(5));
                holds("what is delayed is lent at its time and not before", is_right).map(|()| None)
            }
            (Next::Empty, None) => {
                same("what waits is not forgotten", &self.model.waiting(domain).count(), &0).map(|()| None)
            }
            (next, Some(name)) => Err(Broken(format!("entry {name} was to be leased, and the answer is {next:?}"))),
            (next, None) => Err(Broken(format!("nothing was to be leased, and the answer is {next:?}"))),
        }
    }

    fn settle(&mut self, name: u32, id: LeaseId) -> LawResult<()> {
        holds("a loan can be settled", self.frontier()?.settle(id))?;
        holds("a loan ends once", !self.frontier()?.settle(id))?;
        self.model.entries.remove(&name);
        Ok(())
    }

    fn give_back(&mut self, name: u32, id: LeaseId, delay: Option<u8>, attempted: bool) -> LawResult<()> {
        // Half a second off the time steps, so that a millisecond more or less does not matter.
        let until = delay.map(|seconds| self.now + Duration::from_millis(u64::from(seconds) * 1_000 + 500));
        let domain = self.frontier()?.give_back(id, until, attempted);
        let Some(entry) = self.model.entries.get_mut(&name) else { return Ok(()) };
        (entry.lease, entry.until) = (None, until);
        entry.attempts += u32::from(attempted);
        same("a loan goes back to its domain", &domain, &Some(domain_of(entry.domain)))
    }

    fn drain(&mut self, domain: u8, max: usize, steps: usize) -> LawResult<()> {
        for _ in 0..steps {
            let drained = self.frontier()?.drain(&domain_of(domain), max);
            holds("no more is drained than was asked for", drained.requests.len() <= max)?;
            for request in drained.requests {
                let entry = self.model.entries.remove(&request.depth);
                let was_there = entry.is_some_and(|entry| entry.lease.is_none() && entry.domain == domain);
                holds("what is drained waited there, and once", was_there)?;
            }
            self.check_counts()?;
            let waiting = self.model.waiting(domain).count();
            match drained.left {
                Left::Nothing => return same("nothing is left of a drained queue", &waiting, &0),
                Left::Here => holds("something is left", waiting > 0)?,
                Left::Coming => {
                    self.commit()?;
                    self.await_news()?;
                }
            }
        }
        Ok(())
    }

    fn nth_lease(&self, which: usize) -> Option<(u32, LeaseId)> {
        self.model.leased().nth(which).map(|(name, id)| (*name, id))
    }

    fn check_counts(&mut self) -> LawResult<()> {
        let leased = self.model.leased().count() as u64;
        let of = |domain| self.model.waiting(domain).count() as u64;
        let waiting: Vec<(Domain, u64)> = (0..DOMAINS).map(|domain| (domain_of(domain), of(domain))).collect();
        let frontier = self.frontier()?;
        same("loans are counted", &frontier.leased(), &leased)?;
        same("what waits is counted", &frontier.queued(), &waiting.iter().map(|(_, count)| count).sum())?;
        for (domain, count) in &waiting {
            same("what waits is counted for each domain", &frontier.queued_of(domain), count)?;
            same("a domain knows whether something waits", &frontier.has_waiting(domain), &(*count > 0))?;
        }
        let domains: BTreeSet<Domain> = frontier.domains().cloned().collect();
        let expected = waiting.into_iter().filter(|(_, count)| *count > 0).map(|(domain, _)| domain).collect();
        same("the domains with something waiting are known", &domains, &expected)
    }

    /// Every admitted request is leased in time; nothing else is.
    fn end(mut self) -> LawResult<()> {
        for domain in 0..DOMAINS {
            self.hand_over(domain, true)?;
        }
        self.now += Duration::from_secs(3_600);
        while let Some((name, id)) = self.nth_lease(0) {
            self.give_back(name, id, None, false)?;
            holds("a loan that went back has ended", !self.frontier()?.settle(id))?;
        }
        for domain in 0..DOMAINS {
            while let Some((name, leased)) = self.lease(domain)? {
                self.settle(name, leased.id)?;
            }
        }
        same("everything that was taken in was leased", &self.model.entries.len(), &0)?;
        self.check_counts()?;
        self.sync()?;
        if let Some(frontier) = self.frontier.take() {
            self.subject.end(frontier);
        }
        Ok(())
    }
}
