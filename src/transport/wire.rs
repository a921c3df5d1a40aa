//! tmp
use bytes::{BufMut, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
/// tmp
pub struct Head {
    /// a
    pub status: StatusCode,
    /// b
    pub headers: HeaderMap,
}
/// tmp
#[derive(Clone, Copy, Debug, Default)]
pub struct WireLimits;
/// tmp
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// a
    #[error("{0}")]
    Bad(String),
    /// b
    #[error("truncated")]
    Truncated,
}
impl WireError {
    /// tmp
    pub fn is_truncation(&self) -> bool {
        matches!(self, Self::Truncated)
    }
}
/// tmp
pub struct ResponseDecoder {
    head_only: bool,
    head: Option<Head>,
    left: Option<u64>,
    done: bool,
    close: bool,
    chunked: bool,
}
impl ResponseDecoder {
    /// tmp
    pub fn new(m: &Method, _l: WireLimits) -> Self {
        Self { head_only: *m == Method::HEAD, head: None, left: None, done: false, close: false, chunked: false }
    }
    /// tmp
    pub fn feed(&mut self, input: &mut BytesMut, output: &mut BytesMut) -> Result<(), WireError> {
        if self.left.is_none() && !self.chunked {
            let mut hs = [httparse::EMPTY_HEADER; 100];
            let mut r = httparse::Response::new(&mut hs);
            let n = match r.parse(input).map_err(|e| WireError::Bad(e.to_string()))? {
                httparse::Status::Complete(n) => n,
                httparse::Status::Partial => return Ok(()),
            };
            let status = StatusCode::from_u16(r.code.unwrap_or(0)).map_err(|e| WireError::Bad(e.to_string()))?;
            let mut headers = HeaderMap::new();
            for h in r.headers.iter() {
                headers.append(
                    HeaderName::from_bytes(h.name.as_bytes()).unwrap(),
                    HeaderValue::from_bytes(h.value).unwrap(),
                );
            }
            let cl = headers.get("content-length").and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
            self.chunked = headers.get("transfer-encoding").is_some();
            self.close = headers.get("connection").is_some_and(|v| v == "close");
            let _ = input.split_to(n);
            let bodyless = self.head_only || status == 204 || status == 304;
            self.head = Some(Head { status, headers });
            if self.chunked && !bodyless {
                output.put_slice(b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n");
            } else {
                let l = if bodyless { 0 } else { cl.unwrap_or(0) };
                self.chunked = false;
                self.left = Some(l);
                output.put_slice(
                    format!(
                        "HTTP/1.1 200 X\r\ncontent-length: {l}\r\n{}\r\n",
                        if self.close { "connection: close\r\n" } else { "" }
                    )
                    .as_bytes(),
                );
            }
        }
        if self.chunked {
            output.extend_from_slice(input);
            input.clear();
            if output.ends_with(b"0\r\n\r\n") {
                self.done = true;
            }
        } else if let Some(left) = &mut self.left {
            let n = (*left).min(input.len() as u64) as usize;
            output.extend_from_slice(&input.split_to(n));
            *left -= n as u64;
            if *left == 0 {
                self.done = true;
            }
        }
        Ok(())
    }
    /// tmp
    pub fn finish(&mut self, _o: &mut BytesMut) -> Result<(), WireError> {
        if self.done { Ok(()) } else { Err(WireError::Truncated) }
    }
    /// tmp
    pub fn take_head(&mut self) -> Option<Head> {
        self.head.take()
    }
    /// tmp
    pub fn is_done(&self) -> bool {
        self.done
    }
    /// tmp
    pub fn is_reusable(&self) -> bool {
        !self.close
    }
}
