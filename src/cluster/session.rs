//! Session: the thread that keeps this process's term, from joining to leaving.

use std::sync::mpsc::SyncSender;

use tokio::{
    runtime::Builder,
    sync::mpsc::UnboundedReceiver,
    time::{Instant, sleep_until},
};

use super::node::Node;
use crate::{
    clock,
    error::{Error, Result},
    frontier::stores::postgres::Joined,
    handle::CrawlHandle,
};

/// What the crawl tells its session.
pub(super) enum Order {
    /// This crawl is to end at once if the term is lost.
    Watch(CrawlHandle),
    /// The crawl is over here.
    Leave,
}

/// Joins, tells of it, and renews the term until the crawl is over here.
pub(super) fn run(node: Node, joined: &SyncSender<Result<Joined>>, orders: UnboundedReceiver<Order>) {
    match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(hold(node, joined, orders)),
        Err(error) => {
            node.lose();
            drop(joined.send(Err(Error::Start(error))));
        }
    }
}

async fn hold(mut node: Node, joined: &SyncSender<Result<Joined>>, mut orders: UnboundedReceiver<Order>) {
    let as_joined = match node.join().await {
        Ok(as_joined) => as_joined,
        Err(error) => {
            // Another crawl may have the `conducts` now.
            node.lose();
            return drop(joined.send(Err(error)));
        }
    };
    if joined.send(Ok(as_joined)).is_err() {
        return node.leave().await;
    }
    let mut crawl = None;
    let mut next = clock::runtime() + node.pause();
    loop {
        tokio::select! {
            biased;
            order = orders.recv() => match order {
                Some(Order::Watch(begun)) => crawl = Some(begun),
                Some(Order::Leave) | None => return node.leave().await,
            },
            () = sleep_until(next) => {
                next = Instant::max(next + node.pause(), clock::runtime());
                if let Err(why) = node.renew().await {
                    return lose(node, &why, crawl, orders).await;
                }
                node.look_after_others().await;
            }
        }
    }
}

/// Ends the crawl at once, as failed. The node stays until the crawl has ended, and with it the system's timer; it
/// stays set after that too, since some thread may have been stopped before a write that was lawful when it was begun.
async fn lose(node: Node, why: &str, crawl: Option<CrawlHandle>, mut orders: UnboundedReceiver<Order>) {
    node.lose();
    tracing::error!(
        crawl = node.crawl(),
        why,
        "this node gives the crawl up, and is ended by its system unless it ends itself"
    );
    let failure = node.given_up(why).to_string();
    if let Some(crawl) = crawl {
        crawl.give_up(failure.clone()).await;
    }
    while let Some(order) = orders.recv().await {
        match order {
            Order::Watch(crawl) => crawl.give_up(failure.clone()).await,
            Order::Leave => break,
        }
    }
    // Its drop would take the timer with it.
    std::mem::forget(node);
}
