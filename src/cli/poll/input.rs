//! Input: the requests from arguments, files and stdin, in this order, read as they are needed.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::Path,
    thread,
};

use actix_crawler::internals::read_line;
use tokio::sync::mpsc;

use super::{
    super::{exit::Failure, options::PollOptions, seeds::without_mark},
    poll_request::{Common, PollRequest},
};

/// The sources of requests. Arguments are parsed at once; lines of files and stdin when their turn comes.
pub struct Input {
    sources: Vec<InputSource>,
    common: Common,
}

enum InputSource {
    Argument(PollRequest),
    File(String, File),
    Stdin,
}

/// A request, or what is wrong with its line.
pub type InputEntry = Result<PollRequest, String>;

/// The most lines read ahead of the requests: enough to hide the time of reading.
const READ_AHEAD: usize = 64;

impl Input {
    /// Opens everything that the options name.
    ///
    /// # Errors
    /// An argument is not a URL, a file cannot be opened, or nothing is named.
    pub fn open(options: &PollOptions) -> Result<Self, Failure> {
        let common = Common::of(options);
        let mut sources = Vec::new();
        for argument in &options.urls {
            sources.push(match argument.as_str() {
                "-" => InputSource::Stdin,
                file if Path::new(file).is_file() => InputSource::file(Path::new(file))?,
                url => InputSource::Argument(PollRequest::read(url, &common).map_err(|why| not_read(url, &why))?),
            });
        }
        sources.extend(options.input.as_deref().map(InputSource::file).transpose()?);
        if sources.is_empty() {
            return Err(Failure::usage("nothing to ask for; give URLs, a file of them, or - to read them from stdin"));
        }
        Ok(Self { sources, common })
    }

    /// Returns the requests given as arguments.
    pub fn arguments(&self) -> impl Iterator<Item = &PollRequest> {
        self.sources.iter().filter_map(|source| match source {
            InputSource::Argument(asked) => Some(asked),
            InputSource::File(..) | InputSource::Stdin => None,
        })
    }

    /// Returns the number of requests; `None` if a file or stdin must be read to know it.
    pub fn total(&self) -> Option<usize> {
        let total = self.arguments().count();
        (total == self.sources.len()).then_some(total)
    }

    /// Starts reading on a separate thread, since reading stdin blocks.
    ///
    /// # Errors
    /// The system cannot start the thread.
    pub fn read(self) -> Result<mpsc::Receiver<InputEntry>, Failure> {
        let (to, entries) = mpsc::channel(READ_AHEAD);
        let read = move || {
            for source in self.sources {
                // The receiver is gone: the poll has ended.
                if source.read(&self.common, &to).is_none() {
                    return;
                }
            }
        };
        let begun = thread::Builder::new().name("poll-input".to_owned()).spawn(read);
        begun.map_err(|error| Failure::not_run(format!("the system refuses a thread: {error}")))?;
        Ok(entries)
    }
}

/// An argument without a scheme is more likely a file that is not there.
fn not_read(argument: &str, why: &str) -> Failure {
    let may_be_file = !argument.starts_with('{') && !argument.contains("://");
    Failure::usage(if may_be_file {
        format!("`{argument}` is no file that exists, and no URL, which begins with https:// or http://")
    } else {
        why.to_owned()
    })
}

impl InputSource {
    fn file(path: &Path) -> Result<Self, Failure> {
        let opened = File::open(path);
        let file = opened.map_err(|error| Failure::usage(format!("{} cannot be read: {error}", path.display())))?;
        Ok(Self::File(path.display().to_string(), file))
    }

    fn read(self, common: &Common, to: &mpsc::Sender<InputEntry>) -> Option<()> {
        match self {
            Self::Argument(asked) => to.blocking_send(Ok(asked)).ok(),
            Self::File(name, file) => read_lines(&name, BufReader::new(file), common, to),
            Self::Stdin => read_lines("stdin", io::stdin().lock(), common, to),
        }
    }
}

fn read_lines(from: &str, mut lines: impl BufRead, common: &Common, to: &mpsc::Sender<InputEntry>) -> Option<()> {
    let mut line = Vec::new();
    for number in 1.. {
        let wrong = |why: String| format!("{from} line {number}: {why}");
        line.clear();
        match read_line(&mut lines, &mut line) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) => {
                to.blocking_send(Err(wrong(error.to_string()))).ok()?;
                break;
            }
        }
        let entry = match str::from_utf8(&line) {
            Ok(line) => {
                let line = if number == 1 { without_mark(line) } else { line }.trim();
                if line.is_empty() || line.starts_with('#') {
                    continue;
                }
                PollRequest::read(line, common).map_err(wrong)
            }
            Err(_) => Err(wrong("it is not UTF-8".to_owned())),
        };
        to.blocking_send(entry).ok()?;
    }
    Some(())
}
