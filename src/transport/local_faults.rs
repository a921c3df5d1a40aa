//! LocalFaults: tells failures of this machine from those of the servers that it asks, for all arbiters of one crawl.
//! Sends nothing itself.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use crate::{
    outcome::{FetchError, Phase, local_fault::LocalFault},
    transport::suspicion::{AtFault, Suspicion},
};

/// What worked and what failed, where that tells whose fault a failure is.
#[derive(Debug, Default)]
pub struct LocalFaults {
    names: Mutex<Suspicion>,
    hosts: Mutex<Suspicion>,
    /// The address that was connected to last: while there is a route to it, this machine has a network.
    connected: Mutex<Option<SocketAddr>>,
}

/// Addresses that stand for the rest of the world, and nothing is sent to them: two that are reserved for documentation
/// (RFC 5737, RFC 3849), and, since some machines let packets to these disappear, a root server of the DNS.
const ELSEWHERE: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
    IpAddr::V4(Ipv4Addr::new(198, 41, 0, 4)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0x503, 0xba3e, 0, 0, 0, 2, 0x30)),
];

impl LocalFaults {
    /// Takes note that the name servers answered for a name.
    pub fn name_servers_answered(&self, name: &str, now: Instant) {
        lock(&self.names).worked(domain(name), name, now);
    }

    /// Judges name servers none of which answers anything, for a `name` that was to be looked up.
    pub fn judge_silence(&self, name: &str, now: Instant) -> AtFault {
        lock(&self.names).judge_all(domain(name), now)
    }

    /// Judges name servers that have not answered for `name` since `since`; the last look-up began at `begun`. Also
    /// returns a name that they answered for before, if there is one: where they do so again, this machine is not at
    /// fault.
    pub fn judge_name(&self, name: &str, since: Instant, begun: Instant, now: Instant) -> (AtFault, Option<String>) {
        let mut names = lock(&self.names);
        (names.judge(domain(name), since, begun, now), names.control().map(str::to_owned))
    }

    /// Takes note that a connection came about.
    pub fn connected(&self, host: &str, address: Option<SocketAddr>, now: Instant) {
        lock(&self.hosts).worked(domain(host), host, now);
        if address.is_some() {
            *lock(&self.connected) = address;
        }
    }

    /// Judges a network or a host that could not be reached for `host` since `since`; the last try began at `begun`.
    pub fn judge_host(&self, fault: LocalFault, host: &str, since: Instant, begun: Instant, now: Instant) -> AtFault {
        if self.network_is_lost() {
            return AtFault::Machine;
        }
        match fault {
            LocalFault::Hosts => lock(&self.hosts).judge(domain(host), since, begun, now),
            // There is a route, only not to this one: as to IPv6 where this machine has IPv4 alone.
            _ => AtFault::Domain,
        }
    }

    /// Judges a failure that came after the connection, or took too long; `None` where this machine is not at fault.
    /// `suspect` is what its connection waited for. Does not judge name servers.
    pub fn judge(&self, error: &FetchError, suspect: Option<LocalFault>) -> Option<FetchError> {
        let is_late = matches!(error, FetchError::Timeout { phase: Phase::Whole, .. });
        let fault = match (error, suspect) {
            (_, Some(fault)) if is_late && fault.is_shortage() => Some(fault),
            (FetchError::Timeout { .. } | FetchError::Truncated(_) | FetchError::Proxy(_), _) => {
                let was_connected = lock(&self.connected).is_some();
                (was_connected && self.network_is_lost()).then_some(LocalFault::Network)
            }
            _ => None,
        };
        fault.map(|fault| FetchError::Local(fault, error.to_string()))
    }

    /// Tells whether this machine has no route to the address that was connected to last, nor to any other.
    fn network_is_lost(&self) -> bool {
        let elsewhere = ELSEWHERE.map(|ip| SocketAddr::new(ip, 80));
        let last = *lock(&self.connected);
        !last.into_iter().chain(elsewhere).any(has_route)
    }
}

/// Tells whether this machine has a route to an address. Connecting a UDP socket looks the route up and sends nothing.
pub fn has_route(address: SocketAddr) -> bool {
    let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    match UdpSocket::bind((any, 0)).and_then(|socket| socket.connect(address)) {
        Ok(()) => true,
        // Any other failure says nothing of routes.
        Err(error) => {
            let fault = LocalFault::of_connecting(&error);
            !matches!(fault, Some(LocalFault::Network | LocalFault::Hosts | LocalFault::Ports))
                && error.kind() != std::io::ErrorKind::Unsupported
        }
    }
}

/// Hosts of one registrable domain fail together, as its name servers do.
fn domain(host: &str) -> &str {
    psl::domain_str(host).unwrap_or(host)
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that is done under it panics.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_machine_with_a_route_to_what_it_reached_last_has_a_network() {
        let faults = LocalFaults::default();
        let now = Instant::now();
        faults.connected("a.test", Some(([127, 0, 0, 1], 80).into()), now);
        for fault in [LocalFault::Network, LocalFault::Hosts] {
            assert_ne!(faults.judge_host(fault, "b.test", now, now, now), AtFault::Machine, "{fault}");
        }
        let late = FetchError::Timeout { phase: Phase::Whole, limit: Duration::from_secs(1) };
        assert_eq!(faults.judge(&late, None), None);
        let short = faults.judge(&late, Some(LocalFault::Files));
        assert!(matches!(short, Some(FetchError::Local(LocalFault::Files, _))), "{short:?}");
    }

    #[test]
    fn hosts_of_one_domain_are_one_suspect() {
        let faults = LocalFaults::default();
        let now = Instant::now();
        for host in ["a.example.org", "b.example.org", "c.example.org", "example.org"] {
            assert_eq!(faults.judge_name(host, now, now, now), (AtFault::Open, None), "{host}");
        }
    }
}
