//! Fuzzes robots files with any bytes: nothing panics, and the decision does not depend on the end of the last line, on
//! line ends, or on a byte order mark.

use actix_crawler::robots::RobotsTxt;
use url::Url;

/// The first line is a path; the rest is the file.
pub fn fuzz(input: &[u8]) {
    let (path, file) = input.split_at(input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len()));
    let file = file.strip_prefix(b"\n").unwrap_or(file);
    let base: Url = "https://e.org/".parse().unwrap();
    let Ok(url) = base.join(&String::from_utf8_lossy(path)) else { return };
    let read = |file: &[u8]| {
        let robots = RobotsTxt::parse(file, "quotesbot");
        let sitemaps = robots.sitemaps_from(&url);
        (robots.decide(&url).to_string(), robots.group().clone(), robots.spacing(), sitemaps)
    };
    let plain = read(file);
    assert_eq!(plain, read(&[file, b"\n"].concat()));
    assert_eq!(plain, read(&[file, b"\r# a comment"].concat()));
    if !file.starts_with(b"\xef\xbb\xbf") {
        assert_eq!(plain, read(&[b"\xef\xbb\xbf", file].concat()));
    }
}
