//! JobTable: the jobs of a folder, on disk and in memory, and which of them is next to begin. Runs nothing.

use std::{
    collections::{BTreeMap, btree_map::ValuesMut},
    ops::Bound,
    path::PathBuf,
};

use futures_util::future::join_all;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    JobState, JobStatus,
    entry::JobEntry,
    folder::{JobsFolder, check_name, check_tenant},
    run,
    status::files_of,
};
use crate::{
    clock,
    error::{Error, Result},
    handle::CrawlHandle,
    stats::Progress,
};

/// The jobs of a folder.
pub(super) struct JobTable<P> {
    folder: JobsFolder,
    bounds: JobBounds,
    jobs: BTreeMap<u64, JobEntry<P>>,
    /// The last number that was given.
    last_number: u64,
}

/// How many jobs there may be.
#[derive(Clone, Copy)]
pub(super) struct JobBounds {
    /// The most of all.
    pub all: usize,
    /// The most of one tenant.
    pub of_tenant: usize,
}

impl<P: Serialize + DeserializeOwned + Clone + Send + Sync + 'static> JobTable<P> {
    /// Opens the jobs of a folder. Those that are not over wait. Returns also what is left of jobs that were removed.
    ///
    /// # Errors
    /// The folder cannot be used, or one of its records cannot be read.
    pub fn open(mut folder: JobsFolder, bounds: JobBounds) -> Result<(Self, Vec<PathBuf>)> {
        let opened = folder.read::<P>()?;
        let waiting = |mut status: JobStatus<P>| {
            if !status.state.is_over() {
                status.state = JobState::Waiting;
            }
            (status.id, JobEntry::new(status, 0))
        };
        let jobs = opened.records.into_iter().map(waiting).collect();
        Ok((Self { folder, bounds, jobs, last_number: 0 }, opened.leftovers))
    }

    /// Returns the job of a tenant that has this name.
    ///
    /// # Errors
    /// The name of the tenant or of the job is none.
    pub fn named(&self, tenant: &str, name: Option<&String>) -> Result<Option<&JobEntry<P>>> {
        check_tenant(tenant)?;
        let Some(name) = name else { return Ok(None) };
        check_name(name)?;
        Ok(self.of(tenant).find(|entry| entry.status.name.as_ref() == Some(name)))
    }

    /// Adds a job, which waits. Returns its id.
    ///
    /// # Errors
    /// There are too many, or it cannot be stored.
    pub fn add(&mut self, tenant: String, name: Option<String>, params: P) -> Result<u64> {
        self.check_room(&tenant)?;
        let status = JobStatus {
            id: self.folder.new_id()?,
            tenant,
            name,
            state: JobState::Waiting,
            params,
            created: clock::wall(),
            ended: None,
            why: None,
            progress: Progress::default(),
            first_failures: BTreeMap::new(),
        };
        // Parameters that panic when they are cloned do it here, before there is a job.
        let id = status.clone().id;
        self.folder.add(&status)?;
        let number = self.next_number();
        self.jobs.insert(id, JobEntry::new(status, number));
        Ok(id)
    }

    fn check_room(&self, tenant: &str) -> Result<()> {
        let of_tenant = self.of(tenant).count();
        for (name, most, are) in
            [("max_jobs", self.bounds.all, self.jobs.len()), ("max_jobs_per_tenant", self.bounds.of_tenant, of_tenant)]
        {
            if are >= most {
                return Err(Error::TooManyJobs { most, bound: name });
            }
        }
        let mut tenants = self.jobs.values().map(|entry| &*entry.status.tenant);
        match tenants.find(|other| *other != tenant && other.eq_ignore_ascii_case(tenant)) {
            Some(other) => {
                let why = format!("there is a tenant `{other}`, whose folder would be the same on some systems");
                Err(Error::setting("tenant", why))
            }
            None => Ok(()),
        }
    }

    /// Numbers what is given and what begins, in order.
    pub fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// Returns how many jobs run.
    pub fn running(&self) -> usize {
        self.jobs.values().filter(|entry| entry.run.is_any()).count()
    }

    /// Returns the job that begins next: of the tenant of whom the fewest run, and of whom none began for the longest
    /// time, the one that has waited longest.
    pub fn next(&self) -> Option<u64> {
        let mut tenants = BTreeMap::<&str, (usize, u64)>::new();
        for entry in self.jobs.values() {
            let (running, began) = tenants.entry(&entry.status.tenant).or_default();
            *running += usize::from(entry.run.is_any());
            *began = entry.began.max(*began);
        }
        // One that was cancelled while it began, and is resumed, waits until that crawl has ended.
        let waiting = self.jobs.values().filter(|entry| entry.status.state == JobState::Waiting && !entry.run.is_any());
        let order = |entry: &&JobEntry<P>| (tenants.get(&*entry.status.tenant).copied(), entry.waits_since);
        waiting.min_by_key(order).map(|entry| entry.status.id)
    }

    /// Returns a job of any tenant, if it was not removed.
    pub fn get(&mut self, id: u64) -> Option<&mut JobEntry<P>> {
        self.jobs.get_mut(&id)
    }

    /// Returns a job of a tenant.
    ///
    /// # Errors
    /// The tenant has no such job.
    pub fn entry(&mut self, tenant: &str, id: u64) -> Result<&mut JobEntry<P>> {
        self.jobs.get_mut(&id).filter(|entry| entry.status.tenant == tenant).ok_or(Error::NoSuchJob { id })
    }

    /// Returns all jobs.
    pub fn iter_mut(&mut self) -> ValuesMut<'_, u64, JobEntry<P>> {
        self.jobs.values_mut()
    }

    fn of(&self, tenant: &str) -> impl Iterator<Item = &JobEntry<P>> {
        self.jobs.values().filter(move |entry| entry.status.tenant == tenant)
    }

    /// Returns how far a job is, as far as the table knows.
    ///
    /// # Errors
    /// There is no such job.
    pub fn look(&self, id: u64) -> Result<JobStatus<P>> {
        self.jobs.get(&id).map(|entry| entry.status.clone()).ok_or(Error::NoSuchJob { id })
    }

    /// Returns how far a job is, as its crawl tells.
    ///
    /// # Errors
    /// The tenant has no such job.
    pub fn status(&mut self, tenant: &str, id: u64) -> Result<impl Future<Output = JobStatus<P>> + use<P>> {
        self.entry(tenant, id).map(|entry| with_numbers(entry.status.clone(), entry.run.crawl()))
    }

    /// Returns how far the jobs of a tenant are that were given after one of them, at most so many.
    pub fn list(&self, tenant: &str, after: u64, most: usize) -> impl Future<Output = Vec<JobStatus<P>>> + use<P> {
        let later = self.jobs.range((Bound::Excluded(after), Bound::Unbounded)).map(|(_, entry)| entry);
        let of_tenant = later.filter(|entry| entry.status.tenant == tenant).take(most);
        join_all(of_tenant.map(|entry| with_numbers(entry.status.clone(), entry.run.crawl())))
    }

    /// Returns the crawl of a job.
    ///
    /// # Errors
    /// The tenant has no such job, or it does not run.
    pub fn crawl(&mut self, tenant: &str, id: u64) -> Result<CrawlHandle> {
        self.entry(tenant, id)?.run.crawl().ok_or(Error::JobNotRunning { id })
    }

    /// Returns the folder of a job, with its crawl's state and its files.
    pub fn folder(&self, tenant: &str, id: u64) -> PathBuf {
        self.folder.of(tenant, id)
    }

    /// Returns the folder of the files of a job.
    ///
    /// # Errors
    /// The tenant has no such job.
    pub fn files(&mut self, tenant: &str, id: u64) -> Result<PathBuf> {
        self.entry(tenant, id)?;
        Ok(files_of(&self.folder.of(tenant, id)))
    }

    /// Changes what is known of a job, on disk first: what the disk does not take is not so.
    ///
    /// # Errors
    /// The tenant has no such job, or its record cannot be written.
    pub fn change(&mut self, tenant: &str, id: u64, change: impl FnOnce(&mut JobStatus<P>)) -> Result<()> {
        let mut status = self.entry(tenant, id)?.status.clone();
        change(&mut status);
        self.folder.write(&status)?;
        self.entry(tenant, id)?.status = status;
        Ok(())
    }

    /// Writes what is known of a job to disk, where the older record holds if that fails.
    ///
    /// # Errors
    /// There is no such job, or its record cannot be written.
    pub fn write(&self, id: u64) -> Result<()> {
        self.folder.write(&self.jobs.get(&id).ok_or(Error::NoSuchJob { id })?.status)
    }

    /// Removes a job of which nothing runs. Returns its folder under another name, which is to be deleted.
    ///
    /// # Errors
    /// The tenant has no such job, it is not at rest, or its folder cannot be renamed.
    pub fn remove(&mut self, tenant: &str, id: u64) -> Result<PathBuf> {
        let entry = self.entry(tenant, id)?;
        let why = match (entry.status.state.is_over(), entry.run.is_any()) {
            (true, false) => None,
            (false, _) => Some("it was resumed meanwhile; cancel it first"),
            (true, true) => Some("its crawl has not ended yet; try again later"),
        };
        if let Some(why) = why {
            return Err(Error::setting("remove", why));
        }
        let leftover = self.folder.remove(tenant, id)?;
        self.jobs.remove(&id);
        Ok(leftover)
    }
}

/// Adds to what the table knows of a job what its crawl tells.
async fn with_numbers<P>(mut status: JobStatus<P>, crawl: Option<CrawlHandle>) -> JobStatus<P> {
    if let Some(crawl) = crawl
        && let Some(numbers) = run::numbers_of(&crawl).await
    {
        (status.progress, status.first_failures) = numbers;
    }
    status
}
