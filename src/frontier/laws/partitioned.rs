//! A test double: a frontier that gains and loses domains, like one of several machines. It tests the interface for a
//! distributed frontier, and keeps everything in memory.

use std::{collections::VecDeque, sync::Arc, time::Instant};

use hashbrown::HashMap;
use tokio::sync::oneshot;
use url::Url;

use super::Subject;
use crate::{
    domain::Domain,
    frontier::{
        Drained, Frontier, LeaseId, Leased, Next, Offered,
        durable::{Checkpoint, Closed, DomainHistory, Durable, GainedParts, Listener, StoreNews, Ticket},
        memory::MemoryFrontier,
    },
    identity::Fingerprint,
    recrawl::Recrawl,
    request::Request,
};

/// The frontier of one machine: it starts with every domain, and can hand each over.
pub(super) struct Partitioned {
    recrawl: Recrawl,
    began: Instant,
    held: HashMap<Domain, MemoryFrontier>,
    /// The domains owned by another machine.
    elsewhere: HashMap<Domain, MemoryFrontier>,
    /// Requests sent there, which are admitted at the next opportunity.
    sent: Vec<(Domain, Fingerprint, Request)>,
    /// The domain of each lease, and its ID in the inner frontier.
    loans: HashMap<LeaseId, (Domain, LeaseId)>,
    next: u64,
    news: VecDeque<StoreNews>,
    listener: Option<Arc<dyn Listener>>,
}

/// Opens such frontiers.
pub(super) struct Partitions;

impl Subject for Partitions {
    type Frontier = Partitioned;

    fn open(&mut self, recrawl: &Recrawl, now: Instant) -> Partitioned {
        Partitioned {
            recrawl: recrawl.clone(),
            began: now,
            held: HashMap::new(),
            elsewhere: HashMap::new(),
            sent: Vec::new(),
            loans: HashMap::new(),
            next: 0,
            news: VecDeque::new(),
            listener: None,
        }
    }

    fn hand_over(&mut self, frontier: &mut Partitioned, domain: &Domain, to_us: bool, now: Instant) -> bool {
        if to_us {
            frontier.gain(domain, now)
        } else {
            frontier.lose(domain)
        }
        true
    }
}

impl Partitioned {
    fn part(&mut self, domain: &Domain) -> &mut MemoryFrontier {
        let (recrawl, began) = (&self.recrawl, self.began);
        self.held.entry_ref(domain).or_insert_with(|| MemoryFrontier::new(recrawl.clone(), began))
    }

    fn lose(&mut self, domain: &Domain) {
        self.part(domain);
        let Some(mut part) = self.held.remove(domain) else { return };
        for (_, (_, inner)) in self.loans.extract_if(|_, (of, _)| of == domain) {
            // A lease cut short is no attempt.
            part.give_back(inner, None, false);
        }
        self.elsewhere.insert(domain.clone(), part);
        self.tell(StoreNews::Lost(vec![domain.clone()]));
    }

    fn gain(&mut self, domain: &Domain, now: Instant) {
        let Some(part) = self.elsewhere.remove(domain) else { return };
        self.held.insert(domain.clone(), part);
        self.admit_sent(now);
        let domains = vec![(domain.clone(), DomainHistory::default())];
        self.tell(StoreNews::Gained(GainedParts { domains, ..GainedParts::default() }));
    }

    /// Admits what was sent to domains that we own now.
    fn admit_sent(&mut self, now: Instant) {
        for (domain, fingerprint, request) in std::mem::take(&mut self.sent) {
            match self.held.get_mut(&domain) {
                Some(part) => drop(part.offer(&domain, fingerprint, request, now)),
                None => self.sent.push((domain, fingerprint, request)),
            }
        }
    }

    fn tell(&mut self, news: StoreNews) {
        self.news.push_back(news);
        if let Some(listener) = &self.listener {
            listener.notify();
        }
    }
}

impl Frontier for Partitioned {
    fn offer(&mut self, domain: &Domain, fingerprint: Fingerprint, request: Request, now: Instant) -> Offered {
        if !self.holds(domain) {
            self.sent.push((domain.clone(), fingerprint, request));
            return Offered::Sent;
        }
        self.part(domain).offer(domain, fingerprint, request, now)
    }

    fn has_seen(&self, fingerprint: &Fingerprint, now: Instant) -> bool {
        self.held.values().any(|part| part.has_seen(fingerprint, now))
    }

    fn lease(&mut self, domain: &Domain, now: Instant) -> Next {
        let Some(part) = self.held.get_mut(domain) else { return Next::Empty };
        let leased = match part.lease(domain, now) {
            Next::Leased(leased) => leased,
            other => return other,
        };
        self.next += 1;
        self.loans.insert(LeaseId(self.next), (domain.clone(), leased.id));
        Next::Leased(Leased { id: LeaseId(self.next), ..leased })
    }

    fn ready_at(&mut self, domain: &Domain, now: Instant) -> Option<Instant> {
        self.held.get_mut(domain)?.ready_at(domain, now)
    }

    fn settle(&mut self, id: LeaseId) -> bool {
        let Some((domain, inner)) = self.loans.remove(&id) else { return false };
        self.part(&domain).settle(inner)
    }

    fn give_back(&mut self, id: LeaseId, not_before: Option<Instant>, attempted: bool) -> Option<Domain> {
        let (domain, inner) = self.loans.remove(&id)?;
        self.part(&domain).give_back(inner, not_before, attempted)
    }

    fn drain(&mut self, domain: &Domain, max: usize) -> Drained {
        self.held.get_mut(domain).map(|part| part.drain(domain, max)).unwrap_or_default()
    }

    fn domains(&self) -> Box<dyn Iterator<Item = &Domain> + '_> {
        Box::new(self.held.values().flat_map(|part| part.domains()))
    }

    fn has_waiting(&self, domain: &Domain) -> bool {
        self.held.get(domain).is_some_and(|part| part.has_waiting(domain))
    }

    fn queued(&self) -> u64 {
        self.held.values().map(|part| part.queued()).sum()
    }

    fn queued_of(&self, domain: &Domain) -> u64 {
        self.held.get(domain).map_or(0, |part| part.queued_of(domain))
    }

    fn leased(&self) -> u64 {
        self.loans.len() as u64
    }

    fn holds(&self, domain: &Domain) -> bool {
        !self.elsewhere.contains_key(domain)
    }

    fn durable(&mut self) -> Option<&mut dyn Durable> {
        Some(self)
    }
}

impl Durable for Partitioned {
    fn listen(&mut self, listener: Arc<dyn Listener>) {
        self.listener = Some(listener);
    }

    fn news(&mut self, _: Instant) -> Option<StoreNews> {
        self.news.pop_front()
    }

    fn commit_due(&self) -> Option<Instant> {
        None
    }

    fn commit(&mut self, _: Checkpoint, _: Instant) {}

    fn acknowledge(&mut self) -> Ticket {
        self.next += 1;
        self.tell(StoreNews::Stored(Ticket(self.next)));
        Ticket(self.next)
    }

    fn remember(&mut self, _: &Domain, _: DomainHistory) {}

    fn include(&mut self, _: &Url) {}

    fn bury(&mut self, _: &Domain, _: &Arc<Request>, _: &str, _: &str) {}

    fn is_behind(&self) -> bool {
        false
    }

    fn close(&mut self) -> Closed {
        let (closed, waiting) = oneshot::channel();
        let _ = closed.send(Ok(()));
        waiting
    }
}
