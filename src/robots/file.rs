//! RobotsFile: a robots file, parsed and packed. Does not know its origin, or how long it is valid.

use std::{fmt, sync::Arc};

use super::{MAX_BYTES, RobotsTxt};

/// The parsed rules and the packed text of a robots file.
#[derive(Clone, Debug)]
pub struct RobotsFile {
    /// Its rules for this crawler.
    pub rules: Arc<RobotsTxt>,
    /// Its text, from which the rules can be parsed again.
    pub packed: Arc<Packed>,
}

/// The text of a robots file, compressed if that makes it shorter: a file of 1.4 KB takes about 500 bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Packed {
    bytes: Box<[u8]>,
    /// The length of the text if it is compressed.
    unpacked: Option<usize>,
}

/// Zstandard's default: higher levels save little on texts of a few kilobytes.
const LEVEL: i32 = 3;

/// Shorter texts do not compress: a frame has a dozen bytes of overhead.
const MIN_TO_COMPRESS: usize = 96;

impl RobotsFile {
    /// Parses `text` for the crawler whose product token is `token`.
    pub fn read(text: &[u8], token: &str) -> Self {
        Self { rules: Arc::new(RobotsTxt::parse(text, token)), packed: Arc::new(Packed::new(text)) }
    }
}

impl Packed {
    /// Packs a text. Beyond the bound of a robots file only one byte is kept, which shows that the file was longer.
    pub fn new(text: &[u8]) -> Self {
        let text = text.get(..=MAX_BYTES).unwrap_or(text);
        let packed = (text.len() >= MIN_TO_COMPRESS).then(|| zstd::bulk::compress(text, LEVEL).ok()).flatten();
        match packed.filter(|packed| packed.len() < text.len()) {
            Some(packed) => Self { bytes: packed.into(), unpacked: Some(text.len()) },
            None => Self { bytes: text.into(), unpacked: None },
        }
    }

    /// Returns the text; `None` if the bytes are damaged.
    pub fn text(&self) -> Option<Vec<u8>> {
        match self.unpacked {
            Some(length) => zstd::bulk::decompress(&self.bytes, length).ok(),
            None => Some(self.bytes.to_vec()),
        }
    }

    /// Returns the approximate heap size.
    pub(super) fn weight(&self) -> usize {
        size_of::<Self>() + self.bytes.len() + 4 * size_of::<usize>()
    }
}

impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Packed({} bytes)", self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_file_says_what_it_said() {
        let long = format!("User-agent: *\n{}", "Disallow: /a/path/that/comes/again\n".repeat(20_000));
        for text in ["", "User-agent: *\nDisallow: /", &long[..1_400], &long] {
            let packed = Packed::new(text.as_bytes());
            assert!(packed.bytes.len() <= text.len().min(500), "{packed:?} of {}", text.len());
            let text_again = packed.text().unwrap();
            assert_eq!(text_again, &text.as_bytes()[..text.len().min(MAX_BYTES + 1)]);
            let rules = [text.as_bytes(), &text_again].map(|text| format!("{:?}", RobotsTxt::parse(text, "bot")));
            assert_eq!(rules[0], rules[1]);
        }
    }
}
