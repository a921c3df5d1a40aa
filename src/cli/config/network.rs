//! The options of the network: overrides the transport's settings.

use actix_crawler::{
    Error,
    transport::{HostPattern, ProxyUrl, TlsSettings, TransportSettings},
};

use super::{
    super::{exit::Failure, options::NetworkOptions},
    put,
};

impl NetworkOptions {
    /// Overrides the transport's settings by the given options.
    ///
    /// # Errors
    /// A certificate file cannot be read.
    pub fn over(&self, mut transport: TransportSettings) -> Result<TransportSettings, Failure> {
        transport.guard.allow_private |= self.allow_private;
        transport.guard.allow.extend(&self.allow_address);
        // Of two rules for one host the later wins.
        transport.resolve.extend(self.resolve.iter().cloned());
        if !self.proxy.is_empty() {
            // Proxies on the command line replace the file's.
            transport.proxies.via = self.proxy.iter().map(ProxyUrl::new).collect();
        }
        transport.proxies.from_env |= self.proxy_env;
        transport.tls.ca_files.extend(self.ca.iter().cloned());
        transport.tls.insecure.extend(self.insecure.iter().map(HostPattern::new));
        transport.credentials.extend(self.user.iter().cloned());
        if let Some(limit) = self.timeout {
            transport.deadlines = transport.deadlines.within(limit);
        }
        put(&mut transport.body.max_bytes, self.max_body);
        transport.chunked_over_length |= self.chunked_over_length;
        let TlsSettings { ca_files, client_certificates, .. } = &transport.tls;
        if !ca_files.is_empty() || !client_certificates.is_empty() {
            // Also read here, since the library's error does not say whether a file was to be read or written.
            transport.tls.check().map_err(|error| match error {
                Error::File { path, source } => {
                    let option = if ca_files.contains(&path) { "--ca" } else { "client_certificates:" };
                    Failure::unreadable(option, &path, &source)
                }
                other => other.into(),
            })?;
        }
        Ok(transport)
    }
}
