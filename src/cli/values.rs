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
use serde::{Deserialize, Serialize};

/// Parses `2/s`, `30/m`, `1/10s` or `unlimited`.
pub fn rate(text: &str) -> Result<Rate, String> {
    text.parse().map_err(why)
}

/// Parses a regular expression.
pub fn pattern(text: &str) -> Result<Pattern, String> {
    // The parser's message spans several lines; the last one says what is wrong.
    let refuse = |error| {
        let why = why(error);
        let last = why.lines().last().unwrap_or_default().trim_start_matches("error:").trim();
        format!(
            r"{last}; write a regular expression, such as /blog/ or \.html$, with \ before a sign that is meant as it is"
        )
    };
    text.parse().map_err(refuse)
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

/// A field that `--select NAME=CSS` or `--select NAME=CSS@ATTRIBUTE` adds to each page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Select {
    /// The name of the field.
    pub name: String,
    /// The selector.
    pub css: String,
    /// The attribute; `None` for the element's text.
    pub attribute: Option<String>,
}

impl Select {
    /// Checks a name and a selector.
    ///
    /// # Errors
    /// Says what is wrong with the name or the selector.
    pub fn new(name: &str, query: &str) -> Result<Self, String> {
        if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c)) {
            return Err(format!("`{name}` is no name; use letters, digits, _, - and ."));
        }
        if name == "url" {
            return Err("`url` is the page's own URL, by which its line is known; write another name, as link=a@href"
                .to_owned());
        }
        let (css, attribute) = match query.rsplit_once('@') {
            Some((css, attribute)) if is_attribute(attribute) => (css, Some(attribute.to_ascii_lowercase())),
            _ => (query, None),
        };
        let selected = Document::parse("").select(css).map(|_| ());
        selected.map_err(|error| error.to_string())?;
        Ok(Self { name: name.to_owned(), css: css.to_owned(), attribute })
    }
}

impl FromStr for Select {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || format!("`{text}` has no name; write it like author=.author or next=a.next@href");
        let (name, query) = text.split_once('=').ok_or_else(refuse)?;
        Self::new(name.trim(), query.trim())
    }
}

fn is_attribute(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_:".contains(&byte))
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
    fn an_at_sign_separates_the_attribute_only_where_one_follows() {
        let select = |text: &str| {
            let select: Select = text.parse().unwrap();
            (select.css, select.attribute)
        };
        assert_eq!(select("next=a.next@href"), ("a.next".into(), Some("href".into())));
        assert_eq!(select("price=.price"), (".price".into(), None));
        assert_eq!(select(r#"mail=a[href*="@example"]"#), (r#"a[href*="@example"]"#.into(), None));
    }

    #[test]
    fn a_wrong_selection_says_how_to_write_it() {
        for text in ["h1", "=h1", "a b=h1", "x=", "x=h1[", "x=::nothing", "url=h1"] {
            assert!(text.parse::<Select>().is_err(), "{text}");
        }
        assert!("h1".parse::<Select>().unwrap_err().contains("author=.author"));
    }

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
