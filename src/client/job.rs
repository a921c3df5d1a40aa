//! ClientJob: one request of a client, with the channel back to its caller. Does not know where it waits.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;
use url::Url;

use super::response::Undecoded;
use crate::{
    error::{Error, Result},
    fetcher::{http::is_idempotent, receipt::Receipt},
    request::Request,
    sessions::Session,
    transport::raw_response::RawResponse,
};

/// A request and the caller that waits for its response.
pub struct ClientJob {
    /// The request; that of the last hop after redirects.
    pub request: Request,
    /// Options of this request.
    pub options: RequestOptions,
    /// How often it was sent.
    pub attempts: u32,
    /// How many attempts failed; refusals do not count.
    pub failures: u32,
    /// How often it was refused; refusals of requests in flight together count once.
    pub refusals: u8,
    /// Whether it goes behind those that wait when it returns to the queue.
    pub goes_behind: bool,
    /// Since when a fault of this machine has held it up.
    pub held_up_since: Option<Instant>,
    /// The session that this request logs in. It is sent in that session, whatever its state.
    pub session: Option<Session>,
    /// Its number in the order of arrival. It decides the place in every queue, also when a job returns, unless that
    /// goes behind others.
    pub number: u64,
    reply: oneshot::Sender<Result<Undecoded>>,
}

/// Options of one request.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestOptions {
    /// The longest time from the writing to the last byte.
    pub timeout: Option<Duration>,
    /// Whether it may be repeated; by default its method decides.
    pub repeatable: Option<bool>,
}

/// The queues, as far as a worker needs them.
pub trait JobQueue: Send + Sync {
    /// Returns a job to the queue of its URL's domain.
    fn requeue(self: Arc<Self>, job: ClientJob);
}

impl ClientJob {
    /// Creates a job, and the receiver of its result.
    pub fn new(request: Request, options: RequestOptions, number: u64) -> (Self, oneshot::Receiver<Result<Undecoded>>) {
        let (reply, result) = oneshot::channel();
        let job = Self {
            request,
            options,
            attempts: 0,
            failures: 0,
            refusals: 0,
            goes_behind: false,
            held_up_since: None,
            session: None,
            number,
            reply,
        };
        (job, result)
    }

    /// Tells whether the request may be sent again after it was written. The caller decides, or else its method (RFC
    /// 9110 §9.2.2).
    pub fn may_repeat(&self) -> bool {
        self.options.repeatable.unwrap_or_else(|| is_idempotent(&self.request.method))
    }

    /// Tells whether the caller has given up.
    pub fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    /// Returns the request, and a future that is ready when the caller gives up.
    pub fn watched(&mut self) -> (&Request, impl Future<Output = ()>) {
        (&self.request, self.reply.closed())
    }

    /// Waits; false if the caller gives up meanwhile.
    pub async fn pause(&mut self, wait: Duration) -> bool {
        tokio::select! {
            () = self.reply.closed() => false,
            () = tokio::time::sleep(wait) => true,
        }
    }

    /// Sends the response to the caller, which may have just given up.
    pub fn deliver(self, mut response: RawResponse, receipt: Receipt, redirects_to: Option<Url>) {
        // The caller may keep the body long; release its share so that other bodies can be received.
        drop(response.release_memory());
        let Self { request, attempts, reply, .. } = self;
        drop(reply.send(Ok(Undecoded { request, response, receipt, attempts, redirects_to })));
    }

    /// Sends an error to the caller.
    pub fn fail(self, error: Error) {
        drop(self.reply.send(Err(error)));
    }

    /// Tells the caller that the system cannot start a thread.
    pub fn fail_to_start(self, error: &std::io::Error) {
        self.fail(Error::Start(std::io::Error::new(error.kind(), error.to_string())));
    }
}
