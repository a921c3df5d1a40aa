//! Records: appends whole records to a file or standard output, and keeps what closes the file at its end. Does not
//! know their content.

use std::{
    fs::{File, OpenOptions},
    io::{self, IsTerminal, Read as _, Seek as _, SeekFrom, Write},
    path::{Path, PathBuf},
};

use crate::{
    disk::linked_file::{is_removed, removed},
    feed::SinkError,
};

/// The output for records. A partly written record is removed, so that the next one does not follow it on the same
/// line.
pub(crate) struct Records {
    output: RecordOutput,
    /// Whether the output ends with a partial record.
    torn: bool,
    /// What stands after the last record of a regular file, and is written over by the next one.
    closing: Option<Closing>,
    /// Whether what is added must be on the disk before it counts.
    syncs: bool,
    bytes: u64,
    /// Whether it had a name when it was opened. If its name disappears, what is written is lost.
    is_named: bool,
}

enum RecordOutput {
    File(File, PathBuf),
    Stdout(io::Stdout),
}

struct Closing {
    text: Vec<u8>,
    /// Where it stands.
    at: u64,
    /// Whether it has been written, so that the length of the file is known.
    is_there: bool,
}

impl Records {
    pub fn stdout() -> Self {
        Self {
            output: RecordOutput::Stdout(io::stdout()),
            torn: false,
            closing: None,
            syncs: false,
            bytes: 0,
            is_named: false,
        }
    }

    /// Appends to a file, which is open for appending.
    pub fn file(path: &Path, file: File) -> Self {
        let bytes = file.metadata().map_or(0, |metadata| metadata.len());
        let is_named = !is_removed(&file).unwrap_or(true);
        Self {
            output: RecordOutput::File(file, path.to_owned()),
            torn: false,
            closing: None,
            syncs: false,
            bytes,
            is_named,
        }
    }

    /// From now on, writes each addition at offset `at`, over the closing, and the closing `text` after it. The file
    /// must be regular and not in append mode.
    pub fn closed_by(mut self, text: Vec<u8>, at: u64) -> Self {
        self.closing = Some(Closing { text, at, is_there: false });
        self
    }

