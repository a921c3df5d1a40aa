//! Silence: whether none of this machine's name servers answers at all, whatever is asked. Looks up no host.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::{net::UdpSocket, time::timeout};

use crate::outcome::local_fault::LocalFault;

/// Where the system says which name servers it asks.
const CONFIGURATION: &str = "/etc/resolv.conf";

/// The most name servers that the C library asks (`MAXNS` in resolv.h).
const MAX_SERVERS: usize = 3;

/// How long an answer may take. The name servers of the root are in every cache, and a name server that has lost its
/// own way says so (SERVFAIL) within this time or not at all.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Tells whether no name server of the system answers a question about the root of all names. `None` if that cannot be
/// told: the system does not say which servers it asks, or has no socket for the question.
pub async fn is_total() -> Option<bool> {
    let configuration = fs::read_to_string(Path::new(CONFIGURATION)).ok()?;
    is_total_of(servers(&configuration)?).await
}

async fn is_total_of(servers: Vec<SocketAddr>) -> Option<bool> {
    let mut asked: FuturesUnordered<_> = servers.into_iter().map(|server| timeout(TIMEOUT, ask(server))).collect();
    while let Some(answered) = asked.next().await {
        match answered {
            Ok(Ok(())) => return Some(false),
            Ok(Err(error)) if LocalFault::of(&error).is_some_and(LocalFault::is_shortage) => return None,
            Ok(Err(_)) | Err(_) => {}
        }
    }
    Some(true)
}

/// Returns the servers as resolv.conf(5) lists them; the local one if it lists none. `None` if one cannot be read, such
/// as an address with a zone.
fn servers(configuration: &str) -> Option<Vec<SocketAddr>> {
    let listed = configuration.lines().filter_map(|line| line.strip_prefix("nameserver")?.split_whitespace().next());
    let listed: Option<Vec<IpAddr>> = listed.take(MAX_SERVERS).map(|address| address.parse().ok()).collect();
    let listed = listed.map(|listed| if listed.is_empty() { vec![Ipv4Addr::LOCALHOST.into()] } else { listed });
    Some(listed?.into_iter().map(|address| SocketAddr::new(address, PORT)).collect())
}

/// The port of name servers.
const PORT: u16 = 53;

/// Asks a server for the name servers of the root (RFC 1035 §4.1), and waits for any answer to that.
async fn ask(server: SocketAddr) -> io::Result<()> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    let id = fastrand::u16(..).to_be_bytes();
    // The identifier; recursion desired; one question: the root, NS, IN.
    let mut question = id.to_vec();
    question.extend([0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1]);
    socket.send(&question).await?;
    let mut answer = [0; 512];
    loop {
        let length = socket.recv(&mut answer).await?;
        let is_answer = answer.get(2).is_some_and(|flags| flags & 0x80 != 0);
        if length >= 12 && answer.starts_with(&id) && is_answer {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that answers with this code, or not at all.
    async fn server(code: Option<u8>) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; 512];
            while let Ok((length, client)) = socket.recv_from(&mut buffer).await {
                assert_eq!(buffer[12..length], [0, 0, 2, 0, 1], "the root, NS, IN");
                let Some(code) = code else { continue };
                // Of another question first.
                let _ = socket.send_to(&[buffer[0] ^ 1, 0, 0x81, code, 0, 0, 0, 0, 0, 0, 0, 0], client).await;
                let _ = socket.send_to(&[buffer[0], buffer[1], 0x81, code, 0, 0, 0, 0, 0, 0, 0, 0], client).await;
            }
        });
        address
    }

    #[tokio::test]
    async fn any_answer_of_any_server_breaks_the_silence() {
        let (answers, fails, silent) = (server(Some(0)).await, server(Some(2)).await, server(None).await);
        let closed = SocketAddr::from(([127, 0, 0, 1], 1));
        for (servers, is_total) in [
            (vec![answers], false),
            (vec![fails], false),
            (vec![closed, silent, answers], false),
            (vec![closed], true),
            (vec![silent, closed], true),
        ] {
            assert_eq!(is_total_of(servers.clone()).await, Some(is_total), "{servers:?}");
        }
    }

    #[test]
    fn name_servers_are_read_as_the_system_reads_them() {
        for (configuration, expected) in [
            ("# none\n", Some(vec!["127.0.0.1:53"])),
            (
                "search a.test\nnameserver 192.0.2.1\nnameserver\t2001:db8::1 # two\n",
                Some(vec!["192.0.2.1:53", "[2001:db8::1]:53"]),
            ),
            ("nameserver fe80::1%eth0\n", None),
        ] {
            let servers = servers(configuration).map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>());
            assert_eq!(servers, expected.map(|all| all.into_iter().map(str::to_owned).collect()), "{configuration}");
        }
    }
}
