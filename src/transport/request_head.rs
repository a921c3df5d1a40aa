//! Request head: how the head of a request leaves, in place of the one that awc wrote. Knows no socket.

use bytes::BytesMut;
use memchr::memchr;

use super::proxy::Proxy;

/// The server that a proxy asks on our behalf.
pub struct Forwarded<'a> {
    /// The proxy.
    pub by: &'a Proxy,
    /// The server's host.
    pub host: &'a str,
    /// The server's port.
    pub port: u16,
}

/// Returns what is sent instead of `written`, which begins with the head of a request as awc writes it; `None` if the
/// head is not complete.
///
/// `Host` comes first (RFC 9110 §7.2) and the other fields by name; awc's order changes with each request. awc adds a
/// `Date`, as no client of the web does: it is left out unless the request has one itself (`keeps_date`). For a proxy
/// that forwards the request the target becomes absolute (RFC 9112 §3.2.2), and the proxy's credentials are added.
pub fn request_head(written: &[u8], keeps_date: bool, forwarded: Option<&Forwarded<'_>>) -> Option<BytesMut> {
    let mut rest = written;
    let first = next_line(&mut rest)?;
    let mut fields = Vec::with_capacity(USUAL_FIELDS);
    loop {
        let line = next_line(&mut rest)?;
        if line == b"\r\n" {
            break;
        }
        let name = name_of(line);
        if keeps_date || name != b"date" {
            fields.push((name != b"host", name, line));
        }
    }
    // The order of fields of one name is kept.
    fields.sort_by_key(|(is_not_host, name, _)| (*is_not_host, *name));
    let body = rest;

    let mut rewritten = BytesMut::with_capacity(written.len() + 256);
    match forwarded {
        None => rewritten.extend_from_slice(first),
        Some(Forwarded { by, host, port }) => {
            let (method, rest) = first.split_at_checked(first.iter().position(|byte| *byte == b' ')? + 1)?;
            rewritten.extend_from_slice(method);
            rewritten.extend_from_slice(format!("http://{host}").as_bytes());
            if *port != 80 {
                rewritten.extend_from_slice(format!(":{port}").as_bytes());
            }
            rewritten.extend_from_slice(rest);
            if let Some(credentials) = &by.credentials {
                rewritten.extend_from_slice(format!("proxy-authorization: {}\r\n", credentials.header()).as_bytes());
            }
        }
    }
    for (_, _, line) in fields {
        rewritten.extend_from_slice(line);
    }
    rewritten.extend_from_slice(b"\r\n");
    rewritten.extend_from_slice(body);
    Some(rewritten)
}

/// Room for the fields of most requests.
const USUAL_FIELDS: usize = 16;

/// Takes the next line, with its end; `None` if it has none.
fn next_line<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (line, after) = rest.split_at_checked(memchr(b'\n', rest)? + 1)?;
    *rest = after;
    Some(line)
}

/// Returns the name of a field; awc writes names in lower case.
fn name_of(line: &[u8]) -> &[u8] {
    memchr(b':', line).and_then(|colon| line.get(..colon)).unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITTEN: &str = "GET /a?b=c HTTP/1.1\r\ncookie: a=1\r\nx-one: 2\r\naccept: */*\r\nx-one: 1\r\nhost: e.org\r\n\
                           date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n";

    fn sent(keeps_date: bool, forwarded: Option<&Forwarded<'_>>) -> String {
        let sent = request_head(WRITTEN.as_bytes(), keeps_date, forwarded).unwrap();
        String::from_utf8(sent.to_vec()).unwrap()
    }

    fn forwarded(proxy: &str, port: u16) -> String {
        sent(false, Some(&Forwarded { by: &proxy.parse().unwrap(), host: "e.org", port }))
    }

    #[test]
    fn host_comes_first_and_the_others_by_name_in_the_order_of_their_values() {
        let expected =
            "GET /a?b=c HTTP/1.1\r\nhost: e.org\r\naccept: */*\r\ncookie: a=1\r\nx-one: 2\r\nx-one: 1\r\n\r\n";
        assert_eq!(sent(false, None), expected);
    }

    #[test]
    fn a_date_is_sent_only_if_the_request_has_one() {
        assert!(!sent(false, None).contains("date"));
        assert!(sent(true, None).contains("\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
    }

    #[test]
    fn for_a_proxy_the_target_becomes_absolute() {
        assert!(forwarded("http://p:1", 80).starts_with("GET http://e.org/a?b=c HTTP/1.1\r\nhost: e.org\r\n"));
        assert!(forwarded("http://p:1", 8080).starts_with("GET http://e.org:8080/a?b=c HTTP/1.1\r\n"));
        let told = forwarded("http://Aladdin:open%20sesame@p:1", 80);
        let expected = "HTTP/1.1\r\nproxy-authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\nhost: e.org\r\n";
        assert!(told.contains(expected), "{told}");
    }

    #[test]
    fn a_body_that_was_written_with_the_head_follows_it() {
        let written = b"POST / HTTP/1.1\r\ncontent-length: 4\r\nhost: e\r\n\r\na\r\nb";
        let expected = b"POST / HTTP/1.1\r\nhost: e\r\ncontent-length: 4\r\n\r\na\r\nb";
        assert_eq!(request_head(written, false, None).unwrap(), expected[..]);
    }

    #[test]
    fn a_head_that_is_not_complete_is_left_alone() {
        for written in ["", "GET", "GET /a HTTP/1.1", "GET /a HTTP/1.1\r\nhost: e\r\n"] {
            assert_eq!(request_head(written.as_bytes(), false, None), None, "{written}");
        }
    }
}
