//! `poll`: sends many requests to an API at exactly the permitted rate, and writes one JSON line for each response.

mod answers;
mod poll_request;
mod input;
mod progress_view;
mod starts;
mod tally;

use std::{collections::BTreeMap, fs, path::Path};

use actix_crawler::{
    Error, Politeness, Retry, ThrottledClient, client::Response, transport::TransportSettings, user_agent, warc::Warc,
};
use futures_util::{StreamExt, stream::FuturesUnordered};
use url::Url;

use self::{
    answers::Answers,
    input::{Input, InputEntry},
    progress_view::PollProgressView,
    tally::PollTally,
};
use super::{
    block_on,
    config::{refuse_private, refuse_stdout},
    console::tell,
    exit::{Exit, Failure},
    named_files::NamedFiles,
    once::with_contact,
    options::PollOptions,
    summary::SummaryFile,
    terminal, watch,
};

/// The most requests read ahead beyond those in flight, so that the next is ready when its turn comes.
const LOOK_AHEAD: usize = 32;

/// Runs the command.
///
/// # Errors
/// An argument or an option is invalid, or the output cannot be written.
pub fn run(options: &PollOptions) -> Result<Exit, Failure> {
    let input = Input::open(options)?;
    let urls: Vec<Url> = input.arguments().map(|asked| asked.url.clone()).collect();
    let mut transport = options.network.over(TransportSettings::default())?;
    transport.cookies = options.cookies;
    transport.secret_headers = options.secret_header.clone();
    transport.archive = options.warc.clone().map(Warc::to);
    refuse_private(&urls, &transport.guard)?;
    watch::end_at_the_second_signal()?;
    refuse_shared(options)?;
    refuse_stdout("--summary", options.summary.as_deref())?;
    let tally = PollTally::new(options.rate, transport.deadlines.whole);
    let client = client(options, transport, &urls)?;
    if let Some(folder) = &options.save_dir {
        fs::create_dir_all(folder).map_err(|error| Failure::unwritable("--save-dir", folder, &error))?;
    }
    let mut answers = Answers::open(options)?;
    let summary_to = options.summary.clone().map(SummaryFile::open).transpose()?;
    block_on(async {
        let polled = poll(options, &client, input, tally, &mut answers).await;
        client.close_archive().await?;
        let (summary, interrupted) = polled?;
        if let Some(file) = summary_to {
            file.write(&summary)?;
        }
        Ok(match (interrupted, summary.is_well()) {
            (true, _) => Exit::Interrupted,
            (false, true) => Exit::Well,
            (false, false) => Exit::FailedPages,
        })
    })
}

/// Refuses a file that is named twice, before any is opened.
fn refuse_shared(options: &PollOptions) -> Result<(), Failure> {
    let mut named = NamedFiles::default();
    for argument in &options.urls {
        named.read("an argument", Some(Path::new(argument)).filter(|file| file.is_file()));
    }
    named.read("--input", options.input.as_deref());
    named.written("-o", options.output.as_deref());
    named.written("--summary", options.summary.as_deref());
    named.written("--save-dir", options.save_dir.as_deref());
    named.written("--warc", options.warc.as_deref());
    named.check()
}

fn client(options: &PollOptions, transport: TransportSettings, urls: &[Url]) -> Result<ThrottledClient, Failure> {
    let agent = with_contact(options.identity.user_agent(urls)?);
    let retry = Retry::default();
    let attempts = options.retries.map_or(retry.attempts, |retries| retries.saturating_add(1));
    let politeness = Politeness { rate: options.rate, per_domain: options.concurrency, ..Politeness::default() };
    let builder = ThrottledClient::builder(agent).politeness(politeness).transport(transport);
    Ok(builder.retry(Retry { attempts, ..retry }).build()?)
}

/// The result of one request.
struct PollResult {
    /// `None` if its line has no URL.
    url: Option<String>,
    result: Result<Response, NotSent>,
}

/// Why there is no response.
enum NotSent {
    /// The input line is invalid.
    Line(String),
    /// No complete response came.
    Failed(Error),
}

/// Sends all requests of the input. Returns the summary, and whether it was interrupted.
async fn poll(
    options: &PollOptions,
    client: &ThrottledClient,
    input: Input,
    mut tally: PollTally,
    answers: &mut Answers<'_>,
) -> Result<(tally::PollSummary, bool), Failure> {
    let mut signals = watch::listen()?;
    let output = options.output.as_deref().filter(|path| path.as_os_str() != "-");
    let mut view = PollProgressView::new(options.progress, terminal::is_terminal(output), input.total());
    let mut entries = input.read()?;
    let most = (options.concurrency.get() as usize).saturating_add(LOOK_AHEAD);
    let mut running = FuturesUnordered::new();
    // Responses that came before earlier ones in the output order.
    let mut early = BTreeMap::new();
    let (mut taken, mut wanted) = (0, 0);
    let mut is_open = true;
    let interrupted = loop {
        if !is_open && running.is_empty() {
            break false;
        }
        // At least one runs; otherwise responses that wait for an earlier one could fill all the room.
        let has_room = running.is_empty() || running.len() + early.len() < most;
        tokio::select! {
            _ = signals.next() => break true,
            Some((index, done)) = running.next() => {
                tally.count(&done);
                view.show(&tally);
                if options.unordered {
                    answers.write(index, &done)?;
                    continue;
                }
                early.insert(index, done);
                while let Some(done) = early.remove(&wanted) {
                    answers.write(wanted, &done)?;
                    wanted += 1;
                }
            }
            entry = entries.recv(), if is_open && has_room => match entry {
                None => is_open = false,
                Some(entry) => {
                    if let Ok(asked) = &entry {
                        // A missing contact would be missing for all further lines too.
                        options.identity.user_agent(std::slice::from_ref(&asked.url))?;
                        user_agent::check_headers(&options.header, &asked.url)?;
                    }
                    running.push(ask(taken, entry, client));
                    taken += 1;
                }
            },
        }
    };
    // Interrupted: responses that wait for an earlier one are written too.
    for (index, done) in &early {
        answers.write(*index, done)?;
    }
    answers.flush()?;
    view.end();
    if taken == 0 && !interrupted {
        return Err(Failure::usage("the input has no requests; write one URL or JSON object a line"));
    }
    let summary = tally.summary();
    tell(summary.text(taken));
    Ok((summary, interrupted))
}

async fn ask(index: usize, entry: InputEntry, client: &ThrottledClient) -> (usize, PollResult) {
    let done = match entry {
        Err(why) => PollResult { url: None, result: Err(NotSent::Line(why)) },
        Ok(asked) => {
            let url = asked.url.to_string();
            PollResult { url: Some(url), result: asked.with(client).send().await.map_err(NotSent::Failed) }
        }
    };
    (index, done)
}
