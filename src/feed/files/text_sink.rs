//! TextSink: a sink for one file of text, plain or compressed. Does not know the format (`Layout`).

use std::{
    fs::{File, OpenOptions},
    io::{self, Seek as _, SeekFrom},
    path::Path,
    thread,
    time::Duration,
};

use super::{
    codec::Codec,
    ends::{FileEnds, RecordsEnd},
    layout::Layout,
    records::{Records, create_lines},
    streams::FeedStreams,
};
use crate::{
    clock,
    disk::{file_lock::is_held, synced_folder::sync_name},
    error::Error,
    feed::{
        Opening, Record, Sink, SinkError,
        outputs::{check_writable, is_other},
    },
    report::escaped::escape_json,
};

/// Writes records to a file or to stdout. What was added since the last commit is in memory.
pub(crate) struct TextSink<L> {
    layout: L,
    codec: Codec,
    records: Records,
    pending: Vec<u8>,
    /// Where what has gone to an output is noted that cannot be read again. What closes it is written at the end only,
    /// since it cannot be written over.
    stream: Option<StreamOutput>,
    /// Where the end of its records is noted when it is closed, if it is a file.
    ends: Option<FileEnds>,
    on_terminal: bool,
    /// Nothing is acknowledged any more once something was lost.
    broken: Option<SinkError>,
}

/// An output that cannot be read again.
pub(crate) struct StreamOutput {
    /// Those of its pipeline.
    pub of: FeedStreams,
    /// Its name.
    pub name: String,
}

/// What is held at the most; then it goes to the file before its commit.
const MAX_PENDING: usize = 4 << 20;

impl<L: Layout> TextSink<L> {
    /// Writes to stdout, where control characters are escaped if it is a terminal.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn stdout(layout: L, codec: Codec, opening: Opening, stream: StreamOutput) -> Result<Self, Error> {
        let opened = Self::stream(layout, codec, Records::stdout(), opening, stream);
        opened.map_err(|error| Error::setting("stdout", error.to_string()))
    }

    /// Opens a file, creating it if necessary.
    ///
    /// # Errors
    /// It cannot be written, or what is in it does not fit what would follow.
    pub fn open(
        path: &Path,
        mut layout: L,
        codec: Codec,
        opening: Opening,
        syncs: bool,
        stream: StreamOutput,
    ) -> Result<Self, Error> {
        let wrong = |source| Error::file(path, source);
        let is_new = !path.exists();
        if is_other(path) {
            let records = Records::file(path, create_lines(path).map_err(wrong)?);
            let opened = Self::stream(layout, codec, records, opening, stream);
            return opened.map_err(|error| wrong(io::Error::other(error)));
        }
        let closing = layout.closing();
        let mut file = options(&layout).create(true).open(path).map_err(wrong)?;
        let end = Self::look(path, &mut file, &mut layout, codec, opening, &stream.of.ends)?;
        let encoded = |text: &[u8]| codec.member(text).map_err(wrong);
        // Also if nothing stands there: a file without a single member is no compressed file.
        let begin = match (end, layout.missing_end()) {
            (0, _) => encoded(&layout.beginning())?,
            (_, []) => Vec::new(),
            (_, missing) => encoded(missing)?,
        };
        // Before anything is written: what is left of an older, longer file would be taken for what follows after a
        // kill.
        if closing.is_empty() || end == 0 {
            file.set_len(end).map_err(wrong)?;
        }
        let mut records = if closing.is_empty() {
            Records::file(path, file).synced(syncs)
        } else {
            Records::file(path, file).synced(syncs).closed_by(encoded(&closing)?, end)
        };
        records.write_first(&begin).map_err(wrong)?;
        if syncs && is_new {
            sync_name(path).map_err(wrong)?;
        }
        Ok(Self { ends: Some(stream.of.ends), ..Self::new(layout, codec, records, None) })
    }

    /// Checks that a file can be opened. Changes nothing of it.
    ///
    /// # Errors
    /// As [`TextSink::open`].
    pub fn check(path: &Path, mut layout: L, codec: Codec, opening: Opening, ends: &FileEnds) -> Result<(), Error> {
        if is_other(path) || !path.exists() {
            return check_writable(path).map_err(|source| Error::file(path, source));
        }
        let mut file = options(&layout).open(path).map_err(|source| Error::file(path, source))?;
        let at = Self::look(path, &mut file, &mut layout, codec, opening, ends)?;
        if opening.keeps() {
            // Opening it does not read it again.
            ends.note(path, &file, RecordsEnd { at, lacks_end: !layout.missing_end().is_empty() });
        }
        Ok(())
    }

    /// Takes a file, and finds where the records end after which it goes on.
    ///
    /// # Errors
    /// Another has it, or what is in it does not fit what would follow.
    fn look(
        path: &Path,
        file: &mut File,
        layout: &mut L,
        codec: Codec,
        opening: Opening,
        ends: &FileEnds,
    ) -> Result<u64, Error> {
        let wrong = |source| Error::file(path, source);
        // What was not written in this layout is no fault of the disk.
        let misfit = |error: io::Error| match error.kind() {
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
                Error::setting(path.display().to_string(), error.to_string())
            }
            _ => wrong(error),
        };
        if !lock(file) && opening != Opening::Restarted {
            let why = "another feed or crawl writes to it; name another file";
            return Err(Error::setting(path.display().to_string(), why));
        }
        if !opening.keeps() {
            return Ok(0);
        }
        let end = match ends.take(path, file) {
            Some(known) => {
                if known.lacks_end {
                    layout.go_on_after_line();
                }
                known.at
            }
            None => Self::find_end(file, layout, codec).map_err(misfit)?,
        };
        if end > 0 {
            file.seek(SeekFrom::Start(0)).map_err(wrong)?;
            let mut content = codec.reader(io::Read::take(&*file, end)).map_err(wrong)?;
            layout.go_on(&mut *content, opening == Opening::Resumed).map_err(misfit)?;
        }
        Ok(end)
    }

    /// Finds where the whole records of a file end. Reads all of it, unless the format can tell from its last lines.
    fn find_end(file: &mut File, layout: &mut L, codec: Codec) -> io::Result<u64> {
        if codec == Codec::Plain {
            Codec::refuse_compressed(file)?;
            return layout.end_of_records(file);
        }
        let closing = layout.closing();
        let found = codec.end_of_members(file, &layout.beginning(), &closing)?;
        if found.lacks_end && closing.is_empty() {
            layout.go_on_after_line();
        }
        Ok(found.end)
    }

    fn stream(
        mut layout: L,
        codec: Codec,
        mut records: Records,
        opening: Opening,
        stream: StreamOutput,
    ) -> Result<Self, SinkError> {
        if opening == Opening::Restarted {
            layout.go_on_unseen(stream.of.of(&stream.name));
        } else {
            let beginning = codec.member(&layout.beginning()).map_err(SinkError::broken)?;
            if !beginning.is_empty() {
                records.add(&beginning)?;
            }
            stream.of.note(&stream.name, layout.streamed());
        }
        Ok(Self::new(layout, codec, records, Some(stream)))
    }

    fn new(layout: L, codec: Codec, records: Records, stream: Option<StreamOutput>) -> Self {
        let on_terminal = records.is_terminal();
        Self { layout, codec, records, pending: Vec::new(), stream, ends: None, on_terminal, broken: None }
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        if let Some(broken) = &self.broken {
            return Err(broken.clone());
        }
        if self.pending.is_empty() {
            return Ok(());
        }
        let added = match self.codec {
            Codec::Plain => self.records.add(&self.pending),
            codec => codec.member(&self.pending).map_err(SinkError::broken).and_then(|bytes| self.records.add(&bytes)),
        };
        self.pending.clear();
        match (&added, &self.stream) {
            (Err(error), _) => self.broken = Some(error.clone()),
            (Ok(()), Some(stream)) => stream.of.note(&stream.name, self.layout.streamed()),
            (Ok(()), None) => {}
        }
        added
    }
}

