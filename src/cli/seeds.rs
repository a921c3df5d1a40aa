//! Seeds: the file of URLs that a crawl begins with, one a line.

use std::{fs, io, path::Path};

use actix_crawler::{Request, internals::Counted};
use url::Url;

use super::{config::unreadable, exit::Failure, terminal};

/// The most wrong lines that are shown one by one where they are skipped.
const MAX_SHOWN: usize = 10;

/// Reads the URLs of a file; `-` is stdin. Empty lines and lines that begin with `#` are passed over.
///
/// # Errors
/// The file cannot be read, or a line is no URL and `skip_bad` does not allow it: the line is named.
pub fn read(path: &Path, skip_bad: bool) -> Result<Vec<Url>, Failure> {
    let text = if path.as_os_str() == "-" { io::read_to_string(io::stdin()) } else { fs::read_to_string(path) };
    let text = text.map_err(|error| unreadable("--seeds", path, &error))?;
    let (mut urls, mut bad) = (Vec::new(), 0);
    for (line, seed) in lines(&text) {
        match Request::parse(seed) {
            Ok(request) => urls.push(request.url),
            Err(error) if skip_bad => {
                bad += 1;
                if bad <= MAX_SHOWN {
                    eprintln!("{}", terminal::escape(&format!("skipped: {} line {line}: {error}", path.display())));
                }
            }
            Err(error) => {
                let path = path.display();
                let why = format!("--seeds {path} line {line}: {error}; --skip-bad-seeds goes on without it");
                return Err(Failure::usage(why));
            }
        }
    }
    if bad > 0 {
        eprintln!("{} skipped, {} taken", Counted(bad as u64, "bad seed"), Counted(urls.len() as u64, "seed"));
    }
    Ok(urls)
}

/// The lines that say something, with their numbers.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = without_mark(text).lines().map(str::trim).zip(1..).map(|(line, number)| (number, line));
    lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

/// Takes the byte order mark off that some editors begin a file with.
pub fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_belongs_to_no_url() {
        let seeds: Vec<_> = lines("\u{feff}http://a.test/\r\n\n# none\n http://b.test/ ").collect();
        assert_eq!(seeds, [(1, "http://a.test/"), (4, "http://b.test/")]);
    }
}
