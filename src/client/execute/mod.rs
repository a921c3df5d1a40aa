//! Execution: sends many requests at the highest permitted rate, and returns the result of each. Knows no limits: the
//! client makes it wait.

mod begun;
mod written;

use std::{
    collections::BTreeMap,
    pin::{Pin, pin},
};

use futures_util::{Stream, StreamExt, stream};
use http::Method;
use url::Url;

use self::begun::{Begun, run};
pub use self::written::Written;
use super::{RequestBuilder, Response, ThrottledClient};
use crate::{error::Result, request::Request};

/// Many requests, and a function that reads each response. Made by [`ThrottledClient::execute`].
///
/// Awaited, it returns all results in the order of the requests. [`Execution::unordered`] and [`Execution::ordered`]
/// return them one by one, and [`Execution::write_to`] writes them to a file or a database. A request that fails does
/// not end the others, unless [`Execution::fail_fast`] says so.
///
/// ```
#[doc = include_str!("../example_api.md")]
/// use actix_crawler::client::Completion;
/// use futures_util::StreamExt;
///
/// # block_on(async {
/// let urls = ["items/1", "missing", "items/2"].map(|path| format!("{api}/{path}"));
/// let read = |response: actix_crawler::client::Response| async move {
///     response.error_for_status()?.json::<serde_json::Value>()
/// };
///
/// let results = client.execute(urls.clone(), read).await;
/// assert_eq!(results.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
///
/// let mut done = 0;
/// let execution = client.execute(urls, read).progress(|progress| done = progress.done);
/// let mut completions = std::pin::pin!(execution.unordered());
/// while let Some(Completion { index, result }) = completions.next().await {
///     assert_eq!(result.is_ok(), index != 1);
/// }
/// # drop(completions);
/// # Ok(()) });
/// # Ok::<(), Error>(())
/// ```
///
/// So that those of a slow domain hold up no other, up to 10,000 requests are taken from the iterator beyond those that may be
/// in flight to one domain; [`Execution::ordered`] takes no more than these. With the streams it may be endless.
#[must_use = "nothing is sent until it is awaited, or its stream is"]
pub struct Execution<'a, I, F> {
    pub(super) client: ThrottledClient,
    pub(super) requests: I,
    pub(super) read: F,
    pub(super) progress: Option<Box<dyn FnMut(ExecutionProgress) + Send + 'a>>,
}

/// An [`Execution`] that ends with the first failure. Made by [`Execution::fail_fast`].
///
/// ```
#[doc = include_str!("../example_api.md")]
/// # block_on(async {
/// let urls = ["items/1", "missing"].map(|path| format!("{api}/{path}"));
/// let execution = client.execute(urls, |response| async move { Ok(response.error_for_status()?.status()) });
/// assert!(matches!(execution.fail_fast().await, Err(Error::Status { status: 404, .. })));
/// # Ok(()) });
/// # Ok::<(), Error>(())
/// ```
#[must_use = "nothing is sent until it is awaited"]
pub struct FailFast<'a, I, F>(Execution<'a, I, F>);

/// How far an [`Execution`] has come; see [`Execution::progress`].
///
/// ```
#[doc = include_str!("../example_api.md")]
/// use actix_crawler::client::ExecutionProgress;
///
/// # block_on(async {
/// let urls = (1..=3).map(|id| format!("{api}/items/{id}"));
/// let mut last = None;
/// let read = |response: actix_crawler::client::Response| async move { Ok(response.body_text()) };
/// client.execute(urls, read).progress(|so_far| last = Some(so_far)).await;
/// assert_eq!(last, Some(ExecutionProgress { done: 3, failed: 0, total: Some(3) }));
/// # Ok(()) });
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExecutionProgress {
    /// Requests that have ended.
    pub done: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// All requests, if the iterator knows how many.
    pub total: Option<u64>,
}

/// The result of one request of an [`Execution`].
///
/// ```
#[doc = include_str!("../example_api.md")]
/// use actix_crawler::client::Completion;
/// use futures_util::StreamExt;
///
/// # block_on(async {
/// let urls = ["items/1", "items/2"].map(|path| format!("{api}/{path}"));
/// let execution = client.execute(urls, |response| async move { Ok(response.url().path().to_owned()) });
/// let in_order: Vec<_> = execution.ordered().collect().await;
/// let [Completion { index: 0, result: Ok(first) }, _] = &in_order[..] else { panic!("{in_order:?}") };
/// assert_eq!(first, "/items/1");
/// # Ok(()) });
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
pub struct Completion<T> {
    /// Its place among the requests, from 0.
    pub index: usize,
    /// What the response was read as, or why there is none.
    pub result: Result<T>,
}

