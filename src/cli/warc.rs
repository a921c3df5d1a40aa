//! `warc`: lists, extracts, verifies and indexes what WARC files contain, of whatever writer.

use std::{
    io::{self, Write},
    path::Path,
};

use actix_crawler::{
    Error,
    internals::{Counted, NotCopied, copy_all, copy_body},
    warc::{Entry, Reader, Record, index_of, verify, write_index},
};

use super::{
    console::{print, tell},
    exit::{Exit, Failure},
    kept_file::KeptFile,
    named_files::NamedFiles,
    options::{WarcOptions, WarcTask},
    terminal,
};

/// Runs the command.
///
/// # Errors
/// A file cannot be read, or is damaged; what was asked for is not there; an output cannot be written.
pub fn run(options: &WarcOptions) -> Result<Exit, Failure> {
    match &options.task {
        WarcTask::List { files } => files.iter().try_for_each(|file| list(file)).map(|()| Exit::Well),
        WarcTask::Extract { file, what, whole, encoded, output } => {
            let part = match (whole, encoded) {
                (true, _) => RecordPart::Block,
                (false, true) => RecordPart::Encoded,
                (false, false) => RecordPart::Body,
            };
            let mut named = NamedFiles::default();
            named.read("FILE", Some(file));
            named.written("--output", output.as_deref());
            named.check()?;
            extract(file, what, part, output.as_deref())
        }
        WarcTask::Verify { files } => {
            let mut problems = 0;
            for file in files {
                problems += verify_one(file)?;
            }
            match problems {
                0 => Ok(Exit::Well),
                problems => Err(Failure::not_run(Counted(problems, "problem").to_string())),
            }
        }
        WarcTask::Index { files } => {
            for file in files {
                print(format!("{}\n", write_index(file)?.display()).as_bytes())?;
            }
            Ok(Exit::Well)
        }
    }
}

/// Prints a line for each record.
fn list(file: &Path) -> Result<(), Failure> {
    let mut reader = Reader::open(file)?;
    while let Some(record) = reader.next_record()? {
        let line = serde_json::json!({
            "offset": record.offset(),
            "type": record.kind(),
            "url": record.url(),
            "date": record.field("WARC-Date"),
            "length": record.length(),
            "truncated": record.field("WARC-Truncated"),
            "refers_to": record.field("WARC-Refers-To-Target-URI"),
            "digest": record.field("WARC-Payload-Digest"),
        });
        let known = line.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
        let known: serde_json::Map<_, _> = known.map(|(name, value)| (name.clone(), value.clone())).collect();
        print(format!("{}\n", serde_json::Value::Object(known)).as_bytes())?;
    }
    Ok(())
}

/// What is written of a record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum RecordPart {
    /// The body of a message, decoded.
    Body,
    /// The same as it is stored.
    Encoded,
    Block,
}

/// Writes what the record of a URL, or at an offset, contains.
fn extract(file: &Path, what: &str, part: RecordPart, output: Option<&Path>) -> Result<Exit, Failure> {
    let (mut record, mut reader) = find(file, what)?;
    if record.kind() == "revisit" && part != RecordPart::Block {
        (record, reader) = original_of(file, &record)?;
    }
    let is_http = record.field("Content-Type").is_some_and(|media_type| media_type.starts_with("application/http"));
    let part = if is_http { part } else { RecordPart::Block };
    let copied = match output {
        Some(path) => copy_to_file(&mut reader, || open(file, record.offset()), part, path)?,
        None if terminal::is_terminal(None) => {
            let mut shown = Shown(Vec::new());
            let copied = copy(&mut reader, part, &mut shown);
            print(&shown.0)?;
            match copied {
                Err(NotCopied::Unwritable(_)) => Ok(0),
                copied => copied,
            }
        }
        None => copy(&mut reader, part, &mut io::stdout().lock()),
    };
    copied.map(|_| Exit::Well).map_err(|error| match (error, output) {
        (NotCopied::Unreadable(error), _) => {
            let hint = if part == RecordPart::Body { "; --encoded writes it as it is stored" } else { "" };
            Failure::not_run(format!("{}, offset {}: {error}{hint}", file.display(), record.offset()))
        }
        (NotCopied::Unwritable(error), Some(path)) => Failure::unwritable("--output", path, &error),
        (NotCopied::Unwritable(error), None) => Failure::unprintable(&error),
    })
}

