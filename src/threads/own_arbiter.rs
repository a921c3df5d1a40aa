//! OwnArbiter: the thread that an actor has to itself, or shares with one that it works with all the time. Knows no
//! actor.

use std::panic::resume_unwind;

use actix::{Arbiter, ArbiterHandle};

use crate::clock;

/// An arbiter for one actor, or for a few that belong together. In virtual time there is only one thread, which all
/// actors share, since time can stand still only while everything else does.
#[derive(Debug)]
pub struct OwnArbiter {
    handle: ArbiterHandle,
    is_shared: bool,
}

impl OwnArbiter {
    /// Starts a thread.
    ///
    /// # Panics
    /// With the `io::Error` itself where the system gives no thread, or no files for its runtime.
    #[allow(clippy::new_without_default, reason = "it starts a thread")]
    pub fn new() -> Self {
        if clock::is_virtual() {
            return Self::shared();
        }
        // `Arbiter::new` panics with a text, so that nobody can tell whose fault it is.
        let arbiter = Arbiter::try_new().unwrap_or_else(|error| resume_unwind(Box::new(error)));
        Self { handle: arbiter.handle(), is_shared: false }
    }

    /// Takes the thread of the caller: a message to another thread costs a system call and a context switch.
    pub fn shared() -> Self {
        Self { handle: Arbiter::current(), is_shared: true }
    }

    /// Returns the handle to start actors with.
    pub fn handle(&self) -> ArbiterHandle {
        self.handle.clone()
    }

    /// Ends the thread when it next has nothing to do. Others may need a shared one.
    pub fn stop(&self) {
        if !self.is_shared {
            // False if it has ended, which is what was wanted.
            let _ = self.handle.stop();
        }
    }
}
