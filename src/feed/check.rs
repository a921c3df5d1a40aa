//! Check: what is wrong with a feed's description, before anything is opened. Knows no files.

use super::{Feed, Format, Roll, names::Placeholder, target};
use crate::{error::Error, text::nearest::nearest};

impl Feed {
    /// Checks what can be checked without opening anything.
    ///
    /// # Errors
    /// The name has something unknown in braces or an unknown ending, new files would have the name of the one before,
    /// or a setting is not for such a feed.
    pub fn check(&self) -> crate::Result<()> {
        if self.to.as_os_str().is_empty() {
            return Err(Error::setting("to", "it is empty; write where the feed goes, as in to = \"items.jsonl\""));
        }
        self.check_table()?;
        let format = self.written_as()?;
        if format == Format::Parquet && self.compressed_by().is_some() {
            let why = "Parquet is compressed within itself; leave out the ending .gz or .zst";
            return Err(Error::setting(target::shown(&self.to), why));
        }
        let names = self.names()?;
        let numbers = names.as_ref().is_some_and(|names| names.has(Placeholder::Batch) || names.has(Placeholder::Time));
        if self.roll.is_set() && !numbers {
            let why = "it goes on in new files, which need names of their own; write {batch} or {time} in it";
            return Err(self.wrong(why));
        }
        self.check_numbers()?;
        for (index, name) in self.fields.iter().enumerate() {
            if name.is_empty() {
                return Err(self.wrong("one of its `fields` has no name"));
            }
            if self.fields.iter().take(index).any(|before| before == name) {
                return Err(self.wrong(format!("`{name}` is twice in its `fields`")));
            }
        }
        target::FeedTarget::of(&self.to)?;
        if !self.is_uploaded() && (self.spool.is_some() || self.upload_within.is_some()) {
            let why = "nothing is uploaded to it, so it has neither a spool nor a time for uploads";
            return Err(Error::setting(self.to.display().to_string(), why));
        }
        Ok(())
    }

    fn check_numbers(&self) -> crate::Result<()> {
        let Roll { items, bytes, every } = self.roll;
        for (key, is_zero) in [
            ("roll.items", items == Some(0)),
            ("roll.bytes", bytes == Some(0)),
            ("roll.every", every.is_some_and(|every| every.is_zero())),
            ("batch.items", self.batch.is_some_and(|batch| batch.items == 0)),
        ] {
            if is_zero {
                return Err(self.wrong(format!("`{key}` is 0; write more, or leave it out")));
            }
        }
        Ok(())
    }

    /// Checks that items with these fields have all fields that the feed names, so that a misspelt name does not leave
    /// a column or a file empty. The items must not be an enum.
    ///
    /// ```
    /// use actix_crawler::feed::Feed;
    ///
    /// let fields = ["url", "price"].map(str::to_owned);
    /// assert!(Feed::to("a.csv").fields(["price.amount"]).check_for(&fields).is_ok());
    /// assert!(Feed::to("a.csv").fields(["prize"]).check_for(&fields).is_err());
    /// ```
    ///
    /// # Errors
    /// Names the field, and those that there are.
    pub fn check_for(&self, fields: &[String]) -> crate::Result<()> {
        if let Some(variant) = self.types.first() {
            return Err(self.wrong(format!("`types` names `{variant}`, and items are of one type; leave it out")));
        }
        let is_there = |name: &str| {
            fields
                .iter()
                .any(|field| name.strip_prefix(&**field).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
        };
        match self.fields.iter().chain(&self.key).chain(self.only.keys()).find(|name| !is_there(name)) {
            Some(unknown) => {
                let near = nearest(unknown, fields.iter().map(String::as_str));
                let meant = near.map_or_else(String::new, |near| format!("did you mean `{near}`? "));
                Err(self.wrong(format!("items have no field `{unknown}`; {meant}there are {}", fields.join(", "))))
            }
            None => Ok(()),
        }
    }

    fn wrong(&self, why: impl Into<String>) -> Error {
        Error::setting(target::shown(&self.to), why.into())
    }
}
