//! Crawler, the part of the builder about middleware and headers. Does not know what a middleware does.

use std::sync::Arc;

use super::Crawler;
use crate::{
    middleware::{AnyMiddleware, AsyncMiddleware, Middleware},
    spider::Spider,
};

impl<S: Spider> Crawler<S> {
    /// Puts a middleware around each request; several are called in the order in which they are given. See
    /// [`Middleware`].
    #[doc(alias("downloader_middlewares", "on_request", "on_response"))]
    #[must_use]
    pub fn middleware(mut self, middleware: impl Middleware) -> Self {
        self.middleware.push(AnyMiddleware::Blocking(Arc::new(middleware)));
        self
    }

    /// As [`Crawler::middleware`], for one whose hooks are async.
    #[must_use]
    pub fn async_middleware(mut self, middleware: impl AsyncMiddleware) -> Self {
        self.middleware.push(AnyMiddleware::Async(Arc::new(middleware)));
        self
    }

    /// Sends a header with every request that has none of its name, to whatever origin. Robots files included. A
    /// `Host`, and one whose name looks like a secret, is refused, since it would go to all: bind it with
    /// [`Crawler::header_for`].
    #[doc(alias = "default_request_headers")]
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.headers = std::mem::take(&mut self.settings.headers).header(name, value);
        self
    }

    /// Sends a header with every request to an origin, `https://example.org`, that has none of its name.
    #[must_use]
    pub fn header_for(mut self, origin: impl Into<String>, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.headers = std::mem::take(&mut self.settings.headers).header_for(origin, name, value);
        self
    }
}
