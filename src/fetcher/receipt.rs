//! Receipt: what one request cost and how it was answered, in numbers. Knows nothing of what the answer says.

use std::time::{Duration, Instant};

/// The numbers of one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// The status, if an answer came.
    pub status: Option<u16>,
    /// Bytes of body that came over the wire.
    pub bytes: u64,
    /// When the request was written; `None` if it was not.
    pub started: Option<Instant>,
    /// From the grant of the permit to the writing of the request.
    pub waited: Duration,
    /// From the writing to the last byte.
    pub elapsed: Duration,
}
