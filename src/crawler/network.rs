//! The part of the builder that is about the network.

use std::path::PathBuf;

use super::Crawler;
use crate::{
    spider::Spider,
    transport::{HostPattern, tls::ClientCertificate},
};

impl<S: Spider> Crawler<S> {
    /// Trusts the authorities in a PEM file too, beside Mozilla's.
    #[must_use]
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.settings.transport.tls.ca_files.push(path.into());
        self
    }

    /// Shows a certificate to servers of `host` that ask for one: PEM files of the certificate and of its key.
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

    /// Believes whatever certificate `host` shows: for sites of your own. The report says so.
    #[must_use]
    pub fn insecure(mut self, host: impl Into<String>) -> Self {
        self.settings.transport.tls.insecure.push(HostPattern::new(host));
        self
    }
}
