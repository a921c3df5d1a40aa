//! JobsFolder: the jobs on disk, a folder for each with its record. Knows no crawls.
//!
//! ```text
//! DIR/lock                               held while the jobs are open; up to which number ids were given
//! DIR/tenants/TENANT/ID/job.json         the record of a job
//! DIR/tenants/TENANT/ID/state/           the state of its crawl
//! DIR/tenants/TENANT/ID/files/           what its pipelines write
//! DIR/tenants/TENANT/.new-ID/            a job that is not accepted yet
//! DIR/tenants/TENANT/.removed-ID/        a job that is removed, and whose files are being deleted
//! ```

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read as _, Seek as _, Write as _},
    path::{Component, Path, PathBuf},
    time::UNIX_EPOCH,
};

use serde::{Serialize, de::DeserializeOwned};

use super::JobStatus;
use crate::{
    clock,
    disk::synced_folder::{OpenFolder, make_synced, sync_folder},
    error::{Error, Result},
    text::device_name::is_device,
};

/// The folder of all jobs.
pub(super) struct JobsFolder {
    tenants: PathBuf,
    /// Held as long as the jobs are: two processes would run each of them twice.
    lock: File,
    lock_path: PathBuf,
    /// The last id that was given, or may have been by an earlier process.
    last_id: u64,
    /// Up to which the lock file says that ids were given.
    reserved: u64,
}

/// What is in the folder of all jobs when it is opened.
pub(super) struct OpenedJobs<P> {
    /// The records of the jobs.
    pub records: Vec<JobStatus<P>>,
    /// The folders of jobs that were not accepted before a kill, or were removed: they are to be deleted.
    pub leftovers: Vec<PathBuf>,
}

/// The record of a job.
const RECORD: &str = "job.json";

/// How the folder of a job is called before it is accepted, and after it was removed.
const NEW: &str = ".new-";
const REMOVED: &str = ".removed-";

/// The longest name of a tenant: it is that of a folder.
const MAX_TENANT: usize = 64;

/// The longest name of a job: it is in each of its statuses.
const MAX_NAME: usize = 256;

/// How many ids are given before the lock file is written again.
const IDS_AT_ONCE: u64 = 10_000;

