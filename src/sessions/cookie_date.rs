//! CookieDate: parses the dates of `Expires` by RFC 6265 §5.1.1, which accepts every form that servers write. Knows no
//! cookies and no clock.

use std::time::{Duration, SystemTime};

/// Parses a date. The first time, day of the month, month and year among its tokens count, in any order; all other
/// tokens are ignored. `None` if one of them is missing or the date does not exist.
///
/// A date before 1970 becomes the start of 1970, which has expired just the same.
pub fn parse(text: &[u8]) -> Option<SystemTime> {
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    for token in text.split(|&byte| is_delimiter(byte)).filter(|token| !token.is_empty()) {
        // Each token is matched against these in turn, skipping those already found.
        if time.is_none()
            && let Some(found) = time_of(token)
        {
            time = Some(found);
        } else if day.is_none()
            && let Some((found, _)) = digits(token, 1, 2)
        {
            day = Some(found);
        } else if month.is_none()
            && let Some(found) = month_of(token)
        {
            month = Some(found);
        } else if year.is_none()
            && let Some((found, _)) = digits(token, 2, 4)
        {
            year = Some(found);
        }
    }
    let ([hour, minute, second], day, month) = (time?, day?, month?);
    let year = match year? {
        year @ 70..=99 => year + 1_900,
        year @ 0..=69 => year + 2_000,
        year => year,
    };
    if !(1..=days_in(month, year)).contains(&day) || year < 1_601 || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = days_since_1970(year, month, day) * 86_400 + i64::from(hour * 3_600 + minute * 60 + second);
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

fn is_delimiter(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'/' | b';'..=b'@' | b'['..=b'`' | b'{'..=b'~')
}

/// Parses `least` to `most` digits that are not followed by another digit; returns the number and the rest.
fn digits(token: &[u8], least: usize, most: usize) -> Option<(u32, &[u8])> {
    let length = token.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !(least..=most).contains(&length) {
        return None;
    }
    let (digits, rest) = token.split_at_checked(length)?;
    Some((digits.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0')), rest))
}

fn time_of(token: &[u8]) -> Option<[u32; 3]> {
    let (hour, rest) = digits(token, 1, 2)?;
    let (minute, rest) = digits(rest.strip_prefix(b":")?, 1, 2)?;
    let (second, _) = digits(rest.strip_prefix(b":")?, 1, 2)?;
    Some([hour, minute, second])
}

fn month_of(token: &[u8]) -> Option<u32> {
    const NAMES: [&[u8]; 12] =
        [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];
    let name = token.get(..3)?;
    (1..).zip(NAMES).find(|(_, month)| month.eq_ignore_ascii_case(name)).map(|(number, _)| number)
}

fn is_leap(year: u32) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_in(month: u32, year: u32) -> u32 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn days_since_1970(year: u32, month: u32, day: u32) -> i64 {
    let before = i64::from(year) - 1;
    let of_years = before * 365 + before / 4 - before / 100 + before / 400 - 719_162;
    let of_months: u32 = (1..month).map(|month| days_in(month, year)).sum();
    of_years + i64::from(of_months) + i64::from(day) - 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Option<String> {
        parse(text.as_bytes()).map(httpdate::fmt_http_date)
    }

    /// RFC 6265 §5.1.1: all of these are valid by its algorithm, and browsers accept them.
    #[test]
    fn a_date_is_read_in_every_form_that_the_algorithm_takes() {
        for text in [
            "Wed, 07 Oct 2015 07:28:00 GMT",
            "Wed, 7 Oct 2015 07:28:00 GMT",
            "Wed, 07 Oct 2015 07:28:00 UTC",
            "Wed, 07 Oct 2015 07:28:00 +0000",
            "Wed, 07 Oct 2015 07:28:00",
            "Wed, 07-Oct-2015 07:28:00 GMT",
            "Wednesday, 07-Oct-15 07:28:00 GMT",
            "WED, 07 OCT 2015 07:28:00 GMT",
            "Wed, 07 Oct 2015 7:28:0 GMT",
            "Wed, 07 October 2015 07:28:00 GMT",
            "Wed Oct 07 2015 07:28:00 GMT+0000 (Coordinated Universal Time)",
            "Wed Oct  7 07:28:00 2015",
            "\"Wed, 07 Oct 2015 07:28:00 GMT\"",
            "Wed,07 Oct 2015 07:28:00 GMT",
            "2015 Oct 7 07:28:00",
            "07:28:00 7th octember 2015x",
        ] {
            assert_eq!(read(text).as_deref(), Some("Wed, 07 Oct 2015 07:28:00 GMT"), "{text}");
        }
    }

    #[test]
    fn years_of_two_digits_and_years_long_past_are_read() {
        for (text, expected) in [
            ("1 Jan 70 00:00:00", "Thu, 01 Jan 1970 00:00:00 GMT"),
            ("1 Jan 69 00:00:00", "Tue, 01 Jan 2069 00:00:00 GMT"),
            ("29 Feb 2000 23:59:59", "Tue, 29 Feb 2000 23:59:59 GMT"),
            ("1 Jan 1601 00:00:00", "Thu, 01 Jan 1970 00:00:00 GMT"),
            ("31 Dec 9999 23:59:59", "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(read(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "0",
            "Wed, 07 Oct 2015",
            "07 Oct 07:28:00",
            "Oct 2015 07:28:00",
            "07 2015 07:28:00",
            "31 Feb 2015 07:28:00",
            "29 Feb 1900 07:28:00",
            "0 Oct 2015 07:28:00",
            "7 Oct 1600 07:28:00",
            "7 Oct 2015 24:00:00",
            "7 Oct 2015 07:60:00",
            "7 Oct 20155 07:28:00",
            "2015-10-07T07:28:00Z",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_servers_write_is_read_back(seconds in 0_u64..253_402_300_800) {
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            prop_assert_eq!(parse(httpdate::fmt_http_date(time).as_bytes()), Some(time));
        }

        #[test]
        fn no_bytes_make_it_panic(text in proptest::collection::vec(any::<u8>(), 0..40)) {
            parse(&text);
        }
    }
}
