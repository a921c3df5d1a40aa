//! Response: a whole answer, as the caller of an API wants it.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use http::HeaderMap;
use serde::de::DeserializeOwned;
use url::Url;

use super::job::Delivered;
use crate::{
    error::{Error, Result},
    request::Request,
    response::Response as Page,
    transport::body::BodyLimits,
};

/// A whole answer, of whatever status.
#[derive(Clone, Debug)]
pub struct Response {
    request: Arc<Request>,
    status: u16,
    headers: HeaderMap,
    body: Bytes,
    attempts: u32,
    started: Instant,
    ended_at: SystemTime,
    elapsed: Duration,
}

impl Response {
    /// Takes the codings off the body. Done where the caller is, so that the network's threads only send and receive.
    pub(super) fn open(delivered: Delivered, limits: BodyLimits) -> Result<Self> {
        let Delivered { request, answer, attempts, started } = delivered;
        let body = match answer.decoded(BodyLimits { keep_partial: false, ..limits }) {
            Ok((body, _)) => body,
            Err(source) => {
                return Err(Error::Fetch {
                    url: request.url.into(),
                    source,
                    attempts,
                    started_at: answer.fetched_at.checked_sub(answer.elapsed).unwrap_or(answer.fetched_at),
                    elapsed: answer.elapsed,
                });
            }
        };
        Ok(Self {
            request: Arc::new(request),
            status: answer.status,
            headers: answer.headers,
            body,
            attempts,
            started,
            ended_at: answer.fetched_at,
            elapsed: answer.elapsed,
        })
    }

    /// Returns the URL that answered, after redirects.
    pub fn url(&self) -> &Url {
        &self.request.url
    }

    /// Returns the status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Tells whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Turns a status that is not 2xx into an error.
    ///
    /// # Errors
    /// [`Error::Status`].
    pub fn error_for_status(self) -> Result<Self> {
        if self.is_success() {
            return Ok(self);
        }
        Err(Error::Status { url: self.request.url.clone(), status: self.status })
    }

    /// Returns the headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Returns a header's value, if it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns the body, without its content codings.
    pub fn bytes(&self) -> &Bytes {
        &self.body
    }

    /// Returns the body as text, decoded by byte order mark, header or detection, in this order.
    pub fn text(&self) -> String {
        self.clone().into_page().content().to_owned()
    }

    /// Reads the body as JSON.
    ///
    /// # Errors
    /// It is not the JSON that `T` expects.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(Error::Json)
    }

    /// Returns how often the request was sent.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Returns when the last attempt was written.
    pub fn started_at(&self) -> SystemTime {
        self.ended_at.checked_sub(self.elapsed).unwrap_or(self.ended_at)
    }

    /// Returns the same by the clock that never jumps, to be compared with others.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Returns the time from the writing of the request to the last byte of the answer.
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// Turns it into a page as a spider sees it, to select from or to take links of.
    pub fn into_page(self) -> Page {
        Page::new(self.request, self.status, self.headers, self.body, self.ended_at, self.elapsed)
    }
}
