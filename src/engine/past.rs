//! DomainHistory: what a restart must know of a domain, read from its state and restored to it. Knows no store.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::domains::Domains;
use crate::{
    conduct::{
        AskedSpacing, Lessons, Sparing,
        cooling::{CoolingCause, Refusals},
        throttle::Evidence,
    },
    domain::Domain,
    frontier::durable::{CoolingHistory, DomainHistory, SlowedHistory},
    stats::{DomainStats, Stats},
};

/// How long a spacing is valid if an older version stored no expiry: as long as a robots file.
const VALID: Duration = Duration::from_secs(86_400);

/// Returns what to store of a domain, whether it has a state or not.
pub fn of(
    domain: &Domain,
    domains: &Domains,
    known: Option<&DomainStats>,
    now: Instant,
    time: SystemTime,
) -> DomainHistory {
    let (lessons, live) = (domains.lessons(domain, now), domains.get(domain));
    let mut counted = known.cloned().unwrap_or_default();
    if let Some(live) = live {
        counted.merge(&live.tenancy.evidence());
    }
    let asked = lessons.asked(now);
    let sparing = live.map(|live| live.tenancy.sparing(now)).unwrap_or_default();
    DomainHistory {
        spacing: asked.map(|asked| asked.spacing),
        spacing_until: asked.map(|asked| millis(asked.until, now, time)),
        cooling: lessons.refusals(now).map(|Refusals { in_a_row, limit, until, why }| CoolingHistory {
            until: millis(until, now, time),
            status: match why {
                CoolingCause::Status(code) => Some(code),
                CoolingCause::Unreachable => None,
            },
            consecutive: in_a_row.into(),
            limit: limit.into(),
        }),
        rests_until: sparing.rests_until.map(|until| millis(until, now, time)),
        slowed: sparing
            .slowed
            .map(|AskedSpacing { spacing, until }| SlowedHistory { spacing, until: millis(until, now, time) }),
        requests: counted.requests,
        smallest_gap: counted.smallest_gap,
        most_in_flight: counted.most_in_flight,
        pages: counted.pages,
        refusals: counted.refusals,
    }
}

/// Restores the history: conduct and counts.
pub fn recall(
    past: &DomainHistory,
    domain: &Domain,
    domains: &mut Domains,
    stats: &mut Stats,
    now: Instant,
    time: SystemTime,
) {
    let refusals = past.cooling.as_ref().map(|cooling| {
        let why = cooling.status.map_or(CoolingCause::Unreachable, CoolingCause::Status);
        // Where an older version stored no limit, that of the last cause counts.
        let limit = small(cooling.limit).max(why.max_in_a_row());
        Refusals { in_a_row: small(cooling.consecutive), limit, until: instant(cooling.until, now, time), why }
    });
    let asked = past.spacing.map(|spacing| AskedSpacing {
        spacing,
        until: past.spacing_until.map_or(now + VALID, |until| instant(until, now, time).min(now + VALID)),
    });
    domains.recall(domain, Lessons::new(refusals, asked), now);
    let ahead = |until| Some(instant(until, now, time)).filter(|until| *until > now);
    let sparing = Sparing {
        rests_until: past.rests_until.and_then(ahead),
        slowed: past
            .slowed
            .as_ref()
            .and_then(|slowed| Some(AskedSpacing { spacing: slowed.spacing, until: ahead(slowed.until)? })),
    };
    if !sparing.is_none() {
        domains.spare(domain, sparing, now);
    }
    if let Some(of_domain) = stats.domain(domain) {
        of_domain.merge(&Evidence {
            requests: past.requests,
            smallest_gap: past.smallest_gap,
            most_in_flight: past.most_in_flight,
            missed: 0,
        });
        (of_domain.pages, of_domain.refusals) = (past.pages, past.refusals);
    }
}

/// Larger numbers are capped; the limits that count are far lower.
fn small(count: u32) -> u8 {
    u8::try_from(count).unwrap_or(u8::MAX)
}

/// Converts a calendar time to an instant; a time too long ago to be represented becomes now.
fn instant(millis: u64, now: Instant, time: SystemTime) -> Instant {
    let (at, time) = (Duration::from_millis(millis), since_1970(time));
    match at.checked_sub(time) {
        Some(ahead) => now + ahead.min(MAX_AHEAD),
        None => now.checked_sub(time.saturating_sub(at)).unwrap_or(now),
    }
}

/// The furthest stored time in the future that is accepted, slightly more than a refusal can ask for: the clock may
/// have been set back.
const MAX_AHEAD: Duration = Duration::from_secs(2 * 86_400);

/// Converts an instant to a calendar time, rounded up, so that no wait is cut short.
fn millis(at: Instant, now: Instant, time: SystemTime) -> u64 {
    let at = match at.checked_duration_since(now) {
        Some(ahead) => since_1970(time) + ahead,
        None => since_1970(time).saturating_sub(now.saturating_duration_since(at)),
    };
    u64::try_from(at.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}
