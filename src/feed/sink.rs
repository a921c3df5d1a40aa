//! Sink: the destination of records, as a trait, and the circumstances in which one is opened. Knows no format, no file
//! and no actor.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Record, sink_error::SinkError};
use crate::text::durations;

/// A destination for records, such as a file, a table or a queue.
///
/// Its functions are called one after the other, on a thread beside those of the network, so they may block.
/// [`laws`](super::laws) tests what is asked of them:
///
/// 1. What was committed is there: whole, in the order of its writing, for every reader, also after a kill.
/// 2. What was not committed is either not there or whole. A reader never sees a part of a record.
/// 3. A record that is refused changes nothing: those before it and after it are as if it had not come.
/// 4. [`Opening::Fresh`] removes what an earlier crawl has left; [`Opening::Resumed`] and [`Opening::Restarted`] keep
///    all that was committed, remove what is torn, and go on after it.
/// 5. A commit without new records changes nothing; [`Sink::close`] commits.
///
/// ```
/// use std::sync::{Arc, Mutex};
///
/// use actix_crawler::feed::{Record, Sink, SinkError};
///
/// /// Publishes records to a queue, those of a commit together.
/// struct Queue {
///     waiting: Vec<String>,
///     published: Arc<Mutex<Vec<String>>>,
/// }
///
/// impl Sink for Queue {
///     fn write(&mut self, record: &Record) -> Result<(), SinkError> {
///         self.waiting.push(record.to_json());
///         Ok(())
///     }
///
///     fn commit(&mut self) -> Result<(), SinkError> {
///         let mut queue = self.published.lock().map_err(SinkError::broken)?;
///         queue.append(&mut self.waiting);
///         Ok(())
///     }
/// }
/// ```
pub trait Sink: Send + 'static {
    /// Takes one record, for the next commit.
    ///
    /// # Errors
    /// [`SinkError::Refused`] is about this record alone; all others end the crawl.
    fn write(&mut self, record: &Record) -> Result<(), SinkError>;

    /// Makes all records since the last commit durable. Their items are acknowledged when it returns, and never fetched
    /// again: what durable means is for each sink to say.
    ///
    /// # Errors
    /// None of them is durable, but for those that [`Sink::stored`] names. After [`SinkError::Refused`] the sink has
    /// forgotten the others, and gets each again with a commit of its own, so that only those are refused that cannot
    /// be taken.
    fn commit(&mut self) -> Result<(), SinkError>;

    /// Tells which records are durable although their commit was refused, in the order of their writing: a sink of
    /// several files commits one after the other. Asked right after that commit; by default none is.
    fn stored(&mut self) -> Vec<bool> {
        Vec::new()
    }

    /// Commits and ends: a file gets its end, a connection is closed. Nothing is called after it.
    ///
    /// # Errors
    /// As [`Sink::commit`].
    fn close(&mut self) -> Result<(), SinkError> {
        self.commit()
    }

    /// Returns the size of what was written, with what was there before, as far as it is known: feeds that roll by size
    /// ask for it.
    fn bytes(&self) -> u64 {
        0
    }
}

impl<S: Sink + ?Sized> Sink for Box<S> {
    fn write(&mut self, record: &Record) -> Result<(), SinkError> {
        (**self).write(record)
    }

    fn commit(&mut self) -> Result<(), SinkError> {
        (**self).commit()
    }

    fn stored(&mut self) -> Vec<bool> {
        (**self).stored()
    }

    fn close(&mut self) -> Result<(), SinkError> {
        (**self).close()
    }

    fn bytes(&self) -> u64 {
        (**self).bytes()
    }
}

/// The circumstances in which a sink is opened.
///
/// ```
/// use actix_crawler::feed::Opening;
///
/// fn begins(opening: Opening) -> &'static str {
///     if opening.keeps() { "go on after the last record" } else { "CREATE TABLE …" }
/// }
/// assert_eq!(begins(Opening::Fresh), "CREATE TABLE …");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Opening {
    /// A crawl begins: what an earlier one has left there goes.
    Fresh,
    /// A crawl goes on, after a stop or a kill: what was committed stays, and what is torn goes.
    Resumed,
    /// The sink is opened again within a crawl, after a panic or a time-out, or since it was closed to save open files.
    Restarted,
}

impl Opening {
    /// Tells whether what was committed before stays.
    pub fn keeps(self) -> bool {
        self != Self::Fresh
    }
}

/// How many records are committed together, and how long the first of them waits for that.
///
/// ```
/// use std::time::Duration;
///
/// use actix_crawler::feed::Batch;
///
/// let rows = Batch::of(1_000, Duration::from_secs(1));
/// assert!(rows.wait > Batch::default().wait);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Batch {
    /// The most records; at least 1.
    pub items: usize,
    /// The longest that a record waits for others. With zero, all records that have come meanwhile are committed as
    /// soon as the last commit is over.
    #[serde(with = "durations")]
    pub wait: Duration,
}

impl Default for Batch {
    /// As many as wait, at once.
    fn default() -> Self {
        // Bounds the memory: records of this many items are held, and their pages wait with them.
        Self { items: 256, wait: Duration::ZERO }
    }
}

impl Batch {
    /// Commits `items` records together, or those that are there when the first has waited so long.
    pub fn of(items: usize, wait: Duration) -> Self {
        Self { items: items.max(1), wait }
    }
}
