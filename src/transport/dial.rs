//! Dial: connects to one of several addresses over TCP (RFC 8305, happy eyeballs). Resolves no names: the addresses
//! that were checked are those connected to, so no second look-up can substitute another.

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::{
    net::TcpStream,
    time::{Instant, sleep_until},
};

use super::{address::AddressGuard, local_faults::has_route};
use crate::{
    clock,
    outcome::{FetchError, local_fault::LocalFault},
};

/// How long an attempt runs alone before the next one begins beside it (RFC 8305 §5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// The most addresses of one host that are tried: as many as can start within 4 s. A name with hundreds of addresses
/// would otherwise cost hundreds of connections for one page.
const MAX_ADDRESSES: usize = 16;

/// How long an attempt may block the next one if there is no spare socket for both: by then a responding host has
/// answered a repeated SYN.
const MAX_ALONE: Duration = Duration::from_secs(2);

/// Connects to the first address that answers.
///
/// The caller holds a place for one socket. `spare` is asked for another before an attempt runs beside an earlier one;
/// if there is none, the next attempt waits for the earlier one, up to a bound.
///
/// # Errors
/// [`FetchError::PrivateAddress`] where the guard refuses all of them; [`FetchError::Connect`], with what became of
/// each one that it does not refuse; [`FetchError::Local`] where all of those failed for what may be a fault of this
/// machine.
pub async fn dial<Spare>(
    addresses: &[SocketAddr],
    guard: &AddressGuard,
    spare: impl Fn() -> Option<Spare>,
) -> Result<TcpStream, FetchError> {
    let mut waiting = interleaved(addresses).into_iter();
    let mut attempts = FuturesUnordered::new();
    let mut failures = DialFailures::default();
    let mut newest: Option<(SocketAddr, Instant)> = None;
    let mut next_at = clock::runtime();
    loop {
        if attempts.is_empty() || clock::runtime() >= next_at {
            let mut leave = if attempts.is_empty() { Some(None) } else { spare().map(Some) };
            if let (None, Some((address, since))) = (&leave, newest)
                && waiting.len() > 0
                && since.elapsed() >= MAX_ALONE
            {
                attempts.clear();
                let text = format!("no answer within {}", humantime::format_duration(MAX_ALONE));
                failures.add(address, FetchError::Connect(text));
                leave = Some(None);
            }
            if let Some(leave) = leave {
                match waiting.next() {
                    Some(address) => {
                        newest = Some((address, clock::runtime()));
                        attempts.push(attempt(address, guard, leave));
                    }
                    None if attempts.is_empty() => return Err(failures.into_error()),
                    None => {}
                }
            }
            next_at = clock::runtime() + ATTEMPT_DELAY;
        }
        tokio::select! {
            biased;
            Some((address, attempted)) = attempts.next() => match attempted {
                Ok(stream) => return Ok(stream),
                Err(failure) => {
                    failures.add(address, failure);
                    // Start the next attempt at once: this one failed before its delay was over.
                    next_at = clock::runtime();
                }
            },
            () = sleep_until(next_at), if waiting.len() > 0 => {}
        }
    }
}

/// Alternates between the families, IPv6 first; each keeps its given order (RFC 8305 §4).
fn interleaved(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let mut sixes = addresses.iter().filter(|address| address.is_ipv6());
    let mut fours = addresses.iter().filter(|address| address.is_ipv4());
    let mut ordered: Vec<SocketAddr> = Vec::with_capacity(addresses.len().min(MAX_ADDRESSES));
    loop {
        let turn = [sixes.next(), fours.next()];
        if turn == [None, None] {
            return ordered;
        }
        for address in turn.into_iter().flatten() {
            if ordered.len() < MAX_ADDRESSES && !ordered.contains(address) {
                ordered.push(*address);
            }
        }
    }
}

