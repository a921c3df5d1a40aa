//! RequestBuilder: builds a request of a client. Mistakes are kept and reported when it is sent. Knows no responses.

use std::{
    fmt::{self, Display},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{Method, header::AUTHORIZATION};
use serde::Serialize;
use url::Url;

use super::{
    ThrottledClient,
    domain_queue::DomainQueue,
    job::{ClientJob, RequestOptions},
    response::Response,
};
use crate::{
    domain::Domain,
    error::{Error, Result},
    identity::strip_user_info,
    request::{Request, parse_url},
    sessions::Session,
    transport::Basic,
    user_agent,
};

/// Builds a request. Created by [`ThrottledClient::get`] and the other methods.
///
/// ```
#[doc = include_str!("example_api.md")]
/// # block_on(async {
/// let response = client
///     .post(format!("{api}/items"))
///     .query(&[("dry_run", "yes")])
///     .bearer_auth("token")
///     .json(&serde_json::json!({"price": 12}))
///     .send()
///     .await?;
/// assert_eq!(response.url().path(), "/items");
///
/// let wrong = client.get("items/7").send().await;
/// assert!(wrong.is_err(), "a URL needs a scheme");
/// # Ok(()) });
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone)]
#[must_use = "a request does nothing until it is sent"]
pub struct RequestBuilder {
    client: ThrottledClient,
    method: Method,
    url: Result<Url, Arc<Error>>,
    headers: Vec<(String, String)>,
    body: Bytes,
    session: Option<Arc<str>>,
    /// Its own proxy; see [`Request::via`].
    proxy: Option<Arc<str>>,
    /// Whether a redirect is its response; see [`Request::no_redirects`].
    keeps_redirects: bool,
    /// The session that it logs in.
    pinned_to: Option<Session>,
    options: RequestOptions,
}

impl RequestBuilder {
    pub(super) fn new(client: ThrottledClient, method: Method, url: &str) -> Self {
        let mut url = parse_url(url).map_err(Arc::new);
        let password = url.as_mut().ok().and_then(take_user_info);
        Self {
            client,
            method,
            url,
            headers: password.into_iter().collect(),
            body: Bytes::new(),
            session: None,
            proxy: None,
            keeps_redirects: false,
            pinned_to: None,
            options: RequestOptions::default(),
        }
    }

    /// Takes what a request says of how it is sent; the rest is about its place in a crawl.
    pub(super) fn of(client: ThrottledClient, request: Request) -> Self {
        let session = request.session_name().map(Arc::from);
        let Request { method, url, mut headers, body, proxy, keeps_redirects, .. } = request;
        let mut of_url = Self::new(client, method, url.as_str());
        of_url.headers.retain(|(name, _)| headers.iter().all(|(own, _)| !own.eq_ignore_ascii_case(name)));
        headers.append(&mut of_url.headers);
        Self { headers, body, session, proxy, keeps_redirects, ..of_url }
    }

