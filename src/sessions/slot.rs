//! Slot: the place of one session, in which a new one may follow another: whether it may be used, and what a refusal
//! makes of it. Knows no clock, no network and no other session.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde::Serialize;

use super::cookies::Cookies;

/// What was done in a session.
///
/// ```
/// use actix_crawler::sessions::SessionCounts;
///
/// let mut counts = SessionCounts::default();
/// (counts.requests, counts.blocked, counts.log_ins) = (12, 1, 2);
/// assert_eq!(counts.to_string(), "12 requests, 1 blocked, 2 log-ins");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SessionCounts {
    /// Requests that were made in it, each attempt and each hop of a redirect. Those of log-ins do not count.
    pub requests: u64,
    /// How often it was refused.
    pub blocked: u64,
    /// How often it was logged in.
    pub log_ins: u64,
    /// How often its log-in failed.
    pub log_ins_failed: u64,
    /// How many cookies it has.
    pub cookies: u64,
    /// How many cookies were removed for want of room.
    pub cookies_forgotten: u64,
}

impl SessionCounts {
    /// Tells whether anything was done in it.
    pub(crate) fn is_any(self) -> bool {
        self != Self::default()
    }
}

/// The place of one session.
pub struct Slot {
    /// The cookies of the session that is there now. Requests in flight keep those that they began with.
    pub cookies: Arc<Cookies>,
    /// The proxy of its requests.
    pub proxy: Option<Arc<str>>,
    /// What was done.
    pub counts: SessionCounts,
    /// What tells the cookies that it was given at the start.
    pub given: u64,
    state: SlotState,
    is_pooled: bool,
    /// Requests since it was made.
    uses: u64,
    /// Whether a page came well since it was made.
    has_worked: bool,
    /// Answers that do not refuse it and are being read.
    being_read: u32,
    failed_log_ins: u32,
}

/// What holds for every session.
#[derive(Clone, Copy, Debug)]
pub struct SlotRules {
    /// How long one rests that was refused.
    pub rest: Duration,
    /// After how many requests one of the pool is replaced.
    pub max_uses: Option<u64>,
    /// Whether there is a function that makes new ones.
    pub logs_in: bool,
}

/// What says that a session is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusedBy {
    /// A response, by its status, by where it leads, or by what a middleware says of it.
    Response,
    /// The spider, which has read a response.
    Spider,
}

#[derive(Clone, Debug, PartialEq)]
enum SlotState {
    /// It may be used.
    Ready,
    /// It must be logged in before it is used.
    Unmade,
    /// It is being logged in.
    InTheMaking,
    /// It was refused, or its log-in failed.
    Resting { until: Instant, is_made_anew: bool },
    /// Its log-in failed too often, at last for this reason.
    GivenUp(String),
}

/// Whether a session may be used now.
#[derive(Clone, Debug, PartialEq)]
pub enum Use {
    /// It may.
    Now,
    /// It must be logged in first.
    AfterLogIn,
    /// It is being logged in.
    Soon,
    /// It rests.
    NotBefore(Instant),
    /// Never, for this reason.
    Never(String),
}

/// After so many failed log-ins in a row a session is given up: as often as a request is tried by default.
const MAX_FAILED_LOG_INS: u32 = 3;

/// The longest wait after a failed log-in of a session that has never been logged in: a wrong password is known within
/// seconds.
const FIRST_LOG_IN_AGAIN: Duration = Duration::from_secs(5);

impl Slot {
    /// Creates the place of a session that has these cookies. One without any is logged in before it is used.
    pub fn new(cookies: Arc<Cookies>, proxy: Option<Arc<str>>, is_pooled: bool, rules: SlotRules) -> Self {
        let state = if rules.logs_in && cookies.count() == 0 { SlotState::Unmade } else { SlotState::Ready };
        Self {
            cookies,
            proxy,
            counts: SessionCounts::default(),
            given: 0,
            state,
            is_pooled,
            uses: 0,
            has_worked: false,
            being_read: 0,
            failed_log_ins: 0,
        }
    }

