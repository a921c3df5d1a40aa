//! The laws of every frontier, as a test helper for your own frontiers. Knows no implementation.
//!
//! A frontier and a simple model receive the same random operations; every result must match the model's. A durable
//! frontier is also killed between operations, and must come back as it was at some commit, no older than the last
//! acknowledged one.
//!
//! ```
//! use actix_crawler::frontier::{MemoryFrontier, laws};
//!
//! laws::check(|recrawl, now| MemoryFrontier::new(recrawl.clone(), now));
//! ```

#![allow(clippy::panic, reason = "a test helper reports by a panic")]

mod broken;
mod model;
mod operations;
#[cfg(test)]
mod partitioned;
#[cfg(test)]
mod tests;
mod trial;

use std::time::{Duration, Instant};

use self::{
    broken::Broken,
    operations::{Operation, random_operations},
    trial::Trial,
};
use super::{Frontier, durable::Resumed};
use crate::{domain::Domain, recrawl::Recrawl};

/// A kind of frontier under test.
///
/// ```
/// use std::time::Instant;
///
/// use actix_crawler::{Recrawl, frontier::{MemoryFrontier, laws::{Subject, check_subject}}};
///
/// struct InMemory;
///
/// impl Subject for InMemory {
///     type Frontier = MemoryFrontier;
///
///     fn open(&mut self, recrawl: &Recrawl, now: Instant) -> MemoryFrontier {
///         MemoryFrontier::new(recrawl.clone(), now)
///     }
/// }
///
/// check_subject(&mut InMemory, 8);
/// ```
pub trait Subject {
    /// The frontier.
    type Frontier: Frontier;

    /// Opens an empty frontier, in a different place than the previous ones.
    fn open(&mut self, recrawl: &Recrawl, now: Instant) -> Self::Frontier;

    /// Ends a frontier as a killed process does, and opens what it has stored. The default returns the frontier
    /// unchanged, since nothing of it would survive.
    ///
    /// # Errors
    /// The unchanged frontier.
    fn kill(&mut self, frontier: Self::Frontier, _now: Instant) -> Result<(Self::Frontier, Resumed), Self::Frontier> {
        Err(frontier)
    }

    /// Hands a domain over to another process, or takes it back. The frontier must report what it loses as news, after
    /// the next commit at the latest. Returns whether the frontier supports that; by default it does not.
    fn hand_over(&mut self, _frontier: &mut Self::Frontier, _domain: &Domain, _to_us: bool, _now: Instant) -> bool {
        false
    }

    /// Receives a frontier at the end, after everything was leased and settled.
    fn end(&mut self, _frontier: Self::Frontier) {}
}

/// Tests a frontier against the laws; `open` creates an empty one.
///
/// # Panics
/// A law is broken. The message names the law and the shortest sequence of operations found that breaks it.
pub fn check<F: Frontier>(open: impl FnMut(&Recrawl, Instant) -> F) {
    struct Opened<O>(O);

    impl<F: Frontier, O: FnMut(&Recrawl, Instant) -> F> Subject for Opened<O> {
        type Frontier = F;

        fn open(&mut self, recrawl: &Recrawl, now: Instant) -> F {
            (self.0)(recrawl, now)
        }
    }

    check_subject(&mut Opened(open), 256);
}

/// Tests a frontier that may be killed and reopened, in `trials` trials of up to 200 operations.
///
/// # Panics
/// As [`check`].
pub fn check_subject<S: Subject>(subject: &mut S, trials: u64) {
    for seed in 0..trials {
        let mut random = fastrand::Rng::with_seed(seed);
        // Half of the trials never revisit.
        let revisit_after = random.bool().then(|| Duration::from_secs(random.u64(0..8)));
        let recrawl = Recrawl { revisit_after, ..Recrawl::default() };
        let operations = random_operations(&mut random);
        if let Err(broken) = try_operations(subject, &recrawl, &operations) {
            let (operations, broken) = shortened(subject, &recrawl, operations, broken);
            let listed: Vec<_> = operations.iter().map(|operation| format!("  {operation:?}\n")).collect();
            panic!("{broken}\nwith {recrawl:?} after these operations (trial {seed}):\n{}", listed.concat());
        }
    }
}

fn try_operations<S: Subject>(subject: &mut S, recrawl: &Recrawl, operations: &[Operation]) -> Result<(), Broken> {
    Trial::new(subject, recrawl.clone(), middle_of_a_second()).run(operations)
}

/// Removes and simplifies operations while a law stays broken.
fn shortened<S: Subject>(
    subject: &mut S,
    recrawl: &Recrawl,
    mut operations: Vec<Operation>,
    mut broken: Broken,
) -> (Vec<Operation>, Broken) {
    loop {
        let before = operations.len();
        for index in (0..before).rev() {
            let mut fewer = operations.clone();
            let removed = fewer.remove(index);
            if let Err(still) = try_operations(subject, recrawl, &fewer) {
                (operations, broken) = (fewer, still);
            } else if let Some(simpler) = removed.simpler() {
                fewer.insert(index, simpler);
                if let Err(still) = try_operations(subject, recrawl, &fewer) {
                    (operations, broken) = (fewer, still);
                }
            }
        }
        if operations.len() == before {
            return (operations, broken);
        }
    }
}

/// Starts in the middle of a second. Stored times are whole seconds or milliseconds of the calendar, and the clocks are
/// read again after a kill; in the middle of a second this makes no difference.
fn middle_of_a_second() -> Instant {
    let time = crate::clock::wall().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let into_the_second = Duration::from_nanos(time.subsec_nanos().into());
    crate::clock::now() + Duration::from_millis(1_500).saturating_sub(into_the_second)
}
