//! Values: parses option values, except those that the library parses itself.

use std::{
    net::IpAddr,
    num::{NonZeroU32, NonZeroU64},
    str::FromStr,
    time::Duration,
};

use actix_crawler::{
    Error, Rate,
    extract::{Document, sitemap::W3cDate},
    internals::{MAX_THREADS, parse_duration},
    settings::Pattern,
    transport::{Credentials, IpNet, OriginCredentials},
    validation::Share,
};
use http::Method;
use regex::Regex;

/// Parses `2/s`, `30/m`, `1/10s` or `unlimited`.
pub fn rate(text: &str) -> Result<Rate, String> {
    text.parse().map_err(why)
}

/// Parses a regular expression.
pub fn pattern(text: &str) -> Result<Pattern, String> {
    text.parse().map_err(|error| no_pattern(&why(error)))
}

/// Parses a CSS selector.
pub fn css(text: &str) -> Result<String, String> {
    Document::parse("").select(text).map_err(|error| error.to_string())?;
    Ok(text.to_owned())
}

/// Parses a regular expression of which groups are read.
pub fn regex(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|error| no_pattern(&error.to_string()))
}

fn no_pattern(why: &str) -> String {
    // The parser's message spans several lines; the last one says what is wrong.
    let last = why.lines().last().unwrap_or_default().trim_start_matches("error:").trim();
    format!(
        r"{last}; write a regular expression, such as /blog/ or \.html$, with \ before a sign that is meant as it is"
    )
}

/// Parses `1s`, `250ms`, `2m`, or seconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text)
}

/// Parses `2026-02-01`, `2026-02`, or a date with a time.
pub fn date(text: &str) -> Result<W3cDate, String> {
    text.parse().map_err(|_| "write it like 2026-02-01".to_owned())
}

/// Like [`duration`], but not zero.
pub fn deadline(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("a limit of 0 allows nothing; write it like 30s".to_owned()),
        limit => Ok(limit),
    }
}

/// Reads a count, from 1.
pub fn positive(text: &str) -> Result<NonZeroU32, String> {
    text.parse().map_err(|_| format!("write a whole number from 1 to {}, such as 10", u32::MAX))
}

/// Reads a large count, from 1.
pub fn many(text: &str) -> Result<u64, String> {
    let number: Result<NonZeroU64, _> = text.parse();
    number.map(NonZeroU64::get).map_err(|_| format!("write a whole number from 1 to {}, such as 1000", u64::MAX))
}

/// Reads a count that may be 0.
pub fn count(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("write a whole number from 0 to {}, such as 2", u32::MAX))
}

/// Parses a number of threads; far more than a machine has cores is taken for a mistake.
pub fn threads(text: &str) -> Result<u16, String> {
    let refuse = || format!("write a whole number from 1 to {MAX_THREADS}, such as 4");
    text.parse().ok().filter(|threads| (1..=MAX_THREADS).contains(&usize::from(*threads))).ok_or_else(refuse)
}

/// Reads a method.
pub fn method(text: &str) -> Result<Method, String> {
    text.to_ascii_uppercase().parse().map_err(|_| format!("`{text}` is no method; write it like GET or POST"))
}

/// Reads the name of a header.
pub fn header_name(text: &str) -> Result<String, String> {
    let refuse = |_| format!("`{text}` is no header's name; write it like content-type");
    http::HeaderName::from_str(text).map(|_| text.to_owned()).map_err(refuse)
}

/// Reads bytes: `500000`, `500k`, `10M`, `1G`, in powers of 1,000, or of 1,024 with `Ki`, `Mi`, `Gi`.
pub fn bytes(text: &str) -> Result<u64, String> {
    let refuse = || format!("`{text}` is no number of bytes; write it like 500k, 10M or 10Mi");
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let unit: u64 = match unit.trim().trim_end_matches(['b', 'B']) {
        "" => 1,
        "k" | "K" => 1_000,
        "m" | "M" => 1_000_000,
        "g" | "G" => 1_000_000_000,
        "ki" | "Ki" => 1 << 10,
        "mi" | "Mi" => 1 << 20,
        "gi" | "Gi" => 1 << 30,
        _ => return Err(refuse()),
    };
    let number: u64 = number.parse().map_err(|_| refuse())?;
    number.checked_mul(unit).filter(|bytes| *bytes > 0).ok_or_else(refuse)
}

/// Reads a network, or a single address.
pub fn network(text: &str) -> Result<IpNet, String> {
    let refuse = || format!("`{text}` is no network; write it like 10.1.0.0/16 or 10.1.2.3");
    text.parse().ok().or_else(|| text.parse::<IpAddr>().map(IpNet::from).ok()).ok_or_else(refuse)
}

/// Reads `95%` or `0.95`.
pub fn share(text: &str) -> Result<Share, String> {
    text.parse().map_err(why)
}

/// Reads a number.
pub fn number(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite());
    number.ok_or_else(|| format!("`{text}` is no number; write it like 0.01"))
}

/// Parses an origin with its user name and password.
pub fn user(text: &str) -> Result<OriginCredentials, String> {
    // The error omits the text, since it contains the password.
    let (origin, (user, password)) = text
        .split_once('=')
        .and_then(|(origin, who)| Some((origin, who.split_once(':')?)))
        .ok_or("write it like https://example.org=NAME:PASSWORD")?;
    Ok(OriginCredentials { origin: origin.to_owned(), credentials: Credentials::basic(user, password) })
}

/// Reads a header, `Name: value`.
pub fn header(text: &str) -> Result<(String, String), String> {
    // The error omits the text, since it may contain a password.
    let refuse = || "write a header like `Accept-Language: en`".to_owned();
    let (name, value) = text.split_once(':').ok_or_else(refuse)?;
    let (name, value) = (name.trim(), value.trim());
    http::HeaderName::from_str(name).map_err(|_| refuse())?;
    http::HeaderValue::from_str(value).map_err(|_| refuse())?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Returns the reason without the setting's name, since clap shows the option's.
fn why(error: Error) -> String {
    match error {
        Error::Setting { why, .. } => why,
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_may_have_any_sign_in_it() {
        let given = user("https://e.org=me:a=b:c").unwrap();
        assert_eq!((given.origin.as_str(), given.credentials), ("https://e.org", Credentials::basic("me", "a=b:c")));
        assert!(!user("me=secret").unwrap_err().contains("secret"));
    }

    #[test]
    fn a_network_may_be_one_address() {
        assert_eq!(network("10.1.0.0/16").unwrap().to_string(), "10.1.0.0/16");
        assert_eq!(network("::1").unwrap().to_string(), "::1/128");
        assert!(network("example.org").is_err());
    }

    #[test]
    fn bytes_are_written_as_people_write_them() {
        for (text, expected) in
            [("500", 500), ("500k", 500_000), ("10M", 10_000_000), ("10MiB", 10 << 20), ("1 GB", 1_000_000_000)]
        {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        for text in ["", "0", "x", "10T", "-1", "1.5M", "99999999999999999999", "18446744073709551615k"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }
}