    /// Tells whether the session may be used; `fresh` makes empty cookies for a new one.
    pub fn usable(&mut self, now: Instant, rules: SlotRules, fresh: impl FnOnce() -> Arc<Cookies>) -> Use {
        let is_worn = self.is_pooled && rules.max_uses.is_some_and(|most| self.uses >= most);
        match &self.state {
            SlotState::Ready if is_worn => self.replace(rules, fresh),
            SlotState::Resting { until, .. } if *until > now => return Use::NotBefore(*until),
            // Without a log-in a session of the pool is nobody: the next begins without its cookies.
            SlotState::Resting { is_made_anew, .. } if *is_made_anew || self.is_pooled => self.replace(rules, fresh),
            SlotState::Resting { .. } => self.state = SlotState::Ready,
            SlotState::Ready | SlotState::Unmade | SlotState::InTheMaking | SlotState::GivenUp(_) => {}
        }
        match &self.state {
            SlotState::Unmade => Use::AfterLogIn,
            SlotState::InTheMaking => Use::Soon,
            SlotState::GivenUp(why) => Use::Never(why.clone()),
            SlotState::Ready | SlotState::Resting { .. } => Use::Now,
        }
    }

    /// Takes note of a request that is made in it.
    pub fn used(&mut self) {
        self.uses += 1;
        self.counts.requests += 1;
    }

    /// Takes note that a page came well.
    pub fn worked(&mut self) {
        self.has_worked = true;
    }

    /// Takes note that an answer which does not refuse it begins to be read, or that this has ended.
    pub fn reads(&mut self, begins: bool) {
        self.being_read = if begins { self.being_read + 1 } else { self.being_read.saturating_sub(1) };
    }

    /// Begins a log-in.
    pub fn begin_log_in(&mut self) {
        self.state = SlotState::InTheMaking;
    }

    /// Ends a log-in: the session has these cookies, or rests for a failure, or is given up for the last of several.
    pub fn end_log_in(&mut self, made: Result<Arc<Cookies>, String>, now: Instant, rules: SlotRules) {
        match made {
            Ok(cookies) => {
                (self.cookies, self.state) = (cookies, SlotState::Ready);
                (self.uses, self.has_worked, self.being_read, self.failed_log_ins) = (0, false, 0, 0);
                self.counts.log_ins += 1;
            }
            Err(why) => {
                self.failed_log_ins += 1;
                self.counts.log_ins_failed += 1;
                let wait = if self.counts.log_ins == 0 { rules.rest.min(FIRST_LOG_IN_AGAIN) } else { rules.rest };
                self.state = if self.failed_log_ins >= MAX_FAILED_LOG_INS {
                    SlotState::GivenUp(why)
                } else {
                    SlotState::Resting { until: now + wait, is_made_anew: true }
                };
            }
        }
    }

    /// Takes note of a refusal, by an answer or by the spider that reads one. A session that has worked is logged in
    /// again at once; one that has not, or that nobody can log in, rests first. Where an answer refuses it, others that
    /// are being read show that it has worked; a spider may yet find that each of them refuses it. Tells whether this
    /// is news: answers of requests in flight may follow the first refusal.
    pub fn refused(&mut self, by: RefusedBy, now: Instant, rules: SlotRules) -> bool {
        self.counts.blocked += 1;
        if self.state != SlotState::Ready {
            return false;
        }
        let has_worked = self.has_worked || by == RefusedBy::Response && self.being_read > 0;
        self.state = if rules.logs_in && has_worked {
            SlotState::Unmade
        } else {
            SlotState::Resting { until: now + rules.rest, is_made_anew: rules.logs_in }
        };
        true
    }

    fn replace(&mut self, rules: SlotRules, fresh: impl FnOnce() -> Arc<Cookies>) {
        if rules.logs_in {
            self.state = SlotState::Unmade;
        } else {
            (self.cookies, self.state) = (fresh(), SlotState::Ready);
            (self.uses, self.has_worked) = (0, false);
        }
    }
}

