//! `fetch`: one request, and the answer as it came.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
};

use actix_crawler::{
    fetcher::{http::Answer, redirect},
    outcome::FetchError,
    request::{Request, parse_url},
    transport::TransportSettings,
};
use url::Url;

use super::{
    config::refuse_private,
    exit::{Exit, Failure},
    once::Once,
    options::FetchOptions,
};

/// Fetches one URL.
///
/// # Errors
/// No answer came, or the body cannot be written.
pub fn run(options: &FetchOptions) -> Result<Exit, Failure> {
    let url = parse_url(&options.url)?;
    let transport = options.network.over(TransportSettings::default())?;
    refuse_private(std::slice::from_ref(&url), &transport.guard)?;
    let user_agent = options.identity.user_agent(std::slice::from_ref(&url))?;
    let limits = transport.body;
    let mut body_to = options.output.as_deref().map(open).transpose()?;

    let mut request = Request::get(url.clone());
    request.headers.clone_from(&options.header);
    let sent = actix_rt::System::new().block_on(async {
        let mut once = Once::new(transport, &user_agent)?;
        Ok::<_, Failure>(once.send(&request).await)
    })?;
    let answer = sent.answer.map_err(|error| failed(&url, error))?;
    let (body, _) = answer.decoded(limits).map_err(|error| failed(&url, Some(error)))?;

    eprintln!("{}", status_line(&answer));
    if let Some(to) = redirect::target(answer.status, &answer.headers, &url) {
        eprintln!("leads to {to}");
    }
    let mut shown = Vec::new();
    if options.include {
        shown.extend_from_slice(format!("HTTP/1.1 {}\n", reason(answer.status)).as_bytes());
        for (name, value) in &answer.headers {
            shown.extend_from_slice(name.as_str().as_bytes());
            shown.extend_from_slice(b": ");
            shown.extend_from_slice(value.as_bytes());
            shown.push(b'\n');
        }
        shown.push(b'\n');
    }
    match &mut body_to {
        Some((path, file)) => {
            print(&shown)?;
            replace(file, &body).map_err(|error| Failure::unwritable("-o", path, &error))?;
        }
        None => {
            shown.extend_from_slice(&body);
            print(&shown)?;
        }
    }
    Ok(if (200..400).contains(&answer.status) { Exit::Well } else { Exit::FailedPages })
}

/// Opens a file, so that it is known to be writable before anything is asked for; it keeps what it has until an answer
/// is there.
fn open(path: &Path) -> Result<(&Path, File), Failure> {
    let file = File::options().write(true).create(true).truncate(false).open(path);
    file.map(|file| (path, file)).map_err(|error| Failure::unwritable("-o", path, &error))
}

fn replace(file: &mut File, body: &[u8]) -> io::Result<()> {
    // Pipes and devices have no length.
    if file.metadata()?.is_file() {
        file.set_len(0)?;
    }
    file.write_all(body)
}

/// Says on one line why no answer came.
pub fn failed(url: &Url, error: Option<FetchError>) -> Failure {
    match error {
        Some(error) => Failure::failed(format!("{url}: {}: {error}", error.key())),
        None => Failure::failed(format!("{url} was not asked")),
    }
}

fn status_line(answer: &Answer) -> String {
    let millis = answer.elapsed.as_secs_f64() * 1e3;
    format!("{} · {} bytes · {millis:.0} ms", reason(answer.status), answer.received)
}

fn reason(status: u16) -> String {
    let reason = http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    reason.map_or_else(|| status.to_string(), |reason| format!("{status} {reason}"))
}

/// Writes to stdout.
///
/// # Errors
/// It cannot be written, or nobody reads it any more.
pub fn print(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::reader_gone(),
        _ => Failure::not_run(format!("stdout cannot be written: {error}")),
    })
}