    /// Sets a header, replacing one with the same name.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let name = name.into();
        self.headers.retain(|(given, _)| !given.eq_ignore_ascii_case(&name));
        self.headers.push((name, value.into()));
        self
    }

    /// Sets the type of the body.
    pub fn content_type(self, value: impl Into<String>) -> Self {
        self.header("content-type", value)
    }

    /// Adds parameters to the URL's query, from a struct, a map, or pairs.
    pub fn query<T: Serialize + ?Sized>(mut self, parameters: &T) -> Self {
        self.url = self.url.and_then(|mut url| {
            let mut pairs = url.query_pairs_mut();
            let written = parameters.serialize(serde_urlencoded::Serializer::new(&mut pairs));
            let refused = written.err();
            drop(pairs);
            if url.query() == Some("") {
                url.set_query(None);
            }
            refused.map_or(Ok(url), |error| Err(Arc::new(Error::setting("query", error.to_string()))))
        });
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets the body to a value as JSON.
    pub fn json<T: Serialize + ?Sized>(self, value: &T) -> Self {
        self.written(serde_json::to_vec(value), "application/json")
    }

    /// Sets the body to a value as a form.
    pub fn form<T: Serialize + ?Sized>(self, value: &T) -> Self {
        self.written(serde_urlencoded::to_string(value), "application/x-www-form-urlencoded")
    }

    /// Authenticates with a user name and a password (RFC 7617).
    pub fn basic_auth(self, name: impl Display, password: impl Display) -> Self {
        self.header("authorization", format!("Basic {}", STANDARD.encode(format!("{name}:{password}"))))
    }

    /// Authenticates with a token (RFC 6750).
    pub fn bearer_auth(self, token: impl Display) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    /// Sends it in this session, and what it is redirected to; see [`Request::session`].
    pub fn session(mut self, name: impl Into<Arc<str>>) -> Self {
        self.session = Some(name.into());
        self
    }

    /// Sends it, and what it is redirected to, through this proxy, or through none if it is `direct`; see
    /// [`Request::via`].
    pub fn via(mut self, proxy: impl Into<Arc<str>>) -> Self {
        self.proxy = Some(proxy.into());
        self
    }

    /// Returns a redirect as the response, whatever the client's settings say; see [`Request::no_redirects`].
    pub fn no_redirects(mut self) -> Self {
        self.keeps_redirects = true;
        self
    }

    /// Sends it in a session that is being logged in.
    pub(super) fn pinned_to(mut self, session: Session) -> Self {
        self.pinned_to = Some(session);
        self
    }

    /// Sets the longest time of this request, from the writing to the last byte. Waiting for the permit does not count.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.options.timeout = Some(limit);
        self
    }

    /// Sets whether this request may be sent again after it was written. By default GET, HEAD, OPTIONS, PUT, DELETE and
    /// TRACE may, and other methods may not (RFC 9110 §9.2.2).
    pub fn repeatable(mut self, repeatable: bool) -> Self {
        self.options.repeatable = Some(repeatable);
        self
    }

    /// Sends the request when its permit is granted, and waits for the whole response. If the future is dropped, its
    /// place goes to the next request.
    ///
    /// # Errors
    /// The request is invalid, no complete response came, or its domain was given up ([`Error::GivenUp`]). A response
    /// with an error status is a [`Response`]; see [`Response::error_for_status`].
    pub async fn send(self) -> Result<Response> {
        let Self { client, method, url, mut headers, body, session, proxy, keeps_redirects, pinned_to, options } = self;
        let url = url.map_err(|error| {
            Arc::try_unwrap(error).unwrap_or_else(|shared| Error::setting("request", shared.to_string()))
        })?;
        user_agent::check_headers(&headers, &url)?;
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("accept")) {
            headers.push(("accept".to_owned(), client.shared.accept.clone()));
        }
        let mut request = Request::new(method, url);
        request.headers = headers;
        request.body = body;
        if let Some(name) = session {
            request.set_session(name);
        }
        request.keeps_redirects = keeps_redirects;
        // That of the session that is logged in, unless it has one of its own.
        request.proxy = proxy.or_else(|| pinned_to.as_ref().and_then(|session| session.proxy().cloned()));
        let number = client.shared.numbers.fetch_add(1, Ordering::Relaxed);
        let (mut job, result) = ClientJob::new(request, options, number);
        job.session = pinned_to;
        let queued = QueuedJob { queue: client.shared.admit(job), number };
        // No result: the attempt panicked, which its thread's panic hook has reported.
        let response = result.await.map_err(|_| Error::Ended)??;
        drop(queued);
        response.decode(client.shared.body)
    }

    /// Returns the domain whose limit it uses; `None` if it has no valid URL.
    pub(super) fn domain(&self) -> Option<Domain> {
        self.url.as_ref().ok().map(|url| self.client.shared.queues.domain(url))
    }

    fn written<B: Into<Bytes>, E: Display>(mut self, body: Result<B, E>, content_type: &str) -> Self {
        match body {
            Ok(body) => self.body = body.into(),
            Err(error) => self.url = Err(Arc::new(Error::setting("body", error.to_string()))),
        }
        if self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            return self;
        }
        self.content_type(content_type)
    }
}

/// Formats a request without secrets: only the names of headers.
impl fmt::Debug for RequestBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("RequestBuilder")
            .field("method", &self.method)
            .field("url", &self.url.as_ref().map(Url::as_str))
            .field("headers", &headers)
            .field("body", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// Takes the user name and the password out of a URL, as a header: nobody who is told the URL is told them.
fn take_user_info(url: &mut Url) -> Option<(String, String)> {
    let basic = Basic::of(url)?;
    strip_user_info(url);
    Some((AUTHORIZATION.to_string(), basic.header()))
}

/// A job in a domain's queue; dropping this removes the job.
struct QueuedJob {
    queue: Arc<DomainQueue>,
    number: u64,
}

impl Drop for QueuedJob {
    fn drop(&mut self) {
        self.queue.leave(self.number);
    }
}
