//! Resolver: looks up the addresses of hosts. Does not check them: `dial` checks each address it connects to.

#[cfg(feature = "hickory")]
mod hickory;
mod names;
pub(super) mod overrides;
mod silence;
mod system;

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{runtime::Handle, time::timeout};

pub use self::overrides::Overrides;
use self::{
    names::{Cause, Names, NotFound, PendingLookUp, Resolution},
    system::SystemLookUp,
};
use super::local_faults::LocalFaults;
use crate::{clock, error::Result, outcome::FetchError, transport::suspicion::AtFault};

/// Looks up addresses for all arbiters of one crawl. Cloning is cheap; clones share one cache.
///
/// Sources, in this order: the host itself if it is an IP address, the [`Overrides`], RFC 6761 for `localhost`, the
/// cache, and then the operating system (with the feature `hickory`, the name servers). Concurrent requests for the
/// same name share one look-up.
#[derive(Clone)]
pub struct Resolver {
    overrides: Arc<Overrides>,
    names: Arc<Names>,
    look_up: Arc<dyn LookUp>,
    faults: Arc<LocalFaults>,
    /// When it was last seen whether all name servers are silent, and whether they were.
    silence: Arc<tokio::sync::Mutex<Option<(Instant, bool)>>>,
}

/// How long that holds: many requests fail together.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);

/// A backend that looks names up.
trait LookUp: Send + Sync {
    /// Starts a look-up and returns at once; the ticket is filled later, from any thread.
    fn look_up(&self, ticket: PendingLookUp);

    /// Tells whether it asks the system's name servers.
    fn asks_name_servers(&self) -> bool {
        true
    }
}

#[cfg(not(feature = "hickory"))]
fn look_up(threads: Handle) -> Arc<dyn LookUp> {
    Arc::new(SystemLookUp::new(threads))
}

/// Uses the system's resolver if no name server is configured, as in a container without a network.
#[cfg(feature = "hickory")]
fn look_up(threads: Handle) -> Arc<dyn LookUp> {
    match hickory::HickoryLookUp::new() {
        Ok(look_up) => Arc::new(look_up),
        Err(error) => {
            tracing::warn!(%error, "addresses are looked up by the system, and not by the name servers");
            Arc::new(SystemLookUp::new(threads))
        }
    }
}

/// The most cached names, about 200 bytes each: enough for an hour of new connections, since idle connections outlive
/// most cache entries.
const MAX_NAMES: usize = 10_000;

/// How long a failure is cached: long enough that a page of links to a dead host costs one look-up, short enough that
/// the first retry asks again.
const NEGATIVE_TTL: Duration = Duration::from_secs(5);

impl Resolver {
    /// Creates a resolver; look-ups block on `threads`.
    ///
    /// # Errors
    /// An override is invalid; the message shows the right form.
    pub fn new(overrides: &[String], threads: Handle) -> Result<Self> {
        let overrides = Overrides::parse(overrides)?;
        Ok(Self::with(overrides, look_up(threads)))
    }

    fn with(overrides: Overrides, look_up: Arc<dyn LookUp>) -> Self {
        Self {
            overrides: overrides.into(),
            names: Names::new(MAX_NAMES),
            look_up,
            faults: Arc::default(),
            silence: Arc::default(),
        }
    }

    /// Returns the addresses of a host as written in a URL, in the order received.
    ///
    /// Has no time-out of its own. A caller that gives up does not end the look-up for others waiting for the same
    /// name.
    ///
    /// # Errors
    /// [`FetchError::Dns`] where the host has no address; [`FetchError::Local`] where the name servers do not answer,
    /// or cannot be asked: [`Resolver::judge`] tells whether that is this machine's fault.
    pub async fn resolve(&self, host: &str, port: u16) -> std::result::Result<Vec<SocketAddr>, FetchError> {
        if let Some(literal) = parse_literal(host) {
            return Ok(vec![(literal, port).into()]);
        }
        let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        if let Some(given) = self.overrides.find(&name, port) {
            return Ok(given);
        }
        if name == "localhost" || name.ends_with(".localhost") {
            // RFC 6761 §6.3: these names are never resolved over the network.
            return Ok(vec![(Ipv6Addr::LOCALHOST, port).into(), (Ipv4Addr::LOCALHOST, port).into()]);
        }
        let found = match self.names.ask(&name, clock::now()) {
            Resolution::Cached(found) => found,
            Resolution::Pending(waiting) => waiting.found().await,
            Resolution::Missing(ticket, waiting) => {
                self.look_up.look_up(ticket);
                let found = waiting.found().await;
                if matches!(found, Ok(_) | Err(NotFound { cause: Cause::NoAddress, .. })) {
                    self.faults.name_servers_answered(&name, clock::now());
                }
                found
            }
        };
        match found {
            Ok(addresses) if addresses.is_empty() => Err(FetchError::Dns(format!("`{name}` has no address"))),
            Ok(addresses) => Ok(addresses.iter().map(|ip| (*ip, port).into()).collect()),
            Err(NotFound { why, cause: Cause::Fault(fault) }) => {
                Err(FetchError::Local(fault, format!("no address for `{name}`: {why}")))
            }
            Err(NotFound { why, .. }) => Err(FetchError::Dns(format!("no address for `{name}`: {why}"))),
        }
    }

