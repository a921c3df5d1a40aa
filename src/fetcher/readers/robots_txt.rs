//! RobotsTxt: decodes a robots file and parses the rules for this crawler. Does not know the waiting pages, or how long
//! the file is valid.

use super::{Extracted, Reading};
use crate::{
    fetcher::VisitContext,
    outcome::{FetchError, Outcome},
    robots::{MAX_BYTES, RobotsFile},
    spider::Spider,
    transport::{body::BodyLimits, exchange::Extent, raw_response::RawResponse},
};

/// Only the first [`MAX_BYTES`] of a robots file count. Twice as much is read, since a cut coded body may decode to
/// less than its length.
pub const EXTENT: Extent = Extent { max_bytes: 2 * MAX_BYTES as u64, accepts_part: true, keeps_wire_bytes: false };

/// Reads a robots file. Any status but success becomes the outcome; the engine decides what it means for the pages.
pub async fn read<S: Spider>(mut response: RawResponse, context: &VisitContext<S>) -> Reading {
    if !matches!(response.status, 200..=299) {
        return Outcome::Status(response.status).into();
    }
    let (limits, token) = (context.rules.body_limits, context.robots_token.clone());
    let _reservation = response.release_memory();
    let work = move || Ok(RobotsFile::read(&text_of(&response, limits)?, &token));
    match context.offload.run(work).await {
        Ok(Ok(file)) => Reading { content: Extracted::RobotsTxt(file), ..Outcome::Ok.into() },
        Ok(Err(error)) => Outcome::Fetch(error).into(),
        Err(lost) => lost.outcome("the robots file was not read").into(),
    }
}

/// Returns the part of the file that counts. A file truncated before the bound is an error, since half a robots file
/// would allow what the other half forbids.
fn text_of(response: &RawResponse, limits: BodyLimits) -> Result<bytes::Bytes, FetchError> {
    match response.decoded(BodyLimits { keep_partial: true, ..limits })? {
        (body, None) => Ok(body),
        (body, Some(_)) if body.len() > MAX_BYTES => Ok(body),
        (_, Some(error)) => Err(error),
    }
}

/// Returns the outcome of a robots request without a response. A replayed crawl has no network, so a file that was not
/// recorded counts as missing.
pub fn without_answer(error: FetchError) -> Outcome {
    match error {
        FetchError::NotRecorded(_) => Outcome::Status(404),
        error => Outcome::Fetch(error),
    }
}
