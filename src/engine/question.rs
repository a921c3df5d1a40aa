//! Question: asks a running crawl where a URL stands.

use actix::{Context, Handler, Message};
use tokio::sync::oneshot;

use super::scheduler::Scheduler;
use crate::{explain::Explanation, frontier::candidate::Candidate};

/// Asks about a page; the answer comes when the frontier has looked it up. A crawl that ends before drops the sender.
pub struct Question(pub Candidate, pub oneshot::Sender<Explanation>);

impl Message for Question {
    type Result = ();
}

impl Handler<Question> for Scheduler {
    type Result = ();

    fn handle(&mut self, Question(page, answer): Question, context: &mut Context<Self>) {
        self.act(context, |scheduler, now| scheduler.crawl.ask(page, answer, now));
    }
}