    /// Judges name servers that have not answered for a host since `since`; the last look-up began at `begun`. If none
    /// of them answers anything, this machine is at fault. If they answered for another name before, that is looked up
    /// afresh: where they do so again, the fault is the host's own.
    pub async fn judge(&self, host: &str, since: Instant, begun: Instant) -> AtFault {
        let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        if self.is_silent().await {
            return self.faults.judge_silence(&name, clock::now());
        }
        let (at_fault, control) = self.faults.judge_name(&name, since, begun, clock::now());
        let Some(control) = control.filter(|_| at_fault != AtFault::Domain) else { return at_fault };
        self.names.forget(&control);
        // If it is found, that is noted, and this failure is judged by it.
        let _found = timeout(CONTROL_TIMEOUT, self.resolve(&control, 0)).await;
        self.faults.judge_name(&name, since, begun, clock::now()).0
    }

    /// Tells whether no name server answers at all. Asks them no more than once in a while.
    async fn is_silent(&self) -> bool {
        if !self.look_up.asks_name_servers() {
            return false;
        }
        let mut last = self.silence.lock().await;
        if let Some((at, is_silent)) = *last
            && clock::now().saturating_duration_since(at) < LISTEN_AGAIN
        {
            return is_silent;
        }
        let is_silent = silence::is_total().await.unwrap_or(false);
        *last = Some((clock::now(), is_silent));
        is_silent
    }

    /// Returns what tells faults of this machine from those of others.
    pub(super) fn faults(&self) -> &Arc<LocalFaults> {
        &self.faults
    }
}

/// How long a name that was found before may take to be found again: it is in the cache of the name servers.
const CONTROL_TIMEOUT: Duration = Duration::from_secs(5);

