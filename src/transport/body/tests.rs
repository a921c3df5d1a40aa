//! Decoding: whole bodies, bodies in pieces, truncated and invalid ones, and bombs.

use std::io::Write;

use flate2::{
    Compression, GzBuilder,
    write::{DeflateEncoder, GzEncoder, ZlibEncoder},
};
use proptest::prelude::*;

use super::*;

const ALL: [Coding; 4] = [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd];

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn bare(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn br(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4096, 3, 22);
    encoder.write_all(bytes).unwrap();
    encoder.into_inner()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ::zstd::encode_all(bytes, 3).unwrap()
}

fn encode(coding: Coding, bytes: &[u8]) -> Vec<u8> {
    match coding {
        Coding::Gzip => gzip(bytes),
        Coding::Deflate => zlib(bytes),
        Coding::Brotli => br(bytes),
        Coding::Zstd => zstd(bytes),
    }
}

/// Decodes in chunks that end at `cuts`.
fn decode_cut(codings: &[Coding], body: &[u8], cuts: &[usize], limits: BodyLimits) -> Result<Vec<u8>, FetchError> {
    let mut decoder = BodyDecoder::new(codings.to_vec(), limits);
    let mut from = 0;
    for cut in cuts.iter().map(|cut| cut % (body.len() + 1)).chain([body.len()]) {
        decoder.write(&body[from..cut.max(from)])?;
        from = cut.max(from);
    }
    decoder.finish()?;
    Ok(decoder.into_bytes().into())
}

fn decode(coding: Coding, body: &[u8]) -> Result<Vec<u8>, FetchError> {
    decode_cut(&[coding], body, &[], patient())
}

/// The default bounds without the time limit: tests may share a processor.
fn patient() -> BodyLimits {
    BodyLimits { max_time: Duration::from_secs(600), ..BodyLimits::default() }
}

fn named(values: &[&str]) -> Result<Vec<Coding>, FetchError> {
    codings(values.iter().map(|value| value.as_bytes()))
}

/// Compressible text and incompressible noise.
fn content() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        (any::<u8>(), 0..70_000_usize).prop_map(|(byte, times)| vec![byte; times]),
        (prop::collection::vec(any::<u8>(), 1..40), 0..800_usize).prop_map(|(line, times)| line.repeat(times)),
    ];
    prop::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_stack_of_codings_comes_off_whole_however_the_bytes_are_cut(
        content in content(),
        codings in prop::collection::vec(prop::sample::select(ALL.to_vec()), 0..4),
        mut cuts in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let encoded = codings.iter().rev().fold(content.clone(), |body, coding| encode(*coding, &body));
        cuts.iter_mut().for_each(|cut| *cut %= encoded.len() + 1);
        cuts.sort_unstable();
        prop_assert_eq!(decode_cut(&codings, &encoded, &cuts, patient()), Ok(content));
    }

    #[test]
    fn noise_and_damage_are_errors_or_bytes_and_never_a_panic(
        coding in prop::sample::select(ALL.to_vec()),
        noise in prop::collection::vec(any::<u8>(), 0..400),
        content in content(),
        at in any::<prop::sample::Index>(),
        bit in 0..8_u32,
    ) {
        drop(decode(coding, &noise));
        let mut damaged = encode(coding, &content);
        let at = at.index(damaged.len());
        damaged[at] ^= 1 << bit;
        drop(decode(coding, &damaged));
        let rest = damaged.split_off(at);
        drop(decode(coding, &[damaged, noise, rest].concat()));
    }

    #[test]
    fn damage_past_a_gzip_header_is_noticed_or_changes_nothing(
        content in content(),
        at in any::<prop::sample::Index>(),
        bit in 0..8_u32,
    ) {
        let mut damaged = gzip(&content);
        let at = 10 + at.index(damaged.len() - 10);
        damaged[at] ^= 1 << bit;
        match decode(Coding::Gzip, &damaged) {
            Ok(decoded) => prop_assert_eq!(decoded, content),
            Err(error) => prop_assert_eq!(error.key(), "decode"),
        }
    }
}

#[test]
fn one_byte_at_a_time_gives_the_same() {
    let content = b"<p>one byte at a time</p>".repeat(40);
    for coding in ALL {
        let encoded = encode(coding, &content);
        let cuts: Vec<usize> = (0..encoded.len()).collect();
        assert_eq!(decode_cut(&[coding], &encoded, &cuts, patient()).unwrap(), content, "{coding}");
    }
}

#[test]
fn deflate_is_zlib_or_bare() {
    for content in [&b""[..], b"a", b"<html>".repeat(9_000).as_slice()] {
        assert_eq!(decode(Coding::Deflate, &zlib(content)).unwrap(), content);
        assert_eq!(decode(Coding::Deflate, &bare(content)).unwrap(), content);
    }
}

