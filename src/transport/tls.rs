//! Tls: negotiates TLS with the configured trust and client certificates. Knows no proxies and no HTTP.

use std::{
    collections::HashSet,
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        client::Resumption,
        crypto::{CryptoProvider, ring},
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem, pem::PemObject},
    },
};

use super::{
    host_pattern::{HostPattern, bare},
    stream::Stream,
    tls_error,
    tls_verifier::{Trust, Verifier},
};
use crate::{
    disk::input_file::read_whole,
    error::{Error, Result},
    outcome::FetchError,
};

/// Which certificates to trust, and which to present.
///
/// ```
/// use actix_crawler::transport::{HostPattern, TlsSettings, TransportSettings};
///
/// let tls = TlsSettings { insecure: vec![HostPattern::new("router.example")], ..TlsSettings::default() };
/// tls.check()?;
/// let settings = TransportSettings { tls, ..TransportSettings::default() };
/// # Ok::<(), actix_crawler::Error>(())
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsSettings {
    /// Trusts the system's certificate authorities instead of Mozilla's, which are compiled in. Needs the feature
    /// `native-roots`.
    pub system_roots: bool,
    /// Also trusts the certificates in these PEM files: what they sign as authorities, and a server that has one of
    /// them as its own.
    pub ca_files: Vec<PathBuf>,
    /// Certificates for servers that ask for one; the first that matches the host is presented.
    pub client_certificates: Vec<ClientCertificate>,
    /// Hosts whose certificates are not checked: anyone on the network path can then read and modify the traffic. The
    /// report warns about it.
    pub insecure: Vec<HostPattern>,
}

impl TlsSettings {
    /// Checks the settings and reads the files that they name, as a crawl does before it starts.
    ///
    /// # Errors
    /// Names the file or the setting that is wrong.
    pub fn check(&self) -> Result<()> {
        Tls::new(self).map(drop)
    }
}

/// A certificate for some servers.
///
/// ```
/// use actix_crawler::transport::{ClientCertificate, HostPattern, TlsSettings};
///
/// let certificate = ClientCertificate {
///     host: HostPattern::new("api.example.com"),
///     certificate: "client.pem".into(),
///     key: "client-key.pem".into(),
/// };
/// let tls = TlsSettings { client_certificates: vec![certificate], ..TlsSettings::default() };
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientCertificate {
    /// The hosts that it is presented to.
    pub host: HostPattern,
    /// The PEM file of the certificate and its intermediate authorities.
    pub certificate: PathBuf,
    /// The PEM file of its private key.
    pub key: PathBuf,
}

/// The TLS configuration; all arbiters share it and its resumable sessions.
pub struct Tls {
    plain: Configs,
    with_certificate: Vec<(HostPattern, Configs)>,
}

/// One set of settings, with and without session resumption.
struct Configs {
    direct: Arc<ClientConfig>,
    /// For connections through proxies: no resumption, since a resumed session reveals that two connections have one
    /// owner.
    proxied: Arc<ClientConfig>,
}

/// The most servers whose sessions can be resumed: those of a crawl with 2,000 requests in flight. Each takes its
/// certificates and some tickets, about 8 KiB.
const SERVERS: usize = 2_048;

/// What rustls counts for each server: the most tickets that it keeps.
const SESSIONS_PER_SERVER: usize = 8;

/// The longest PEM file, in bytes. The certificates of all authorities that browsers trust take 200 KiB.
const MAX_PEM: u64 = 16 << 20;

impl Tls {
    /// Reads the files that the settings name.
    ///
    /// # Errors
    /// Names the file or the setting that is invalid.
    pub fn new(settings: &TlsSettings) -> Result<Self> {
        for host in &settings.insecure {
            host.check("tls.insecure")?;
            if host.is_everything() {
                let why = "certificates of every host cannot be left unchecked; name the hosts";
                return Err(Error::setting("tls.insecure", why));
            }
        }
        let provider = Arc::new(ring::default_provider());
        let verifier = Verifier::new(trust(settings)?, provider.clone(), settings.insecure.clone())?;
        let verifier = Arc::new(verifier);
        let plain = Configs::new(&provider, &verifier, None)?;
        let with_certificate = settings
            .client_certificates
            .iter()
            .map(|client| {
                client.host.check("tls.client_certificates.host")?;
                Ok((client.host.clone(), Configs::new(&provider, &verifier, Some(client))?))
            })
            .collect::<Result<_>>()?;
        Ok(Self { plain, with_certificate })
    }

    /// Returns the configuration without a certificate of our own.
    #[cfg(feature = "object-store")]
    pub fn direct(&self) -> Arc<ClientConfig> {
        self.plain.direct.clone()
    }

