//! Gathered: bodies as they come in, and the memory that all of them together may take. Knows no network.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What every body may have without asking, so that no usual page waits for those of others: nine in ten are smaller
/// (HTTP Archive). With 64 in flight it comes to 16 MiB.
const FREE: u64 = 256 << 10;

/// The memory that the bodies of one crawl share.
///
/// A body that grows when nothing is left waits, and its server with it. One of those that wait may always go on, past
/// the bound: so they end one after the other, whatever each holds.
#[derive(Clone, Debug)]
pub struct Bodies {
    /// Bytes that are left.
    left: Arc<Semaphore>,
    /// Leave to go on without.
    pass: Arc<Semaphore>,
}

/// A body as far as it came. One chunk alone is not copied.
#[derive(Debug)]
pub struct Gathered {
    bodies: Bodies,
    held: Held,
    first: Bytes,
    all: BytesMut,
    length: u64,
}

/// The memory that a body takes from the others, until it is dropped.
#[derive(Debug, Default)]
pub struct Held {
    bytes: Option<OwnedSemaphorePermit>,
    pass: Option<OwnedSemaphorePermit>,
}

impl Bodies {
    /// Allows so many bytes in all, beside what each may have and what the one has that may go on.
    pub fn new(most_bytes: u64) -> Self {
        let most = usize::try_from(most_bytes).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self { left: Semaphore::new(most).into(), pass: Semaphore::new(1).into() }
    }

    /// Takes memory for a body that comes at once, when there is some.
    pub async fn hold(&self, length: u64) -> Held {
        let mut held = Held::default();
        held.grow(length.saturating_sub(FREE), self).await;
        held
    }

    /// Begins a body.
    pub fn gather(&self) -> Gathered {
        let (bodies, held) = (self.clone(), Held::default());
        Gathered { bodies, held, first: Bytes::new(), all: BytesMut::new(), length: 0 }
    }
}

impl Gathered {
    /// Adds the next bytes, when there is memory for them; tells whether they had to wait.
    pub async fn add(&mut self, chunk: Bytes) -> bool {
        let length = self.length + chunk.len() as u64;
        let growth = length.saturating_sub(FREE.max(self.length));
        let waited = self.held.grow(growth, &self.bodies).await;
        let is_first = self.length == 0;
        self.length = length;
        if is_first {
            self.first = chunk;
            return waited;
        }
        if self.all.is_empty() {
            self.all.extend_from_slice(&self.first);
            self.first = Bytes::new();
        }
        self.all.extend_from_slice(&chunk);
        waited
    }

    /// Returns how many bytes came.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Returns the body, and what it holds of the memory.
    pub fn finish(self) -> (Bytes, Held) {
        let body = if self.all.is_empty() { self.first } else { self.all.freeze() };
        (body, self.held)
    }
}

impl Held {
    async fn grow(&mut self, growth: u64, bodies: &Bodies) -> bool {
        let growth = u32::try_from(growth).unwrap_or(u32::MAX);
        if growth == 0 || self.pass.is_some() {
            return false;
        }
        let Bodies { left, pass } = bodies;
        if let Ok(more) = left.clone().try_acquire_many_owned(growth) {
            self.take(more);
            return false;
        }
        // Neither is ever closed, which is what an error would tell.
        tokio::select! {
            biased;
            more = left.clone().acquire_many_owned(growth) => if let Ok(more) = more { self.take(more) },
            pass = pass.clone().acquire_owned() => self.pass = pass.ok(),
        }
        true
    }

    fn take(&mut self, more: OwnedSemaphorePermit) {
        match &mut self.bytes {
            Some(bytes) => bytes.merge(more),
            none => *none = Some(more),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn chunk(length: u64) -> Bytes {
        vec![7; usize::try_from(length).unwrap()].into()
    }

    #[test]
    fn a_chunk_alone_is_not_copied_and_several_keep_their_order() {
        let alone = Bytes::from(vec![7; 100]);
        let mut body = Bodies::new(0).gather();
        body.add(alone.clone()).now_or_never().unwrap();
        assert_eq!(body.finish().0.as_ptr(), alone.as_ptr());
        let mut body = Bodies::new(0).gather();
        for piece in ["a", "", "b", "c"] {
            body.add(piece.into()).now_or_never().unwrap();
        }
        assert_eq!((body.length(), body.finish().0), (3, "abc".into()));
    }

    #[test]
    fn beyond_the_bound_one_body_goes_on_and_the_others_wait_until_it_is_gone() {
        let bodies = Bodies::new(100);
        let mut large = [bodies.gather(), bodies.gather(), bodies.gather()];
        for body in &mut large {
            assert_eq!(body.add(chunk(FREE)).now_or_never(), Some(false), "what each may have");
        }
        let [mut first, mut second, mut third] = large;
        assert_eq!(first.add(chunk(100)).now_or_never(), Some(false), "the last that there is");
        assert_eq!(second.add(chunk(1)).now_or_never(), Some(true), "the one that may go on");
        assert_eq!(second.add(chunk(9_000_000)).now_or_never(), Some(false));
        let mut waiting = Box::pin(third.add(chunk(1)));
        assert_eq!(waiting.as_mut().now_or_never(), None);
        let (body, held) = second.finish();
        drop(body);
        assert_eq!(waiting.as_mut().now_or_never(), None, "whoever decodes it holds it");
        drop(held);
        assert_eq!(waiting.as_mut().now_or_never(), Some(true));
        assert_eq!(bodies.gather().add(chunk(FREE)).now_or_never(), Some(false), "a usual page never waits");
    }

    #[test]
    fn a_body_that_is_given_up_gives_all_back() {
        let bodies = Bodies::new(100);
        let mut body = bodies.gather();
        for _ in 0..5 {
            body.add(chunk(FREE / 4 + 10)).now_or_never().unwrap();
        }
        assert!(bodies.left.available_permits() < 100);
        drop(body);
        assert_eq!((bodies.left.available_permits(), bodies.pass.available_permits()), (100, 1));
    }
}
