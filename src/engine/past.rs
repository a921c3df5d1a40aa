//! Past: what a restart must not forget of a domain, taken from its state and put back into it. Knows no store.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::domains::{Domains, Live};
use crate::{
    cooling::{Cooling, Why},
    domain::Domain,
    frontier::durable::{CoolingHistory, DomainHistory},
    politeness::Limits,
    stats::{DomainStats, Stats},
    throttle::Evidence,
};

/// Returns what is to be remembered of a domain whose limits would usually be `usual`.
pub fn of(live: &Live, usual: &Limits, known: Option<&DomainStats>, now: Instant, time: SystemTime) -> DomainHistory {
    let throttle = live.gate.throttle();
    let (spacing, evidence) = (throttle.limits().spacing, throttle.evidence());
    drop(throttle);
    let mut counted = known.cloned().unwrap_or_default();
    counted.merge(&evidence);
    DomainHistory {
        spacing: (spacing > usual.spacing).then_some(spacing),
        cooling: live.cooling.refusals().map(|(consecutive, until, why)| CoolingHistory {
            until: millis(until, now, time),
            status: match why {
                Why::Status(code) => Some(code),
                Why::Unreachable => None,
            },
            consecutive,
        }),
        requests: counted.requests,
        smallest_gap: counted.smallest_gap,
        most_in_flight: counted.most_in_flight,
        pages: counted.pages,
        refusals: counted.refusals,
    }
}

/// Puts a past back. Only what is held against a domain gives it a state; the rest goes to the counts.
pub fn recall(
    past: &DomainHistory,
    domain: &Domain,
    domains: &mut Domains,
    stats: &mut Stats,
    now: Instant,
    time: SystemTime,
) {
    if let Some(spacing) = past.spacing {
        let mut throttle = domains.live(domain).gate.throttle();
        let slowed = throttle.limits().slowed_to(spacing);
        throttle.set_limits(slowed);
    }
    if let Some(cooling) = &past.cooling {
        let until = now + Duration::from_millis(cooling.until).saturating_sub(since_1970(time));
        let why = cooling.status.map_or(Why::Unreachable, Why::Status);
        let live = domains.live(domain);
        live.cooling = Cooling::recalled(until, why, cooling.consecutive);
        live.gate.throttle().cool(until);
        domains.note_cooling(domain, now);
    }
    if domains.get(domain).is_some() {
        // To be forgotten in time, if nothing waits for it.
        domains.schedule(domain, now);
    }
    if let Some(of_domain) = stats.domain(domain) {
        of_domain.merge(&Evidence {
            requests: past.requests,
            smallest_gap: past.smallest_gap,
            most_in_flight: past.most_in_flight,
        });
        (of_domain.pages, of_domain.refusals) = (past.pages, past.refusals);
    }
}

fn millis(at: Instant, now: Instant, time: SystemTime) -> u64 {
    let at = since_1970(time) + at.saturating_duration_since(now);
    u64::try_from(at.as_millis()).unwrap_or(u64::MAX)
}

fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}
