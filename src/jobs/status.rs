//! Job and JobStatus: what a job was asked for, and how far it is. Plain data, which is also a job's file. Knows no
//! crawl.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::SystemTime,
};

use serde::{Deserialize, Serialize};

use crate::{
    stats::{FirstFailure, Progress},
    text::serialized::{as_optional_rfc3339, as_rfc3339, from_optional_rfc3339, from_rfc3339},
};

/// A job as the function sees it that makes its crawl.
///
/// ```
/// use actix_crawler::{jobs::Job, prelude::*};
///
/// fn titles(page: &Response) -> Result<Parsed<String>> {
///     Ok(Parsed::of(page.title().map(str::to_owned)).follow(page.links()))
/// }
///
/// /// The crawl of a job whose parameters are the URL to begin at.
/// fn crawler(job: &Job<String>) -> Crawler<impl Spider + use<>> {
///     Crawler::new(titles, "servicebot/1.0 (+https://example.org/bot)")
///         .seed(job.params())
///         .pipeline(JsonLines::create(job.file("titles.jsonl")))
/// }
/// # drop(crawler);
/// ```
#[derive(Clone, Debug)]
pub struct Job<P> {
    pub(super) id: u64,
    pub(super) tenant: String,
    pub(super) params: P,
    /// The folder of its files.
    pub(super) files: PathBuf,
    /// The folder of its crawl's state.
    pub(super) state: PathBuf,
}

impl<P> Job<P> {
    /// Returns its id, which no other job of the folder has, not even one that was removed.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Returns whose job it is.
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// Returns what it was asked for.
    pub fn params(&self) -> &P {
        &self.params
    }

    /// Returns the folder of its files, which is removed with it. [`Jobs::file`](super::Jobs::file) gives each of them
    /// away; what its crawl needs to go on, such as cookies, is not there.
    pub fn folder(&self) -> &Path {
        &self.files
    }

    /// Returns the path of a file in its folder. The name is the program's own: one of the parameters could lead
    /// elsewhere.
    pub fn file(&self, name: impl AsRef<Path>) -> PathBuf {
        self.files.join(name)
    }
}

/// Returns the folder of the files of the job in a folder.
pub(super) fn files_of(job: &Path) -> PathBuf {
    job.join("files")
}

/// How far a job is. As JSON it is one flat object, which has the same fields from the beginning to the end: those of
/// this struct, and in place of `progress` those of [`Progress`]:
///
/// ```json
/// {
///   "id": 1764515519123, "tenant": "alice", "name": null, "state": "running", "params": "https://shop.example/",
///   "created": "2026-11-30T15:11:59.123Z", "ended": null, "why": null,
///   "ledger": { "discovered": 40, "done": 12, "failed": 0, "dropped": 3, "queued": 24, "leased": 1 },
///   "pages": 12, "files": 0, "bytes": 48211, "items": 9, "elapsed_seconds": 12.5,
///   "domains_active": 1, "domains_cooling": 0,
///   "first_failures": {}
/// }
/// ```
///
/// ```
/// use actix_crawler::jobs::JobStatus;
///
/// fn line(job: &JobStatus<String>) -> String {
///     let why = job.why.as_deref().unwrap_or_default();
///     format!("{} of {}: {:?}, {} pages {why}", job.params, job.tenant, job.state, job.progress.pages)
/// }
/// # drop(line);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct JobStatus<P> {
    /// Its id: when it was given in milliseconds since 1970, or one more than the id before if that is not less. So
    /// later jobs have larger ids, and each is exact in JSON, also for JavaScript.
    pub id: u64,
    /// Whose it is.
    pub tenant: String,
    /// What [`Jobs::start_once`](super::Jobs::start_once) has named it, if it was given so.
    pub name: Option<String>,
    /// Where it is between its beginning and its end.
    pub state: JobState,
    /// What it was asked for.
    pub params: P,
    /// When it was given (as JSON: RFC 3339, UTC).
    #[serde(serialize_with = "as_rfc3339", deserialize_with = "from_rfc3339")]
    pub created: SystemTime,
    /// When it ended.
    #[serde(serialize_with = "as_optional_rfc3339", deserialize_with = "from_optional_rfc3339")]
    pub ended: Option<SystemTime>,
    /// Why it failed, ended before all that it had found, or cannot begin yet.
    pub why: Option<String>,
    /// Its numbers, of all its runs together. After a kill they may lack up to a minute of the run before, until it
    /// goes on.
    #[serde(flatten)]
    pub progress: Progress,
    /// The first URL that failed for each reason, in this process or that in which it ended.
    pub first_failures: BTreeMap<String, FirstFailure>,
}

/// Where a job is between its beginning and its end.
///
/// ```
/// use actix_crawler::jobs::JobState;
///
/// assert!(JobState::Failed.is_over() && !JobState::Waiting.is_over());
/// assert_eq!(serde_json::to_string(&JobState::Running).unwrap(), r#""running""#);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// It waits for a place among those that run.
    Waiting,
    /// It crawls; or it did when the process ended, and goes on with the next.
    Running,
    /// It has done all that it could.
    Finished,
    /// It was stopped before that: by its spider, its handle, or its longest time.
    Stopped,
    /// It was cancelled.
    Cancelled,
    /// It could not begin, or it failed on its way.
    Failed,
}

impl JobState {
    /// Tells whether it is over, unless it is resumed.
    pub fn is_over(self) -> bool {
        !matches!(self, Self::Waiting | Self::Running)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_json_of_a_job_is_flat_and_has_the_fields_that_its_documentation_shows() {
        let text = include_str!("status.rs");
        let shown: String = text.lines().skip_while(|line| *line != "/// ```json").skip(1).fold(
            String::new(),
            |shown, line| match shown.ends_with("/// }\n") {
                true => shown,
                false => shown + line + "\n",
            },
        );
        let shown: Value = serde_json::from_str(&shown.replace("///", "")).unwrap();
        let job: JobStatus<String> = serde_json::from_value(shown.clone()).unwrap();
        assert_eq!(serde_json::to_value(&job).unwrap(), shown);
        assert_eq!((job.progress.pages, &shown["name"]), (12, &json!(null)));
    }
}
