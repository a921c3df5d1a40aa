//! The decoder against correct and faulty responses. `tests/wire.rs` shows what the crawler makes of them.

use bytes::BytesMut;
use http::{HeaderMap, Method};
use proptest::prelude::*;

use super::{Head, IN_ONE_PIECE, ResponseDecoder, WireError, WireLimits};

/// The result of reading some bytes, and whether the connection may be reused.
#[derive(Debug, PartialEq)]
struct Read {
    head: Option<Head>,
    body: Vec<u8>,
    is_reusable: bool,
    left: usize,
}

/// Feeds pieces, then an orderly end of the connection.
fn read_pieces<'a>(method: &Method, pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Read, WireError> {
    let mut decoder = ResponseDecoder::new(method, WireLimits::default());
    let (mut input, mut body) = (BytesMut::new(), Vec::new());
    for piece in pieces {
        input.extend_from_slice(piece);
        while let Some(piece) = decoder.read(&mut input)? {
            assert!(!piece.is_empty());
            body.extend_from_slice(&piece);
        }
    }
    if !decoder.is_done() {
        decoder.finish(input.len(), true)?;
    }
    Ok(Read { head: decoder.take_head(), body, is_reusable: decoder.is_reusable(), left: input.len() })
}

fn read(response: impl AsRef<[u8]>) -> Result<Read, WireError> {
    read_pieces(&Method::GET, [response.as_ref()])
}

fn read_head(response: impl AsRef<[u8]>) -> Head {
    read(response).expect("a response").head.expect("a head")
}

fn headers(lines: &str) -> HeaderMap {
    read_head(format!("HTTP/1.1 204 X\r\n{lines}\r\n")).headers
}

fn body(response: impl AsRef<[u8]>) -> Vec<u8> {
    read(response).expect("a whole response").body
}

fn with(headers: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{headers}\r\n{body}")
}

fn chunked(body: &str) -> String {
    with("Transfer-Encoding: chunked\r\n", body)
}

#[test]
fn a_body_ends_where_its_length_says_and_the_connection_lives_on() {
    let whole = read(with("Content-Length: 5\r\n", "hello")).unwrap();
    assert_eq!((whole.body.as_slice(), whole.is_reusable), (&b"hello"[..], true));
    let more = read(with("Content-Length: 5\r\n", "hello, world")).unwrap();
    assert_eq!((more.body, more.left), (whole.body, 7));
}

#[test]
fn a_body_without_a_length_is_read_to_the_end_of_the_connection() {
    let whole = read(with("", "hello")).unwrap();
    assert_eq!((whole.body.as_slice(), whole.is_reusable), (&b"hello"[..], false));
    let mut decoder = ResponseDecoder::new(&Method::GET, WireLimits::default());
    decoder.read_head(&mut BytesMut::from(with("", "").as_str())).unwrap();
    assert_eq!(decoder.finish(0, false), Err(WireError::BrokenOff), "a reset is no end in order");
}

#[test]
fn a_usual_body_comes_as_one_piece_and_a_large_one_as_it_comes() {
    for (length, pieces) in [(IN_ONE_PIECE, 1), (IN_ONE_PIECE + 1, 3)] {
        let (mut decoder, mut input) = (ResponseDecoder::new(&Method::GET, WireLimits::default()), BytesMut::new());
        let length = usize::try_from(length).unwrap();
        let head = with(&format!("Content-Length: {length}\r\n"), "");
        let mut came = 0;
        for part in [head.as_bytes(), &vec![b'x'; length / 2], &vec![b'x'; length - length / 2 - 1], b"x"] {
            input.extend_from_slice(part);
            came += usize::from(decoder.read(&mut input).unwrap().is_some());
        }
        assert_eq!((came, decoder.is_done(), decoder.missing(0)), (pieces, true, 0));
    }
}

