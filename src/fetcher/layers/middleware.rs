//! Middleware: calls a user's middleware around each request, where a panic or a hook that never returns fails its page
//! only. Does not know what a middleware does.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use tokio::time::timeout;
use url::Url;

use crate::{
    clock,
    conduct::cooling::CoolingCause,
    fetcher::{
        fetch::{Fetch, FetchContext, FetchResult, Fetching, NoResponse},
        layer::Layer,
        offload::{NoResult, Offload},
    },
    middleware::{AnyMiddleware, Attempt, Decision, DynAsyncMiddleware, Middleware, Received, Refuse},
    outcome::{FetchError, Outcome},
    permit::{Permit, Tenancy},
    request::{Kind, Request},
    stats::count::Count,
    text::panic_message::message_of,
    transport::body::BodyLimits,
};

/// The recipe: all middleware of a crawl or a client, in their order.
pub struct MiddlewareLayer {
    steps: Arc<[Step]>,
    offload: Offload,
    limits: BodyLimits,
    judges_responses: bool,
}

/// Middleware that runs in one go: blocking ones that follow each other share the way to a thread and back.
enum Step {
    Blocking(Arc<[Arc<dyn Middleware>]>),
    Async(Arc<dyn DynAsyncMiddleware>),
}

/// The layer of one arbiter.
struct Middlewares {
    inner: Box<dyn Fetch>,
    steps: Arc<[Step]>,
    offload: Offload,
    limits: BodyLimits,
    judges_responses: bool,
}

/// What a middleware made of a request or a response, other than letting it pass.
struct Intervention {
    by: &'static str,
    what: What,
}

enum What {
    Refused(String),
    Skipped(String),
    Retry { after: Duration, why: String },
    Cool { rest: Duration, why: String },
    RefusedSession(String),
    Panicked(String),
    Failed(String),
}

impl MiddlewareLayer {
    /// Plans the layer; blocking hooks run on the threads of `offload`, and its time limit is that of all hooks.
    pub fn new(middleware: Vec<AnyMiddleware>, offload: Offload, limits: BodyLimits) -> Self {
        let mut steps = Vec::new();
        let mut blocking = Vec::new();
        for middleware in middleware {
            match middleware {
                AnyMiddleware::Blocking(middleware) => blocking.push(middleware),
                AnyMiddleware::Async(middleware) => {
                    push_blocking(&mut steps, &mut blocking);
                    steps.push(Step::Async(middleware));
                }
            }
        }
        push_blocking(&mut steps, &mut blocking);
        Self { steps: steps.into(), offload, limits, judges_responses: true }
    }

    /// Calls only the hooks before a request is sent.
    #[must_use]
    pub fn before_only(self) -> Self {
        Self { judges_responses: false, ..self }
    }
}

fn push_blocking(steps: &mut Vec<Step>, blocking: &mut Vec<Arc<dyn Middleware>>) {
    if !blocking.is_empty() {
        steps.push(Step::Blocking(std::mem::take(blocking).into()));
    }
}

impl Layer for MiddlewareLayer {
    fn wrap(&self, inner: Box<dyn Fetch>) -> Box<dyn Fetch> {
        let Self { steps, offload, limits, judges_responses } = self;
        let (steps, offload) = (steps.clone(), offload.clone());
        Box::new(Middlewares { inner, steps, offload, limits: *limits, judges_responses: *judges_responses })
    }
}

impl Fetch for Middlewares {
    fn fetch<'a>(&'a self, permit: Permit, request: &'a Request, context: FetchContext<'a>) -> Fetching<'a> {
        Box::pin(self.attempt(permit, request, context))
    }
}

