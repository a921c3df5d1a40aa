//! SessionPool: the sessions of a crawl or a client, and which of them serves a request. Knows no network.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fmt,
    path::Path,
    sync::{Arc, Mutex},
    time::Instant,
};

use tokio::{runtime::Handle, sync::Notify};

use super::{
    DEFAULT, MAX_SESSIONS, Session, SessionCounts, Sessions,
    cookies::{self, AllCookies, Cookies},
    given::GivenCookies,
    name,
    shared::{SharedSessions, Slots, Storage},
    slot::{RefusedBy, Slot, SlotRules, Use},
};
use crate::{
    clock,
    domain::Domain,
    error::{Error, Result},
};

/// The sessions of a running crawl or of a client: to look at them, and to save them. Clones share the sessions.
///
/// ```
/// # use actix_crawler::{Error, Rate, ThrottledClient, sessions::{SessionCookie, SessionSettings, Sessions}};
/// # #[cfg(feature = "cookies")] {
/// let alice = SessionSettings::new().cookie(SessionCookie::new("sid", "s3cret", "shop.example"));
/// let client = ThrottledClient::builder("pricebot/1.0 (+https://example.org/bot)")
///     .sessions(Sessions::new().named("alice", alice))
///     .build()?;
///
/// let sessions = client.sessions().unwrap();
/// assert_eq!(sessions.get("alice").unwrap().value("sid").as_deref(), Some("s3cret"));
/// assert_eq!(sessions.counts()["alice"].cookies, 1);
/// # }
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone)]
pub struct SessionPool(Arc<SharedSessions>);

/// Which session serves a request.
#[derive(Debug)]
pub(crate) enum Choice {
    /// This one.
    Use(Session),
    /// This one has to be logged in; ask again then, or at once for another.
    LogIn(LogInTurn),
    /// One that is being logged in.
    Soon,
    /// None before this instant.
    NotBefore(Instant),
    /// None, for this reason.
    Never(String),
}

/// The turn to log a session in. Dropped before it has ended, the log-in has failed.
#[derive(Debug)]
pub(crate) struct LogInTurn {
    session: Session,
    has_ended: bool,
}

impl SessionPool {
    /// Makes the sessions. `None` where no cookies are to be kept, since `keeps_cookies` says no and nothing else is
    /// set.
    ///
    /// # Errors
    /// A setting is invalid, a file cannot be read, or this build keeps no cookies.
    pub(crate) fn open(
        settings: &Sessions,
        keeps_cookies: bool,
        logs_in: bool,
        threads: &Handle,
    ) -> Result<Option<Self>> {
        if !keeps_cookies && !logs_in && settings.are_default() {
            return Ok(None);
        }
        cookies::check_support()?;
        settings.check()?;
        let rules = SlotRules { rest: settings.rest, max_uses: settings.max_uses, logs_in };
        let saved = settings.file.as_deref().map(GivenCookies::saved).transpose()?.unwrap_or_default();
        let cookies_in_all = Arc::<AllCookies>::default();
        let mut by_name = BTreeMap::new();
        let members = (1..=settings.pool).map(name::of_member);
        let names = settings.named.keys().cloned().chain(members).chain([DEFAULT.to_owned()]);
        // Those that are in the file only were named by requests, and may be again.
        let names = names.chain(saved.sessions.keys().filter(|saved| !name::is_pooled(saved)).cloned());
        let mut proxies = settings.pool_proxies.iter().cycle();
        for name in names.take(MAX_SESSIONS + 1) {
            let Entry::Vacant(place) = by_name.entry(Arc::<str>::from(name.as_str())) else { continue };
            name::check(&name)?;
            let given = settings.named.get(&name);
            let is_pooled = name::is_pooled(&name);
            let own = given.and_then(|given| given.proxy.as_ref());
            let proxy = if is_pooled { proxies.next() } else { own };
            let given = GivenCookies::new(&name, given)?;
            let cookies = Cookies::new(&cookies_in_all);
            given.fill(&cookies, saved.sessions.get(&name))?;
            let mut slot = Slot::new(cookies, proxy.map(|proxy| proxy.as_str().into()), is_pooled, rules);
            slot.given = given.digest();
            place.insert(slot);
        }
        Ok(Some(Self(Arc::new(SharedSessions {
            rules,
            blocked_by: settings.blocked_by.clone(),
            blocked_at: settings.blocked_at.clone(),
            slots: Mutex::new(Slots { by_name, members: settings.pool, turn: 0 }),
            news: Notify::new(),
            cookies_in_all,
            storage: settings.file.clone().map(|path| Storage::new(path, threads.clone())),
            log_in_requests: Mutex::default(),
        }))))
    }