    /// Negotiates TLS with `host` over a stream that leads there.
    ///
    /// # Errors
    /// [`FetchError::Tls`], with the reason; [`FetchError::Truncated`] where the connection broke.
    pub async fn connect(
        &self,
        stream: Box<dyn Stream>,
        host: &str,
        proxied: bool,
    ) -> Result<TlsStream<Box<dyn Stream>>, FetchError> {
        let host = bare(host);
        // Certificates and SNI name hosts without a trailing dot (RFC 6066 §3).
        let name = ServerName::try_from(host.strip_suffix('.').unwrap_or(host).to_owned())
            .map_err(|_| FetchError::Tls(format!("no certificate can be for a host called {host}")))?;
        let for_host = self.with_certificate.iter().find(|(pattern, _)| pattern.matches(host));
        let configs = for_host.map_or(&self.plain, |(_, configs)| configs);
        let config = if proxied { &configs.proxied } else { &configs.direct };
        let connecting = TlsConnector::from(config.clone()).connect(name, stream);
        connecting.await.map_err(|error| tls_error::handshake(&error, host))
    }
}

impl TlsSettings {
    /// Returns the warnings for the report.
    pub fn warnings(&self) -> impl Iterator<Item = String> + '_ {
        self.insecure.iter().map(|host| {
            format!("TLS certificates of {host} are NOT checked: anyone on the way can read and change what is sent")
        })
    }
}

impl Configs {
    fn new(
        provider: &Arc<CryptoProvider>,
        verifier: &Arc<Verifier>,
        client: Option<&ClientCertificate>,
    ) -> Result<Self> {
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::setting("tls", error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(verifier.clone());
        let mut direct = match client {
            None => builder.with_no_client_auth(),
            Some(client) => {
                let chain = certificates(&client.certificate)?;
                let key = PrivateKeyDer::from_pem_slice(&read(&client.key)?)
                    .map_err(|error| unreadable(&client.key, error, "private key"))?;
                builder.with_client_auth_cert(chain, key).map_err(|error| {
                    let (certificate, key) = (client.certificate.display(), client.key.display());
                    Error::setting("tls.client_certificates", format!("{certificate} with {key}: {error}"))
                })?
            }
        };
        direct.alpn_protocols = vec![b"http/1.1".to_vec()];
        direct.resumption = Resumption::in_memory_sessions(SERVERS * SESSIONS_PER_SERVER);
        let mut proxied = direct.clone();
        proxied.resumption = Resumption::disabled();
        Ok(Self { direct: Arc::new(direct), proxied: Arc::new(proxied) })
    }
}

fn trust(settings: &TlsSettings) -> Result<Trust> {
    let mut trust = Trust { roots: RootCertStore::empty(), certificates: HashSet::new() };
    if settings.system_roots {
        add_system(&mut trust)?;
    } else {
        trust.roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    for file in &settings.ca_files {
        for certificate in certificates(file)? {
            trust.roots.add(certificate.clone()).map_err(|error| {
                Error::setting("tls.ca_files", format!("{} has a broken certificate: {error}", file.display()))
            })?;
            trust.certificates.insert(certificate);
        }
    }
    Ok(trust)
}

#[cfg(feature = "native-roots")]
fn add_system(trust: &mut Trust) -> Result<()> {
    let found = rustls_native_certs::load_native_certs();
    trust.certificates.extend(found.certs.iter().cloned());
    // Some systems include certificates that rustls cannot parse; the others suffice.
    let (added, _) = trust.roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let why = found.errors.first().map_or_else(|| "the system has no roots".to_owned(), ToString::to_string);
        return Err(Error::setting("tls.system_roots", why));
    }
    Ok(())
}

#[cfg(not(feature = "native-roots"))]
fn add_system(_: &mut Trust) -> Result<()> {
    Err(Error::setting("tls.system_roots", "this build has no access to them; build with the feature native-roots"))
}

fn read(file: &Path) -> Result<Vec<u8>> {
    let read = File::open(file).and_then(|file| read_whole(file, MAX_PEM));
    read.map_err(|error| Error::file(file, error))
}

/// Reads a PEM file with at least one certificate.
fn certificates(file: &PathBuf) -> Result<Vec<CertificateDer<'static>>> {
    let certificates = CertificateDer::pem_slice_iter(&read(file)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| unreadable(file, error, "certificate"))?;
    if certificates.is_empty() {
        return Err(unreadable(file, pem::Error::NoItemsFound, "certificate"));
    }
    Ok(certificates)
}

fn unreadable(file: &PathBuf, error: pem::Error, wanted: &str) -> Error {
    use std::io;
    let source = match error {
        pem::Error::Io(error) => error,
        pem::Error::NoItemsFound => {
            io::Error::new(io::ErrorKind::InvalidData, format!("it has no {wanted} in PEM form"))
        }
        other => io::Error::new(io::ErrorKind::InvalidData, other.to_string()),
    };
    Error::file(file, source)
}
