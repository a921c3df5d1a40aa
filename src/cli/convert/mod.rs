//! Convert: a program that makes text or HTML of a document: it reads the document on stdin and writes on stdout. Knows
//! no crawl.

mod program;

use std::{
    io::{self, Read as _, Write as _},
    process::{Command, Stdio},
    str::FromStr,
    sync::mpsc,
    thread,
    time::Duration,
};

use actix_crawler::response::Converted;

use self::program::Program;
pub use self::program::end_all;

/// The program for a content type, as `application/pdf=pdftotext - -`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Converter {
    /// The content type.
    pub content_type: String,
    program: String,
    arguments: Vec<String>,
}

/// The longest that a program may take: less than the longest time for a page, so that it is stopped, with all that it
/// has started.
const TIME_LIMIT: Duration = Duration::from_secs(25);

/// The most that is read of what a program writes, in bytes.
const MAX_OUTPUT: u64 = 64 << 20;

/// The most of a program's messages that is kept for its error, in bytes: the first lines say what is wrong.
const MAX_MESSAGE: u64 = 500;

/// How long its messages are waited for when it has ended: they are there already.
const MESSAGE_TIME_LIMIT: Duration = Duration::from_secs(1);

impl Converter {
    /// Reads a content type, and a command with its arguments, which spaces separate: quotes do not join them, and no
    /// shell sees it.
    ///
    /// # Errors
    /// Says what is wrong with either.
    pub fn new(content_type: &str, command: &str) -> Result<Self, String> {
        let is_type = content_type.split_once('/').is_some_and(|(kind, name)| !kind.is_empty() && !name.is_empty());
        if !is_type || content_type.contains(char::is_whitespace) {
            return Err(format!("`{content_type}` is no content type; write one like application/pdf or image/*"));
        }
        let mut words = command.split_whitespace().map(str::to_owned);
        let program =
            words.next().ok_or_else(|| format!("{content_type} has no command; write one like pdftotext - -"))?;
        Ok(Self { content_type: content_type.to_owned(), program, arguments: words.collect() })
    }

    /// Converts a document. What begins as HTML does is HTML, and all else is text.
    ///
    /// # Errors
    /// The program cannot be started, fails, takes too long, or writes too much.
    pub fn convert(&self, document: &[u8]) -> Result<Converted, String> {
        let output = self.run(document, TIME_LIMIT).map_err(|why| format!("{} {why}", self.program))?;
        let text = String::from_utf8_lossy(&output).into_owned();
        let begins_with = |word: &str| {
            let beginning = text.trim_start().as_bytes().get(..word.len());
            beginning.is_some_and(|beginning| beginning.eq_ignore_ascii_case(word.as_bytes()))
        };
        let is_html = begins_with("<!doctype") || begins_with("<html");
        Ok(if is_html { Converted::Html(text) } else { Converted::Text(text) })
    }

    fn run(&self, document: &[u8], time_limit: Duration) -> Result<Vec<u8>, String> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let started =
            Program::start(&mut command, |child| (child.stdin.take(), child.stdout.take(), child.stderr.take()));
        let (program, (stdin, stdout, stderr)) = started.map_err(|error| format!("cannot be started: {error}"))?;
        let (said_to, said) = mpsc::channel();
        // Not waited for, and it sends to nobody then: a process that the program has left behind may keep stderr open.
        let hear = move || drop(said_to.send(stderr.map(beginning_of).unwrap_or_default()));
        let hearing = thread::Builder::new().name("convert-stderr".to_owned()).spawn(hear);
        hearing.map_err(|error| format!("cannot be heard: {error}"))?;
        let (ended_to, ended) = mpsc::channel::<()>();
        thread::scope(|scope| {
            // A program may end without reading everything, and then writing to it fails; its exit status tells.
            scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(document)));
            let program = &program;
            let watch = scope.spawn(move || {
                let is_late = ended.recv_timeout(time_limit) == Err(mpsc::RecvTimeoutError::Timeout);
                if is_late {
                    program.kill();
                }
                is_late
            });
            let mut output = Vec::new();
            let read = stdout.map(|stdout| stdout.take(MAX_OUTPUT + 1).read_to_end(&mut output));
            let is_too_long = output.len() as u64 > MAX_OUTPUT;
            if is_too_long {
                program.kill();
            }
            // It may have closed its output, and run on.
            let status = program.wait();
            drop(ended_to);
            let is_late = watch.join().unwrap_or(true);
            match (read.transpose(), status) {
                _ if is_late => Err(format!("did not end within {}", humantime::format_duration(time_limit))),
                _ if is_too_long => Err(format!("wrote more than {MAX_OUTPUT} bytes")),
                (Err(error), _) | (_, Err(error)) => Err(format!("broke off: {error}")),
                (_, Ok(status)) if !status.success() => {
                    match &*said.recv_timeout(MESSAGE_TIME_LIMIT).unwrap_or_default() {
                        "" => Err(format!("ended with {status}")),
                        said => Err(format!("ended with {status}: {said}")),
                    }
                }
                _ => Ok(output),
            }
        })
    }
}

