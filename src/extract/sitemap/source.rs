//! Source: the bytes of a sitemap as UTF-8 text, piece by piece: decompressed, decoded, every length bounded. Does not
//! interpret the text.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use super::{
    error::SitemapError,
    gzip::Gunzip,
    token::{Rest, SkipEnd, TokenKind},
};
use crate::extract::prescan;
use encoding_rs::{Decoder, Encoding, UTF_8};

/// The longest text, tag, comment or CDATA section that is read as a whole; of a longer one the rest is skipped. Feeds
/// contain whole articles in one; 1 MiB exceeds them, and a hostile file can make us hold at most two of this size.
const MAX_TOKEN: usize = 1 << 20;

/// The number of bytes decoded at a time.
const PIECE: usize = 16 << 10;

/// The number of bytes in which gzip, a byte order mark and an XML declaration are detected.
const HEAD: u64 = 1 << 10;

/// What begins a comment if another dash follows.
const NO_COMMENT: &[u8] = b"<!-";

/// Text that is decoded as it is read.
pub(super) struct Utf8<'a> {
    bytes: Box<dyn Read + Send + 'a>,
    piece: Vec<u8>,
    decoder: Decoder,
    /// Decoded text; the part before `at` has been read.
    text: Vec<u8>,
    at: usize,
    ended: bool,
    max_bytes: u64,
    bytes_left: u64,
    token_left: usize,
    fault: Option<ReadFault>,
}

/// Why reading stopped.
pub(super) enum ReadFault {
    /// The rest of the text or tag is to be skipped.
    LongToken,
    /// Nothing more can be read.
    Fatal(SitemapError),
}

impl<'a> Utf8<'a> {
    /// Opens the text: detects gzip and the charset.
    pub fn open(bytes: Box<dyn Read + Send + 'a>, charset: Option<&str>, max_bytes: u64) -> Self {
        let (head, mut bytes) = with_head(bytes);
        let mut head = head;
        if head.starts_with(b"\x1f\x8b") {
            (head, bytes) = with_head(Box::new(Gunzip::new(BufReader::with_capacity(PIECE, bytes))));
        }
        let encoding = Encoding::for_bom(&head).map(|(encoding, _)| encoding);
        let encoding = encoding
            .or_else(|| prescan::named(charset?.as_bytes()))
            .or_else(|| prescan::xml_declaration(head.trim_ascii_start()))
            .unwrap_or(UTF_8);
        Self {
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
        }
    }

    /// Creates a text without content.
    pub fn empty() -> Self {
        Self {
            bytes: Box::new(io::empty()),
            piece: Vec::new(),
            decoder: UTF_8.new_decoder(),
            text: Vec::new(),
            at: 0,
            ended: true,
            max_bytes: 0,
            bytes_left: 0,
            token_left: 0,
            fault: None,
        }
    }

    /// Tells whether the first non-white character is `<`. Text before it is skipped.
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
            // A second byte order mark counts as white space: some files are concatenated from others.
            let text = std::str::from_utf8(there).unwrap_or_default();
            let blank = length - text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}').len();
            let first = there.get(blank).copied();
            self.consume(blank);
            if first.is_some() {
                return Ok(first == Some(b'<'));
            }
        }
    }

    /// Starts another text or tag, to which the bound applies anew.
    pub fn begin_token(&mut self) {
        self.token_left = MAX_TOKEN;
    }

    /// Returns why reading failed.
    pub fn error(&mut self, error: &io::Error) -> SitemapError {
        match self.fault.take() {
            Some(ReadFault::Fatal(error)) => error,
            Some(ReadFault::LongToken) | None => SitemapError::Read(error.to_string()),
        }
    }

    /// Returns the bound that was exceeded, if any.
    pub fn take_fault(&mut self) -> Option<ReadFault> {
        self.fault.take()
    }

    /// Skips the rest of a text or tag of which this much was read.
    ///
    /// # Errors
    /// The text ends first, or cannot be read.
    pub fn skip_rest(&mut self, beginning: &str, kind: TokenKind) -> Result<SkipEnd, SitemapError> {
        let mut rest = Rest::of(beginning.as_bytes(), kind);
        loop {
            self.begin_token();
            let there = match self.fill_buf() {
                Ok([]) if kind == TokenKind::Text => return Ok(SkipEnd::Plain),
                Ok([]) => return Err(SitemapError::Truncated),
                Ok(there) => there,
                Err(error) => return Err(self.error(&error)),
            };
            let (length, end) = (there.len(), rest.find_end(there));
            self.consume(end.unwrap_or(length));
            if end.is_some() {
                return Ok(rest.end());
            }
        }
    }

    /// Tells whether what comes begins as a comment, and is none for want of the second dash. It would be read up to
    /// the end of the next comment, or of the file.
    ///
    /// # Errors
    /// The text cannot be read.
    pub fn begins_like_a_comment(&mut self) -> Result<bool, SitemapError> {
        loop {
            let there = self.text.get(self.at..).unwrap_or_default();
            let first = there.get(..NO_COMMENT.len()).unwrap_or(there);
            if there.len() > NO_COMMENT.len() || self.ended || !NO_COMMENT.starts_with(first) {
                return Ok(there.starts_with(NO_COMMENT) && !there.starts_with(b"<!--"));
            }
            if let Err(error) = self.decode() {
                return Err(self.error(&error));
            }
        }
    }

    fn fail(&mut self, fault: ReadFault) -> io::Error {
        self.fault = Some(fault);
        io::Error::other("a bound of the sitemap")
    }

    /// Decodes another piece, behind what has not been read yet.
    fn decode(&mut self) -> io::Result<()> {
        let read = match self.bytes.read(&mut self.piece) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => {
                let fault = SitemapError::Read(error.to_string());
                return Err(self.fail(ReadFault::Fatal(fault)));
            }
        };
        let Some(left) = self.bytes_left.checked_sub(read as u64) else {
            let max_bytes = self.max_bytes;
            return Err(self.fail(ReadFault::Fatal(SitemapError::TooLarge { max_bytes })));
        };
        self.bytes_left = left;
        self.ended = read == 0;
        let piece = self.piece.get(..read).unwrap_or_default();
        let room = self.decoder.max_utf8_buffer_length(piece.len()).unwrap_or_default();
        self.text.drain(..self.at.min(self.text.len()));
        self.at = 0;
        let unread = self.text.len();
        self.text.resize(unread + room, 0);
        let to = self.text.get_mut(unread..).unwrap_or_default();
        let (_, _, written, _) = self.decoder.decode_to_utf8(piece, to, self.ended);
        self.text.truncate(unread + written);
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
            return Err(self.fail(ReadFault::LongToken));
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

/// Reads the beginning; returns it with a reader that repeats it, and the error that ended it.
fn with_head<'a>(mut bytes: Box<dyn Read + Send + 'a>) -> (Vec<u8>, Box<dyn Read + Send + 'a>) {
    let mut head = Vec::new();
    let error = bytes.by_ref().take(HEAD).read_to_end(&mut head).err();
    let again = Cursor::new(head.clone()).chain(Failing(error)).chain(bytes);
    (head, Box::new(again))
}

/// An error that comes when what was before it has been read.
struct Failing(Option<io::Error>);

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}