impl Middlewares {
    async fn attempt(&self, permit: Permit, request: &Request, context: FetchContext<'_>) -> FetchResult {
        let domain = permit.domain().clone();
        let attempt = |time| Attempt::new(context.attempt, domain.clone(), time);
        let begun = clock::now();
        let mut sent = request.clone();
        for step in &*self.steps {
            match self.before(step, sent, attempt(clock::wall())).await {
                Ok(changed) => sent = changed,
                Err(intervention) => {
                    let counts = vec![intervention.count()];
                    let ended = Err(NoResponse::Ended(Box::new(intervention.outcome())));
                    return FetchResult { counts, ..FetchResult::offline(ended) };
                }
            }
        }
        let tenancy = permit.tenancy();
        let mut result = self.inner.fetch(permit, &sent, context).await;
        result.sent_to = Some(&sent.url).filter(|sent_to| **sent_to != request.url).cloned();
        if !self.judges_responses || request.kind() != Kind::Page || is_not_told(&result) {
            return result;
        }
        let sent = Arc::new(sent);
        for step in &*self.steps {
            if let Some(intervention) = self.after(step, &sent, &result, attempt(clock::wall())).await {
                result.counts.push(intervention.count());
                intervene(&mut result, intervention, &tenancy, begun);
                break;
            }
        }
        result
    }

    /// Calls the hooks before a request is sent. They get a copy that they may change.
    async fn before(&self, step: &Step, mut request: Request, attempt: Attempt) -> Result<Request, Intervention> {
        let (url, domain) = (request.url.clone(), request.domain.clone());
        let mut changed = match step {
            Step::Blocking(middleware) => {
                let call = move |request: &mut Request, middleware: &dyn Middleware| {
                    checked(middleware.before(request, &attempt), request, &url)
                };
                self.run(middleware, move |middleware, current| {
                    for (index, middleware) in middleware.iter().enumerate() {
                        current.store(index, Ordering::Relaxed);
                        call(&mut request, &**middleware)
                            .map_err(|what| Intervention { by: middleware.name(), what })?;
                    }
                    Ok(request)
                })
                .await??
            }
            Step::Async(middleware) => {
                let by = middleware.name();
                let refused = self.poll(by, async { middleware.before(&mut request, &attempt).await }).await?;
                checked(refused, &request, &url).map_err(|what| Intervention { by, what })?;
                request
            }
        };
        // The permit is one of this domain, whatever the hooks made of the request.
        changed.domain = domain;
        Ok(changed)
    }

    /// Calls the hooks after a response has come, or has not.
    async fn after(
        &self,
        step: &Step,
        request: &Arc<Request>,
        result: &FetchResult,
        attempt: Attempt,
    ) -> Option<Intervention> {
        let answer = match &result.response {
            Ok(raw) => Ok(Received::new(request.clone(), raw, result.receipt.elapsed, self.limits)),
            Err(NoResponse::Failed(error)) => Err(error.clone()),
            Err(NoResponse::Unsent | NoResponse::SessionRests(_) | NoResponse::Ended(_)) => return None,
        };
        let decided = match step {
            Step::Blocking(middleware) => {
                let request = request.clone();
                self.run(middleware, move |middleware, current| {
                    middleware.iter().enumerate().find_map(|(index, middleware)| {
                        current.store(index, Ordering::Relaxed);
                        let decision = match &answer {
                            Ok(received) => middleware.after(&request, received, &attempt),
                            Err(error) => middleware.failed(&request, error, &attempt),
                        };
                        Intervention::of(middleware.name(), decision)
                    })
                })
                .await
            }
            Step::Async(middleware) => {
                let by = middleware.name();
                let hook = async {
                    match &answer {
                        Ok(received) => middleware.after(request, received, &attempt).await,
                        Err(error) => middleware.failed(request, error, &attempt).await,
                    }
                };
                self.poll(by, hook).await.map(|decision| Intervention::of(by, decision))
            }
        };
        decided.unwrap_or_else(Some)
    }

