//! Sharing: which parts of the crawl a windowed frontier has, and what it exchanges with the frontiers of other
//! machines. Knows no database and no hashing of parts over machines.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use hashbrown::HashMap;

use super::{
    WindowedFrontier,
    store::{Change, Gained, Look},
    window::QueueWindow,
};
use crate::{
    domain::Domain,
    frontier::{
        durable::{GainedParts, StoreNews},
        part::{Part, PartSet},
        shared::{Allowance, Arrived, ArrivedId, LastAsked, Sent, Shared, ToOthers},
    },
    identity::Fingerprint,
    request::Request,
};

/// What a frontier has of a crawl that machines share.
pub(super) struct Sharing {
    /// The parts of this machine, as the store has confirmed.
    held: PartSet,
    /// Those of them that are given up with a commit that is not confirmed yet.
    given_up: PartSet,
    /// Those of them that are to be given up.
    leaving: PartSet,
    /// How often parts were gained.
    gains: u64,
    machines: usize,
    /// What was sent to other machines lately, with its depth: most links to a page come from a few pages.
    sent_before: HashMap<Fingerprint, u32>,
    arrived: Vec<Arrived>,
    /// What the next commit says.
    to_others: ToOthers,
    is_idle: bool,
    /// What the last commit said of being idle, hungry and unfit.
    said: Said,
    /// Pages that have ended since the last commit.
    ended: usize,
    news: VecDeque<StoreNews>,
}

/// What a commit says of this machine.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Said {
    idle: Option<u64>,
    is_hungry: bool,
    is_unfit: bool,
}

/// The most fingerprints of sent requests that are remembered: about 30 MB.
const MAX_SENT_BEFORE: usize = 1_000_000;

/// How long changes are collected at the least, and at the most, where several machines share the database: each commit
/// costs it as much as several pages.
const GATHER: Duration = Duration::from_millis(100);
const GATHER_AT_MOST: Duration = Duration::from_millis(250);

/// With so many ended pages a commit waits no longer than [`GATHER`].
const ENDED_PAGES: usize = 25;

impl Sharing {
    /// Begins with what was seen when the store was opened.
    pub fn new(look: Look) -> Self {
        let mut sharing = Self {
            held: look.held,
            given_up: PartSet::default(),
            leaving: look.unwanted,
            gains: look.gains,
            machines: 1,
            sent_before: HashMap::new(),
            arrived: look.arrived,
            to_others: ToOthers::default(),
            is_idle: false,
            said: Said { idle: None, is_hungry: false, is_unfit: false },
            ended: 0,
            news: VecDeque::new(),
        };
        if let Some(Gained { parts, rested, .. }) = look.gained {
            // Their domains are those that the crawl is opened with.
            sharing.news.push_back(StoreNews::Gained(GainedParts { parts, rested, ..GainedParts::default() }));
        }
        if !sharing.leaving.is_empty() {
            sharing.news.push_back(StoreNews::Leaving);
        }
        if let Some(others) = look.others {
            sharing.machines = others.machines;
            sharing.news.push_back(StoreNews::Others(Box::new(others)));
        }
        // After the others: what a request needs in the scope is there by then.
        if !sharing.arrived.is_empty() {
            sharing.news.push_back(StoreNews::Links);
        }
        sharing
    }

    /// Tells whether a part belongs to this machine.
    pub fn holds(&self, part: Part) -> bool {
        self.held.contains(part) && !self.given_up.contains(part)
    }

    /// Tells whether the next commit may write to a part: it belongs to this machine, or is given up with that commit.
    pub fn writes(&self, part: Part) -> bool {
        self.holds(part) || self.to_others.released.contains(&part)
    }

    /// Tells whether requests of a part may be sent.
    pub fn may_ask(&self, part: Part) -> bool {
        self.holds(part) && !self.leaving.contains(part)
    }

    /// Notes that a request has ended.
    pub fn note_end(&mut self) {
        self.ended += 1;
    }

    /// Sends a request to the machine whose part it is, unless that has got it already from here.
    pub fn send(&mut self, part: Part, fingerprint: Fingerprint, request: Request, keeps_times: bool) {
        // A shorter path is told too, and a seed always: its owner may have dropped it under another scope. Where pages
        // become due again, the owner knows when.
        if !request.dont_filter && !keeps_times && request.depth > 0 {
            let known = self.sent_before.get(&fingerprint).copied();
            if known.is_some_and(|depth| depth <= request.depth) {
                return;
            }
            if self.sent_before.len() >= MAX_SENT_BEFORE {
                self.sent_before.clear();
            }
            self.sent_before.insert(fingerprint, request.depth);
        }
        self.to_others.sent.push(Sent { part, fingerprint, request });
    }

