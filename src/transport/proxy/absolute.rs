//! Absolute: rewrites a plain HTTP request to the absolute form that forwarding proxies need (RFC 9112 §3.2.2). awc
//! writes only the origin form.

use bytes::BytesMut;

use super::Proxy;
use crate::transport::wire::Head;

/// Rewrites the first bytes of a request to `host:port`, which must include the whole request line: the target becomes
/// absolute, and the proxy's credentials are added. `None` if the bytes do not start with a request line.
pub fn absolute(head: &[u8], proxy: &Proxy, host: &str, port: u16) -> Option<BytesMut> {
    let space = head.iter().position(|byte| *byte == b' ')?;
    let (method, rest) = head.split_at_checked(space + 1)?;
    let line = rest.windows(2).position(|pair| pair == b"\r\n")?;
    let (line, headers) = rest.split_at_checked(line + 2)?;
    let mut rewritten = BytesMut::with_capacity(head.len() + 256);
    rewritten.extend_from_slice(method);
    rewritten.extend_from_slice(b"http://");
    rewritten.extend_from_slice(host.as_bytes());
    if port != 80 {
        rewritten.extend_from_slice(format!(":{port}").as_bytes());
    }
    rewritten.extend_from_slice(line);
    if let Some(credentials) = &proxy.credentials {
        rewritten.extend_from_slice(format!("proxy-authorization: {}\r\n", credentials.header()).as_bytes());
    }
    rewritten.extend_from_slice(headers);
    Some(rewritten)
}

/// Returns why a proxy refused to forward a request; `None` if the response is the server's.
pub fn refusal(head: &Head, proxy: &Proxy) -> Option<String> {
    let is = |name, begins: &str| {
        head.headers.get(name).and_then(|value| value.to_str().ok()).is_some_and(|value| value.starts_with(begins))
    };
    match head.status.as_u16() {
        407 if proxy.credentials.is_none() => Some(format!("{proxy} asks for credentials (407)")),
        407 => Some(format!("{proxy} refuses the credentials (407)")),
        // tinyproxy's own response to a wrong password (seen with 1.11).
        401 if is("server", "tinyproxy") && !head.headers.contains_key("via") => {
            Some(format!("{proxy} refuses the credentials (401)"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(head: &str, proxy: &str, port: u16) -> Option<String> {
        let proxy = proxy.parse().unwrap();
        absolute(head.as_bytes(), &proxy, "e.org", port).map(|head| String::from_utf8(head.to_vec()).unwrap())
    }

    #[test]
    fn the_target_becomes_absolute_and_the_rest_stays() {
        let head = "GET /a?b=c HTTP/1.1\r\nhost: e.org\r\n\r\n";
        let expected = "GET http://e.org/a?b=c HTTP/1.1\r\nhost: e.org\r\n\r\n";
        assert_eq!(rewritten(head, "http://p:1", 80).unwrap(), expected);
        assert!(rewritten(head, "http://p:1", 8080).unwrap().starts_with("GET http://e.org:8080/a?b=c HTTP/1.1\r\n"));
        let told = rewritten(head, "http://Aladdin:open%20sesame@p:1", 80).unwrap();
        let expected = "HTTP/1.1\r\nproxy-authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\nhost: e.org\r\n\r\n";
        assert!(told.ends_with(expected), "{told}");
    }

    #[test]
    fn what_is_no_request_is_left_alone() {
        assert_eq!(rewritten("GET", "http://p:1", 80), None);
        assert_eq!(rewritten("GET /a HTTP/1.1", "http://p:1", 80), None);
    }
}
