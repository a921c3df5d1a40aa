//! Shared: the side of a crawl that machines share: domains come and go, requests come from other machines, limits are
//! drawn on, and the end is that of all. Does nothing for a crawl of one machine.

use std::time::{Duration, Instant, SystemTime};

use super::{Crawl, Mode};
use crate::{
    domain::Domain,
    engine::{
        domains::Live,
        draining::Draining,
        durability::Deferred,
        fitness::{Condition, Fitness},
        turn::Turn,
    },
    frontier::{
        Frontier,
        candidate::Candidate,
        durable::{Checkpoint, GainedParts},
        part::{Part, PartSet},
        shared::{Arrived, ArrivedId, CrawlState, Others, Shared},
    },
};

/// How the crawl stands with other machines.
#[derive(Debug, Default)]
pub(super) struct CrawlSharing {
    /// Whether there may be any.
    is_shared: bool,
    /// Whether the crawl waits for more seeds here when nothing is left to do.
    stays_open: bool,
    /// How the whole crawl goes on.
    state: CrawlState,
    /// Whether somebody has paused this process alone.
    is_paused_here: bool,
    /// Whether this machine should have domains.
    fitness: Fitness,
    /// When to look next whether parts that are to be given away are quiet.
    next_check: Option<Instant>,
}

/// How often to look whether the last request of a part is over.
const CHECK: Duration = Duration::from_millis(10);

impl Crawl {
    /// Pauses the crawl in this process, or goes on with it unless all machines have paused or ended it.
    pub fn set_paused(&mut self, is_paused: bool) {
        self.sharing.is_paused_here = is_paused;
        self.pause_or_go_on();
    }

    fn pause_or_go_on(&mut self) {
        // After the end, what comes is in no store any more, so nothing more is asked for.
        let by_all = matches!(self.sharing.state, CrawlState::Paused | CrawlState::Ended);
        self.set_mode(if by_all || self.sharing.is_paused_here { Mode::Paused } else { Mode::Running });
    }

    /// Begins to share the crawl with other machines, which have these accounts.
    pub(super) fn share_with(&mut self, others: Checkpoint) {
        self.sharing.is_shared = true;
        self.granter.budget.share();
        self.accounts.share(others);
    }

    /// Tells whether machines share the crawl.
    pub(super) fn is_shared(&self) -> bool {
        self.sharing.is_shared
    }

    /// Sets whether the crawl waits for more seeds here when nothing is left to do.
    pub fn set_open(&mut self, stays_open: bool) {
        self.sharing.stays_open = stays_open;
    }

    /// Tells whether nothing was left to do on any machine.
    pub fn has_ended_everywhere(&self) -> bool {
        self.sharing.state == CrawlState::Ended
    }

    /// Takes domains over from another process, which may have just sent requests to them.
    pub(super) fn gain(&mut self, gained: GainedParts, now: Instant, time: SystemTime) {
        let GainedParts { parts, domains, rested, depths } = gained;
        for (domain, _) in &domains {
            self.domains.lose(domain);
        }
        self.domains.gain(&parts, rested, now);
        for (domain, history) in domains {
            self.recall(&domain, &history, now, time);
            self.domains.schedule(&domain, now);
        }
        self.intake.learn_depths(&mut turn!(self, now), depths);
    }

    /// Forgets domains that belong to another process: their leases have ended, and the frontier lends no more requests
    /// of these domains. The submissions that waited for one end.
    pub(super) fn lose(&mut self, domains: &[Domain], now: Instant) {
        self.submissions.lost(domains);
        let frontier = &self.frontier;
        let known = self.domains.matching(|domain| !frontier.holds(domain));
        for domain in known.iter().chain(domains) {
            let mut turn = turn!(self, now);
            self.granter.domain_lost(&mut turn, domain);
            self.domains.lose(domain);
            self.draining.lose(domain);
            self.accounts.domain_lost(domain);
        }
    }

    /// Stops asking the domains that are to be given to other machines. What was set aside of them goes back to the
    /// frontier; requests in flight end.
    pub(super) fn leave(&mut self, now: Instant) {
        let frontier = &self.frontier;
        for domain in self.domains.matching(|domain| !frontier.may_ask(domain)) {
            self.granter.set_free(&mut turn!(self, now), &domain);
        }
        self.sharing.next_check = Some(now);
    }

    /// Goes on with the domains of parts that are not given away after all, also with those of which a robots file
    /// alone waits.
    pub(super) fn stay(&mut self, parts: &PartSet, now: Instant) {
        for domain in self.domains.matching(|domain| parts.contains(Part::of(domain))) {
            self.domains.schedule(&domain, now);
        }
    }

    /// Gives parts away of which nothing is in flight any more.
    pub(super) fn let_go_of_quiet_parts(&mut self, now: Instant) {
        if self.sharing.next_check.is_none_or(|at| at > now) {
            return;
        }
        let Some(shared) = self.frontier.durable().and_then(|store| store.shared()) else { return };
        let leaving = shared.leaving();
        let quiet = self.let_go_of_quiet(leaving, now);
        self.sharing.next_check = (quiet != leaving).then_some(now + CHECK);
    }

    /// Gives all parts away of which nothing is in flight, before the store is closed: whoever has them next, here or
    /// elsewhere, knows then when their domains were asked.
    pub fn let_go_of_all(&mut self, now: Instant) {
        let Some(shared) = self.frontier.durable().and_then(|store| store.shared()) else { return };
        let held = Part::all().filter(|part| shared.holds_part(*part)).collect();
        self.let_go_of_quiet(held, now);
    }