/// Writes a part to a file in place of what is there, once it is known that all of it can be read.
fn copy_to_file(
    reader: &mut Reader,
    again: impl FnOnce() -> Result<Option<(Record, Reader)>, Failure>,
    part: RecordPart,
    path: &Path,
) -> Result<Result<u64, NotCopied>, Failure> {
    if let Err(unreadable) = copy(reader, part, &mut io::sink()) {
        return Ok(Err(unreadable));
    }
    let mut to = KeptFile::open("--output", path)?;
    to.replace(b"").map_err(|error| Failure::unwritable("--output", path, &error))?;
    match again()? {
        Some((_, mut reader)) => Ok(copy(&mut reader, part, &mut to)),
        None => Ok(Ok(0)),
    }
}

fn copy(reader: &mut Reader, part: RecordPart, to: &mut impl Write) -> Result<u64, NotCopied> {
    match part {
        RecordPart::Body => copy_body(reader, to, true),
        RecordPart::Encoded => copy_body(reader, to, false),
        RecordPart::Block => copy_all(reader, to),
    }
}

/// The beginning of an output, as much as is shown on a terminal.
struct Shown(Vec<u8>);

impl Write for Shown {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(MAX_ON_TERMINAL - self.0.len());
        self.0.extend_from_slice(bytes.get(..taken).unwrap_or_default());
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// More than anybody reads on a terminal.
const MAX_ON_TERMINAL: usize = 1 << 20;

/// Opens the record at an offset, or the latest response of a URL.
fn find(file: &Path, what: &str) -> Result<(Record, Reader), Failure> {
    let none = || Failure::failed(format!("{} has no record of {what}; `warc list` shows all", file.display()));
    let offset = match what.parse() {
        Ok(offset) => offset,
        Err(_) => {
            let entries = index_of(file)?;
            entries.iter().rfind(|entry| entry.is_of(what)).ok_or_else(none)?.offset
        }
    };
    open(file, offset)?.ok_or_else(none)
}

fn open(file: &Path, offset: u64) -> Result<Option<(Record, Reader)>, Failure> {
    let mut reader = Reader::open_at(file, offset)?;
    let record = reader.next_record().map_err(|error| match error {
        Error::Archive { .. } => Failure::failed(format!("{} has no record at offset {offset}", file.display())),
        other => other.into(),
    })?;
    Ok(record.map(|record| (record, reader)))
}

/// Opens the record that has the body of a revisit.
fn original_of(file: &Path, revisit: &Record) -> Result<(Record, Reader), Failure> {
    let field = |name| revisit.field(name).unwrap_or("unknown");
    let (url, date) = (field("WARC-Refers-To-Target-URI"), field("WARC-Refers-To-Date"));
    let elsewhere = || Failure::failed(format!("the body is that of {url}, of {date}, in another file"));
    let digest = revisit.field("WARC-Payload-Digest");
    let entries = index_of(file)?;
    let is_it = |entry: &&Entry| entry.digest.as_deref() == digest && entry.mime.as_deref() != Some("warc/revisit");
    let entry = entries.iter().find(is_it).filter(|_| digest.is_some()).ok_or_else(elsewhere)?;
    open(file, entry.offset)?.ok_or_else(elsewhere)
}

/// Prints what is wrong with a file, and how much was compared. Returns the number of problems.
fn verify_one(file: &Path) -> Result<u64, Failure> {
    let verified = match verify(file) {
        Err(error @ Error::Archive { .. }) => {
            print(format!("{error}\n").as_bytes())?;
            return Ok(1);
        }
        verified => verified?,
    };
    for problem in &verified.problems {
        print(format!("{problem}\n").as_bytes())?;
    }
    let (records, compared) = (Counted(verified.records, "record"), verified.compared);
    tell(format_args!("{}: {records}, the digests of {compared} compared", file.display()));
    Ok(verified.problems.len() as u64)
}
