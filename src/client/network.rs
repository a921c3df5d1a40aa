//! The part of the builder that is about the network, as the crawler's has it.

use std::path::PathBuf;

use super::ClientBuilder;
use crate::transport::{
    HostPattern,
    address::IpNet,
    credentials::{Credentials, OriginCredentials},
    proxy::ProxyUrl,
};

impl ClientBuilder {
    /// Connects to the addresses of a network too, though they are private, such as `10.1.0.0/16`.
    pub fn allow_address(mut self, network: impl Into<IpNet>) -> Self {
        self.transport.guard.allow.push(network.into());
        self
    }

    /// Goes through a proxy, as [`Crawler::proxy`](crate::crawler::Crawler::proxy) does; several take turns.
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.transport.proxies.via.push(ProxyUrl::new(url));
        self
    }

    /// Goes through the proxies that `HTTP_PROXY`, `HTTPS_PROXY` and `ALL_PROXY` name, but not to what `NO_PROXY` names.
    pub fn proxy_from_env(mut self) -> Self {
        self.transport.proxies.from_env = true;
        self
    }

    /// Trusts the authorities in a PEM file too, beside Mozilla's.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.transport.tls.ca_files.push(path.into());
        self
    }

    /// Believes whatever certificate `host` shows: for services of your own. A warning says so.
    pub fn insecure(mut self, host: impl Into<String>) -> Self {
        self.transport.tls.insecure.push(HostPattern::new(host));
        self
    }

    /// Keeps the cookies that servers set and sends them back; each proxy has its own. Needs the feature `cookies`.
    pub fn cookies(mut self) -> Self {
        self.transport.cookies = true;
        self
    }

    /// Shows credentials to an origin, such as `https://api.example.org`, and to no other.
    pub fn credentials(mut self, origin: impl Into<String>, credentials: Credentials) -> Self {
        self.transport.credentials.push(OriginCredentials { origin: origin.into(), credentials });
        self
    }
}