    /// Takes what the next commit says.
    pub fn take(&mut self) -> ToOthers {
        let ToOthers { is_unfit, is_hungry, limits, .. } = self.to_others;
        self.said = self.to_say();
        self.ended = 0;
        let next = ToOthers { is_unfit, is_hungry, limits, ..ToOthers::default() };
        ToOthers { idle: self.said.idle, ..std::mem::replace(&mut self.to_others, next) }
    }

    fn to_say(&self) -> Said {
        let ToOthers { is_hungry, is_unfit, .. } = self.to_others;
        Said { idle: self.is_idle.then_some(self.gains), is_hungry, is_unfit }
    }

    /// Tells whether others wait for the next commit, though nothing else is to be stored.
    pub fn has_news_for_others(&self) -> bool {
        !self.to_others.is_empty() || self.said != self.to_say()
    }

    /// Tells whether the next commit should not wait for more: it gives a part away or is the reason to, or the crawl
    /// may end with it.
    pub fn is_urgent(&self) -> bool {
        let next = self.to_say();
        !self.to_others.released.is_empty() || self.said.idle != next.idle || self.said.is_unfit != next.is_unfit
    }

    /// Returns how long changes are collected; `None` for as long as where no others are.
    pub fn gather(&self) -> Option<Duration> {
        (self.machines > 1).then_some(if self.ended >= ENDED_PAGES { GATHER } else { GATHER_AT_MOST })
    }

    /// Returns how many changes wait for the next commit.
    pub fn changes(&self) -> usize {
        self.to_others.sent.len()
    }

    /// Takes the next news.
    pub fn next_news(&mut self) -> Option<StoreNews> {
        self.news.pop_front()
    }
}

impl WindowedFrontier {
    /// Handles a look at the other machines.
    pub(super) fn take_look(&mut self, look: Look) {
        let Some(sharing) = &mut self.sharing else { return };
        let Look { held, unwanted, lost, gained, gains, arrived, others, .. } = look;
        // A part may have been lost and gained since the last look.
        let mut lost = lost.and(&sharing.held);
        lost.extend(&sharing.held.without(&held));
        let new = held.without(&sharing.held.without(&lost));
        let stays = sharing.leaving.without(&unwanted).and(&held);
        let leave = unwanted.without(&sharing.leaving).without(&sharing.given_up);
        sharing.held = held;
        sharing.given_up = sharing.given_up.and(&held).without(&lost);
        sharing.leaving = unwanted.without(&sharing.given_up);
        sharing.gains = gains;
        if let Some(others) = others {
            sharing.machines = others.machines;
            if others.drawn != Allowance::default() {
                // If it is not enough, that is said again.
                sharing.said.is_hungry = false;
            }
            sharing.news.push_back(StoreNews::Others(Box::new(others)));
        }
        // After the others: what a request needs in the scope is there by then.
        if !arrived.is_empty() {
            sharing.arrived.extend(arrived);
            sharing.news.push_back(StoreNews::Links);
        }
        if !leave.is_empty() {
            sharing.news.push_back(StoreNews::Leaving);
        }
        if !lost.is_empty() {
            self.lose(&lost);
        }
        if let Some(gained) = gained.filter(|_| !new.is_empty()) {
            self.gain(gained);
        }
        if !stays.is_empty() {
            // Their new owner has ended before it came to it: they are asked on.
            let domains = self.queues.keys().filter(|domain| stays.contains(Part::of(domain)));
            let domains = domains.cloned().map(StoreNews::Arrived);
            if let Some(sharing) = &mut self.sharing {
                sharing.news.extend(domains);
                sharing.news.push_back(StoreNews::Stays(stays));
            }
        }
    }

    /// Forgets all of parts that belong to others now.
    fn lose(&mut self, lost: &PartSet) {
        let mut domains = Vec::new();
        for (domain, queue) in self.queues.extract_if(|domain, _| lost.contains(Part::of(domain))) {
            self.stored -= queue.stored;
            self.in_memory -= queue.ready() + queue.delayed();
            queue.ages().for_each(|age| {
                self.held.remove(&age);
            });
            domains.push(domain);
        }
        if let Some(sharing) = &mut self.sharing {
            sharing.arrived.retain(|arrived| !lost.contains(arrived.id.part));
            sharing.news.push_front(StoreNews::Lost(domains));
        }
    }

