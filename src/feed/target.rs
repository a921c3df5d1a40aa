//! Target: where a feed goes, by its name. Opens nothing.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use url::Url;

use crate::error::Error;

/// Where a feed goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Stdout,
    File(PathBuf),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout => f.write_str("stdout"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

impl Target {
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
        let refuse = |why: String| Err(Error::setting(text, why));
        match scheme.to_ascii_lowercase().as_str() {
            "file" => match Url::parse(text).ok().and_then(|url| url.to_file_path().ok()) {
                Some(path) => Ok(Self::File(path)),
                None => refuse("it names no file of this machine; write file:///folder/items.jsonl".to_owned()),
            },
            "s3" | "gs" | "az" => refuse("a bucket needs the feature `object-store`".to_owned()),
            "postgres" | "postgresql" => refuse("a table of PostgreSQL needs the feature `postgres`".to_owned()),
            scheme => refuse(format!(
                "nothing can be written to {scheme}://; write a path, `-`, or a URL with file, s3, gs, az or postgres"
            )),
        }
    }
}

/// Returns the scheme of a URL; `None` for a path.
fn scheme_of(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once("://")?;
    let is_scheme = scheme.chars().all(|sign| sign.is_ascii_alphanumeric() || matches!(sign, '+' | '-' | '.'));
    (scheme.starts_with(|sign: char| sign.is_ascii_alphabetic()) && is_scheme).then_some(scheme)
}
