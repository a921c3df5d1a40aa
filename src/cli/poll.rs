//! `poll`: many requests to an API at exactly the rate that it allows, and one JSON line for each answer.

use std::{
    fs::{self, File},
    io::{self, BufWriter, IsTerminal, Write},
    path::{Path, PathBuf},
    pin::pin,
    time::{Duration, Instant, SystemTime},
};

use actix_crawler::{
    ThrottledClient,
    client::{Completion, RequestBuilder, Response},
    politeness::Politeness,
    rate::Rate,
    request::parse_url,
    retry::Retry,
    transport::TransportSettings,
    user_agent,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::{StreamExt, future::Either};
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

use super::{
    block_on,
    config::{refuse_private, refuse_stdout},
    exit::{Exit, Failure},
    options::{PollOptions, ProgressMode},
    summary::SummaryFile,
    values,
    watch::Signals,
};

/// Between two lines of progress.
const BETWEEN_LINES: Duration = Duration::from_secs(5);

/// Polls.
///
/// # Errors
/// An input or an option is wrong, or the output cannot be written.
pub fn run(options: &PollOptions) -> Result<Exit, Failure> {
    let asked = read_all(options)?;
    let urls: Vec<Url> = asked.iter().map(|asked| asked.url.clone()).collect();
    let mut transport = options.network.over(TransportSettings::default())?;
    transport.cookies = options.cookies;
    refuse_private(&urls, &transport.guard)?;
    let client = client(options, transport, &urls)?;
    if let Some(folder) = &options.save_dir {
        fs::create_dir_all(folder).map_err(|error| Failure::unwritable("--save-dir", folder, &error))?;
    }
    let mut output = Output::create(options)?;
    refuse_stdout("--summary", options.summary.as_deref())?;
    let summary = options.summary.clone().map(SummaryFile::open).transpose()?;
    block_on(poll(options, &client, asked, &mut output, summary))
}

fn client(options: &PollOptions, transport: TransportSettings, urls: &[Url]) -> Result<ThrottledClient, Failure> {
    let mut agent = options.identity.user_agent(urls)?;
    if user_agent::check(&agent).is_err() {
        // Only this machine is asked, and its owner is known.
        agent += " (+http://localhost/)";
    }
    let retry = Retry::default();
    let attempts = options.retries.map_or(retry.attempts, |retries| retries.saturating_add(1));
    let politeness = Politeness { rate: options.rate, per_domain: options.concurrency, ..Politeness::default() };
    let builder = ThrottledClient::builder(agent).politeness(politeness).transport(transport);
    Ok(builder.retry(Retry { attempts, ..retry }).build()?)
}

async fn poll(
    options: &PollOptions,
    client: &ThrottledClient,
    asked: Vec<Asked>,
    output: &mut Output<'_>,
    file: Option<SummaryFile>,
) -> Result<Exit, Failure> {
    let mut signals = Signals::listen()?;
    let urls: Vec<Url> = asked.iter().map(|asked| asked.url.clone()).collect();
    let mut watch = Watch::new(options.progress, options.output.is_none(), asked.len());
    let requests = asked.into_iter().map(|asked| asked.with(client));
    let execution = client.execute(requests, |response| async move { Ok(response) });
    let answers =
        if options.unordered { Either::Left(execution.unordered()) } else { Either::Right(execution.ordered()) };
    let mut answers = pin!(answers);
    let mut tally = Tally::default();
    let interrupted = loop {
        let completion = tokio::select! {
            completion = answers.next() => completion,
            () = signals.next() => break true,
        };
        let Some(completion) = completion else { break false };
        tally.count(&completion);
        if let Some(url) = urls.get(completion.index) {
            output.write(url, completion)?;
        }
        watch.show(&tally);
    };
    output.flush()?;
    watch.end();
    let summary = tally.summary(options.rate);
    eprintln!("{}", summary.text(urls.len()));
    if let Some(file) = file {
        file.write(&summary)?;
    }
    Ok(match (interrupted, summary.failed) {
        (true, _) => Exit::Interrupted,
        (false, 0) => Exit::Well,
        (false, _) => Exit::FailedPages,
    })
}

/// One request of the input.
struct Asked {
    url: Url,
    method: Method,
    headers: Vec<(String, String)>,
    body: Option<String>,
}

/// A line of the input that is JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    url: String,
    method: Option<String>,
    #[serde(default)]
    headers: Map<String, Value>,
    /// Text as it is; anything else is sent as JSON.
    body: Option<Value>,
}

