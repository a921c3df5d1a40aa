//! tmp
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
/// tmp
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AddressGuard {
    /// a
    pub allow_private: bool,
}
impl AddressGuard {
    /// tmp
    pub fn check(&self, ip: IpAddr) -> Result<(), String> {
        if ip.is_loopback() && !self.allow_private { Err(format!("{ip} is private")) } else { Ok(()) }
    }
}