#[test]
fn what_is_cut_short_is_an_error_that_names_its_coding_and_keeps_what_came_before() {
    let mut state = 1_u32;
    let digits = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        b'0' + (state >> 24) as u8 % 10
    });
    let content: Vec<u8> = digits.take(500_000).collect();
    let encoded = ALL.map(|coding| (coding, encode(coding, &content)));
    for (coding, encoded) in encoded.into_iter().chain([(Coding::Deflate, bare(&content))]) {
        for length in [1, 2, 5, encoded.len() / 2, encoded.len() - 1] {
            let mut decoder = BodyDecoder::new(vec![coding], patient());
            decoder.write(&encoded[..length]).unwrap();
            let error = decoder.finish().unwrap_err();
            assert!(matches!(&error, FetchError::Decode(what) if what.contains(&coding.to_string())), "{error:?}");
            let kept = decoder.into_bytes();
            assert!(content.starts_with(&kept), "{coding}");
            assert!(length != encoded.len() / 2 || !kept.is_empty(), "{coding} keeps nothing");
        }
    }
}

#[test]
fn gzip_members_follow_each_other_and_what_is_no_member_is_ignored() {
    let two = [gzip(b"first, "), gzip(b"second")].concat();
    assert_eq!(decode(Coding::Gzip, &two).unwrap(), b"first, second");
    for garbage in [&b"\0\0\0\0"[..], b"\x1f", b"\x1f\x8c", b"<!-- served by cache -->"] {
        assert_eq!(decode(Coding::Gzip, &[&two, garbage].concat()).unwrap(), b"first, second");
    }
    assert!(decode(Coding::Gzip, &[&two[..], b"\x1f\x8b\x08"].concat()).is_err(), "a member that is cut short");
}

#[test]
fn every_field_of_a_gzip_header_is_skipped() {
    let mut encoder = GzBuilder::new()
        .filename("page.html")
        .comment("a comment")
        .extra(vec![7; 300])
        .write(Vec::new(), Compression::default());
    encoder.write_all(b"content").unwrap();
    let mut encoded = encoder.finish().unwrap();
    assert_eq!(decode(Coding::Gzip, &encoded).unwrap(), b"content");
    let header = encoded.windows(10).position(|bytes| bytes == b"a comment\0").unwrap() + 10;
    encoded[3] |= 1 << 1;
    encoded.splice(header..header, [0, 0]);
    let cuts: Vec<usize> = (0..encoded.len()).collect();
    assert_eq!(decode_cut(&[Coding::Gzip], &encoded, &cuts, patient()).unwrap(), b"content", "with its checksum");
    encoded[3] |= 1 << 6;
    assert!(decode(Coding::Gzip, &encoded).is_err(), "a flag that means nothing yet");
}

#[test]
fn the_trailers_of_gzip_and_zlib_are_checked() {
    for (coding, mut encoded) in [(Coding::Gzip, gzip(b"content")), (Coding::Deflate, zlib(b"content"))] {
        *encoded.last_mut().unwrap() ^= 1;
        assert_eq!(decode(coding, &encoded).unwrap_err().key(), "decode");
    }
}

#[test]
fn zstd_frames_follow_each_other_with_skippable_ones_between() {
    let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
    let frames = [zstd(b"first, "), skippable, zstd(b"second")].concat();
    assert_eq!(decode(Coding::Zstd, &frames).unwrap(), b"first, second");
}

#[test]
fn windows_beyond_the_standards_are_refused() {
    // A frame with a window of 16 MiB and one empty block.
    let frame = |window_log: u8| [0x28, 0xb5, 0x2f, 0xfd, 0, (window_log - 10) << 3, 1, 0, 0];
    assert_eq!(decode(Coding::Zstd, &frame(23)).unwrap(), b"");
    assert_eq!(decode(Coding::Zstd, &frame(24)).unwrap_err().key(), "decode");
    assert_eq!(decode(Coding::Zstd, &frame(31)).unwrap_err().key(), "decode");
    // The header of a brotli stream with a large window, of 1 GiB.
    assert_eq!(decode(Coding::Brotli, &[0x11, 30, 0xff, 0xff, 0xff]).unwrap_err().key(), "decode");
}

