//! ClientPlaces: the places in flight that a client takes of a shared capacity, and the queues of domains that wait for
//! one. Knows no jobs.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, Instant},
};

use super::{
    SharedClient,
    domain_queue::{Dispatcher, DomainQueue},
};
use crate::capacity::{Capacity, CapacityTenant, HasRoom, Place};

/// The client's turn at the places.
pub struct ClientPlaces {
    tenant: CapacityTenant,
    waiting: Arc<WaitingQueues>,
}

/// The queues that were refused a place, each once, the longest wait first.
struct WaitingQueues {
    queues: Mutex<VecDeque<Weak<DomainQueue>>>,
    client: Weak<SharedClient>,
}

/// How much longer the queues after the first wait for a notice: a client may have thousands.
const OTHERS_ASK_AGAIN: Duration = Duration::from_secs(1);

impl ClientPlaces {
    /// Takes turns at a capacity.
    pub fn of(capacity: &Capacity, client: Weak<SharedClient>) -> Self {
        let waiting = Arc::new(WaitingQueues { queues: Mutex::default(), client });
        let listener: Arc<dyn HasRoom> = waiting.clone();
        Self { tenant: capacity.join(&listener), waiting }
    }

    /// Takes a place for a queue.
    ///
    /// # Errors
    /// All are taken, or others go first. The queue is served when it has its turn; the instant is the latest.
    pub fn take(&self, queue: &Arc<DomainQueue>, now: Instant) -> Result<Place, Instant> {
        self.tenant.take(now).map_err(|at| if self.waiting.push(queue) { at } else { at + OTHERS_ASK_AGAIN })
    }
}

impl WaitingQueues {
    /// Adds a queue. Tells whether it is the first.
    fn push(&self, queue: &Arc<DomainQueue>) -> bool {
        let is_it = |known: &Weak<DomainQueue>| std::ptr::addr_eq(known.as_ptr(), Arc::as_ptr(queue));
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if !queues.iter().any(is_it) {
            queues.push_back(Arc::downgrade(queue));
        }
        queues.front().is_some_and(is_it)
    }

    /// Serves one queue after another, until one is refused a place.
    fn serve(&self) {
        let pop = || self.queues.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        while let Some(first) = pop() {
            let Some(queue) = first.upgrade() else { continue };
            queue.call_next();
            let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
            if queues.back().is_some_and(|last| Weak::ptr_eq(last, &first)) {
                return;
            }
        }
    }
}

impl HasRoom for WaitingQueues {
    /// Whoever has left the place may hold the lock of a queue, so the queues are served in a task.
    fn has_room(&self) {
        let Some(client) = self.client.upgrade() else { return };
        let serve = {
            let client = client.clone();
            async move {
                if let Some(places) = &client.places {
                    places.waiting.serve();
                }
            }
        };
        // Without a thread nothing can be sent anyway; the next job's caller gets the error.
        let _spawned = client.spawn(Box::pin(serve));
    }
}