#[test]
fn what_is_shorter_than_promised_is_truncated() {
    let length = with("Content-Length: 5\r\n", "hell");
    for cut in ["", "\r\n", "HTT", "HTTP/1.1 200 OK\r\nA: b\r\n", "HTTP/1.1 100 \r\n\r\n", &length] {
        assert!(read(cut).unwrap_err().is_truncation(), "{cut:?}");
    }
    assert_eq!(read(&length), Err(WireError::LengthCut { got: 4, of: 5 }));
    let whole = "5\r\nhello\r\n0\r\nA: b\r\n\r\n";
    for cut in 0..whole.len() {
        assert_eq!(read(chunked(&whole[..cut])), Err(WireError::ChunksCut), "{cut}");
    }
    assert_eq!(body(chunked(whole)), b"hello");
}

#[test]
fn some_responses_have_no_body_whatever_they_say() {
    let lies = "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n";
    for status in [204, 304] {
        let read = read(format!("HTTP/1.1 {status} X\r\n{lies}\r\nhello")).unwrap();
        assert_eq!((read.body.as_slice(), read.is_reusable, read.left), (&b""[..], true, 5));
    }
    let read = read_pieces(&Method::HEAD, [with(lies, "").as_bytes()]).unwrap();
    assert_eq!((read.body.as_slice(), read.is_reusable), (&b""[..], true));
}

#[test]
fn interim_responses_are_skipped_up_to_a_bound_and_nothing_is_switched() {
    let interim = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    let answer = with("Content-Length: 2\r\n", "hi");
    assert_eq!(body(format!("{}{answer}", interim.repeat(16))), b"hi");
    assert!(matches!(read(interim.repeat(17)), Err(WireError::TooMany { most: 16, .. })));
    assert_eq!(read("HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\n\r\n"), Err(WireError::Upgrade));
}

#[test]
fn a_head_has_bounds_in_bytes_and_in_lines() {
    let lines = |count: usize| format!("HTTP/1.1 204 X\r\n{}\r\n", "A: b\r\n".repeat(count));
    assert_eq!(read_head(lines(999)).headers.get_all("a").iter().count(), 999);
    assert!(matches!(read(lines(1_000)), Err(WireError::TooMany { most: 1_000, .. })));
    let long = |length: usize| format!("HTTP/1.1 204 X\r\nA: {}", "b".repeat(length));
    assert_eq!(read_head(long(200_000) + "\r\n\r\n").headers["a"].len(), 200_000);
    assert!(matches!(read(long(262_144)), Err(WireError::TooLong { most: 262_144, .. })), "also without an end");
}

#[test]
fn status_lines_are_read_as_browsers_do() {
    for line in ["HTTP/1.1 200 OK", "HTTP/1.0 200", "http/1.1 200 ", "HTTP/1.1  200   fine", "HTTP/1.7 200 \u{e9}"] {
        assert_eq!(read_head(format!("{line}\r\n\r\n")).status, 200, "{line}");
        assert_eq!(read_head(format!("\r\n\n{line}\n\n")).status, 200, "{line}");
    }
    for line in ["HTTP/1.1", "HTTP/1.1 ", "HTTP/1.1 20 OK", "HTTP/1.1 2000", "HTTP/1.1200 OK", "HTTP/1.1 -20 OK"] {
        assert!(matches!(read(format!("{line}\r\n\r\n")), Err(WireError::StatusLine(_))), "{line}");
    }
    for line in ["HTTP/2 200", "HTTP/2.0 200 OK", "HTTP/0.9 200 OK", "HTTP/11 200", "HTTP/ 200", "HTTP/1.1 099 OK"] {
        assert!(matches!(read(format!("{line}\r\n\r\n")), Err(WireError::StatusLine(_))), "{line}");
    }
}

