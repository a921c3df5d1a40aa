//! UserAgent: checks the crawler's name and contact. A crawler is never anonymous. Knows no network.

use http::HeaderValue;
use url::{Host, Url};

use crate::error::Error;

/// Checks that a User-Agent names the crawler and a contact: a URL or a mail address.
///
/// ```
/// use actix_crawler::user_agent::check;
///
/// assert!(check("quotesbot/1.0 (+https://example.org/bot)").is_ok());
/// assert!(check("quotesbot/1.0").is_err());
/// ```
///
/// # Errors
/// Says what is missing and how to write it.
pub fn check(user_agent: &str) -> Result<(), Error> {
    let refuse = |why: &str| Err(wrong(user_agent, why));
    if user_agent.trim().is_empty() {
        return refuse("is empty");
    }
    if !user_agent.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return refuse("has characters that a header cannot carry");
    }
    let name = user_agent.split(['/', ' ']).next().unwrap_or_default();
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
        return refuse("does not begin with a name of letters, digits, - and _");
    }
    if !has_contact(user_agent) {
        return refuse("has no contact, a URL or a mail address that the owner of a site can turn to");
    }
    Ok(())
}

/// Checks the headers of one request to `url`. A `User-Agent` header replaces the crawler's own for this request, so it
/// must name a contact too, except for requests to this machine.
///
/// Use it for a host that needs a particular name: `request.header("user-agent", "Mozilla/5.0 (compatible;
/// quotesbot/1.0; +https://example.org/bot)")`.
///
/// # Errors
/// A user agent without a contact; the message says how to write it.
pub fn check_headers<K: AsRef<str>, V: AsRef<str>>(headers: &[(K, V)], url: &Url) -> Result<(), Error> {
    let mut given = headers.iter().filter(|(name, _)| name.as_ref().eq_ignore_ascii_case("user-agent"));
    given.try_for_each(|(_, value)| if is_loopback(url) { Ok(()) } else { check(value.as_ref()) })
}

/// Returns the value of the `User-Agent` header.
///
/// # Errors
/// The text is not allowed in a header.
pub(crate) fn header(user_agent: &str) -> Result<HeaderValue, Error> {
    user_agent.parse().map_err(|_| wrong(user_agent, "has characters that a header cannot carry"))
}

fn wrong(user_agent: &str, why: &str) -> Error {
    let why = format!("`{user_agent}` {why}; write it like quotesbot/1.0 (+https://example.org/bot)");
    Error::setting("user agent", why)
}

/// Tells whether the text contains a URL or a mail address.
fn has_contact(user_agent: &str) -> bool {
    user_agent.split([' ', '(', ')', ';', ',', '+', '<', '>']).any(|word| {
        let mail = word.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.'));
        mail || Url::parse(word).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
    })
}

/// Tells whether a URL leads to this machine, which needs no contact.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        Some(Host::Domain(name)) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            name == "localhost" || name.ends_with(".localhost")
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_is_a_url_or_a_mail_address() {
        for good in ["bot/1.0 (+https://example.org/bot)", "bot (me@example.org)", "my-bot/2 http://e.org"] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in ["", " ", "bot/1.0", "bot (me@)", "bot (+example)", "(+https://e.org)", "böt (+https://e.org)"] {
            let error = check(bad).unwrap_err().to_string();
            assert!(error.contains("+https://example.org/bot"), "{bad}: {error}");
        }
    }

    #[test]
    fn a_header_replaces_the_user_agent_only_with_a_contact() {
        let check = |value: &str, url| check_headers(&[("User-AGENT", value)], &Url::parse(url).unwrap()).is_ok();
        assert!(!check("Mozilla/5.0", "https://e.org/"));
        assert!(check("Mozilla/5.0 (compatible; bot/1.0; +https://e.org/bot)", "https://e.org/"));
        assert!(check("Mozilla/5.0", "http://127.0.0.1/"));
        assert!(check_headers::<&str, &str>(&[], &Url::parse("https://e.org/").unwrap()).is_ok());
    }

    #[test]
    fn this_machine_is_known_by_every_name() {
        for (url, expected) in [
            ("http://127.9.9.9/", true),
            ("http://[::1]/", true),
            ("http://localhost:8080/", true),
            ("http://a.localhost/", true),
            ("http://localhost./", true),
            ("http://a.localhost.:80/", true),
            ("http://10.0.0.1/", false),
            ("http://example.org/", false),
        ] {
            assert_eq!(is_loopback(&Url::parse(url).unwrap()), expected, "{url}");
        }
    }
}
