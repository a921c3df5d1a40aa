//! ServerAddress: the URL of a PostgreSQL database, as libpq reads it, with what is asked of TLS. Opens nothing.

use std::{path::PathBuf, time::Duration};

use tokio_postgres::{Config, config::SslMode};

use crate::error::Error;

/// How long a server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long what was sent may be unanswered by the other machine's network, and a connection idle before it is asked
/// whether it is there: a server that vanished is noticed after that.
const SILENCE: Duration = Duration::from_secs(30);

/// Where the password is, if the URL has none; libpq's name for it.
const PASSWORD: &str = "PGPASSWORD";

/// A database, and how it is reached.
pub(super) struct ServerAddress {
    pub config: Config,
    pub trust: ServerTrust,
}

/// Whose certificate is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ServerTrust {
    /// Any: what is sent is encrypted, and who is there is not known. This is `prefer` and `require`, as in libpq.
    Anyone,
    /// One for the host of the URL, signed by an authority of the file, or by one that Mozilla trusts. This is
    /// `verify-full`.
    Host(Option<PathBuf>),
}

impl ServerAddress {
    /// Reads a URL.
    ///
    /// # Errors
    /// It is no URL of a database; the message, of which `wrong` makes the error, does not show it.
    pub fn of(url: &str, wrong: &dyn Fn(String) -> Error) -> Result<Self, Error> {
        let (url, verify, roots) = own_options(url);
        let mut config: Config = url.parse().map_err(|error| {
            let why = std::error::Error::source(&error).map_or_else(|| "unknown".to_owned(), ToString::to_string);
            wrong(format!(
                "that is no URL of a database ({why}); write it like postgres://user@host:5432/database, with %XX for \
                 special characters of a password"
            ))
        })?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(wrong("it names no host; write it like postgres://user@host/database".to_owned()));
        }
        if config.get_password().is_none()
            && let Some(password) = std::env::var_os(PASSWORD)
        {
            config.password(password.as_encoded_bytes());
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(SILENCE).keepalives_idle(SILENCE);
        }
        if config.get_application_name().is_none() {
            config.application_name("actix-crawler");
        }
        let trust = match verify.as_deref() {
            Some("verify-full") => ServerTrust::Host(roots),
            Some(_) => return Err(wrong("sslmode=verify-ca is not known; write sslmode=verify-full".to_owned())),
            None if roots.is_some() => return Err(wrong("sslrootcert needs sslmode=verify-full beside it".to_owned())),
            None => ServerTrust::Anyone,
        };
        if verify.is_some() {
            config.ssl_mode(SslMode::Require);
        }
        Ok(Self { config, trust })
    }
}

/// Takes out what only libpq knows: `sslmode=verify-…` and `sslrootcert`.
fn own_options(url: &str) -> (String, Option<String>, Option<PathBuf>) {
    let after_user = url.rfind('@').map_or(0, |at| at + 1);
    let options = url.get(after_user..).and_then(|rest| Some(after_user + rest.find('?')?));
    let Some((before, options)) = options.and_then(|at| url.split_at_checked(at)) else {
        return (url.to_owned(), None, None);
    };
    let (mut verify, mut roots, mut others) = (None, None, Vec::new());
    for option in options.trim_start_matches('?').split('&') {
        match option.split_once('=') {
            Some(("sslmode", mode)) if mode.starts_with("verify") => verify = Some(mode.to_owned()),
            Some(("sslrootcert", path)) => {
                let path = percent_encoding::percent_decode_str(path).decode_utf8_lossy().into_owned();
                roots = Some(PathBuf::from(path));
            }
            _ => others.push(option),
        }
    }
    let mark = if others.is_empty() { "" } else { "?" };
    (format!("{before}{mark}{}", others.join("&")), verify, roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(url: &str) -> Result<ServerAddress, Error> {
        ServerAddress::of(url, &|why| Error::setting("the database", why))
    }

    #[test]
    fn options_of_tls_are_those_of_libpq() {
        for (url, mode, trust) in [
            ("postgres://u:p@h/d", SslMode::Prefer, ServerTrust::Anyone),
            ("postgres://u:p@h/d?sslmode=disable", SslMode::Disable, ServerTrust::Anyone),
            ("postgres://u:p@h/d?sslmode=require&connect_timeout=3", SslMode::Require, ServerTrust::Anyone),
            ("postgres://u:p@h/d?sslmode=verify-full", SslMode::Require, ServerTrust::Host(None)),
            (
                "postgres://h/d?sslrootcert=/a%20b.pem&user=u&sslmode=verify-full",
                SslMode::Require,
                ServerTrust::Host(Some("/a b.pem".into())),
            ),
        ] {
            let address = address(url).unwrap();
            assert_eq!((address.config.get_ssl_mode(), address.trust), (mode, trust), "{url}");
            assert_eq!(address.config.get_dbname(), Some("d"), "{url}");
        }
    }

    #[test]
    fn a_wrong_url_is_refused_without_its_password() {
        for url in [
            "postgres://u:sekret@h:port/d",
            "postgres://u:sekret@h/d?sslmode=verify-ca",
            "postgres://u:sekret@h/d?sslmode=sekret",
            "postgres://u:sekret@h/d?sslrootcert=/a.pem",
            "postgres://u:sekret@h/d?sekret=1",
            "postgres://u:%zzsekret@h/d",
        ] {
            if let Err(error) = address(url) {
                assert!(!error.to_string().contains("sekret@"), "{error}");
            } else {
                assert!(url.contains("%zz"), "{url}");
            }
        }
    }
}
