//! FeedTarget: where a feed goes, by its name. Opens nothing.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use url::Url;

use crate::{error::Error, text::masked::masked};

/// Where a feed goes.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum FeedTarget {
    Stdout,
    File(PathBuf),
    /// A database, with the password that may be in its URL.
    Postgres(String),
    Bucket(Location),
}

/// The place of an object, or of several by its placeholders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    pub scheme: Scheme,
    pub bucket: String,
    pub key: String,
}

/// The stores in which objects are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// S3, and what has its interface.
    S3,
    /// Google Cloud Storage.
    Gs,
    /// Azure's Blob Storage.
    Az,
}

impl Scheme {
    /// Returns it as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Gs => "gs",
            Self::Az => "az",
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, bucket, key } = self;
        write!(f, "{}://{bucket}/{key}", scheme.as_str())
    }
}

impl fmt::Display for FeedTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout => f.write_str("stdout"),
            Self::File(path) => path.display().fmt(f),
            Self::Postgres(url) => f.write_str(&database(url)),
            Self::Bucket(location) => location.fmt(f),
        }
    }
}

impl FeedTarget {
    /// Reads a name: `-`, a path, or a URL.
    ///
    /// # Errors
    /// The URL's scheme is unknown, or needs a feature.
    pub fn of(name: &Path) -> Result<Self, Error> {
        if name.as_os_str() == "-" {
            return Ok(Self::Stdout);
        }
        let Some((text, scheme)) = name.to_str().and_then(|text| Some((text, scheme_of(text)?))) else {
            return Ok(Self::File(name.to_owned()));
        };
        let refuse = |why: String| Err(Error::setting(masked(text), why));
        match scheme.to_ascii_lowercase().as_str() {
            "file" => match Url::parse(text).ok().and_then(|url| url.to_file_path().ok()) {
                Some(path) => Ok(Self::File(path)),
                None => refuse("it names no file of this machine; write file:///folder/items.jsonl".to_owned()),
            },
            "s3" | "gs" | "az" if !cfg!(feature = "object-store") => {
                refuse("a bucket needs the feature `object-store`".to_owned())
            }
            "s3" => Location::of(Scheme::S3, text),
            "gs" => Location::of(Scheme::Gs, text),
            "az" => Location::of(Scheme::Az, text),
            "postgres" | "postgresql" => Ok(Self::Postgres(text.to_owned())),
            scheme => refuse(format!(
                "nothing can be written to {scheme}://; write a path, `-`, or a URL with file, s3, gs, az or postgres"
            )),
        }
    }
}

impl Location {
    fn of(scheme: Scheme, text: &str) -> Result<FeedTarget, Error> {
        let (_, rest) = text.split_once("://").unwrap_or_default();
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        let is_key = key.split('/').all(|part| !matches!(part, "" | "." | ".."));
        if bucket.is_empty() || bucket.contains(['{', '}', '@', ':']) || !is_key {
            let why = format!("it names no object of a bucket; write {}://bucket/items.jsonl", scheme.as_str());
            // Credentials do not belong there, and are not shown.
            let shown = if rest.contains('@') { format!("{}://…", scheme.as_str()) } else { text.to_owned() };
            return Err(Error::setting(shown, why));
        }
        Ok(FeedTarget::Bucket(Self { scheme, bucket: bucket.to_owned(), key: key.to_owned() }))
    }
}

/// Tells whether a name is the URL of a PostgreSQL database.
pub(super) fn is_postgres(name: &Path) -> bool {
    let scheme = name.to_str().and_then(scheme_of);
    scheme.is_some_and(|scheme| ["postgres", "postgresql"].iter().any(|known| known.eq_ignore_ascii_case(scheme)))
}

/// Returns a name as it may be shown: without the user and the password of a database.
pub(super) fn shown(name: &Path) -> String {
    match name.to_str() {
        Some(url) if is_postgres(name) => database(url),
        _ => name.display().to_string(),
    }
}

/// Returns server and database of a URL, without user, password and options.
fn database(url: &str) -> String {
    // Anything that may contain a password is left out: an unescaped character may be part of one.
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (server, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let is_plain = server.matches('@').count() <= 1 && !tail.contains('@');
    match Url::parse(url) {
        Ok(url) if is_plain && url.has_host() => {
            let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
            format!("postgres://{}{port}{}", url.host_str().unwrap_or_default(), url.path())
        }
        _ => "postgres://…".to_owned(),
    }
}

/// Returns the scheme of a URL; `None` for a path.
fn scheme_of(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once("://")?;
    let is_scheme = scheme.chars().all(|sign| sign.is_ascii_alphanumeric() || matches!(sign, '+' | '-' | '.'));
    (scheme.starts_with(|sign: char| sign.is_ascii_alphabetic()) && is_scheme).then_some(scheme)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_of_a_database_is_shown() {
        for (url, expected) in [
            ("postgres://me:sekret@db.example:5433/shop", "postgres://db.example:5433/shop"),
            ("postgresql://db/shop?password=sekret&user=me", "postgres://db/shop"),
            ("postgres://me:se?kret@db/shop", "postgres://…"),
            ("postgres://me:se@kret@db/shop", "postgres://…"),
            ("postgres://me:5/kret@db/shop", "postgres://…"),
            ("postgres://db/shop?password=sek@ret", "postgres://…"),
            ("POSTGRES://me:sekret@[::1]/shop", "postgres://[::1]/shop"),
            ("postgres:///shop?host=/run/postgresql&password=sekret", "postgres://…"),
        ] {
            let target = FeedTarget::of(Path::new(url)).ok().unwrap();
            assert_eq!(target.to_string(), expected);
            let feed = format!("{:?}", crate::feed::Feed::to(url));
            assert!(feed.contains(expected) && !feed.contains("kret"), "{feed}");
        }
    }
}
