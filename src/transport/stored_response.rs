//! StoredResponse: the file format of stored responses: one line of JSON with everything but the body, then the body.
//! Does not know where the file is.

use std::{
    io,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// A stored response; its body is still encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredResponse {
    /// The URL of the request, without user name and password.
    pub url: String,
    /// The headers of the request, except those that identify us.
    pub asked: Vec<(String, String)>,
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// When it was received, to the millisecond.
    pub fetched_at: SystemTime,
    /// The body.
    pub body: Bytes,
}

/// The first line of a file; the body follows.
#[derive(Serialize, Deserialize)]
struct Label {
    url: String,
    #[serde(default)]
    asked: Vec<(String, String)>,
    status: u16,
    headers: Vec<(String, String)>,
    #[serde(default)]
    fetched_at_ms: u64,
    /// A hash of the body. Files are not synced to disk, so a power failure may leave a partial body.
    hash: Option<u64>,
}

impl StoredResponse {
    /// Takes the headers of a "304 Not Modified" (RFC 9111 §3.2), except those that describe a body.
    pub fn renew(&mut self, headers: &HeaderMap, now: SystemTime) {
        for name in headers.keys() {
            let describes_a_body = name.as_str().starts_with("content-");
            if describes_a_body || matches!(name.as_str(), "connection" | "keep-alive" | "transfer-encoding") {
                continue;
            }
            self.headers.remove(name);
            for value in headers.get_all(name) {
                self.headers.append(name.clone(), value.clone());
            }
        }
        self.fetched_at = now;
    }

    /// Returns the first line of the file.
    pub fn label(&self) -> io::Result<Vec<u8>> {
        // Header values are bytes; read as Latin-1, each byte becomes one character.
        let latin1 = |value: &HeaderValue| value.as_bytes().iter().copied().map(char::from).collect::<String>();
        let since_epoch = self.fetched_at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let label = Label {
            url: self.url.clone(),
            asked: self.asked.clone(),
            status: self.status,
            headers: self.headers.iter().map(|(name, value)| (name.to_string(), latin1(value))).collect(),
            fetched_at_ms: u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX),
            hash: Some(xxh3_64(&self.body)),
        };
        let mut line = serde_json::to_vec(&label)?;
        line.push(b'\n');
        Ok(line)
    }

    /// Reads a file; `None` if it is not as it was written.
    pub fn from_file(file: &Bytes) -> Option<Self> {
        let (stored, hash) = Self::read(file).ok()?;
        (hash == Some(xxh3_64(&stored.body))).then_some(stored)
    }

    /// Reads a file that may have been edited, or written by hand.
    ///
    /// # Errors
    /// Says what is wrong with its first line.
    #[cfg(feature = "testing")]
    pub fn from_edited_file(file: &Bytes) -> Result<Self, String> {
        Self::read(file).map(|(stored, _)| stored)
    }

    fn read(file: &Bytes) -> Result<(Self, Option<u64>), String> {
        let end = memchr::memchr(b'\n', file).ok_or("it has no first line of JSON, with the URL and the headers")?;
        let label: Label =
            serde_json::from_slice(file.get(..end).unwrap_or_default()).map_err(|error| error.to_string())?;
        let body = file.slice(end + 1..);
        let mut headers = HeaderMap::with_capacity(label.headers.len());
        for (name, value) in &label.headers {
            let invalid = || format!("`{name}: {value}` is no header");
            let value: Vec<u8> =
                value.chars().map(|c| u8::try_from(c).ok()).collect::<Option<_>>().ok_or_else(invalid)?;
            let parsed = name.parse::<HeaderName>().ok().zip(HeaderValue::from_bytes(&value).ok());
            let (name, value) = parsed.ok_or_else(invalid)?;
            headers.append(name, value);
        }
        let fetched_at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(label.fetched_at_ms));
        let fetched_at = fetched_at.ok_or("its time is beyond any calendar")?;
        let Label { url, asked, status, hash, .. } = label;
        Ok((Self { url, asked, status, headers, fetched_at, body }, hash))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A response with two cookies, one of which is not UTF-8.
    pub fn stored(url: &str, body: &[u8]) -> StoredResponse {
        let mut headers = HeaderMap::new();
        headers.append("set-cookie", HeaderValue::from_static("a=1"));
        headers.append("set-cookie", HeaderValue::from_bytes(b"b=\xff\xe9").unwrap());
        let fetched_at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
        let asked = vec![("accept".to_owned(), "*/*".to_owned())];
        StoredResponse {
            url: url.to_owned(),
            asked,
            status: 200,
            headers,
            fetched_at,
            body: Bytes::copy_from_slice(body),
        }
    }

    #[test]
    fn a_response_comes_back_as_it_was_and_a_damaged_one_not_at_all() {
        let kept = stored("https://e.org/", b"\x1f\x8b\n\0 whatever");
        let file = [kept.label().unwrap(), kept.body.to_vec()].concat();
        assert_eq!(StoredResponse::from_file(&file.clone().into()), Some(kept));
        for end in 0..file.len() {
            assert_eq!(StoredResponse::from_file(&Bytes::copy_from_slice(&file[..end])), None, "{end}");
        }
    }

    #[test]
    fn what_is_not_modified_keeps_its_body_and_what_describes_it() {
        let mut kept = stored("https://e.org/", b"body");
        kept.headers.insert("content-encoding", HeaderValue::from_static("gzip"));
        let mut headers = HeaderMap::new();
        headers.insert("content-encoding", HeaderValue::from_static("br"));
        headers.insert("set-cookie", HeaderValue::from_static("c=3"));
        headers.insert("expires", HeaderValue::from_static("0"));
        let now = kept.fetched_at + Duration::from_secs(9);
        kept.renew(&headers, now);
        assert_eq!(kept.headers.get_all("set-cookie").iter().collect::<Vec<_>>(), ["c=3"]);
        assert_eq!(
            (&kept.headers["content-encoding"], &kept.headers["expires"]),
            (&"gzip".parse().unwrap(), &"0".parse().unwrap())
        );
        assert_eq!((kept.body, kept.fetched_at), ("body".into(), now));
    }
}
