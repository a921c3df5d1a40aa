//! Memory: collects the pieces of a body and bounds the memory of all bodies together. Knows no network.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use tokio::sync::OwnedSemaphorePermit;

use crate::capacity::BodyMemory;

/// The first bytes of each body need no reservation, so that ordinary pages never wait for other bodies: nine in ten
/// are smaller than this (HTTP Archive). With 64 requests in flight this adds 16 MiB.
pub const FREE: u64 = 256 << 10;

/// Pieces up to this length are copied. A piece shares the socket's read buffer, and a small one would keep the whole
/// buffer in memory.
const SMALL: usize = 4 << 10;

/// The memory that the bodies of one crawl share, or those of several with one capacity.
///
/// When all memory is reserved, a body that needs more waits, and we stop reading from its server. If every body
/// waited, none would ever finish; so one body at a time may exceed the bound.
#[derive(Clone, Debug)]
pub struct Bodies(BodyMemory);

/// A partly received body. A body of one piece is not copied.
pub struct PartialBody {
    bodies: Bodies,
    held: Reservation,
    /// Bytes received and not reserved yet.
    owed: u64,
    waiting: Option<Pin<Box<dyn Future<Output = Reservation>>>>,
    first: Bytes,
    all: BytesMut,
    length: u64,
}

/// The memory reserved for one body; released on drop.
#[derive(Debug, Default)]
pub struct Reservation {
    bytes: Option<OwnedSemaphorePermit>,
    pass: Option<OwnedSemaphorePermit>,
}

impl Bodies {
    /// Creates a shared bound. It counts neither the first [`FREE`] bytes of each body nor the body that exceeds the
    /// bound.
    pub fn new(max_bytes: u64) -> Self {
        Self::sharing(&BodyMemory::new(max_bytes))
    }

    /// Shares memory with the bodies of other crawls and clients.
    pub fn sharing(memory: &BodyMemory) -> Self {
        Self(memory.clone())
    }

    /// Reserves memory for a body of known length; waits until it is available.
    pub async fn hold(&self, length: u64) -> Reservation {
        let growth = length.saturating_sub(FREE);
        let mut held = Reservation::default();
        if !held.try_grow(growth, self) {
            held = self.clone().wait_for(growth).await;
        }
        held
    }

    /// Starts to collect a body.
    pub fn gather(&self) -> PartialBody {
        PartialBody {
            bodies: self.clone(),
            held: Reservation::default(),
            owed: 0,
            waiting: None,
            first: Bytes::new(),
            all: BytesMut::new(),
            length: 0,
        }
    }

    async fn wait_for(self, growth: u64) -> Reservation {
        let Self(BodyMemory { left, pass }) = self;
        // The semaphores are never closed, so `acquire` never fails.
        tokio::select! {
            biased;
            bytes = left.acquire_many_owned(permits(growth)) => Reservation { bytes: bytes.ok(), pass: None },
            pass = pass.acquire_owned() => Reservation { bytes: None, pass: pass.ok() },
        }
    }
}

impl PartialBody {
    /// Adds the next bytes. Before reading more, wait for [`PartialBody::poll_reserved`].
    pub fn add(&mut self, piece: Bytes) {
        let length = self.length + piece.len() as u64;
        self.owed += length.saturating_sub(FREE.max(self.length));
        let is_first = self.length == 0;
        self.length = length;
        if is_first {
            self.first = piece;
            return;
        }
        self.all.extend_from_slice(&std::mem::take(&mut self.first));
        self.all.extend_from_slice(&piece);
    }

    /// Ready when all received bytes are reserved; tells whether it had to wait.
    pub fn poll_reserved(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if self.waiting.is_none() {
            let owed = std::mem::take(&mut self.owed);
            if !self.held.try_grow(owed, &self.bodies) {
                self.waiting = Some(Box::pin(self.bodies.clone().wait_for(owed)));
            }
        }
        let Some(waiting) = self.waiting.as_mut() else { return Poll::Ready(false) };
        let more = ready!(waiting.as_mut().poll(cx));
        self.waiting = None;
        self.held.merge(more);
        Poll::Ready(true)
    }

    /// Counts bytes kept in addition to the body, such as the copy of the wire bytes.
    pub fn charge(&mut self, bytes: u64) {
        self.owed += bytes;
    }

