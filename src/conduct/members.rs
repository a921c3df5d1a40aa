//! Members: the tenants of one domain, whose limits hold together. Does not know what the domain teaches.

use std::time::Instant;

use super::{
    member::{Member, TenantId},
    tenant_queue::TenantQueue,
};
use crate::conduct::throttle::{NotBefore, Refusal, Throttle};

/// The tenants. Each has a throttle, every throttle counts every start, and a start needs leave of all.
#[derive(Debug)]
pub(super) struct Members {
    /// Usually the only tenant. When the last tenant has left, its throttle is kept, since it counts past starts.
    first: Member,
    /// The other tenants; `None` if there are none.
    others_here: Option<Box<OtherMembers>>,
    /// Until when starts count by the limits of tenants that have left, since these may return.
    counted_until: Option<Instant>,
}

/// What a domain with several tenants has besides.
#[derive(Debug, Default)]
struct OtherMembers {
    others: Vec<Member>,
    turns: TenantQueue,
}

/// A permit that was planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// When its request is due.
    pub due: Instant,
    /// The tenant whose turn is next, if one waits.
    pub next: Option<TenantId>,
    /// Whether the next one would be refused as [`Refusal::Full`], and that would change nothing.
    pub is_last: bool,
}

impl Members {
    /// Begins with one tenant.
    pub fn new(first: Member) -> Self {
        Self { first, others_here: None, counted_until: None }
    }

    /// Adds a tenant.
    pub fn join(&mut self, member: Member) {
        if self.is_vacant() {
            self.first = member;
        } else {
            self.others_here.get_or_insert_default().others.push(member);
        }
    }

    /// Removes a tenant whose permits have all ended. Returns the waiting tenants, since the law may allow more now.
    pub fn leave(&mut self, tenant: TenantId, now: Instant) -> Vec<TenantId> {
        let counted_until = self.get_mut(tenant).and_then(|member| member.throttle.fresh_at());
        self.counted_until = self.counted_until.max(counted_until);
        let is_first = self.first.tenant == Some(tenant);
        let Some(others_here) = &mut self.others_here else {
            self.first.tenant = self.first.tenant.filter(|_| !is_first);
            return Vec::new();
        };
        others_here.turns.leave(tenant);
        match others_here.others.pop() {
            Some(other) if is_first => self.first = other,
            Some(other) => {
                others_here.others.push(other);
                others_here.others.retain(|member| member.tenant != Some(tenant));
            }
            None => {}
        }
        let waiting = others_here.turns.changed(now);
        self.others_here.take_if(|others_here| others_here.others.is_empty());
        waiting
    }

    /// Returns the waiting tenants after a change of the law, which may allow more now.
    pub fn changed(&mut self, now: Instant) -> Vec<TenantId> {
        self.others_here.as_mut().map(|others_here| others_here.turns.changed(now)).unwrap_or_default()
    }

    /// Tells whether there are no tenants.
    pub fn is_vacant(&self) -> bool {
        self.first.tenant.is_none()
    }

    /// Tells whether there are several.
    pub fn is_shared(&self) -> bool {
        self.others_here.is_some()
    }

    /// Returns a throttle, each of which counts all starts.
    pub fn throttle(&self) -> &Throttle {
        &self.first.throttle
    }

    /// Returns when a start after `ahead` others is due by the limits of all tenants, if they start nothing themselves.
    pub fn forecast(&self, ahead: u64, now: Instant) -> Instant {
        self.iter().map(|member| member.throttle.forecast(ahead, now)).max().unwrap_or(now)
    }

    /// Plans one request of a tenant: see [`Conduct::grant`](super::Conduct::grant).
    pub fn grant(&mut self, tenant: TenantId, now: Instant, horizon: Instant) -> Result<Planned, Refusal> {
        let granted = if self.others_here.is_none() {
            let due = self.first.look(now)?;
            if due > horizon {
                return Err(Refusal::NotBefore(due));
            }
            Planned { due, next: None, is_last: self.first.throttle.is_last_place() }
        } else {
            self.grant_in_turn(tenant, now, horizon)?
        };
        for member in self.iter_mut() {
            member.throttle.plan();
            member.out += u32::from(member.tenant == Some(tenant));
        }
        Ok(granted)
    }

