//! Changes: what a handle changes of a crawl while it runs: its settings, its scope, and which domains are held.

use std::time::Instant;

use super::Crawl;
use crate::{
    domain::Domain,
    engine::{domain_holds::Hold, tuning::SettingChange, turn::Turn},
    error::Result,
    events::event::Event,
    frontier::Frontier,
    scope::Scope,
};

impl Crawl {
    /// Changes what can be changed while the crawl runs.
    ///
    /// # Errors
    /// The change is invalid, and nothing was changed.
    pub fn change(&mut self, change: SettingChange, now: Instant) -> Result<()> {
        let before = self.politeness.borrow().clone();
        let change = change.named_by(&before.domain_key)?;
        let politeness = change.of(&before)?;
        if let Some(politeness) = politeness {
            if change.is_of_pace() {
                self.domains.begin_as_asked(now);
            }
            self.failures.set_most(&politeness);
            self.granter.set_politeness(politeness.clone());
            self.domains.set_politeness(politeness.clone(), now);
            self.politeness.send_replace(politeness);
            self.frontier.files.schedule_all(now);
        }
        match change {
            SettingChange::Scope(scope) => {
                let limits = |scope: &Scope| (scope.max_pages, scope.max_requests, scope.max_pages_per_domain);
                let before = limits(self.intake.scope());
                self.intake.set_scope(&mut turn!(self, now), *scope)?;
                let scope = self.intake.scope();
                self.granter.budget.set_limits(scope);
                let have_changed = limits(scope) != before;
                // The scope before let them pass.
                let mut waiting = self.granter.rulings.give_pages_back(&mut self.frontier);
                if have_changed {
                    // What was beyond the budget may be within it now.
                    waiting.extend(self.frontier.domains().cloned());
                }
                for domain in &waiting {
                    self.granter.wake(&mut self.frontier.files, &mut self.domains, domain, now);
                }
                Ok(())
            }
            SettingChange::Hold(pattern, hold) => self.hold(&pattern, hold, now),
            _ => Ok(()),
        }
    }

    /// Pauses, cancels or resumes domains.
    fn hold(&mut self, pattern: &str, hold: Option<Hold>, now: Instant) -> Result<()> {
        self.domains.held.set(pattern, hold)?;
        let domains = Some(pattern);
        self.accounts.note(&match hold {
            Some(Hold::Paused) => Event::Paused { domains },
            Some(Hold::Cancelled) => Event::Cancelled { domains: pattern },
            None => Event::Resumed { domains },
        });
        let all = &mut self.domains.held;
        let mut resumed = all.take_resumed();
        resumed.extend(self.draining.stop_cancelled(|domain| all.of(domain) == Some(Hold::Cancelled)));
        for domain in resumed {
            self.granter.wake(&mut self.frontier.files, &mut self.domains, &domain, now);
        }
        if hold == Some(Hold::Cancelled) {
            let with_files = self.frontier.files.domains();
            let waiting = self.frontier.domains().chain(with_files).filter(|domain| domain.matches(pattern)).cloned();
            for domain in waiting.chain([Domain::new(pattern)]).collect::<Vec<_>>() {
                self.granter.cancel(&mut turn!(self, now), &domain);
            }
        }
        Ok(())
    }

    /// Returns the scope in force.
    pub fn scope(&self) -> &Scope {
        self.intake.scope()
    }
}
