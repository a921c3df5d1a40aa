//! The sessions of ClientBuilder, with the same names as in the crawler's builder.

use std::{fmt, sync::Arc};

use super::{
    ClientBuilder,
    login::{LogInByFunction, Login, log_in_function},
};
use crate::{
    error::Result,
    middleware::{AnyMiddleware, DefaultHeaders},
    sessions::{LogIn, Sessions},
    transport::TransportSettings,
};

impl ClientBuilder {
    /// Sends requests in sessions, each with its cookies and its proxy: see [`sessions`](crate::sessions). The cookies
    /// of requests that name no session are kept too. Needs the feature `cookies`.
    pub fn sessions(mut self, sessions: Sessions) -> Self {
        self.sessions = sessions;
        self
    }

    /// Logs sessions in by a function, as [`Crawler::log_in`](crate::Crawler::log_in) does.
    pub fn log_in<F, Fut, E>(mut self, log_in: F) -> Self
    where
        F: Fn(Login) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display,
    {
        self.log_in = Some(log_in_function(log_in));
        self
    }

    /// Sets all headers at once.
    pub(crate) fn headers(mut self, headers: DefaultHeaders) -> Self {
        self.headers = headers;
        self
    }

    /// Puts all of these middleware around each request.
    pub(crate) fn all_middleware(mut self, middleware: Vec<AnyMiddleware>) -> Self {
        self.middleware = middleware;
        self
    }

    /// Creates a client for the requests of log-ins, which bring their session. Its user agent is checked already.
    pub(crate) fn build_for_log_ins(mut self) -> Result<super::ThrottledClient> {
        let (mut transport, wanted) = (self.transport, MAX_CONNECTIONS);
        transport.max_connections = transport.max_connections.min(wanted);
        // What a log-in sends and gets is neither for the cache nor for a recording or an archive.
        self.transport = TransportSettings { response_store: None, archive: None, cookies: false, ..transport };
        self.sessions = Sessions::default();
        (self.log_in, self.threads, self.judges_responses) = (None, 1, false);
        // The sessions' own layer would let a log-in wait for itself.
        self.build_checked()
    }

    /// Returns who logs sessions in, as this builder's settings say.
    pub(super) fn who_logs_in(&self) -> Result<Option<Arc<dyn LogIn>>> {
        let Some(log_in) = self.log_in.clone() else { return Ok(None) };
        Ok(Some(Arc::new(LogInByFunction::new(log_in, self.clone().build_for_log_ins()?))))
    }
}

/// The most connections of log-ins: they come one by one.
const MAX_CONNECTIONS: usize = 16;
