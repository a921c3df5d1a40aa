//! `fetch`: sends one request and prints the response.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
};

use actix_crawler::{Request, client::Response, transport::TransportSettings};

use super::{
    block_on,
    config::refuse_private,
    exit::{Exit, Failure},
    once,
    options::FetchOptions,
    terminal::escape_on_terminal,
};

/// Runs the command.
///
/// # Errors
/// No complete response came, or the body cannot be written.
pub fn run(options: &FetchOptions) -> Result<Exit, Failure> {
    let url = Request::parse(&options.url)?.url;
    let transport = options.network.over(TransportSettings::default())?;
    refuse_private(std::slice::from_ref(&url), &transport.guard)?;
    let user_agent = options.identity.user_agent(std::slice::from_ref(&url))?;
    let mut body_to = options.output.as_deref().map(open).transpose()?;

    let client = once::client(transport, user_agent)?;
    let response = block_on(once::get(&client, &url, &options.header))?;

    eprintln!("{}", status_line(&response));
    if let Some(to) = response.redirect_target() {
        eprintln!("leads to {to}");
    }
    let mut shown = Vec::new();
    if options.include {
        shown.extend_from_slice(format!("HTTP/1.1 {}\n", reason(response.status())).as_bytes());
        for (name, value) in response.headers() {
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
            replace(file, response.bytes()).map_err(|error| Failure::unwritable("-o", path, &error))?;
        }
        None => {
            shown.extend_from_slice(response.bytes());
            print(&shown)?;
        }
    }
    Ok(if (200..400).contains(&response.status()) { Exit::Well } else { Exit::FailedPages })
}

/// Opens a file before anything is requested, to know that it is writable. Its content is kept until the response has
/// come.
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

fn status_line(response: &Response) -> String {
    let millis = response.elapsed().as_secs_f64() * 1e3;
    format!("{} · {} bytes · {millis:.0} ms", reason(response.status()), response.received())
}

fn reason(status: u16) -> String {
    let reason = http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    reason.map_or_else(|| status.to_string(), |reason| format!("{status} {reason}"))
}

/// Writes to stdout, and to a terminal with control characters escaped.
///
/// # Errors
/// It cannot be written, or its reader has gone.
pub fn print(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(&escape_on_terminal(bytes)).and_then(|()| stdout.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::reader_gone(),
        _ => Failure::not_run(format!("stdout cannot be written: {error}")),
    })
}