    /// Begins with parts that belonged to others. What those have admitted meanwhile is in the store only.
    fn gain(&mut self, gained: Gained) {
        let Gained { parts, waiting, histories, rested, depths, numbers } = gained;
        self.next = numbers;
        self.recent.forget_all();
        // What is not committed yet is not in the store.
        for change in &self.transaction.changes {
            if let Change::See(fingerprint, at) = change {
                self.recent.insert(*fingerprint, *at);
            }
        }
        let mut domains: HashMap<Domain, _> = histories.into_iter().collect();
        for (domain, stored) in waiting {
            self.stored += stored;
            domains.entry_ref(&domain).or_default();
            self.queues.insert(domain, QueueWindow::stored(stored));
        }
        if let Some(sharing) = &mut self.sharing {
            // Before the requests that have come for them, and after what was lost.
            let after_lost = usize::from(matches!(sharing.news.front(), Some(StoreNews::Lost(_))));
            let gained = GainedParts { parts, domains: domains.into_iter().collect(), rested, depths };
            sharing.news.insert(after_lost, StoreNews::Gained(gained));
        }
    }

    /// Ends the loans of parts that are given up: what was cut short is no attempt.
    fn end_loans(&mut self, parts: &PartSet) {
        let loans: Vec<_> =
            self.leases.extract_if(|_, loan| parts.contains(Part::of(&loan.domain))).map(|(_, loan)| loan).collect();
        for loan in loans {
            self.take_back(loan, None, false);
        }
    }
}

impl Shared for WindowedFrontier {
    fn leaving(&self) -> PartSet {
        self.sharing.as_ref().map_or_else(PartSet::default, |sharing| sharing.leaving)
    }

    fn lent(&self) -> PartSet {
        self.leases.values().map(|loan| Part::of(&loan.domain)).collect()
    }

    fn let_go(&mut self, parts: &PartSet, asked: Vec<LastAsked>) {
        self.end_loans(parts);
        if let Some(sharing) = &mut self.sharing {
            let parts = parts.and(&sharing.held).without(&sharing.given_up);
            sharing.given_up.extend(&parts);
            sharing.leaving = sharing.leaving.without(&parts);
            sharing.to_others.released.extend(parts.iter());
            sharing.to_others.rested.extend(asked.into_iter().filter(|asked| parts.contains(asked.part)));
        }
    }

    fn arrived(&mut self) -> Vec<Arrived> {
        self.sharing.as_mut().map(|sharing| std::mem::take(&mut sharing.arrived)).unwrap_or_default()
    }

    fn holds_part(&self, part: Part) -> bool {
        self.sharing.as_ref().is_none_or(|sharing| sharing.holds(part))
    }

    fn settled(&mut self, arrived: &[ArrivedId]) {
        if let Some(sharing) = &mut self.sharing {
            sharing.to_others.settled.extend(arrived);
        }
    }

    fn set_unfit(&mut self, is_unfit: bool) {
        if let Some(sharing) = &mut self.sharing {
            sharing.to_others.is_unfit = is_unfit;
        }
    }

    fn set_idle(&mut self, is_idle: bool) {
        if let Some(sharing) = &mut self.sharing {
            sharing.is_idle = is_idle;
        }
    }

    fn set_limits(&mut self, limits: Allowance<Option<u64>>) {
        if let Some(sharing) = &mut self.sharing {
            sharing.to_others.limits = limits;
        }
    }

    fn set_hungry(&mut self, is_hungry: bool) {
        if let Some(sharing) = &mut self.sharing {
            sharing.to_others.is_hungry = is_hungry;
        }
    }

    fn give_back(&mut self, unused: Allowance<u64>) {
        if let Some(sharing) = &mut self.sharing {
            sharing.to_others.unused.pages += unused.pages;
            sharing.to_others.unused.requests += unused.requests;
        }
    }
}

/// When a commit is due of which the last was at `committed`.
pub(super) fn due(sharing: &Sharing, committed: Instant, awaited: Duration) -> Option<Instant> {
    if sharing.is_urgent() {
        return Some(committed + awaited);
    }
    sharing.has_news_for_others().then(|| committed + sharing.gather().unwrap_or(awaited))
}
