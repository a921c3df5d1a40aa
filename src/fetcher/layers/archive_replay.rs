//! ArchiveReplay: answers from WARC files, without the network.

use bytes::{Bytes, BytesMut};
use http::Method;
use tokio::time::timeout;

use crate::{
    fetcher::{
        fetch::{Fetch, FetchContext, FetchResult, Fetching, NoResponse},
        redirect,
    },
    outcome::{FetchError, Phase},
    permit::Permit,
    request::Request,
    transport::{
        SharedTransport,
        body::Reservation,
        exchange::Extent,
        raw_response::RawResponse,
        wire::{Head, ResponseDecoder, WireLimits},
    },
    warc::{Archived, Collection},
};

/// Answers every GET request from an archive. Permits are dropped unused.
pub struct ArchiveReplay {
    archived: Collection,
    transport: SharedTransport,
}

impl ArchiveReplay {
    /// Replays an archive. Of `transport`, only the memory bound and the deadline are used.
    pub fn new(archived: Collection, transport: SharedTransport) -> Self {
        Self { archived, transport }
    }

    async fn replay(&self, request: &Request, extent: Extent) -> Result<RawResponse, FetchError> {
        let limit = self.transport.whole_deadline();
        let read = timeout(limit, self.read(request, extent)).await;
        let read = read.unwrap_or(Err(FetchError::Timeout { phase: Phase::Whole, limit }))?;
        read.ok_or_else(|| {
            let (method, url, path) = (&request.method, super::url_of(request), self.archived.path().display());
            FetchError::NotRecorded(format!("{method} {url} is not in the archive {path}; fetch it with the network"))
        })
    }

    async fn read(&self, request: &Request, extent: Extent) -> Result<Option<RawResponse>, FetchError> {
        // The index of an archive has URLs only, so it cannot find the response to another method.
        if request.method != Method::GET {
            return Ok(None);
        }
        let unreadable = FetchError::NotRecorded;
        let Some(opened) = self.archived.find(&super::url_of(request)).await.map_err(unreadable)? else {
            return Ok(None);
        };
        // What is beyond both is not read: the length may be any.
        if opened.length() > extent.max_bytes.saturating_add(MAX_HEAD as u64) {
            return Err(FetchError::TooLarge(format!("{} bytes in the archive", opened.length())));
        }
        let reservation = self.transport.bodies().hold(opened.length()).await;
        let archived = self.archived.read(opened).await.map_err(unreadable)?;
        response(request, archived, extent, reservation).map(Some)
    }
}

/// The longest head, as on the wire.
const MAX_HEAD: usize = 256 << 10;

impl Fetch for ArchiveReplay {
    fn fetch<'a>(&'a self, permit: Permit, request: &'a Request, context: FetchContext<'a>) -> Fetching<'a> {
        drop(permit);
        let extent = context.whole().extent;
        Box::pin(async move { FetchResult::offline(self.replay(request, extent).await.map_err(NoResponse::Failed)) })
    }
}

/// Makes a response of a block. What was not whole when it was archived fails as it did then.
fn response(
    request: &Request,
    archived: Archived,
    extent: Extent,
    reservation: Reservation,
) -> Result<RawResponse, FetchError> {
    let Archived { block, date, truncated } = archived;
    let (Head { status, headers }, body) = message(&block)?;
    let (status, is_cut) = (status.as_u16(), truncated.is_some());
    let response = RawResponse { status, headers, fetched_at: date, body, streamed: 0, is_cut, reservation };
    let is_enough = extent.accepts_part || redirect::target(status, &response.headers, &request.url).is_some();
    match truncated.as_deref() {
        Some("length") if is_enough => Ok(response),
        Some("length") => Err(FetchError::TooLarge("it was, when it was archived".to_owned())),
        Some(why) => Err(FetchError::Truncated(format!("it was, when it was archived: {why}"))),
        None => Ok(response),
    }
}

/// Splits a message into head and body. The body is all that follows the head, whatever length the head states. Some
/// writers keep the transfer coding, and some keep only its header field.
fn message(block: &Bytes) -> Result<(Head, Bytes), FetchError> {
    let limits = WireLimits { chunked_over_length: true, ..WireLimits::default() };
    // The head of an answer to HEAD says nothing of what follows.
    let mut decoder = ResponseDecoder::new(&Method::HEAD, limits);
    let beginning = block.slice(..block.len().min(MAX_HEAD));
    let mut rest = BytesMut::from(&*beginning);
    let is_whole = decoder.read_head(&mut rest).map_err(|error| FetchError::Protocol(error.to_string()))?;
    let head = decoder.take_head().filter(|_| is_whole);
    let mut head = head.ok_or_else(|| FetchError::Protocol("an archived answer without a head".into()))?;
    let body = block.slice(beginning.len() - rest.len()..);
    let is_chunked = head.headers.remove(http::header::TRANSFER_ENCODING).is_some();
    let body = if is_chunked { dechunked(block, limits).unwrap_or(body) } else { body };
    Ok((head, body))
}

/// Returns the body of a message without its transfer coding; `None` if it has none, whatever its head says.
fn dechunked(block: &Bytes, limits: WireLimits) -> Option<Bytes> {
    let mut decoder = ResponseDecoder::new(&Method::GET, limits);
    let (mut input, mut body) = (BytesMut::from(&**block), BytesMut::new());
    while let Some(piece) = decoder.read(&mut input).ok()? {
        body.extend_from_slice(&piece);
    }
    decoder.is_done().then(|| body.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body_of(message_text: &str) -> String {
        let (head, body) = message(&Bytes::copy_from_slice(message_text.as_bytes())).unwrap();
        assert!(!head.headers.contains_key("transfer-encoding"));
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[test]
    fn the_body_is_what_follows_the_head_also_where_other_writers_kept_or_took_off_its_chunks() {
        for (framing, body, expected) in [
            ("Content-Length: 4", "body", "body"),
            ("Content-Length: 400", "body", "body"),
            ("X-Orig-Transfer-Encoding: chunked", "body", "body"),
            ("Transfer-Encoding: chunked", "4\r\nbody\r\n0\r\n\r\n", "body"),
            ("Transfer-Encoding: chunked", "body", "body"),
        ] {
            assert_eq!(body_of(&format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n{body}")), expected, "{framing} {body}");
        }
        assert!(message(&Bytes::from_static(b"no head")).is_err());
    }
}