/// Checks one address and connects to it. Dropping the future closes the socket.
async fn attempt<Spare>(
    address: SocketAddr,
    guard: &AddressGuard,
    _leave: Option<Spare>,
) -> (SocketAddr, Result<TcpStream, FetchError>) {
    let connecting = async {
        guard.check(address.ip()).map_err(|refused| FetchError::PrivateAddress(refused.to_string()))?;
        if address.port() == 0 {
            return Err(FetchError::Request("nothing can listen on port 0".to_owned()));
        }
        let connected = TcpStream::connect(address).await.and_then(|stream| {
            // A request is written in one piece; waiting to fill a packet would only delay it.
            stream.set_nodelay(true)?;
            // On loopback a port can connect to itself if no one listens on it.
            if stream.local_addr()? == address { Err(ErrorKind::ConnectionRefused.into()) } else { Ok(stream) }
        });
        connected.map_err(|error| match LocalFault::of_connecting(&error) {
            // Without an address of its own in this family the system says the same as without a port.
            Some(LocalFault::Ports) if !has_route(address) => FetchError::Local(LocalFault::Network, name(&error)),
            Some(fault) => FetchError::Local(fault, name(&error)),
            None => FetchError::Connect(name(&error)),
        })
    };
    (address, connecting.await)
}

/// Describes an error without the system's error number.
fn name(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        ErrorKind::ConnectionReset => "connection reset".to_owned(),
        ErrorKind::HostUnreachable => "host unreachable".to_owned(),
        ErrorKind::NetworkUnreachable => "network unreachable".to_owned(),
        ErrorKind::AddrNotAvailable => "no local address or port to connect from".to_owned(),
        ErrorKind::TimedOut => "no answer".to_owned(),
        ErrorKind::PermissionDenied => "forbidden by a firewall or a route of this machine".to_owned(),
        ErrorKind::InvalidInput => "no such connection, or a blackhole route of this machine".to_owned(),
        _ => error.to_string(),
    }
}

/// The failures of the attempts.
#[derive(Default)]
struct DialFailures {
    refused: Option<FetchError>,
    unwritable: Option<FetchError>,
    /// What may be wrong with this machine, if any attempt says so.
    local: Option<LocalFault>,
    /// Whether a failure was a server's.
    is_answered: bool,
    tried: Vec<String>,
}

impl DialFailures {
    fn add(&mut self, address: SocketAddr, failure: FetchError) {
        match failure {
            FetchError::PrivateAddress(_) => _ = self.refused.get_or_insert(failure),
            FetchError::Request(_) => _ = self.unwritable.get_or_insert(failure),
            FetchError::Local(fault, why) => {
                // A shortage says more than a family that this machine does not have.
                self.local = self.local.filter(|known| known.is_shortage()).or(Some(fault));
                self.tried.push(format!("{address}: {why}"));
            }
            other => {
                self.is_answered = true;
                self.tried.push(format!("{address}: {other}"));
            }
        }
    }

