//! Seeds: reads the file of seed URLs, one a line.

use std::{fs::File, io, path::Path, str::Utf8Error};

use actix_crawler::{
    Request,
    internals::{Counted, read_whole},
};
use url::Url;

use super::{console::tell, exit::Failure};

/// The most skipped lines that are listed individually.
const MAX_SHOWN: usize = 10;

/// The longest file, in bytes: ten million hosts.
const MAX_BYTES: u64 = 256 << 20;

/// Reads the URLs of a file; `-` is stdin. Empty lines and lines that begin with `#` are skipped.
///
/// # Errors
/// The file cannot be read or is too long, or a line is not a URL and `skip_bad` is not set: the message names the
/// line.
pub fn read(path: &Path, skip_bad: bool) -> Result<Vec<Url>, Failure> {
    let read = match path.to_str() {
        Some("-") => read_whole(io::stdin().lock(), MAX_BYTES),
        _ => File::open(path).and_then(|file| read_whole(file, MAX_BYTES)),
    };
    let text = read.map_err(|error| Failure::unreadable("--seeds", path, &error))?;
    let (mut urls, mut bad) = (Vec::new(), 0);
    for (line, seed) in lines(&text) {
        let url = seed.map_err(|_| "it is not UTF-8".to_owned());
        match url.and_then(|seed| Request::parse(seed).map_err(|error| error.to_string())) {
            Ok(request) => urls.push(request.url),
            Err(error) if skip_bad => {
                bad += 1;
                if bad <= MAX_SHOWN {
                    tell(format_args!("skipped: {} line {line}: {error}", path.display()));
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
        let (bad, taken) = (Counted(bad as u64, "bad seed"), Counted(urls.len() as u64, "seed"));
        tell(format_args!("{bad} skipped, {taken} taken"));
    }
    Ok(urls)
}

/// The lines with content, with their numbers.
fn lines(text: &[u8]) -> impl Iterator<Item = (usize, Result<&str, Utf8Error>)> {
    let lines = text.split(|byte| *byte == b'\n').map(str::from_utf8).zip(1..);
    let trimmed = lines.map(|(line, number)| {
        let without_mark = |line| if number == 1 { without_mark(line) } else { line };
        (number, line.map(|line| without_mark(line).trim()))
    });
    trimmed.filter(|(_, line)| line.is_err() || line.is_ok_and(|line| !line.is_empty() && !line.starts_with('#')))
}

/// Removes the byte order mark that some editors write.
pub fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_belongs_to_no_url_and_bytes_that_are_no_text_to_one_line() {
        let text = b"\xef\xbb\xbfhttp://a.test/\r\n\n# none\n http://b.test/ \nhttp://\xe9.test/\n";
        let seeds: Vec<_> = lines(text).map(|(number, line)| (number, line.ok())).collect();
        assert_eq!(seeds, [(1, Some("http://a.test/")), (4, Some("http://b.test/")), (5, None)]);
    }
}