/// What can be executed: a request that was begun with the client, a URL, or a plain [`Request`] with its method,
/// headers, body, session, proxy, and whether it keeps redirects.
///
/// ```
/// # use actix_crawler::{Error, Rate, Request, ThrottledClient, client::IntoRequest};
/// let client = ThrottledClient::new("pricebot/1.0 (+https://example.org/bot)", Rate::per_second(50))?;
/// let plain = Request::parse("https://api.example.com/items/7")?.header("x-trace", "7");
/// let begun = [plain.into_request(&client), "https://api.example.com/items/8".into_request(&client)];
/// # assert_eq!(begun.len(), 2);
/// # Ok::<(), Error>(())
/// ```
pub trait IntoRequest {
    /// Returns it as a request of `client`.
    fn into_request(self, client: &ThrottledClient) -> RequestBuilder;
}

impl IntoRequest for RequestBuilder {
    fn into_request(self, _: &ThrottledClient) -> RequestBuilder {
        self
    }
}

impl IntoRequest for Request {
    fn into_request(self, client: &ThrottledClient) -> RequestBuilder {
        RequestBuilder::of(client.clone(), self)
    }
}

impl IntoRequest for Url {
    fn into_request(self, client: &ThrottledClient) -> RequestBuilder {
        client.request(Method::GET, self)
    }
}

impl IntoRequest for String {
    fn into_request(self, client: &ThrottledClient) -> RequestBuilder {
        client.get(self)
    }
}

impl IntoRequest for &str {
    fn into_request(self, client: &ThrottledClient) -> RequestBuilder {
        client.get(self)
    }
}

impl ThrottledClient {
    /// Makes all requests at the highest rate that is allowed, and reads each response with `read`.
    pub fn execute<'a, I, F, Fut, T>(&self, requests: I, read: F) -> Execution<'a, I::IntoIter, F>
    where
        I: IntoIterator<Item: IntoRequest>,
        F: Fn(Response) -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        Execution { client: self.clone(), requests: requests.into_iter(), read, progress: None }
    }
}

impl<'a, I, F> Execution<'a, I, F> {
    /// Sets a function to call after each completed request. It must not block.
    pub fn progress(mut self, call: impl FnMut(ExecutionProgress) + Send + 'a) -> Self {
        self.progress = Some(Box::new(call));
        self
    }

    /// Ends with the first failure. Requests that still wait are not sent.
    pub fn fail_fast(self) -> FailFast<'a, I, F> {
        FailFast(self)
    }

    /// Returns a stream of the results as they complete.
    pub fn unordered<Fut, T>(self) -> impl Stream<Item = Completion<T>> + use<'a, I, F, Fut, T>
    where
        I: Iterator<Item: IntoRequest>,
        F: Fn(Response) -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        let begun = Begun::new(self, run);
        stream::unfold(begun, |mut begun| async move { Some((begun.next(None).await?, begun)) })
    }

    /// Returns a stream of the results in the order of the requests. A late result delays those after it: at most about
    /// as many as may be in flight are held back.
    pub fn ordered<Fut, T>(self) -> impl Stream<Item = Completion<T>> + use<'a, I, F, Fut, T>
    where
        I: Iterator<Item: IntoRequest>,
        F: Fn(Response) -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        let begun = Begun::new(self, run);
        stream::unfold((begun, BTreeMap::new(), 0), |(mut begun, mut early, wanted)| async move {
            let result = loop {
                if let Some(result) = early.remove(&wanted) {
                    break result;
                }
                let Completion { index, result } = begun.next(Some(early.len())).await?;
                early.insert(index, result);
            };
            Some((Completion { index: wanted, result }, (begun, early, wanted + 1)))
        })
    }
}

impl<'a, I, F, Fut, T> IntoFuture for Execution<'a, I, F>
where
    I: Iterator<Item: IntoRequest> + Send + 'a,
    F: Fn(Response) -> Fut + Send + Sync + 'a,
    Fut: Future<Output = Result<T>> + Send + 'a,
    T: Send + 'a,
{
    type Output = Vec<Result<T>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let mut completions: Vec<_> = self.unordered().collect().await;
            completions.sort_unstable_by_key(|completion| completion.index);
            completions.into_iter().map(|completion| completion.result).collect()
        })
    }
}

impl<'a, I, F, Fut, T> IntoFuture for FailFast<'a, I, F>
where
    I: Iterator<Item: IntoRequest> + Send + 'a,
    F: Fn(Response) -> Fut + Send + Sync + 'a,
    Fut: Future<Output = Result<T>> + Send + 'a,
    T: Send + 'a,
{
    type Output = Result<Vec<T>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let mut completions = pin!(self.0.unordered());
            let mut results = Vec::new();
            while let Some(Completion { index, result }) = completions.next().await {
                results.push((index, result?));
            }
            results.sort_unstable_by_key(|(index, _)| *index);
            Ok(results.into_iter().map(|(_, result)| result).collect())
        })
    }
}