/// Reads the whole input first, so that a wrong line is named before anything is sent.
fn read_all(options: &PollOptions) -> Result<Vec<Asked>, Failure> {
    let mut asked = Vec::new();
    let mut read = |from: &str, text: String| {
        let lines = text.lines().enumerate().map(|(number, line)| (number + 1, line.trim()));
        for (number, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            let wrong = |error: String| Failure::usage(format!("{from} line {number}: {error}"));
            asked.push(Asked::read(line, options).map_err(wrong)?);
        }
        Ok::<_, Failure>(())
    };
    for url in &options.urls {
        if url == "-" {
            let text = io::read_to_string(io::stdin()).map_err(|error| Failure::usage(format!("stdin: {error}")))?;
            read("stdin", text)?;
        } else if Path::new(url).is_file() {
            read(url, read_file(Path::new(url))?)?;
        } else {
            read("argument", url.clone())?;
        }
    }
    if let Some(path) = &options.input {
        read(&path.display().to_string(), read_file(path)?)?;
    }
    if asked.is_empty() {
        return Err(Failure::usage("nothing to ask for; give URLs, a file of them, or - to read them from stdin"));
    }
    Ok(asked)
}

fn read_file(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| Failure::usage(format!("{} cannot be read: {error}", path.display())))
}

impl Asked {
    /// Reads a URL, or a JSON object that says more.
    fn read(line: &str, options: &PollOptions) -> Result<Self, String> {
        let line = if line.starts_with('{') {
            serde_json::from_str(line).map_err(|error| error.to_string())?
        } else {
            Line { url: line.to_owned(), method: None, headers: Map::new(), body: None }
        };
        let mut headers = options.header.clone();
        for (name, value) in line.headers {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            headers.retain(|(given, _)| !given.eq_ignore_ascii_case(&name));
            headers.push((name, value));
        }
        let (text, is_json) = match line.body {
            Some(Value::String(text)) => (Some(text), false),
            Some(value) => (Some(value.to_string()), true),
            None => (options.data.clone(), false),
        };
        if is_json && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            headers.push(("content-type".to_owned(), "application/json".to_owned()));
        }
        let method = match line.method {
            Some(method) => values::method(&method)?,
            None => options.method.clone().unwrap_or(if text.is_some() { Method::POST } else { Method::GET }),
        };
        let url = parse_url(&line.url).map_err(|error| error.to_string())?;
        Ok(Self { url, method, headers, body: text })
    }

    fn with(self, client: &ThrottledClient) -> RequestBuilder {
        let request = client.request(self.method, self.url).body(self.body.unwrap_or_default());
        self.headers.into_iter().fold(request, |request, (name, value)| request.header(name, value))
    }
}

/// Where the lines go.
struct Output<'a> {
    to: BufWriter<Box<dyn Write>>,
    path: Option<&'a Path>,
    save_dir: Option<&'a Path>,
    keep: &'a [String],
}

/// One line of the output.
#[derive(Default, Serialize)]
struct Outcome<'a> {
    index: usize,
    url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    headers: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
    /// A body that is no text.
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
}

impl<'a> Output<'a> {
    fn create(options: &'a PollOptions) -> Result<Self, Failure> {
        let path = options.output.as_deref().filter(|path| path.as_os_str() != "-");
        let to: Box<dyn Write> = match path {
            None => Box::new(io::stdout()),
            Some(path) => Box::new(File::create(path).map_err(|error| Failure::unwritable("-o", path, &error))?),
        };
        let (save_dir, keep) = (options.save_dir.as_deref(), options.keep_header.as_slice());
        Ok(Self { to: BufWriter::new(to), path, save_dir, keep })
    }

    fn write(&mut self, url: &Url, completion: Completion<Response>) -> Result<(), Failure> {
        let base = Outcome { index: completion.index, url: url.as_str(), ..Outcome::default() };
        match completion.result {
            Err(error) => self.line(&Outcome { error: Some(error.to_string()), ..base }),
            Ok(response) => {
                let text = std::str::from_utf8(response.bytes()).ok();
                let file = self.save(completion.index, &response)?;
                let inline = file.is_none();
                let kept =
                    self.keep.iter().filter_map(|name| Some((name.to_lowercase(), response.header(name)?.into())));
                self.line(&Outcome {
                    status: Some(response.status()),
                    headers: kept.collect(),
                    body: text.filter(|_| inline),
                    body_base64: (inline && text.is_none()).then(|| STANDARD.encode(response.bytes())),
                    file,
                    started_at: Some(stamp(response.started_at())),
                    elapsed: Some(response.elapsed().as_secs_f64()),
                    attempts: Some(response.attempts()),
                    ..base
                })
            }
        }
    }

    /// Writes the body to a file of its own, where that was asked for.
    fn save(&self, index: usize, response: &Response) -> Result<Option<PathBuf>, Failure> {
        let Some(folder) = self.save_dir else { return Ok(None) };
        let path = folder.join(index.to_string());
        fs::write(&path, response.bytes())
            .map_err(|error| Failure::not_run(format!("--save-dir: {} cannot be written: {error}", path.display())))?;
        Ok(Some(path))
    }

