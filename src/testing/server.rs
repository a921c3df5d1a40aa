//! Server: speaks HTTP/1.1 on the site's end of a connection in memory. Does not know which page is where.

use std::{future::pending, io, rc::Rc, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header::CONTENT_LENGTH};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    time::sleep,
};
use url::Url;

use super::{Answer, Arrival, answer::Delivery, served::Served};

/// Answers requests until the connection is closed.
pub async fn serve(mut stream: DuplexStream, scheme: &'static str, site: Rc<Served>) {
    let mut received = BytesMut::new();
    // Fails only if the crawler has closed its end, or has sent what is no request; either ends the connection.
    while let Ok(Some(arrival)) = receive(&mut stream, &mut received, scheme).await {
        let is_head = arrival.method == Method::HEAD;
        let (number, answer) = site.answer(arrival);
        sleep(answer.after).await;
        if answer.delivery == Delivery::Silence {
            return pending().await;
        }
        site.answered(number, answer.told());
        if send(&mut stream, &answer, is_head).await.is_err() || answer.delivery != Delivery::Whole {
            return;
        }
    }
}

/// Reads a request; `None` at the end of the connection.
async fn receive(stream: &mut DuplexStream, received: &mut BytesMut, scheme: &str) -> io::Result<Option<Arrival>> {
    let end = loop {
        if let Some(end) = memchr::memmem::find(received, b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(received).await? == 0 {
            return Ok(None);
        }
    };
    let head = received.split_to(end);
    received.advance(4);
    let mut arrival = read_head(&head, scheme).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
    let length = arrival.header(CONTENT_LENGTH.as_str()).and_then(|length| length.parse().ok()).unwrap_or(0);
    while received.len() < length {
        if stream.read_buf(received).await? == 0 {
            return Ok(None);
        }
    }
    arrival.body = received.split_to(length).freeze();
    Ok(Some(arrival))
}

/// Reads the head of a request, as the crawler writes it.
fn read_head(head: &[u8], scheme: &str) -> Option<Arrival> {
    let text = std::str::from_utf8(head).ok()?;
    let mut lines = text.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, target) = (Method::from_bytes(first.next()?.as_bytes()).ok()?, first.next()?);
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(':')?;
        headers.append(HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(value.trim()).ok()?);
    }
    let host = headers.get(http::header::HOST)?.to_str().ok()?;
    let url = Url::parse(&format!("{scheme}://{host}{target}")).ok()?;
    Some(Arrival { at: Duration::ZERO, method, url, headers, body: Bytes::new(), answered: None })
}

async fn send(stream: &mut DuplexStream, answer: &Answer, is_head: bool) -> io::Result<()> {
    if answer.delivery == Delivery::HangUp {
        return Ok(());
    }
    let mut sent = Vec::with_capacity(256 + answer.body.len());
    sent.extend_from_slice(format!("HTTP/1.1 {} \r\n", answer.status).as_bytes());
    for (name, value) in &answer.headers {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            sent.extend_from_slice(part);
        }
    }
    let has_body = !matches!(answer.status, 204 | 304);
    if has_body {
        sent.extend_from_slice(format!("content-length: {}\r\n", answer.body.len()).as_bytes());
    }
    sent.extend_from_slice(b"\r\n");
    if has_body && !is_head {
        let half = if answer.delivery == Delivery::Half { answer.body.len() / 2 } else { answer.body.len() };
        sent.extend_from_slice(answer.body.get(..half).unwrap_or_default());
    }
    stream.write_all(&sent).await
}
