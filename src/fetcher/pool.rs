//! Pool: the fetchers, one for each arbiter, and the choice among them. Replaces a dead one. Does not know the domains'
//! permits.

use std::{hash::BuildHasher, sync::Arc};

use actix::{Recipient, dev::SendError};
use hashbrown::DefaultHashBuilder;

use super::{Assignment, Grant, Granted};
use crate::{frontier::Lease, outcome::Outcome, permit::Permit, request::Kind, threads::own_arbiter::OwnArbiter};

/// Starts the fetcher of a number, counted from 0, on its arbiter.
pub type FetcherFactory = Box<dyn Fn(usize) -> (OwnArbiter, Recipient<Granted>) + Send>;

/// The supervised pool of fetchers.
pub struct Pool {
    members: Vec<Member>,
    /// How many of them get requests, from the first on.
    in_use: usize,
    factory: FetcherFactory,
    hasher: DefaultHashBuilder,
}

struct Member {
    arbiter: OwnArbiter,
    fetcher: Recipient<Granted>,
    batch: Vec<Assignment>,
    /// Each grant holds a clone: the reference count tells how many requests are in progress.
    slots: Arc<()>,
    /// The same of files.
    file_slots: Arc<()>,
}

/// The requests in progress up to which one fetcher is used; each further 64 bring another into use. One thread can
/// serve thousands. The first fetcher runs on the scheduler's thread, so nothing passes between threads while it is
/// alone.
const SHARE: usize = 64;

/// How many more requests than the least busy fetcher one may have before its domains move to another. A domain stays
/// with one fetcher if possible, since each arbiter has its own connection pool.
const IMBALANCE: usize = 8;

impl Pool {
    /// Starts `size` fetchers.
    pub fn new(size: usize, factory: FetcherFactory) -> Self {
        let members = (0..size.max(1)).map(|number| Member::start(&factory, number)).collect();
        Self { members, in_use: 1, factory, hasher: DefaultHashBuilder::default() }
    }

    /// Returns how many requests are in progress.
    pub fn busy(&self) -> usize {
        self.members.iter().map(Member::busy).sum()
    }

    /// Returns how many of them are files.
    pub fn busy_with_files(&self) -> usize {
        self.members.iter().map(Member::busy_with_files).sum()
    }

    /// Returns how many of them are not files.
    pub fn busy_with_pages(&self) -> usize {
        self.members.iter().map(|member| member.busy() - member.busy_with_files()).sum()
    }

    /// Adds a permit and its request to the next batch of a fetcher.
    pub fn assign(&mut self, permit: Permit, lease: Lease) {
        self.widen();
        let home = usize::try_from(self.hasher.hash_one(permit.domain())).unwrap_or(0) % self.in_use;
        let idlest = (0..self.in_use).min_by_key(|index| self.busy_of(*index)).unwrap_or(home);
        let chosen = if self.busy_of(home) > self.busy_of(idlest) + IMBALANCE { idlest } else { home };
        if let Some(member) = self.members.get_mut(chosen) {
            let slot = member.slot(lease.request().kind());
            member.batch.push(Assignment::Send(Grant { permit, lease, slot }));
        }
    }

    /// Adds a failure to the next batch of a fetcher, which notifies the spider. It does not count as a request in
    /// progress.
    pub fn assign_failure(&mut self, lease: Lease, outcome: Outcome) {
        let chosen = usize::try_from(lease.id().0).unwrap_or(0) % self.in_use;
        if let Some(member) = self.members.get_mut(chosen) {
            member.batch.push(Assignment::Notify(lease, outcome));
        }
    }

