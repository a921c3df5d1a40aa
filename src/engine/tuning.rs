//! Tuning: what is changed of a crawl while it runs, for all of its domains or for some. Knows no frontier.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use actix::{Context, Handler, Message, MessageResult};

use super::{domain_holds::Hold, scheduler::Scheduler};
use crate::{
    domain::{DomainKey, by_domain::pattern_by},
    error::{Error, Result},
    politeness::Politeness,
    rate::Rate,
    scope::Scope,
};

/// Changes a running crawl.
pub struct Tune(pub SettingChange);

/// What is changed. A pattern names a domain, or with a star all that end in it; without one, it is the crawl's own
/// setting.
#[derive(Debug)]
pub enum SettingChange {
    /// The most starts in any window.
    Rate(Option<String>, Rate),
    /// The least time between two starts.
    Spacing(Option<String>, Duration),
    /// The most requests in flight to one domain.
    PerDomain(Option<String>, NonZeroU32),
    /// The most pages in flight.
    Concurrency(NonZeroU32),
    /// Which URLs belong to the crawl.
    Scope(Box<Scope>),
    /// Whether domains are paused or cancelled.
    Hold(String, Option<Hold>),
}

/// The most overrides of a crawl: each domain that comes into use is compared with all of them.
const MAX_OVERRIDES: usize = 10_000;

impl SettingChange {
    /// Returns the change with its pattern written as this key writes the names of domains.
    ///
    /// # Errors
    /// No domain matches the pattern.
    pub fn named_by(mut self, key: &DomainKey) -> Result<Self> {
        if let Self::Rate(Some(pattern), _)
        | Self::Spacing(Some(pattern), _)
        | Self::PerDomain(Some(pattern), _)
        | Self::Hold(pattern, _) = &mut self
        {
            *pattern = pattern_by(key, pattern)?;
        }
        Ok(self)
    }

    /// Tells whether the change may make requests wait longer.
    pub fn is_of_pace(&self) -> bool {
        matches!(self, Self::Rate(..) | Self::Spacing(..))
    }

    /// Returns the politeness settings after the change; `None` if it does not concern them.
    ///
    /// # Errors
    /// The changed settings are invalid, or there are too many overrides.
    pub fn of(&self, politeness: &Politeness) -> Result<Option<Arc<Politeness>>> {
        let mut changed = politeness.clone();
        match self {
            Self::Rate(None, rate) => changed.rate = Some(*rate),
            Self::Rate(Some(pattern), rate) => changed.change_pace(pattern, |given| given.rate = Some(*rate)),
            Self::Spacing(None, spacing) => changed.spacing = Some(*spacing),
            Self::Spacing(Some(pattern), spacing) => {
                changed.change_pace(pattern, |given| given.spacing = Some(*spacing));
            }
            Self::PerDomain(None, in_flight) => changed.per_domain = *in_flight,
            Self::PerDomain(Some(pattern), in_flight) => {
                changed.change_override(pattern, |given| given.per_domain = Some(*in_flight));
            }
            Self::Concurrency(in_flight) => changed.concurrency = *in_flight,
            Self::Scope(_) | Self::Hold(..) => return Ok(None),
        }
        changed.check()?;
        if changed.overrides.len() > MAX_OVERRIDES.max(politeness.overrides.len()) {
            let why = format!("a crawl has {MAX_OVERRIDES} at most; use a pattern such as *.example.org");
            return Err(Error::setting("politeness.overrides", why));
        }
        Ok(Some(changed.into()))
    }
}

impl Message for Tune {
    type Result = Result<()>;
}

impl Handler<Tune> for Scheduler {
    type Result = Result<()>;

    fn handle(&mut self, Tune(change): Tune, context: &mut Context<Self>) -> Self::Result {
        let mut changed = Err(Error::Ended);
        if !self.is_over() {
            self.act(context, |scheduler, now| changed = scheduler.crawl.change(change, now));
        }
        changed
    }
}

/// Requests the scope in force.
pub struct GetScope;

impl Message for GetScope {
    type Result = Box<Scope>;
}

impl Handler<GetScope> for Scheduler {
    type Result = MessageResult<GetScope>;

    fn handle(&mut self, _: GetScope, _: &mut Context<Self>) -> Self::Result {
        MessageResult(Box::new(self.crawl.scope().clone()))
    }
}
