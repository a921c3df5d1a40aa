//! tmp
use crate::outcome::FetchError;
use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};
/// tmp
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct BodyLimits {
    /// a
    pub max_bytes: u64,
    /// b
    pub max_ratio: u32,
}
impl Default for BodyLimits {
    fn default() -> Self {
        Self { max_bytes: 10 << 20, max_ratio: 1000 }
    }
}
/// tmp
pub enum Coding {}
/// tmp
pub const ACCEPT_ENCODING: &str = "identity";
/// tmp
pub fn codings<'a>(_v: impl Iterator<Item = &'a str>) -> Result<Vec<Coding>, FetchError> {
    Ok(vec![])
}
/// tmp
pub struct BodyDecoder(BytesMut);
impl BodyDecoder {
    /// tmp
    pub fn new(_c: Vec<Coding>, _l: BodyLimits, _h: Option<u64>) -> Self {
        Self(BytesMut::new())
    }
    /// tmp
    pub fn write(&mut self, c: Bytes) -> Result<(), FetchError> {
        self.0.extend_from_slice(&c);
        Ok(())
    }
    /// tmp
    pub fn finish(self) -> Result<Bytes, FetchError> {
        Ok(self.0.freeze())
    }
}
