//! AsyncMiddleware: a middleware that waits for futures, such as a token that is renewed.

use std::future::{Future, ready};

use futures_util::future::LocalBoxFuture;

use super::{Attempt, Decision, Received, Refuse};
use crate::{outcome::FetchError, request::Request};

/// A [`Middleware`](super::Middleware) whose hooks are async; what is said there holds here too.
///
/// Its futures run on the network's threads and need not be `Send`. They must not block: what computes for long or
/// blocks is a [`Middleware`](super::Middleware).
///
/// ```
/// use actix_crawler::{middleware::{AsyncMiddleware, Attempt, Refuse}, prelude::*};
///
/// struct Token(tokio::sync::Mutex<Option<String>>);
///
/// async fn log_in() -> std::io::Result<String> {
///     Ok("secret".to_owned())
/// }
///
/// impl AsyncMiddleware for Token {
///     fn name(&self) -> &'static str {
///         "token"
///     }
///
///     async fn before(&self, request: &mut Request, _: &Attempt) -> Result<(), Refuse> {
///         let mut token = self.0.lock().await;
///         if token.is_none() {
///             *token = Some(log_in().await?);
///         }
///         request.set_header("authorization", format!("Bearer {}", token.as_deref().unwrap_or_default()));
///         Ok(())
///     }
/// }
/// ```
pub trait AsyncMiddleware: Send + Sync + 'static {
    /// Returns the name under which it is counted.
    fn name(&self) -> &'static str;

    /// As [`Middleware::before`](super::Middleware::before).
    fn before(&self, request: &mut Request, attempt: &Attempt) -> impl Future<Output = Result<(), Refuse>> {
        let _ = (request, attempt);
        ready(Ok(()))
    }

    /// As [`Middleware::after`](super::Middleware::after).
    fn after(&self, request: &Request, received: &Received, attempt: &Attempt) -> impl Future<Output = Decision> {
        let _ = (request, received, attempt);
        ready(Decision::Pass)
    }

    /// As [`Middleware::failed`](super::Middleware::failed).
    fn failed(&self, request: &Request, error: &FetchError, attempt: &Attempt) -> impl Future<Output = Decision> {
        let _ = (request, error, attempt);
        ready(Decision::Pass)
    }
}

/// The same with boxed futures, so that several kinds fit into one list.
pub(crate) trait DynAsyncMiddleware: Send + Sync {
    fn name(&self) -> &'static str;

    fn before<'a>(&'a self, request: &'a mut Request, attempt: &'a Attempt) -> LocalBoxFuture<'a, Result<(), Refuse>>;

    fn after<'a>(
        &'a self,
        request: &'a Request,
        received: &'a Received,
        attempt: &'a Attempt,
    ) -> LocalBoxFuture<'a, Decision>;

    fn failed<'a>(
        &'a self,
        request: &'a Request,
        error: &'a FetchError,
        attempt: &'a Attempt,
    ) -> LocalBoxFuture<'a, Decision>;
}

impl<M: AsyncMiddleware> DynAsyncMiddleware for M {
    fn name(&self) -> &'static str {
        AsyncMiddleware::name(self)
    }

    fn before<'a>(&'a self, request: &'a mut Request, attempt: &'a Attempt) -> LocalBoxFuture<'a, Result<(), Refuse>> {
        Box::pin(AsyncMiddleware::before(self, request, attempt))
    }

    fn after<'a>(
        &'a self,
        request: &'a Request,
        received: &'a Received,
        attempt: &'a Attempt,
    ) -> LocalBoxFuture<'a, Decision> {
        Box::pin(AsyncMiddleware::after(self, request, received, attempt))
    }

    fn failed<'a>(
        &'a self,
        request: &'a Request,
        error: &'a FetchError,
        attempt: &'a Attempt,
    ) -> LocalBoxFuture<'a, Decision> {
        Box::pin(AsyncMiddleware::failed(self, request, error, attempt))
    }
}
