//! Socks5: opens a tunnel through a SOCKS 5 server (RFC 1928), with user name and password if it requires them (RFC
//! 1929).

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Proxy;
use crate::transport::{basic::Basic, host_pattern::bare, stream::Stream};

/// The destination of a tunnel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// An address that we resolved and checked.
    Address(SocketAddr),
    /// A name for the proxy to resolve, and a port.
    Name(String, u16),
}

/// Why the tunnel was not opened.
#[derive(Debug, Error)]
pub enum Socks5Error {
    /// The proxy failed.
    #[error("{0}")]
    Proxy(String),
    /// The proxy works; the site cannot be reached.
    #[error("{0}")]
    Site(&'static str),
}

impl From<io::Error> for Socks5Error {
    fn from(error: io::Error) -> Self {
        Self::Proxy(match error.kind() {
            io::ErrorKind::UnexpectedEof => "it closed the connection".to_owned(),
            _ => format!("the connection broke: {error}"),
        })
    }
}

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const NAME_AND_PASSWORD: u8 = 2;

/// Opens a tunnel to the destination.
///
/// # Errors
/// The proxy's refusal, or its protocol error.
pub async fn negotiate(stream: &mut dyn Stream, proxy: &Proxy, destination: &Destination) -> Result<(), Socks5Error> {
    let request = request(destination)?;
    let methods: &[u8] = match proxy.credentials {
        Some(_) => &[VERSION, 2, NO_AUTHENTICATION, NAME_AND_PASSWORD],
        None => &[VERSION, 1, NO_AUTHENTICATION],
    };
    send(stream, methods).await?;
    match (receive(stream).await?, &proxy.credentials) {
        ([VERSION, NO_AUTHENTICATION], _) => {}
        ([VERSION, NAME_AND_PASSWORD], Some(credentials)) => authenticate(stream, credentials).await?,
        ([VERSION, 0xff], Some(_)) => return Err(fault("it takes no name and password")),
        ([VERSION, 0xff], None) => return Err(fault("it asks for credentials")),
        ([VERSION, _], _) => return Err(fault("it chose a way to log in that was not offered")),
        _ => return Err(fault("it does not speak SOCKS 5")),
    }
    send(stream, &request).await?;
    let [version, reply, _, kind] = receive(stream).await?;
    if version != VERSION {
        return Err(fault("it does not speak SOCKS 5"));
    }
    accepted(reply)?;
    // The bound address is not needed, but has to be read.
    let length = match kind {
        1 => 4,
        3 => usize::from(receive::<1>(stream).await?[0]),
        4 => 16,
        _ => return Err(fault("it answers with a kind of address that does not exist")),
    };
    let mut bound = [0; 255 + 2];
    let bound = bound.get_mut(..length + 2).unwrap_or_default();
    stream.read_exact(bound).await?;
    Ok(())
}

async fn authenticate(stream: &mut dyn Stream, credentials: &Basic) -> Result<(), Socks5Error> {
    let mut request = vec![1];
    for part in [&credentials.user, &credentials.password] {
        let length = u8::try_from(part.len()).map_err(|_| fault("SOCKS takes names and passwords up to 255 bytes"))?;
        request.push(length);
        request.extend_from_slice(part.as_bytes());
    }
    send(stream, &request).await?;
    match receive(stream).await? {
        [_, 0] => Ok(()),
        _ => Err(fault("it refuses the credentials")),
    }
}

/// Encodes the request (RFC 1928 §4).
fn request(destination: &Destination) -> Result<Vec<u8>, Socks5Error> {
    const CONNECT: u8 = 1;
    let mut request = vec![VERSION, CONNECT, 0];
    let port = match destination {
        Destination::Address(address) => {
            match address.ip() {
                IpAddr::V4(ip) => {
                    request.push(1);
                    request.extend_from_slice(&ip.octets());
                }
                IpAddr::V6(ip) => {
                    request.push(4);
                    request.extend_from_slice(&ip.octets());
                }
            }
            address.port()
        }
        Destination::Name(name, port) => {
            let name = bare(name);
            let length = u8::try_from(name.len()).map_err(|_| fault("SOCKS takes names up to 255 bytes"))?;
            request.extend([3, length]);
            request.extend_from_slice(name.as_bytes());
            *port
        }
    };
    request.extend_from_slice(&port.to_be_bytes());
    Ok(request)
}

/// Interprets the reply code (RFC 1928 §6).
fn accepted(reply: u8) -> Result<(), Socks5Error> {
    match reply {
        0 => Ok(()),
        1 => Err(fault("it failed, and does not say why")),
        2 => Err(fault("its rules do not allow this connection")),
        3 => Err(Socks5Error::Site("network unreachable")),
        4 => Err(Socks5Error::Site("host unreachable")),
        5 => Err(Socks5Error::Site("connection refused")),
        6 => Err(Socks5Error::Site("no answer")),
        7 => Err(fault("it cannot connect")),
        8 => Err(fault("it does not take this kind of address")),
        _ => Err(fault("it answers with a code that does not exist")),
    }
}

fn fault(why: &str) -> Socks5Error {
    Socks5Error::Proxy(why.to_owned())
}

async fn send(stream: &mut dyn Stream, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}

async fn receive<const N: usize>(stream: &mut dyn Stream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Negotiates with a server that sends `answer`; returns the result and what we sent.
    async fn negotiated(proxy: &str, to: &Destination, answer: &[u8]) -> (Result<(), Socks5Error>, Vec<u8>) {
        let (mut ours, mut theirs) = tokio::io::duplex(4096);
        theirs.write_all(answer).await.unwrap();
        theirs.shutdown().await.unwrap();
        let result = negotiate(&mut ours, &proxy.parse().unwrap(), to).await;
        drop(ours);
        let mut told = Vec::new();
        theirs.read_to_end(&mut told).await.unwrap();
        (result, told)
    }

    #[tokio::test]
    async fn names_and_addresses_go_as_rfc_1928_writes_them() {
        let accepted = [5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        let (result, told) = negotiated("socks5h://p", &Destination::Name("e.org".into(), 80), &accepted).await;
        result.unwrap();
        assert_eq!(told, b"\x05\x01\x00\x05\x01\x00\x03\x05e.org\x00\x50");
        let six = Destination::Address("[::1]:443".parse().unwrap());
        let (result, told) = negotiated("socks5://p", &six, b"\x05\x00\x05\x00\x00\x03\x01x\x00\x00").await;
        result.unwrap();
        assert_eq!(told[3..7], [5, 1, 0, 4]);
        assert_eq!(told[23..], [1, 0xbb]);
    }

    #[tokio::test]
    async fn a_password_is_given_only_when_it_is_asked_for() {
        let to = Destination::Address("127.0.0.1:80".parse().unwrap());
        let accepted = [5, 2, 1, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        let (result, told) = negotiated("socks5://me:pw@p", &to, &accepted).await;
        result.unwrap();
        assert_eq!(told[..11], *b"\x05\x02\x00\x02\x01\x02me\x02pw");
        let (result, told) = negotiated("socks5://me:pw@p", &to, &[5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await;
        result.unwrap();
        assert!(!told.windows(2).any(|window| window == b"pw"));
    }

    #[tokio::test]
    async fn the_proxys_faults_are_told_from_the_sites() {
        let to = Destination::Address("127.0.0.1:80".parse().unwrap());
        for (answer, word) in [
            (b"\x05\xff".as_slice(), "asks for credentials"),
            (b"\x05\x02", "not offered"),
            (b"HT", "does not speak"),
            (b"", "closed"),
            (b"\x05\x00\x05\x02\x00\x01", "rules"),
            (b"\x05\x00\x05\x00\x00\x09", "kind of address"),
            (b"\x05\x00\x05\x00\x00\x01\x00", "closed"),
        ] {
            let (result, _) = negotiated("socks5://p", &to, answer).await;
            assert!(matches!(&result, Err(Socks5Error::Proxy(why)) if why.contains(word)), "{word}: {result:?}");
        }
        let (result, _) = negotiated("socks5://p", &to, b"\x05\x00\x05\x05\x00\x01").await;
        assert!(matches!(result, Err(Socks5Error::Site("connection refused"))), "{result:?}");
        let (result, _) = negotiated("socks5://me:pw@p", &to, b"\x05\x02\x01\x01").await;
        assert!(matches!(result, Err(Socks5Error::Proxy(why)) if why.contains("refuses the credentials")));
    }
}