#[test]
fn what_is_no_http_says_how_it_begins_and_is_seen_at_its_first_wrong_byte() {
    let error = |bytes: &[u8]| read(bytes).unwrap_err().to_string();
    assert_eq!(error(b"<html>"), "no HTTP response: it begins with \"<html>\"");
    assert_eq!(error(b"\x15\x03\x01\x00"), "no HTTP response: it begins with \"\\x15\\x03\\x01\\x00\"");
    assert!(error(b"HTML").starts_with("no HTTP"));
    assert!(error(b"\r\n\r\n\r\n\r\n\r\nHTTP/1.1 200 OK").starts_with("no HTTP"), "after too many empty lines");
}

#[test]
fn headers_keep_their_order_their_duplicates_and_their_bytes() {
    let head = read_head(b"HTTP/1.1 204 X\r\nSet-Cookie: a=1\r\nset-cookie:b=2 \t\r\nX: \xff\xe9\r\nE:\r\n\r\n");
    assert_eq!(head.headers.get_all("set-cookie").iter().collect::<Vec<_>>(), ["a=1", "b=2"]);
    assert_eq!(head.headers["x"].as_bytes(), b"\xff\xe9");
    assert_eq!(head.headers["e"], "");
}

#[test]
fn faulty_header_lines_are_mended_or_passed_over_as_rfc_9112_says() {
    assert_eq!(headers("A: b\r\n c\r\n\t d \r\n")["a"], "b c d", "a fold is a space");
    assert_eq!(headers("A \t: b\r\n")["a"], "b", "white space before the colon is removed");
    assert_eq!(headers("A: b\nC: d\n")["c"], "d", "lines may end in a bare LF");
    assert_eq!(headers("A: b\rC: d\r\n")["a"], "b C: d", "a stray CR is a space");
    let kept = headers(" X: y\r\n more\r\nno colon\r\n: empty\r\na b: c\r\n\u{e9}: f\r\nB: \u{1}\r\nC: d\r\n");
    assert_eq!((kept.len(), &kept["c"]), (1, &"d".parse().unwrap()), "{kept:?}");
    assert_eq!(read("HTTP/1.1 204 X\r\nA: \0\r\n\r\n"), Err(WireError::Nul));
    let framed = read(with("Transfer-Encoding: \u{b}chunked\r\n", ""));
    assert_eq!(framed, Err(WireError::Control("transfer-encoding".into())), "never passed over where it frames");
}

#[test]
fn equal_lengths_are_one_and_others_an_error() {
    for lengths in ["5", "5, 5", "5\r\nContent-Length: 5", "005,5", "5 "] {
        assert_eq!(body(with(&format!("Content-Length: {lengths}\r\n"), "hello!")), b"hello", "{lengths:?}");
    }
    for lengths in
        ["5, 6", "5\r\nContent-Length: 6", "", "5,", "-5", "+5", "0x5", "5 5", "5;", "18446744073709551616", "five"]
    {
        let read = read(with(&format!("Content-Length: {lengths}\r\n"), "hello!"));
        assert!(matches!(read, Err(WireError::Length(_))), "{lengths:?}: {read:?}");
    }
}

