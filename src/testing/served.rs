//! Served: a site during one run: records what arrives, and answers it. Knows no bytes on a wire.

use std::{
    any::Any,
    cell::RefCell,
    net::IpAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use hashbrown::HashMap;

use super::{
    Answer, Arrival,
    pages::{Pages, Reach},
};
use crate::{clock::virtual_time, outcome::FetchError, transport::address::AddressGuard};

/// A site that is being asked.
pub struct Served {
    pages: Arc<Pages>,
    latency: Duration,
    seen: RefCell<Seen>,
}

/// What a site has seen in a run.
#[derive(Default)]
pub struct Seen {
    /// The requests, in the order in which they arrived.
    pub arrivals: Vec<Arrival>,
    /// The first panic of a function that answers.
    pub panic: Option<Box<dyn Any + Send>>,
    /// How often each URL was asked for.
    turns: HashMap<String, usize>,
}

impl Served {
    /// Begins to serve pages. Every answer takes `latency` at least.
    pub fn new(pages: Arc<Pages>, latency: Duration) -> Rc<Self> {
        Rc::new(Self { pages, latency, seen: RefCell::default() })
    }

    /// Records a request; returns its number and the answer, with the time that it takes.
    pub fn answer(&self, mut arrival: Arrival) -> (usize, Answer) {
        arrival.at = virtual_time::elapsed().unwrap_or_default();
        let turn = {
            let mut seen = self.seen.borrow_mut();
            let turn = seen.turns.entry_ref(arrival.url.as_str()).or_default();
            std::mem::replace(turn, *turn + 1)
        };
        let answered = catch_unwind(AssertUnwindSafe(|| self.pages.answer(&arrival, turn)));
        let mut answer = answered.unwrap_or_else(|panic| {
            self.seen.borrow_mut().panic.get_or_insert(panic);
            Answer::status(500)
        });
        answer.after += self.latency;
        let mut seen = self.seen.borrow_mut();
        seen.arrivals.push(arrival);
        (seen.arrivals.len() - 1, answer)
    }

    /// Records that a request was answered.
    pub fn answered(&self, number: usize, status: Option<u16>) {
        if let Some(arrival) = self.seen.borrow_mut().arrivals.get_mut(number) {
            arrival.answered = status;
        }
    }

    /// Takes what was seen.
    pub fn take_seen(&self) -> Seen {
        self.seen.take()
    }

    pub fn reach(&self, guard: &AddressGuard, host: &str, port: u16) -> Result<(), FetchError> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let refused = match bare.parse::<IpAddr>() {
            Ok(address) => guard.check(address).err().map(|refused| refused.to_string()),
            Err(_) => guard.check_name(host).err().map(|refused| refused.to_string()),
        };
        match (refused, self.pages.reach(host, port)) {
            (Some(refused), _) => Err(FetchError::PrivateAddress(refused)),
            (None, Reach::Open) => Ok(()),
            (None, Reach::Refused) => Err(FetchError::Connect("connection refused".into())),
            (None, Reach::Unknown) => Err(FetchError::Dns(format!("the site has no host `{host}` at port {port}"))),
        }
    }
}
