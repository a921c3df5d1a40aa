//! SinkError: why a sink does not take a record. Knows no record.

use std::fmt;

use thiserror::Error as ThisError;

/// Why a sink did not take records.
///
/// ```
/// use actix_crawler::feed::SinkError;
///
/// assert_eq!(SinkError::refused("a price has no currency").to_string(), "a price has no currency");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
#[non_exhaustive]
pub enum SinkError {
    /// This record cannot be taken. Its page counts as failed, and the crawl goes on.
    #[error("{0}")]
    Refused(String),
    /// The sink takes nothing any more. The crawl stops, and with a state its pages stay queued.
    #[error("{0}")]
    Broken(String),
    /// Whoever read it has closed it, as in `… | head`.
    #[error("whoever read the output has closed it")]
    ReaderGone,
}

impl SinkError {
    /// Creates the refusal of one record, with a reason.
    pub fn refused(why: impl fmt::Display) -> Self {
        Self::Refused(why.to_string())
    }

    /// Creates the error that nothing can be written any more, with a reason.
    pub fn broken(why: impl fmt::Display) -> Self {
        Self::Broken(why.to_string())
    }
}
