//! ObjectSink: a sink in a file of the spool, which is uploaded when it is closed. Does not know how.

use std::{fs, io, path::PathBuf, sync::Arc};

use super::Bucket;
use crate::feed::{Record, Sink, SinkError, lock::Lock};

pub(super) struct ObjectSink {
    sink: Box<dyn Sink>,
    /// Held during the upload: records that another writer added would be removed with the file.
    lock: Option<Lock>,
    bucket: Arc<Bucket>,
    file: PathBuf,
    /// Whether the crawl has a state: then its next run finds the file.
    goes_on: bool,
}

impl ObjectSink {
    pub fn new(sink: Box<dyn Sink>, lock: Lock, bucket: Arc<Bucket>, file: PathBuf, goes_on: bool) -> Self {
        Self { sink, lock: Some(lock), bucket, file, goes_on }
    }
}

impl Sink for ObjectSink {
    fn write(&mut self, record: &Record) -> Result<(), SinkError> {
        self.sink.write(record)
    }

    fn commit(&mut self) -> Result<(), SinkError> {
        self.sink.commit()
    }

    fn close(&mut self) -> Result<(), SinkError> {
        self.sink.close()?;
        let file = self.file.display();
        // A Parquet feed without columns writes no file.
        if self.file.exists() {
            self.bucket.upload(&self.file).map_err(|why| {
                let next = if self.goes_on { "the next run uploads them" } else { "upload that file yourself" };
                SinkError::broken(format!("{why}; nothing is lost: its records are in {file}, and {next}"))
            })?;
        }
        let removed = match fs::remove_file(&self.file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => self.lock.take().map_or(Ok(()), Lock::remove),
        };
        removed.map_err(|error| SinkError::broken(format!("{file} is uploaded and cannot be removed: {error}")))
    }

    fn bytes(&self) -> u64 {
        self.sink.bytes()
    }
}