    /// Writes what stands before all records, and the closing; what was there after that is cut off.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_first(&mut self, beginning: &[u8]) -> io::Result<()> {
        if self.closing.is_some() || !beginning.is_empty() {
            self.write(beginning)?;
        }
        match (&self.output, &self.closing) {
            (RecordOutput::File(file, _), Some(_)) => file.set_len(self.bytes),
            _ => Ok(()),
        }
    }

    /// Puts what is added on the disk itself, if it is a regular file, so that it survives the machine.
    pub fn synced(mut self, syncs: bool) -> Self {
        self.syncs = syncs && self.is_regular();
        self
    }

    /// Tells whether the output is a terminal.
    pub fn is_terminal(&self) -> bool {
        match &self.output {
            RecordOutput::File(file, _) => file.is_terminal(),
            RecordOutput::Stdout(stdout) => stdout.is_terminal(),
        }
    }

    /// Tells whether it is a file that can be cut, and not a pipe or a terminal.
    pub fn is_regular(&self) -> bool {
        matches!(&self.output, RecordOutput::File(file, _) if file.metadata().is_ok_and(|metadata| metadata.is_file()))
    }

    /// Returns the length of the file, or what was written to an output that is none.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns where the records end, before the closing.
    pub fn end(&self) -> u64 {
        self.closing.as_ref().map_or(self.bytes, |closing| closing.at)
    }

    /// Returns the file that it writes to, with its name.
    pub fn as_file(&self) -> Option<(&Path, &File)> {
        match &self.output {
            RecordOutput::File(file, path) => Some((path, file)),
            RecordOutput::Stdout(_) => None,
        }
    }

    /// Appends one record or several whole ones, with what ends them.
    ///
    /// # Errors
    /// The output can no longer be written; the error says why.
    pub fn add(&mut self, record: &[u8]) -> Result<(), SinkError> {
        self.write(record).map_err(|error| self.broken(&error))
    }

    /// Puts all that was added on the disk, whether or not each addition was.
    ///
    /// # Errors
    /// That cannot be done.
    pub fn sync(&self) -> Result<(), SinkError> {
        match &self.output {
            RecordOutput::File(file, _) if self.is_regular() => {
                file.sync_data().and_then(|()| self.is_there()).map_err(|error| self.broken(&error))
            }
            _ => Ok(()),
        }
    }

    /// Lets others write to it.
    pub fn unlock(&self) {
        if let RecordOutput::File(file, _) = &self.output {
            // Where that fails, it ends with the file, a moment later.
            drop(file.unlock());
        }
    }

    /// What was written to a file that was removed is lost: whoever it was acknowledged to must know.
    fn is_there(&self) -> io::Result<()> {
        match &self.output {
            RecordOutput::File(file, _) if self.is_named && is_removed(file)? => Err(removed()),
            _ => Ok(()),
        }
    }

    fn broken(&self, error: &io::Error) -> SinkError {
        match &self.output {
            RecordOutput::Stdout(_) if error.kind() == io::ErrorKind::BrokenPipe => SinkError::ReaderGone,
            RecordOutput::Stdout(_) => SinkError::broken(format!("stdout cannot be written any more: {error}")),
            RecordOutput::File(_, path) => {
                SinkError::broken(format!("{} cannot be written any more: {error}", path.display()))
            }
        }
    }

    /// Like [`Records::add`], with the system's error.
    pub fn write(&mut self, record: &[u8]) -> io::Result<()> {
        match (&self.output, &mut self.closing) {
            (RecordOutput::File(file, _), Some(closing)) => self.bytes = closing.write_before(file, record)?,
            _ => self.append(record)?,
        }
        match &self.output {
            RecordOutput::File(file, _) if self.syncs => file.sync_data()?,
            _ => {}
        }
        self.is_there()
    }

    fn append(&mut self, record: &[u8]) -> io::Result<()> {
        if self.torn {
            // The line end confines the damage to the partial record.
            self.output.write_all(b"\n")?;
            self.torn = false;
        }
        let mut rest = record;
        while !rest.is_empty() {
            let error = match self.output.write(rest) {
                Ok(0) => io::ErrorKind::WriteZero.into(),
                Ok(written) => {
                    rest = rest.get(written..).unwrap_or_default();
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => error,
            };
            let written = record.len() - rest.len();
            self.torn = written > 0 && !self.output.cut(written as u64);
            return Err(error);
        }
        self.bytes += record.len() as u64;
        self.output.flush()
    }
}

impl Closing {
    /// Writes a record over the closing, and the closing after the record. Undoes a failed write as far as the disk
    /// allows. Returns the length of the file.
    fn write_before(&mut self, mut file: &File, record: &[u8]) -> io::Result<u64> {
        // A writer that was abandoned may come back late, when its successor has added to the file.
        if self.is_there && file.metadata()?.len() != self.at + self.text.len() as u64 {
            return Err(io::Error::other("another has written to it"));
        }
        let all = [record, &self.text].concat();
        let mut write = |at: u64, bytes: &[u8]| {
            file.seek(SeekFrom::Start(at))?;
            file.write_all(bytes)
        };
        if let Err(error) = write(self.at, &all) {
            // The space is allocated already, so this succeeds on a full disk. If it fails, the next opening repairs
            // the file.
            if write(self.at, &self.text).is_ok() {
                let _ = file.set_len(self.at + self.text.len() as u64);
            }
            return Err(error);
        }
        (self.at, self.is_there) = (self.at + record.len() as u64, true);
        Ok(self.at + self.text.len() as u64)
    }
}

impl RecordOutput {
    /// Removes the last bytes; false if that is impossible.
    fn cut(&self, bytes: u64) -> bool {
        let Self::File(file, _) = self else { return false };
        let Ok(metadata) = file.metadata() else { return false };
        metadata.is_file() && file.set_len(metadata.len().saturating_sub(bytes)).is_ok()
    }
}

impl Write for RecordOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file, _) => file.write(bytes),
            Self::Stdout(stdout) => stdout.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(file, _) => file.flush(),
            Self::Stdout(stdout) => stdout.flush(),
        }
    }
}

/// Opens a file for lines, creating or emptying it. All writing appends, so a writer that was abandoned and continues
/// late overwrites nothing of its successor.
///
/// # Errors
/// The file cannot be written.
pub fn create_lines(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    if file.metadata()?.is_file() {
        file.set_len(0)?;
    }
    Ok(file)
}

