//! tmp
use crate::error::Error;
use std::{
    net::{SocketAddr, ToSocketAddrs},
    sync::Arc,
};
/// tmp
#[derive(Clone)]
pub struct Resolver {
    rules: Arc<Vec<(String, SocketAddr)>>,
    handle: tokio::runtime::Handle,
}
impl Resolver {
    /// tmp
    pub fn new(rules: &[String], handle: tokio::runtime::Handle) -> Result<Self, Error> {
        let rules = rules
            .iter()
            .map(|r| {
                let (h, a) = r.split_once(':').ok_or_else(|| Error::setting("resolve", r.as_str()))?;
                let a = if a.contains(':') { a.to_owned() } else { format!("{a}:0") };
                Ok((h.to_owned(), a.parse().map_err(|_| Error::setting("resolve", r.as_str()))?))
            })
            .collect::<Result<Vec<_>, Error>>()?;
        Ok(Self { rules: Arc::new(rules), handle })
    }
    /// tmp
    pub async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
        for (h, a) in self.rules.iter() {
            if h == host || h.strip_prefix('*').is_some_and(|s| host.ends_with(s)) {
                let mut a = *a;
                if a.port() == 0 {
                    a.set_port(port);
                }
                return Ok(vec![a]);
            }
        }
        let host = host.to_owned();
        self.handle
            .spawn_blocking(move || {
                (host.as_str(), port).to_socket_addrs().map(|a| a.collect()).map_err(|e| e.to_string())
            })
            .await
            .map_err(|e| e.to_string())?
    }
}
