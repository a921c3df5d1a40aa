//! Value: the value of an input after setting a text, by its type ("value sanitization algorithm", HTML §4.10.5.1).
//! Knows no form.

use super::color;

/// The types of `<input>` with a text value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextType {
    Hidden,
    Text,
    Search,
    Tel,
    Url,
    Email { multiple: bool },
    Password,
    Date,
    Month,
    Week,
    Time,
    DateTimeLocal,
    Number,
    Range,
    Color,
}

/// The bounds of an `<input type=range>`.
#[derive(Clone, Copy, Debug)]
pub(super) struct ValueRange {
    pub min: f64,
    pub max: f64,
    /// `None` for `step=any`.
    pub step: Option<f64>,
    /// The origin of the steps: the attribute `min`, or else `value`.
    pub base: f64,
}

impl ValueRange {
    /// Reads the attributes `min`, `max`, `step` and `value`.
    pub fn of([min, max, step, value]: [Option<&str>; 4]) -> Self {
        let number = |text: Option<&str>| text.filter(|text| is_number(text)).and_then(|text| text.parse().ok());
        let step = match step {
            Some(step) if step.trim().eq_ignore_ascii_case("any") => None,
            step => Some(number(step).filter(|step| *step > 0.0).unwrap_or(1.0)),
        };
        let base = number(min).or_else(|| number(value)).unwrap_or(0.0);
        Self { min: number(min).unwrap_or(0.0), max: number(max).unwrap_or(100.0), step, base }
    }
}

impl TextType {
    /// Parses the attribute `type`; an unknown one is `text`. `None` for types without a text value, such as
    /// `checkbox`.
    pub fn of(kind: &str, multiple: bool) -> Option<Self> {
        Some(match kind {
            "hidden" => Self::Hidden,
            "search" => Self::Search,
            "tel" => Self::Tel,
            "url" => Self::Url,
            "email" => Self::Email { multiple },
            "password" => Self::Password,
            "date" => Self::Date,
            "month" => Self::Month,
            "week" => Self::Week,
            "time" => Self::Time,
            "datetime-local" => Self::DateTimeLocal,
            "number" => Self::Number,
            "range" => Self::Range,
            "color" => Self::Color,
            "checkbox" | "radio" | "file" | "submit" | "image" | "reset" | "button" => return None,
            _ => Self::Text,
        })
    }

    /// Returns the name in the attribute `type`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hidden => "hidden",
            Self::Text => "text",
            Self::Search => "search",
            Self::Tel => "tel",
            Self::Url => "url",
            Self::Email { .. } => "email",
            Self::Password => "password",
            Self::Date => "date",
            Self::Month => "month",
            Self::Week => "week",
            Self::Time => "time",
            Self::DateTimeLocal => "datetime-local",
            Self::Number => "number",
            Self::Range => "range",
            Self::Color => "color",
        }
    }

    /// Tells whether it takes a telephone number.
    pub fn is_telephone(self) -> bool {
        self == Self::Tel
    }

    /// Tells whether the attribute `dirname` applies.
    pub fn has_direction(self) -> bool {
        matches!(
            self,
            Self::Hidden | Self::Text | Self::Search | Self::Tel | Self::Url | Self::Email { .. } | Self::Password
        )
    }

    /// Returns the value after setting `text`; empty if the type does not accept it.
    pub fn sanitized(self, text: &str, bounds: ValueRange) -> String {
        let only_if = |is_valid: bool| if is_valid { text.to_owned() } else { String::new() };
        match self {
            Self::Hidden => text.to_owned(),
            Self::Text | Self::Search | Self::Tel | Self::Password => one_line(text),
            Self::Url | Self::Email { multiple: false } => trimmed(&one_line(text)),
            Self::Email { multiple: true } => one_line(text).split(',').map(trimmed).collect::<Vec<_>>().join(","),
            Self::Date => only_if(date(text).is_some()),
            Self::Month => only_if(month(text).is_some()),
            Self::Week => only_if(is_week(text)),
            Self::Time => only_if(time(text).is_some()),
            Self::DateTimeLocal => local_date_time(text).unwrap_or_default(),
            Self::Number => only_if(is_number(text)),
            Self::Range => range(text, bounds),
            Self::Color => color::as_hex(&trimmed(text)),
        }
    }
}

