//! Resting: until when the sessions of waiting requests rest, as far as that is known. Knows no sessions.

use std::{sync::Arc, time::Instant};

use hashbrown::HashMap;

use crate::{
    request::{Kind, Request},
    sessions::is_pooled,
};

/// The rests that fetchers have reported, one entry for each session. A request whose session rests is not granted,
/// since it would only come back unsent.
#[derive(Default)]
pub struct Resting {
    /// The rest of requests that name no session, or one of a pool: no session is free for them until then.
    unnamed: Option<Instant>,
    named: HashMap<Arc<str>, Instant>,
    /// Whether a request that waits may name a session.
    may_be_named: bool,
}

impl Resting {
    /// Records that a request was queued.
    pub fn queued(&mut self, request: &Request) {
        self.may_be_named |= name_of(request).is_some();
    }

    /// Records that requests of an earlier process wait.
    pub fn resume(&mut self) {
        self.may_be_named = true;
    }

    /// Records that a request cannot be sent before its session has rested.
    pub fn note(&mut self, request: &Request, until: Instant) {
        match name_of(request) {
            None => self.unnamed = Some(until),
            Some(name) => drop(self.named.insert(name.into(), until)),
        }
    }

    /// Returns until when the session of a request rests.
    pub fn until(&self, request: &Request, now: Instant) -> Option<Instant> {
        // Other kinds are requested in the default session, whatever its state.
        let is_page = request.kind() == Kind::Page;
        let until = name_of(request).map_or(self.unnamed, |name| self.named.get(name).copied());
        until.filter(|until| is_page && *until > now)
    }

    /// Returns until when all waiting requests rest, sitemaps too.
    pub fn all_until(&self, now: Instant) -> Option<Instant> {
        self.unnamed.filter(|until| !self.may_be_named && *until > now)
    }
}

fn name_of(request: &Request) -> Option<&str> {
    request.session_name().filter(|name| !is_pooled(name))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_session_rests_for_itself_and_all_only_where_none_is_named() {
        let (mut resting, now) = (Resting::default(), Instant::now());
        let later = now + Duration::from_secs(9);
        let unnamed = Request::parse("http://a.org/").unwrap();
        let [pooled, alice, bob] = ["pool/2", "alice", "bob"].map(|name| unnamed.clone().session(name));
        resting.queued(&unnamed);
        resting.queued(&pooled);
        resting.note(&pooled, later);
        assert_eq!((resting.all_until(now), resting.until(&unnamed, now)), (Some(later), Some(later)));
        assert_eq!((resting.all_until(later), resting.until(&unnamed, later)), (None, None), "it has rested");
        resting.queued(&alice);
        resting.note(&alice, later);
        assert_eq!([&alice, &bob].map(|request| resting.until(request, now)), [Some(later), None]);
        assert_eq!(resting.all_until(now), None, "one that is named may go");
        let file = Request::robots_txt("http://a.org/robots.txt".parse().unwrap());
        assert_eq!(resting.until(&file, now), None);
    }
}
