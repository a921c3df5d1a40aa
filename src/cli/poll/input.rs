//! Input: the requests that arguments, files and stdin name, read one after the other as they are needed.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::Path,
    thread,
};

use tokio::sync::mpsc;

use super::{
    super::{exit::Failure, options::PollOptions, seeds::without_mark},
    spec::{Defaults, RequestSpec},
};

/// Where requests are written. Arguments are read at once, lines when their turn comes.
pub struct Input {
    sources: Vec<Source>,
    defaults: Defaults,
}

enum Source {
    Argument(RequestSpec),
    File(String, File),
    Stdin,
}

/// A request, or what is wrong with its line.
pub type Entry = Result<RequestSpec, String>;

/// Lines that are read before their turn, so that requests do not wait for the disk.
const MAX_READ_AHEAD: usize = 64;

impl Input {
    /// Opens what the options name.
    ///
    /// # Errors
    /// An argument is no URL, a file cannot be opened, or nothing is named.
    pub fn open(options: &PollOptions) -> Result<Self, Failure> {
        let defaults = Defaults::of(options);
        let mut sources = Vec::new();
        for argument in &options.urls {
            sources.push(match argument.as_str() {
                "-" => Source::Stdin,
                file if Path::new(file).is_file() => Source::file(Path::new(file))?,
                url => Source::Argument(RequestSpec::read(url, &defaults).map_err(Failure::usage)?),
            });
        }
        sources.extend(options.input.as_deref().map(Source::file).transpose()?);
        if sources.is_empty() {
            return Err(Failure::usage("nothing to ask for; give URLs, a file of them, or - to read them from stdin"));
        }
        Ok(Self { sources, defaults })
    }

    /// Returns the requests that are arguments.
    pub fn arguments(&self) -> impl Iterator<Item = &RequestSpec> {
        self.sources.iter().filter_map(|source| match source {
            Source::Argument(spec) => Some(spec),
            Source::File(..) | Source::Stdin => None,
        })
    }

    /// Returns the number of requests, if it is known without reading files.
    pub fn total(&self) -> Option<usize> {
        let total = self.arguments().count();
        (total == self.sources.len()).then_some(total)
    }

    /// Begins to read on a thread of its own, because stdin may block for any time.
    ///
    /// # Errors
    /// The system refuses the thread.
    pub fn read(self) -> Result<mpsc::Receiver<Entry>, Failure> {
        let (to, entries) = mpsc::channel(MAX_READ_AHEAD);
        let read = move || {
            for source in self.sources {
                // The receiver is gone: the poll has ended.
                if source.read(&self.defaults, &to).is_none() {
                    return;
                }
            }
        };
        let begun = thread::Builder::new().name("poll-input".to_owned()).spawn(read);
        begun.map_err(|error| Failure::not_run(format!("the system refuses a thread: {error}")))?;
        Ok(entries)
    }
}

impl Source {
    fn file(path: &Path) -> Result<Self, Failure> {
        let opened = File::open(path);
        let file = opened.map_err(|error| Failure::usage(format!("{} cannot be read: {error}", path.display())))?;
        Ok(Self::File(path.display().to_string(), file))
    }

    fn read(self, defaults: &Defaults, to: &mpsc::Sender<Entry>) -> Option<()> {
        match self {
            Self::Argument(spec) => to.blocking_send(Ok(spec)).ok(),
            Self::File(name, file) => read_lines(&name, BufReader::new(file), defaults, to),
            Self::Stdin => read_lines("stdin", io::stdin().lock(), defaults, to),
        }
    }
}

fn read_lines(from: &str, lines: impl BufRead, defaults: &Defaults, to: &mpsc::Sender<Entry>) -> Option<()> {
    for (index, line) in lines.lines().enumerate() {
        let wrong = |why: String| format!("{from} line {}: {why}", index + 1);
        let line = line.as_deref().map(|line| if index == 0 { without_mark(line) } else { line });
        let (entry, is_last) = match line {
            Ok(line) if line.trim().is_empty() || line.trim().starts_with('#') => continue,
            Ok(line) => (RequestSpec::read(line.trim(), defaults).map_err(wrong), false),
            // A line that is no UTF-8 is skipped. After any other error the next read would fail too.
            Err(error) => (Err(wrong(error.to_string())), error.kind() != io::ErrorKind::InvalidData),
        };
        to.blocking_send(entry).ok()?;
        if is_last {
            break;
        }
    }
    Some(())
}
