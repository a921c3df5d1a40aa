//! `poll`: many requests to an API at exactly the rate that it allows, and one JSON line for each answer.

mod display;
mod input;
mod output;
mod spec;
mod tally;

use std::{collections::BTreeMap, fs};

use actix_crawler::{
    ThrottledClient, client::Response, error::Error, politeness::Politeness, retry::Retry,
    transport::TransportSettings, user_agent,
};
use futures_util::{StreamExt, stream::FuturesUnordered};
use url::Url;

use self::{
    display::Display,
    input::{Entry, Input},
    output::Output,
    tally::Tally,
};
use super::{
    block_on,
    config::{refuse_private, refuse_stdout},
    exit::{Exit, Failure},
    once::with_contact,
    options::PollOptions,
    summary::SummaryFile,
    watch::Signals,
};

/// Requests that wait in the client beside those that may be in flight, so that the next is there when a permit comes.
const MAX_LOOK_AHEAD: usize = 32;

/// Polls.
///
/// # Errors
/// An argument or an option is wrong, or the output cannot be written.
pub fn run(options: &PollOptions) -> Result<Exit, Failure> {
    let input = Input::open(options)?;
    let urls: Vec<Url> = input.arguments().map(|spec| spec.url.clone()).collect();
    let mut transport = options.network.over(TransportSettings::default())?;
    transport.cookies = options.cookies;
    refuse_private(&urls, &transport.guard)?;
    let client = client(options, transport, &urls)?;
    if let Some(folder) = &options.save_dir {
        fs::create_dir_all(folder).map_err(|error| Failure::unwritable("--save-dir", folder, &error))?;
    }
    let mut output = Output::create(options)?;
    refuse_stdout("--summary", options.summary.as_deref())?;
    let file = options.summary.clone().map(SummaryFile::open).transpose()?;
    block_on(async {
        let (summary, interrupted) = poll(options, &client, input, &mut output).await?;
        if let Some(file) = file {
            file.write(&summary)?;
        }
        Ok(match (interrupted, summary.failed) {
            (true, _) => Exit::Interrupted,
            (false, 0) => Exit::Well,
            (false, _) => Exit::FailedPages,
        })
    })
}

fn client(options: &PollOptions, transport: TransportSettings, urls: &[Url]) -> Result<ThrottledClient, Failure> {
    let agent = with_contact(options.identity.user_agent(urls)?);
    let retry = Retry::default();
    let attempts = options.retries.map_or(retry.attempts, |retries| retries.saturating_add(1));
    let politeness = Politeness { rate: options.rate, per_domain: options.concurrency, ..Politeness::default() };
    let builder = ThrottledClient::builder(agent).politeness(politeness).transport(transport);
    Ok(builder.retry(Retry { attempts, ..retry }).build()?)
}

/// A request that has ended.
struct Completed {
    /// `None` if its line could not be read.
    url: Option<String>,
    result: Result<Response, NoResponse>,
}

/// Why there is no response.
enum NoResponse {
    /// The line of the input is wrong.
    Line(String),
    /// No whole response came.
    Failed(Error),
}

/// Makes all requests of the input. Returns the summary, and whether the poll was interrupted.
async fn poll(
    options: &PollOptions,
    client: &ThrottledClient,
    input: Input,
    output: &mut Output<'_>,
) -> Result<(tally::Summary, bool), Failure> {
    let mut signals = Signals::listen()?;
    let on_stdout = options.output.as_deref().is_none_or(|path| path.as_os_str() == "-");
    let mut display = Display::new(options.progress, on_stdout, input.total());
    let mut entries = input.read()?;
    let most = (options.concurrency.get() as usize).saturating_add(MAX_LOOK_AHEAD);
    let mut running = FuturesUnordered::new();
    // Results that came before their turn to be written.
    let mut early = BTreeMap::new();
    let (mut taken, mut wanted) = (0, 0);
    let mut tally = Tally::default();
    let mut is_open = true;
    let interrupted = loop {
        if !is_open && running.is_empty() {
            break false;
        }
        // At least one request runs; otherwise the loop would wait for ever.
        let has_room = running.is_empty() || running.len() + early.len() < most;
        tokio::select! {
            () = signals.next() => break true,
            Some((index, done)) = running.next() => {
                tally.count(&done);
                display.show(&tally);
                if options.unordered {
                    output.write(index, &done)?;
                    continue;
                }
                early.insert(index, done);
                while let Some(done) = early.remove(&wanted) {
                    output.write(wanted, &done)?;
                    wanted += 1;
                }
            }
            entry = entries.recv(), if is_open && has_room => match entry {
                None => is_open = false,
                Some(entry) => {
                    if let Ok(spec) = &entry {
                        // If the contact is missing for one, it is missing for all that follow.
                        options.identity.user_agent(std::slice::from_ref(&spec.url))?;
                        user_agent::check_headers(&options.header, &spec.url)?;
                    }
                    running.push(ask(taken, entry, client));
                    taken += 1;
                }
            },
        }
    };
    // After an interruption, results that waited for an earlier one are written too.
    for (index, done) in &early {
        output.write(*index, done)?;
    }
    output.flush()?;
    display.end();
    if taken == 0 && !interrupted {
        return Err(Failure::usage("the input has no requests; write one URL or JSON object a line"));
    }
    let summary = tally.summary(options.rate);
    eprintln!("{}", summary.text(taken));
    Ok((summary, interrupted))
}

async fn ask(index: usize, entry: Entry, client: &ThrottledClient) -> (usize, Completed) {
    let done = match entry {
        Err(why) => Completed { url: None, result: Err(NoResponse::Line(why)) },
        Ok(spec) => {
            let url = spec.url.to_string();
            Completed { url: Some(url), result: spec.with(client).send().await.map_err(NoResponse::Failed) }
        }
    };
    (index, done)
}
