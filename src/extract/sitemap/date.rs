//! Date: the dates in sitemaps and feeds as points in time, with their precision. Knows no clock.

use std::{
    fmt,
    str::FromStr,
    time::{Duration, SystemTime},
};

/// A date in one of the forms of W3C's profile of ISO 8601, which sitemaps.org requires: a year, a month, a day, or a
/// day with a time and an offset from UTC.
///
/// [`FromStr`] also accepts what sites write instead: a space for the `T`, an offset without a colon, no offset (read
/// as UTC), and the dates of RSS (RFC 822), such as `Sun, 01 Feb 2026 10:00:00 +0100`.
///
/// ```
/// use actix_crawler::extract::sitemap::{Precision, W3cDate};
///
/// let date: W3cDate = "2026-02-01T10:30:00+01:00".parse().unwrap();
/// assert_eq!(date, "2026-02-01T09:30:00Z".parse().unwrap());
/// assert_eq!(date.to_string(), "2026-02-01T09:30:00Z");
///
/// let month: W3cDate = "2026-02".parse().unwrap();
/// assert_eq!((month.precision, month.time), (Precision::Month, "2026-02-01".parse::<W3cDate>().unwrap().time));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct W3cDate {
    /// The first moment of the year, month, day or minute.
    pub time: SystemTime,
    /// Its precision.
    pub precision: Precision,
}

/// The precision of a date.
///
/// ```
/// use actix_crawler::extract::sitemap::{Precision, W3cDate};
///
/// let day: W3cDate = "2026-02-01".parse().unwrap();
/// assert_eq!(day.precision, Precision::Day);
/// assert!(Precision::Year < Precision::Second);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precision {
    /// `2026`
    Year,
    /// `2026-02`
    Month,
    /// `2026-02-01`
    Day,
    /// `2026-02-01T10:30Z`
    Minute,
    /// `2026-02-01T10:30:00Z`, also with a fraction of a second.
    Second,
}

/// A text is not a date.
///
/// ```
/// use actix_crawler::extract::sitemap::{NoDate, W3cDate};
///
/// assert_eq!("yesterday".parse::<W3cDate>(), Err(NoDate));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no date in a form that sitemaps or feeds use; write it like 2026-02-01 or 2026-02-01T12:30:00Z")]
pub struct NoDate;

impl FromStr for W3cDate {
    type Err = NoDate;

    fn from_str(text: &str) -> Result<Self, NoDate> {
        let text = text.trim();
        w3c(text).or_else(|| rfc822(text)).ok_or(NoDate)
    }
}

impl fmt::Display for W3cDate {
    /// Formats it in W3C's form, in UTC.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let written = humantime::format_rfc3339(self.time).to_string();
        match self.precision {
            Precision::Second => f.write_str(&written),
            Precision::Minute => write!(f, "{}Z", written.get(..16).unwrap_or(&written)),
            Precision::Day => f.write_str(written.get(..10).unwrap_or(&written)),
            Precision::Month => f.write_str(written.get(..7).unwrap_or(&written)),
            Precision::Year => f.write_str(written.get(..4).unwrap_or(&written)),
        }
    }
}

impl W3cDate {
    /// Tells whether what has this date may have been modified at `since` or later: `2026-02-01` is the whole day.
    ///
    /// ```
    /// use actix_crawler::extract::sitemap::W3cDate;
    ///
    /// let day: W3cDate = "2026-02-01".parse().unwrap();
    /// let at = |text: &str| text.parse::<W3cDate>().unwrap().time;
    /// assert!(day.may_be_since(at("2026-02-01T20:00Z")));
    /// assert!(!day.may_be_since(at("2026-02-02")));
    /// ```
    pub fn may_be_since(&self, since: SystemTime) -> bool {
        self.end() > since
    }

    /// Returns the end of the year, month, day, minute or second; up to three days later for a month, and a day for a
    /// year.
    pub(crate) fn end(&self) -> SystemTime {
        const DAY: u64 = 86_400;
        let seconds = match self.precision {
            Precision::Year => 366 * DAY,
            Precision::Month => 31 * DAY,
            Precision::Day => DAY,
            Precision::Minute => 60,
            Precision::Second => 1,
        };
        self.time.checked_add(Duration::from_secs(seconds)).unwrap_or(self.time)
    }
}

/// Where the years with four digits end, in seconds since 1970: humantime formats nothing later.
const YEAR_10000: u64 = 253_402_300_800;

