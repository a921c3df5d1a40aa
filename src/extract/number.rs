//! Number: the number in a text that people wrote. Knows no currency and no language.

/// Returns the one number in a text, as Rust and JSON write it; `None` if there is none, or more than one.
///
/// What stands around the number is left out. Within it:
///
/// - Of `.` and `,` the one that comes last is the decimal point: `1.234,50 €` and `$1,234.50` are `1234.50`.
/// - One that comes several times groups digits: `1.234.567` is `1234567`. So does a single one before exactly three
///   digits, as in prices: `1.234` and `1,234` are `1234`; but `0.125`, `1.23` and `1.2345` are what they look like.
/// - Spaces and apostrophes group digits: `1 234,50` and `1'234.50` are `1234.50`.
/// - A minus sign counts at the start of the text or after a space, directly before the number or its currency sign.
///
/// Two numbers are no number (`5-10`, `1 of 9`, `12.05.2024`), and neither is an exponent (`1e5`).
///
/// ```
/// use actix_crawler::extract::number_in;
///
/// assert_eq!(number_in("1.234,50 €").as_deref(), Some("1234.50"));
/// assert_eq!(number_in("only $1,299 today").as_deref(), Some("1299"));
/// assert_eq!(number_in("−3,5 °C").as_deref(), Some("-3.5"));
/// assert_eq!(number_in("2 for 1"), None);
/// ```
pub fn number_in(text: &str) -> Option<String> {
    let start = text.find(|c: char| c.is_ascii_digit())?;
    let (before, rest) = text.split_at_checked(start)?;
    let (groups, after) = groups_of(rest);
    if after.contains(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let (before, begins_with_point) = match before.strip_suffix('.') {
        Some(before) if !before.ends_with(|c: char| c.is_alphanumeric() || c == '.') => (before, true),
        _ => (before, false),
    };
    let sign = if is_negative(before) { "-" } else { "" };
    if begins_with_point {
        return (groups.others.is_empty()).then(|| format!("{sign}0.{}", groups.first));
    }
    Some(format!("{sign}{}", groups.number()?))
}

/// Digits, and the digits after each separator within them.
struct Groups<'a> {
    first: &'a str,
    others: Vec<(char, &'a str)>,
}

/// Splits a text that begins with a digit after its first number.
fn groups_of(text: &str) -> (Groups<'_>, &str) {
    let (first, mut rest) = digits(text);
    let mut others = Vec::new();
    loop {
        let mut chars = rest.chars();
        let Some(separator) = chars.next().and_then(separator) else { break };
        let (group, after) = digits(chars.as_str());
        // A space also separates a number from the next word or number.
        let is_group = !group.is_empty() && (separator != ' ' || group.len() == 3 && first.len() <= 3);
        if !is_group {
            break;
        }
        others.push((separator, group));
        rest = after;
    }
    (Groups { first, others }, rest)
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

/// Returns the separator that a character is, in its plain form.
fn separator(c: char) -> Option<char> {
    match c {
        '.' | ',' => Some(c),
        '\'' | '’' => Some('\''),
        ' ' | '\u{a0}' | '\u{2009}' | '\u{202f}' => Some(' '),
        _ => None,
    }
}

impl Groups<'_> {
    fn number(&self) -> Option<String> {
        let (grouped, fraction) = match self.others.split_last() {
            Some(((separator, fraction), grouped)) if self.is_decimal(*separator, fraction, grouped) => {
                (grouped, Some(*fraction))
            }
            _ => (&self.others[..], None),
        };
        if !self.are_grouped(grouped) {
            return None;
        }
        let whole = std::iter::once(self.first).chain(grouped.iter().map(|(_, digits)| *digits));
        let fraction = fraction.map(|digits| format!(".{digits}")).unwrap_or_default();
        Some(whole.collect::<String>() + &fraction)
    }

    /// Tells whether the last separator is the decimal point.
    fn is_decimal(&self, separator: char, fraction: &str, grouped: &[(char, &str)]) -> bool {
        let is_point = matches!(separator, '.' | ',') && grouped.iter().all(|(other, _)| *other != separator);
        let may_group = fraction.len() == 3 && self.first.len() <= 3 && !self.first.starts_with('0');
        is_point && (!grouped.is_empty() || !may_group)
    }

    /// Tells whether these groups are thousands, or the lakhs of India (`12,34,567`).
    fn are_grouped(&self, groups: &[(char, &str)]) -> bool {
        let Some(((separator, last), middle)) = groups.split_last() else { return true };
        let is_middle = |(other, digits): &(char, &str)| other == separator && matches!(digits.len(), 2 | 3);
        last.len() == 3 && self.first.len() <= 3 && middle.iter().all(is_middle)
    }
}

/// Tells whether the text before a number ends with a minus sign, or one before a currency sign.
fn is_negative(before: &str) -> bool {
    let before = before.strip_suffix(['$', '€', '£', '¥', '₹', '₽', '₩', '₺', '₪', '฿', '₫', '₴']).unwrap_or(before);
    let unsigned = before.strip_suffix(['-', '−']);
    unsigned.is_some_and(|before| before.is_empty() || before.ends_with(char::is_whitespace))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_as_it_is_written_in_any_country() {
        for (text, number) in [
            ("7", "7"),
            ("1.234,50 €", "1234.50"),
            ("$1,234.50", "1234.50"),
            ("1 234,50 zł", "1234.50"),
            ("1\u{202f}234,50\u{a0}€", "1234.50"),
            ("CHF 1'234.50", "1234.50"),
            ("CHF 1’234’567.–", "1234567"),
            ("₹12,34,567.00", "1234567.00"),
            ("1.234", "1234"),
            ("1,234 reviews", "1234"),
            ("1.234.567", "1234567"),
            ("1 234.500 kg", "1234.500"),
            ("0.125", "0.125"),
            ("0,125 l", "0.125"),
            ("1234.567", "1234.567"),
            ("3.14159", "3.14159"),
            ("4,5", "4.5"),
            ("5,- €", "5"),
            ("5.–", "5"),
            ("Rs.1,234", "1234"),
            ("EUR12", "12"),
            ("(17)", "17"),
            ("99 %.", "99"),
            (" .5 l", "0.5"),
            ("$.75", "0.75"),
            ("-.5", "-0.5"),
            ("Tea ... 75", "75"),
            ("Tea...75", "75"),
            ("No.75", "75"),
            ("-3", "-3"),
            ("−3,5 °C", "-3.5"),
            ("now -$5", "-5"),
            ("item-5", "5"),
            ("007", "007"),
        ] {
            assert_eq!(number_in(text).as_deref(), Some(number), "{text:?}");
        }
    }

    #[test]
    fn what_is_not_one_number_is_none() {
        for text in [
            "",
            "none",
            "5-10",
            "1 of 9",
            "2 for 1",
            "12.05.2024",
            "2024-05-12",
            "127.0.0.1",
            "1.2.3",
            "1e5",
            "5'10",
            "1,234.567.890",
            "1.23,456,7",
            "1..2",
            "1, 2",
            "1234,567,890",
            "1.234'567",
            "12 34",
            "٣",
        ] {
            assert_eq!(number_in(text), None, "{text:?}");
        }
    }
}
