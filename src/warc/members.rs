//! MemberEncoders: compresses records, each to a gzip member of its own (RFC 1952). Knows no records.
//!
//! The encoders are kept for the next record: to make one takes longer than to compress a short record with it.

use std::io;

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

/// Encoders for one record after the other.
pub(super) struct MemberEncoders {
    usual: Compress,
    fast: Compress,
}

/// How much time is spent on a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effort {
    Usual,
    /// For what hardly becomes smaller.
    Little,
}

/// The header of a member: deflate, no flags, no time, any system (RFC 1952 §2.3).
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// How much room there is for what the encoder brings at once.
const ROOM: usize = 8 << 10;

impl Default for MemberEncoders {
    fn default() -> Self {
        let encoder = |level| Compress::new(level, false);
        Self { usual: encoder(Compression::default()), fast: encoder(Compression::fast()) }
    }
}

impl MemberEncoders {
    /// Appends some pieces as one member to `to`.
    ///
    /// # Errors
    /// The encoder fails.
    pub fn append(&mut self, pieces: &[&[u8]], effort: Effort, to: &mut Vec<u8>) -> io::Result<()> {
        let encoder = match effort {
            Effort::Usual => &mut self.usual,
            Effort::Little => &mut self.fast,
        };
        // What an error left of the record before is gone, too.
        encoder.reset();
        to.extend_from_slice(&HEADER);
        let mut sum = Crc::new();
        for piece in pieces {
            sum.update(piece);
            compress(encoder, piece, FlushCompress::None, to)?;
        }
        compress(encoder, &[], FlushCompress::Finish, to)?;
        to.extend_from_slice(&sum.sum().to_le_bytes());
        to.extend_from_slice(&sum.amount().to_le_bytes());
        Ok(())
    }
}

/// Compresses all of a piece, or with `Finish` ends.
fn compress(encoder: &mut Compress, mut piece: &[u8], flush: FlushCompress, to: &mut Vec<u8>) -> io::Result<()> {
    loop {
        to.reserve(ROOM);
        let before = encoder.total_in();
        let status = encoder.compress_vec(piece, to, flush).map_err(io::Error::other)?;
        let taken = usize::try_from(encoder.total_in() - before).map_err(io::Error::other)?;
        piece = piece.get(taken..).unwrap_or_default();
        if status == Status::StreamEnd || (flush == FlushCompress::None && piece.is_empty()) {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::bufread::{GzDecoder, MultiGzDecoder};

    use super::*;

    #[test]
    fn each_record_is_a_member_that_others_read_whatever_came_before() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut members = MemberEncoders::default();
        let (mut all, mut texts) = (Vec::new(), Vec::new());
        for length in [0, 1, 700, 40_000, 3 << 20, 9, 0] {
            let text: Vec<u8> = (0..length).map(|n| if n % 3 == 0 { random.u8(..) } else { b'a' }).collect();
            for effort in [Effort::Usual, Effort::Little] {
                let begin = all.len();
                let (first, rest) = text.split_at(length / 3);
                members.append(&[first, b"", rest], effort, &mut all).unwrap();
                let mut read = Vec::new();
                let mut decoder = GzDecoder::new(&all[begin..]);
                decoder.read_to_end(&mut read).unwrap();
                assert!(read == text && decoder.into_inner().is_empty(), "{length} by {effort:?}");
                texts.extend(read);
            }
        }
        let mut read = Vec::new();
        MultiGzDecoder::new(&*all).read_to_end(&mut read).unwrap();
        assert!(read == texts);
    }
}
