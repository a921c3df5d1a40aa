//! Again: whether an ended request is made again, and when.

use std::time::Instant;

use super::Intake;
use crate::{
    conduct::{
        Cooled,
        cooling::{BackOff, CoolingCause},
    },
    domain::Domain,
    engine::turn::Turn,
    fetcher::{http::is_idempotent, visit::Visit},
    frontier::{Frontier, Leased},
    outcome::Outcome,
    request::{Kind, Request},
};

/// When to retry a request.
pub(super) struct Again {
    /// Not before this instant.
    pub not_before: Option<Instant>,
    /// Whether this attempt counts.
    pub attempted: bool,
}

impl Intake {
    /// Tells whether the spider must still be notified of an ended request: it brought no page, it is not tried again,
    /// and its fetcher could not know that.
    pub fn is_to_be_notified(&self, turn: &Turn<'_>, domain: &Domain, visit: &Visit) -> bool {
        let Visit { leased, outcome, receipt, cooled, session_rest, is_notified, .. } = visit;
        let may_be =
            !is_notified && session_rest.is_none() && leased.request.kind() == Kind::Page && outcome.is_without_page();
        may_be && self.again(turn, domain, leased, outcome, (receipt.started, *cooled)).is_none()
    }

    /// Decides whether to retry a request.
    pub(super) fn again(
        &self,
        turn: &Turn<'_>,
        domain: &Domain,
        leased: &Leased,
        outcome: &Outcome,
        (started, cooled): (Option<Instant>, Option<Cooled>),
    ) -> Option<Again> {
        match outcome {
            Outcome::Unsent | Outcome::Local(..) => Some(Again { not_before: None, attempted: false }),
            // The request fails with all others of the domain.
            _ if turn.is_given_up(domain) => None,
            Outcome::Refused { .. } => {
                let in_a_row = cooled.map_or(0, |cooled| cooled.in_a_row);
                // It was refused as often as a domain may refuse in a row, while its domain answered other requests.
                let is_too_often = |cooled: Cooled| {
                    cooled.in_a_row > 0 && self.refused.count(domain, &leased.request) + 1 >= cooled.why.max_in_a_row()
                };
                let is_refused_alone = cooled.is_some_and(is_too_often);
                let not_before = turn.cools_until(domain).map(|until| match in_a_row {
                    0 | 1 => until,
                    _ => behind_others(turn, domain, until),
                });
                (!is_refused_alone).then_some(Again { not_before, attempted: false })
            }
            outcome => {
                let may_repeat = started.is_none() || is_idempotent(&leased.request.method);
                let wait = self.retry.wait(outcome, leased.attempt, may_repeat, fastrand::f64())?;
                let not_before = turn.now + wait;
                // Its host may be away, and not the whole domain.
                let behind = cooled
                    .filter(|cooled| cooled.in_a_row > 1)
                    .and_then(|_| Some(behind_others(turn, domain, turn.cools_until(domain)?)));
                Some(Again {
                    not_before: Some(behind.map_or(not_before, |behind| behind.max(not_before))),
                    attempted: true,
                })
            }
        }
    }

    /// Counts a refusal that may be meant for this request alone, until the request is over.
    pub(super) fn count_refusal(
        &mut self,
        domain: &Domain,
        request: &Request,
        is_made_again: bool,
        cooled: Option<Cooled>,
    ) {
        match cooled {
            Some(Cooled { back_off: BackOff::GiveUp(_), .. }) => self.refused.given_up(domain),
            Some(Cooled { in_a_row: 1.., why: CoolingCause::Status(_), .. }) if is_made_again => {
                self.refused.note(domain, request);
            }
            _ if is_made_again => {}
            _ => self.refused.settled(domain, request),
        }
    }
}

/// Returns when to repeat a request that was refused again after a rest; the next rest ends at `until`. If other
/// requests of the domain wait, the request waits once more as long as that rest. So another one goes first, and its
/// response shows whether the domain refuses or only this page. Otherwise the page would be first again after each
/// rest, and its domain would be given up.
fn behind_others(turn: &Turn<'_>, domain: &Domain, until: Instant) -> Instant {
    let others_wait = turn.frontier.has_waiting(domain) || turn.frontier.files.has(domain);
    if others_wait { until + until.saturating_duration_since(turn.now) } else { until }
}
