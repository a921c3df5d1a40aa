//! RequestBuilder: a request on its way to being sent. Mistakes are kept and reported by the sending.

use std::{
    fmt::Display,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::Method;
use serde::Serialize;
use url::Url;

use super::{
    ThrottledClient,
    domain_queue::DomainQueue,
    job::{How, Job},
    response::Response,
};
use crate::{
    error::{Error, Result},
    request::{Request, parse_url},
};

/// A request that is being written.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is sent"]
pub struct RequestBuilder {
    client: ThrottledClient,
    method: Method,
    url: Result<Url, Arc<Error>>,
    headers: Vec<(String, String)>,
    body: Bytes,
    how: How,
}

impl RequestBuilder {
    pub(super) fn new(client: ThrottledClient, method: Method, url: &str) -> Self {
        let url = parse_url(url).map_err(Arc::new);
        Self { client, method, url, headers: Vec::new(), body: Bytes::new(), how: How::default() }
    }

    /// Sets a header.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let name = name.into();
        self.headers.retain(|(given, _)| !given.eq_ignore_ascii_case(&name));
        self.headers.push((name, value.into()));
        self
    }

    /// Says what the body is.
    pub fn content_type(self, value: impl Into<String>) -> Self {
        self.header("content-type", value)
    }

    /// Adds parameters to the URL's query: a struct, a map, or pairs.
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

    /// Sends this body.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends a value as JSON.
    pub fn json<T: Serialize + ?Sized>(self, value: &T) -> Self {
        self.written(serde_json::to_vec(value), "application/json")
    }

    /// Sends a value as a form.
    pub fn form<T: Serialize + ?Sized>(self, value: &T) -> Self {
        self.written(serde_urlencoded::to_string(value), "application/x-www-form-urlencoded")
    }

    /// Authenticates with a name and a password (RFC 7617).
    pub fn basic_auth(self, name: impl Display, password: impl Display) -> Self {
        self.header("authorization", format!("Basic {}", STANDARD.encode(format!("{name}:{password}"))))
    }

    /// Authenticates with a token (RFC 6750).
    pub fn bearer_auth(self, token: impl Display) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    /// Gives this request at most so long, from the writing to the last byte. Waiting for the permit does not count.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.how.timeout = Some(limit);
        self
    }

    /// Tells whether this request may be made again after it was written; by default GET, HEAD, OPTIONS, PUT, DELETE
    /// and TRACE may, and others not.
    pub fn repeatable(mut self, repeatable: bool) -> Self {
        self.how.repeatable = Some(repeatable);
        self
    }

    /// Sends the request when its turn has come, and waits for the whole answer. Dropping the future gives its place to
    /// the next.
    ///
    /// # Errors
    /// The request is wrong, no whole answer came, or its domain was given up ([`Error::GivenUp`]). A status of whatever
    /// kind is a [`Response`].
    pub async fn send(self) -> Result<Response> {
        let Self { client, method, url, mut headers, body, how } = self;
        let url = url.map_err(|error| {
            Arc::try_unwrap(error).unwrap_or_else(|shared| Error::setting("request", shared.to_string()))
        })?;
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("accept")) {
            headers.push(("accept".to_owned(), "*/*".to_owned()));
        }
        let mut request = Request::new(method, url);
        request.headers = headers;
        request.body = body;
        let number = client.shared.numbers.fetch_add(1, Ordering::Relaxed);
        let (job, answer) = Job::new(request, how, number);
        let place = Place { queue: client.shared.admit(job), number };
        // The worker died with the request, which its thread's panic hook has reported.
        let delivered = answer.await.map_err(|_| Error::Ended)??;
        drop(place);
        Response::open(delivered, client.shared.crew.body_limits())
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

/// A place in a queue, left when its holder waits no longer.
struct Place {
    queue: Arc<DomainQueue>,
    number: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.queue.leave(self.number);
    }
}
