//! FeedStreams: what a pipeline knows of its outputs, for when they are opened again: what has gone to those that
//! cannot be read, and where the records of files end. Opens nothing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashbrown::HashMap;

use super::ends::FileEnds;

/// The outputs of one pipeline, by their names. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct FeedStreams {
    all: Arc<Mutex<HashMap<String, Streamed>>>,
    /// Where the records of its files end.
    pub ends: FileEnds,
}

/// What an output has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Streamed {
    /// The names of its columns, which stand in its header unless they are empty.
    #[cfg_attr(not(feature = "csv"), allow(dead_code, reason = "no format has columns"))]
    pub columns: Option<Vec<String>>,
    /// Whether it has a record.
    pub has_records: bool,
}

impl FeedStreams {
    /// Notes what an output has.
    pub fn note(&self, name: &str, streamed: Streamed) {
        self.all().insert(name.to_owned(), streamed);
    }

    /// Returns what an output has; `None` if nothing is known of it.
    pub fn of(&self, name: &str) -> Option<Streamed> {
        self.all().get(name).cloned()
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Streamed>> {
        // Nothing that is done under it panics.
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A feed's description is the same whatever was written.
impl PartialEq for FeedStreams {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