    /// Returns how many bytes were received.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Takes the body and its reservation.
    pub fn take(&mut self) -> (Bytes, Reservation) {
        let first = std::mem::take(&mut self.first);
        let body = match first.len() {
            0 => std::mem::take(&mut self.all).freeze(),
            1..=SMALL => Bytes::copy_from_slice(&first),
            _ => first,
        };
        (body, std::mem::take(&mut self.held))
    }
}

impl Reservation {
    fn try_grow(&mut self, growth: u64, bodies: &Bodies) -> bool {
        if growth == 0 || self.pass.is_some() {
            return true;
        }
        let more = bodies.0.left.clone().try_acquire_many_owned(permits(growth)).ok();
        more.map(|bytes| self.merge(Self { bytes: Some(bytes), pass: None })).is_some()
    }

    fn merge(&mut self, more: Self) {
        self.pass = self.pass.take().or(more.pass);
        match (&mut self.bytes, more.bytes) {
            (Some(bytes), Some(more)) => bytes.merge(more),
            (bytes, more) => *bytes = bytes.take().or(more),
        }
    }
}

/// A semaphore counts permits in 32 bits, which exceeds any body's length.
fn permits(bytes: u64) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// Adds bytes; returns whether they had to wait, or `None` while they do.
    fn add(body: &mut PartialBody, length: u64) -> Option<bool> {
        body.add(vec![7; usize::try_from(length).unwrap()].into());
        look(body)
    }

    fn look(body: &mut PartialBody) -> Option<bool> {
        match body.poll_reserved(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(waited) => Some(waited),
            Poll::Pending => None,
        }
    }

    #[test]
    fn a_piece_alone_is_not_copied_unless_it_is_small_and_several_keep_their_order() {
        for (length, copied) in [(SMALL, true), (SMALL + 1, false)] {
            let alone = Bytes::from(vec![7; length]);
            let mut body = Bodies::new(0).gather();
            body.add(alone.clone());
            assert_eq!(body.take().0.as_ptr() != alone.as_ptr(), copied);
        }
        let mut body = Bodies::new(0).gather();
        for piece in ["a", "", "b", "c"] {
            body.add(piece.into());
        }
        assert_eq!((body.length(), body.take().0), (3, "abc".into()));
    }

    #[test]
    fn beyond_the_bound_one_body_goes_on_and_the_others_wait_until_it_is_gone() {
        let bodies = Bodies::new(100);
        let mut large = [bodies.gather(), bodies.gather(), bodies.gather()];
        for body in &mut large {
            assert_eq!(add(body, FREE), Some(false), "what each may have");
        }
        let [mut first, mut second, mut third] = large;
        assert_eq!(add(&mut first, 100), Some(false), "the last that there is");
        assert_eq!(add(&mut second, 1), Some(true), "the one that may go on");
        assert_eq!(add(&mut second, 9_000_000), Some(false));
        assert_eq!(add(&mut third, 1), None);
        let (body, held) = second.take();
        drop(body);
        assert_eq!(look(&mut third), None, "whoever decodes it holds it");
        drop(held);
        assert_eq!(look(&mut third), Some(true));
        assert_eq!(add(&mut bodies.gather(), FREE), Some(false), "a usual page never waits");
    }

    #[test]
    fn bodies_of_several_crawls_share_the_memory_of_one_capacity() {
        let memory = BodyMemory::new(100);
        let [mut one, mut pass, mut other] = [(); 3].map(|()| Bodies::sharing(&memory).gather());
        assert_eq!((add(&mut one, FREE + 100), add(&mut pass, FREE + 1)), (Some(false), Some(true)));
        assert_eq!(add(&mut other, FREE + 1), None, "it waits for a body of another crawl");
        drop(one);
        assert_eq!(look(&mut other), Some(true));
    }

    #[test]
    fn a_body_that_is_given_up_gives_all_back() {
        let bodies = Bodies::new(100);
        let mut body = bodies.gather();
        for _ in 0..5 {
            add(&mut body, FREE / 4 + 10);
        }
        assert!(bodies.0.left.available_permits() < 100);
        drop(body);
        assert_eq!((bodies.0.left.available_permits(), bodies.0.pass.available_permits()), (100, 1));
    }
}