    fn let_go_of_quiet(&mut self, parts: PartSet, now: Instant) -> PartSet {
        let busy = |live: &Live| live.tenancy.in_flight() > 0;
        let busy: PartSet =
            self.domains.all_live().filter(|(_, live)| busy(live)).map(|(domain, _)| Part::of(domain)).collect();
        let Some(shared) = self.frontier.durable().and_then(|store| store.shared()) else { return parts };
        let quiet = parts.without(&busy).without(&shared.lent());
        if !quiet.is_empty() {
            shared.let_go(&quiet, self.domains.last_asked(&quiet, now));
        }
        quiet
    }

    /// Returns when the next step of giving parts away is due, or this machine is looked at for faults.
    pub(super) fn next_check(&self) -> Option<Instant> {
        let look = self.sharing.fitness.next_look().filter(|_| self.sharing.is_shared);
        self.sharing.next_check.into_iter().chain(look).min()
    }

    /// Takes note that a page has ended.
    pub(super) fn note_page_end(&mut self, now: Instant) {
        self.sharing.fitness.note_page_end(now);
    }

    /// Looks up what other machines have sent, to admit it.
    pub(super) fn links_arrived(&mut self, now: Instant) {
        let arrived = self.frontier.durable().and_then(|store| store.shared()).map(Shared::arrived);
        let candidate = |Arrived { id, request, fingerprint }: Arrived| {
            let candidate = match fingerprint {
                Some(fingerprint) => Candidate::sent(request, fingerprint),
                None => self.intake.candidate(request),
            };
            (id, candidate, fingerprint.is_none())
        };
        let links: Vec<_> = arrived.into_iter().flatten().map(candidate).collect();
        if links.is_empty() {
            return;
        }
        for (_, seed, _) in links.iter().filter(|(_, _, is_seed)| *is_seed) {
            // Here and, by the store, on every other machine.
            let url = seed.request().url.clone();
            if self.intake.include(&url)
                && let Some(store) = self.frontier.durable()
            {
                store.include(&url);
            }
        }
        let links: Vec<_> = links.into_iter().map(|(id, candidate, _)| (id, candidate)).collect();
        match self.frontier.look_up(&mut links.iter().map(|(_, candidate)| candidate.fingerprint())) {
            None => self.admit_links(links, now),
            Some(ticket) => self.durability.defer(ticket, Deferred::Links(links)),
        }
    }

    /// Admits what other machines have sent, as far as it is still for this one.
    pub(super) fn admit_links(&mut self, links: Vec<(ArrivedId, Candidate)>, now: Instant) {
        let is_ours = |frontier: &mut dyn Frontier, id: &ArrivedId| {
            frontier.durable().and_then(|store| store.shared()).is_some_and(|shared| shared.holds_part(id.part))
        };
        let links: Vec<_> = links.into_iter().filter(|(id, _)| is_ours(&mut self.frontier, id)).collect();
        let (ids, candidates): (Vec<_>, Vec<_>) = links.into_iter().unzip();
        self.intake.admit(&mut turn!(self, now), candidates);
        if let Some(shared) = self.frontier.durable().and_then(|store| store.shared()) {
            shared.settled(&ids);
        }
    }

    /// Handles what other machines have done.
    pub(super) fn others_did(&mut self, others: Others) {
        let Others { accounts, included, drawn, used_up, are_hungry, state, term, .. } = others;
        self.sharing.fitness.set_term(term);
        for url in &included {
            self.intake.include(url);
        }
        self.accounts.set_others(accounts);
        self.granter.budget.drawn(drawn, used_up);
        if are_hungry {
            // All of it where nothing here can use it: half of a last page is none.
            let needs_none = self.frontier.queued() == 0 || self.keeps_the_rest();
            let unused = self.granter.budget.give_back(needs_none);
            if let Some(shared) = self.frontier.durable().and_then(|store| store.shared()) {
                shared.give_back(unused);
            }
        }
        if std::mem::replace(&mut self.sharing.state, state) == state {
            return;
        }
        match state {
            CrawlState::Stopped => self.stop("somebody has stopped it on all machines".to_owned()),
            CrawlState::Running | CrawlState::Paused => self.pause_or_go_on(),
            CrawlState::Ended => {
                // What came too late is not waited for.
                self.pause_or_go_on();
                self.draining = Draining::default();
                self.put_all_back();
            }
        }
    }

    /// Tells whether this machine has a fault of its own, for which others should have its domains.
    fn is_unfit(&mut self, now: Instant) -> bool {
        let keeps_up = self.durability.deferred() == 0 && !self.durability.is_behind();
        let condition = Condition {
            outage: self.granter.outage(now),
            is_full: self.mode == Mode::Running && keeps_up && self.granter.is_full(&self.accounts),
            has_requests: self.frontier.queued() + self.frontier.leased() > 0,
        };
        let domains = &self.domains;
        let waits_for_servers = || domains.all_live().any(|(_, live)| live.tenancy.in_flight() > 0);
        self.sharing.fitness.look(condition, now, waits_for_servers)
    }

    /// Says to other machines whether anything is left to do here, and what is needed of the limits.
    pub(super) fn tell_others(&mut self, now: Instant) {
        if !self.sharing.is_shared {
            return;
        }
        let is_idle = self.mode != Mode::Stopping && !self.sharing.stays_open && self.has_nothing_left();
        let limits = self.granter.budget.limits();
        let is_hungry = self.granter.budget.needs_more() && self.frontier.queued() > 0 && !self.keeps_the_rest();
        let is_unfit = self.mode == Mode::Stopping || self.is_unfit(now);
        if let Some(shared) = self.frontier.durable().and_then(|store| store.shared()) {
            shared.set_idle(is_idle);
            shared.set_unfit(is_unfit);
            shared.set_limits(limits);
            shared.set_hungry(is_hungry);
        }
    }
}