#[test]
fn transfer_codings_are_chunked_or_nothing_or_an_error() {
    let whole = "5\r\nhello\r\n0\r\n\r\n";
    for codings in [
        "chunked",
        "Chunked",
        ", chunked,",
        "identity, chunked",
        "identity\r\nTransfer-Encoding: chunked",
        "chunked\r\nTransfer-Encoding: chunked",
        "chunked, chunked",
        "chunked, Chunked\r\nTransfer-Encoding: chunked",
    ] {
        assert_eq!(body(with(&format!("Transfer-Encoding: {codings}\r\n"), whole)), b"hello", "{codings}");
    }
    for codings in
        ["gzip, chunked", "chunked, gzip", "gzip", "X-GZIP", "foo, chunked", "chunked;q=1", "xchunked", "chunkedx"]
    {
        let read = read(with(&format!("Transfer-Encoding: {codings}\r\n"), whole));
        assert_eq!(read, Err(WireError::Coding(codings.into())));
    }
    for codings in ["binary", "Identity", "none", ""] {
        let read = read(with(&format!("Transfer-Encoding: {codings}\r\n"), "hello")).unwrap();
        assert_eq!((read.body.as_slice(), read.is_reusable), (&b"hello"[..], false));
    }
    let both = "Content-Length: 15\r\nTransfer-Encoding: chunked\r\n";
    assert_eq!(read(with(both, whole)), Err(WireError::Conflict));
    for both in [both, "Content-Length: none\r\nTransfer-Encoding: chunked\r\n"] {
        let limits = WireLimits { chunked_over_length: true, ..WireLimits::default() };
        let mut decoder = ResponseDecoder::new(&Method::GET, limits);
        let mut input = BytesMut::from(with(both, whole).as_bytes());
        let mut read = Vec::new();
        while let Some(piece) = decoder.read(&mut input).unwrap() {
            read.extend_from_slice(&piece);
        }
        assert_eq!(read, b"hello", "RFC 9112 §6.3 rule 3: Transfer-Encoding overrides Content-Length");
        assert!(decoder.is_done() && !decoder.is_reusable(), "and the connection is closed");
    }
    assert_eq!(body(with("Content-Length: 5\r\nTransfer-Encoding: identity\r\n", "hello")), b"hello");
    let old = read(format!("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n{whole}"));
    assert!(!old.unwrap().is_reusable, "HTTP/1.0 knows no chunks");
}

#[test]
fn chunks_are_read_as_rfc_9112_says() {
    for whole in [
        "5\r\nhello\r\n0\r\n\r\n",
        "5\nhello\n0\n\n",
        "2;a=b\r\nhe\r\n3 \t;c=\"d\"\r\nllo\r\n00;x\r\nTrailer: x\r\n\r\n",
        "0000000000000000000000005      \r\nhello\r\n0\r\n\r\n",
    ] {
        assert_eq!(body(chunked(whole)), b"hello", "{whole:?}");
    }
    assert!(read(chunked("0\r\n\r\n")).unwrap().is_reusable);
    for size in ["", "g", "-5", "+5", "0x5", " 5", "5 5", "5\r;a", "10000000000000000", "5;a\rb", "\u{661}"] {
        let read = read(chunked(&format!("{size}\r\nhello\r\n0\r\n\r\n")));
        assert!(matches!(read, Err(WireError::ChunkSize(_))), "{size:?}: {read:?}");
    }
    for end in ["hello0\r\n\r\n", "hello!\r\n0\r\n\r\n", "hello\r0\r\n\r\n"] {
        assert_eq!(read(chunked(&format!("5\r\n{end}"))), Err(WireError::ChunkEnd), "{end:?}");
    }
    assert!(matches!(read(chunked("<html>")), Err(WireError::ChunkSize(_))), "seen before a line ends");
}

#[test]
fn extensions_and_trailers_have_bounds() {
    let extended = |length: usize| format!("1;{}\r\na\r\n", "x".repeat(length));
    assert_eq!(body(chunked(&(extended(16_000) + "0\r\n\r\n"))), b"a");
    for (read, most) in [
        (read(chunked(&extended(17_000))), 16_384),
        (read(chunked(&extended(1_000).repeat(17))), 16_384),
        (read(chunked(&format!("0\r\nA: {}", "x".repeat(270_000)))), 262_144),
        (read(chunked(&format!("0\r\n{}", "A: b\r\n".repeat(50_000)))), 262_144),
    ] {
        assert!(matches!(&read, Err(WireError::TooLong { most: bound, .. }) if *bound == most), "{read:?}");
    }
}

