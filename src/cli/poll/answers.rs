//! Answers: the output of `poll`, one JSON line for each request.

use std::{
    borrow::Cow,
    fs,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    time::SystemTime,
};

use actix_crawler::{Error, client::Response, internals::escape_json};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    super::{
        exit::{Failure, in_options},
        kept_file::KeptFile,
        options::PollOptions,
        terminal,
    },
    NotSent, PollResult,
};

/// Writes the answers, as one JSON line each.
pub struct Answers<'a> {
    to: BufWriter<Box<dyn Write>>,
    path: Option<&'a Path>,
    save_dir: Option<&'a Path>,
    keep: &'a [String],
    on_terminal: bool,
}

/// One line of the output.
#[derive(Default, Serialize)]
struct AnswerLine<'a> {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    headers: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Cow<'a, str>>,
    /// A body that is not text.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<String>,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    elapsed: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// The outcome in one word, as in the crawl log.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
}

impl<'a> Answers<'a> {
    /// Opens the output. What is in it is kept until the first answer.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open(options: &'a PollOptions) -> Result<Self, Failure> {
        let path = options.output.as_deref().filter(|path| path.as_os_str() != "-");
        let to: Box<dyn Write> = match path {
            None => Box::new(io::stdout()),
            Some(path) => Box::new(KeptFile::open("-o", path)?),
        };
        let (save_dir, keep) = (options.save_dir.as_deref(), options.keep_header.as_slice());
        let on_terminal = terminal::is_terminal(path);
        Ok(Self { to: BufWriter::new(to), path, save_dir, keep, on_terminal })
    }

    /// Writes the result of a request.
    ///
    /// # Errors
    /// The line, or the body's own file, cannot be written.
    pub fn write(&mut self, index: usize, done: &PollResult) -> Result<(), Failure> {
        let base = AnswerLine { index, url: done.url.as_deref(), ..AnswerLine::default() };
        match &done.result {
            Err(NotSent::Line(why)) => self.line(&AnswerLine { error: Some(why.clone()), kind: Some("input"), ..base }),
            Err(NotSent::Failed(Error::Fetch { url, source, attempts, started_at, elapsed })) => {
                // The line has the URL; it is repeated only if a redirect led elsewhere.
                let at = if Some(url.as_str()) == base.url { String::new() } else { format!("{url}: ") };
                self.line(&AnswerLine {
                    error: Some(in_options(&format!("{at}{source}"))),
                    kind: Some(source.key()),
                    started_at: Some(stamp(*started_at)),
                    elapsed: Some(elapsed.as_secs_f64()),
                    attempts: Some(*attempts),
                    ..base
                })
            }
            Err(NotSent::Failed(error)) => self.line(&AnswerLine { error: Some(error.to_string()), ..base }),
            Ok(response) => {
                let text = text(response);
                let file = self.save(index, response)?;
                let inline = file.is_none();
                let kept =
                    self.keep.iter().filter_map(|name| Some((name.to_lowercase(), response.header(name)?.into())));
                let body_base64 = (inline && text.is_none()).then(|| STANDARD.encode(response.bytes()));
                self.line(&AnswerLine {
                    status: Some(response.status()),
                    headers: kept.collect(),
                    body: text.filter(|_| inline),
                    body_base64,
                    file,
                    started_at: Some(stamp(response.started_at())),
                    elapsed: Some(response.elapsed().as_secs_f64()),
                    attempts: Some(response.attempts()),
                    ..base
                })
            }
        }
    }

    /// Writes the body to its own file, with `--save-dir`.
    fn save(&self, index: usize, response: &Response) -> Result<Option<PathBuf>, Failure> {
        let Some(folder) = self.save_dir else { return Ok(None) };
        let path = folder.join(index.to_string());
        fs::write(&path, response.bytes())
            .map_err(|error| Failure::not_run(format!("--save-dir: {} cannot be written: {error}", path.display())))?;
        Ok(Some(path))
    }

    fn line(&mut self, line: &AnswerLine<'_>) -> Result<(), Failure> {
        let mut bytes = serde_json::to_vec(line).map_err(Failure::not_run)?;
        if self.on_terminal {
            escape_json(&mut bytes);
        }
        bytes.push(b'\n');
        // The reader of stdout may read line by line.
        let written =
            self.to.write_all(&bytes).and_then(|()| if self.path.is_none() { self.to.flush() } else { Ok(()) });
        written.map_err(|error| self.failure(&error))
    }

    /// Flushes buffered output.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn flush(&mut self) -> Result<(), Failure> {
        self.to.flush().map_err(|error| self.failure(&error))
    }

    fn failure(&self, error: &io::Error) -> Failure {
        match self.path {
            Some(path) => Failure::unwritable("-o", path, error),
            None => Failure::unprintable(error),
        }
    }
}

/// The body as text: decoded if its type is text or XML, which may name its charset itself (RFC 7303 §3), or names a
/// charset; else unchanged if it is UTF-8. JSON is UTF-8 whatever charset is named (RFC 8259 §8.1, §11), if it can be.
fn text(response: &Response) -> Option<Cow<'_, str>> {
    let utf8 = || str::from_utf8(response.bytes()).ok().map(Cow::Borrowed);
    let page = response.clone().into_page();
    let content_type = page.content_type();
    let is_named = response.headers().contains_key("content-type");
    let is_text =
        || content_type.essence.starts_with("text/") || content_type.is_xml() || content_type.charset.is_some();
    let decoded = || (is_named && is_text()).then(|| page.body_text().to_owned().into());
    if content_type.is_json() { utf8().or_else(decoded) } else { decoded().or_else(utf8) }
}

fn stamp(at: SystemTime) -> String {
    humantime::format_rfc3339_micros(at).to_string()
}