    /// A refused tenant waits for its turn, and the longest wait goes first. Otherwise a tenant that plans far ahead
    /// would take every slot before one that plans just in time.
    fn grant_in_turn(&mut self, tenant: TenantId, now: Instant, horizon: Instant) -> Result<Planned, Refusal> {
        let others_here = self.others_here.get_or_insert_default();
        others_here.turns.ask(tenant, now)?;
        let mut latest = now;
        let mut full = false;
        for member in std::iter::once(&mut self.first).chain(&mut others_here.others) {
            let is_own = member.tenant == Some(tenant);
            let looked = if is_own { member.look(now) } else { member.throttle.look(now) };
            match looked {
                Ok(due) => latest = latest.max(due),
                Err(_) => full = true,
            }
        }
        if full {
            others_here.turns.wait(tenant, None);
            return Err(Refusal::Full);
        }
        if latest > horizon {
            others_here.turns.wait(tenant, Some(latest));
            return Err(Refusal::NotBefore(latest));
        }
        Ok(Planned { due: latest, next: others_here.turns.took(tenant, now), is_last: false })
    }

    /// Allows a granted request to be written now, if all throttles do.
    pub fn try_start(&mut self, now: Instant) -> Result<(), NotBefore> {
        let latest = self.iter().filter_map(|member| member.throttle.may_start(now).err()).max();
        if let Some(not_before) = latest {
            return Err(not_before);
        }
        self.iter_mut().for_each(|member| member.throttle.begin_writing());
        Ok(())
    }

    /// Records that a tenant's request was written at `at`.
    pub fn started(&mut self, tenant: TenantId, at: Instant, random: f64) {
        for member in self.iter_mut() {
            let gap = member.throttle.started(at, random);
            if member.tenant == Some(tenant) {
                member.evidence.note_start(gap, member.throttle.running());
                member.active = Some(at);
            }
        }
    }

    /// Ends a tenant's request. Returns the tenant that waited for the slot, if any.
    pub fn release(&mut self, tenant: TenantId, now: Instant, started: bool) -> Option<TenantId> {
        for member in self.iter_mut() {
            let missed = member.throttle.release(now, started);
            member.evidence.missed = member.evidence.missed.saturating_add(missed);
            if member.tenant == Some(tenant) {
                member.out = member.out.saturating_sub(1);
                member.active = if started { Some(now) } else { member.active };
            }
        }
        self.others_here.as_mut()?.turns.freed(now).filter(|next| *next != tenant)
    }

    /// Tells whether no throttle remembers anything that matters, also by the limits of tenants that have left.
    pub fn is_fresh(&self, now: Instant) -> bool {
        self.counted_until.is_none_or(|until| until <= now) && self.iter().all(|member| member.throttle.is_fresh(now))
    }

    /// Tells whether a tenant without work may leave: see [`Conduct::may_leave`](super::Conduct::may_leave).
    pub fn may_leave(&self, tenant: TenantId, now: Instant) -> Result<(), Option<Instant>> {
        let Some(member) = self.iter().find(|member| member.tenant == Some(tenant)) else { return Ok(()) };
        if member.adaptive.is_some() || member.out > 0 {
            return Err(None);
        }
        let fresh_at = if self.is_shared() {
            // Other tenants may use the domain for ever; by this time the tenant's own starts have left its window.
            member.active.map(|active| active + member.terms.limits.span())
        } else {
            member.throttle.fresh_at()
        };
        fresh_at.filter(|at| *at > now).map_or(Ok(()), |at| Err(Some(at)))
    }

    /// Returns a tenant.
    pub fn get(&self, tenant: TenantId) -> &Member {
        let others = self.others();
        others.iter().find(|member| member.tenant == Some(tenant)).unwrap_or(&self.first)
    }

    /// Returns a tenant, if it has not left.
    pub fn get_mut(&mut self, tenant: TenantId) -> Option<&mut Member> {
        self.iter_mut().find(|member| member.tenant == Some(tenant))
    }

    /// Iterates over all tenants, and the one that left last if there are none.
    pub fn iter(&self) -> impl Iterator<Item = &Member> {
        std::iter::once(&self.first).chain(self.others())
    }

    /// As [`Members::iter`].
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Member> {
        let others = self.others_here.as_mut().map_or(&mut [][..], |others_here| &mut others_here.others);
        std::iter::once(&mut self.first).chain(others)
    }

    fn others(&self) -> &[Member] {
        self.others_here.as_ref().map_or(&[], |others_here| &others_here.others)
    }
}