fn one_line(text: &str) -> String {
    text.replace(['\r', '\n'], "")
}

fn trimmed(text: &str) -> String {
    text.trim_matches(|c: char| matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0c')).to_owned()
}

/// A "valid floating-point number" (HTML §2.3.4.3) that is finite.
fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_mantissa = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole.is_empty() || is_digits(whole)) && is_digits(fraction),
        None => is_digits(mantissa),
    };
    let is_exponent = exponent.is_none_or(|exponent| is_digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)));
    is_mantissa && is_exponent && text.parse::<f64>().is_ok_and(f64::is_finite)
}

/// Limits a number to the bounds and rounds it to a step; if it is not a number, returns the middle.
fn range(text: &str, ValueRange { min, max, step, base }: ValueRange) -> String {
    let middle = if max < min { min } else { min + (max - min) / 2.0 };
    let number = if is_number(text) { text.parse().unwrap_or(middle) } else { middle };
    let mut value: f64 = if max < min { min } else { number.clamp(min, max) };
    if let Some(step) = step {
        // If two steps are equally near, the upper one, if it is within the bounds.
        let at = |steps: f64| base + steps * step;
        let mut steps = ((value - base) / step + 0.5).floor();
        if at(steps) > max {
            steps -= 1.0;
        } else if at(steps) < min {
            steps += 1.0;
        }
        if max >= min && (min..=max).contains(&at(steps)) {
            value = at(steps);
        }
    }
    // Browsers calculate in decimal numbers: 0.1 + 0.2 is 0.3.
    let rounded = (value * 1e10).round() / 1e10;
    if rounded == 0.0 { "0".to_owned() } else { rounded.to_string() }
}