    /// Sends the batches. Returns how many dead fetchers were replaced.
    pub fn flush(&mut self) -> u64 {
        let mut replaced = 0;
        for (number, member) in self.members.iter_mut().enumerate() {
            if member.batch.is_empty() {
                continue;
            }
            match member.fetcher.try_send(Granted(std::mem::take(&mut member.batch))) {
                Ok(()) => {}
                // The mailbox is full: the next flush tries again.
                Err(SendError::Full(Granted(batch))) => member.batch = batch,
                Err(SendError::Closed(Granted(batch))) => {
                    tracing::error!("a fetcher died and is replaced");
                    member.arbiter.stop();
                    *member = Member::start(&self.factory, number);
                    replaced += 1;
                    for mut assignment in batch {
                        if let Assignment::Send(grant) = &mut assignment {
                            grant.slot = member.slot(grant.lease.request().kind());
                        }
                        member.batch.push(assignment);
                    }
                }
            }
        }
        replaced
    }

    /// Tells whether a batch still waits to be sent.
    pub fn has_unsent(&self) -> bool {
        self.members.iter().any(|member| !member.batch.is_empty())
    }

    /// Brings further fetchers into use under load. A fetcher stays in use, since it has connections to its domains.
    fn widen(&mut self) {
        let wanted = self.busy() / SHARE + 1;
        self.in_use = self.in_use.max(wanted).min(self.members.len());
    }

    fn busy_of(&self, index: usize) -> usize {
        self.members.get(index).map_or(usize::MAX, Member::busy)
    }
}

impl Member {
    fn start(factory: &FetcherFactory, number: usize) -> Self {
        let (arbiter, fetcher) = factory(number);
        Self { arbiter, fetcher, batch: Vec::new(), slots: Arc::default(), file_slots: Arc::default() }
    }

    fn slot(&self, kind: Kind) -> Arc<()> {
        if kind == Kind::File { self.file_slots.clone() } else { self.slots.clone() }
    }

    fn busy(&self) -> usize {
        Arc::strong_count(&self.slots) - 1 + self.busy_with_files()
    }

    fn busy_with_files(&self) -> usize {
        Arc::strong_count(&self.file_slots) - 1
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.arbiter.stop();
    }
}

#[cfg(test)]
mod tests {
    use actix::{Actor, Context, Handler};

    use super::*;
    use crate::{
        clock,
        conduct::Terms,
        conducts::Conducts,
        domain::{Domain, DomainKey},
        frontier::{LeaseId, Leased},
        rate::Rate,
        request::Request,
    };

    struct Idle;

    impl Actor for Idle {
        type Context = Context<Self>;
    }

    impl Handler<Granted> for Idle {
        type Result = ();

        fn handle(&mut self, _: Granted, _: &mut Self::Context) {}
    }

    #[test]
    fn a_few_requests_share_a_thread_and_many_are_spread_over_all() {
        actix_rt::System::new().block_on(async {
            let factory = |_| (OwnArbiter::shared(), Idle.start().recipient());
            let mut pool = Pool::new(3, Box::new(factory));
            let tenant = Conducts::new().tenant(&DomainKey::default());
            let assign = |pool: &mut Pool, number: usize| {
                let (now, host) = (clock::now(), format!("d{number}.org"));
                let request = Arc::new(Request::parse(&format!("http://{host}/")).unwrap());
                let terms = Terms::rate(Rate::UNLIMITED);
                let permit = tenant.join(&Domain::new(&host), terms, Arc::new(()), now).grant(now, now).unwrap();
                let leased = Leased { id: LeaseId(number as u64), request, attempt: 1 };
                pool.assign(permit, Lease::new(leased, Arc::new(())));
            };
            let busy = |pool: &Pool| pool.members.iter().map(Member::busy).collect::<Vec<_>>();
            (0..SHARE).for_each(|number| assign(&mut pool, number));
            assert_eq!(busy(&pool), [SHARE, 0, 0]);
            (SHARE..12 * SHARE).for_each(|number| assign(&mut pool, number));
            assert_eq!(pool.busy(), 12 * SHARE);
            let busy = busy(&pool);
            assert!(busy.iter().all(|busy| *busy > 3 * SHARE), "{busy:?}");
        });
    }
}
