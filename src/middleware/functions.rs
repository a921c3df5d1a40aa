//! Functions as middleware: the common case needs no type of its own.

use super::{Attempt, Decision, Middleware, Received, Refuse};
use crate::request::Request;

/// Makes a middleware of a function that is called before each request is written, such as one that signs it:
///
/// ```
/// use actix_crawler::{middleware::before_request, prelude::*};
///
/// fn signature(text: &str) -> u64 {
///     text.bytes().fold(7, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()))
/// }
///
/// let sign = before_request("sign", |request, attempt| {
///     let seconds = attempt.time.duration_since(std::time::UNIX_EPOCH)?.as_secs();
///     request.set_header("x-signature", signature(&format!("{seconds} {}", request.url)).to_string());
///     Ok(())
/// });
/// let client = ThrottledClient::builder("bot/1.0 (+https://example.org/bot)").middleware(sign).build()?;
/// # use actix_crawler::ThrottledClient;
/// # Ok::<(), Error>(())
/// ```
pub fn before_request<F>(name: &'static str, hook: F) -> BeforeRequest<F>
where
    F: Fn(&mut Request, &Attempt) -> Result<(), Refuse> + Send + Sync + 'static,
{
    BeforeRequest { name, hook }
}

/// Makes a middleware of a function that is called with each response, before the spider sees it:
///
/// ```
/// use std::time::Duration;
///
/// use actix_crawler::middleware::{Decision, after_response};
///
/// let busy = after_response("busy", |received| match received.status() {
///     418 => Decision::cool(Duration::from_secs(60), "it is a teapot for now"),
///     _ => Decision::Pass,
/// });
/// # let _: &dyn actix_crawler::middleware::Middleware = &busy;
/// ```
pub fn after_response<F>(name: &'static str, hook: F) -> AfterResponse<F>
where
    F: Fn(&Received) -> Decision + Send + Sync + 'static,
{
    AfterResponse { name, hook }
}

/// See [`before_request`].
///
/// ```
/// use actix_crawler::middleware::{Middleware, before_request};
///
/// let hook = before_request("language", |request, _| {
///     request.set_header("accept-language", "de");
///     Ok(())
/// });
/// assert_eq!(hook.name(), "language");
/// ```
pub struct BeforeRequest<F> {
    name: &'static str,
    hook: F,
}

/// See [`after_response`].
///
/// ```
/// use actix_crawler::middleware::{Decision, Middleware, after_response};
///
/// let hook = after_response("empty", |received| match received.header("content-length") {
///     Some("0") => Decision::skip("it is empty"),
///     _ => Decision::Pass,
/// });
/// assert_eq!(hook.name(), "empty");
/// ```
pub struct AfterResponse<F> {
    name: &'static str,
    hook: F,
}

impl<F> Middleware for BeforeRequest<F>
where
    F: Fn(&mut Request, &Attempt) -> Result<(), Refuse> + Send + Sync + 'static,
{
    fn name(&self) -> &'static str {
        self.name
    }

    fn before(&self, request: &mut Request, attempt: &Attempt) -> Result<(), Refuse> {
        (self.hook)(request, attempt)
    }
}

impl<F> Middleware for AfterResponse<F>
where
    F: Fn(&Received) -> Decision + Send + Sync + 'static,
{
    fn name(&self) -> &'static str {
        self.name
    }

    fn after(&self, _: &Request, received: &Received, _: &Attempt) -> Decision {
        (self.hook)(received)
    }
}
