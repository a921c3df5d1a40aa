//! PermitQueue: callers await permits of a domain here, first come, first served. Knows no requests.

use std::{sync::Arc, time::Instant};

use tokio::{
    sync::{Mutex, Notify},
    time::timeout_at,
};

use super::Tenant;
use crate::{
    clock,
    conduct::{GivenUp, Terms, throttle::Refusal},
    domain::Domain,
    permit::{Permit, Released, Tenancy},
};

/// A tenant's queue at one domain: `queue.permit().await`.
pub(crate) struct PermitQueue {
    tenancy: Arc<Tenancy>,
    /// Held by the first in the queue. The lock is fair, and a caller dropped while waiting leaves the queue.
    first: Mutex<()>,
    news: Arc<ReleaseListener>,
}

/// Wakes the first in the queue.
struct ReleaseListener(Notify);

impl Released for ReleaseListener {
    fn released(&self, _: &Domain) {
        self.0.notify_one();
    }
}

impl PermitQueue {
    /// Opens a queue at the domain's gate.
    pub fn new(tenant: &Tenant, domain: &Domain, terms: Terms, now: Instant) -> Self {
        let news = Arc::new(ReleaseListener(Notify::new()));
        Self { tenancy: tenant.join(domain, terms, news.clone(), now), first: Mutex::new(()), news }
    }

    /// Waits for a permit. Dropping the future passes the place to the next.
    ///
    /// # Errors
    /// The domain was given up, so waiting would take minutes at least.
    pub async fn permit(&self) -> Result<Permit, GivenUp> {
        let _first = self.first.lock().await;
        loop {
            let now = clock::now();
            match self.tenancy.grant(now, now) {
                Ok(permit) => return Ok(permit),
                Err(Refusal::NotBefore(at) | Refusal::OtherTenant(at) | Refusal::Lapsed(at)) => {
                    if let Some(given_up) = self.tenancy.given_up(now) {
                        return Err(given_up);
                    }
                    // Whether notified or timed out, ask again.
                    let _woken = timeout_at(at.into(), self.news.0.notified()).await;
                }
                Err(Refusal::Full) => self.news.0.notified().await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::{FutureExt, StreamExt, stream::FuturesOrdered};

    use super::*;
    use crate::{conducts::Conducts, domain::DomainKey, rate::Rate};

    const MS: Duration = Duration::from_millis(1);

    fn queue(conducts: &Conducts, rate: Rate) -> PermitQueue {
        let tenant = conducts.tenant(&DomainKey::Host);
        PermitQueue::new(&tenant, &Domain::new("e.org"), Terms::rate(rate), Instant::now())
    }

    async fn ask(queue: &PermitQueue) -> Instant {
        let mut permit = queue.permit().await.unwrap();
        let now = Instant::now();
        permit.try_start(now).unwrap();
        permit.wrote(now);
        now
    }

    #[tokio::test]
    async fn who_comes_first_is_served_first_and_who_leaves_takes_no_place() {
        let queue = queue(&Conducts::new(), Rate::per_second(50));
        let began = ask(&queue).await;
        let mut gone = Box::pin(queue.permit());
        assert!(gone.as_mut().now_or_never().is_none());
        let waiting: FuturesOrdered<_> = (0..3).map(|_| Box::pin(ask(&queue))).collect();
        tokio::pin!(waiting);
        assert!(waiting.next().now_or_never().is_none());
        drop(gone);
        let at: Vec<_> = waiting.collect().await;
        assert!(at.is_sorted() && at.len() == 3);
        assert!(at[0] - began >= 19 * MS && at[2] - began < 200 * MS, "{:?}", at[2] - began);
    }

    #[tokio::test]
    async fn tenants_that_pull_at_one_domain_take_turns() {
        let conducts = Conducts::new();
        let queues = [Rate::per_second(100), Rate::per_second(50)].map(|rate| queue(&conducts, rate));
        let ask_on = async |queue: &PermitQueue, until: Instant| {
            let mut at = Vec::new();
            while Instant::now() < until {
                at.push(ask(queue).await);
            }
            at
        };
        let until = Instant::now() + 600 * MS;
        let (one, other) = tokio::join!(ask_on(&queues[0], until), ask_on(&queues[1], until));
        assert!(one.len() + other.len() <= 32, "50 a second together: {} and {}", one.len(), other.len());
        assert!(one.len().abs_diff(other.len()) <= 4 && one.len() >= 8, "{} and {}", one.len(), other.len());
        let mut all = [one, other].concat();
        all.sort();
        assert!(all.windows(2).all(|pair| pair[1] - pair[0] >= 18 * MS));
    }
}
