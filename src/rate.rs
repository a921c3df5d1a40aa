//! Rate: a number of starts in a window of time. Does not know what starts.

use std::{
    fmt,
    num::{IntErrorKind, NonZeroU32, ParseIntError},
    str::FromStr,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// The most starts in any window of a length.
///
/// Written as `50/s`, `30/m`, `100/h`, `1/10s`, `5/250ms` or `unlimited`. Starts are spread evenly over the window
/// unless [`Rate::burst`] lets some of them come at once.
///
/// ```
/// use std::time::Duration;
///
/// use actix_crawler::Rate;
///
/// let rate: Rate = "5/250ms".parse()?;
/// assert_eq!(rate, Rate::new(5, Duration::from_millis(250))?);
/// assert_eq!(rate.starts_per_second(), Some(20.0));
/// assert_eq!(Rate::per_minute(30).burst(10).to_string(), "30/m");
/// # Ok::<(), actix_crawler::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    window: Option<Window>,
    burst: u32,
}

/// The law of a limited rate: at most `count` starts in any `per`.
///
/// ```
/// use std::time::Duration;
///
/// use actix_crawler::Rate;
///
/// let window = Rate::per_second(50).window().unwrap();
/// assert_eq!((window.count.get(), window.interval()), (50, Duration::from_millis(20)));
/// assert!(Rate::UNLIMITED.window().is_none());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The most starts in one window.
    pub count: NonZeroU32,
    /// The length of the window; never zero.
    pub per: Duration,
}

impl Window {
    /// Returns the even distance between two starts.
    pub fn interval(&self) -> Duration {
        self.per / self.count.get()
    }
}

/// The longest window of a rate, a day: anything longer is a schedule.
pub const MAX_WINDOW: Duration = Duration::from_secs(86_400);

/// The most starts in a window: the instants of one window are stored, 16 bytes each, for every domain.
pub const MAX_IN_A_WINDOW: u32 = 1_000_000;

impl Rate {
    /// No limit.
    pub const UNLIMITED: Self = Self { window: None, burst: 1 };

    /// At most `count` starts in any second; 0 is read as 1, the slowest such rate, and larger counts than
    /// [`MAX_IN_A_WINDOW`] as that. [`Rate::new`] rejects both.
    pub const fn per_second(count: u32) -> Self {
        Self::limited(count, Duration::from_secs(1))
    }

    /// At most `count` starts in any minute, read as in [`Rate::per_second`].
    pub const fn per_minute(count: u32) -> Self {
        Self::limited(count, Duration::from_secs(60))
    }

    /// At most `count` starts in any hour, read as in [`Rate::per_second`].
    pub const fn per_hour(count: u32) -> Self {
        Self::limited(count, Duration::from_secs(3_600))
    }

    /// One start every `interval`; zero means no limit, and [`Politeness::check`](crate::Politeness::check)
    /// rejects more than a day.
    pub const fn every(interval: Duration) -> Self {
        if interval.is_zero() { Self::UNLIMITED } else { Self::limited(1, interval) }
    }

    /// At most `count` starts in any window of `per`.
    ///
    /// # Errors
    /// `count` is 0 or over [`MAX_IN_A_WINDOW`], `per` is zero or over a day.
    pub fn new(count: u32, per: Duration) -> Result<Self, Error> {
        let refuse = |why: &str| Err(Error::setting("rate", why));
        if count == 0 {
            return refuse("0 starts would never begin; write `unlimited` for no limit");
        }
        if count > MAX_IN_A_WINDOW {
            return Err(too_many());
        }
        if per.is_zero() || per > MAX_WINDOW {
            return refuse("the window must be over zero and at most a day");
        }
        Ok(Self::limited(count, per))
    }

    const fn limited(count: u32, per: Duration) -> Self {
        // Clamped in every constructor, since larger counts would take unbounded memory.
        let count = if count > MAX_IN_A_WINDOW { MAX_IN_A_WINDOW } else { count };
        let count = match NonZeroU32::new(count) {
            Some(count) => count,
            None => NonZeroU32::MIN,
        };
        Self { window: Some(Window { count, per }), burst: 1 }
    }

    /// Lets up to `burst` starts come at once after a pause, still within the rate in any window: the window slides
    /// exactly, unlike a token bucket, which lets almost twice the rate through.
    #[must_use]
    pub const fn burst(mut self, burst: u32) -> Self {
        self.burst = if burst == 0 { 1 } else { burst };
        self
    }

