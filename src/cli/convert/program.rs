//! Program: a program that converts a document, and what it starts itself: they end together. Does not know what they
//! read and write.

use std::{
    io,
    process::{Child, Command, ExitStatus},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    thread,
    time::Duration,
};

/// A program that runs. On Unix it leads a process group of its own: a script is killed with what it has started, and
/// Ctrl-C on a terminal does not reach it, as a crawl lets what is in flight end.
pub struct Program(Mutex<ProgramState>);

struct ProgramState {
    child: Child,
    /// Its number may be another process's by now.
    is_reaped: bool,
}

/// Those that run; `None` once the command has ended.
static RUNNING: Mutex<Option<Vec<Weak<Program>>>> = Mutex::new(Some(Vec::new()));

/// How often is looked whether a program has ended that has closed its output: most have at the first look.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

impl Program {
    /// Starts it. `take` gets the child first, for its pipes.
    ///
    /// # Errors
    /// The system refuses it, or the command has ended.
    pub fn start<T>(command: &mut Command, take: impl FnOnce(&mut Child) -> T) -> io::Result<(Arc<Self>, T)> {
        let mut running = lock(&RUNNING);
        let Some(running) = &mut *running else { return Err(io::Error::other("the crawl has ended")) };
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(command, 0);
        let mut child = command.spawn()?;
        let taken = take(&mut child);
        let program = Arc::new(Self(Mutex::new(ProgramState { child, is_reaped: false })));
        running.retain(|program| program.strong_count() > 0);
        running.push(Arc::downgrade(&program));
        Ok((program, taken))
    }

    /// Ends it and what it has started, if they have not ended.
    pub fn kill(&self) {
        let state = &mut *lock(&self.0);
        if state.is_reaped {
            return;
        }
        // Where that fails, it has ended by itself.
        #[cfg(unix)]
        let _ = rustix::process::kill_process_group(
            rustix::process::Pid::from_child(&state.child),
            rustix::process::Signal::KILL,
        );
        #[cfg(not(unix))]
        let _ = state.child.kill();
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// The system does not say.
    pub fn wait(&self) -> io::Result<ExitStatus> {
        loop {
            let mut state = lock(&self.0);
            if let Some(status) = state.child.try_wait()? {
                state.is_reaped = true;
                return Ok(status);
            }
            drop(state);
            thread::sleep(LOOK_AGAIN);
        }
    }
}

/// Ends all that run, and starts no more: the command ends, and leaves none behind.
pub fn end_all() {
    let running = lock(&RUNNING).take().unwrap_or_default();
    running.iter().filter_map(Weak::upgrade).for_each(|program| program.kill());
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