#[test]
fn a_brotli_window_is_no_larger_than_the_body_may_be() {
    let encoded = |length, log| {
        let mut encoder = brotli::CompressorWriter::new(Vec::new(), 1 << 16, 2, log);
        encoder.write_all(&vec![7; length]).unwrap();
        encoder.into_inner()
    };
    let limits = |max_bytes| BodyLimits { max_bytes, max_ratio: u32::MAX, ..patient() };
    let decode = |body: &[u8], max_bytes| decode_cut(&[Coding::Brotli], body, &[], limits(max_bytes));
    let (fits, swells) = (encoded(2 << 20, 24), encoded((2 << 20) + 1, 24));
    assert_eq!(
        decode(&fits, 3 << 20).unwrap().len(),
        2 << 20,
        "a small body has a small window, whatever its head says"
    );
    assert_eq!(decode(&swells, 3 << 20).unwrap_err().key(), "too_large");
    assert_eq!(decode(&swells, 4 << 20).unwrap().len(), (2 << 20) + 1);
    assert_eq!(decode(&encoded((2 << 20) + 1, 21), 3 << 20).unwrap().len(), (2 << 20) + 1);
}

#[test]
fn an_empty_body_is_empty_whatever_its_coding() {
    for coding in ALL {
        assert_eq!(decode(coding, b"").unwrap(), b"");
        assert_eq!(decode_cut(&[coding, Coding::Gzip], &encode(coding, b""), &[], patient()).unwrap(), b"");
    }
}

#[test]
fn codings_are_read_as_they_are_written() {
    use Coding::{Brotli, Deflate, Gzip, Zstd};
    for (values, expected) in [
        (&[][..], vec![]),
        (&["identity"], vec![]),
        (&[""], vec![]),
        (&["GZip"], vec![Gzip]),
        (&["x-gzip"], vec![Gzip]),
        (&["gzip, br"], vec![Brotli, Gzip]),
        (&["gzip", " , zstd ,identity", "deflate"], vec![Deflate, Zstd, Gzip]),
    ] {
        assert_eq!(named(values).unwrap(), expected, "{values:?}");
    }
    for unknown in
        ["none", "utf-8", "UTF-8", "binary", "7bit", "8bit", "text/html", "aws-chunked", "gzip, shrink", "\u{e9}"]
    {
        assert_eq!(named(&[unknown]).unwrap(), [], "{unknown}: by the Fetch standard the body stays as it is");
    }
    assert!(named(&["br, br, br, br, br"]).is_ok());
    assert!(named(&["br, br, br", "br, br, br"]).is_err());
    assert_eq!(named(&[ACCEPT_ENCODING]).unwrap().len(), 4, "we take what we ask for");
}

#[test]
fn the_bound_is_exact_and_holds_for_every_layer() {
    let content = b"0123456789".repeat(10_000);
    let limits = |max_bytes| BodyLimits { max_bytes, ..patient() };
    for coding in ALL {
        let encoded = encode(coding, &content);
        assert_eq!(decode_cut(&[coding], &encoded, &[], limits(100_000)).unwrap(), content);
        let error = decode_cut(&[coding], &encoded, &[], limits(99_999)).unwrap_err();
        assert_eq!(error.key(), "too_large", "{coding}");
    }
    // A hundred thousand empty members: the inner layer expands to megabytes, the outer result is empty.
    let hollow = gzip(&gzip(b"").repeat(100_000));
    let error = decode_cut(&[Coding::Gzip, Coding::Gzip], &hollow, &[], limits(1_000_000)).unwrap_err();
    assert_eq!(error.key(), "too_large");
}

#[test]
fn what_swells_beyond_the_ratio_is_refused_once_it_is_large() {
    let zeros = |length| br(&vec![0; length]);
    assert!(decode(Coding::Brotli, &zeros(1 << 20)).is_ok(), "short texts may repeat themselves");
    let error = decode(Coding::Brotli, &zeros(3 << 20)).unwrap_err();
    assert_eq!(error.key(), "too_large");
    let mut decoder = BodyDecoder::new(vec![Coding::Brotli], patient());
    assert!(decoder.write(&zeros(3 << 20)).is_err());
    assert!((1 << 20..=(1 << 20) + STEP).contains(&decoder.into_bytes().len()), "it stops where the bound is met");
}

#[test]
fn decoding_that_takes_too_long_is_given_up() {
    let limits = BodyLimits { max_time: Duration::ZERO, ..BodyLimits::default() };
    let error = decode_cut(&[Coding::Gzip], &gzip(&vec![7; 1 << 20]), &[], limits).unwrap_err();
    assert!(matches!(error, FetchError::Decode(what) if what.contains("within")));
}

#[test]
fn limits_are_read_with_their_defaults_and_a_wrong_key_is_named() {
    let limits: BodyLimits = serde_json::from_str(r#"{"max_bytes": 1000, "max_time": "5s"}"#).unwrap();
    let expected = BodyLimits { max_bytes: 1_000, max_time: Duration::from_secs(5), ..BodyLimits::default() };
    assert_eq!(limits, expected);
    let error = serde_json::from_str::<BodyLimits>(r#"{"max_byte": 1000}"#).unwrap_err();
    assert!(error.to_string().contains("max_byte"));
}
