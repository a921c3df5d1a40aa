//! Committing: the actor of pipelines that commit what they hold together, and only then acknowledge it. Does not know
//! where it is committed (`Commits`).

use std::{marker::PhantomData, mem};

use actix::{Actor, AsyncContext as _, Context, Handler, Message, ResponseFuture};
use futures_util::future::{FutureExt as _, ready};
use tokio::sync::oneshot::{Sender, channel};

use super::{CrawlEnded, Flush, PipelineError, Running, Scraped, Start};
use crate::feed::Batch;

/// Takes items, and commits those that it has taken together.
pub(super) trait Commits<I>: Send + 'static {
    /// What is kept of an item until it is committed.
    type Kept: Send + 'static;

    /// Takes an item for the next commit.
    ///
    /// # Errors
    /// It is not taken; those before it stay.
    fn take(&mut self, scraped: Scraped<I>) -> Result<Self::Kept, PipelineError>;

    /// Commits what was taken since the last commit.
    ///
    /// # Errors
    /// None of it is committed, but for what [`Commits::committed`] names.
    fn commit(&mut self, held: &[Self::Kept]) -> Result<(), PipelineError>;

    /// Tells what of a commit that was refused is committed all the same, in its order.
    fn committed(&mut self) -> Vec<bool> {
        Vec::new()
    }

    /// Takes and commits one item, after a commit that was refused.
    ///
    /// # Errors
    /// It is not committed.
    fn commit_alone(&mut self, held: &Self::Kept) -> Result<(), PipelineError>;

    /// Ends; everything is committed.
    ///
    /// # Errors
    /// It cannot.
    fn close(&mut self) -> Result<(), PipelineError>;
}

/// Starts the actor for `commits`.
pub(super) fn start<I, C>(start: &Start, commits: C, batch: Batch) -> Running<I>
where
    I: Send + Sync + 'static,
    C: Commits<I>,
{
    let actor = Committing { commits, batch, held: Vec::new(), is_scheduled: false, items: PhantomData };
    if batch.wait.is_zero() {
        // It commits by itself as soon as nothing more waits.
        return Running::start(start, || actor);
    }
    Running::start_batching(start, || actor)
}

type CommitReply = Result<(), PipelineError>;

struct Committing<I, C: Commits<I>> {
    commits: C,
    batch: Batch,
    held: Vec<(C::Kept, Sender<CommitReply>)>,
    /// Whether a commit is on its way.
    is_scheduled: bool,
    items: PhantomData<fn(I)>,
}

/// Commits what is held. It comes behind the items that have come meanwhile.
struct CommitHeld;

impl Message for CommitHeld {
    type Result = ();
}

impl<I: 'static, C: Commits<I>> Committing<I, C> {
    fn commit(&mut self) {
        let (held, replies): (Vec<_>, Vec<_>) = mem::take(&mut self.held).into_iter().unzip();
        if held.is_empty() {
            return;
        }
        let reply = self.commits.commit(&held);
        let is_refused = matches!(reply, Err(PipelineError::Refused(_))) && held.len() > 1;
        let committed = if is_refused { self.commits.committed() } else { Vec::new() };
        for (index, (held, waiting)) in held.iter().zip(replies).enumerate() {
            let reply = match committed.get(index) {
                Some(true) => Ok(()),
                _ if is_refused => self.commits.commit_alone(held),
                _ => reply.clone(),
            };
            // Whoever waited may have given up.
            let _ = waiting.send(reply);
        }
    }
}

impl<I: 'static, C: Commits<I>> Unpin for Committing<I, C> {}

impl<I: 'static, C: Commits<I>> Actor for Committing<I, C> {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        // The bound is that of unacknowledged items; a smaller mailbox would only make them wait twice.
        context.set_mailbox_capacity(self.batch.items.max(super::DEFAULT_MAX_UNACKNOWLEDGED));
    }
}

impl<I: Send + Sync + 'static, C: Commits<I>> Handler<Scraped<I>> for Committing<I, C> {
    type Result = ResponseFuture<CommitReply>;

    fn handle(&mut self, scraped: Scraped<I>, context: &mut Self::Context) -> Self::Result {
        let held = match self.commits.take(scraped) {
            Ok(held) => held,
            Err(error) => return ready(Err(error)).boxed_local(),
        };
        let (reply, committed) = channel();
        self.held.push((held, reply));
        if self.held.len() >= self.batch.items {
            self.commit();
        } else if !self.is_scheduled {
            self.is_scheduled = true;
            if self.batch.wait.is_zero() {
                context.notify(CommitHeld);
            } else {
                context.notify_later(CommitHeld, self.batch.wait);
            }
        }
        // Without an answer, the actor has panicked over a commit; the supervisor sends the item again.
        Box::pin(async { committed.await.unwrap_or(Err(PipelineError::Panicked)) })
    }
}

impl<I: 'static, C: Commits<I>> Handler<CommitHeld> for Committing<I, C> {
    type Result = ();

    fn handle(&mut self, _: CommitHeld, _: &mut Self::Context) {
        self.is_scheduled = false;
        self.commit();
    }
}

impl<I: 'static, C: Commits<I>> Handler<Flush> for Committing<I, C> {
    type Result = ();

    fn handle(&mut self, _: Flush, _: &mut Self::Context) {
        self.commit();
    }
}

impl<I: 'static, C: Commits<I>> Handler<CrawlEnded> for Committing<I, C> {
    type Result = CommitReply;

    fn handle(&mut self, _: CrawlEnded, _: &mut Self::Context) -> Self::Result {
        self.commit();
        self.commits.close()
    }
}
