//! `fetch`: sends one request and prints the response.

use std::{
    fs,
    path::{Path, PathBuf},
};

use actix_crawler::{Request, client::Response, transport::TransportSettings};
use url::{Position, Url};
use xxhash_rust::xxh3::xxh3_64;

use super::{
    block_on,
    config::refuse_private,
    console::{print, tell},
    exit::{Exit, Failure},
    kept_file::KeptFile,
    named_files::NamedFiles,
    once,
    options::FetchOptions,
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
    let mut named = NamedFiles::default();
    named.written("-o", options.output.as_deref());
    named.written("--save", options.save.as_deref());
    named.check()?;
    let open = |path| KeptFile::open("-o", path).map(|file| (path, file));
    let mut body_to = options.output.as_deref().map(open).transpose()?;
    let save_to = options.save.as_deref().map(|path| save_to(path, &url)).transpose()?;

    let client = once::client(transport, user_agent)?;
    let response = block_on(once::get(&client, &url, &options.header))?;

    tell(status_line(&response));
    if let Some(to) = response.redirect_target() {
        tell(format_args!("leads to {to}"));
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
            file.replace(response.bytes()).map_err(|error| Failure::unwritable("-o", path, &error))?;
        }
        None => {
            if save_to.is_none() {
                shown.extend_from_slice(response.bytes());
            }
            print(&shown)?;
        }
    }
    if let Some(path) = save_to {
        response.save(&path).map_err(Failure::not_run)?;
        tell(format_args!("saved to {}", path.display()));
    }
    Ok(if (200..400).contains(&response.status()) { Exit::Well } else { Exit::FailedPages })
}

/// Returns the file to save a response to: the one that is named, or in a folder one that is named by the URL.
fn save_to(path: &Path, url: &Url) -> Result<PathBuf, Failure> {
    let is_folder = path.is_dir() || path.as_os_str().as_encoded_bytes().ends_with(b"/");
    if is_folder {
        fs::create_dir_all(path).map_err(|error| Failure::unwritable("--save", path, &error))?;
    }
    let file = if is_folder { path.join(file_name(url)) } else { path.to_owned() };
    KeptFile::open("--save", &file)?;
    Ok(file)
}

/// The longest name of a file in bytes: file systems allow 255, with the ending.
const MAX_NAME: usize = 200;

/// Names a file by a URL, each by another: `https://example.org/shop/1` by `example.org_shop_1.response`.
fn file_name(url: &Url) -> String {
    let begin = if url.scheme() == "https" { Position::BeforeHost } else { Position::BeforeScheme };
    let end = if url.path() == "/" && url.query().is_none() { Position::AfterPort } else { Position::AfterQuery };
    let mut name = String::new();
    for byte in url[begin..end].bytes() {
        match byte {
            b'/' => name.push('_'),
            b'.' | b'-' => name.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => name.push(char::from(byte)),
            byte => name.push_str(&format!("%{byte:02X}")),
        }
    }
    if name.len() > MAX_NAME {
        let hash = xxh3_64(name.as_bytes());
        name.truncate(MAX_NAME);
        name.push_str(&format!("-{hash:016x}"));
    }
    name + ".response"
}

fn status_line(response: &Response) -> String {
    let millis = response.elapsed().as_secs_f64() * 1e3;
    format!("{} · {} bytes · {millis:.0} ms", reason(response.status()), response.received())
}

fn reason(status: u16) -> String {
    let reason = http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    reason.map_or_else(|| status.to_string(), |reason| format!("{status} {reason}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// A fixture was once written over by that of a URL with a slash more.
    #[test]
    fn urls_that_differ_have_names_that_differ_and_every_file_system_takes_them() {
        let long = format!("https://e.org/{}", "%20".repeat(300));
        let urls = [
            "https://e.org/a",
            "https://e.org/a/",
            "http://e.org/a",
            "https://e.org/?x=",
            "https://e.org/?x=/",
            "https://e.org/",
            "http://e.org/",
            "https://e.org:8443/a",
            "https://http/e.org/a",
            &long,
            &format!("{long}x"),
        ];
        let names: BTreeSet<_> = urls.iter().map(|url| file_name(&url.parse().unwrap())).collect();
        assert_eq!(names.len(), urls.len(), "{names:?}");
        assert!(names.iter().all(|name| name.len() < 255), "{names:?}");
        assert_eq!(file_name(&"https://example.org/shop/1".parse().unwrap()), "example.org_shop_1.response");
        assert_eq!(file_name(&"https://example.org/".parse().unwrap()), "example.org.response");
    }
}
