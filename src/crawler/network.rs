//! The network options of a crawl's builder. Does not know politeness.

use std::path::PathBuf;

use super::Crawler;
use crate::{
    spider::Spider,
    transport::{
        HostPattern,
        address::IpNet,
        credentials::{Credentials, OriginCredentials},
        proxy::{ProxyOverride, ProxyUrl},
        response_store::{Purpose, ResponseStoreSettings},
        tls::ClientCertificate,
    },
    warc::Warc,
};

impl<S: Spider> Crawler<S> {
    /// Allows connections to the addresses of a private network, such as `10.1.0.0/16`.
    #[must_use]
    pub fn allow_address(mut self, network: impl Into<IpNet>) -> Self {
        self.settings.transport.guard.allow.push(network.into());
        self
    }

    /// Trusts the certificate authorities in a PEM file, in addition to Mozilla's.
    #[must_use]
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.settings.transport.tls.ca_files.push(path.into());
        self
    }

    /// Authenticates to `host` with a client certificate: PEM files of the certificate and of its key.
    #[must_use]
    pub fn client_certificate(
        mut self,
        host: impl Into<String>,
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        let host = HostPattern::new(host);
        let shown = ClientCertificate { host, certificate: certificate.into(), key: key.into() };
        self.settings.transport.tls.client_certificates.push(shown);
        self
    }

    /// Accepts any certificate from `host`: for your own sites. The report warns about it.
    #[must_use]
    pub fn insecure(mut self, host: impl Into<String>) -> Self {
        self.settings.transport.tls.insecure.push(HostPattern::new(host));
        self
    }

    /// Uses a proxy: `http://name:password@host:port`, `https://…`, `socks5://…` (names are resolved here) or
    /// `socks5h://…` (the proxy resolves them). Several are used in rotation, and one that fails is not used for a
    /// while.
    ///
    /// The address guard checks names that are resolved here, and literal addresses. It cannot check what a proxy
    /// resolves: a proxy inside your network should have rules of its own.
    #[doc(alias("http_proxy", "set_proxy"))]
    #[must_use]
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.settings.transport.proxies.via.push(ProxyUrl::new(url));
        self
    }

    /// Uses a proxy for some hosts only, `example.org` or `*.example.org`. The URL `direct` means no proxy.
    #[must_use]
    pub fn proxy_for(mut self, host: impl Into<String>, url: impl Into<String>) -> Self {
        let (host, url) = (HostPattern::new(host), ProxyUrl::new(url));
        let overrides = &mut self.settings.transport.proxies.overrides;
        match overrides.iter_mut().find(|given| given.host == host) {
            Some(given) => given.via.push(url),
            None => overrides.push(ProxyOverride { host, via: vec![url] }),
        }
        self
    }

    /// Caches responses in a folder by the rules of HTTP (RFC 9111): a fresh page needs no request, and a stale one is
    /// transferred again only if it changed. A further attempt that a middleware or the spider asks for goes to the
    /// server. Needs the feature `cache`.
    #[doc(alias("httpcache_enabled", "cache_dir"))]
    #[must_use]
    pub fn cache(self, dir: impl Into<PathBuf>) -> Self {
        self.store_responses(dir, Purpose::Cache)
    }

    /// Records every response in a folder, to be replayed. Refusals (429, 503) are not recorded. If a response cannot
    /// be written, the crawl goes on, and ends as [`Ended::Failed`](crate::report::Ended::Failed).
    #[must_use]
    pub fn record(self, dir: impl Into<PathBuf>) -> Self {
        self.store_responses(dir, Purpose::Record)
    }

    /// Crawls a recording without the network: a spider can be developed without burdening the site. A page that was
    /// not recorded ends as `not_recorded`, and the log names its URL. With the feature `warc`, a WARC file, or a
    /// folder of them, is a recording too, of GET requests, whoever wrote it.
    #[must_use]
    pub fn replay(self, dir: impl Into<PathBuf>) -> Self {
        self.store_responses(dir, Purpose::Replay)
    }

    /// Archives each request and response as it was on the wire, robots files, redirects and errors included, in the
    /// format of web archives: see [`Warc`]. A page is parsed only after its record is written. If that cannot be
    /// written, the crawl stops as [`Ended::Failed`](crate::report::Ended::Failed), and its URL stays queued. Log-ins
    /// are not archived. Needs the feature `warc`.
    #[must_use]
    pub fn archive(mut self, archive: Warc) -> Self {
        self.settings.transport.archive = Some(archive);
        self
    }

    fn store_responses(mut self, dir: impl Into<PathBuf>, purpose: Purpose) -> Self {
        self.settings.transport.response_store = Some(ResponseStoreSettings::new(dir, purpose));
        self
    }

    /// Stores the cookies that servers set and sends them back. Each proxy has its own cookies, beside those that the
    /// [default session](crate::sessions::DEFAULT) was given, and so has each session that requests name
    /// ([`sessions`](crate::sessions)). Needs the feature `cookies`.
    #[doc(alias("cookies_enabled", "set_cookie_jar"))]
    #[must_use]
    pub fn cookies(mut self) -> Self {
        self.settings.transport.cookies = true;
        self
    }

    /// Never sends the headers of this name, whatever its case, along with a redirect to another origin. It holds in
    /// any case for `Authorization`, for `Cookie`, and for names that look like a secret, as `X-Api-Key` does.
    #[must_use]
    pub fn secret_header(mut self, name: impl Into<String>) -> Self {
        self.settings.transport.secret_headers.push(name.into());
        self
    }

    /// Sends credentials to one origin, such as `https://example.org`, and to no other. A seed may have them in its
    /// URL: `https://name:password@example.org/`.
    #[must_use]
    pub fn credentials(mut self, origin: impl Into<String>, credentials: Credentials) -> Self {
        let given = OriginCredentials { origin: origin.into(), credentials };
        self.settings.transport.credentials.push(given);
        self
    }

    /// Uses the proxies in `HTTP_PROXY`, `HTTPS_PROXY` and `ALL_PROXY`, except for hosts in `NO_PROXY`.
    #[must_use]
    pub fn proxy_from_env(mut self) -> Self {
        self.settings.transport.proxies.from_env = true;
        self
    }
}
