//! RobotsFile: asks for a robots file, or for a hop on the way to it. Does not know what the file allows.

use bytes::Bytes;
use url::Url;

use super::{
    RobotsAnswer, RobotsResult,
    fetch::{Fetch, FetchContext, FetchResult, NoPermits, NoResponse},
    receipt::Receipt,
    redirect,
};
use crate::{
    outcome::FetchError,
    permit::Permit,
    request::Request,
    robots::MAX_BYTES,
    transport::{body::BodyLimits, raw_response::RawResponse},
};

/// Asks for a robots file. A redirect is a hop of its own, under a permit of its own.
pub async fn robots_file(fetch: &dyn Fetch, permit: Permit, url: Url, limits: BodyLimits) -> RobotsAnswer {
    let request = Request::get(url.clone());
    let FetchResult { response, receipt, .. } =
        fetch.fetch(permit, &request, FetchContext::robots_file(&NoPermits)).await;
    let retry_after = response.as_ref().ok().and_then(RawResponse::retry_after);
    let result = match response {
        Err(NoResponse::Unsent) => RobotsResult::Unsent,
        // A replay asks no server for anything, so it needs nobody's leave.
        Err(NoResponse::Failed(FetchError::NotRecorded(_))) => RobotsResult::Body(404, Bytes::new()),
        Err(NoResponse::Failed(error)) => RobotsResult::Failed(error),
        Ok(response) => match redirect::target(response.status, &response.headers, &url) {
            Some(to) => RobotsResult::Redirect(to),
            None => match response.decoded(BodyLimits { keep_partial: true, ..limits }) {
                Ok((body, None)) => RobotsResult::Body(response.status, body),
                Ok((body, Some(_))) if body.len() > MAX_BYTES => RobotsResult::Body(response.status, body),
                // Half a robots file would allow what its other half forbids.
                Ok((_, Some(error))) | Err(error) => RobotsResult::Failed(error),
            },
        },
    };
    let Receipt { status, bytes, started, waited, elapsed } = receipt;
    RobotsAnswer { url, result, status, bytes, started, waited, elapsed, retry_after }
}
