//! Fuzzes the reader of sitemaps with any bytes in any pieces: it never panics, it ends, what it lists is `http` or
//! `https` and no longer than a URL may be, and neither the pieces nor gzip change the result.

use std::io::{Read, Write};

use actix_crawler::extract::{
    MAX_URL_LENGTH,
    sitemap::{SitemapEntry, SitemapError, SitemapLimits, SitemapReader},
};
use flate2::{Compression, write::GzEncoder};

/// The first byte is the length of the pieces; it is printable in the seeds, so that those can be read.
pub fn fuzz(input: &[u8]) {
    let [length, file @ ..] = input else { return };
    let whole = read(file);
    let split = read(Pieces { bytes: file, length: usize::from(*length).max(1) });
    assert_eq!(whole, split);
    if !file.starts_with(b"\x1f\x8b") {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(file).unwrap();
        assert_eq!(whole, read(&gzip.finish().unwrap()[..]));
    }
}

type Listed = (Vec<SitemapEntry>, Option<SitemapError>);

fn read(file: impl Read + Send) -> Listed {
    let url = "https://e.org/maps/sitemap.xml".parse().unwrap();
    let limits = SitemapLimits { max_urls: 100, max_bytes: 1 << 20 };
    let (mut entries, mut error) = (Vec::new(), None);
    for entry in SitemapReader::new(file, &url).limits(limits) {
        assert!(error.is_none(), "an error is the last item");
        match entry {
            Ok(entry) => entries.push(entry),
            Err(why) => error = Some(why),
        }
    }
    assert!(entries.len() <= limits.max_urls);
    for entry in &entries {
        assert!(matches!(entry.url.scheme(), "http" | "https"), "{}", entry.url);
        assert!(entry.url.as_str().len() <= MAX_URL_LENGTH && entry.url.fragment().is_none(), "{}", entry.url);
        assert!(entry.priority.is_none_or(|priority| (0.0..=1.0).contains(&priority)));
    }
    (entries, error)
}

struct Pieces<'a> {
    bytes: &'a [u8],
    length: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let length = self.length.min(into.len());
        (&mut self.bytes).take(length as u64).read(into)
    }
}
