//! Crew: the worker threads of a client, each an arbiter with connections of its own. Blocked callers do not disturb
//! them, since nothing of the caller's runs there. Knows no limits.

use std::{
    future::Future,
    io,
    rc::Rc,
    sync::{Arc, Mutex, PoisonError, Weak},
    thread,
};

use actix_rt::System;
use http::HeaderValue;
use tokio::{
    runtime::{Builder, Handle},
    sync::mpsc,
};

use super::{Shared, attempt, domain_queue::Undispatched, job::Job};
use crate::{
    fetcher::http::Http,
    permit::Permit,
    transport::{SharedTransport, Transport, body::BodyLimits},
};

/// The workers. They start when they are first needed and end with the last clone of the client.
pub struct Crew {
    workers: Box<[Post]>,
    transport: SharedTransport,
    user_agent: HeaderValue,
}

/// One worker's place.
#[derive(Default)]
struct Post {
    worker: Mutex<Option<Worker>>,
    /// Cloned into every errand: its count tells how many the worker has in hand.
    seats: Arc<()>,
}

struct Worker {
    // Unbounded as a queue, bounded by what it holds: an errand has a permit, and those are counted.
    inbox: mpsc::UnboundedSender<Errand>,
    runtime: Handle,
}

/// A permit and what it is for.
pub struct Errand {
    /// Leave to make the request.
    pub permit: Permit,
    /// The request.
    pub job: Job,
    /// The client that it is of.
    pub client: Weak<Shared>,
    /// Held until the attempt is over.
    pub seat: Arc<()>,
}

/// Requests that one worker has in hand before the next is asked: few requests need few connections, and those are
/// kept alive on one thread.
const FULL_HANDS: usize = 64;

impl Crew {
    /// Plans for at most `size` workers.
    pub fn new(size: usize, transport: SharedTransport, user_agent: HeaderValue) -> Self {
        Self { workers: (0..size.max(1)).map(|_| Post::default()).collect(), transport, user_agent }
    }

    /// Gives a permit and its job to a worker.
    ///
    /// # Errors
    /// The system refuses a thread; permit and job come back.
    pub fn take_on(&self, client: Weak<Shared>, permit: Permit, job: Job) -> Result<(), Box<Undispatched>> {
        let refused = |error, permit, job| Err(Box::new(Undispatched { error, permit, job }));
        let Some(post) = self.choose() else {
            return refused(io::ErrorKind::NotFound.into(), permit, job);
        };
        let mut errand = Errand { permit, job, client, seat: post.seats.clone() };
        let mut worker = post.worker.lock().unwrap_or_else(PoisonError::into_inner);
        // A worker that died is replaced, once.
        for _ in 0..2 {
            let inbox = match self.start(&mut worker) {
                Ok(worker) => &worker.inbox,
                Err(error) => return refused(error, errand.permit, errand.job),
            };
            match inbox.send(errand) {
                Ok(()) => return Ok(()),
                Err(mpsc::error::SendError(back)) => errand = back,
            }
            *worker = None;
        }
        refused(io::ErrorKind::BrokenPipe.into(), errand.permit, errand.job)
    }

    /// Runs a task beside the first worker's requests.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        let Some(post) = self.workers.first() else { return Err(io::ErrorKind::NotFound.into()) };
        let mut worker = post.worker.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.start(&mut worker)?.runtime.spawn(task));
        Ok(())
    }

    /// Returns how large a body may be.
    pub fn body_limits(&self) -> BodyLimits {
        self.transport.settings().body
    }

    fn choose(&self) -> Option<&Post> {
        let with_room = self.workers.iter().find(|post| post.busy() < FULL_HANDS);
        with_room.or_else(|| self.workers.iter().min_by_key(|post| post.busy()))
    }

    fn start<'a>(&self, worker: &'a mut Option<Worker>) -> io::Result<&'a Worker> {
        if worker.as_ref().is_some_and(|worker| worker.inbox.is_closed()) {
            tracing::error!("a worker of the throttled client died and is replaced");
            *worker = None;
        }
        match worker {
            Some(worker) => Ok(worker),
            None => Ok(worker.insert(Worker::start(self.transport.clone(), self.user_agent.clone())?)),
        }
    }
}

impl Post {
    fn busy(&self) -> usize {
        Arc::strong_count(&self.seats) - 1
    }
}

impl Worker {
    fn start(transport: SharedTransport, user_agent: HeaderValue) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (inbox, errands) = mpsc::unbounded_channel();
        thread::Builder::new().name("throttled-client".to_owned()).spawn(move || {
            let system = System::with_tokio_rt(move || runtime);
            system.block_on(work(transport, user_agent, errands));
        })?;
        Ok(Self { inbox, runtime: handle })
    }
}

/// Makes requests until the client is gone, and with it everybody who waits.
async fn work(transport: SharedTransport, user_agent: HeaderValue, mut errands: mpsc::UnboundedReceiver<Errand>) {
    let http = Rc::new(Http::new(Transport::new(transport), user_agent));
    while let Some(errand) = errands.recv().await {
        // A task of its own, so that a panic ends this request and no other.
        drop(actix_rt::spawn(attempt::attempt(errand, http.clone())));
    }
}
