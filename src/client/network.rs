//! The network options of ClientBuilder, with the same names as in the crawler's builder.

use std::path::PathBuf;

use super::ClientBuilder;
use crate::{
    transport::{
        HostPattern,
        address::IpNet,
        credentials::{Credentials, OriginCredentials},
        proxy::ProxyUrl,
    },
    warc::Warc,
};

impl ClientBuilder {
    /// Allows connections to the addresses of a private network, such as `10.1.0.0/16`.
    pub fn allow_address(mut self, network: impl Into<IpNet>) -> Self {
        self.transport.guard.allow.push(network.into());
        self
    }

    /// Goes through a proxy, as [`Crawler::proxy`](crate::Crawler::proxy) does. Several take turns.
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.transport.proxies.via.push(ProxyUrl::new(url));
        self
    }

    /// Uses the proxies in `HTTP_PROXY`, `HTTPS_PROXY` and `ALL_PROXY`, except for hosts in `NO_PROXY`.
    pub fn proxy_from_env(mut self) -> Self {
        self.transport.proxies.from_env = true;
        self
    }

    /// Trusts the certificate authorities in a PEM file, in addition to Mozilla's.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.transport.tls.ca_files.push(path.into());
        self
    }

    /// Accepts any certificate from `host`: for your own services. A warning is logged.
    pub fn insecure(mut self, host: impl Into<String>) -> Self {
        self.transport.tls.insecure.push(HostPattern::new(host));
        self
    }

    /// Stores the cookies that servers set and sends them back. Each proxy has its own cookies, beside those that the
    /// [default session](crate::sessions::DEFAULT) was given, and so has each session that requests name. Needs the
    /// feature `cookies`.
    pub fn cookies(mut self) -> Self {
        self.transport.cookies = true;
        self
    }

    /// Archives each request and response as [`Crawler::archive`](crate::Crawler::archive) does. A request whose record
    /// cannot be written fails with [`Error::Output`](crate::Error::Output). The last file gets its index when the last
    /// clone of the client is gone, or with [`ThrottledClient::close_archive`](crate::ThrottledClient::close_archive).
    /// Needs the feature `warc`.
    pub fn archive(mut self, archive: Warc) -> Self {
        self.transport.archive = Some(archive);
        self
    }

    /// Never sends the headers of this name, whatever its case, along with a redirect to another origin. It holds in
    /// any case for `Authorization`, for `Cookie`, and for names that look like a secret, as `X-Api-Key` does.
    pub fn secret_header(mut self, name: impl Into<String>) -> Self {
        self.transport.secret_headers.push(name.into());
        self
    }

    /// Sends credentials to one origin, such as `https://api.example.org`, and to no other.
    pub fn credentials(mut self, origin: impl Into<String>, credentials: Credentials) -> Self {
        self.transport.credentials.push(OriginCredentials { origin: origin.into(), credentials });
        self
    }
}