    /// Returns the same with a window of at most a day, where an error cannot be returned.
    #[must_use]
    pub fn within_a_day(mut self) -> Self {
        if let Some(window) = &mut self.window {
            window.per = window.per.min(MAX_WINDOW);
        }
        self
    }

    /// Returns the window, or `None` without a limit.
    pub fn window(&self) -> Option<Window> {
        self.window
    }

    /// Returns how many starts may come at once.
    pub fn burst_size(&self) -> u32 {
        self.burst
    }

    /// Returns the long-run starts per second; `None` without a limit.
    pub fn starts_per_second(&self) -> Option<f64> {
        self.window.map(|window| f64::from(window.count.get()) / window.per.as_secs_f64())
    }
}

fn too_many() -> Error {
    Error::setting("rate", "over 1,000,000 starts in a window; write a shorter window, such as 2000/ms for 2000000/s")
}

impl FromStr for Rate {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refuse = || {
            let why = format!("`{text}` is no rate; write it like 50/s, 30/m, 1/10s or unlimited");
            Error::setting("rate", why)
        };
        if text.eq_ignore_ascii_case("unlimited") {
            return Ok(Self::UNLIMITED);
        }
        let (count, per) = text.split_once('/').ok_or_else(refuse)?;
        let count = count.trim().parse().map_err(|error: ParseIntError| match error.kind() {
            IntErrorKind::PosOverflow => too_many(),
            _ => refuse(),
        })?;
        let per = per.trim();
        let per = if per.starts_with(|c: char| c.is_ascii_digit()) {
            humantime::parse_duration(per)
        } else {
            humantime::parse_duration(&format!("1{per}"))
        };
        Self::new(count, per.map_err(|_| refuse())?)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Window { count, per }) = self.window else { return f.write_str("unlimited") };
        match per.as_secs() {
            1 if per.subsec_nanos() == 0 => write!(f, "{count}/s"),
            60 if per.subsec_nanos() == 0 => write!(f, "{count}/m"),
            3_600 if per.subsec_nanos() == 0 => write!(f, "{count}/h"),
            _ => write!(f, "{count}/{}", humantime::format_duration(per)),
        }
    }
}

impl Serialize for Rate {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(|error: Error| serde::de::Error::custom(error.into_why()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_written_as_people_write_them() {
        for (text, rate) in [
            ("50/s", Rate::per_second(50)),
            ("30/m", Rate::per_minute(30)),
            ("100 / h", Rate::per_hour(100)),
            ("1/10s", Rate::every(Duration::from_secs(10))),
            ("unlimited", Rate::UNLIMITED),
        ] {
            assert_eq!(text.parse::<Rate>().unwrap(), rate);
            assert_eq!(rate.to_string().parse::<Rate>().unwrap(), rate, "{rate} reads back");
        }
    }

    /// Regression: `per_second` was not clamped; a window's instants are stored, and those of u32::MAX would take 64
    /// GiB.
    #[test]
    fn no_way_to_make_a_rate_leads_past_the_most_in_a_window() {
        let most = Rate::new(MAX_IN_A_WINDOW, Duration::from_secs(1)).unwrap();
        for count in [MAX_IN_A_WINDOW, MAX_IN_A_WINDOW + 1, u32::MAX] {
            assert_eq!(Rate::per_second(count), most);
            for rate in [Rate::per_minute(count), Rate::per_hour(count)] {
                assert_eq!(rate.window().unwrap().count.get(), MAX_IN_A_WINDOW);
            }
        }
        for text in ["1000001/s", "4294967296/s", "99999999999999999999/h"] {
            let error = text.parse::<Rate>().unwrap_err().to_string();
            assert!(error.contains("shorter window"), "{text}: {error}");
        }
        assert_eq!("2000/ms".parse::<Rate>().unwrap().starts_per_second(), Some(2_000_000.0), "as the error says");
    }

    #[test]
    fn a_wrong_rate_shows_how_to_write_one() {
        for text in ["", "2", "0/s", "2/", "x/s", "-1/s", "2/0s", "2/fortnight", "2/400d", "9999999/s"] {
            let error = text.parse::<Rate>().unwrap_err().to_string();
            assert!(error.starts_with("rate: "), "{text}: {error}");
        }
    }
}
