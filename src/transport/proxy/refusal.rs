//! Refusal: why a proxy did not forward a request.

use super::Proxy;
use crate::transport::wire::Head;

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