impl JobsFolder {
    /// Opens the folder, and makes it where it is not there.
    ///
    /// # Errors
    /// It cannot be made or written, another process has it, or it is of an earlier version.
    pub fn open(path: &Path) -> Result<Self> {
        let (tenants, lock_path) = (path.join("tenants"), path.join("lock"));
        if lock_path.exists() && !tenants.exists() {
            return Err(Error::store(path, "its jobs are those of an earlier version; name another folder"));
        }
        let refused = |error| Error::file(&lock_path, error);
        make_synced(&tenants).map_err(|error| Error::file(&tenants, error))?;
        let mut lock =
            File::options().create(true).truncate(false).read(true).write(true).open(&lock_path).map_err(refused)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let why = "another process runs the jobs of this folder; end it, or name another folder";
                return Err(Error::store(path, why));
            }
            Err(TryLockError::Error(error)) => return Err(refused(error)),
        }
        let mut reserved = String::new();
        lock.read_to_string(&mut reserved).and_then(|_| sync_folder(path)).map_err(refused)?;
        // It has no number before the first id is given.
        let reserved = reserved.trim().parse().unwrap_or(0);
        Ok(Self { tenants, lock, lock_path, last_id: reserved, reserved })
    }

    /// Returns the folder of a job.
    pub fn of(&self, tenant: &str, id: u64) -> PathBuf {
        self.tenants.join(tenant).join(id.to_string())
    }

    /// Returns an id that no job has had.
    ///
    /// # Errors
    /// The disk does not take that it was given.
    pub fn new_id(&mut self) -> Result<u64> {
        // A time, so that ids differ also if the lock file is lost.
        let millis = clock::wall().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let id = u64::try_from(millis).unwrap_or(u64::MAX).max(self.last_id.saturating_add(1));
        self.reserve(id)?;
        self.last_id = id;
        Ok(id)
    }

    /// Says on the disk that an id was given, and some more, so that this is not written for each.
    fn reserve(&mut self, id: u64) -> Result<()> {
        if id <= self.reserved {
            return Ok(());
        }
        let reserved = id.saturating_add(IDS_AT_ONCE);
        let write = |mut lock: &File| {
            lock.rewind()?;
            // Always as long, so that a kill leaves the old number or the new one.
            lock.write_all(format!("{reserved:020}\n").as_bytes())?;
            lock.sync_all()
        };
        write(&self.lock).map_err(|error| Error::file(&self.lock_path, error))?;
        self.reserved = reserved;
        Ok(())
    }

    /// Reads what is in the folder.
    ///
    /// # Errors
    /// A record cannot be read.
    pub fn read<P: DeserializeOwned>(&mut self) -> Result<OpenedJobs<P>> {
        let mut opened = OpenedJobs { records: Vec::new(), leftovers: Vec::new() };
        let names_in = |path: &Path| names_in(path).map_err(|error| Error::file(path, error));
        for tenant in names_in(&self.tenants)?.iter().filter(|name| check_tenant(name).is_ok()) {
            let of_tenant = self.tenants.join(tenant);
            // A link leads to a folder, perhaps on another disk.
            if !of_tenant.is_dir() {
                continue;
            }
            for name in names_in(&of_tenant)? {
                let job = of_tenant.join(&name);
                if name.starts_with(NEW) || name.starts_with(REMOVED) {
                    opened.leftovers.push(job);
                } else if let Ok(id) = name.parse() {
                    opened.records.extend(self.record(&job, tenant, id)?);
                }
            }
        }
        let last_id = opened.records.iter().map(|record: &JobStatus<P>| record.id).max().unwrap_or(0);
        self.reserve(last_id)?;
        self.last_id = self.last_id.max(last_id);
        Ok(opened)
    }

    /// Reads the record of the job in a folder; `None` where it was none of ours.
    fn record<P: DeserializeOwned>(&self, job: &Path, tenant: &str, id: u64) -> Result<Option<JobStatus<P>>> {
        let path = job.join(RECORD);
        let refused = |error: io::Error| Error::file(&path, error);
        let json = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                tracing::warn!(folder = %job.display(), "no job: it has no record");
                return Ok(None);
            }
            read => read.map_err(refused)?,
        };
        let record: JobStatus<P> = serde_json::from_slice(&json).map_err(|error| refused(io::Error::other(error)))?;
        // Where names differ by case only, the folder has that of an earlier tenant.
        let is_ours = record.id == id && record.tenant.eq_ignore_ascii_case(tenant);
        if !is_ours || !self.of(&record.tenant, id).join(RECORD).exists() {
            return Err(refused(io::Error::other("it is the record of a job of another folder")));
        }
        Ok(Some(record))
    }

    /// Writes the record of a new job. A kill leaves its folder with the record, or none.
    ///
    /// # Errors
    /// Its parameters could not be read again, or it cannot be written.
    pub fn add<P: Serialize + DeserializeOwned>(&self, status: &JobStatus<P>) -> Result<()> {
        // A record that cannot be read keeps all jobs from being opened.
        let unreadable = |error| Error::setting("params", format!("their JSON cannot be read again: {error}"));
        let json = serde_json::to_vec(status).map_err(unreadable)?;
        serde_json::from_slice::<JobStatus<P>>(&json).map_err(unreadable)?;
        let of_tenant = self.tenants.join(&status.tenant);
        let (aside, folder) = (of_tenant.join(format!("{NEW}{}", status.id)), self.of(&status.tenant, status.id));
        let write = || {
            make_synced(&of_tenant)?;
            let names = OpenFolder::open(&of_tenant)?;
            fs::create_dir(&aside)?;
            write_synced(&aside.join(RECORD), &json)?;
            sync_folder(&aside)?;
            fs::rename(&aside, &folder)?;
            names.sync()
        };
        write().map_err(|error: io::Error| {
            // Best effort; what is left of the first is deleted when the jobs are opened.
            let _ = fs::remove_dir_all(&aside);
            let _ = fs::remove_dir_all(&folder);
            Error::file(&folder, error)
        })
    }

    /// Writes the record of a job again: a kill leaves the old one or the new one.
    ///
    /// # Errors
    /// It cannot be written, and the old one holds.
    pub fn write<P: Serialize>(&self, status: &JobStatus<P>) -> Result<()> {
        let folder = self.of(&status.tenant, status.id);
        let (aside, path) = (folder.join("job.json.new"), folder.join(RECORD));
        let write = || {
            let names = OpenFolder::open(&folder)?;
            write_synced(&aside, &serde_json::to_vec(status)?)?;
            fs::rename(&aside, &path)?;
            Ok(names)
        };
        let names = write().map_err(|error: io::Error| Error::file(&folder, error))?;
        warn_unsynced(&path, names.sync());
        Ok(())
    }

    /// Removes a job. Returns its folder under another name, which is to be deleted; a kill leaves that for the next
    /// opening.
    ///
    /// # Errors
    /// It cannot be renamed, and the job is there as before.
    pub fn remove(&self, tenant: &str, id: u64) -> Result<PathBuf> {
        let (of_tenant, folder) = (self.tenants.join(tenant), self.of(tenant, id));
        let removed = of_tenant.join(format!("{REMOVED}{id}"));
        let rename = || {
            let names = OpenFolder::open(&of_tenant)?;
            match fs::rename(&folder, &removed) {
                // Somebody has deleted it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                renamed => renamed?,
            }
            Ok(names)
        };
        let names = rename().map_err(|error: io::Error| Error::file(&folder, error))?;
        warn_unsynced(&folder, names.sync());
        Ok(removed)
    }
}

