//! JobSite: jobs that crawl the hosts of a recorder, and what their tests ask of them.

#![allow(dead_code, reason = "each test takes what it needs")]

use std::{fs, path::Path, time::Duration};

use actix_crawler::{
    Conducts,
    jobs::{Job, JobState, JobStatus, Jobs, JobsBuilder},
    prelude::*,
};

use crate::{
    crawls::{CONTACT, Links, links, until},
    recorder::{Answer, Recorder},
};

pub const PAGES: usize = 20;

/// Twenty pages in a row at each host, of which one is missing.
pub fn site(after: Duration) -> Recorder {
    Recorder::start(move |asked| match asked.path[1..].parse::<usize>() {
        Ok(n) if n < PAGES => Answer::page([format!("/{}", n + 1), "/gone".to_owned()]).after(after),
        _ => Answer::status(404),
    })
}

/// A job is the host to crawl.
pub fn open(folder: &Path, site: &Recorder, max_running: usize) -> Result<Jobs<String>> {
    open_with(Jobs::builder(folder).max_running(max_running).max_jobs(5), site)
}

/// As [`open`], with other bounds.
pub fn open_with(builder: JobsBuilder<String>, site: &Recorder) -> Result<Jobs<String>> {
    let (rule, conducts) = (site.rule(), Conducts::new());
    builder.open(move |job: &Job<String>| {
        assert_ne!(job.params(), "panic", "over this job");
        Crawler::new(links as Links, CONTACT)
            .conducts(&conducts)
            .resolve(&rule)
            .allow_private()
            .ignore_robots()
            .rate(Rate::UNLIMITED)
            .threads(2)
            .seed(format!("http://{}/0", job.params()))
            .pipeline(JsonLines::create(job.file("urls.jsonl")))
    })
}

pub async fn state(jobs: &Jobs<String>, tenant: &str, id: u64) -> JobState {
    jobs.status(tenant, id).await.unwrap().state
}

pub async fn lines(jobs: &Jobs<String>, job: &JobStatus<String>) -> Vec<String> {
    let file = jobs.file(&job.tenant, job.id, "urls.jsonl").await.unwrap();
    fs::read_to_string(file).unwrap().lines().map(str::to_owned).collect()
}

/// Opens jobs whose last handle was dropped a moment ago.
pub async fn reopened(folder: &Path, site: &Recorder, max_running: usize) -> Jobs<String> {
    let mut jobs = None;
    until("the folder is free", async || {
        jobs = open(folder, site, max_running).ok();
        jobs.is_some()
    })
    .await;
    jobs.unwrap()
}