/// Parses a number with exactly so many digits.
fn exactly(text: &str, digits: usize) -> Option<u32> {
    let is_number = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

/// Parses a year: four digits or more, not zero.
fn year(text: &str) -> Option<u32> {
    exactly(text, text.len().clamp(4, 6)).filter(|year| (1..=275_760).contains(year))
}

fn month(text: &str) -> Option<(u32, u32)> {
    let (years, months) = text.split_once('-')?;
    Some((year(years)?, exactly(months, 2).filter(|month| (1..=12).contains(month))?))
}

fn date(text: &str) -> Option<()> {
    let (months, days) = text.rsplit_once('-')?;
    let (year, month) = month(months)?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    exactly(days, 2).filter(|day| (1..=last).contains(day)).map(drop)
}

fn is_week(text: &str) -> bool {
    let read = |text: &str| {
        let (years, weeks) = text.split_once("-W")?;
        let year = year(years)?;
        // A year has 53 weeks if it begins on a Thursday, or on a Wednesday and is a leap year; that is, if it or the
        // year before ends on one of these days.
        let ends_on = |year: u32| (year + year / 4 - year / 100 + year / 400) % 7;
        let last = if ends_on(year) == 4 || ends_on(year - 1) == 3 { 53 } else { 52 };
        exactly(weeks, 2).filter(|week| (1..=last).contains(week))
    };
    read(text).is_some()
}

/// Parses `hh:mm[:ss[.s[s[s]]]]`; returns the shortest form.
fn time(text: &str) -> Option<String> {
    let (hour, rest) = text.split_once(':')?;
    let (minute, second) = rest.split_once(':').map_or((rest, None), |(minute, second)| (minute, Some(second)));
    let two = |text: &str, below: u32| exactly(text, 2).filter(|number| *number < below);
    let (hour, minute) = (two(hour, 24)?, two(minute, 60)?);
    let Some(second) = second else { return Some(format!("{hour:02}:{minute:02}")) };
    let (second, fraction) = second.split_once('.').map_or((second, None), |(second, part)| (second, Some(part)));
    let second = two(second, 60)?;
    let fraction = match fraction {
        Some(digits) => exactly(digits, digits.len().clamp(1, 3)).map(|_| digits.trim_end_matches('0'))?,
        None => "",
    };
    Some(match (second, fraction) {
        (0, "") => format!("{hour:02}:{minute:02}"),
        (_, "") => format!("{hour:02}:{minute:02}:{second:02}"),
        _ => format!("{hour:02}:{minute:02}:{second:02}.{fraction}"),
    })
}

fn local_date_time(text: &str) -> Option<String> {
    let (day, clock) = text.split_once(['T', ' '])?;
    date(day)?;
    Some(format!("{day}T{}", time(clock)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sanitized(kind: &str, text: &str) -> String {
        TextType::of(kind, false).unwrap().sanitized(text, ValueRange::of([None; 4]))
    }

    #[test]
    fn each_type_keeps_what_it_can_hold() {
        for (kind, text, expected) in [
            ("hidden", " a\r\nb ", " a\r\nb "),
            ("text", " a\r\nb ", " ab "),
            ("nonsense", "a\n", "a"),
            ("url", " http://e.org/\n ", "http://e.org/"),
            ("email", " a@b ", "a@b"),
            ("date", "2024-02-29", "2024-02-29"),
            ("date", "2023-02-29", ""),
            ("date", "2023-2-09", ""),
            ("month", "2023-12", "2023-12"),
            ("month", "0000-12", ""),
            ("week", "2020-W53", "2020-W53"),
            ("week", "2021-W53", ""),
            ("week", "2015-W53", "2015-W53"),
            ("time", "23:59:59.5", "23:59:59.5"),
            ("time", "24:00", ""),
            ("datetime-local", "2024-01-01 10:00:00", "2024-01-01T10:00"),
            ("datetime-local", "2024-01-01T10:00:00.5", "2024-01-01T10:00:00.5"),
            ("number", "-1.5e3", "-1.5e3"),
            ("number", "+1", ""),
            ("number", "1.", ""),
            ("number", ".5", ".5"),
            ("number", "1e999", ""),
            ("color", "#FFaa00", "#ffaa00"),
            ("color", " #fA0 ", "#ffaa00"),
            ("color", "#fa08", "#ffaa00"),
            ("color", "#11223380", "#112233"),
            ("color", "Red", "#ff0000"),
            ("color", "rebeccapurple", "#663399"),
            ("color", "#12", "#000000"),
            ("color", "#ggg", "#000000"),
            ("color", "#é", "#000000"),
            ("color", "transparent", "#000000"),
            ("color", "", "#000000"),
        ] {
            assert_eq!(sanitized(kind, text), expected, "{kind} {text:?}");
        }
        assert_eq!(TextType::of("email", true).unwrap().sanitized(" a , b ", ValueRange::of([None; 4])), "a,b");
    }

    #[test]
    fn a_range_is_within_its_bounds_and_on_a_step() {
        let range = |min, max, step, text| range(text, ValueRange::of([min, max, step, None]));
        assert_eq!(range(None, None, None, ""), "50");
        assert_eq!(range(None, None, None, "1e3"), "100");
        assert_eq!(range(None, None, None, "-1"), "0");
        assert_eq!(range(None, None, None, "7.5"), "8");
        assert_eq!(range(None, None, Some("any"), "7.5"), "7.5");
        assert_eq!(range(Some("1"), Some("10"), Some("4"), "10"), "9");
        assert_eq!(range(Some("10"), Some("1"), None, "5"), "10", "bounds that exclude each other leave the lower one");
        assert_eq!(range(Some("0"), Some("1"), Some("0.25"), "0.3"), "0.25");
        assert_eq!(
            super::range("7.5", ValueRange::of([None, None, None, Some("7.5")])),
            "7.5",
            "steps begin at the value"
        );
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[0-9TW:. eE+#-]{0,30}|\\PC{0,20}", kind in "date|month|week|time|datetime-local|number|range|color|url") {
            sanitized(&kind, &text);
        }
    }
}