/// Deletes what is left of a job.
pub(super) fn delete(leftover: &Path) {
    match fs::remove_dir_all(leftover) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::error!(%error, folder = %leftover.display(), "a removed job; it is deleted when the jobs are opened");
        }
        _ => {}
    }
}

/// Tells of a change that is made, but that the loss of power may undo.
fn warn_unsynced(path: &Path, synced: io::Result<()>) {
    if let Err(error) = synced {
        tracing::warn!(%error, path = %path.display(), "a change of a job is not synced: a power failure may undo it");
    }
}

fn write_synced(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Refuses a tenant that cannot be the name of a folder everywhere.
///
/// # Errors
/// It is empty, too long, has other characters, or is the name of a device on Windows.
pub(super) fn check_tenant(tenant: &str) -> Result<()> {
    let is_plain = tenant.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if tenant.is_empty() || tenant.len() > MAX_TENANT || !is_plain || is_device(tenant) {
        let why = format!(
            "`{}` is no name; use up to {MAX_TENANT} letters, digits, - and _, and no name of a device such as `con`",
            tenant.escape_debug()
        );
        return Err(Error::setting("tenant", why));
    }
    Ok(())
}

/// Refuses the name of a job that is empty, too long, or no text for people.
///
/// # Errors
/// It is.
pub(super) fn check_name(name: &str) -> Result<()> {
    if name.is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) {
        let why = format!("`{}` is no name; use 1 to {MAX_NAME} bytes without controls", name.escape_debug());
        return Err(Error::setting("name", why));
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

/// Returns the names in a folder that are text.
fn names_in(path: &Path) -> io::Result<Vec<String>> {
    let names = fs::read_dir(path)?.map(|entry| Ok(entry?.file_name().into_string().ok()));
    names.filter_map(io::Result::transpose).collect()
}
