//! TLS errors: describes what is wrong and what to do about it.

use std::{io, time::Duration};

use tokio_rustls::rustls::{CertificateError, Error as TlsError, InvalidMessage, pki_types::UnixTime};

use super::tls_verifier::SelfSigned;
use crate::outcome::FetchError;

/// Tells why the handshake with `host` failed. What the two sides find wrong with each other they will find again; a
/// connection that broke has told nothing of that.
pub fn handshake(error: &io::Error, host: &str) -> FetchError {
    FetchError::Tls(match of_tls(error) {
        Some(TlsError::InvalidCertificate(error)) => certificate(error, host),
        Some(TlsError::InvalidMessage(InvalidMessage::InvalidContentType)) => {
            format!("{host} answers something other than TLS on this port; is the URL http://?")
        }
        Some(error @ TlsError::AlertReceived(_)) => refusal(error),
        Some(error) => error.to_string(),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            let why = format!("{host} closed the connection instead of speaking TLS; is the URL http://?");
            return FetchError::Truncated(why);
        }
        None => return FetchError::Truncated(format!("the connection broke during the TLS handshake: {error}")),
    })
}

/// Describes what a server rejected after the handshake, such as a missing client certificate; `None` for any other
/// error.
pub fn refused(error: &io::Error) -> Option<String> {
    of_tls(error).filter(|error| matches!(error, TlsError::AlertReceived(_))).map(refusal)
}

/// Tells whether a response begins with a TLS record, an alert or a handshake message (RFC 8446 §5.1).
pub fn looks_like_tls(answer: &[u8]) -> bool {
    matches!(answer, [0x15 | 0x16, 0x03, 0x00..=0x04, ..])
}

fn of_tls(error: &io::Error) -> Option<&TlsError> {
    error.get_ref()?.downcast_ref()
}

fn refusal(error: &TlsError) -> String {
    match error {
        TlsError::AlertReceived(alert) => format!("the server refused: {alert:?}"),
        other => other.to_string(),
    }
}

fn certificate(error: &CertificateError, host: &str) -> String {
    use CertificateError as E;
    let is = match error {
        E::ExpiredContext { not_after, .. } => format!("expired on {}", date(*not_after)),
        E::Expired => "expired".to_owned(),
        E::NotValidYetContext { not_before, .. } => {
            format!("not valid before {}; is this machine's clock right?", date(*not_before))
        }
        E::NotValidYet => "not yet valid; is this machine's clock right?".to_owned(),
        E::NotValidForNameContext { presented, .. } => format!("for {}, not for this name", names(presented)),
        E::NotValidForName => "for another name".to_owned(),
        E::UnknownIssuer => "from an unknown issuer, or its server left out the certificates between; trust the \
                             issuer with tls.ca_files"
            .to_owned(),
        E::BadSignature => "not signed by the issuer that it names".to_owned(),
        E::Revoked => "revoked".to_owned(),
        E::Other(other) if other.0.is::<SelfSigned>() => {
            "self-signed; trust it with tls.ca_files, or name the host in tls.insecure".to_owned()
        }
        other => format!("not acceptable: {other}"),
    };
    format!("the certificate of {host} is {is}")
}

fn date(time: UnixTime) -> String {
    humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + Duration::from_secs(time.as_secs())).to_string()
}

/// The names in a certificate, which rustls formats as `DnsName("example.org")`; a certificate can have hundreds.
fn names(presented: &[String]) -> String {
    const MAX_NAMES: usize = 5;
    let plain = |name: &String| {
        let name = name.split_once('(').map_or(name.as_str(), |(_, name)| name);
        name.trim_matches([')', '"']).to_owned()
    };
    match presented.len() {
        0 => "no name".to_owned(),
        some => {
            let shown = presented.iter().take(MAX_NAMES).map(plain).collect::<Vec<_>>().join(", ");
            if some > MAX_NAMES { format!("{shown} and {} more", some - MAX_NAMES) } else { shown }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_in_tls_to_a_question_in_plain_http_is_seen() {
        assert!(looks_like_tls(&[0x15, 3, 3, 0, 2, 2, 70]));
        assert!(!looks_like_tls(b"HTTP/1.1 200 OK"));
        assert!(!looks_like_tls(&[0x15]));
    }

    #[test]
    fn names_are_read_as_people_write_them() {
        let presented = ["DnsName(\"a.test\")", "IpAddress(127.0.0.1)"].map(str::to_owned);
        assert_eq!(names(&presented), "a.test, 127.0.0.1");
        assert!(names(&vec!["DnsName(\"x\")".to_owned(); 9]).ends_with("and 4 more"));
    }
}
