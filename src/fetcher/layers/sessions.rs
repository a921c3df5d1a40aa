//! Sessions: sends each request in a session, and records which sessions are refused. Does not know what a log-in does.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use tokio::time::timeout;

use crate::{
    clock,
    error::{Error, Result},
    fetcher::{
        fetch::{Fetch, FetchContext, FetchResult, Fetching, NoResponse},
        layer::Layer,
        redirect,
    },
    outcome::{FetchError, Outcome},
    permit::Permit,
    request::{Kind, Request},
    sessions::{Choice, DEFAULT, LogIn, LogInTurn, RefusedBy, Session, SessionPool},
    stats::count::Count,
    text::panic_message::message_of,
    transport::ProxyUrl,
};

/// The recipe: the sessions, and who logs them in.
pub struct SessionLayer {
    pool: SessionPool,
    log_in: Option<Arc<dyn LogIn>>,
}

/// The layer of one arbiter.
struct InSessions {
    inner: Box<dyn Fetch>,
    pool: SessionPool,
    log_in: Option<Arc<dyn LogIn>>,
}

/// The longest that a log-in may take: its requests wait for permits of a domain that may be slow.
const MAX_LOG_IN: Duration = Duration::from_secs(300);

/// How long a request waits here for a log-in before it gives its place to others. It holds no permit meanwhile, since
/// the log-in may need that permit.
const MAX_WAIT_HERE: Duration = Duration::from_millis(250);

impl SessionLayer {
    /// Plans the layer.
    ///
    /// # Errors
    /// The proxy of a session is none.
    pub fn new(pool: SessionPool, log_in: Option<Arc<dyn LogIn>>) -> Result<Self> {
        for (name, proxy) in pool.proxies() {
            let proxy = ProxyUrl::new(&*proxy);
            let refused = |why| Error::setting(format!("proxy of session `{name}`"), format!("`{proxy}`: {why}"));
            proxy.parse().map_err(refused)?;
        }
        Ok(Self { pool, log_in })
    }
}

impl Layer for SessionLayer {
    fn wrap(&self, inner: Box<dyn Fetch>) -> Box<dyn Fetch> {
        Box::new(InSessions { inner, pool: self.pool.clone(), log_in: self.log_in.clone() })
    }
}

impl Fetch for InSessions {
    fn fetch<'a>(&'a self, permit: Permit, request: &'a Request, context: FetchContext<'a>) -> Fetching<'a> {
        Box::pin(self.attempt(permit, request, context))
    }
}

impl InSessions {
    async fn attempt(&self, permit: Permit, request: &Request, context: FetchContext<'_>) -> FetchResult {
        // A request that logs a session in is sent in that session, whatever its state.
        if let Some(session) = context.session {
            return self.send(permit, request, session, context).await;
        }
        let session = match self.session_of(request) {
            Ok(session) => session,
            Err(why_not) => {
                drop(permit);
                return FetchResult::offline(Err(why_not.response().await));
            }
        };
        let mut result = self.send(permit, request, &session, context).await;
        if request.kind() == Kind::Page {
            self.learn(&mut result, request, &session);
        }
        result.session = Some(session.by(result.proxy));
        result
    }

    async fn send(
        &self,
        permit: Permit,
        request: &Request,
        session: &Session,
        context: FetchContext<'_>,
    ) -> FetchResult {
        let context = FetchContext { session: Some(session), ..context };
        let proxy = session.proxy().filter(|_| request.proxy.is_none());
        let is_named = request.session_name().unwrap_or(DEFAULT) == session.name();
        if proxy.is_none() && is_named {
            return self.inner.fetch(permit, request, context).await;
        }
        let mut sent = request.clone();
        sent.set_session(session.name().into());
        if let Some(proxy) = proxy {
            sent.proxy = Some(proxy.clone());
        }
        self.inner.fetch(permit, &sent, context).await
    }

    fn session_of(&self, request: &Request) -> std::result::Result<Session, NoSession<'_>> {
        // The engine asks for these kinds, which are everyone's.
        if matches!(request.kind(), Kind::RobotsTxt | Kind::Sitemap(_))
            && let Some(session) = self.pool.default_session()
        {
            return Ok(session);
        }
        let news = self.pool.news();
        loop {
            return Err(match self.pool.choose(request.session_name(), clock::now()) {
                Choice::Use(session) => return Ok(session),
                Choice::LogIn(turn) => {
                    self.begin_log_in(turn);
                    continue;
                }
                Choice::Soon => NoSession::Soon(Box::pin(news)),
                Choice::NotBefore(at) => NoSession::Rests(at.saturating_duration_since(clock::now())),
                Choice::Never(why) => NoSession::Never(why),
            });
        }
    }

    /// Starts a log-in, which goes on whatever becomes of the request. If the arbiter ends, the log-in has failed.
    fn begin_log_in(&self, turn: LogInTurn) {
        let Some(log_in) = self.log_in.clone() else { return turn.end(Err("there is no function for it".to_owned())) };
        drop(actix_rt::spawn(async move {
            let session = turn.session().clone();
            // Called within the future, since the call itself may panic too.
            let logging_in = AssertUnwindSafe(async move { log_in.log_in(session).await }).catch_unwind();
            turn.end(match timeout(MAX_LOG_IN, logging_in).await {
                Ok(Ok(made)) => made,
                Ok(Err(panic)) => Err(format!("it panicked: {}", message_of(&*panic))),
                Err(_) => Err(format!("it did not return within {}", humantime::format_duration(MAX_LOG_IN))),
            });
        }));
    }

    /// Records a response that refuses the session. The request is made again, unless its domain cools and it waits for
    /// that anyway.
    fn learn(&self, result: &mut FetchResult, request: &Request, session: &Session) {
        let refused = match &result.response {
            _ if result.refuses_session => None,
            Ok(response) => {
                let sent_to = result.sent_to.as_ref().unwrap_or(&request.url);
                let to = redirect::target(response.status, &response.headers, sent_to);
                let path = to.as_ref().map(url::Url::path);
                if !self.pool.is_block(response.status, path) {
                    return;
                }
                let at = path.map(|path| format!(", and leads to {path}")).unwrap_or_default();
                Some(format!("{} answered {}{at}", session.name(), response.status))
            }
            // Its own retry follows, in another session where there is one.
            Err(NoResponse::Failed(FetchError::Proxy(_))) if session.proxy().is_some() && request.proxy.is_none() => {
                None
            }
            Err(_) => return,
        };
        session.refused(RefusedBy::Response, refused.as_deref().unwrap_or("its proxy failed, or a middleware said so"));
        result.counts.push(Count::SessionRefused);
        if let (Some(why), None) = (refused, &result.cooled) {
            let again = Outcome::Retry { by: "sessions", why, after: Duration::ZERO };
            result.response = Err(NoResponse::Ended(Box::new(again)));
        }
    }
}

/// Why a request has no session now.
enum NoSession<'a> {
    /// One is being logged in; the future is ready when a log-in has ended.
    Soon(std::pin::Pin<Box<dyn Future<Output = ()> + 'a>>),
    /// It rests for this time.
    Rests(Duration),
    /// There will be none.
    Never(String),
}

impl NoSession<'_> {
    async fn response(self) -> NoResponse {
        match self {
            Self::Soon(news) => {
                // Either way, the pool is asked again.
                drop(timeout(MAX_WAIT_HERE, news).await);
                NoResponse::SessionRests(Duration::ZERO)
            }
            Self::Rests(rest) => NoResponse::SessionRests(rest),
            Self::Never(why) => NoResponse::Failed(FetchError::Session(why)),
        }
    }
}
