//! Files: the folder of a crawl's files, their names, and which files are wanted. Knows no network.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{error::Error, text::durations};

/// Where the files of a crawl go, what they are called, and which are wanted; the table `[files]` of a file of
/// settings.
///
/// ```
/// use actix_crawler::{files::Files, prelude::*};
///
/// let images = Files { types: vec!["image/*".into()], max_size: 20 << 20, ..Files::to("images") };
/// # fn with(crawler: Crawler<fn(&Response) -> Result<Parsed<String>>>, images: Files) {
/// let crawler = crawler.files(images);
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Files {
    /// The folder. Without one no file is downloaded, and a page that asks for one fails.
    pub dir: Option<PathBuf>,
    /// The path of a file in the folder, unless it is [named](super::File::named). `full/{hash}{ext}` by default: a
    /// file has the name of its content, so the same one from two URLs is there once. `{hash}` is its SHA-256, `{ext}`
    /// its ending with the dot, by its type or else its URL, `{host}` the host of its URL, and `{name}` the last part
    /// of the URL's path without its ending.
    pub name: String,
    /// The most bytes of one file; 1 GiB by default, as in Scrapy. A larger one fails.
    pub max_size: u64,
    /// The types of files that are wanted, such as `image/*` or `application/pdf`; all if there are none. The type of a
    /// file is what its first bytes say, or else what the server says; others fail.
    pub types: Vec<String>,
    /// How long a file that is there is not asked for again; 90 days by default, as in Scrapy. After that it is
    /// requested with its ETag and its date, so that the server need not send it if it is the same. 0 asks in every
    /// run, and in one that goes on for longer each day.
    #[serde(with = "durations")]
    pub expires: Duration,
    /// The longest that one download may take; an hour by default. The time-out of a whole page would cut large files
    /// off, and the lowest rate of a body holds in any case. A file also fails if its domain asks for a longer wait
    /// than this.
    #[serde(with = "durations")]
    pub max_time: Duration,
    /// The most files of one page; 10,000 by default, the most links that are read. The page fails beyond.
    pub max_per_page: usize,
    /// The most pages that wait for their files, with their items in memory, before no further page is requested; 1,000
    /// by default.
    pub max_waiting_pages: usize,
}

impl Default for Files {
    fn default() -> Self {
        Self {
            dir: None,
            name: "full/{hash}{ext}".to_owned(),
            max_size: 1 << 30,
            types: Vec::new(),
            expires: Duration::from_secs(90 * 24 * 3_600),
            max_time: Duration::from_secs(3_600),
            max_per_page: 10_000,
            max_waiting_pages: 1_000,
        }
    }
}

/// What a name may be made of.
const PLACES: [&str; 4] = ["{hash}", "{ext}", "{host}", "{name}"];

impl Files {
    /// Downloads files to a folder, which is made if it is not there.
    pub fn to(dir: impl Into<PathBuf>) -> Self {
        Self { dir: Some(dir.into()), ..Self::default() }
    }

    /// Checks that the settings can be met.
    ///
    /// # Errors
    /// Names the setting, and says what to write.
    pub fn check(&self) -> Result<(), Error> {
        let first = self.wrong().into_iter().next();
        first.map_or(Ok(()), |(key, why)| Err(Error::setting(format!("files.{key}"), why)))
    }

    /// Returns what cannot be met, with its key.
    pub(crate) fn wrong(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        if self.dir.as_ref().is_some_and(|dir| dir.as_os_str().is_empty()) {
            found.push(("dir", "it is empty; write a folder, such as `files`".to_owned()));
        }
        let rest = PLACES.iter().fold(self.name.clone(), |name, place| name.replace(place, ""));
        if rest.contains(['{', '}']) || self.name.trim_matches(['/', ' ']).is_empty() {
            found.push(("name", format!("`{}` is no name; it may have {}", self.name, PLACES.join(", "))));
        }
        if let Some(wrong_type) = self.types.iter().find(|wanted| !is_type(wanted)) {
            found.push(("types", format!("`{wrong_type}` is no type; write image/* or application/pdf")));
        }
        for (key, most) in [
            ("max_size", self.max_size),
            ("max_per_page", self.max_per_page as u64),
            ("max_waiting_pages", self.max_waiting_pages as u64),
        ] {
            if most == 0 {
                found.push((key, "a limit of 0 allows nothing; leave the folder out to download no files".to_owned()));
            }
        }
        if self.max_time.is_zero() {
            found.push(("max_time", "a limit of 0 allows nothing; write it like \"1h\"".to_owned()));
        }
        found
    }

    /// Tells whether files of this type are wanted.
    pub(crate) fn wants(&self, media_type: &str) -> bool {
        let matches = |wanted: &String| match wanted.strip_suffix("/*") {
            Some(family) => media_type.split('/').next().is_some_and(|of| of.eq_ignore_ascii_case(family)),
            None => wanted.eq_ignore_ascii_case(media_type),
        };
        self.types.is_empty() || self.types.iter().any(matches)
    }
}

impl From<&str> for Files {
    fn from(dir: &str) -> Self {
        Self::to(dir)
    }
}

impl From<String> for Files {
    fn from(dir: String) -> Self {
        Self::to(dir)
    }
}

impl From<PathBuf> for Files {
    fn from(dir: PathBuf) -> Self {
        Self::to(dir)
    }
}

impl From<&std::path::Path> for Files {
    fn from(dir: &std::path::Path) -> Self {
        Self::to(dir)
    }
}

fn is_type(text: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-+._!#$&^".contains(&byte))
    };
    text.split_once('/').is_some_and(|(family, kind)| is_word(family) && (kind == "*" || is_word(kind)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_met_is_refused_with_its_key() {
        let refused = |files: Files| files.check().unwrap_err().to_string();
        assert!(Files::to("here").check().is_ok() && Files::default().check().is_ok());
        assert!(refused(Files { name: "{host}/{id}".into(), ..Files::to("a") }).starts_with("files.name"));
        assert!(refused(Files { name: " / ".into(), ..Files::to("a") }).starts_with("files.name"));
        assert!(refused(Files { types: vec!["images".into()], ..Files::to("a") }).starts_with("files.types"));
        assert!(refused(Files { max_size: 0, ..Files::to("a") }).starts_with("files.max_size"));
        assert!(refused(Files { max_waiting_pages: 0, ..Files::to("a") }).starts_with("files.max_waiting_pages"));
        assert!(refused(Files::to("")).starts_with("files.dir"));
    }

    #[test]
    fn types_are_wanted_by_family_or_by_name() {
        let wants = |types: &[&str], media_type| {
            Files { types: types.iter().map(|&wanted| wanted.to_owned()).collect(), ..Files::default() }
                .wants(media_type)
        };
        assert!(
            wants(&[], "text/html")
                && wants(&["image/*"], "IMAGE/PNG")
                && wants(&["application/pdf"], "application/pdf")
        );
        assert!(!wants(&["image/*"], "imagery/png") && !wants(&["image/*"], "text/html") && !wants(&["image/*"], ""));
    }
}
