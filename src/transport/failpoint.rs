//! Failpoint: stops this process between the check of its term and the write, where a test asks for it.

use std::{env, fs};

use nix::sys::signal::{Signal, raise};

/// A folder, in the environment of a process that may be stopped. It stops itself where the folder has a file of its
/// id. If there is something in that, it is a word, and the file of a control group to which it is written: so the
/// process is frozen.
pub const STOPS: &str = "ACTIX_CRAWLER_TEST_STOPS";

/// Stops this process, once for each file.
pub fn stop_if_asked() {
    let Some(folder) = env::var_os(STOPS) else { return };
    let asked = std::path::Path::new(&folder).join(std::process::id().to_string());
    let Ok(how) = fs::read_to_string(&asked) else { return };
    if fs::remove_file(asked).is_ok() {
        match how.split_once(' ') {
            // The system freezes it before the call returns.
            Some((word, file)) => fs::write(file, word).unwrap(),
            None => raise(Signal::SIGSTOP).unwrap(),
        }
    }
}
