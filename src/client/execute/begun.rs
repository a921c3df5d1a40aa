//! Begun: a running execution: which of its requests are in progress, and which wait for others of their domain. Knows
//! no limits.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use futures_util::{StreamExt, stream::FuturesUnordered};

use super::{Completion, Execution, ExecutionProgress, IntoRequest};
use crate::{
    client::{RequestBuilder, Response, ThrottledClient},
    domain::Domain,
    error::Result,
};

/// A running execution. `R` starts a request; `Run` is the future of one.
pub struct Begun<'a, I, F, R, Run> {
    client: ThrottledClient,
    requests: I,
    read: Arc<F>,
    start: R,
    report: Option<Box<dyn FnMut(ExecutionProgress) + Send + 'a>>,
    progress: ExecutionProgress,
    /// How many were taken from the iterator.
    taken: usize,
    /// How many of them wait here.
    waiting: usize,
    domains: HashMap<Domain, BegunRequests>,
    running: FuturesUnordered<Run>,
}

/// The requests of one domain.
#[derive(Default)]
struct BegunRequests {
    /// How many are under way.
    running: usize,
    /// Those that are started when others have ended, with their places among all.
    waiting: VecDeque<(usize, RequestBuilder)>,
}

/// The most requests of a domain that wait in the client beyond those in flight, so that the next is ready when a
/// permit comes.
const MAX_LOOK_AHEAD: usize = 32;

/// The most requests that are taken beyond those that may be in flight to one domain, some 5 MB: they wait for others
/// of their domain, and those of other domains may come after them.
const MAX_WAITING: usize = 10_000;

/// Sends one request and reads its response. Returns its domain too.
pub async fn run<F, Fut, T>(
    index: usize,
    domain: Domain,
    request: RequestBuilder,
    read: Arc<F>,
) -> (Domain, Completion<T>)
where
    F: Fn(Response) -> Fut,
    Fut: Future<Output = Result<T>>,
{
    let result = match request.send().await {
        Ok(response) => read(response).await,
        Err(error) => Err(error),
    };
    (domain, Completion { index, result })
}

impl<'a, I, F, R, Run, T> Begun<'a, I, F, R, Run>
where
    I: Iterator<Item: IntoRequest>,
    R: Fn(usize, Domain, RequestBuilder, Arc<F>) -> Run,
    Run: Future<Output = (Domain, Completion<T>)>,
{
    /// Begins an execution.
    pub fn new(execution: Execution<'a, I, F>, start: R) -> Self {
        let Execution { client, requests, read, progress: report } = execution;
        let total = match requests.size_hint() {
            (least, Some(most)) if least == most => Some(most as u64),
            _ => None,
        };
        Self {
            client,
            requests,
            read: Arc::new(read),
            start,
            report,
            progress: ExecutionProgress { done: 0, failed: 0, total },
            taken: 0,
            waiting: 0,
            domains: HashMap::new(),
            running: FuturesUnordered::new(),
        }
    }

    /// Returns the next result. `kept_back` is the number of results that an ordered stream holds for an earlier one.
    /// They count as in flight, and no request is taken from the iterator that would have to wait here.
    pub async fn next(&mut self, kept_back: Option<usize>) -> Option<Completion<T>> {
        let most = self.client.shared.queues.concurrency().saturating_add(MAX_LOOK_AHEAD);
        let has_room = |this: &Self| match kept_back {
            Some(kept_back) => this.running.len() + kept_back < most,
            None => this.waiting + this.running.len() < most.saturating_add(MAX_WAITING),
        };
        // At least one request must run; otherwise there would never be a next result.
        while self.running.is_empty() || has_room(self) {
            let Some(request) = self.requests.next() else { break };
            let request = request.into_request(&self.client);
            // One without a valid URL ends at once.
            let domain = request.domain().unwrap_or_else(|| Domain::new(""));
            let of_domain = self.domains.entry(domain.clone()).or_default();
            of_domain.waiting.push_back((self.taken, request));
            (self.taken, self.waiting) = (self.taken + 1, self.waiting + 1);
            self.start_some(&domain, most);
        }
        let (domain, completion) = self.running.next().await?;
        self.ended(&domain, most);
        self.progress.done += 1;
        self.progress.failed += u64::from(completion.result.is_err());
        if let Some(report) = &mut self.report {
            report(self.progress);
        }
        Some(completion)
    }

    /// Starts requests of a domain, up to so many under way.
    fn start_some(&mut self, domain: &Domain, most: usize) {
        let Some(of_domain) = self.domains.get_mut(domain) else { return };
        while of_domain.running < most
            && let Some((index, request)) = of_domain.waiting.pop_front()
        {
            of_domain.running += 1;
            self.waiting -= 1;
            self.running.push((self.start)(index, domain.clone(), request, self.read.clone()));
        }
    }

    /// Starts what has waited for the end of a request of the domain.
    fn ended(&mut self, domain: &Domain, most: usize) {
        let Some(of_domain) = self.domains.get_mut(domain) else { return };
        of_domain.running -= 1;
        if of_domain.running == 0 && of_domain.waiting.is_empty() {
            self.domains.remove(domain);
        } else {
            self.start_some(domain, most);
        }
    }
}
