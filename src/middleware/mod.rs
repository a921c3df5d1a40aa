//! Middleware: a user's code around each request: before it is sent, when its answer has come, when there is none.
//! Knows no permits and no network; the layer `fetcher/layers/middleware.rs` calls it.

mod asynchronous;
mod default_headers;
mod functions;
mod near_duplicates;
mod received;
mod rotating_user_agents;
mod soft_block;

use std::{sync::Arc, time::Duration};

pub(crate) use self::asynchronous::DynAsyncMiddleware;
pub use self::{
    asynchronous::AsyncMiddleware,
    default_headers::DefaultHeaders,
    functions::{AfterResponse, BeforeRequest, after_response, before_request},
    received::Received,
    rotating_user_agents::RotatingUserAgents,
    soft_block::SoftBlock,
};
use crate::{domain::Domain, outcome::FetchError, request::Request};

/// Sees each attempt at a request, and may change it and what follows from it.
///
/// Several are called in the order in which they were given, for requests and for responses alike; the first decision
/// other than [`Decision::Pass`] stands. Each has a name, under which the report counts what it decided:
/// `middleware/<name>/skipped`.
///
/// The hooks run on threads beside the network's, so they may compute and block. A hook that panics, or takes longer
/// than [`Settings::parse_timeout`](crate::Settings::parse_timeout), fails the page at hand and nothing else.
/// One that has to wait for other futures is an [`AsyncMiddleware`].
///
/// ```
/// use actix_crawler::{middleware::{Attempt, Decision, Middleware, Received, Refuse}, prelude::*};
///
/// /// Numbers the attempts for the server, and leaves out pages that are not in German.
/// struct German;
///
/// impl Middleware for German {
///     fn name(&self) -> &'static str {
///         "german"
///     }
///
///     fn before(&self, request: &mut Request, attempt: &Attempt) -> Result<(), Refuse> {
///         request.set_header("x-attempt", attempt.number.to_string());
///         Ok(())
///     }
///
///     fn after(&self, _: &Request, received: &Received, _: &Attempt) -> Decision {
///         match received.header("content-language") {
///             Some("de") | None => Decision::Pass,
///             Some(other) => Decision::skip(format!("it is in {other}")),
///         }
///     }
/// }
///
/// let titles = |page: &Response| -> Result<Parsed<String>> { Ok(Parsed::of(page.title().map(str::to_owned))) };
/// let crawler = Crawler::new(titles, "bot/1.0 (+https://example.org/bot)").middleware(German);
/// ```
pub trait Middleware: Send + Sync + 'static {
    /// Returns the name under which it is counted.
    fn name(&self) -> &'static str;

    /// Is called before the request is written, on each attempt, when its permit has been granted. It may change
    /// headers, proxy and body, and the path and query of the URL; a URL of another origin fails the page. The changes
    /// hold for this attempt only. Redirects, robots files, sitemaps and files of items are requests of their own and
    /// come here too.
    ///
    /// # Errors
    /// The request is not to be sent: its URL is dropped as `middleware/refused`. A robots file that is refused counts
    /// as one that could not be had.
    fn before(&self, request: &mut Request, attempt: &Attempt) -> Result<(), Refuse> {
        let _ = (request, attempt);
        Ok(())
    }

    /// Is called when the whole response has come, before the spider sees it; also for redirects and error statuses. Of
    /// a refusal that the domain rests for already, such as a 429, only [`Decision::Cool`] and
    /// [`Decision::RefuseSession`] have an effect, on the domain and on the session. Robots files and sitemaps do not
    /// come here.
    fn after(&self, request: &Request, received: &Received, attempt: &Attempt) -> Decision {
        let _ = (request, received, attempt);
        Decision::Pass
    }

    /// Is called when no whole response came. [`Decision::Pass`] leaves it to the crawl's
    /// [`Retry`](crate::retry::Retry). Robots files and sitemaps do not come here, nor does what a fault of this
    /// machine holds up.
    fn failed(&self, request: &Request, error: &FetchError, attempt: &Attempt) -> Decision {
        let _ = (request, error, attempt);
        Decision::Pass
    }
}

