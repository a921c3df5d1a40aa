//! Lines: a sitemap in plain text, one URL on each line (sitemaps.org, "Text file"). Knows no XML.

use std::io::BufRead;

use url::Url;

use super::{
    entry::{SitemapEntry, SkippedEntries, Target},
    error::SitemapError,
    source::Utf8,
};
use crate::extract::links::MAX_URL_LENGTH;

/// The entries of a list of URLs.
pub(super) struct Lines<'a> {
    text: Utf8<'a>,
    line: Vec<u8>,
}

/// The result of reading one line.
enum LineRead {
    Whole,
    TooLong,
    None,
}

impl<'a> Lines<'a> {
    pub fn new(text: Utf8<'a>) -> Self {
        Self { text, line: Vec::new() }
    }

    pub fn next_entry(
        &mut self,
        base: &Url,
        skipped: &mut SkippedEntries,
    ) -> Result<Option<SitemapEntry>, SitemapError> {
        loop {
            match self.read_line()? {
                LineRead::None => return Ok(None),
                LineRead::TooLong => skipped.too_long += 1,
                LineRead::Whole => {
                    let line = String::from_utf8_lossy(&self.line);
                    let line = line.trim();
                    // A line that is not an absolute URL is a comment, a heading or a mistake, and is ignored as by
                    // other readers.
                    match Url::parse(line) {
                        _ if line.is_empty() => {}
                        Err(_) => skipped.unreadable += 1,
                        Ok(_) => {
                            if let Some(url) = skipped.url(base, line) {
                                return Ok(Some(SitemapEntry::new(url, Target::Page)));
                            }
                        }
                    }
                }
            }
        }
    }

    /// Reads one line; the rest of a line that is too long is dropped.
    fn read_line(&mut self) -> Result<LineRead, SitemapError> {
        self.line.clear();
        let mut read_any = false;
        let mut too_long = false;
        loop {
            self.text.begin_token();
            let there = match self.text.fill_buf() {
                Ok(there) => there,
                Err(error) => return Err(self.text.error(&error)),
            };
            if there.is_empty() {
                break;
            }
            read_any = true;
            let end = there.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let piece = there.get(..end.unwrap_or(there.len())).unwrap_or_default();
            // Room for the white space around a URL.
            too_long |= self.line.len() + piece.len() > 2 * MAX_URL_LENGTH;
            if !too_long {
                self.line.extend_from_slice(piece);
            }
            let read = piece.len() + usize::from(end.is_some());
            self.text.consume(read);
            if end.is_some() {
                break;
            }
        }
        Ok(match (read_any, too_long) {
            (false, _) => LineRead::None,
            (true, true) => LineRead::TooLong,
            (true, false) => LineRead::Whole,
        })
    }
}
