//! The cost of hostile bodies: a gibibyte of zeros in each coding, measured as the peak memory of a separate process.

#![allow(clippy::disallowed_methods, reason = "tests read clocks")]
#![cfg(target_os = "linux")]
#![allow(missing_docs)]

use std::{
    fs,
    io::Write,
    process::Command,
    time::{Duration, Instant},
};

use actix_crawler::{
    internals::{BodyDecoder, codings},
    transport::BodyLimits,
};
use flate2::{Compress, Compression, FlushCompress, write::GzEncoder};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// A gibibyte of zeros as raw deflate, in repeatable pieces with `filler` between them.
fn deflated(filler: &[u8]) -> Vec<u8> {
    let zeros = vec![0; 512 << 10];
    let mut piece = Vec::with_capacity(1 << 16);
    let mut encoder = Compress::new(Compression::best(), false);
    encoder.compress_vec(&zeros, &mut piece, FlushCompress::Full).unwrap();
    assert_eq!(encoder.total_in(), zeros.len() as u64);
    if !filler.is_empty() {
        // A stored block (RFC 1951 §3.2.4).
        let length = u16::try_from(filler.len()).unwrap();
        piece.push(0);
        piece.extend([length.to_le_bytes(), (!length).to_le_bytes()].concat());
        piece.extend(filler);
    }
    piece.repeat(usize::try_from(2 * GIB / MIB).unwrap())
}

fn gzip_bomb(filler: &[u8]) -> Vec<u8> {
    [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..], &deflated(filler)].concat()
}

/// Blocks of one repeated byte (RFC 8878 §3.1.1.2), in a frame with a window of 8 MiB.
fn zstd_bomb(filler: &[u8]) -> Vec<u8> {
    let block =
        |kind: usize, length: usize, content: &[u8]| [&(kind << 1 | length << 3).to_le_bytes()[..3], content].concat();
    let piece = [block(1, 128 << 10, &[0]), block(0, filler.len(), filler)].concat();
    [&[0x28, 0xb5, 0x2f, 0xfd, 0, (23 - 10) << 3][..], &piece.repeat(8_192)].concat()
}

/// The reference encoder's output for 16 MiB of zeros after 16 MiB of zeros, with a window of 16 MiB.
fn brotli_bomb(pieces: usize) -> Vec<u8> {
    let first = [0xcf, 0xff, 0xff, 0x7f, 0x00, 0x24, 0x00, 0xe2, 0xb1, 0x40, 0x72, 0xef, 0xff, 0x0d];
    let next = [0xfc, 0xff, 0xff, 0x07, 0x40, 0x02, 0x20, 0x0e, 0x0b, 0x40, 0xf7, 0xfe, 0xdf, 0x00];
    [&first[..], &next.repeat(pieces - 1), &[0x03]].concat()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn brotli(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4_096, 5, 24);
    encoder.write_all(bytes).unwrap();
    encoder.into_inner()
}

/// The test that measures one body in the child process.
const MEASURER: &str = "the_brotli_bomb_is_one";

/// The measurements of a child: memory in bytes, time, and result.
struct Cost {
    memory: u64,
    time: Duration,
    ending: String,
}

/// Decodes in a fresh process, so that its peak memory has no other cause.
fn cost(coding: &str, body: &[u8]) -> Cost {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, body).unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", MEASURER, "--nocapture"])
        .env("BOMB_FILE", file.path())
        .env("BOMB_CODING", coding)
        .output()
        .unwrap();
    let output = String::from_utf8(child.stdout).unwrap();
    let measured = output.lines().find_map(|line| line.split_once("measured ")).expect(&output).1;
    let mut words = measured.splitn(3, ' ');
    let mut word = || words.next().unwrap();
    Cost {
        memory: word().parse().unwrap(),
        time: Duration::from_micros(word().parse().unwrap()),
        ending: word().to_owned(),
    }
}

fn measure(file: &str) {
    let body = fs::read(file).unwrap();
    let coding = std::env::var("BOMB_CODING").unwrap();
    // The time limit should not be what stops them.
    let limits = BodyLimits { max_time: Duration::from_secs(60), ..BodyLimits::default() };
    let resident = memory("VmRSS:");
    let start = Instant::now();
    let mut decoder = BodyDecoder::new(codings([coding.as_bytes()].into_iter()).unwrap(), limits);
    let result = decoder.write(&body).and_then(|()| decoder.finish());
    let time = start.elapsed().as_micros();
    let ending = result.map_or_else(|error| error.key().to_owned(), |()| decoder.into_bytes().len().to_string());
    println!("\nmeasured {} {time} {ending}", memory("VmHWM:") - resident);
}

fn memory(key: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
}

fn judge(name: &str, coding: &str, body: &[u8], most: u64) {
    let Cost { memory, time, ending } = cost(coding, body);
    println!("{name}: {} bytes cost {} KiB and {time:?}: {ending}", body.len(), memory >> 10);
    assert_eq!(ending, "too_large", "{name}");
    assert!(memory < most, "{name} cost {memory} bytes");
    // Milliseconds in an optimised build; the bound allows for a debug build on a busy machine.
    assert!(time < Duration::from_secs(30), "{name} took {time:?}");
}

#[test]
fn a_gibibyte_bomb_of_any_coding_costs_less_than_16_mib() {
    let zlib = [&[0x78, 0x9c][..], &deflated(b"")].concat();
    for (name, coding, body) in [
        ("gzip", "gzip", gzip_bomb(b"")),
        ("zlib", "deflate", zlib),
        ("bare deflate", "deflate", deflated(b"")),
        ("brotli", "br", brotli_bomb(64)),
        ("zstd", "zstd", zstd_bomb(b"")),
        ("gzip in gzip", "gzip, gzip", gzip(&gzip_bomb(b""))),
        ("brotli in brotli", "br, br", brotli(&brotli_bomb(64))),
        ("zstd in gzip in brotli", "zstd, gzip, br", brotli(&gzip(&zstd_bomb(b"")))),
    ] {
        judge(name, coding, &body, 16 * MIB);
    }
}

/// A body that expands slightly less than the ratio allows is accepted: it costs the bound and its coding's window.
#[test]
fn a_bomb_that_keeps_within_the_ratio_costs_the_bound_and_a_window() {
    let most = BodyLimits::default().max_bytes + 9 * MIB;
    judge("gzip", "gzip", &gzip_bomb(&[7; 40]), most);
    judge("zstd", "zstd", &zstd_bomb(&[7; 140]), most);
}

#[test]
fn the_brotli_bomb_is_one() {
    if let Ok(file) = std::env::var("BOMB_FILE") {
        return measure(&file);
    }
    let limits = BodyLimits {
        max_bytes: 64 * MIB,
        max_ratio: u32::MAX,
        max_time: Duration::from_secs(60),
        ..BodyLimits::default()
    };
    let mut decoder = BodyDecoder::new(codings([&b"br"[..]].into_iter()).unwrap(), limits);
    decoder.write(&brotli_bomb(3)).and_then(|()| decoder.finish()).unwrap();
    assert_eq!(decoder.into_bytes().len() as u64, 48 * MIB);
}
