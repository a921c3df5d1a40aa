//! Deadlines: how long each step of a request may take.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::text::durations;

/// How long each step of a request may take. Each deadline has an outcome of its own.
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
    /// Resolving the name.
    #[serde(with = "durations")]
    pub dns: Duration,
    /// Opening a connection.
    #[serde(with = "durations")]
    pub connect: Duration,
    /// Negotiating TLS.
    #[serde(with = "durations")]
    pub tls: Duration,
    /// From the request's first written byte to the complete head of the response, however slowly it is received.
    #[serde(with = "durations")]
    pub head: Duration,
    /// Between two pieces of the body.
    #[serde(with = "durations")]
    pub idle: Duration,
    /// The lowest rate of a body in bytes a second, averaged over each `rate_window`; 0 for none.
    pub min_rate: u32,
    /// The period over which the minimum rate is measured.
    #[serde(with = "durations")]
    pub rate_window: Duration,
    /// The whole request, from its first step to the last byte, over however many connections. The wait for the moment
    /// that it may be written does not count.
    #[serde(with = "durations")]
    pub whole: Duration,
}

/// The longest deadline. A longer one could overflow when added to an instant.
const A_YEAR: Duration = Duration::from_secs(31_536_000);

impl Default for Deadlines {
    fn default() -> Self {
        // Name servers are asked twice at 5 s each; a handshake takes few round trips; a page that needs more than 30 s
        // for its head is broken. Kestrel requires 240 bytes/s of its clients, and a phone on GPRS has 2,000: a server
        // below 100 wastes the connection on purpose. The window equals the head's deadline, longer than a loaded
        // server stalls. `whole` is Scrapy's DOWNLOAD_TIMEOUT less one minute.
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
    /// Limits the whole request, and every step of it, to `limit`.
    #[doc(alias = "download_timeout")]
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

    /// Limits every deadline to a year, so that adding one to an instant cannot overflow.
    pub(super) fn within_a_year(self) -> Self {
        Self { whole: self.whole.min(A_YEAR), ..self.within(A_YEAR) }
    }

    /// Returns how many bytes must be received in each window.
    pub(super) fn bytes_in_window(&self) -> u64 {
        u64::try_from(u128::from(self.min_rate) * self.rate_window.as_millis() / 1_000).unwrap_or(u64::MAX)
    }
}