/// Which attempt at a request a middleware sees.
///
/// ```
/// use std::time::SystemTime;
///
/// use actix_crawler::{Domain, Request, middleware::{Attempt, Middleware, before_request}};
///
/// // A middleware is tested without a network.
/// let count = before_request("count", |request, attempt| {
///     request.set_header("x-attempt", attempt.number.to_string());
///     Ok(())
/// });
/// let mut request = Request::parse("https://e.org/")?;
/// count.before(&mut request, &Attempt::new(2, Domain::new("e.org"), SystemTime::now())).unwrap();
/// assert_eq!(request.headers, [("x-attempt".to_owned(), "2".to_owned())]);
/// # Ok::<(), actix_crawler::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// Its number, counted from 1.
    pub number: u32,
    /// The domain whose permit is used.
    pub domain: Domain,
    /// When the hook was called, by the calendar: signatures have a date.
    pub time: std::time::SystemTime,
}

impl Attempt {
    /// Describes an attempt, for a middleware's tests.
    pub fn new(number: u32, domain: Domain, time: std::time::SystemTime) -> Self {
        Self { number, domain, time }
    }
}

/// What follows from a response, or from its absence.
///
/// ```
/// use std::time::Duration;
///
/// use actix_crawler::middleware::Decision;
///
/// fn decide(status: u16) -> Decision {
///     match status {
///         420 => Decision::cool(Duration::from_secs(600), "calm down"),
///         456 => Decision::retry(Duration::from_secs(5), "not ready"),
///         451 => Decision::skip("withheld"),
///         _ => Decision::Pass,
///     }
/// }
/// assert_eq!(decide(200), Decision::Pass);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decision {
    /// It goes on as usual.
    #[default]
    Pass,
    /// The URL is dropped as `middleware/skipped`, for this reason.
    Skip(String),
    /// The request is made again, at the earliest after this time; a day at the most. It counts as an attempt: when
    /// [`Retry::attempts`](crate::retry::Retry) are used up, the URL fails as `retry`. A request whose method is not
    /// idempotent is repeated too.
    Retry {
        /// How long to wait.
        after: Duration,
        /// Why.
        why: String,
    },
    /// The whole domain is left alone for this time, by all crawls and clients that share its conduct, and the request
    /// is made again after it, as with [`Decision::Retry`]. Requests that are under way go on.
    Cool {
        /// How long.
        rest: Duration,
        /// Why.
        why: String,
    },
    /// The session is refused, for this reason: it rests or is logged in again, and the request is made again, in
    /// another where there is one; see [`sessions`](crate::sessions). As with [`Decision::Retry`], which it is where no
    /// cookies are kept, that counts as an attempt.
    RefuseSession(String),
}

impl Decision {
    /// Drops the URL.
    pub fn skip(why: impl Into<String>) -> Self {
        Self::Skip(why.into())
    }

    /// Makes the request again.
    pub fn retry(after: Duration, why: impl Into<String>) -> Self {
        Self::Retry { after, why: why.into() }
    }

    /// Leaves the domain alone, and then makes the request again.
    pub fn cool(rest: Duration, why: impl Into<String>) -> Self {
        Self::Cool { rest, why: why.into() }
    }

    /// Lets the session rest, or be logged in again, and makes the request again.
    pub fn refuse_session(why: impl Into<String>) -> Self {
        Self::RefuseSession(why.into())
    }
}

/// Why a request is not to be sent. Any error becomes one by `?`.
///
/// ```
/// use actix_crawler::middleware::{Refuse, before_request};
///
/// let signed_only = before_request("signed_only", |request, _| {
///     let has_key = request.url.query_pairs().any(|(name, _)| name == "key");
///     has_key.then_some(()).ok_or_else(|| Refuse::new("its URL has no key"))
/// });
/// # let _: &dyn actix_crawler::middleware::Middleware = &signed_only;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refuse(pub(crate) String);

impl Refuse {
    /// Refuses for this reason.
    pub fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl<E: std::error::Error> From<E> for Refuse {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// A middleware of either kind.
#[derive(Clone)]
pub(crate) enum AnyMiddleware {
    Blocking(Arc<dyn Middleware>),
    Async(Arc<dyn DynAsyncMiddleware>),
}

impl AnyMiddleware {
    /// Tells whether its hooks run on the threads of the network, which they may block.
    pub fn is_async(&self) -> bool {
        matches!(self, Self::Async(_))
    }
}

/// Puts the headers of the settings before a user's middleware, which then sees them.
pub(crate) fn with_headers(headers: DefaultHeaders, mut middleware: Vec<AnyMiddleware>) -> Vec<AnyMiddleware> {
    if !headers.is_empty() {
        middleware.insert(0, AnyMiddleware::Blocking(Arc::new(headers.normalised())));
    }
    middleware
}

impl std::fmt::Debug for AnyMiddleware {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Blocking(middleware) => middleware.name(),
            Self::Async(middleware) => middleware.name(),
        })
    }
}
