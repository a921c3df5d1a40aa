//! Bucket without the feature `object-store`: there is none. Knows no network.

use std::{io, path::Path, sync::Arc, time::Duration};

use super::{
    Feed, Opening, Sink,
    names::{Existing, FileNames},
    target::Location,
};
use crate::error::Error;

/// What cannot be.
pub(super) enum Bucket {}

impl Bucket {
    pub fn open(location: &Location, _: &Path, _: Duration) -> Result<Arc<Self>, Error> {
        Err(Error::setting(location.to_string(), "a bucket needs the feature `object-store`"))
    }

    pub fn names(&self, _: &str) -> Result<FileNames, Error> {
        match *self {}
    }

    pub fn url(&self, _: &Path) -> String {
        match *self {}
    }

    pub fn open_file(self: &Arc<Self>, _: &Feed, _: &Path, _: Opening, _: bool) -> Result<Box<dyn Sink>, Error> {
        match **self {}
    }

    pub fn existing(&self, _: &FileNames, _: &str) -> io::Result<Vec<Existing>> {
        match *self {}
    }
}
