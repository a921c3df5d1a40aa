//! RobotsTxt: decodes a robots file and reads what it says to this crawler. Knows not which pages wait for it, nor how
//! long it holds.

use super::{Content, Reading};
use crate::{
    fetcher::{VisitContext, offload::NoResult},
    outcome::{FetchError, Outcome},
    robots::{MAX_BYTES, RobotsFile},
    spider::Spider,
    transport::{body::BodyLimits, exchange::Extent, raw_response::RawResponse},
};

/// Of a robots file only the first [`MAX_BYTES`] count. Twice as much is read, since a coded body that is cut may decode
/// to less than what came.
pub const EXTENT: Extent = Extent { max_bytes: 2 * MAX_BYTES as u64, accepts_part: true, keeps_wire_bytes: false };

/// Reads a robots file. Any status but success is its outcome: what that means for the pages is the engine's to say.
pub async fn read<S: Spider>(mut response: RawResponse, context: &VisitContext<S>) -> Reading {
    if !matches!(response.status, 200..=299) {
        return Outcome::Status(response.status).into();
    }
    let (limits, token) = (context.body_limits, context.robots_token.clone());
    let _reservation = response.release_memory();
    let work = move || Ok(RobotsFile::read(&text_of(&response, limits)?, &token));
    match context.offload.run(work).await {
        Ok(Ok(file)) => Reading { content: Content::RobotsTxt(file), ..Outcome::Ok.into() },
        Ok(Err(error)) => Outcome::Fetch(error).into(),
        Err(NoResult::Panicked(message)) => Outcome::Panic(message).into(),
        Err(NoResult::TimedOut(limit)) => {
            let limit = humantime::format_duration(limit);
            Outcome::Parse(format!("the robots file was not read within {limit}")).into()
        }
    }
}

/// Returns as much of the file as counts. A part that ends before the bound is an error: half a robots file would allow
/// what the other half forbids.
fn text_of(response: &RawResponse, limits: BodyLimits) -> Result<bytes::Bytes, FetchError> {
    match response.decoded(BodyLimits { keep_partial: true, ..limits })? {
        (body, None) => Ok(body),
        (body, Some(_)) if body.len() > MAX_BYTES => Ok(body),
        (_, Some(error)) => Err(error),
    }
}

/// Tells how the question for a robots file ends where no answer came. A replayed crawl asks no server for anything, so
/// a file that was not recorded counts as one that is not there.
pub fn without_answer(error: FetchError) -> Outcome {
    match error {
        FetchError::NotRecorded(_) => Outcome::Status(404),
        error => Outcome::Fetch(error),
    }
}
