//! Login: what a function that logs a session in is given: requests in that session. Knows no states of sessions.

use std::{fmt, future::Future, sync::Arc};

use futures_util::future::BoxFuture;
use http::Method;

use super::{IntoRequest, RequestBuilder, ThrottledClient};
use crate::{
    error::Result,
    sessions::{LogIn, Session},
};

/// A log-in: makes requests in the session that is to be logged in. See [`sessions`](crate::sessions).
///
/// ```
/// use actix_crawler::client::Login;
///
/// async fn log_in(login: Login) -> actix_crawler::Result<()> {
///     let account = serde_json::json!({"name": login.session().name(), "password": "s3cret"});
///     login.post("https://shop.example/api/login").json(&account).send().await?.error_for_status()?;
///     Ok(())
/// }
/// # drop(log_in);
/// ```
///
/// Its requests wait for permits of their domain, together with all others of this process, and follow redirects. They
/// pass the `before` of each [`Middleware`](crate::middleware::Middleware), and no `after`. What servers set on the way
/// are the session's cookies.
#[derive(Clone)]
pub struct Login {
    client: ThrottledClient,
    session: Session,
}

impl Login {
    /// Returns the session: its name says which account to use, and a cookie may be set.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Begins a GET request in the session.
    pub fn get(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.client.request(Method::GET, url).pinned_to(self.session.clone())
    }

    /// Begins a POST request in the session.
    pub fn post(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.client.request(Method::POST, url).pinned_to(self.session.clone())
    }

    /// Makes a request of the session: that of a form which was filled in, for instance.
    pub fn request(&self, request: impl IntoRequest) -> RequestBuilder {
        request.into_request(&self.client).pinned_to(self.session.clone())
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("session", &self.session).finish_non_exhaustive()
    }
}

/// A user's function that logs sessions in, and the client of its requests.
pub(crate) type LogInFunction = Arc<dyn Fn(Login) -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// Keeps a user's function.
pub(crate) fn log_in_function<F, Fut, E>(log_in: F) -> LogInFunction
where
    F: Fn(Login) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), E>> + Send + 'static,
    E: fmt::Display,
{
    Arc::new(move |login| {
        let logging_in = log_in(login);
        Box::pin(async move { logging_in.await.map_err(|error| error.to_string()) })
    })
}

/// Logs sessions in by a user's function.
pub(crate) struct LogInByFunction {
    client: ThrottledClient,
    log_in: LogInFunction,
}

impl LogInByFunction {
    /// Creates it with the client of its requests.
    pub fn new(log_in: LogInFunction, client: ThrottledClient) -> Self {
        Self { client, log_in }
    }
}

impl LogIn for LogInByFunction {
    fn log_in(&self, session: Session) -> BoxFuture<'static, Result<(), String>> {
        (self.log_in)(Login { client: self.client.clone(), session })
    }
}
