//! BodyReader: decodes the content codings of a body piece by piece, as they are read, in memory that does not grow
//! with the body.

use std::io::{self, Read};

use bytes::Bytes;

use super::{BodyLimits, Coding, DecodedBody, DecodingLayer};
use crate::outcome::FetchError;

/// A body without its content codings, as a stream.
pub struct BodyReader {
    body: Bytes,
    stages: Vec<DecodingStage>,
    bounds: DecodedBody,
}

/// One coding, and what it has decoded and nobody has read.
struct DecodingStage {
    layer: DecodingLayer,
    from: usize,
    to: usize,
    /// Whether the last step filled its buffer, so that there may be more without further input.
    is_full: bool,
}

impl BodyReader {
    /// Reads a body in these codings, given in the order in which they are taken off.
    pub fn new(body: Bytes, codings: Vec<Coding>, limits: BodyLimits) -> Self {
        let stage = |coding| DecodingStage { layer: DecodingLayer::new(coding), from: 0, to: 0, is_full: false };
        Self {
            body,
            stages: codings.into_iter().map(stage).collect(),
            bounds: DecodedBody { bytes: Vec::new(), limits, began: None },
        }
    }
}

impl Read for BodyReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some((last, before)) = self.stages.split_last_mut() else { return Ok(take(&mut self.body, into)) };
        if last.is_read() {
            last.fill(before, &mut self.body, &mut self.bounds).map_err(io::Error::other)?;
        }
        let there = last.unread();
        let read = there.len().min(into.len());
        if let (Some(into), Some(there)) = (into.get_mut(..read), there.get(..read)) {
            into.copy_from_slice(there);
        }
        last.from += read;
        Ok(read)
    }
}

fn take(body: &mut Bytes, into: &mut [u8]) -> usize {
    let piece = body.split_to(body.len().min(into.len()));
    if let Some(into) = into.get_mut(..piece.len()) {
        into.copy_from_slice(&piece);
    }
    piece.len()
}

impl DecodingStage {
    fn unread(&self) -> &[u8] {
        self.layer.made.get(self.from..self.to).unwrap_or_default()
    }

    fn is_read(&self) -> bool {
        self.from >= self.to
    }

    /// Decodes more, from the stages before this one. Nothing more is there afterwards if the body has ended.
    fn fill(&mut self, before: &mut [Self], body: &mut Bytes, bounds: &mut DecodedBody) -> Result<(), FetchError> {
        loop {
            let input = match before.split_last_mut() {
                None => &**body,
                Some((source, rest)) => {
                    if source.is_read() && !self.is_full {
                        source.fill(rest, body, bounds)?;
                    }
                    source.unread()
                }
            };
            if input.is_empty() && !self.is_full {
                return match &self.layer.decoder {
                    Some(decoder) if !decoder.is_whole() => Err(self.layer.coding.broken("it ends too early")),
                    _ => Ok(()),
                };
            }
            let mut left = input;
            let made = self.layer.step(&mut left, &bounds.limits)?;
            let used = input.len() - left.len();
            bounds.check(&self.layer)?;
            match before.last_mut() {
                None => drop(body.split_to(used)),
                Some(source) => source.from += used,
            }
            (self.from, self.to, self.is_full) = (0, made, made == self.layer.made.len());
            if made > 0 {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read(body: Vec<u8>, codings: &[Coding], limits: BodyLimits) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        BodyReader::new(body.into(), codings.to_vec(), limits).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    #[test]
    fn a_body_read_piece_by_piece_is_the_body_whatever_its_codings() {
        let text = (0..40_000).map(|line| format!("line {line}\n")).collect::<String>().into_bytes();
        let limits = BodyLimits::default();
        for (body, codings) in [
            (text.clone(), vec![]),
            (gzip(&text), vec![Coding::Gzip]),
            (zstd::encode_all(&gzip(&text)[..], 1).unwrap(), vec![Coding::Zstd, Coding::Gzip]),
            (gzip(&zstd::encode_all(&text[..], 1).unwrap()), vec![Coding::Gzip, Coding::Zstd]),
        ] {
            assert!(read(body.clone(), &codings, limits).unwrap() == text, "{codings:?}");
            if !codings.is_empty() {
                assert!(read(body[..body.len() - 9].to_vec(), &codings, limits).is_err(), "{codings:?}, cut");
            }
        }
        assert_eq!(read(Vec::new(), &[Coding::Gzip], limits).unwrap(), b"", "nothing needs no coding");
    }

    #[test]
    fn a_bomb_is_met_by_the_bounds_before_it_is_in_memory() {
        let bomb = gzip(&gzip(&vec![0; 64 << 20]));
        let limits = BodyLimits { max_bytes: 50 << 20, ..BodyLimits::default() };
        let mut reader = BodyReader::new(bomb.into(), vec![Coding::Gzip, Coding::Gzip], limits);
        let mut piece = [0; 8 << 10];
        let error = loop {
            match reader.read(&mut piece) {
                Ok(read) => assert!(read > 0, "it ends"),
                Err(error) => break error,
            }
        };
        assert!(error.to_string().contains("gzip became"), "{error}");
    }
}