    /// Runs blocking hooks on a thread beside the network's; `current` tells which of them is to blame.
    async fn run<T: Send + 'static>(
        &self,
        middleware: &Arc<[Arc<dyn Middleware>]>,
        hooks: impl FnOnce(&[Arc<dyn Middleware>], &AtomicUsize) -> T + Send + 'static,
    ) -> Result<T, Intervention> {
        let current = Arc::new(AtomicUsize::new(0));
        let work = {
            let (middleware, current) = (middleware.clone(), current.clone());
            move || hooks(&middleware, &current)
        };
        self.offload.run(work).await.map_err(|lost| {
            let by =
                middleware.get(current.load(Ordering::Relaxed)).map_or("middleware", |middleware| middleware.name());
            let what = match lost {
                NoResult::Panicked(message) => What::Panicked(message),
                NoResult::TimedOut(limit) => What::Failed(too_long(limit)),
                NoResult::Ended => What::Failed("was not called: its crawl or client has ended".to_owned()),
            };
            Intervention { by, what }
        })
    }

    /// Polls an async hook on this thread, for no longer than the time limit.
    async fn poll<T>(&self, by: &'static str, hook: impl Future<Output = T>) -> Result<T, Intervention> {
        let limit = self.offload.time_limit();
        match timeout(limit, AssertUnwindSafe(hook).catch_unwind()).await {
            Ok(Ok(output)) => Ok(output),
            Ok(Err(panic)) => Err(Intervention { by, what: What::Panicked(message_of(&*panic).to_owned()) }),
            Err(_) => Err(Intervention { by, what: What::Failed(too_long(limit)) }),
        }
    }
}

/// A request that is queued again without an attempt, as after a fault of this machine, says nothing about its domain.
fn is_not_told(result: &FetchResult) -> bool {
    matches!(
        result.response,
        Err(NoResponse::Unsent
            | NoResponse::SessionRests(_)
            | NoResponse::Ended(_)
            | NoResponse::Failed(FetchError::Local(..)))
    )
}

fn too_long(limit: Duration) -> String {
    format!("did not return within {}", humantime::format_duration(limit))
}

/// A request may not leave the origin that its permit, its robots file and its credentials are for.
fn checked(refused: Result<(), Refuse>, request: &Request, url: &Url) -> Result<(), What> {
    refused.map_err(|Refuse(why)| What::Refused(why))?;
    let origin = |url: &Url| (url.scheme().to_owned(), url.host_str().map(str::to_owned), url.port());
    if origin(&request.url) == origin(url) {
        Ok(())
    } else {
        Err(What::Failed(format!("changed the origin of {url} to that of {}", request.url)))
    }
}

/// Does what a middleware decided about a response.
fn intervene(result: &mut FetchResult, intervention: Intervention, tenancy: &Tenancy, begun: Instant) {
    // A refused request waits for its domain, whatever a middleware decides.
    let is_refusal = result.cooled.is_some() && result.response.is_ok();
    if let What::Cool { rest, .. } = &intervention.what {
        let why = result.receipt.status.map_or(CoolingCause::Unreachable, CoolingCause::Status);
        let started = result.receipt.started.unwrap_or(begun);
        let rested = tenancy.rest(started, clock::now(), why, *rest);
        result.cooled = Some(result.cooled.take().map_or(rested, |refused| refused.prolonged(&rested)));
    }
    result.refuses_session |= matches!(intervention.what, What::RefusedSession(_));
    if !is_refusal {
        result.response = Err(NoResponse::Ended(Box::new(intervention.outcome())));
    }
}

impl Intervention {
    fn of(by: &'static str, decision: Decision) -> Option<Self> {
        let what = match decision {
            Decision::Pass => return None,
            Decision::Skip(why) => What::Skipped(why),
            Decision::Retry { after, why } => What::Retry { after, why },
            Decision::Cool { rest, why } => What::Cool { rest, why },
            Decision::RefuseSession(why) => What::RefusedSession(why),
        };
        Some(Self { by, what })
    }

    fn count(&self) -> Count {
        Count::Middleware(
            self.by,
            match &self.what {
                What::Refused(_) => "refused",
                What::Skipped(_) => "skipped",
                What::Retry { .. } => "retried",
                What::Cool { .. } => "cooled",
                What::RefusedSession(_) => "refused_session",
                What::Panicked(_) => "panicked",
                What::Failed(_) => "failed",
            },
        )
    }

    fn outcome(self) -> Outcome {
        let by = self.by;
        match self.what {
            What::Refused(why) => Outcome::Ignored { by, why },
            What::Skipped(why) => Outcome::Skipped { by, why },
            What::Retry { after, why } | What::Cool { rest: after, why } => Outcome::Retry { by, why, after },
            What::RefusedSession(why) => Outcome::Retry { by, why, after: Duration::ZERO },
            What::Panicked(message) => Outcome::Panic(format!("middleware `{by}`: {message}")),
            What::Failed(why) => Outcome::Middleware(format!("`{by}` {why}")),
        }
    }
}
