//! Response: a complete response for the caller of a client. Does not know how it was fetched.

use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use http::{
    HeaderMap,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING},
};
use serde::de::DeserializeOwned;
use url::Url;

use crate::{
    clock,
    error::{Error, Result},
    fetcher::receipt::Receipt,
    identity::strip_user_info,
    request::Request,
    response::Response as Page,
    text::json::from_json,
    transport::{body::BodyLimits, raw_response::RawResponse, stored_response::StoredResponse},
};

/// A complete response, of any status.
///
/// ```
#[doc = include_str!("example_api.md")]
/// # block_on(async {
/// let response = client.get(format!("{api}/items/7")).send().await?.error_for_status()?;
/// assert_eq!((response.status(), response.attempts()), (200, 1));
/// assert_eq!(response.header("content-type"), Some("application/json"));
/// assert_eq!(response.json::<serde_json::Value>()?["path"], "/items/7");
///
/// let missing = client.get(format!("{api}/missing")).send().await?;
/// assert!(matches!(missing.error_for_status(), Err(Error::Status { status: 404, .. })));
/// # Ok(()) });
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Response {
    request: Arc<Request>,
    status: u16,
    headers: HeaderMap,
    body: Bytes,
    attempts: u32,
    ended_at: SystemTime,
    receipt: Receipt,
    started: Instant,
    redirects_to: Option<Url>,
}

/// A response before decoding, its body still in its content codings.
pub struct Undecoded {
    /// The request, after redirects.
    pub request: Request,
    /// The response.
    pub response: RawResponse,
    /// What the last attempt cost.
    pub receipt: Receipt,
    /// How often the request was sent.
    pub attempts: u32,
    /// Where it redirects to, if it does.
    pub redirects_to: Option<Url>,
}

impl Undecoded {
    /// Decodes the body. Runs on the caller's thread, so that the network threads only send and receive.
    pub fn decode(self, limits: BodyLimits) -> Result<Response> {
        let Self { request, response, receipt, attempts, redirects_to } = self;
        let (body, _) = response.decoded(BodyLimits { keep_partial: false, ..limits }).map_err(|source| {
            let started_at = response.fetched_at.checked_sub(receipt.elapsed).unwrap_or(response.fetched_at);
            Error::Fetch { url: request.url.clone().into(), source, attempts, started_at, elapsed: receipt.elapsed }
        })?;
        let RawResponse { status, headers, fetched_at: ended_at, .. } = response;
        let started = receipt.started.unwrap_or_else(clock::now);
        let request = Arc::new(request);
        Ok(Response { request, status, headers, body, attempts, ended_at, receipt, started, redirects_to })
    }
}

impl Response {
    /// Returns the URL of the response, after redirects.
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

    /// Returns the value of a header; `None` if there is none, or it is not text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns the decoded body.
    pub fn bytes(&self) -> &Bytes {
        &self.body
    }

    /// Returns the body as text. The encoding is given by the byte order mark, the `Content-Type`, or the text itself,
    /// in this order.
    pub fn body_text(&self) -> String {
        self.clone().into_page().body_text().to_owned()
    }

    /// Parses the body as JSON. An escape of half a surrogate pair, as `"\ud83d"` where a script has cut a text, is
    /// U+FFFD.
    ///
    /// # Errors
    /// The body is not the JSON that `T` expects.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        match std::str::from_utf8(&self.body) {
            Ok(text) => from_json(text),
            // Says where.
            Err(_) => serde_json::from_slice(&self.body),
        }
        .map_err(Error::Json)
    }

    /// Returns the length of the body on the wire, in its content codings.
    pub fn received(&self) -> u64 {
        self.receipt.bytes
    }

    /// Returns the target of a redirect, if this is one. Only a client built with
    /// [`keep_redirects`](super::ClientBuilder::keep_redirects) returns redirects.
    pub fn redirect_target(&self) -> Option<Url> {
        self.redirects_to.clone()
    }

    /// Returns how often the request was sent.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Returns when the last attempt was written.
    pub fn started_at(&self) -> SystemTime {
        self.ended_at.checked_sub(self.receipt.elapsed).unwrap_or(self.ended_at)
    }

    /// Returns the same on the monotonic clock, for comparison with other responses.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Returns the time from the writing of the request to the last byte of the response.
    pub fn elapsed(&self) -> Duration {
        self.receipt.elapsed
    }

    /// Saves it to a file, to be read in a test with `Response::saved` or `Site::saved` of the feature `testing`: one
    /// line of JSON with its URL, status and headers, and then its decoded body. The file contains the server's
    /// cookies, and no header of the request.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let mut headers = self.headers.clone();
        // The body is stored decoded.
        for name in [CONTENT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING] {
            headers.remove(name);
        }
        let mut url = self.request.url.clone();
        strip_user_info(&mut url);
        let (url, status, body) = (url.into(), self.status, self.body.clone());
        let stored = StoredResponse { url, asked: Vec::new(), status, headers, fetched_at: self.ended_at, body };
        let path = path.as_ref();
        let written = stored.label().and_then(|label| fs::write(path, [&label[..], &stored.body[..]].concat()));
        written.map_err(|source| Error::file(path, source))
    }

    /// Converts it to a page as a spider sees it, for selecting elements or links.
    pub fn into_page(self) -> Page {
        Page::new(self.request, self.status, self.headers, self.body, self.ended_at, self.receipt.elapsed)
    }
}