    /// Returns the names of the sessions.
    pub fn names(&self) -> Vec<String> {
        self.0.slots().by_name.keys().map(ToString::to_string).collect()
    }

    /// Returns the session of this name; `None` if no request has named it yet and it was not given.
    pub fn get(&self, name: &str) -> Option<Session> {
        let slots = self.0.slots();
        let (name, slot) = slots.by_name.get_key_value(name)?;
        Some(self.session(name, slot))
    }

    /// Returns what was done in each session.
    pub fn counts(&self) -> BTreeMap<String, SessionCounts> {
        let counted = |(name, slot): (&Arc<str>, &Slot)| {
            let (cookies, cookies_forgotten) = (slot.cookies.count() as u64, slot.cookies.forgotten());
            (name.to_string(), SessionCounts { cookies, cookies_forgotten, ..slot.counts })
        };
        self.0.slots().by_name.iter().map(counted).collect()
    }

    /// Returns how many requests log-ins have sent to each domain, each attempt and each hop of a redirect.
    pub(crate) fn log_in_requests(&self) -> BTreeMap<Domain, u64> {
        self.0.log_in_requests().clone()
    }

    /// Saves the cookies of all sessions in a file, as JSON. Whoever reads it can act in the sessions: on Unix only its
    /// owner may (mode 0600). Cookies of the default session that belong to a proxy are not saved.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        self.0.saved().write(path).map_err(|source| Error::file(path, source))
    }

    /// Saves what has changed since it was saved last, where a file is set.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn save_changes(&self) -> Result<()> {
        self.0.save_changes()
    }

    /// Returns the proxies that sessions have, with the names of these.
    pub(crate) fn proxies(&self) -> Vec<(String, Arc<str>)> {
        let slots = self.0.slots();
        let named = |(name, slot): (&Arc<str>, &Slot)| Some((name.to_string(), slot.proxy.clone()?));
        slots.by_name.iter().filter_map(named).collect()
    }

    /// Returns the default session, whatever its state: robots files and sitemaps are requested in it.
    pub(crate) fn default_session(&self) -> Option<Session> {
        self.get(DEFAULT)
    }

    /// Chooses the session of a request for a page: the one that it names, or the next of the pool, or the default one.
    /// Of the pool another may serve in place of one that is named.
    pub(crate) fn choose(&self, named: Option<&str>, now: Instant) -> Choice {
        let mut slots = self.0.slots();
        let has_pool = slots.members > 0;
        match named {
            None if has_pool => self.choose_member(&mut slots, None, now),
            Some(name) if has_pool && name::is_pooled(name) => self.choose_member(&mut slots, Some(name), now),
            named => self.choose_named(&mut slots, named.unwrap_or(DEFAULT), now),
        }
    }

    /// Returns a future that is ready when a log-in has ended. It has to be made before it is chosen.
    pub(crate) fn news(&self) -> impl Future<Output = ()> + '_ {
        self.0.news.notified()
    }

    /// Tells whether an answer with this status, which may redirect to a path, says that its session is refused.
    pub(crate) fn is_block(&self, status: u16, redirects_to: Option<&str>) -> bool {
        let leads_there = |path: &str| self.0.blocked_at.iter().any(|blocked| path.starts_with(blocked.as_str()));
        self.0.blocked_by.contains(&status) || redirects_to.is_some_and(leads_there)
    }

    fn choose_named(&self, slots: &mut Slots, name: &str, now: Instant) -> Choice {
        if !slots.by_name.contains_key(name) {
            if let Err(error) = name::check(name) {
                return Choice::Never(error.to_string());
            }
            if slots.by_name.len() > MAX_SESSIONS {
                return Choice::Never(format!("there are {MAX_SESSIONS} sessions already, and `{name}` is another"));
            }
            let is_pooled = name::is_pooled(name);
            slots.by_name.insert(name.into(), Slot::new(self.0.fresh(), None, is_pooled, self.0.rules));
        }
        let Some((name, usable)) = self.usable(slots, name, now) else { return Choice::Soon };
        self.choice(slots, &name, usable)
    }

    /// Goes through the members from the one whose turn it is, or from the one that is preferred.
    fn choose_member(&self, slots: &mut Slots, preferred: Option<&str>, now: Instant) -> Choice {
        let of = |number: usize| name::of_member(number % slots.members + 1);
        let in_turn: Vec<_> = (slots.turn..slots.turn + slots.members).map(of).collect();
        let preferred = preferred.filter(|name| slots.by_name.contains_key(*name));
        let order = preferred.into_iter().chain(in_turn.iter().map(String::as_str));
        let mut best = Choice::Never("the pool has no session".to_owned());
        for (place, name) in order.enumerate() {
            let Some((name, usable)) = self.usable(slots, name, now) else { continue };
            if matches!(usable, Use::Now | Use::AfterLogIn) {
                if preferred.is_none() {
                    slots.turn = (slots.turn + place + 1) % slots.members;
                }
                return self.choice(slots, &name, usable);
            }
            best = match (best, self.choice(slots, &name, usable)) {
                (Choice::Soon, _) | (_, Choice::Soon) => Choice::Soon,
                (Choice::NotBefore(one), Choice::NotBefore(other)) => Choice::NotBefore(one.min(other)),
                (some @ Choice::NotBefore(_), _) => some,
                (_, other) => other,
            };
        }
        best
    }

    fn usable(&self, slots: &mut Slots, name: &str, now: Instant) -> Option<(Arc<str>, Use)> {
        let name = slots.by_name.get_key_value(name)?.0.clone();
        let slot = slots.by_name.get_mut(&name)?;
        Some((name, slot.usable(now, self.0.rules, || self.0.fresh())))
    }

    fn choice(&self, slots: &mut Slots, name: &Arc<str>, usable: Use) -> Choice {
        let Some(slot) = slots.by_name.get_mut(name) else { return Choice::Soon };
        match usable {
            Use::Now => {
                slot.used();
                Choice::Use(self.session(name, slot))
            }
            Use::AfterLogIn => {
                slot.begin_log_in();
                let session = Session { cookies: self.0.fresh(), ..self.session(name, slot) };
                Choice::LogIn(LogInTurn { session, has_ended: false })
            }
            Use::Soon => Choice::Soon,
            Use::NotBefore(at) => Choice::NotBefore(at),
            Use::Never(why) => Choice::Never(format!("session `{name}` is given up, since its log-in failed: {why}")),
        }
    }

    fn session(&self, name: &Arc<str>, slot: &Slot) -> Session {
        let (name, cookies, proxy) = (name.clone(), slot.cookies.clone(), slot.proxy.clone());
        Session { shared: self.0.clone(), name, cookies, proxy, came_by: None }
    }
}