    /// Prefers the failure of a public address to the refusal of a private one, since it says more.
    fn into_error(self) -> FetchError {
        if !self.tried.is_empty() {
            let tried = self.tried.join(", ");
            return match self.local.filter(|_| !self.is_answered) {
                Some(fault) => FetchError::Local(fault, tried),
                None => FetchError::Connect(tried),
            };
        }
        self.unwritable.or(self.refused).unwrap_or_else(|| FetchError::Connect("there is no address".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    fn open() -> AddressGuard {
        AddressGuard { allow_private: true, ..AddressGuard::default() }
    }

    fn only(address: &str) -> AddressGuard {
        AddressGuard { allow: vec![address.parse().unwrap()], ..AddressGuard::default() }
    }

    async fn listener(ip: [u8; 4]) -> TcpListener {
        TcpListener::bind((Ipv4Addr::from(ip), 0)).await.unwrap()
    }

    /// A port of `ip` without a listener, bound so that no one else can listen on it.
    fn closed_port(ip: IpAddr) -> (TcpSocket, SocketAddr) {
        let socket = if ip.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.unwrap();
        socket.bind((ip, 0).into()).unwrap();
        let address = socket.local_addr().unwrap();
        (socket, address)
    }

    /// An address that answers no SYN: a listener whose queue is full.
    struct BlackHole {
        address: SocketAddr,
        _held: (TcpListener, Vec<std::net::TcpStream>),
    }

    fn black_hole(ip: [u8; 4]) -> BlackHole {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::from(ip), 0).into()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let timeout = Duration::from_millis(50);
        let fill = || std::net::TcpStream::connect_timeout(&address, timeout).ok();
        let queued = std::iter::from_fn(fill).take(16).collect();
        BlackHole { address, _held: (listener, queued) }
    }

    #[test]
    fn the_families_take_turns_and_ipv6_begins() {
        let parse = |list: &[&str]| list.iter().map(|text| text.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let given = parse(&["1.1.1.1:80", "1.1.1.2:80", "1.1.1.3:80", "[2a00::1]:80", "[2a00::2]:80", "1.1.1.1:80"]);
        let ordered = parse(&["[2a00::1]:80", "1.1.1.1:80", "[2a00::2]:80", "1.1.1.2:80", "1.1.1.3:80"]);
        assert_eq!(interleaved(&given), ordered);
        let many: Vec<SocketAddr> = (0..200).map(|n| ([1, 1, 1, n], 80).into()).collect();
        assert_eq!(interleaved(&many), many.clone().into_iter().take(MAX_ADDRESSES).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_dead_address_costs_no_delay() {
        let live = listener([127, 0, 0, 11]).await;
        let (_held, dead) = closed_port([127, 0, 0, 12].into());
        let mut addresses = vec![dead, live.local_addr().unwrap()];
        // Without IPv6 this attempt fails just as quickly.
        addresses.push("[::1]:1".parse().unwrap());
        let began = Instant::now();
        let stream = dial(&addresses, &open(), || Some(())).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), live.local_addr().unwrap());
        assert!(stream.nodelay().unwrap());
        assert!(began.elapsed() < ATTEMPT_DELAY, "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn a_silent_address_costs_one_delay() {
        let (silent, live) = (black_hole([127, 0, 0, 13]), listener([127, 0, 0, 14]).await);
        let began = Instant::now();
        let stream = dial(&[silent.address, live.local_addr().unwrap()], &open(), || Some(())).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), live.local_addr().unwrap());
        assert!(began.elapsed() >= ATTEMPT_DELAY && began.elapsed() < ATTEMPT_DELAY * 4, "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn without_leave_for_a_second_socket_attempts_go_one_at_a_time() {
        let (silent, live) = (black_hole([127, 0, 0, 15]), listener([127, 0, 0, 16]).await);
        let began = Instant::now();
        let addresses = [silent.address, live.local_addr().unwrap()];
        let stream = dial(&addresses, &open(), || None::<()>).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), live.local_addr().unwrap());
        assert!(began.elapsed() >= MAX_ALONE && began.elapsed() < MAX_ALONE * 2, "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn only_addresses_that_the_guard_lets_through_are_connected_to() {
        let (refused, allowed) = (listener([127, 0, 0, 17]).await, listener([127, 0, 0, 18]).await);
        let (refused_at, allowed_at) = (refused.local_addr().unwrap(), allowed.local_addr().unwrap());
        let guard = only("127.0.0.18/32");
        let stream = dial(&[refused_at, allowed_at], &guard, || Some(())).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), allowed_at);
        let error = dial(&[refused_at, refused_at], &guard, || Some(())).await.unwrap_err();
        assert!(matches!(&error, FetchError::PrivateAddress(why) if why.contains("127.0.0.17")), "{error:?}");
        let knocked = futures_util::future::FutureExt::now_or_never(refused.accept());
        assert!(knocked.is_none(), "the refused address was connected to");
    }

    #[tokio::test]
    async fn failures_are_named_with_their_addresses() {
        let ((_a, first), (_b, second)) = (closed_port([127, 0, 0, 19].into()), closed_port([127, 0, 0, 20].into()));
        let error = dial(&[first, second], &open(), || Some(())).await.unwrap_err();
        let expected = format!("{first}: connection refused, {second}: connection refused");
        assert_eq!(error, FetchError::Connect(expected));
        // The error names the attempted address, not the refused one.
        let error = dial(&[first, second], &only("127.0.0.19/32"), || Some(())).await.unwrap_err();
        assert_eq!(error, FetchError::Connect(format!("{first}: connection refused")));
        let error = dial(&[([127, 0, 0, 1], 0).into()], &open(), || Some(())).await.unwrap_err();
        assert!(matches!(error, FetchError::Request(_)), "{error:?}");
        let error = dial(&[], &open(), || Some(())).await.unwrap_err();
        assert!(matches!(error, FetchError::Connect(_)), "{error:?}");
    }
}
