//! Job: one request on its way through line, worker and network, with the way back to its caller.

use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::{
    error::{Error, Result},
    fetcher::http::{Answer, is_idempotent},
    request::Request,
};

/// A request, and who waits for its answer.
pub struct Job {
    /// What is asked.
    pub request: Request,
    /// How it is asked.
    pub how: How,
    /// How often it was written.
    pub attempts: u32,
    /// How many of the attempts failed; a refusal for now is no failure.
    pub failures: u32,
    /// When it came, counted: its place in every line, also when it comes back.
    pub number: u64,
    reply: oneshot::Sender<Result<Delivered>>,
}

/// How a request is to be made.
#[derive(Clone, Copy, Debug, Default)]
pub struct How {
    /// The longest from the writing to the last byte.
    pub timeout: Option<Duration>,
    /// Whether it may be repeated; by default its method tells.
    pub repeatable: Option<bool>,
}

/// An answer on its way to the caller.
pub struct Delivered {
    /// What was asked, after redirects.
    pub request: Request,
    /// The answer, its body still encoded.
    pub answer: Answer,
    /// How often the request was written.
    pub attempts: u32,
    /// When the last attempt was written.
    pub started: Instant,
}

impl Job {
    /// Creates a job and the end at which its answer arrives.
    pub fn new(request: Request, how: How, number: u64) -> (Self, oneshot::Receiver<Result<Delivered>>) {
        let (reply, answer) = oneshot::channel();
        (Self { request, how, attempts: 0, failures: 0, number, reply }, answer)
    }

    /// Tells whether the request may be made again after it was written: the caller's word, or its method's
    /// (RFC 9110 §9.2.2).
    pub fn may_repeat(&self) -> bool {
        self.how.repeatable.unwrap_or_else(|| is_idempotent(&self.request.method))
    }

    /// Tells whether the caller has given up.
    pub fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    /// Returns what is sent, and the moment at which the caller gives up.
    pub fn watched(&mut self) -> (&Request, impl Future<Output = ()>) {
        (&self.request, self.reply.closed())
    }

    /// Waits for as long as the caller does; false once it has given up.
    pub async fn pause(&mut self, wait: Duration) -> bool {
        tokio::select! {
            () = self.reply.closed() => false,
            () = tokio::time::sleep(wait) => true,
        }
    }

    /// Hands the answer over. A caller that has just given up does not take it.
    pub fn deliver(self, mut answer: Answer, started: Instant) {
        // It may wait for its caller as long as that likes, and other bodies must not.
        drop(answer.release_memory());
        let Self { request, attempts, reply, .. } = self;
        drop(reply.send(Ok(Delivered { request, answer, attempts, started })));
    }

    /// Tells the caller that no answer came.
    pub fn fail(self, error: Error) {
        drop(self.reply.send(Err(error)));
    }

    /// Tells the caller that the system refuses a thread.
    pub fn fail_to_start(self, error: &std::io::Error) {
        self.fail(Error::Start(std::io::Error::new(error.kind(), error.to_string())));
    }
}
