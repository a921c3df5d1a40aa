//! Crawler, the part of the builder about sessions. Knows no cookies.

use std::{fmt, sync::Arc};

use tokio::runtime::Handle;

use super::{Crawler, Settings};
use crate::{
    capacity::Capacity,
    client::{LogInByFunction, LogInFunction, Login, ThrottledClient, log_in_function},
    conducts::Conducts,
    error::Result,
    middleware::AnyMiddleware,
    sessions::{LogIn, SessionPool, Sessions},
    spider::Spider,
};

impl<S: Spider> Crawler<S> {
    /// Sends requests in sessions, each with its cookies and its proxy: see [`sessions`](crate::sessions). The cookies
    /// of requests that name no session are kept too. Needs the feature `cookies`.
    #[must_use]
    pub fn sessions(mut self, sessions: Sessions) -> Self {
        self.settings.sessions = sessions;
        self
    }

    /// Logs sessions in by a function: each before its first request where it has no cookies, and again when it was
    /// refused; see [`sessions`](crate::sessions). It runs where requests are made, so it must not block. If it panics,
    /// fails, or takes longer than 5 minutes, the session rests before the next try. Needs the feature `cookies`.
    #[must_use]
    pub fn log_in<F, Fut, E>(mut self, log_in: F) -> Self
    where
        F: Fn(Login) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display,
    {
        self.log_in = Some(log_in_function(log_in));
        self
    }
}

/// Makes the requests of log-ins as the crawl makes its own: with its limits, its network, its headers and its
/// middleware.
pub(super) fn who_logs_in(
    log_in: LogInFunction,
    user_agent: &str,
    settings: &Settings,
    (conducts, capacity): (&Conducts, Option<&Capacity>),
    middleware: &[AnyMiddleware],
) -> Result<Arc<dyn LogIn>> {
    let like = ThrottledClient::builder(user_agent)
        .politeness(settings.politeness.clone())
        .transport(settings.transport.clone())
        .retry(settings.retry.clone())
        .headers(settings.headers.clone())
        .all_middleware(middleware.to_vec())
        .conducts(conducts);
    let like = match capacity {
        Some(capacity) => like.capacity(capacity),
        None => like,
    };
    Ok(Arc::new(LogInByFunction::new(log_in, like.build_for_log_ins()?)))
}

impl Settings {
    /// Makes the sessions. With a state, their cookies are kept in its folder.
    pub(super) fn open_sessions(&self, logs_in: bool, threads: &Handle) -> Result<Option<SessionPool>> {
        let mut sessions = self.sessions.clone();
        let is_in_use = logs_in || self.transport.cookies || !sessions.are_default();
        if let (true, None, Some(state)) = (is_in_use, &sessions.file, &self.state) {
            sessions.file = Some(state.join("sessions.json"));
        }
        SessionPool::open(&sessions, self.transport.cookies, logs_in, threads)
    }
}
