//! Source: the bytes of a sitemap as UTF-8 text, a piece at a time: gzip taken off, charset decoded, every length bounded.
//! Knows nothing of what the text says.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use encoding_rs::{Decoder, Encoding, UTF_8};
use flate2::read::MultiGzDecoder;

use super::error::SitemapError;
use crate::extract::prescan;

/// The longest text, tag, comment or CDATA section. Feeds have whole articles in one; 1 MiB is more than any of them, and
/// two of it are all that a hostile file can make us hold.
pub(super) const MAX_TOKEN: usize = 1 << 20;

/// The bytes decoded at a time.
const PIECE: usize = 16 << 10;

/// As many bytes at the beginning show gzip, a byte order mark and an XML declaration.
const HEAD: u64 = 1 << 10;

/// Text that is decoded while it is read.
pub(super) struct Utf8<'a> {
    bytes: Box<dyn Read + 'a>,
    piece: Vec<u8>,
    decoder: Decoder,
    /// Decoded text, of which what stands before `at` is read.
    text: Vec<u8>,
    at: usize,
    ended: bool,
    max_bytes: u64,
    bytes_left: u64,
    token_left: usize,
    fault: Option<SitemapError>,
}

impl<'a> Utf8<'a> {
    /// Opens the text: takes off gzip and finds out the charset.
    pub fn open(bytes: Box<dyn Read + 'a>, charset: Option<&str>, max_bytes: u64) -> Result<Self, SitemapError> {
        let (head, mut bytes) = with_head(bytes)?;
        let mut head = head;
        if head.starts_with(b"\x1f\x8b") {
            (head, bytes) = with_head(Box::new(MultiGzDecoder::new(BufReader::with_capacity(PIECE, bytes))))?;
        }
        let encoding = Encoding::for_bom(&head).map(|(encoding, _)| encoding);
        let encoding = encoding
            .or_else(|| prescan::named(charset?.as_bytes()))
            .or_else(|| prescan::xml_declaration(head.trim_ascii_start()))
            .unwrap_or(UTF_8);
        Ok(Self {
            bytes,
            piece: vec![0; PIECE],
            decoder: encoding.new_decoder_with_bom_removal(),
            text: Vec::new(),
            at: 0,
            ended: false,
            max_bytes,
            bytes_left: max_bytes,
            token_left: MAX_TOKEN,
            fault: None,
        })
    }

    /// Tells whether the first character that is no white space is `<`. What stands before it is passed over.
    pub fn begins_with_markup(&mut self) -> Result<bool, SitemapError> {
        loop {
            self.begin_token();
            let there = match self.fill_buf() {
                Ok(there) => there,
                Err(error) => return Err(self.error(&error)),
            };
            if there.is_empty() {
                return Ok(false);
            }
            let length = there.len();
            // A second byte order mark is white space here: files are put together from files.
            let text = std::str::from_utf8(there).unwrap_or_default();
            let blank = length - text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}').len();
            let first = there.get(blank).copied();
            self.consume(blank);
            if first.is_some() {
                return Ok(first == Some(b'<'));
            }
        }
    }

    /// Begins another text or tag, which may again be as long as any.
    pub fn begin_token(&mut self) {
        self.token_left = MAX_TOKEN;
    }

    /// Returns why reading failed: our own bound where it was one.
    pub fn error(&mut self, error: &io::Error) -> SitemapError {
        self.fault.take().unwrap_or_else(|| SitemapError::Read(error.to_string()))
    }

    /// Returns the bound that was met, if one was.
    pub fn take_fault(&mut self) -> Option<SitemapError> {
        self.fault.take()
    }

    fn fail(&mut self, fault: SitemapError) -> io::Error {
        self.fault = Some(fault);
        io::Error::other("a bound of the sitemap")
    }

    /// Decodes another piece.
    fn decode(&mut self) -> io::Result<()> {
        let read = match self.bytes.read(&mut self.piece) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => {
                let fault = SitemapError::Read(error.to_string());
                return Err(self.fail(fault));
            }
        };
        let Some(left) = self.bytes_left.checked_sub(read as u64) else {
            let max_bytes = self.max_bytes;
            return Err(self.fail(SitemapError::TooLarge { max_bytes }));
        };
        self.bytes_left = left;
        self.ended = read == 0;
        let piece = self.piece.get(..read).unwrap_or_default();
        let room = self.decoder.max_utf8_buffer_length(piece.len()).unwrap_or_default();
        self.text.clear();
        self.text.resize(room, 0);
        let (_, _, written, _) = self.decoder.decode_to_utf8(piece, &mut self.text, self.ended);
        self.text.truncate(written);
        self.at = 0;
        Ok(())
    }
}

impl BufRead for Utf8<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.at >= self.text.len() && !self.ended {
            self.decode()?;
        }
        let there = self.text.len().saturating_sub(self.at);
        if there > 0 && self.token_left == 0 {
            return Err(self.fail(SitemapError::TokenTooLong { max_bytes: MAX_TOKEN }));
        }
        let end = self.at + there.min(self.token_left);
        Ok(self.text.get(self.at..end).unwrap_or_default())
    }

    fn consume(&mut self, read: usize) {
        self.at += read;
        self.token_left = self.token_left.saturating_sub(read);
    }
}

impl Read for Utf8<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let there = self.fill_buf()?;
        let read = there.len().min(into.len());
        if let (Some(into), Some(there)) = (into.get_mut(..read), there.get(..read)) {
            into.copy_from_slice(there);
        }
        self.consume(read);
        Ok(read)
    }
}

/// Reads the beginning, and returns it with a reader that begins with it.
fn with_head<'a>(mut bytes: Box<dyn Read + 'a>) -> Result<(Vec<u8>, Box<dyn Read + 'a>), SitemapError> {
    let mut head = Vec::new();
    let read = bytes.by_ref().take(HEAD).read_to_end(&mut head);
    read.map_err(|error| SitemapError::Read(error.to_string()))?;
    let again = Cursor::new(head.clone()).chain(bytes);
    Ok((head, Box::new(again)))
}
