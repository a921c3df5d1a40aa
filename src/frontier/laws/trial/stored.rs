//! Stored: commits, kills and hand-overs of a trial, for frontiers that outlive their process.

use std::time::Duration;

use super::{MAX_UNCOMMITTED, Trial, domain_of};
use crate::{
    clock,
    frontier::{
        Frontier, LeaseId, Offered,
        durable::{Checkpoint, StoreNews, Ticket},
        laws::{
            Subject,
            broken::{Broken, LawResult, holds, same},
            model::Offer,
        },
        shared::Arrived,
    },
};

/// The longest that a store may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

impl<S: Subject> Trial<'_, S> {
    pub(super) fn commit(&mut self) -> LawResult<()> {
        let number = self.commits.len() as u64;
        if let Some(durable) = self.frontier()?.durable() {
            durable.commit(Checkpoint { elapsed: Duration::from_secs(number), ..Checkpoint::default() }, clock::now());
        }
        self.commits.push(self.model.clone());
        self.uncommitted = 0;
        Ok(())
    }

    pub(super) fn sync(&mut self) -> LawResult<()> {
        let Some(durable) = self.frontier()?.durable() else { return Ok(()) };
        let ticket = durable.acknowledge();
        self.commit()?;
        self.await_stored(ticket)?;
        self.safe = self.commits.len() - 1;
        Ok(())
    }

    pub(super) fn kill(&mut self) -> LawResult<()> {
        let Some(frontier) = self.frontier.take() else { return Ok(()) };
        let (frontier, resumed) = match self.subject.kill(frontier, self.now) {
            Err(frontier) => {
                self.frontier = Some(frontier);
                return Ok(());
            }
            Ok(reopened) => reopened,
        };
        while self.rung.try_recv().is_ok() {}
        self.frontier = Some(frontier);
        self.listen();
        // The time, since machines that share a frontier add up everything else.
        let commit = resumed.checkpoint.map_or(0, |checkpoint| checkpoint.elapsed.as_secs());
        let commit = usize::try_from(commit).unwrap_or(usize::MAX);
        holds("what was acknowledged is not lost", commit >= self.safe)?;
        self.commits.truncate(commit.saturating_add(1));
        self.safe = commit;
        let Some(model) = self.commits.last() else { return Ok(()) };
        self.model = model.clone();
        self.model.end_loans(None);
        self.uncommitted = 0;
        self.take_arrived()
    }

    pub(super) fn hand_over(&mut self, domain: u8, to_us: bool) -> LawResult<()> {
        if self.model.held.contains(&domain) == to_us || self.frontier()?.durable().is_none() {
            return Ok(());
        }
        // What was done before is stored, so that no kill undoes it together with this.
        self.sync()?;
        let (now, ours) = (self.now, domain_of(domain));
        let Some(frontier) = self.frontier.as_mut() else { return Ok(()) };
        if !self.subject.hand_over(frontier, &ours, to_us, now) {
            return Ok(());
        }
        if to_us {
            while !self.frontier()?.holds(&ours) {
                self.await_news()?;
            }
            self.model.held.insert(domain);
            self.commit()?;
            self.safe = self.commits.len() - 1;
            self.take_arrived()
        } else {
            let lost: Vec<LeaseId> =
                self.model.entries.values().filter(|entry| entry.domain == domain).filter_map(|e| e.lease).collect();
            self.model.end_loans(Some(domain));
            self.model.held.remove(&domain);
            self.commit()?;
            self.news_until(|news| matches!(news, StoreNews::Lost(_)))?;
            self.safe = self.commits.len() - 1;
            for id in lost {
                let law = "the loans of a lost domain have ended";
                holds(law, !self.frontier()?.settle(id) && self.frontier()?.give_back(id, None, true).is_none())?;
            }
            same("a frontier knows its domains", &self.frontier()?.holds(&ours), &false)
        }
    }

    /// Admits what was sent to domains that are ours now, as a crawl does; a simple frontier has done so itself.
    fn take_arrived(&mut self) -> LawResult<()> {
        let arrived = match self.frontier()?.durable().and_then(|durable| durable.shared()) {
            Some(shared) => shared.arrived(),
            None => Vec::new(),
        };
        for Arrived { id, request, fingerprint } in arrived {
            let sent = self.model.sent.iter().position(|offer| offer.name == request.depth);
            let Some(sent) = sent else { return Err(Broken("what arrives was sent, and arrives once".to_owned())) };
            let offer = self.model.sent.remove(sent);
            if self.uncommitted >= MAX_UNCOMMITTED {
                self.commit()?;
            }
            self.uncommitted += 1;
            let fingerprint = fingerprint.unwrap_or_else(|| request.fingerprint());
            if let Some(ticket) = self.frontier()?.look_up(&mut std::iter::once(fingerprint)) {
                self.news_until(|news| matches!(news, StoreNews::Answered(answered) if *answered == ticket))?;
            }
            let (now, recrawl) = (self.now, self.recrawl.clone());
            let offered = self.frontier()?.offer(&domain_of(offer.domain), fingerprint, request, now);
            let is_new = self.model.offer(offer, &recrawl, now);
            same("what arrives is taken in unless it was seen", &(offered == Offered::Queued), &is_new)?;
            if let Some(shared) = self.frontier()?.durable().and_then(|durable| durable.shared()) {
                shared.settled(&[id]);
            }
        }
        let held = self.model.held.clone();
        let (here, others) = self.model.sent.drain(..).partition(|offer| held.contains(&offer.domain));
        self.model.sent = others;
        let here: Vec<Offer> = here;
        let is_simple = self.frontier()?.durable().is_none_or(|durable| durable.shared().is_none());
        for offer in here {
            let is_new = self.model.offer(offer, &self.recrawl, self.now);
            holds("what was sent arrives", is_simple || !is_new)?;
        }
        Ok(())
    }

    fn await_stored(&mut self, ticket: Ticket) -> LawResult<()> {
        self.news_until(|news| matches!(news, StoreNews::Stored(stored) if *stored == ticket))
    }

    pub(super) fn await_news(&mut self) -> LawResult<()> {
        self.news_until(|_| true)
    }

    pub(super) fn news_until(&mut self, is_it: impl Fn(&StoreNews) -> bool) -> LawResult<()> {
        loop {
            // Delays differ by whole seconds, and news do not depend on them.
            match self.frontier()?.durable().and_then(|durable| durable.news(clock::now())) {
                Some(StoreNews::Failed(why)) => return Err(Broken(format!("the store failed: {why}"))),
                Some(news) if is_it(&news) => return Ok(()),
                Some(_) => {}
                None => {
                    let rung = self.rung.recv_timeout(ANSWER_TIMEOUT);
                    rung.map_err(|_| Broken(format!("the store answers within {ANSWER_TIMEOUT:?}")))?;
                }
            }
        }
    }
}
