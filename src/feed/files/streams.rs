//! Streams: what has gone to outputs that cannot be read again, for a pipeline that is started again. Opens nothing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashbrown::HashMap;

/// The outputs of one pipeline, by their names. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Streams(Arc<Mutex<HashMap<String, Streamed>>>);

/// What an output has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Streamed {
    /// The names of its columns, which stand in its header unless they are empty.
    #[cfg_attr(not(feature = "csv"), allow(dead_code, reason = "no format has columns"))]
    pub columns: Option<Vec<String>>,
    /// Whether it has a record.
    pub has_records: bool,
}

impl Streams {
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
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A feed's description is the same whatever was written.
impl PartialEq for Streams {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
