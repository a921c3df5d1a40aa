//! Received: a response as a middleware sees it. Its body is decoded only when it is asked for.

use std::{cell::OnceCell, sync::Arc, time::Duration};

use http::{HeaderMap, StatusCode};

use crate::{
    outcome::FetchError,
    request::Request,
    response::Response,
    transport::{
        body::{BodyLimits, Reservation},
        raw_response::RawResponse,
    },
};

/// A response that has come whole: status and headers at once, and the page on demand.
///
/// ```
/// use actix_crawler::{Request, middleware::Received};
/// use http::{HeaderMap, StatusCode};
///
/// let request = Request::parse("https://e.org/")?;
/// let received = Received::of(request, StatusCode::OK, HeaderMap::new(), "<title>Tea</title>");
/// assert_eq!(received.status(), 200);
/// assert_eq!(received.page().unwrap().title(), Some("Tea"));
/// # Ok::<(), actix_crawler::Error>(())
/// ```
pub struct Received {
    request: Arc<Request>,
    raw: RawResponse,
    elapsed: Duration,
    limits: BodyLimits,
    page: OnceCell<Result<Response, FetchError>>,
}

impl Received {
    /// Copies what a middleware may see of a response; the body is shared.
    pub(crate) fn new(request: Arc<Request>, raw: &RawResponse, elapsed: Duration, limits: BodyLimits) -> Self {
        let RawResponse { status, headers, fetched_at, body, is_cut, .. } = raw;
        let raw = RawResponse {
            status: *status,
            headers: headers.clone(),
            fetched_at: *fetched_at,
            body: body.clone(),
            streamed: 0,
            is_cut: *is_cut,
            // The response itself holds the memory until the hooks have returned.
            reservation: Reservation::default(),
        };
        Self { request, raw, elapsed, limits, page: OnceCell::new() }
    }

    /// Creates one, for a middleware's tests.
    pub fn of(request: Request, status: StatusCode, headers: HeaderMap, body: impl Into<bytes::Bytes>) -> Self {
        let raw = RawResponse {
            status: status.as_u16(),
            headers,
            fetched_at: std::time::SystemTime::UNIX_EPOCH,
            body: body.into(),
            streamed: 0,
            is_cut: false,
            reservation: Reservation::default(),
        };
        Self::new(Arc::new(request), &raw, Duration::ZERO, BodyLimits::default())
    }

    /// Returns the status.
    pub fn status(&self) -> u16 {
        self.raw.status
    }

    /// Returns the headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.raw.headers
    }

    /// Returns the first header of this name, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.raw.headers.get(name)?.to_str().ok()
    }

    /// Returns the time from the writing of the request to the last byte.
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// Returns the page, as a spider would see it. It is decoded with the first call.
    ///
    /// # Errors
    /// The body's coding is broken or unknown, or it is too large; the page is about to fail for it.
    pub fn page(&self) -> Result<&Response, &FetchError> {
        let page = self.page.get_or_init(|| {
            let (body, broken_off) = self.raw.decoded(self.limits)?;
            let RawResponse { status, headers, fetched_at, .. } = &self.raw;
            let page = Response::new(self.request.clone(), *status, headers.clone(), body, *fetched_at, self.elapsed);
            Ok(page.with_broken_off(broken_off))
        });
        page.as_ref()
    }
}