/// Opens a file of lines for appending, creating it if necessary. An incomplete last line is cut off: its writer was
/// killed midway, and the item was never acknowledged.
///
/// # Errors
/// The file cannot be read or written.
pub fn append_lines(path: &Path) -> io::Result<File> {
    let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        // A pipe or a terminal has no content to cut.
        return Ok(file);
    }
    let whole = end_of_lines(&mut file)?;
    if whole < metadata.len() {
        file.set_len(whole)?;
    }
    Ok(file)
}

/// Returns where the last whole line of a file ends.
///
/// # Errors
/// The file cannot be read.
pub(super) fn end_of_lines(file: &mut File) -> io::Result<u64> {
    let mut unfinished = file.metadata()?.len();
    let mut block = vec![0; TAIL];
    while unfinished > 0 {
        let from = unfinished.saturating_sub(TAIL as u64);
        let length = usize::try_from(unfinished - from).unwrap_or(TAIL);
        file.seek(SeekFrom::Start(from))?;
        let Some(tail) = block.get_mut(..length) else { break };
        file.read_exact(tail)?;
        if let Some(last) = tail.iter().rposition(|byte| *byte == b'\n') {
            return Ok(from + last as u64 + 1);
        }
        unfinished = from;
    }
    Ok(unfinished)
}

/// The step size when searching backwards from the end of a file; larger than most lines.
const TAIL: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_was_not_finished_is_cut_off_before_more_are_added() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lines");
        for (before, after) in [("", "x\n"), ("a\n", "a\nx\n"), ("a\nhal", "a\nx\n"), ("hal", "x\n")] {
            std::fs::write(&path, before).unwrap();
            append_lines(&path).unwrap().write_all(b"x\n").unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), after);
        }
        let long = format!("a\n{}", "b".repeat(3 * TAIL));
        std::fs::write(&path, long).unwrap();
        append_lines(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a\n");
    }

    #[test]
    fn part_of_a_record_is_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lines");
        let mut records = Records::file(&path, create_lines(&path).unwrap());
        records.add(b"a\n").unwrap();
        records.output.write_all(b"hal").unwrap();
        assert!(records.output.cut(3));
        records.add(b"x\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a\nx\n");
    }

    /// Regression: the next record was appended to the partial one and acknowledged.
    #[cfg(unix)]
    #[test]
    fn what_cannot_be_taken_back_stands_alone() {
        use std::os::{fd::OwnedFd, unix::net::UnixStream};
        let (to, mut from) = UnixStream::pair().unwrap();
        to.set_nonblocking(true).unwrap();
        let mut records = Records::file(Path::new("socket"), File::from(OwnedFd::from(to)));
        let long = vec![b'b'; 8 * 1024 * 1024];
        assert_eq!(records.write(&long).unwrap_err().kind(), io::ErrorKind::WouldBlock, "it is full");
        assert!(records.torn);
        let reader = std::thread::spawn(move || {
            let mut all = Vec::new();
            from.read_to_end(&mut all).unwrap();
            all
        });
        while records.add(b"x\n").is_err() {}
        drop(records);
        let all = reader.join().unwrap();
        assert!(all.starts_with(b"bbb") && all.ends_with(b"b\nx\n"));
    }

    /// Regression: a pipeline that blocked and was replaced wrote over the lines of its successor.
    #[test]
    fn who_comes_back_late_overwrites_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lines");
        std::fs::write(&path, "old\n").unwrap();
        let mut first = Records::file(&path, create_lines(&path).unwrap());
        first.add(b"a\n").unwrap();
        let mut second = Records::file(&path, append_lines(&path).unwrap());
        second.add(b"b\n").unwrap();
        first.add(b"c\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a\nb\nc\n");
    }

    #[test]
    fn who_comes_back_late_to_what_is_closed_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("array");
        let open = |at| {
            let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path).unwrap();
            Records::file(&path, file).closed_by(b"]".to_vec(), at)
        };
        let mut first = open(0);
        first.write_first(b"[").unwrap();
        first.add(b"1").unwrap();
        let mut second = open(2);
        second.write_first(b"").unwrap();
        second.add(b",2").unwrap();
        let refused = first.add(b",3").unwrap_err().to_string();
        assert!(refused.contains("another has written"), "{refused}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "[1,2]");
    }
}
