//! Closing: waits until a state is closed. An aborted crawl is over within a second; its state, on a busy machine, a
//! little later.

use std::{fs::File, path::Path};

pub fn until_closed(state: &Path) {
    // Waits for the lock, and leaves it at once.
    File::open(state.join("lock")).unwrap().lock().unwrap();
}