#[test]
fn the_connection_lives_on_only_where_both_sides_know_it_does() {
    let lives = |version: &str, connection: &str| {
        let response = format!("HTTP/{version} 200 OK\r\n{connection}Content-Length: 0\r\n\r\n");
        read(response).unwrap().is_reusable
    };
    for connection in ["", "Connection: keep-alive\r\n", "Connection: Upgrade\r\n", "Connection: closed\r\n"] {
        assert!(lives("1.1", connection), "{connection}");
    }
    for connection in ["close", "Close", "keep-alive, close", "keep-alive\r\nConnection: close"] {
        assert!(!lives("1.1", &format!("Connection: {connection}\r\n")), "{connection}");
    }
    assert!(!lives("1.0", ""));
    assert!(lives("1.0", "Connection: Keep-Alive\r\n"));
    assert!(!lives("1.0", "Connection: keep-alive, close\r\n"));
}

#[test]
#[allow(clippy::disallowed_methods, reason = "it is the time that is bounded")]
fn a_slowly_dripping_head_costs_no_more_than_a_fast_one() {
    let head = format!("HTTP/1.1 204 X\r\n{}\r\n", "A: bcdefghijklmnop\r\n".repeat(900));
    let mut decoder = ResponseDecoder::new(&Method::GET, WireLimits::default());
    let mut input = BytesMut::new();
    let begun = std::time::Instant::now();
    for byte in head.bytes() {
        input.extend_from_slice(&[byte]);
        decoder.read_head(&mut input).unwrap();
    }
    // Parsing anew at each of the 18,000 bytes would take seconds, even optimised.
    assert!(begun.elapsed() < std::time::Duration::from_millis(500), "{:?}", begun.elapsed());
    assert_eq!(decoder.take_head().unwrap().headers.get_all("a").iter().count(), 900);
}

/// Responses with a few random faults, as hostile and broken servers send them.
fn response() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        5 => prop::sample::select(vec![
            "HTTP/1.1 200 OK\r\n", "HTTP/1.0 200\n", "HTTP/1.1 100 C\r\n\r\n", "HTTP/1.1 204 X\r\n", "\r\n", "\n", "\r",
            "Content-Length: 5\r\n", "Content-Length: 5, 5\n", "Content-Length: 6\r\n", "Transfer-Encoding: chunked\r\n",
            "Transfer-Encoding: gzip\r\n", "Connection: close\r\n", "A: b\r\n", " folded\r\n", "hello", "0\r\n\r\n",
            "5\r\nhello\r\n", "5;a=b\nhello\n", "a\r\n", "FFFFFFFFFFFFFFFF\r\n", "0\r\nT: r\r\n\r\n", "\0", ": ",
        ]).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..8),
    ];
    let start = prop::sample::select(vec![
        "",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n",
        "HTTP/1.1 200 OK\n\n",
    ]);
    (start, prop::collection::vec(piece, 0..12))
        .prop_map(|(start, pieces)| [start.as_bytes(), &pieces.concat()].concat())
}

proptest! {
    #[test]
    fn any_split_reads_as_the_whole_does(
        response in response(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        is_head in any::<bool>(),
    ) {
        let method = if is_head { Method::HEAD } else { Method::GET };
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(response.len() + 1)).collect();
        cuts.extend([0, response.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|ends| &response[ends[0]..ends[1]]);
        // The bytes quoted in an error depend on how many were available.
        let sort = |error| std::mem::discriminant(&error);
        let whole = read_pieces(&method, [response.as_slice()]).map_err(sort);
        prop_assert_eq!(read_pieces(&method, pieces).map_err(sort), whole);
    }

    #[test]
    fn a_body_cut_anywhere_into_chunks_comes_out_whole(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..50), 0..20), lf in any::<bool>(),
    ) {
        let end = if lf { "\n" } else { "\r\n" };
        let mut response = chunked("").into_bytes();
        for chunk in &chunks {
            response.extend(format!("{:X}{end}", chunk.len()).bytes().chain(chunk.iter().copied()).chain(end.bytes()));
        }
        response.extend(format!("0{end}{end}").bytes());
        prop_assert_eq!(body(response), chunks.concat());
    }
}
