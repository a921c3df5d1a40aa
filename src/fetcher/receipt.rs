//! Receipt: what one permit was spent on, in numbers. Does not know what was asked, nor what came of it.

use std::time::{Duration, Instant};

/// What one permit was spent on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// The status, if a response came.
    pub status: Option<u16>,
    /// Bytes of body that came over the wire.
    pub bytes: u64,
    /// When the request was written; `None` if it was not.
    pub started: Option<Instant>,
    /// From the grant of the permit to the writing of the request.
    pub waited: Duration,
    /// From the writing of the request to the last byte of the response.
    pub elapsed: Duration,
}