/// The parts of a date.
#[derive(Clone, Copy)]
struct DateParts {
    year: i64,
    month: i64,
    day: i64,
    seconds: i64,
    nanoseconds: u32,
    offset_minutes: i64,
}

impl DateParts {
    fn of_day(year: i64, month: i64, day: i64) -> Self {
        Self { year, month, day, seconds: 0, nanoseconds: 0, offset_minutes: 0 }
    }

    fn date(self, precision: Precision) -> Option<W3cDate> {
        // humantime formats the years 1970 to 9999; web pages are not older.
        let is_date = (1970..=9999).contains(&self.year)
            && (1..=12).contains(&self.month)
            && (1..=days_in(self.year, self.month)).contains(&self.day);
        if !is_date {
            return None;
        }
        let seconds =
            days_since_1970(self.year, self.month, self.day) * 86_400 + self.seconds - self.offset_minutes * 60;
        // The offset may lead into another year.
        let seconds = u64::try_from(seconds.max(0)).ok().filter(|seconds| *seconds < YEAR_10000)?;
        let since = Duration::new(seconds, self.nanoseconds);
        Some(W3cDate { time: SystemTime::UNIX_EPOCH.checked_add(since)?, precision })
    }
}

/// Parses `YYYY[-MM[-DD[Thh:mm[:ss[.s…]][TZD]]]]` (W3C NOTE-datetime).
fn w3c(text: &str) -> Option<W3cDate> {
    let mut text = text;
    let year = digits(&mut text, 4, 4)?;
    if text.is_empty() {
        return DateParts::of_day(year, 1, 1).date(Precision::Year);
    }
    skip(&mut text, "-")?;
    let month = digits(&mut text, 1, 2)?;
    if text.is_empty() {
        return DateParts::of_day(year, month, 1).date(Precision::Month);
    }
    skip(&mut text, "-")?;
    let mut parts = DateParts::of_day(year, month, digits(&mut text, 1, 2)?);
    if text.is_empty() {
        return parts.date(Precision::Day);
    }
    skip(&mut text, "T").or_else(|| skip(&mut text, "t")).or_else(|| skip(&mut text, " "))?;
    let precision = time_of_day(&mut text, &mut parts)?;
    parts.offset_minutes = offset(text.trim_start())?;
    parts.date(precision)
}

/// Parses `[Sun, ]01 Feb 2026[ 10:00[:00][ GMT]]` (RFC 822 §5, with the years of RFC 2822).
fn rfc822(text: &str) -> Option<W3cDate> {
    const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let text = text.split_once(',').map_or(text, |(_, rest)| rest);
    let mut words = text.split_ascii_whitespace();
    let day = words.next()?.parse().ok()?;
    let name = words.next()?.to_ascii_lowercase();
    let month = MONTHS.iter().position(|month| name.starts_with(month))?;
    let year = match words.next()?.parse::<u16>().ok()? {
        year @ 0..=49 => 2000 + i64::from(year),
        year @ 50..=99 => 1900 + i64::from(year),
        year => i64::from(year),
    };
    let mut parts = DateParts::of_day(year, i64::try_from(month).ok()? + 1, day);
    let Some(mut time) = words.next() else { return parts.date(Precision::Day) };
    let precision = time_of_day(&mut time, &mut parts)?;
    parts.offset_minutes = offset(words.next().unwrap_or("Z"))?;
    parts.date(precision)
}

fn time_of_day(text: &mut &str, parts: &mut DateParts) -> Option<Precision> {
    let hour = digits(text, 1, 2)?;
    skip(text, ":")?;
    let minute = digits(text, 2, 2)?;
    let mut second = 0;
    let mut precision = Precision::Minute;
    if skip(text, ":").is_some() {
        precision = Precision::Second;
        second = digits(text, 2, 2)?;
        if skip(text, ".").or_else(|| skip(text, ",")).is_some() {
            let length = text.bytes().take_while(u8::is_ascii_digit).count();
            let (fraction, rest) = text.split_at(length);
            *text = rest;
            let nine = format!("{:0<9}", fraction.get(..length.min(9))?);
            parts.nanoseconds = nine.parse().ok()?;
        }
    }
    // 24:00 is midnight, and 60 a leap second; adding gives the right result for both.
    let is_time = hour <= 24 && minute < 60 && second <= 60 && (hour < 24 || (minute, second) == (0, 0));
    parts.seconds = hour * 3600 + minute * 60 + second;
    is_time.then_some(precision)
}