/// Parses an IP address as URLs write it.
fn parse_literal(host: &str) -> Option<IpAddr> {
    let inner = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
    inner.unwrap_or(host).parse().ok()
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;
    use crate::transport::{address::AddressGuard, dial::dial};

    /// Answers 192.0.2.1, except for names that begin with "slow", whose tickets it keeps.
    #[derive(Default)]
    struct Fake {
        asked: AtomicUsize,
        kept: Mutex<Vec<PendingLookUp>>,
    }

    impl LookUp for Fake {
        fn asks_name_servers(&self) -> bool {
            false
        }

        fn look_up(&self, ticket: PendingLookUp) {
            self.asked.fetch_add(1, Ordering::SeqCst);
            if ticket.name().starts_with("slow") {
                self.kept.lock().unwrap().push(ticket);
            } else if ticket.name().starts_with("rebound") {
                let turn = if self.asked.load(Ordering::SeqCst) == 1 { 41 } else { 42 };
                ticket.fill(Ok([IpAddr::from([127, 0, 0, turn])].into()), Duration::ZERO, clock::now());
            } else if ticket.name().starts_with("none") {
                ticket.fill(Err("no such host".into()), NEGATIVE_TTL, clock::now());
            } else {
                answer(ticket);
            }
        }
    }

    fn answer(ticket: PendingLookUp) {
        ticket.fill(Ok([IpAddr::from([192, 0, 2, 1])].into()), Duration::from_secs(60), clock::now());
    }

    fn resolver(rules: &[&str]) -> (Resolver, Arc<Fake>) {
        let fake = Arc::new(Fake::default());
        (Resolver::with(Overrides::parse(rules).unwrap(), fake.clone()), fake)
    }

    async fn text(resolver: &Resolver, host: &str) -> String {
        match resolver.resolve(host, 80).await {
            Ok(addresses) => addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
            Err(error) => error.to_string(),
        }
    }

    #[tokio::test]
    async fn addresses_overrides_and_localhost_are_never_asked_for() {
        let (resolver, fake) = resolver(&["a.test:127.0.0.5:99", "db.localhost:127.0.0.6"]);
        for (host, expected) in [
            ("127.0.0.1", "127.0.0.1:80"),
            ("[2001:db8::1]", "[2001:db8::1]:80"),
            ("a.test", "127.0.0.5:99"),
            ("A.TEST.", "127.0.0.5:99"),
            ("localhost", "[::1]:80 127.0.0.1:80"),
            ("localhost.", "[::1]:80 127.0.0.1:80"),
            ("x.localhost", "[::1]:80 127.0.0.1:80"),
            ("db.localhost", "127.0.0.6:80"),
        ] {
            assert_eq!(text(&resolver, host).await, expected, "{host}");
        }
        assert_eq!(fake.asked.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn a_name_is_asked_for_once_and_an_override_beats_what_is_known() {
        let (resolver, fake) = resolver(&[]);
        for host in ["b.test", "B.test", "b.test."] {
            assert_eq!(text(&resolver, host).await, "192.0.2.1:80");
        }
        assert_eq!(text(&resolver, "none.test").await, "no address for `none.test`: no such host");
        assert_eq!(text(&resolver, "none.test").await, "no address for `none.test`: no such host");
        assert_eq!(fake.asked.load(Ordering::SeqCst), 2);
        let overridden = Resolver { overrides: Overrides::parse(&["b.test:127.0.0.5"]).unwrap().into(), ..resolver };
        assert_eq!(text(&overridden, "b.test").await, "127.0.0.5:80");
    }

    #[tokio::test]
    async fn a_slow_name_holds_up_no_other_and_one_who_gives_up_harms_nobody() {
        let (resolver, fake) = resolver(&[]);
        let has_given_up = tokio::sync::Notify::new();
        let impatient = async {
            let answer = tokio::time::timeout(Duration::from_millis(1), resolver.resolve("slow.test", 80)).await;
            has_given_up.notify_one();
            answer
        };
        let elsewhere = std::thread::spawn({
            // Another arbiter has a runtime of its own.
            let resolver = resolver.clone();
            move || futures_util::future::FutureExt::now_or_never(resolver.resolve("quick.test", 1)).unwrap().unwrap()
        });
        let patient = text(&resolver, "slow.test");
        let (impatient, patient, ()) = tokio::join!(impatient, patient, async {
            assert_eq!(text(&resolver, "quick.test").await, "192.0.2.1:80");
            has_given_up.notified().await;
            fake.kept.lock().unwrap().drain(..).for_each(answer);
        });
        assert!(impatient.is_err());
        assert_eq!(patient, "192.0.2.1:80");
        assert_eq!(elsewhere.join().unwrap(), [(IpAddr::from([192, 0, 2, 1]), 1).into()]);
        assert_eq!(fake.asked.load(Ordering::SeqCst), 2, "slow.test and quick.test");
    }

    /// DNS rebinding: the name has a public address when it is checked, and a private one when it is connected to.
    #[tokio::test]
    async fn a_name_whose_second_answer_is_private_is_refused_then() {
        let allowed = std::net::TcpListener::bind("127.0.0.41:0").unwrap();
        let port = allowed.local_addr().unwrap().port();
        let private = std::net::TcpListener::bind(("127.0.0.42", port)).unwrap();
        private.set_nonblocking(true).unwrap();
        let guard = AddressGuard { allow: vec!["127.0.0.41/32".parse().unwrap()], ..AddressGuard::default() };
        let (resolver, _) = resolver(&[]);
        for turn in 1..4 {
            let addresses = resolver.resolve("rebound.test", port).await.unwrap();
            let dialled = dial(&addresses, &guard, || Some(())).await;
            match dialled {
                Ok(stream) => assert_eq!((turn, stream.peer_addr().unwrap()), (1, allowed.local_addr().unwrap())),
                Err(error) => assert!(turn > 1 && matches!(error, FetchError::PrivateAddress(_)), "{error}"),
            }
        }
        assert!(private.accept().is_err(), "the private address was connected to");
    }

    #[tokio::test]
    async fn the_system_tells_of_names_that_do_not_exist() {
        let resolver = Resolver::with(Overrides::default(), Arc::new(SystemLookUp::new(Handle::current())));
        let asked = (0..50).map(|_| resolver.resolve("no-such-host.invalid", 80));
        for answer in futures_util::future::join_all(asked).await {
            let error = answer.expect_err("RFC 6761 §6.4: .invalid does not exist");
            assert!(matches!(&error, FetchError::Dns(why) if why.contains("no-such-host.invalid")), "{error}");
        }
    }
}
