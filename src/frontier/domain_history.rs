//! DomainHistory: what is stored of a domain's past, so that a later process is as polite to it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What is remembered of a domain across a restart. Times are milliseconds since 1970.
///
/// ```
/// use actix_crawler::frontier::durable::DomainHistory;
///
/// let history = DomainHistory { requests: 7, pages: 6, ..DomainHistory::default() };
/// let stored = serde_json::to_string(&history)?;
/// assert_eq!(serde_json::from_str::<DomainHistory>(&stored)?, history);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DomainHistory {
    /// The spacing that its robots file asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spacing: Option<Duration>,
    /// Until when that file is valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spacing_until: Option<u64>,
    /// Its refusals that still count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cooling: Option<CoolingHistory>,
    /// Until when it is not asked at all: for its refusals, or because nothing of its quota is left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rests_until: Option<u64>,
    /// The wider spacing that makes the rest of its quota last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slowed: Option<SlowedHistory>,
    /// Requests of every kind.
    pub requests: u64,
    /// The least time between two starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smallest_gap: Option<Duration>,
    /// The most requests in flight at once.
    pub most_in_flight: u32,
    /// Pages fetched successfully.
    pub pages: u64,
    /// Refusals.
    pub refusals: u64,
}

/// The refusals of a domain.
///
/// ```
/// use actix_crawler::frontier::durable::{CoolingHistory, DomainHistory};
///
/// let refused = CoolingHistory { until: 1_700_000_060_000, status: Some(429), consecutive: 2, limit: 8 };
/// let history = DomainHistory { cooling: Some(refused), ..DomainHistory::default() };
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoolingHistory {
    /// The end of the cooling.
    pub until: u64,
    /// The status of the refusal; `None` if the domain was unreachable.
    pub status: Option<u16>,
    /// How many in a row.
    pub consecutive: u32,
    /// How many in a row make the domain be given up; 0, in a state of an older version, for as many as the last cause
    /// allows.
    #[serde(default)]
    pub limit: u32,
}

/// A spacing for a while.
///
/// ```
/// use std::time::Duration;
///
/// use actix_crawler::frontier::durable::SlowedHistory;
///
/// // Asked in an answer for two seconds between requests, until a minute after the epoch.
/// let slowed = SlowedHistory { spacing: Duration::from_secs(2), until: 60_000 };
/// assert!(slowed.spacing < Duration::from_millis(slowed.until));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlowedHistory {
    /// The least time between two starts.
    pub spacing: Duration,
    /// Until when.
    pub until: u64,
}