/// Parses `Z`, `GMT`, `+hh:mm`, `+hhmm`, `+hh` or nothing, as minutes east of UTC.
fn offset(text: &str) -> Option<i64> {
    const ZONES: [(&str, i64); 12] = [
        ("", 0),
        ("Z", 0),
        ("UTC", 0),
        ("UT", 0),
        ("GMT", 0),
        ("EST", -300),
        ("EDT", -240),
        ("CST", -360),
        ("CDT", -300),
        ("MST", -420),
        ("PST", -480),
        ("PDT", -420),
    ];
    if let Some((_, minutes)) = ZONES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
        return Some(*minutes);
    }
    let (sign, mut rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let hours = digits(&mut rest, 2, 2)?;
    let _ = skip(&mut rest, ":");
    let minutes = if rest.is_empty() { 0 } else { digits(&mut rest, 2, 2)? };
    (rest.is_empty() && hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes))
}

/// Takes `least` to `most` digits from the beginning.
fn digits(text: &mut &str, least: usize, most: usize) -> Option<i64> {
    let length = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at_checked(length)?;
    *text = rest;
    if length < least { None } else { number.parse().ok() }
}

fn skip(text: &mut &str, prefix: &str) -> Option<()> {
    *text = text.strip_prefix(prefix)?;
    Some(())
}

fn days_in(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Counts days in the Gregorian calendar; years begin in March, so that a leap day is the last of its year.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    365 * year + year / 4 - year / 100 + year / 400 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn utc(text: &str) -> Option<String> {
        text.parse::<W3cDate>().ok().map(|date| date.to_string())
    }

    /// The six forms of <https://www.w3.org/TR/NOTE-datetime>, with its own examples.
    #[test]
    fn every_form_of_the_w3c_note_is_read() {
        for (text, expected) in [
            ("1997", "1997"),
            ("1997-07", "1997-07"),
            ("1997-07-16", "1997-07-16"),
            ("1997-07-16T19:20+01:00", "1997-07-16T18:20Z"),
            ("1997-07-16T19:20:30+01:00", "1997-07-16T18:20:30Z"),
            ("1994-11-05T08:15:30-05:00", "1994-11-05T13:15:30Z"),
            ("2024-02-29T23:59:60Z", "2024-03-01T00:00:00Z"),
        ] {
            assert_eq!(utc(text).as_deref(), Some(expected), "{text}");
        }
        let date: W3cDate = "1997-07-16T19:20:30.45+01:00".parse().unwrap();
        assert_eq!(date.to_string(), "1997-07-16T18:20:30.450000000Z");
    }

    #[test]
    fn what_sites_write_in_place_of_them_is_read() {
        for (text, expected) in [
            (" 2026-02-01 10:30:00 ", "2026-02-01T10:30:00Z"),
            ("2026-2-1", "2026-02-01"),
            ("2026-02-01T10:30:00+0100", "2026-02-01T09:30:00Z"),
            ("2026-02-01T10:30:00 +01", "2026-02-01T09:30:00Z"),
            ("2026-02-01T24:00:00Z", "2026-02-02T00:00:00Z"),
            ("Sat, 07 Sep 2002 09:42:31 GMT", "2002-09-07T09:42:31Z"),
            ("Sat, 7 Sep 02 09:42 EST", "2002-09-07T14:42Z"),
            ("07 September 2002", "2002-09-07"),
            ("1970-01-01", "1970-01-01"),
            ("9999-12-31", "9999-12-31"),
        ] {
            assert_eq!(utc(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "today",
            "2026-13",
            "2026-02-30",
            "2026-02-01T25:00Z",
            "2026-02-01T10",
            "20260201",
            "2026-02-01T10:30+1",
            // Regression: a date that has five digits of the year in UTC panicked where it was printed.
            "9999-12-31T23:59:59-01:00",
            "9999-12-31T24:00:00Z",
            "+",
            "é",
        ] {
            assert_eq!(utc(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[0-9TZ:+., -]{0,40}|\\PC{0,20}") {
            let _ = utc(&text);
        }

        #[test]
        fn whatever_is_read_can_be_written(last in any::<bool>(), time in "T[0-2][0-9]:[0-5][0-9]", offset in "[+-][0-2][0-9]:[0-5][0-9]") {
            let day = if last { "9999-12-31" } else { "1970-01-01" };
            let _ = utc(&format!("{day}{time}{offset}"));
        }

        #[test]
        fn days_are_counted_as_humantime_counts_them(day in 0u64..2_900_000) {
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(day * 86_400);
            let text = humantime::format_rfc3339(time).to_string();
            prop_assert_eq!(text[..10].parse::<W3cDate>().unwrap().time, time);
        }
    }
}
