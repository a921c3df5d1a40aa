//! Any bytes that a server may send, in any pieces: the decoder never panics, reads the same whatever the pieces are,
//! gives out no more than came in and a little framing, and what it gives is what awc reads as one whole response.
//!
//! On stable Rust, for five minutes (`cargo install cargo-fuzz` once):
//!
//! ```sh
//! RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none wire -- \
//!     -max_total_time=300 -max_len=4096 -timeout=5 -dict=fuzz/wire.dict
//! ```
#![no_main]

use actix_crawler::transport::wire::{Head, ResponseDecoder, WireError, WireLimits};
use actix_http::{
    ServiceConfig,
    h1::{ClientCodec, MessageType},
};
use bytes::{Bytes, BytesMut};
use http::Method;
use libfuzzer_sys::fuzz_target;
use tokio::{io::ReadBuf, runtime::Builder, task::LocalSet};
use tokio_util::codec::Decoder;

// The first byte chooses the method and the room for output, the second the length of the pieces; both are printable in
// the seeds, so that those can be read.
fuzz_target!(|input: &[u8]| {
    let [choice, length, response @ ..] = input else { return };
    let method = if choice % 2 == 1 { Method::HEAD } else { Method::GET };
    let whole = read(&method, response.len(), response, 4_096);
    let split = read(&method, usize::from(*length), response, usize::from(choice / 2) + 1);
    match (whole, split) {
        (Ok(whole), Ok(split)) => {
            assert_eq!(whole, split);
            awc_reads_whole(&whole.given);
        }
        // What an error shows of the bytes depends on how many were there.
        (Err(whole), Err(split)) => assert_eq!(std::mem::discriminant(&whole), std::mem::discriminant(&split)),
        (whole, split) => panic!("{whole:?} but in pieces {split:?}"),
    }
});

#[derive(Debug, PartialEq)]
struct Read {
    head: Option<Head>,
    given: Vec<u8>,
    is_reusable: bool,
}

/// Reads the response in pieces of this length.
fn read(method: &Method, length: usize, response: &[u8], room: usize) -> Result<Read, WireError> {
    let mut decoder = ResponseDecoder::new(method, WireLimits::default());
    let (mut input, mut given) = (BytesMut::new(), Vec::new());
    let mut room = vec![0; room];
    let mut drain = |decoder: &mut ResponseDecoder, input: &mut BytesMut| loop {
        let mut output = ReadBuf::new(&mut room);
        decoder.read(input, &mut output)?;
        if output.filled().is_empty() {
            return Ok(());
        }
        given.extend_from_slice(output.filled());
    };
    for piece in response.chunks(length.max(1)) {
        input.extend_from_slice(piece);
        drain(&mut decoder, &mut input)?;
    }
    if !decoder.is_done() {
        decoder.finish(true)?;
    }
    let head = decoder.take_head();
    // A chunk of one byte takes six; ours takes at most one more than the server's, whose line may end in a bare LF.
    assert!(given.len() <= 2 * response.len() + 64, "{} bytes out of {}", given.len(), response.len());
    Ok(Read { head, given, is_reusable: decoder.is_reusable() })
}

thread_local! {
    /// It starts a clock of its own, for which it wants a place to run; here it need not tick.
    static CONFIG: (LocalSet, ServiceConfig) = {
        let (runtime, tasks) = (Builder::new_current_thread().enable_time().build().unwrap(), LocalSet::new());
        let config = tasks.block_on(&runtime, async { ServiceConfig::default() });
        (tasks, config)
    };
}

fn awc_reads_whole(given: &[u8]) {
    let mut given = BytesMut::from(given);
    let mut codec = CONFIG.with(|(_, config)| ClientCodec::new(config.clone()));
    let head = codec.decode(&mut given).expect("awc reads the head").expect("awc finds a whole head");
    if !matches!(codec.message_type(), MessageType::None) {
        let mut codec = codec.into_payload_codec();
        loop {
            match codec.decode(&mut given).expect("awc reads the body") {
                Some(Some(Bytes { .. })) => {}
                Some(None) => break,
                None => {
                    assert_eq!(head.version, http::Version::HTTP_10, "awc waits for more");
                    break;
                }
            }
        }
    }
    assert!(given.is_empty(), "awc leaves {given:?}");
}
