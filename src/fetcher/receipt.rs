//! Receipt: what one request cost, in numbers. Does not know the content of the response.

use std::time::{Duration, Instant};

/// The status, bytes and times of one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// The status, if there was a response.
    pub status: Option<u16>,
    /// Length of the body on the wire, in bytes.
    pub bytes: u64,
    /// When the request was written; `None` if it was not.
    pub started: Option<Instant>,
    /// From the grant of the permit to the writing of the request.
    pub waited: Duration,
    /// From the writing to the last byte.
    pub elapsed: Duration,
}
