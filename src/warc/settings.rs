//! Warc: what is archived where. Does not know how.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// An archive in the WARC format: each request and response as it was on the wire, in files of one folder.
///
/// ```
/// use actix_crawler::{prelude::*, warc::Warc};
///
/// let titles = |page: &Response| Ok(Parsed::of(page.title().map(str::to_owned)).follow(page.links()));
/// let crawler = Crawler::new(titles, "archivebot/1.0 (+https://example.org/bot)")
///     .seed("https://example.org/")
///     .archive(Warc::to("archive").info("operator", "The Example Library"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Warc {
    /// The folder. It is created if it does not exist.
    pub dir: PathBuf,
    /// How files are named. `{time}` becomes the time when a file is begun, as 17 digits, and `{serial}` its number in
    /// this run, as 5 digits.
    #[serde(default = "default_file_name")]
    pub file_name: String,
    /// The size at which a file is closed and the next one begun; 1 GB by default, as web archives recommend. A file is
    /// larger only where a single response is.
    #[serde(default = "default_max_bytes")]
    pub max_bytes: u64,
    /// Whether request records keep what identifies who asks: `Authorization`, `Cookie`, and headers whose name looks
    /// like a secret. Not by default: in place of their values the archive has `[left out]`.
    #[serde(default)]
    pub keeps_credentials: bool,
    /// Fields for the first record of each file, beside those about the software: `operator`, `isPartOf`,
    /// `description`.
    #[serde(default)]
    pub info: BTreeMap<String, String>,
}

fn default_file_name() -> String {
    "crawl-{time}-{serial}.warc.gz".to_owned()
}

fn default_max_bytes() -> u64 {
    1_000_000_000
}

impl Warc {
    /// Archives in a folder.
    pub fn to(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            file_name: default_file_name(),
            max_bytes: default_max_bytes(),
            keeps_credentials: false,
            info: BTreeMap::new(),
        }
    }

    /// Names files by another template: see [`Warc::file_name`](field@Warc::file_name).
    #[must_use]
    pub fn file_name(mut self, template: impl Into<String>) -> Self {
        self.file_name = template.into();
        self
    }

    /// Sets the size at which the next file is begun.
    #[must_use]
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Keeps passwords, tokens and cookies in request records, as they were on the wire.
    #[must_use]
    pub fn keep_credentials(mut self) -> Self {
        self.keeps_credentials = true;
        self
    }

    /// Adds a field to the first record of each file.
    #[must_use]
    pub fn info(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.info.insert(name.into(), value.into());
        self
    }

    /// Checks what the types cannot enforce.
    ///
    /// # Errors
    /// Names the setting, and says what to write.
    pub(crate) fn check(&self) -> Result<()> {
        let refuse = |what: &str, why: &str| Err(Error::setting(format!("transport.archive.{what}"), why));
        let name = &self.file_name;
        let is_file_name = name.ends_with(".warc.gz") && !name.starts_with('.') && !name.contains(['/', '\\', '\0']);
        let unknown = name.replace("{time}", "").replace("{serial}", "");
        if !is_file_name || !name.contains("{serial}") || unknown.contains(['{', '}']) {
            return refuse(
                "file_name",
                "write a name with {serial} in it, and {time} if you like, that ends in .warc.gz",
            );
        }
        let is_field = |name: &String| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        match self.info.keys().find(|name| !is_field(name)) {
            Some(name) => refuse("info", &format!("`{name}` is no name of a field; write letters, as operator")),
            None => Ok(()),
        }
    }
}
