//! Verifier: decides whether a server's certificate is trusted. The rules are webpki's; this adds servers whose own
//! certificate was given as trusted, hosts that are not checked, and a clear error for self-signed certificates.

use std::{collections::HashSet, fmt, sync::Arc};

use tokio_rustls::rustls::{
    CertificateError, DigitallySignedStruct, Error as TlsError, OtherError, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};

use super::host_pattern::HostPattern;
use crate::error::{Error, Result};

/// What is trusted.
pub struct Trust {
    /// Authorities, whose signature is trusted.
    pub roots: RootCertStore,
    /// Certificates that are trusted also where a server presents one as its own.
    pub certificates: HashSet<CertificateDer<'static>>,
}

/// Checks certificates.
#[derive(Debug)]
pub struct Verifier {
    webpki: Arc<WebPkiServerVerifier>,
    trusted: HashSet<CertificateDer<'static>>,
    insecure: Vec<HostPattern>,
}

/// The error for a self-signed certificate that no authority signed.
#[derive(Debug)]
pub struct SelfSigned;

impl fmt::Display for SelfSigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("self-signed")
    }
}

impl std::error::Error for SelfSigned {}

impl Verifier {
    /// Trusts what `trust` says, and any certificate of the `insecure` hosts.
    ///
    /// # Errors
    /// There are no roots.
    pub fn new(trust: Trust, provider: Arc<CryptoProvider>, insecure: Vec<HostPattern>) -> Result<Self> {
        let webpki = WebPkiServerVerifier::builder_with_provider(Arc::new(trust.roots), provider)
            .build()
            .map_err(|error| Error::setting("tls", error.to_string()))?;
        Ok(Self { webpki, trusted: trust.certificates, insecure })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        if self.insecure.iter().any(|host| host.matches(&server_name.to_str())) {
            return Ok(ServerCertVerified::assertion());
        }
        let verified = self.webpki.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            // A certificate with the CA flag fails as `Other`, since webpki lets none serve as a server's. webpki has
            // checked the dates before, and checks the name after it.
            Err(TlsError::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::Other(_))) => {
                if self.trusted.contains(end_entity) {
                    verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                    Ok(ServerCertVerified::assertion())
                } else if is_self_signed(end_entity) {
                    Err(CertificateError::Other(OtherError(Arc::new(SelfSigned))).into())
                } else {
                    verified
                }
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.webpki.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.webpki.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}

/// Tells whether a certificate names itself as its issuer.
fn is_self_signed(certificate: &[u8]) -> bool {
    issuer_and_subject(certificate).is_some_and(|(issuer, subject)| issuer == subject)
}

/// Finds issuer and subject in a certificate (RFC 5280 §4.1).
fn issuer_and_subject(certificate: &[u8]) -> Option<(&[u8], &[u8])> {
    const VERSION: u8 = 0xa0;
    let (_, certificate, _) = element(certificate)?;
    let (_, mut rest, _) = element(certificate)?;
    if rest.first() == Some(&VERSION) {
        rest = element(rest)?.2;
    }
    let (_, _, rest) = element(rest)?; // serial number
    let (_, _, rest) = element(rest)?; // signature algorithm
    let (_, issuer, rest) = element(rest)?;
    let (_, _, rest) = element(rest)?; // validity
    let (_, subject, _) = element(rest)?;
    Some((issuer, subject))
}

/// Splits the first DER element off: its tag, its content, and the rest (X.690 §8.1).
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = bytes.split_first_chunk::<2>()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        if length.len() > 4 {
            return None;
        }
        (length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
    };
    let (held, rest) = rest.split_at_checked(length)?;
    Some((tag, held, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

    use super::*;

    #[test]
    fn a_certificate_that_vouches_for_itself_is_told_from_one_that_has_an_issuer() {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["a.test".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "An Authority");
        let own = params.self_signed(&key).unwrap();
        assert!(is_self_signed(own.der()));
        let issuer = Issuer::new(params, key);
        let leaf = CertificateParams::new(["b.test".to_owned()]).unwrap();
        let leaf = leaf.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
        assert!(!is_self_signed(leaf.der()));
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_a_certificate(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            is_self_signed(&bytes);
        }
    }
}
