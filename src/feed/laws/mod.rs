//! The laws of every sink, as a test helper for your own sinks. Knows no implementation.
//!
//! A sink gets random records, is closed, killed and opened again; what a reader sees is compared with what was
//! committed.
//!
//! ```
//! use std::sync::{Arc, Mutex};
//!
//! use actix_crawler::feed::{Opening, Record, Sink, SinkError, laws::{Row, Subject, check}};
//!
//! /// A table in memory: what was committed, and what waits.
//! #[derive(Clone, Default)]
//! struct Table(Arc<Mutex<Vec<Row>>>);
//!
//! struct Rows { table: Table, waiting: Vec<Row> }
//!
//! impl Sink for Rows {
//!     fn write(&mut self, record: &Record) -> Result<(), SinkError> {
//!         self.waiting.push(Row::of(record).ok_or_else(|| SinkError::refused("it is no row"))?);
//!         Ok(())
//!     }
//!
//!     fn commit(&mut self) -> Result<(), SinkError> {
//!         self.table.0.lock().map_err(SinkError::broken)?.append(&mut self.waiting);
//!         Ok(())
//!     }
//! }
//!
//! impl Subject for Table {
//!     fn open(&mut self, opening: Opening) -> actix_crawler::Result<Box<dyn Sink>> {
//!         if !opening.keeps() {
//!             self.0.lock().unwrap().clear();
//!         }
//!         Ok(Box::new(Rows { table: self.clone(), waiting: Vec::new() }))
//!     }
//!
//!     fn read(&mut self) -> Vec<Row> {
//!         self.0.lock().unwrap().clone()
//!     }
//! }
//!
//! check(&mut Table::default(), 50);
//! ```

#![allow(clippy::panic, reason = "a test helper reports by a panic")]

use serde::{Deserialize, Serialize};

use super::{Opening, Record, Sink, SinkError, Value};
use crate::error::Result;

/// A kind of sink under test, with its one place for records.
///
/// The [module](self) shows one.
///
/// ```
/// use actix_crawler::feed::{Feed, Opening, Sink, laws::{Row, Subject}};
///
/// /// Where a subject keeps its file.
/// struct Lines(std::path::PathBuf);
/// # fn open_my_sink(_: &std::path::Path, _: Opening) -> actix_crawler::Result<Box<dyn Sink>> { unimplemented!() }
///
/// impl Subject for Lines {
///     fn open(&mut self, opening: Opening) -> actix_crawler::Result<Box<dyn Sink>> {
///         open_my_sink(&self.0, opening)
///     }
///
///     fn read(&mut self) -> Vec<Row> {
///         let text = std::fs::read_to_string(&self.0).unwrap();
///         text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
///     }
/// }
/// ```
pub trait Subject {
    /// Opens a sink, where the ones before have written.
    ///
    /// # Errors
    /// It cannot be opened, which breaks a law.
    fn open(&mut self, opening: Opening) -> Result<Box<dyn Sink>>;

    /// Reads what is there, as another program sees it at this moment.
    fn read(&mut self) -> Vec<Row>;

    /// Ends a sink as a kill of its process does. By default it is dropped.
    fn kill(&mut self, sink: Box<dyn Sink>) {
        drop(sink);
    }

    /// Leaves the beginning of a write behind, as a kill within it does; by default none. `part` is between 0 and 1.
    fn tear(&mut self, _part: f64) {}

    /// Returns a record that the sink refuses, if there is one.
    fn refused(&self) -> Option<Record> {
        None
    }
}

/// The item that the laws write.
///
/// ```
/// use actix_crawler::feed::{Record, laws::Row};
///
/// let row = Row { n: 7, text: "a \"quoted\" line\nand another".to_owned() };
/// assert_eq!(Row::of(&Record::of(&row, "https://example.org/")?), Some(row));
/// # Ok::<(), actix_crawler::feed::SinkError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Its number, each once.
    pub n: u64,
    /// Text with what is hard to write.
    pub text: String,
}

