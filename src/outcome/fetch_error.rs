//! FetchError: why there is no complete response. Knows no retries but whether one may help.

use std::{fmt, time::Duration};

use thiserror::Error;

use crate::outcome::local_fault::LocalFault;

/// Why there is no complete response.
///
/// ```
/// use std::time::Duration;
///
/// use actix_crawler::outcome::{FetchError, Phase};
///
/// let error = FetchError::Timeout { phase: Phase::Head, limit: Duration::from_secs(30) };
/// assert_eq!(error.to_string(), "no response head within 30s");
/// assert_eq!(error.key(), "timeout");
/// assert!(error.is_transient() && !error.is_unreachable());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The name has no address, or the look-up failed.
    #[error("{0}")]
    Dns(String),
    /// No connection was established.
    #[error("{0}")]
    Connect(String),
    /// The proxy failed, rather than the site.
    #[error("{0}")]
    Proxy(String),
    /// The TLS handshake failed for what one side found wrong with the other, such as its certificate. A connection
    /// that broke meanwhile is [`FetchError::Truncated`].
    #[error("{0}")]
    Tls(String),
    /// A time-out.
    #[error("no {phase} within {}", humantime::format_duration(*limit))]
    Timeout {
        /// What was waited for.
        phase: Phase,
        /// The time-out that was exceeded.
        limit: Duration,
    },
    /// The server violated HTTP.
    #[error("{0}")]
    Protocol(String),
    /// The connection ended before the response did, or within the TLS handshake.
    #[error("{0}")]
    Truncated(String),
    /// The body exceeds the limit.
    #[error("{0}")]
    TooLarge(String),
    /// The body's content coding is invalid.
    #[error("{0}")]
    Decode(String),
    /// The address must not be connected to.
    #[error("{0}")]
    PrivateAddress(String),
    /// The request cannot be written as HTTP.
    #[error("{0}")]
    Request(String),
    /// This machine is at fault, not the server, which was not asked or cannot be heard: what is wrong, and the detail.
    #[error("{0}: {1}")]
    Local(LocalFault, String),
    /// The crawl is replayed, and this request was not recorded.
    #[error("{0}")]
    NotRecorded(String),
    /// There is no session to send it in: there are too many, or its log-in failed. See [`sessions`](crate::sessions).
    #[error("{0}")]
    Session(String),
}

/// What a time-out waited for.
///
/// ```
/// use actix_crawler::outcome::Phase;
///
/// assert_eq!(Phase::Tls.to_string(), "TLS handshake");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// An address.
    Dns,
    /// A connection.
    Connect,
    /// The TLS handshake.
    Tls,
    /// The head of the response.
    Head,
    /// The next bytes of the body.
    Idle,
    /// Enough bytes within a window.
    MinimumRate,
    /// The whole response.
    Whole,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dns => "address",
            Self::Connect => "connection",
            Self::Tls => "TLS handshake",
            Self::Head => "response head",
            Self::Idle => "further bytes",
            Self::MinimumRate => "sufficient bytes",
            Self::Whole => "whole response",
        })
    }
}

impl FetchError {
    /// Returns the word used in logs and counts.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Dns(_) => "dns",
            Self::Connect(_) => "connect",
            Self::Proxy(_) => "proxy",
            Self::Tls(_) => "tls",
            Self::Timeout { .. } => "timeout",
            Self::Protocol(_) => "protocol",
            Self::Truncated(_) => "truncated",
            Self::TooLarge(_) => "too_large",
            Self::Decode(_) => "decode",
            Self::PrivateAddress(_) => "private_address",
            Self::Request(_) => "request",
            Self::Local(..) => "local",
            Self::NotRecorded(_) => "not_recorded",
            Self::Session(_) => "session",
        }
    }

    /// Tells whether a retry may succeed.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Dns(_)
                | Self::Connect(_)
                | Self::Proxy(_)
                | Self::Timeout { .. }
                | Self::Truncated(_)
                | Self::Local(..)
        )
    }

    /// Tells whether the server was unreachable.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Dns(_) | Self::Connect(_) | Self::Timeout { phase: Phase::Dns | Phase::Connect, .. })
    }
}
