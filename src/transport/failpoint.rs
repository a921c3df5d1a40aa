//! Failpoint: stops this process between the check of its term and the write, where a test asks for it.

use std::{env, fs};

use nix::sys::signal::{Signal, raise};

/// A folder, in the environment of a process that may be stopped. It stops itself where the folder has a file of its id.
pub const STOPS: &str = "ACTIX_CRAWLER_TEST_STOPS";

/// Stops this process, once for each file.
pub fn stop_if_asked() {
    let Some(folder) = env::var_os(STOPS) else { return };
    if fs::remove_file(std::path::Path::new(&folder).join(std::process::id().to_string())).is_ok() {
        raise(Signal::SIGSTOP).unwrap();
    }
}
