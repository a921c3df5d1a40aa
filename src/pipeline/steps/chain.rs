//! Chain: the actor that takes items through the steps to the pipelines behind them. Does not know the steps.

use std::sync::Arc;

use actix::{
    Actor, ActorContext as _, AsyncContext as _, Context, Handler, Message, Recipient, ResponseActFuture,
    ResponseFuture, WrapFuture as _,
};
use futures_util::future::{join_all, pending};
use tokio::sync::Semaphore;

use super::{
    super::{CrawlEnded, Flush, PipelineError, Running, Scraped},
    Claims, RunFn, StepResult, step,
};

/// Takes items through steps.
pub(super) struct Chain<I, O: Send + Sync + 'static> {
    pub run: Arc<RunFn<I, O>>,
    pub outs: Arc<Outs<O>>,
}

/// The pipelines behind the steps.
pub(super) struct Outs<O: Send + Sync + 'static>(Vec<Out<O>>);

struct Out<O: Send + Sync + 'static> {
    running: Running<O>,
    /// One permit for each item that it has not acknowledged.
    unacknowledged: Semaphore,
}

impl<O: Send + Sync + 'static> Outs<O> {
    /// Takes pipelines, each with the most items that it has not acknowledged.
    pub fn new(outs: Vec<(Running<O>, usize)>) -> Self {
        let out = |(running, most): (_, usize)| Out {
            running,
            unacknowledged: Semaphore::new(most.clamp(1, Semaphore::MAX_PERMITS)),
        };
        Self(outs.into_iter().map(out).collect())
    }

    /// Hands an item to all, and waits for all; the worst answer counts. `None` if one of them has died.
    async fn deliver(&self, scraped: Scraped<O>) -> Option<Result<(), PipelineError>> {
        let deliveries = self.0.iter().map(|out| {
            let scraped = scraped.clone();
            async move {
                let _place = out.unacknowledged.acquire().await;
                out.running.scraped.send(scraped).await
            }
        });
        let answers = join_all(deliveries).await;
        let mut worst = Ok(());
        for (out, answer) in self.0.iter().zip(answers) {
            let answer = answer.ok()?;
            let is_blamed = matches!(answer, Err(PipelineError::Refused(_) | PipelineError::Panicked));
            if is_blamed && !out.running.scraped.connected() {
                // It held the item when it panicked, perhaps on another.
                return None;
            }
            if badness(&answer) > badness(&worst) {
                worst = answer;
            }
        }
        Some(worst)
    }
}

fn badness(answer: &Result<(), PipelineError>) -> u8 {
    match answer {
        Ok(()) => 0,
        Err(PipelineError::NotForThis) => 1,
        Err(PipelineError::Dropped(_)) => 2,
        Err(error) if error.stops_the_crawl() => 4,
        Err(_) => 3,
    }
}

impl<I: 'static, O: Send + Sync + 'static> Unpin for Chain<I, O> {}

impl<I: 'static, O: Send + Sync + 'static> Actor for Chain<I, O> {
    type Context = Context<Self>;
}

/// Ends the chain: a pipeline behind it has died, and all are started again together.
struct StopChain;

impl Message for StopChain {
    type Result = ();
}

impl<I: 'static, O: Send + Sync + 'static> Handler<StopChain> for Chain<I, O> {
    type Result = ();

    fn handle(&mut self, _: StopChain, context: &mut Self::Context) {
        context.terminate();
    }
}

impl<I: Send + Sync + 'static, O: Send + Sync + 'static> Handler<Scraped<I>> for Chain<I, O> {
    type Result = ResponseActFuture<Self, Result<(), PipelineError>>;

    fn handle(&mut self, scraped: Scraped<I>, context: &mut Self::Context) -> Self::Result {
        let (run, outs, chain) = (self.run.clone(), self.outs.clone(), context.address());
        // Here, and not in the future below: futures are polled in any order, and of two items with one key the first
        // counts.
        let first = step(&*run, &scraped.item);
        // A future of the actor: it ends with it, and so do the claims of its keys.
        let passing = async move {
            if let Some(answer) = pass(&*run, &outs, first, scraped).await {
                return answer;
            }
            // Without an answer the item is sent again, to the next chain. One message for each item at most.
            let _ = chain.send(StopChain).await;
            pending().await
        };
        Box::pin(passing.into_actor(self))
    }
}

async fn pass<I, O: Send + Sync + 'static>(
    run: &RunFn<I, O>,
    outs: &Outs<O>,
    mut stepped: (StepResult<O>, Claims),
    scraped: Scraped<I>,
) -> Option<Result<(), PipelineError>> {
    let (item, claims) = loop {
        match stepped {
            (StepResult::Pass(item), claims) => break (item, claims),
            (StepResult::Drop(why), _) => return Some(Err(why)),
            (StepResult::Wait(mut end), _) => {
                end.come().await;
                stepped = step(run, &scraped.item);
            }
        }
    };
    let answer = outs.deliver(Scraped { item, url: scraped.url }).await?;
    if matches!(answer, Ok(()) | Err(PipelineError::NotForThis | PipelineError::Dropped(_)))
        && let Err(error) = claims.keep()
    {
        return Some(Err(error));
    }
    Some(answer)
}

impl<I: 'static, O: Send + Sync + 'static> Handler<Flush> for Chain<I, O> {
    type Result = ();

    fn handle(&mut self, _: Flush, _: &mut Self::Context) {
        for flush in self.outs.0.iter().filter_map(|out| out.running.flush.as_ref()) {
            // If its mailbox is full, the next flush tries again.
            let _ = flush.try_send(Flush);
        }
    }
}

impl<I: 'static, O: Send + Sync + 'static> Handler<CrawlEnded> for Chain<I, O> {
    type Result = ResponseFuture<Result<(), PipelineError>>;

    fn handle(&mut self, _: CrawlEnded, _: &mut Self::Context) -> Self::Result {
        let ended: Vec<Recipient<CrawlEnded>> = self.outs.0.iter().map(|out| out.running.ended.clone()).collect();
        Box::pin(async move {
            let answers = join_all(ended.iter().map(|ended| ended.send(CrawlEnded))).await;
            let answers = answers.into_iter().map(|answer| answer.unwrap_or(Err(PipelineError::Panicked)));
            let failed: Vec<_> = answers.filter_map(Result::err).collect();
            match &failed[..] {
                [] => Ok(()),
                [failed] => Err(failed.clone()),
                // Each output that could not be closed is named.
                several => {
                    let why: Vec<_> = several.iter().map(ToString::to_string).collect();
                    Err(PipelineError::broken(why.join("; ")))
                }
            }
        })
    }
}
