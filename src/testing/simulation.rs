//! Simulation: a thread whose time is virtual, for one run. Knows no site.

use std::{io, panic::resume_unwind, rc::Rc, thread, time::Duration};

use actix_rt::System;
use tokio::{runtime::Builder, time::timeout};

use crate::{
    clock::virtual_time,
    error::{Error, Result},
    transport::network::{self, Network},
};

/// The longest run: a future that waits for what never comes would run for ever.
const MAX_RUN: Duration = Duration::from_secs(31 * 24 * 3_600);

/// The seed of what is random in a run, such as the waits before retries, so that two runs are alike.
const SEED: u64 = 1;

/// Runs a future in virtual time, where all connections are made by `network`. Returns its output and what `end` makes
/// of the network.
///
/// # Errors
/// The system cannot start a thread, or the future has not ended after 31 days.
pub fn simulate<N, F, T, E>(
    network: impl FnOnce() -> Rc<N> + Send,
    work: impl FnOnce() -> F + Send,
    end: impl FnOnce(&N) -> E + Send,
) -> Result<(T, E)>
where
    N: Network + 'static,
    F: Future<Output = T>,
    T: Send,
    E: Send,
{
    let run = || {
        let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().map_err(Error::Start)?;
        let system = System::with_tokio_rt(|| runtime);
        system.block_on(async {
            virtual_time::begin();
            fastrand::seed(SEED);
            let network = network();
            network::replace_sockets(network.clone());
            let too_long = |_| Error::Start(io::Error::other("the run has not ended after 31 days of virtual time"));
            let output = timeout(MAX_RUN, work()).await.map_err(too_long)?;
            Ok((output, end(&network)))
        })
    };
    thread::scope(|scope| {
        // A thread of its own: what is virtual belongs to it, and the caller may be in a runtime.
        let thread = thread::Builder::new().name("simulation".to_owned()).spawn_scoped(scope, run);
        thread.map_err(Error::Start)?.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}
