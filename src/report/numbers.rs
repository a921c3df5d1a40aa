//! Numbers: formats counts, durations and bytes for people. Does not know what is counted.

use std::{fmt, time::Duration};

/// A duration with three or four digits.
pub struct Took(pub Duration);

impl fmt::Display for Took {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs_f64();
        match seconds {
            0.0..0.1 => write!(f, "{:.1} ms", seconds * 1e3),
            0.1..10.0 => write!(f, "{seconds:.3} s"),
            10.0..120.0 => write!(f, "{seconds:.1} s"),
            _ => write!(f, "{}", humantime::format_duration(Duration::from_secs(self.0.as_secs()))),
        }
    }
}

/// A count with separators: `1,234,567`.
#[derive(Clone, Copy, Debug)]
pub struct Grouped(pub u64);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        let mut text = String::with_capacity(digits.len() * 4 / 3);
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        f.pad_integral(true, "", &text)
    }
}

/// A count with its noun: `1 page`, `2 pages`.
#[derive(Clone, Copy, Debug)]
pub struct Counted(pub u64, pub &'static str);

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(count, thing) = *self;
        write!(f, "{} {thing}{}", Grouped(count), if count == 1 { "" } else { "s" })
    }
}

/// A number of bytes with its unit.
pub(super) struct Bytes(pub u64);

impl fmt::Display for Bytes {
    #[allow(clippy::cast_precision_loss, reason = "for people to read")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes < 1_000 => write!(f, "{bytes} B"),
            bytes if bytes < 1_000_000 => write!(f, "{:.1} kB", bytes as f64 / 1e3),
            bytes if bytes < 1_000_000_000 => write!(f, "{:.1} MB", bytes as f64 / 1e6),
            bytes => write!(f, "{:.2} GB", bytes as f64 / 1e9),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped_by_thousands() {
        let texts = [0, 999, 1_000, 1_234_567].map(|count| Grouped(count).to_string());
        assert_eq!(texts, ["0", "999", "1,000", "1,234,567"]);
    }
}
