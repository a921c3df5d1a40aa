//! Gunzip: decodes a gzip file piece by piece. Data after its last member is ignored, as by gzip itself and by
//! browsers: some servers pad files with zeros. Bounds nothing.

use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;

/// The first byte of a member (RFC 1952 §2.3.1).
const ID1: u8 = 0x1f;

pub(super) struct Gunzip<R> {
    /// `None` after the last member.
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> Gunzip<R> {
    pub fn new(bytes: R) -> Self {
        Self { member: Some(GzDecoder::new(bytes)) }
    }
}

impl<R: BufRead> Read for Gunzip<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let read = member.read(into)?;
            if read > 0 || into.is_empty() {
                return Ok(read);
            }
            let mut rest = self.member.take().map(GzDecoder::into_inner);
            let next = match &mut rest {
                Some(rest) => rest.fill_buf()?.first() == Some(&ID1),
                None => false,
            };
            self.member = rest.filter(|_| next).map(GzDecoder::new);
        }
        Ok(0)
    }
}