impl<L: Layout> TextSink<L> {
    fn finish(&mut self) -> Result<(), SinkError> {
        self.flush()?;
        let closing = self.layout.closing();
        match self.stream {
            Some(_) if closing.is_empty() => Ok(()),
            Some(_) => self.records.add(&self.codec.member(&closing).map_err(SinkError::broken)?),
            None => self.records.sync(),
        }
    }
}

impl<L: Layout> Sink for TextSink<L> {
    fn write(&mut self, record: &Record) -> Result<(), SinkError> {
        let before = self.pending.len();
        if self.on_terminal {
            let mut alone = Vec::new();
            self.layout.encode(record, &mut alone)?;
            escape_json(&mut alone);
            self.pending.append(&mut alone);
        } else if let Err(error) = self.layout.encode(record, &mut self.pending) {
            self.pending.truncate(before);
            return Err(error);
        }
        if self.pending.len() >= MAX_PENDING { self.flush() } else { Ok(()) }
    }

    fn commit(&mut self) -> Result<(), SinkError> {
        self.flush()
    }

    fn close(&mut self) -> Result<(), SinkError> {
        let closed = self.finish();
        if let (Ok(()), Some(ends), Some((path, file))) = (&closed, &self.ends, self.records.as_file()) {
            ends.note(path, file, RecordsEnd { at: self.records.end(), lacks_end: false });
        }
        self.records.unlock();
        closed
    }

    fn bytes(&self) -> u64 {
        self.records.bytes() + self.pending.len() as u64
    }
}

/// Returns how a file of a layout is opened.
fn options(layout: &impl Layout) -> OpenOptions {
    let mut options = OpenOptions::new();
    // In append mode, an abandoned writer that comes back late overwrites nothing.
    options.truncate(false).read(true).append(layout.closing().is_empty()).write(true);
    options
}

/// Makes a file this writer's alone, until it is closed. False if another has it; a file system without locks keeps
/// nobody away.
fn lock(file: &File) -> bool {
    let begin = clock::now();
    loop {
        if !is_held(&file.try_lock()) {
            return true;
        }
        // A writer that was given up may close its file a moment later.
        if clock::now().saturating_duration_since(begin) >= LOCK_WAIT {
            return false;
        }
        thread::sleep(LOCK_STEP);
    }
}

/// How long an earlier writer may take to close its file: it has ended, and its thread may not have.
const LOCK_WAIT: Duration = Duration::from_secs(1);

/// How often the lock is tried again.
const LOCK_STEP: Duration = Duration::from_millis(10);
