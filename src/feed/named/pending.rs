//! PendingRecords: which file each record since the last commit went to, and what became of those files. Knows no
//! files.

use std::{iter::repeat_n, mem::take};

use super::super::SinkError;

/// The records since the last commit.
#[derive(Default)]
pub(super) struct PendingRecords {
    /// Runs of records in the order of writing: the opening that each run went to, and its length.
    openings: Vec<(u64, usize)>,
    /// The openings that have refused what was written to them, and forgotten it.
    refused: Vec<u64>,
    /// Why the first of them did.
    why: Option<SinkError>,
    /// Of a commit that was refused: which records are durable.
    stored: Vec<bool>,
    /// Nothing is acknowledged any more once something was lost.
    broken: Option<SinkError>,
}

impl PendingRecords {
    /// Adds a record that was written to an opening.
    pub fn add(&mut self, opening: u64) {
        match self.openings.last_mut() {
            Some((last, records)) if *last == opening => *records += 1,
            _ => self.openings.push((opening, 1)),
        }
    }

    /// Notes what became of the records of an opening. A refusal is told of by the commit.
    ///
    /// # Errors
    /// Nothing can be acknowledged any more.
    pub fn note(&mut self, opening: u64, committed: Result<(), SinkError>) -> Result<(), SinkError> {
        match committed {
            Ok(()) => Ok(()),
            Err(why @ SinkError::Refused(_)) => {
                self.refused.push(opening);
                self.why.get_or_insert(why);
                Ok(())
            }
            Err(why) => Err(self.broken.get_or_insert(why).clone()),
        }
    }

    /// Tells whether something was lost.
    ///
    /// # Errors
    /// Why.
    pub fn check(&self) -> Result<(), SinkError> {
        self.broken.clone().map_or(Ok(()), Err)
    }

    /// Ends with the commit of all that are open.
    ///
    /// # Errors
    /// One of them has refused what was written to it, or something was lost.
    pub fn commit(&mut self) -> Result<(), SinkError> {
        self.check()?;
        self.stored.clear();
        let (openings, refused) = (take(&mut self.openings), take(&mut self.refused));
        let Some(why) = self.why.take() else { return Ok(()) };
        let of = |(opening, records): (u64, usize)| repeat_n(!refused.contains(&opening), records);
        self.stored = openings.into_iter().flat_map(of).collect();
        Err(why)
    }

    /// Returns which records of the last commit are durable, in the order of their writing.
    pub fn stored(&mut self) -> Vec<bool> {
        take(&mut self.stored)
    }
}
