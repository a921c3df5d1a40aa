//! Contents: the `llms.txt` of a folder, which lists its pages for language models (<https://llmstxt.org>). Reads what
//! is in the folder, so that pages of earlier runs are listed too.

use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Read as _},
    path::Path,
};

/// The file's name.
pub(super) const NAME: &str = "llms.txt";

/// The most pages that are listed: more than a language model reads, and some seconds of opening files.
const MAX_LISTED: usize = 20_000;

/// How much of a file is read for its URL and title, in bytes.
const MAX_HEAD: u64 = 8 << 10;

/// Returns the file's text.
///
/// # Errors
/// The folder cannot be read.
pub(super) fn of(folder: &Path) -> io::Result<String> {
    let mut text = String::new();
    let mut left = MAX_LISTED;
    let mut beyond = 0;
    let hosts = names_in(folder)?.into_iter().filter(|name| folder.join(name).is_dir()).collect::<Vec<_>>();
    for host in &hosts {
        text.extend(["\n## ", host, "\n\n"]);
        for name in names_in(&folder.join(host))? {
            if left == 0 {
                beyond += 1;
                continue;
            }
            if let Some((url, title)) = head_of(&folder.join(host).join(&name)) {
                left -= 1;
                let title = title.unwrap_or_else(|| url.clone()).replace(['[', ']', '\n'], " ").replace('\\', "\\\\");
                text.extend(["- [", &title, "](", host, "/", &name, "): ", &url, "\n"]);
            }
        }
    }
    let of = hosts.first().filter(|_| hosts.len() == 1);
    let title = of.map_or_else(|| format!("Pages of {} hosts", hosts.len()), Clone::clone);
    let summary = if beyond > 0 { format!("> {beyond} more pages are in the folder.\n") } else { String::new() };
    Ok(format!("# {title}\n{summary}{text}"))
}

/// Tells whether a folder holds pages of ours alone, of a crawl that has not ended.
///
/// # Errors
/// The folder cannot be read.
pub(super) fn is_begun(folder: &Path) -> io::Result<bool> {
    for host in fs::read_dir(folder)? {
        let host = host?;
        if !host.file_type()?.is_dir() {
            return Ok(false);
        }
        for name in names_in(&host.path())? {
            if head_of(&host.path().join(name)).is_none() {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Returns the names in a folder, in order, but for those of parts.
fn names_in(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.extend(entry?.file_name().into_string().ok().filter(|name| !name.starts_with('.')));
    }
    names.sort_unstable();
    Ok(names)
}

/// Returns the URL and the title in a file's front matter; `None` if it is no page of ours.
fn head_of(file: &Path) -> Option<(String, Option<String>)> {
    let mut lines = BufReader::new(File::open(file).ok()?.take(MAX_HEAD)).lines().map_while(Result::ok);
    lines.next().filter(|line| line == "---")?;
    let url = serde_json::from_str(lines.next()?.strip_prefix("url: ")?).ok()?;
    let title = lines.next().and_then(|line| serde_json::from_str(line.strip_prefix("title: ")?).ok());
    Some((url, title))
}
