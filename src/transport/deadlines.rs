//! Deadlines: how long each step of a request may take.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::duration_text;

/// How long each step of a request may take. Each ends in an outcome of its own.
///
/// ```
/// use std::time::Duration;
///
/// use actix_crawler::transport::Deadlines;
///
/// let impatient = Deadlines { head: Duration::from_secs(5), ..Deadlines::default() };
/// assert_eq!(impatient.within(Duration::from_secs(3)).head, Duration::from_secs(3));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Deadlines {
    /// Looking up an address.
    #[serde(with = "duration_text")]
    pub dns: Duration,
    /// Opening a connection.
    #[serde(with = "duration_text")]
    pub connect: Duration,
    /// Agreeing on TLS.
    #[serde(with = "duration_text")]
    pub tls: Duration,
    /// From the writing of the request to the whole head of the response, however it comes.
    #[serde(with = "duration_text")]
    pub head: Duration,
    /// Between two pieces of the body.
    #[serde(with = "duration_text")]
    pub idle: Duration,
    /// The fewest bytes a second of a body, on the average of each `rate_window`; 0 for none.
    pub min_rate: u32,
    /// Over how long the minimum rate is measured.
    #[serde(with = "duration_text")]
    pub rate_window: Duration,
    /// The whole request, from its first step to the last byte.
    #[serde(with = "duration_text")]
    pub whole: Duration,
}

/// The longest deadline. Longer ones could overflow when they are added to an instant.
const A_YEAR: Duration = Duration::from_secs(31_536_000);

impl Default for Deadlines {
    fn default() -> Self {
        // Name servers are asked twice at 5 s each; a handshake needs few round trips; pages that take more than half a
        // minute to begin are broken. Kestrel asks 240 bytes/s of its clients, and a phone on GPRS has 2,000: a server
        // below 100 means to hold us. It has the time of a head to show it, longer than a loaded one stutters. The whole is Scrapy's DOWNLOAD_TIMEOUT less one minute.
        Self {
            dns: Duration::from_secs(10),
            connect: Duration::from_secs(10),
            tls: Duration::from_secs(10),
            head: Duration::from_secs(30),
            idle: Duration::from_secs(15),
            min_rate: 100,
            rate_window: Duration::from_secs(30),
            whole: Duration::from_secs(120),
        }
    }
}

impl Deadlines {
    /// Takes no longer than `limit` for the whole, nor for any step of it.
    #[must_use]
    pub fn within(self, limit: Duration) -> Self {
        Self {
            dns: self.dns.min(limit),
            connect: self.connect.min(limit),
            tls: self.tls.min(limit),
            head: self.head.min(limit),
            idle: self.idle.min(limit),
            rate_window: self.rate_window.min(limit),
            whole: limit,
            ..self
        }
    }

    /// Takes no longer than a year for anything: what is added to instants must not take them past their end.
    pub(super) fn within_a_year(self) -> Self {
        Self { whole: self.whole.min(A_YEAR), ..self.within(A_YEAR) }
    }

    /// Returns how many bytes must come in each window.
    pub(super) fn bytes_in_window(&self) -> u64 {
        u64::try_from(u128::from(self.min_rate) * self.rate_window.as_millis() / 1_000).unwrap_or(u64::MAX)
    }
}