/// Reads all that a program says, so that it does not wait for a reader, and returns the beginning on one line.
fn beginning_of(mut said: impl io::Read) -> String {
    let mut beginning = Vec::new();
    // What cannot be read is missing in a message only.
    let _ = said.by_ref().take(MAX_MESSAGE).read_to_end(&mut beginning);
    let _ = io::copy(&mut said, &mut io::sink());
    let words: Vec<_> = String::from_utf8_lossy(&beginning).split_whitespace().map(str::to_owned).collect();
    words.join(" ")
}

impl FromStr for Converter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || format!("`{text}` has no command; write it like application/pdf=\"pdftotext - -\"");
        let (content_type, command) = text.split_once('=').ok_or_else(refuse)?;
        Self::new(content_type.trim(), command)
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn converter(command: &str) -> Converter {
        Converter::new("application/pdf", command).unwrap()
    }

    #[test]
    fn a_program_reads_the_document_and_what_it_writes_is_the_page() {
        let long = "word ".repeat(200_000);
        assert_eq!(converter("cat").convert(long.as_bytes()), Ok(Converted::Text(long)));
        let html = "\n<!DOCTYPE html><p>x";
        assert_eq!(converter("cat").convert(html.as_bytes()), Ok(Converted::Html(html.into())));
        // Its ninth byte is within a character.
        let html = "<HTML>\u{e4}\u{e4}<p>x";
        assert_eq!(converter("cat").convert(html.as_bytes()), Ok(Converted::Html(html.into())));
        assert_eq!(converter("echo a b").convert(&vec![b'x'; 1 << 20]), Ok(Converted::Text("a b\n".into())));
    }

    #[test]
    fn a_program_that_fails_or_does_not_end_is_an_error_with_its_name() {
        assert!(converter("false").convert(b"").unwrap_err().contains("false ended with"));
        let said = converter("ls /nowhere/at/all").convert(b"").unwrap_err();
        assert!(said.contains("ls ended with") && said.contains("/nowhere/at/all"), "{said}");
        assert!(converter("no-such-program").convert(b"").unwrap_err().contains("cannot be started"));
        let late = converter("sleep 600").run(b"", Duration::from_millis(50)).unwrap_err();
        assert!(late.contains("did not end within 50ms"), "{late}");
        assert!(converter("cat /dev/zero").convert(b"").unwrap_err().contains("more than"));
    }

    /// It held a thread until the program had ended that the script had started.
    #[test]
    fn a_script_that_leaves_a_program_behind_is_ended_with_it() {
        let dir = tempfile::tempdir().unwrap();
        for (name, script) in [
            ("waits", "#!/bin/sh\nsleep 600\necho\n"),
            ("ends", "#!/bin/sh\nsleep 600 &\n"),
            ("closes", "#!/bin/sh\nexec >&- 2>&-\nsleep 600\n"),
        ] {
            let path = dir.path().join(name);
            std::fs::write(&path, script).unwrap();
            let begin = crate::cli::now();
            let late = converter(&format!("sh {}", path.display())).run(b"", Duration::from_millis(300)).unwrap_err();
            assert!(late.contains("did not end within 300ms"), "{name}: {late}");
            assert!(begin.elapsed() < Duration::from_secs(5), "{name}");
        }
    }

    #[test]
    fn a_wrong_conversion_says_how_to_write_it() {
        assert_eq!("image/*=ocr -".parse::<Converter>().unwrap().arguments, ["-"]);
        for wrong in ["application/pdf", "pdf=cat", "application/pdf=", "a b/c=cat"] {
            assert!(wrong.parse::<Converter>().unwrap_err().contains("write"), "{wrong}");
        }
    }
}
