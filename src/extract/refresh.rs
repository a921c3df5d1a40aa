//! Refresh: a page that redirects after a delay, by `<meta http-equiv=refresh>` or the `Refresh` header. Knows neither
//! markup nor redirects.

use std::time::Duration;

use memchr::memchr2_iter;
use url::Url;

use super::reference::resolve;

/// The target and the delay of a refresh.
///
/// ```
/// use std::time::Duration;
///
/// use actix_crawler::extract::scan;
///
/// let page = scan("<meta http-equiv=refresh content='5; url=/new'>", &"https://e.org/old".parse()?);
/// let refresh = page.refresh.unwrap();
/// assert_eq!((refresh.url.as_str(), refresh.delay), ("https://e.org/new", Duration::from_secs(5)));
/// # Ok::<(), url::ParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refresh {
    /// How long a browser shows the page first.
    pub delay: Duration,
    /// The target: absolute, `http` or `https`, without fragment.
    pub url: Url,
}

/// Parses the `Refresh` header of `page`, which works like the `<meta>` (HTML standard, §7.4.6.1).
pub(crate) fn of_header(value: &str, page: &Url) -> Option<Refresh> {
    let (delay, reference) = parse(value)?;
    let mut url = resolve(page, reference).ok()?;
    url.set_fragment(None);
    matches!(url.scheme(), "http" | "https").then_some(Refresh { delay, url })
}

/// Tells whether a page may have a `<meta http-equiv>`: most that have none need not be read for a refresh.
pub(crate) fn has_pragma(page: &str) -> bool {
    const NAME: &[u8] = b"http-equiv";
    // The rarest of its letters.
    const BEFORE_Q: usize = 6;
    let page = page.as_bytes();
    memchr2_iter(b'q', b'Q', page).any(|q| {
        let name = q.checked_sub(BEFORE_Q).and_then(|from| page.get(from..from + NAME.len()));
        name.is_some_and(|name| name.eq_ignore_ascii_case(NAME))
    })
}

/// Parses the value of a refresh: a delay in seconds and a reference ("shared declarative refresh steps" of the HTML
/// standard, §4.2.5.3).
///
/// `None` if the standard rejects it, or if it has no reference: such a page only reloads itself.
pub(super) fn parse(value: &str) -> Option<(Duration, &str)> {
    let value = value.trim_start_matches(is_space);
    let digits = value.len() - value.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (seconds, rest) = value.split_at_checked(digits)?;
    if seconds.is_empty() && !rest.starts_with('.') {
        return None;
    }
    // A number that exceeds 64 bits is capped.
    let seconds = if seconds.is_empty() { 0 } else { seconds.parse().unwrap_or(u64::MAX) };
    let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let is_separator = |c: char| matches!(c, ';' | ',');
    if !rest.starts_with(|c| is_space(c) || is_separator(c)) {
        return None;
    }
    let rest = rest.trim_start_matches(is_space);
    let rest = rest.strip_prefix(is_separator).unwrap_or(rest).trim_start_matches(is_space);
    let reference = after_url_key(rest).unwrap_or(rest);
    let reference = match reference.strip_prefix('"').map(|quoted| (quoted, '"')) {
        None => reference.strip_prefix('\'').map(|quoted| (quoted, '\'')),
        quoted => quoted,
    }
    .map_or(reference, |(quoted, quote)| quoted.split(quote).next().unwrap_or_default());
    (!reference.is_empty()).then_some((Duration::from_secs(seconds), reference))
}

/// Returns the text after `url=`, if it begins so.
fn after_url_key(text: &str) -> Option<&str> {
    let (key, rest) = text.split_at_checked(3)?;
    if !key.eq_ignore_ascii_case("url") {
        return None;
    }
    Some(rest.trim_start_matches(is_space).strip_prefix('=')?.trim_start_matches(is_space))
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0c')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The cases follow the steps of the HTML standard, like the web platform tests of `meta refresh`.
    #[test]
    fn a_refresh_is_read_as_the_standard_says() {
        for (value, expected) in [
            ("0;url=/next", Some((0, "/next"))),
            ("5; URL = '/next' ignored", Some((5, "/next"))),
            ("5, url=\"/next\"", Some((5, "/next"))),
            ("5 /next", Some((5, "/next"))),
            ("5;/next", Some((5, "/next"))),
            ("5.9;url=/next", Some((5, "/next"))),
            (".9;url=/next", Some((0, "/next"))),
            ("0;url=url=/next", Some((0, "url=/next"))),
            ("0;ur=/next", Some((0, "ur=/next"))),
            ("0;url/next", Some((0, "url/next"))),
            ("0;'/next", Some((0, "/next"))),
            ("\n 0 ; ; url=/next", Some((0, "; url=/next"))),
            ("0;url=next;x", Some((0, "next;x"))),
            ("99999999999999999999;url=x", Some((u64::MAX, "x"))),
            ("0url=/next", None),
            ("-1;url=/next", None),
            (";url=/next", None),
            ("url=/next", None),
            ("30", None),
            ("30;", None),
            ("30;url=", None),
            ("30;url=''", None),
            ("", None),
        ] {
            let expected = expected.map(|(seconds, reference)| (Duration::from_secs(seconds), reference));
            assert_eq!(parse(value), expected, "{value:?}");
        }
    }

    #[test]
    fn a_pragma_is_found_in_any_case_and_anywhere() {
        for (page, has_one) in [
            ("<meta http-equiv=refresh>", true),
            ("q <META HTTP-EQUIV='x'>", true),
            ("Http-Equiv", true),
            ("quiv", false),
            ("http-equi", false),
            ("http-eqqiv http-eq", false),
            ("", false),
        ] {
            assert_eq!(has_pragma(page), has_one, "{page}");
        }
    }

    proptest! {
        #[test]
        fn no_value_makes_it_panic(value in "[0-9.;, urlURL='\"é/\t]{0,20}") {
            parse(&value);
        }
    }
}