    fn line(&mut self, line: &Outcome<'_>) -> Result<(), Failure> {
        let mut bytes = serde_json::to_vec(line).map_err(Failure::not_run)?;
        bytes.push(b'\n');
        // Line by line where somebody may read along.
        let written =
            self.to.write_all(&bytes).and_then(|()| if self.path.is_none() { self.to.flush() } else { Ok(()) });
        written.map_err(|error| self.failure(&error))
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.to.flush().map_err(|error| self.failure(&error))
    }

    fn failure(&self, error: &io::Error) -> Failure {
        match self.path {
            Some(path) => Failure::unwritable("-o", path, error),
            None if error.kind() == io::ErrorKind::BrokenPipe => Failure::reader_gone(),
            None => Failure::not_run(format!("stdout cannot be written: {error}")),
        }
    }
}

fn stamp(at: SystemTime) -> String {
    humantime::format_rfc3339_micros(at).to_string()
}

/// What is counted on the way.
#[derive(Default)]
struct Tally {
    done: u64,
    failed: u64,
    attempts: u64,
    starts: Vec<Instant>,
}

/// What the end has to say.
#[derive(Serialize)]
struct Summary {
    requests: u64,
    failed: u64,
    attempts: u64,
    /// Starts per second, from the first to the last.
    rate: f64,
    /// The most starts in any window of the rate.
    fullest_window: usize,
    /// That window, in seconds.
    window: f64,
    /// Seconds.
    smallest_gap: Option<f64>,
    elapsed: f64,
}

impl Tally {
    fn count(&mut self, completion: &Completion<Response>) {
        self.done += 1;
        match &completion.result {
            Ok(response) => {
                self.failed += u64::from(response.status() >= 400);
                self.attempts += u64::from(response.attempts());
                self.starts.push(response.started());
            }
            Err(_) => self.failed += 1,
        }
    }

    fn summary(mut self, rate: Option<Rate>) -> Summary {
        self.starts.sort_unstable();
        let window = rate.and_then(|rate| rate.window()).map_or(Duration::from_secs(1), |window| window.per);
        let mut oldest = self.starts.iter();
        let mut within = 0;
        let fullest = self.starts.iter().map(|at| {
            within += 1;
            while oldest.as_slice().first().is_some_and(|first| *at - *first >= window) {
                oldest.next();
                within -= 1;
            }
            within
        });
        let fullest_window = fullest.max().unwrap_or(0);
        let gaps = self.starts.iter().zip(self.starts.iter().skip(1)).map(|(one, next)| *next - *one);
        let span = match (self.starts.first(), self.starts.last()) {
            (Some(first), Some(last)) => (*last - *first).as_secs_f64(),
            _ => 0.0,
        };
        #[allow(clippy::cast_precision_loss, reason = "for people to read")]
        let intervals = self.starts.len().saturating_sub(1) as f64;
        Summary {
            requests: self.done,
            failed: self.failed,
            attempts: self.attempts,
            rate: if span > 0.0 { intervals / span } else { 0.0 },
            fullest_window,
            window: window.as_secs_f64(),
            smallest_gap: gaps.min().map(|gap| gap.as_secs_f64()),
            elapsed: span,
        }
    }
}

impl Summary {
    fn text(&self, asked: usize) -> String {
        let gap = self.smallest_gap.map_or_else(String::new, |gap| format!(" · smallest gap {:.1} ms", gap * 1e3));
        format!(
            "{} of {asked} answered, {} failed · {:.2}/s over {:.1} s · at most {} in {} s{gap}",
            self.requests, self.failed, self.rate, self.elapsed, self.fullest_window, self.window
        )
    }
}

/// Shows how far it is: a bar on a terminal, a line every few seconds elsewhere.
enum Watch {
    Bar(indicatif::ProgressBar),
    Lines { next: Instant, total: usize },
    Nothing,
}

impl Watch {
    fn new(mode: ProgressMode, lines_on_stdout: bool, total: usize) -> Self {
        match mode {
            ProgressMode::Never => Self::Nothing,
            ProgressMode::Auto if lines_on_stdout && io::stdout().is_terminal() => Self::Nothing,
            ProgressMode::Auto if io::stderr().is_terminal() => Self::Bar(indicatif::ProgressBar::new(total as u64)),
            ProgressMode::Auto => Self::Lines { next: now() + BETWEEN_LINES, total },
        }
    }

    fn show(&mut self, tally: &Tally) {
        match self {
            Self::Nothing => {}
            Self::Bar(bar) => bar.set_position(tally.done),
            Self::Lines { next, total } => {
                let now = now();
                if now >= *next {
                    *next = now + BETWEEN_LINES;
                    eprintln!("{} of {total} answered, {} failed", tally.done, tally.failed);
                }
            }
        }
    }

    fn end(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "progress is shown in real time")]
fn now() -> Instant {
    Instant::now()
}
