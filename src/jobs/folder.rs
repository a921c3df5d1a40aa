//! JobsFolder: the jobs on disk, a folder for each with its record. Knows no crawls.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write as _},
    path::{Component, Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};

use super::JobStatus;
use crate::{
    disk::synced_folder::sync_name,
    error::{Error, Result},
};

/// The folder of all jobs: `TENANT/ID/job.json`, with the state of the crawl and its files beside it.
pub(super) struct JobsFolder {
    path: PathBuf,
    /// Held as long as the jobs are: two processes would run each of them twice.
    _lock: File,
}

/// The record of a job.
const RECORD: &str = "job.json";

/// The longest name of a tenant: it is that of a folder.
const MAX_TENANT: usize = 64;

impl JobsFolder {
    /// Opens the folder, and makes it where it is not there.
    ///
    /// # Errors
    /// It cannot be made or written, or another process has it.
    pub fn open(path: PathBuf) -> Result<Self> {
        fs::create_dir_all(&path).map_err(|error| Error::file(&path, error))?;
        let lock_path = path.join("lock");
        let refused = |error| Error::file(&lock_path, error);
        let lock = File::options().create(true).truncate(false).write(true).open(&lock_path).map_err(refused)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                Err(Error::store(path, "another process runs the jobs of this folder; end it, or name another folder"))
            }
            Err(TryLockError::Error(error)) => Err(refused(error)),
        }
    }

    /// Returns the folder of a job.
    pub fn of(&self, tenant: &str, id: u64) -> PathBuf {
        self.path.join(tenant).join(id.to_string())
    }

    /// Returns the records of all jobs.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub fn records<P: DeserializeOwned>(&self) -> Result<Vec<JobStatus<P>>> {
        let mut records = Vec::new();
        for tenant in folders_in(&self.path)? {
            for job in folders_in(&tenant)? {
                let path = job.join(RECORD);
                let refused = |error: io::Error| Error::file(&path, error);
                match fs::read(&path) {
                    Ok(json) => {
                        let record: JobStatus<P> =
                            serde_json::from_slice(&json).map_err(|error| refused(io::Error::other(error)))?;
                        if self.of(&record.tenant, record.id) != job {
                            return Err(refused(io::Error::other("it is the record of a job of another folder")));
                        }
                        records.push(record);
                    }
                    // A kill came before it was accepted, or while it was removed.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(Error::file(path, error)),
                }
            }
        }
        Ok(records)
    }

    /// Writes the record of a job: a kill leaves the old one or the new one.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write<P: Serialize>(&self, status: &JobStatus<P>) -> Result<()> {
        let folder = self.of(&status.tenant, status.id);
        let is_new = !folder.exists();
        let write = || {
            fs::create_dir_all(&folder)?;
            let (aside, path) = (folder.join("job.json.new"), folder.join(RECORD));
            let mut file = File::create(&aside)?;
            file.write_all(&serde_json::to_vec(status)?)?;
            file.sync_all()?;
            fs::rename(&aside, &path)?;
            sync_name(&path)?;
            if is_new {
                sync_name(&folder)?;
                folder.parent().map_or(Ok(()), sync_name)?;
            }
            Ok(())
        };
        write().map_err(|error: io::Error| {
            if is_new {
                // Best effort: what is left has no record, and is no job.
                let _ = fs::remove_dir_all(&folder);
            }
            Error::file(&folder, error)
        })
    }

    /// Removes a job with its files; its record first, so that a kill leaves none that is half there.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(&self, tenant: &str, id: u64) -> Result<()> {
        let folder = self.of(tenant, id);
        let gone = |removed: io::Result<()>| match removed {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        };
        let removed = gone(fs::remove_file(folder.join(RECORD))).and_then(|()| gone(fs::remove_dir_all(&folder)));
        removed.map_err(|error| Error::file(folder, error))
    }
}

/// Refuses a tenant that cannot be the name of a folder everywhere.
///
/// # Errors
/// It is empty, too long, or has other characters.
pub(super) fn check_tenant(tenant: &str) -> Result<()> {
    let is_plain = tenant.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if tenant.is_empty() || tenant.len() > MAX_TENANT || !is_plain {
        let why = format!("`{}` is no name; use up to {MAX_TENANT} letters, digits, - and _", tenant.escape_debug());
        return Err(Error::setting("tenant", why));
    }
    Ok(())
}

/// Refuses the name of a file that leads out of a folder.
///
/// # Errors
/// It is empty, absolute, or has `..` in it.
pub(super) fn check_file(name: &str) -> Result<()> {
    let mut parts = Path::new(name).components().peekable();
    if parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_))) {
        return Ok(());
    }
    Err(Error::setting("file", format!("`{}` is no file of a job", name.escape_debug())))
}

fn folders_in(path: &Path) -> Result<Vec<PathBuf>> {
    let list = || {
        let mut folders = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            }
        }
        Ok(folders)
    };
    list().map_err(|error: io::Error| Error::file(path, error))
}