impl Session {
    /// Takes note that a page came well in it.
    pub(crate) fn worked(&self) {
        self.with_slot(Slot::worked);
    }

    /// Takes note that an answer which does not refuse it is being read, as long as the result lives.
    pub(crate) fn being_read(&self) -> BeingRead {
        self.with_slot(|slot| slot.reads(true));
        BeingRead(self.clone())
    }

    /// Takes note that it was refused, unless another has taken its place since.
    pub(crate) fn refused(&self, by: RefusedBy, why: &str) {
        let (now, rules) = (clock::now(), self.shared.rules);
        if self.with_slot(|slot| slot.refused(by, now, rules)) == Some(true) {
            tracing::warn!(session = &*self.name, why, "a session is refused");
        }
    }

    fn with_slot<T>(&self, act: impl FnOnce(&mut Slot) -> T) -> Option<T> {
        let mut slots = self.shared.slots();
        let slot = slots.by_name.get_mut(&self.name)?;
        Arc::ptr_eq(&slot.cookies, &self.cookies).then(|| act(slot))
    }
}

/// An answer that is being read, in a session that it does not refuse.
pub(crate) struct BeingRead(Session);

impl Drop for BeingRead {
    fn drop(&mut self) {
        self.0.with_slot(|slot| slot.reads(false));
    }
}

impl LogInTurn {
    /// Returns the session to come, which has no cookies yet.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Ends the log-in.
    pub fn end(mut self, made: Result<(), String>) {
        self.end_with(made);
    }

    fn end_with(&mut self, made: Result<(), String>) {
        self.has_ended = true;
        let Session { shared, name, cookies, .. } = &self.session;
        if let Err(why) = &made {
            tracing::warn!(session = &**name, why, "a log-in failed");
        }
        let made = made.map(|()| cookies.clone());
        if let Some(slot) = shared.slots().by_name.get_mut(name) {
            slot.end_log_in(made, clock::now(), shared.rules);
        }
        shared.have_changed();
        shared.news.notify_waiters();
    }
}

impl Drop for LogInTurn {
    fn drop(&mut self) {
        if !self.has_ended {
            self.end_with(Err("it was broken off".to_owned()));
        }
    }
}

impl fmt::Debug for SessionPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionPool").field("names", &self.names()).finish_non_exhaustive()
    }
}
