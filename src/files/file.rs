//! File: one file that is to be downloaded, and what became of it. Knows no network and no folder.

use std::{any::Any, error::Error};

use serde::{Deserialize, Serialize};
use url::Url;

use crate::extract::FromText;

/// A file of an item or a page: its URL, and after the download where it is.
///
/// As a field of an item it is filled in before the item goes to the pipelines; see
/// [`Crawler::files_of`](crate::Crawler::files_of). In JSON it has the names that it has in Scrapy: `url`, `path`,
/// `checksum` and `status`; beside them `size`, `type` and `error`. All of them are always there, so that a table has
/// the same columns whether a file came or not.
///
/// ```
/// use actix_crawler::files::{File, FileStatus};
/// use url::Url;
///
/// let manual = File::at(Url::parse("https://example.org/get?id=7")?).named("manuals/7.pdf");
/// assert_eq!((manual.status, manual.path.as_deref()), (FileStatus::Wanted, None));
/// # Ok::<(), url::ParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct File {
    /// Where it is downloaded from.
    pub url: Url,
    /// Where it is in the folder of files, with `/` between the parts; `None` if it is not there.
    pub path: Option<String>,
    /// The SHA-256 of its bytes: `sha256:` and 64 hexadecimal digits.
    pub checksum: Option<String>,
    /// What became of it.
    pub status: FileStatus,
    /// Its length in bytes.
    #[serde(default)]
    pub size: Option<u64>,
    /// Its type, such as `image/png`: by its first bytes if they tell, else as the server says.
    #[serde(default, rename = "type")]
    pub media_type: Option<String>,
    /// Why it could not be had, as in the crawl log: `status: 404`.
    #[serde(default)]
    pub error: Option<String>,
    /// The name that it is to have; none any more when something has become of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
}

/// What became of a [`File`].
///
/// ```
/// use actix_crawler::files::FileStatus;
///
/// assert!(FileStatus::Uptodate.is_there() && !FileStatus::Failed.is_there());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FileStatus {
    /// Nothing yet: no crawl has looked for it.
    #[default]
    Wanted,
    /// It was downloaded.
    Downloaded,
    /// It was there already, and is still the same as far as its age or the server tells.
    Uptodate,
    /// It could not be had, or is not wanted; see [`File::error`].
    Failed,
}

impl FileStatus {
    /// Tells whether the file is in the folder.
    pub fn is_there(self) -> bool {
        matches!(self, Self::Downloaded | Self::Uptodate)
    }
}

impl File {
    /// Asks for the file at `url`, under the name that the [settings](super::Files::name) give it.
    pub fn at(mut url: Url) -> Self {
        url.set_fragment(None);
        Self {
            url,
            path: None,
            checksum: None,
            status: FileStatus::Wanted,
            size: None,
            media_type: None,
            error: None,
            name: None,
        }
    }

    /// Sets its path in the folder of files: `manuals/7.pdf`. What could lead out of the folder, or is no name on some
    /// system, is replaced; if another file has the name already, a part of the checksum is added to it.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }
}

impl From<Url> for File {
    fn from(url: Url) -> Self {
        Self::at(url)
    }
}

impl FromText for File {
    /// Reads an absolute URL.
    fn from_text(text: &str) -> Result<Self, Box<dyn Error + Send + Sync>> {
        Url::from_text(text).map(Self::at)
    }

    fn as_file(&mut self) -> Option<&mut dyn Any> {
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_with_the_names_of_scrapy_and_read_back() {
        let mut file = File::at("https://e.org/a.png#top".parse().unwrap());
        let wanted = r#"{"url":"https://e.org/a.png","path":null,"checksum":null,"status":"wanted","size":null,"type":null,"error":null}"#;
        assert_eq!(serde_json::to_string(&file).unwrap(), wanted);
        assert_eq!(serde_json::from_str::<File>(wanted).unwrap(), file);
        let of_scrapy = r#"{"url":"https://e.org/a.png","path":null,"checksum":null,"status":"wanted"}"#;
        assert_eq!(serde_json::from_str::<File>(of_scrapy).unwrap(), file);
        (file.status, file.error) = (FileStatus::Failed, Some("status: 404".into()));
        let read: File = serde_json::from_str(&serde_json::to_string(&file).unwrap()).unwrap();
        assert_eq!(read, file);
    }
}
