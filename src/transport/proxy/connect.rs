//! Connect: opens a tunnel through an HTTP proxy (RFC 9110 §9.3.6). Does not know what the tunnel carries.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Proxy;
use crate::transport::stream::Stream;

/// The longest head of a response to `CONNECT`: what servers accept in a request.
const MAX_HEAD: usize = 16 * 1024;

/// The most headers of such a response; they are ignored.
const MAX_HEADERS: usize = 64;

/// Opens a tunnel to `host:port`.
///
/// # Errors
/// The proxy's refusal, or its protocol error.
pub async fn connect(stream: &mut dyn Stream, proxy: &Proxy, host: &str, port: u16) -> Result<(), String> {
    let credentials = proxy.credentials.as_ref();
    let authorization = credentials.map(|credentials| format!("Proxy-Authorization: {}\r\n", credentials.header()));
    let authorization = authorization.unwrap_or_default();
    let request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n{authorization}\r\n");
    let broken = |error: std::io::Error| format!("the connection broke: {error}");
    stream.write_all(request.as_bytes()).await.map_err(broken)?;
    stream.flush().await.map_err(broken)?;
    let mut received = Vec::new();
    loop {
        if stream.read_buf(&mut received).await.map_err(broken)? == 0 {
            return Err("it closed the connection instead of answering CONNECT".to_owned());
        }
        match status(&received)? {
            Some((status, length)) if (200..300).contains(&status) => {
                // Further bytes would be read as the site's, but no site sends anything before a request.
                let clean = received.len() == length;
                return if clean { Ok(()) } else { Err("it sent more than an answer to CONNECT".to_owned()) };
            }
            Some((407, _)) if proxy.credentials.is_none() => return Err("it asks for credentials (407)".to_owned()),
            // tinyproxy answers 401 to a wrong password.
            Some((status @ (401 | 407), _)) => return Err(format!("it refuses the credentials ({status})")),
            Some((status, _)) => return Err(format!("it refuses to connect to {host}:{port} ({status})")),
            None if received.len() > MAX_HEAD => return Err("its answer to CONNECT does not end".to_owned()),
            None => {}
        }
    }
}

/// Parses the status and the length of a head; `None` while it is incomplete.
fn status(received: &[u8]) -> Result<Option<(u16, usize)>, String> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(received) {
        Ok(httparse::Status::Complete(length)) => Ok(response.code.map(|code| (code, length))),
        Ok(httparse::Status::Partial) => Ok(None),
        Err(error) => Err(format!("it does not answer CONNECT in HTTP: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    async fn answered(answer: &[u8]) -> Result<(), String> {
        let (mut ours, mut theirs) = tokio::io::duplex(64 * 1024);
        theirs.write_all(answer).await.unwrap();
        theirs.shutdown().await.unwrap();
        connect(&mut ours, &"http://p.test:1".parse().unwrap(), "e.org", 443).await
    }

    #[tokio::test]
    async fn a_tunnel_is_open_only_after_a_whole_head_of_success_and_nothing_more() {
        assert_eq!(answered(b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n").await, Ok(()));
        assert_eq!(answered(b"HTTP/1.0 200 OK\r\n\r\n").await, Ok(()));
        for (answer, word) in [
            (b"HTTP/1.1 407 No\r\n\r\n".as_slice(), "asks for credentials"),
            (b"HTTP/1.1 403 No\r\n\r\n", "403"),
            (b"HTTP/1.1 200 OK\r\n\r\nSSH-2.0", "more than"),
            (b"SSH-2.0-OpenSSH\r\n", "not answer CONNECT in HTTP"),
            (b"HTTP/1.1 200 OK\r\n", "closed"),
            (b"", "closed"),
        ] {
            let said = answered(answer).await.unwrap_err();
            assert!(said.contains(word), "{said}");
        }
        let endless = [b"HTTP/1.1 200 OK\r\nX: ".as_slice(), &[b'a'; 32 * 1024]].concat();
        assert!(answered(&endless).await.unwrap_err().contains("does not end"));
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..128)) {
            let _read = status(&bytes);
        }
    }
}
