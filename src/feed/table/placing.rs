//! Placing: which columns the rows of a table have, and the place of each item's fields in them. Knows no database.

use super::FeedTable;
use crate::{
    error::Error,
    feed::{
        Opening, Record, SinkError, Value,
        columns::{Columns, is_missing},
    },
};

/// A column that a table has.
#[derive(Clone, Debug)]
pub(in crate::feed) struct Existing {
    /// Its name.
    pub name: String,
    /// Whether the database fills the column itself, as with a default. It is written only if an item has the field.
    pub fills_itself: bool,
}

/// The columns of the rows that are written, and of the table that is there.
#[derive(Debug)]
pub(in crate::feed) struct Placing {
    table: FeedTable,
    columns: Option<Columns>,
    existing: Option<Vec<Existing>>,
    /// Whether an earlier run has made the table.
    is_older: bool,
    /// Which of the columns an item had, in their order.
    were_there: Vec<bool>,
}

impl Placing {
    /// Begins with what the description says. The table is not there, or goes.
    pub fn new(table: FeedTable) -> Self {
        let columns = table.given.clone().map(Columns::new);
        Self { table, columns, existing: None, is_older: false, were_there: Vec::new() }
    }

    /// Goes on with a table that is there.
    ///
    /// # Errors
    /// It lacks a column.
    pub fn exists(&mut self, existing: Vec<Existing>, opening: Opening) -> Result<(), Error> {
        let wanted = self.table.given.iter().flatten().chain(&self.table.key);
        if let Some(missing) = wanted.into_iter().find(|name| !existing.iter().any(|column| column.name == **name)) {
            return Err(self.table.wrong(format!(
                "it is added to and has no column `{missing}`; write to another table, name columns that it has, or add this one"
            )));
        }
        self.is_older = opening == Opening::Resumed;
        self.existing = Some(existing);
        Ok(())
    }

    /// Returns the table's description.
    pub fn table(&self) -> &FeedTable {
        &self.table
    }

    /// Returns the names of the columns that are written; `None` before the first item, unless they are given.
    pub fn names(&self) -> Option<&[String]> {
        self.columns.as_ref().map(Columns::names)
    }

    /// Returns the names of the columns that an item writes to a row which has its key. A table that was there may have
    /// columns of others: without given ones, those that no item of this run had are left as they are.
    pub fn replaced(&self) -> Vec<String> {
        let are_own = self.table.given.is_some() || self.existing.is_none();
        let names = self.names().unwrap_or_default().iter().enumerate();
        let is_own = |index: &usize| are_own || self.were_there.get(*index).copied().unwrap_or(false);
        names.filter(|(index, _)| is_own(index)).map(|(_, name)| name.clone()).collect()
    }

    /// Makes a row of a record, from the value for each column. The first record sets the columns, unless they are
    /// given or it is refused.
    ///
    /// # Errors
    /// The record has a field without a column, or lacks one of the key; or no row can be made of it.
    pub fn row<R>(
        &mut self,
        record: &Record,
        make: impl FnOnce(&Self, Vec<&Value>) -> Result<R, SinkError>,
    ) -> Result<R, SinkError> {
        let was_set = self.columns.is_some();
        let row = self.place(record).and_then(|cells| {
            let are_there: Vec<_> = cells.iter().map(|cell| !is_missing(cell)).collect();
            Ok((make(self, cells)?, are_there))
        });
        match row {
            Ok((row, are_there)) => {
                self.were_there.resize(are_there.len(), false);
                self.were_there.iter_mut().zip(are_there).for_each(|(was_there, is_there)| *was_there |= is_there);
                Ok(row)
            }
            Err(error) => {
                if !was_set {
                    self.forget();
                }
                Err(error)
            }
        }
    }

    fn place<'r>(&mut self, record: &'r Record) -> Result<Vec<&'r Value>, SinkError> {
        if let Some(columns) = &self.columns {
            return self.placed(columns, record);
        }
        let columns = self.columns_of(record)?;
        let cells = self.placed(&columns, record)?;
        self.columns = Some(columns);
        Ok(cells)
    }

    /// Forgets the columns of records that were not written, and that no table has.
    pub fn forget(&mut self) {
        self.columns = self.table.given.clone().map(Columns::new);
        self.were_there.clear();
    }

    fn placed<'r>(&self, columns: &Columns, record: &'r Record) -> Result<Vec<&'r Value>, SinkError> {
        if record.fields().is_none() {
            return Err(SinkError::refused(format!(
                "{}: an item without named fields has no columns; make it a struct or a map",
                self.table.at()
            )));
        }
        let cells = columns.place(record, self.table.at())?;
        for name in &self.table.key {
            let place = columns.names().iter().position(|column| column == name);
            if place.and_then(|place| cells.get(place)).is_none_or(|value| **value == Value::Null) {
                return Err(SinkError::refused(format!(
                    "{}: an item has no `{name}`, which is of the key; drop such items before, or leave `key` out",
                    self.table.at()
                )));
            }
        }
        Ok(cells)
    }

    fn columns_of(&self, record: &Record) -> Result<Columns, SinkError> {
        let of_record = Columns::of(record);
        let Some(existing) = &self.existing else {
            if of_record.names().is_empty() || of_record.names().iter().any(String::is_empty) {
                let why = "an item that has no fields, or one without a name, makes no table; name the `fields`";
                return Err(SinkError::refused(format!("{}: {why}", self.table.at())));
            }
            return Ok(of_record);
        };
        let is_named = |column: &&Existing| !column.fills_itself || of_record.names().contains(&column.name);
        let names = existing.iter().filter(is_named).map(|column| column.name.clone()).collect();
        Ok(if self.is_older { Columns::older(names) } else { Columns::new(names) })
    }
}