impl Row {
    /// Reads one back from a record.
    pub fn of(record: &Record) -> Option<Self> {
        match (record.get("n")?, record.get("text")?) {
            (Value::Integer(n), Value::Text(text)) => Some(Self { n: u64::try_from(*n).ok()?, text: text.clone() }),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum SinkStep {
    Write,
    WriteRefused,
    Commit,
    Read,
    CloseAndResume,
    CloseAndBeginAnew,
    Kill(Opening),
    Tear(f64, Opening),
}

/// Tests sinks against the laws, in `trials` trials of up to 40 steps each.
///
/// # Panics
/// A law is broken. The message names it, and the steps that led there.
pub fn check<S: Subject>(subject: &mut S, trials: u64) {
    for seed in 0..trials {
        let mut random = fastrand::Rng::with_seed(seed);
        let steps: Vec<_> = (0..random.usize(1..40)).map(|_| step(&mut random)).collect();
        if let Err((after, broken)) = run(subject, &steps, &mut random) {
            let listed: Vec<_> = steps.iter().take(after + 1).map(|step| format!("  {step:?}\n")).collect();
            panic!("{broken}\nin trial {seed}, after a fresh opening and these steps:\n{}", listed.concat());
        }
    }
}

fn step(random: &mut fastrand::Rng) -> SinkStep {
    let opening = if random.bool() { Opening::Resumed } else { Opening::Restarted };
    match random.u8(0..32) {
        0..14 => SinkStep::Write,
        14..16 => SinkStep::WriteRefused,
        16..23 => SinkStep::Commit,
        23..25 => SinkStep::Read,
        25 => SinkStep::CloseAndBeginAnew,
        26..28 => SinkStep::CloseAndResume,
        28..30 => SinkStep::Kill(opening),
        _ => SinkStep::Tear(random.f64(), opening),
    }
}

struct SinkTrial<'s, S> {
    subject: &'s mut S,
    committed: Vec<Row>,
    waiting: Vec<Row>,
    next: u64,
}

fn run<S: Subject>(subject: &mut S, steps: &[SinkStep], random: &mut fastrand::Rng) -> Result<(), (usize, String)> {
    let mut trial = SinkTrial { subject, committed: Vec::new(), waiting: Vec::new(), next: 0 };
    let mut sink = trial.open(Opening::Fresh).map_err(|why| (0, why))?;
    for (index, step) in steps.iter().enumerate() {
        sink = trial.step(sink, *step, random).map_err(|why| (index, why))?;
    }
    let last = steps.len();
    trial.close(sink).map_err(|why| (last, why))?;
    trial.look().map_err(|why| (last, why))
}

impl<S: Subject> SinkTrial<'_, S> {
    fn open(&mut self, opening: Opening) -> Result<Box<dyn Sink>, String> {
        let opened = self.subject.open(opening).map_err(|error| format!("it does not open as {opening:?}: {error}"))?;
        if !opening.keeps() {
            self.committed.clear();
        }
        self.look()?;
        Ok(opened)
    }

    fn step(
        &mut self,
        mut sink: Box<dyn Sink>,
        step: SinkStep,
        random: &mut fastrand::Rng,
    ) -> Result<Box<dyn Sink>, String> {
        match step {
            SinkStep::Write => {
                let row = Row { n: self.next, text: text(random) };
                self.next += 1;
                sink.write(&record(&row)).map_err(|error| format!("{row:?} is not taken: {error}"))?;
                self.waiting.push(row);
            }
            SinkStep::WriteRefused => {
                if let Some(record) = self.subject.refused()
                    && !matches!(sink.write(&record), Err(SinkError::Refused(_)))
                {
                    return Err(format!("{record:?} is not refused"));
                }
            }
            SinkStep::Commit => {
                sink.commit().map_err(|error| format!("a commit fails: {error}"))?;
                self.committed.append(&mut self.waiting);
                self.look()?;
            }
            SinkStep::Read => self.look()?,
            SinkStep::CloseAndResume => {
                self.close(sink)?;
                return self.open(Opening::Resumed);
            }
            SinkStep::CloseAndBeginAnew => {
                self.close(sink)?;
                self.look()?;
                return self.open(Opening::Fresh);
            }
            SinkStep::Kill(opening) => {
                self.subject.kill(sink);
                return self.go_on(opening);
            }
            SinkStep::Tear(part, opening) => {
                self.subject.kill(sink);
                self.subject.tear(part);
                return self.go_on(opening);
            }
        }
        Ok(sink)
    }

    /// Opens after a kill: what was not committed may be there, and stays then.
    fn go_on(&mut self, opening: Opening) -> Result<Box<dyn Sink>, String> {
        let sink = self
            .subject
            .open(opening)
            .map_err(|error| format!("it does not open as {opening:?} after a kill: {error}"))?;
        self.look()?;
        let there = self.subject.read().len().saturating_sub(self.committed.len());
        self.committed.extend(self.waiting.drain(..).take(there));
        Ok(sink)
    }

    fn close(&mut self, mut sink: Box<dyn Sink>) -> Result<(), String> {
        sink.close().map_err(|error| format!("it does not close: {error}"))?;
        self.committed.append(&mut self.waiting);
        Ok(())
    }

    /// Compares what is there with what was committed, and may be followed by the first of what was not.
    fn look(&mut self) -> Result<(), String> {
        let there = self.subject.read();
        let most: Vec<_> = self.committed.iter().chain(&self.waiting).cloned().collect();
        if there.len() < self.committed.len() {
            return Err(format!("of {} committed records {} are there", self.committed.len(), there.len()));
        }
        if !most.starts_with(&there) {
            return Err(format!("{there:?} is there, where {:?} was committed", self.committed));
        }
        Ok(())
    }
}

fn record(row: &Row) -> Record {
    match Record::of(row, "https://example.org/") {
        Ok(record) => record,
        Err(error) => panic!("a row is a record: {error}"),
    }
}

fn text(random: &mut fastrand::Rng) -> String {
    const PIECES: [&str; 12] = [
        "",
        "plain",
        "a \"quote\"",
        "'",
        "one\ntwo",
        "\r\n",
        "a,b;c\td",
        "<a&b>]]>",
        "{\"n\":1}",
        "]\n",
        "é 洪 🦀",
        "\\",
    ];
    let length = if random.u8(0..20) == 0 { 2_000 } else { random.usize(0..4) };
    (0..length).filter_map(|_| PIECES.get(random.usize(0..PIECES.len())).copied()).collect()
}
