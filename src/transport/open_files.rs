//! OpenFiles: how many connections fit into the files that this process may have open. Knows no sockets.

use crate::error::{Error, Result};

/// The fewest files that a process must be allowed, whatever it is for: the smallest crawl has 26 open with one
/// connection, and a look-up, certificates or a second connection need some. An output and a log take five each, a
/// state 24.
const MIN_FILES: u64 = 32;

/// The fewest files with which a runtime can be made on the main thread: the standard streams, and twice what a thread
/// takes.
const FILES_OF_A_RUNTIME: u64 = 12;

/// What is enough for any command with its default settings, a state among them.
const FILES_OF_A_COMMAND: u64 = 64;

/// What a thread with a runtime of its own takes: an epoll instance and its copy, an eventfd, a pipe for signals.
const FILES_OF_A_THREAD: u64 = 4;

/// Kept free for what opens later: a pipeline that is started again, a file of certificates, look-ups. A quarter of
/// what is left where that is less.
const RESERVED: u64 = 64;

/// Raises the limit of open files to the hard limit, and returns how many of `wanted` connections fit beside `threads`
/// threads and `others` further files.
///
/// # Errors
/// There are too few files even for one connection; the message says what to change.
pub fn fit(wanted: usize, threads: usize, others: usize) -> Result<usize> {
    let Some(limit) = raise() else { return Ok(wanted) };
    // Name servers are asked from a thread of its own.
    let threads = threads as u64 + u64::from(cfg!(feature = "hickory"));
    fit_into(limit, open_now(), wanted, threads.saturating_mul(FILES_OF_A_THREAD) + others as u64)
}

fn fit_into(limit: u64, open: u64, wanted: usize, needed: u64) -> Result<usize> {
    let left = limit.saturating_sub(open).saturating_sub(needed);
    if limit < MIN_FILES || left == 0 {
        return Err(too_few(limit, (open + needed + 1).max(MIN_FILES)));
    }
    let fit = left - RESERVED.min(left / 4);
    Ok(wanted.min(usize::try_from(fit).unwrap_or(usize::MAX)))
}

/// Raises the limit, and checks that there are files for a runtime, which panics without.
///
/// # Errors
/// There are not; the message says what to change.
pub fn check() -> Result<()> {
    match raise() {
        Some(limit) if limit < FILES_OF_A_RUNTIME => Err(too_few(limit, FILES_OF_A_COMMAND)),
        _ => Ok(()),
    }
}

/// What the error of too few files is about.
pub const SETTING: &str = "open files";

fn too_few(limit: u64, least: u64) -> Error {
    Error::setting(
        SETTING,
        format!(
            "this process may have {limit} files open, and needs {least} for its threads, its outputs and one connection: \
             raise the limit, as with `ulimit -n 1024`"
        ),
    )
}

/// Returns the limit once it is raised; `None` where there is none, or it cannot be told.
#[cfg(unix)]
fn raise() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let current = current?;
    if maximum.is_some_and(|maximum| maximum <= current) {
        return Some(current);
    }
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        // macOS allows less than its hard limit says. What holds is enough for fewer connections.
        Err(_) => Some(current),
    }
}

#[cfg(not(unix))]
fn raise() -> Option<u64> {
    None
}

/// Returns how many files are open now: as many as the system lists, but for the listing itself.
fn open_now() -> u64 {
    let listed = ["/proc/self/fd", "/dev/fd"].iter().find_map(|dir| std::fs::read_dir(dir).ok());
    listed.map_or(STANDARD_STREAMS, |files| (files.count() as u64).saturating_sub(1))
}

/// What is open at the least, where the system lists nothing.
const STANDARD_STREAMS: u64 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_fit_beside_what_is_open_and_what_is_needed() {
        for (limit, open, needed, fit) in [
            (1_048_576, 10, 100, Some(512)),
            (1_024, 10, 100, Some(512)),
            (512, 10, 38, Some(400)),
            (64, 10, 14, Some(30)),
            (32, 10, 20, Some(2)),
            (32, 10, 21, Some(1)),
            (32, 10, 22, None),
            (31, 3, 1, None),
        ] {
            let fitted = fit_into(limit, open, 512, needed);
            assert_eq!(fitted.as_ref().ok(), fit.as_ref(), "{limit} {open} {needed}");
            if let Err(error) = fitted {
                assert!(error.to_string().contains("ulimit -n"), "{error}");
            }
        }
    }
}