impl std::fmt::Display for SessionCounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { requests, blocked, log_ins, log_ins_failed, cookies_forgotten, .. } = *self;
        write!(f, "{requests} {}", if requests == 1 { "request" } else { "requests" })?;
        for (count, one, more) in [
            (blocked, "blocked", "blocked"),
            (log_ins, "log-in", "log-ins"),
            (log_ins_failed, "log-in failed", "log-ins failed"),
            (cookies_forgotten, "cookie forgotten", "cookies forgotten"),
        ] {
            match count {
                0 => {}
                1 => write!(f, ", 1 {one}")?,
                count => write!(f, ", {count} {more}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: Duration = Duration::from_secs(60);

    fn fresh() -> Arc<Cookies> {
        Cookies::new(&Arc::default())
    }

    fn rules(logs_in: bool) -> SlotRules {
        SlotRules { rest: REST, max_uses: Some(2), logs_in }
    }

    #[test]
    fn one_that_nobody_can_log_in_rests_and_keeps_its_cookies_unless_it_is_of_the_pool() {
        for is_pooled in [false, true] {
            let (now, rules) = (Instant::now(), rules(false));
            let mut slot = Slot::new(fresh(), None, is_pooled, rules);
            let before = slot.cookies.clone();
            assert_eq!(slot.usable(now, rules, fresh), Use::Now);
            let by = RefusedBy::Response;
            assert!(slot.refused(by, now, rules) && !slot.refused(by, now + REST / 2, rules), "a burst counts once");
            assert_eq!(slot.usable(now + REST / 2, rules, fresh), Use::NotBefore(now + REST));
            assert_eq!(slot.usable(now + REST, rules, fresh), Use::Now);
            assert_eq!(Arc::ptr_eq(&slot.cookies, &before), !is_pooled);
            assert_eq!(slot.counts.blocked, 2);
        }
    }

    #[test]
    fn one_that_has_worked_is_logged_in_again_at_once_and_one_that_has_not_rests_first() {
        let (now, rules) = (Instant::now(), rules(true));
        let mut slot = Slot::new(fresh(), None, false, rules);
        for (has_worked, then) in [(true, Use::AfterLogIn), (false, Use::NotBefore(now + REST))] {
            assert_eq!(slot.usable(now, rules, fresh), Use::AfterLogIn, "it has no cookies, or was refused");
            slot.begin_log_in();
            assert_eq!(slot.usable(now, rules, fresh), Use::Soon);
            slot.end_log_in(Ok(fresh()), now, rules);
            assert_eq!(slot.usable(now, rules, fresh), Use::Now);
            if has_worked {
                slot.worked();
            }
            slot.refused(RefusedBy::Response, now, rules);
            assert_eq!(slot.usable(now, rules, fresh), then);
        }
        assert_eq!(slot.usable(now + REST, rules, fresh), Use::AfterLogIn);
    }

    #[test]
    fn one_whose_log_in_fails_three_times_in_a_row_is_given_up() {
        for (was_logged_in, wait) in [(true, REST), (false, FIRST_LOG_IN_AGAIN.min(REST))] {
            let (mut now, rules) = (Instant::now(), rules(true));
            let mut slot = Slot::new(fresh(), None, false, rules);
            if was_logged_in {
                slot.begin_log_in();
                slot.end_log_in(Ok(fresh()), now, rules);
            }
            for _ in 0..2 {
                slot.begin_log_in();
                slot.end_log_in(Err("wrong password".to_owned()), now, rules);
                assert_eq!(slot.usable(now, rules, fresh), Use::NotBefore(now + wait));
                now += wait;
                assert_eq!(slot.usable(now, rules, fresh), Use::AfterLogIn);
            }
            slot.begin_log_in();
            slot.end_log_in(Err("wrong password".to_owned()), now, rules);
            assert_eq!(slot.usable(now + 9 * REST, rules, fresh), Use::Never("wrong password".to_owned()));
            assert_eq!(slot.counts.log_ins_failed, 3);
        }
    }

    #[test]
    fn an_answer_that_is_being_read_shows_that_a_session_has_worked_unless_the_spider_says_otherwise() {
        for (by, being_read, rests) in
            [(RefusedBy::Response, 1, false), (RefusedBy::Response, 0, true), (RefusedBy::Spider, 1, true)]
        {
            let (now, rules) = (Instant::now(), rules(true));
            let mut slot = Slot::new(fresh(), None, false, rules);
            slot.begin_log_in();
            slot.end_log_in(Ok(fresh()), now, rules);
            (0..2).for_each(|_| slot.reads(true));
            (being_read..2).for_each(|_| slot.reads(false));
            slot.refused(by, now, rules);
            let may = slot.usable(now, rules, fresh);
            assert_eq!(matches!(may, Use::NotBefore(_)), rests, "{by:?}, {being_read}: {may:?}");
        }
    }

    #[test]
    fn one_of_the_pool_is_replaced_after_its_uses_and_another_is_not() {
        for (is_pooled, logs_in) in [(true, false), (true, true), (false, false)] {
            let (now, rules) = (Instant::now(), rules(logs_in));
            let mut slot = Slot::new(fresh(), None, is_pooled, rules);
            slot.end_log_in(Ok(fresh()), now, rules);
            let first = slot.cookies.clone();
            (0..2).for_each(|_| slot.used());
            let then = slot.usable(now, rules, fresh);
            assert_eq!(then, if logs_in { Use::AfterLogIn } else { Use::Now });
            assert_eq!(
                Arc::ptr_eq(&slot.cookies, &first),
                logs_in || !is_pooled,
                "a log-in replaces it when it is done"
            );
        }
    }
}
