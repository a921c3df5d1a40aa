//! Refresh: a page that sends its reader on after a while, by `<meta http-equiv=refresh>` or the `Refresh` header.
//! Knows neither markup nor redirects.

use std::time::Duration;

use url::Url;

use super::reference::resolve;

/// Where a page sends its reader, and after how long.
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
    /// The next page: absolute, `http` or `https`, without fragment.
    pub url: Url,
}

/// Reads a `Refresh` header, which counts as the `<meta>` does (HTML standard, §7.4.6.1), in an answer from `page`.
pub(crate) fn of_header(value: &str, page: &Url) -> Option<Refresh> {
    let (delay, reference) = parse(value)?;
    let mut url = resolve(page, reference).ok()?;
    url.set_fragment(None);
    matches!(url.scheme(), "http" | "https").then_some(Refresh { delay, url })
}

/// Reads the value of a refresh: a delay in seconds and a reference ("shared declarative refresh steps" of the HTML
/// standard, §4.2.5.3).
///
/// `None` where the standard reads nothing, and where no reference is given: such a page only reloads itself.
pub(super) fn parse(value: &str) -> Option<(Duration, &str)> {
    let value = value.trim_start_matches(is_space);
    let digits = value.len() - value.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (seconds, rest) = value.split_at_checked(digits)?;
    if seconds.is_empty() && !rest.starts_with('.') {
        return None;
    }
    // More seconds than fit in 64 bits are no less far away.
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

/// Returns what follows `url=`, if that is how it begins.
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

    /// The cases follow the steps of the HTML standard, as the web platform tests of `meta refresh` do.
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

    proptest! {
        #[test]
        fn no_value_makes_it_panic(value in "[0-9.;, urlURL='\"é/\t]{0,20}") {
            parse(&value);
        }
    }
}
