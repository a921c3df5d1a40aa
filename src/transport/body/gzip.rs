//! Gzip: decodes a sequence of members (RFC 1952) and checks each against its trailer. Data after the last member is
//! ignored, as in browsers. Bounds nothing.

use flate2::{Crc, Decompress};

use super::inflate::{InflateStep, inflate};

/// The state of the decoder.
pub(super) struct Gzip {
    part: GzipPart,
    /// The bytes received of a header field or trailer that is parsed only when complete.
    held: Vec<u8>,
    /// Header flags whose fields have not been read yet.
    flags: u8,
    data: Decompress,
    crc: Crc,
}

/// The part that is read next.
enum GzipPart {
    /// The fixed ten bytes of a member's header.
    Fixed,
    ExtraLength,
    Extra(usize),
    /// A file name or comment, terminated by a zero byte.
    Text,
    /// The CRC of the header: skipped, since no encoder writes it and the trailer's CRC covers the data.
    HeaderCrc,
    Data,
    Trailer,
    /// Either another member or trailing data.
    Next,
    /// Trailing data.
    Ignored,
}

const MAGIC: [u8; 2] = [0x1f, 0x8b];
const DEFLATED: u8 = 8;

const HEADER_CRC: u8 = 1 << 1;
const EXTRA: u8 = 1 << 2;
const NAME: u8 = 1 << 3;
const COMMENT: u8 = 1 << 4;
const RESERVED: u8 = 0b1110_0000;

impl Gzip {
    pub fn new() -> Self {
        Self { part: GzipPart::Fixed, held: Vec::new(), flags: 0, data: Decompress::new(false), crc: Crc::new() }
    }

    /// As [`Decoder::step`](super::coding::Decoder::step).
    pub fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<InflateStep, String> {
        let mut rest = input;
        let mut made = 0;
        loop {
            if let GzipPart::Data = self.part {
                let (step, ended) = inflate(&mut self.data, rest, output)?;
                rest = rest.get(step.read..).unwrap_or_default();
                made = step.made;
                self.crc.update(output.get(..made).unwrap_or_default());
                if ended {
                    self.part = GzipPart::Trailer;
                }
                if made > 0 || !ended {
                    break;
                }
            } else if rest.is_empty() {
                break;
            } else {
                self.read_around_data(&mut rest)?;
            }
        }
        Ok(InflateStep { read: input.len() - rest.len(), made })
    }

    pub fn is_whole(&self) -> bool {
        matches!(self.part, GzipPart::Next | GzipPart::Ignored)
    }

    /// Parses headers and trailers from the available input.
    fn read_around_data(&mut self, rest: &mut &[u8]) -> Result<(), String> {
        match self.part {
            GzipPart::Fixed => {
                if self.hold(10, rest) {
                    self.flags = flags_of(&self.held)?;
                    self.next_field();
                }
            }
            GzipPart::ExtraLength => {
                if self.hold(2, rest) {
                    let length = self.held.iter().rev().fold(0, |length, byte| length << 8 | usize::from(*byte));
                    self.held.clear();
                    self.part = GzipPart::Extra(length);
                }
            }
            GzipPart::Extra(missing) => {
                let there = missing.min(rest.len());
                *rest = rest.get(there..).unwrap_or_default();
                self.part = GzipPart::Extra(missing - there);
                if missing == there {
                    self.next_field();
                }
            }
            GzipPart::Text => match rest.iter().position(|byte| *byte == 0) {
                None => *rest = &[],
                Some(zero) => {
                    *rest = rest.get(zero + 1..).unwrap_or_default();
                    self.next_field();
                }
            },
            GzipPart::HeaderCrc => {
                if self.hold(2, rest) {
                    self.next_field();
                }
            }
            GzipPart::Trailer => {
                if self.hold(8, rest) {
                    let [crc, length] = [self.crc.sum(), self.crc.amount()].map(u32::to_le_bytes);
                    if self.held != [crc, length].concat() {
                        return Err("the checksum or the length is not that of its content".into());
                    }
                    self.held.clear();
                    self.part = GzipPart::Next;
                }
            }
            GzipPart::Next => {
                if self.hold(2, rest) {
                    self.part = GzipPart::Ignored;
                    if self.held == MAGIC {
                        self.part = GzipPart::Fixed;
                        self.data.reset(false);
                        self.crc.reset();
                    }
                }
            }
            GzipPart::Data | GzipPart::Ignored => *rest = &[],
        }
        Ok(())
    }

    /// Continues with the next field that the flags announce, or with the data.
    fn next_field(&mut self) {
        self.held.clear();
        let (field, part) = match self.flags {
            flags if flags & EXTRA != 0 => (EXTRA, GzipPart::ExtraLength),
            flags if flags & NAME != 0 => (NAME, GzipPart::Text),
            flags if flags & COMMENT != 0 => (COMMENT, GzipPart::Text),
            flags if flags & HEADER_CRC != 0 => (HEADER_CRC, GzipPart::HeaderCrc),
            _ => (0, GzipPart::Data),
        };
        self.flags &= !field;
        self.part = part;
    }

    /// Buffers bytes until `wanted` are there; tells whether they are.
    fn hold(&mut self, wanted: usize, rest: &mut &[u8]) -> bool {
        let (now, later) = rest.split_at(wanted.saturating_sub(self.held.len()).min(rest.len()));
        self.held.extend_from_slice(now);
        *rest = later;
        self.held.len() >= wanted
    }
}

/// Checks a member's header and returns its flags.
fn flags_of(header: &[u8]) -> Result<u8, String> {
    match *header {
        [a, b, ..] if [a, b] != MAGIC => Err("it does not begin as gzip does".into()),
        [_, _, DEFLATED, flags, ..] if flags & RESERVED == 0 => Ok(flags),
        _ => Err("its header is of no known kind".into()),
    }
}
