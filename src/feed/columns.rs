//! Columns: the names of a table's columns, and the place of each field in them. Knows no format.

use std::ptr;

use hashbrown::HashSet;

use super::{Flat, Record, SinkError, Value, record::is_within};

/// The columns of a table or of a file that has such. They never change: a field without a column is refused by its
/// name, and no cell ever stands in the column of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Columns {
    names: Vec<String>,
    /// Whether an earlier run has set them.
    are_older: bool,
    /// Whether an item without names may stand below them, by the number of its cells.
    take_unnamed: bool,
}

/// A cell of a field that an item does not have.
static MISSING: Value = Value::Null;

/// Tells whether a cell is that of a field that its item does not have.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(super) fn is_missing(cell: &Value) -> bool {
    ptr::eq(cell, &raw const MISSING)
}

impl Columns {
    /// Takes given names.
    pub fn new(names: Vec<String>) -> Self {
        Self { names, are_older: false, take_unnamed: true }
    }

    /// Takes the names that an earlier run has set.
    pub fn older(names: Vec<String>) -> Self {
        Self { names, are_older: true, take_unnamed: true }
    }

    /// Takes those of the first record; those of one without names have none.
    pub fn of(record: &Record) -> Self {
        match Flat::of(record) {
            Flat::Named(cells) => {
                let mut seen = HashSet::new();
                let names = cells.into_iter().map(|(name, _)| name.into_owned());
                Self { take_unnamed: false, ..Self::new(names.filter(|name| seen.insert(name.clone())).collect()) }
            }
            Flat::Unnamed(cells) => Self::new(vec![String::new(); cells.len()]),
        }
    }

    /// Returns the names.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Tells whether they have names.
    pub fn are_named(&self) -> bool {
        self.names.iter().any(|name| !name.is_empty())
    }

    /// Returns the value for each column, null where the record has no such field. `at` names the table in errors.
    ///
    /// # Errors
    /// A field has no column. With columns that an earlier run has set, that is the end: every further item would be
    /// refused, and its page lost.
    pub fn place<'r>(&self, record: &'r Record, at: &str) -> Result<Vec<&'r Value>, SinkError> {
        let fields = match Flat::but(record, |name| self.names.iter().any(|column| column == name)) {
            Flat::Named(fields) => fields,
            Flat::Unnamed(_) if !self.take_unnamed => {
                let why = format!("an item has no names for its cells, and {at} has named columns");
                return Err(SinkError::refused(why));
            }
            Flat::Unnamed(cells) if cells.len() == self.names.len() => return Ok(cells.iter().collect()),
            Flat::Unnamed(cells) => {
                let (cells, columns) = (cells.len(), self.names.len());
                return Err(SinkError::refused(format!("an item has {cells} cells, and {at} {columns} columns")));
            }
        };
        let mut cells: Vec<&Value> = vec![&MISSING; self.names.len()];
        for (index, (name, value)) in fields.iter().enumerate() {
            // Items of one type have their fields in the same positions.
            let is_here = self.names.get(index).is_some_and(|column| column == name);
            let place = if is_here { Some(index) } else { self.names.iter().position(|column| column == name) };
            match place.and_then(|place| cells.get_mut(place)) {
                Some(cell) if ptr::eq(*cell, &raw const MISSING) => *cell = value,
                // As of {"price": {"amount": 3}, "price.amount": 4}.
                Some(_) => return Err(SinkError::refused(format!("two fields of an item are named `{name}` in {at}"))),
                // A struct that is not there has no fields.
                None if **value == Value::Null && self.names.iter().any(|column| is_within(column, name)) => {}
                None => {
                    let why = format!("{at} has no column `{name}`; name all columns before the first item");
                    return Err(if self.are_older { SinkError::broken(why) } else { SinkError::refused(why) });
                }
            }
        }
        Ok(cells)
    }
}
