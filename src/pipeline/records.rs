//! Records: appends whole records to a file or standard output. Does not know their content.

use std::{
    fs::{File, OpenOptions},
    io::{self, IsTerminal, Read as _, Seek as _, SeekFrom, Write},
    path::{Path, PathBuf},
};

use super::PipelineError;

/// The output for records. A partly written record is removed, so that the next one does not follow it on the same
/// line.
pub(super) struct Records {
    output: Output,
    /// Whether the output ends with a partial record.
    torn: bool,
}

enum Output {
    File(File, PathBuf),
    Stdout(io::Stdout),
}

impl Records {
    pub fn stdout() -> Self {
        Self { output: Output::Stdout(io::stdout()), torn: false }
    }

    pub fn file(path: &Path, file: File) -> Self {
        Self { output: Output::File(file, path.to_owned()), torn: false }
    }

    /// Tells whether the output is a terminal.
    pub fn is_terminal(&self) -> bool {
        match &self.output {
            Output::File(file, _) => file.is_terminal(),
            Output::Stdout(stdout) => stdout.is_terminal(),
        }
    }

    /// Appends one record, which includes its line end.
    ///
    /// # Errors
    /// The output can no longer be written; the error says why.
    pub fn add(&mut self, record: &[u8]) -> Result<(), PipelineError> {
        self.write(record).map_err(|error| match &self.output {
            Output::Stdout(_) if error.kind() == io::ErrorKind::BrokenPipe => PipelineError::ReaderGone,
            Output::Stdout(_) => PipelineError::broken(format!("stdout cannot be written any more: {error}")),
            Output::File(_, path) => {
                PipelineError::broken(format!("{} cannot be written any more: {error}", path.display()))
            }
        })
    }

    /// Like [`Records::add`], with the system's error.
    pub fn write(&mut self, record: &[u8]) -> io::Result<()> {
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
        self.output.flush()
    }
}

impl Output {
    /// Removes the last bytes; false if that is impossible.
    fn cut(&self, bytes: u64) -> bool {
        let Self::File(file, _) = self else { return false };
        let Ok(metadata) = file.metadata() else { return false };
        metadata.is_file() && file.set_len(metadata.len().saturating_sub(bytes)).is_ok()
    }
}

impl Write for Output {
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
    let file = open_lines(path)?;
    if file.metadata()?.is_file() {
        file.set_len(0)?;
    }
    Ok(file)
}

/// Opens a file for appending, creating it if necessary.
pub(super) fn open_lines(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
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
    let mut unfinished = metadata.len();
    let mut block = vec![0; TAIL];
    while unfinished > 0 {
        let from = unfinished.saturating_sub(TAIL as u64);
        let length = usize::try_from(unfinished - from).unwrap_or(TAIL);
        file.seek(SeekFrom::Start(from))?;
        let Some(tail) = block.get_mut(..length) else { break };
        file.read_exact(tail)?;
        if let Some(last) = tail.iter().rposition(|byte| *byte == b'\n') {
            unfinished = from + last as u64 + 1;
            break;
        }
        unfinished = from;
    }
    if unfinished < metadata.len() {
        file.set_len(unfinished)?;
    }
    Ok(file)
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
}
