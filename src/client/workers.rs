//! ClientWorkers: the network threads of a client, each an arbiter with its own connections. No caller's code runs
//! there, so callers that block do not disturb them. Knows no limits and queues.

use std::{
    future::Future,
    io,
    rc::Rc,
    sync::{Arc, Mutex, PoisonError, Weak},
    thread,
};

use actix_rt::System;
use tokio::{
    runtime::{Builder, Handle},
    sync::mpsc,
};

use super::{
    attempt::{AfterAttempt, Rules, attempt},
    domain_queue::Undispatched,
    job::{ClientJob, JobQueue},
};
use crate::{
    clock,
    fetcher::{fetch::Fetch, stack::FetchStack},
    permit::Permit,
};

/// The workers. They start when first needed and end with the last clone of the client.
pub struct ClientWorkers {
    slots: Box<[WorkerSlot]>,
    parts: WorkerParts,
}

/// What every worker is created with.
#[derive(Clone)]
struct WorkerParts {
    fetch: FetchStack,
    rules: Arc<Rules>,
}

/// The slot of one worker.
#[derive(Default)]
struct WorkerSlot {
    worker: Mutex<Option<Worker>>,
    /// Cloned into every task; the reference count tells how many tasks the worker has.
    tasks: Arc<()>,
}

struct Worker {
    // Unbounded as a channel, bounded by its content: each task has a permit, and permits are counted.
    inbox: mpsc::UnboundedSender<Task>,
    runtime: Handle,
}

/// A job and the permit to attempt it.
struct Task {
    permit: Permit,
    job: ClientJob,
    queue: Weak<dyn JobQueue>,
    /// Held until the attempt has ended.
    in_hand: Arc<()>,
}

/// A worker with fewer tasks than this is used before the next is started: few requests need few connections, which are
/// best kept alive on one thread.
const MAX_TASKS_BEFORE_NEXT: usize = 64;

impl ClientWorkers {
    /// Creates the slots for at most `max` workers.
    pub fn new(max: usize, fetch: FetchStack, rules: Rules) -> Self {
        let slots = (0..max.max(1)).map(|_| WorkerSlot::default()).collect();
        Self { slots, parts: WorkerParts { fetch, rules: rules.into() } }
    }

    /// Gives a job and its permit to a worker; if the job has to wait again, it returns to `queue`.
    ///
    /// # Errors
    /// The system cannot start a thread; permit and job are returned.
    pub fn assign(&self, queue: Weak<dyn JobQueue>, permit: Permit, job: ClientJob) -> Result<(), Box<Undispatched>> {
        let Some(slot) = self.choose() else {
            return Err(Box::new(Undispatched { error: io::ErrorKind::NotFound.into(), permit, job }));
        };
        let Err(undispatched) = self.give(slot, queue.clone(), permit, job) else { return Ok(()) };
        // If the system refuses another worker, a running one takes the task.
        let Some(other) = self.slots.iter().find(|slot| slot.is_running()) else { return Err(undispatched) };
        let Undispatched { permit, job, .. } = *undispatched;
        self.give(other, queue, permit, job)
    }

    /// Gives a job and its permit to the worker of a slot, which is started if there is none.
    fn give(
        &self,
        slot: &WorkerSlot,
        queue: Weak<dyn JobQueue>,
        permit: Permit,
        job: ClientJob,
    ) -> Result<(), Box<Undispatched>> {
        let refused = |error, Task { permit, job, .. }| Err(Box::new(Undispatched { error, permit, job }));
        let mut task = Task { permit, job, queue, in_hand: slot.tasks.clone() };
        let mut worker = slot.worker.lock().unwrap_or_else(PoisonError::into_inner);
        // A dead worker is replaced once.
        for _ in 0..2 {
            let inbox = match self.start(&mut worker) {
                Ok(worker) => &worker.inbox,
                Err(error) => return refused(error, task),
            };
            match inbox.send(task) {
                Ok(()) => return Ok(()),
                Err(mpsc::error::SendError(back)) => task = back,
            }
            *worker = None;
        }
        refused(io::ErrorKind::BrokenPipe.into(), task)
    }

    /// Runs a future on the first worker's thread.
    ///
    /// # Errors
    /// The system cannot start a thread.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        let Some(slot) = self.slots.first() else { return Err(io::ErrorKind::NotFound.into()) };
        let mut worker = slot.worker.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.start(&mut worker)?.runtime.spawn(future));
        Ok(())
    }

    fn choose(&self) -> Option<&WorkerSlot> {
        let with_room = self.slots.iter().find(|slot| slot.tasks_in_hand() < MAX_TASKS_BEFORE_NEXT);
        with_room.or_else(|| self.slots.iter().min_by_key(|slot| slot.tasks_in_hand()))
    }

    fn start<'a>(&self, worker: &'a mut Option<Worker>) -> io::Result<&'a Worker> {
        if worker.as_ref().is_some_and(|worker| worker.inbox.is_closed()) {
            tracing::error!("a worker of the throttled client died and is replaced");
            *worker = None;
        }
        match worker {
            Some(worker) => Ok(worker),
            None => Ok(worker.insert(Worker::start(self.parts.clone())?)),
        }
    }
}

impl WorkerSlot {
    fn is_running(&self) -> bool {
        let worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner);
        worker.as_ref().is_some_and(|worker| !worker.inbox.is_closed())
    }

    fn tasks_in_hand(&self) -> usize {
        Arc::strong_count(&self.tasks) - 1
    }
}

impl Worker {
    fn start(parts: WorkerParts) -> io::Result<Self> {
        let (inbox, tasks) = mpsc::unbounded_channel();
        if clock::is_virtual() {
            drop(actix_rt::spawn(work(parts, tasks)));
            return Ok(Self { inbox, runtime: Handle::current() });
        }
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        thread::Builder::new().name("throttled-client".to_owned()).spawn(move || {
            let system = System::with_tokio_rt(move || runtime);
            system.block_on(work(parts, tasks));
        })?;
        Ok(Self { inbox, runtime: handle })
    }
}

/// Runs tasks until the client is dropped, and with it all callers.
async fn work(WorkerParts { fetch, rules }: WorkerParts, mut tasks: mpsc::UnboundedReceiver<Task>) {
    let fetch: Rc<dyn Fetch> = fetch.build().into();
    while let Some(task) = tasks.recv().await {
        // Each in its own future, so that a panic ends only this request.
        drop(actix_rt::spawn(run(task, fetch.clone(), rules.clone())));
    }
}

/// Makes an attempt and handles what follows.
async fn run(Task { permit, job, queue, in_hand }: Task, fetch: Rc<dyn Fetch>, rules: Arc<Rules>) {
    let next = attempt(permit, job, &*fetch, &rules).await;
    drop(in_hand);
    let AfterAttempt::Again(mut job, wait) = next else { return };
    // The client may end meanwhile, and its callers with it.
    if (wait.is_zero() || job.pause(wait).await)
        && let Some(queue) = queue.upgrade()
    {
        queue.requeue(*job);
    }
}
