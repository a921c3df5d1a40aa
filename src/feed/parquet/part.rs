//! PartFolder: the folder beside a Parquet file in which its rows are gathered, until it is whole. Does not know what
//! is in them.

use std::{
    fs::{self, File, Permissions},
    io::{self, Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
};

use crate::{
    disk::{file_identity::followed, synced_folder::sync_name},
    feed::{lock::Lock, outputs::check_folder},
};

/// The folder `items.parquet.part`, held by one writer. In it are row groups, each a Parquet file, and the journal: the
/// rows that are not in one yet. A journal whose number a row group has was made that row group.
pub(super) struct PartFolder {
    folder: PathBuf,
    /// The unique ID of this folder. A whole file stores the ID of the folder that it was made from.
    id: String,
    /// The lock file, which contains the ID. Without it, the other files of the folder do not count. `None` once the
    /// folder is removed.
    lock: Option<Lock>,
    /// Those of the file that was there, which is for whom it was. A file in the folder has them too, for the time in
    /// which there is no other.
    permissions: Option<Permissions>,
    /// Whether what is in it is on the disk itself.
    syncs: bool,
    groups: Vec<u64>,
    /// The number of the journal.
    journal: u64,
}

const LOCK: &str = "lock";
const GROUP: &str = "parquet";
const JOURNAL: &str = "rows";
const UNFINISHED: &str = "unfinished";
const PERMISSIONS: &str = "permissions";

/// Checks that a folder is of a feed: all in it would be removed.
///
/// # Errors
/// It has no lock of a feed, and files that no feed makes.
fn check_own(folder: &Path) -> io::Result<()> {
    if fs::metadata(folder.join(LOCK)).is_ok_and(|lock| lock.len() > 0) {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        let is_numbered =
            |ending| name.strip_suffix(ending).and_then(|stem| stem.strip_suffix('.')).is_some_and(is_number);
        let is_one_of_ours = [LOCK, UNFINISHED, PERMISSIONS].contains(&&*name);
        if !is_one_of_ours && !is_numbered(GROUP) && !is_numbered(JOURNAL) {
            let why = format!(
                "{} would be removed, and no feed has made it; move that folder, or write to another file",
                folder.join(&*name).display()
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
    }
    Ok(())
}

/// Gives a file these permissions. A file system without any has none to lose.
fn permit(file: &File, permissions: &Permissions) {
    let _ = file.set_permissions(permissions.clone());
}

/// Lets at least the owner read and write.
#[cfg(unix)]
fn with_writer(mut permissions: Permissions) -> Permissions {
    use std::os::unix::fs::PermissionsExt as _;
    permissions.set_mode(permissions.mode() | 0o600);
    permissions
}

/// Elsewhere a file that nobody may write could not be begun anew.
#[cfg(not(unix))]
fn with_writer(permissions: Permissions) -> Permissions {
    permissions
}

fn is_number(text: &str) -> bool {
    text.parse::<u64>().is_ok()
}

impl PartFolder {
    /// Returns the folder for a file: beside the file itself, wherever the link is by which it is named.
    pub fn folder_of(file: &Path) -> PathBuf {
        let mut name = followed(file).into_os_string();
        name.push(".part");
        name.into()
    }

    /// Takes the folder of a file, making it if it is not there. `made_of` is the one that the file says it was made
    /// of: nothing of it is needed any more.
    ///
    /// # Errors
    /// Another writes to it, or it cannot be written.
    pub fn take(file: &Path, keeps: bool, made_of: Option<&str>, syncs: bool) -> io::Result<Self> {
        let folder = Self::folder_of(file);
        match fs::create_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => check_own(&folder)?,
            made => made?,
        }
        let mut lock = Lock::take(&folder.join(LOCK))?;
        let mut id = String::new();
        lock.file().read_to_string(&mut id)?;
        let is_over = !keeps || id.is_empty() || Some(&*id) == made_of;
        let noted = folder.join(PERMISSIONS);
        let permissions = [file, &noted].into_iter().find_map(|path| Some(fs::metadata(path).ok()?.permissions()));
        let mut part = Self { folder, id, lock: None, permissions, syncs, groups: Vec::new(), journal: 1 };
        if is_over {
            part.empty()?;
            if let Some(permissions) = &part.permissions {
                permit(&File::create(&noted)?, permissions);
            }
            part.id = format!("{:032x}", fastrand::u128(..));
            let file = lock.file();
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(part.id.as_bytes())?;
            if syncs {
                file.sync_all()?;
                sync_name(&part.folder)?;
            }
        }
        part.lock = Some(lock);
        part.look()?;
        Ok(part)
    }

    /// Checks that nobody writes to the folder of a file, which is there.
    ///
    /// # Errors
    /// Another does, or it cannot be written.
    pub fn check(file: &Path) -> io::Result<()> {
        let folder = Self::folder_of(file);
        check_own(&folder)?;
        check_folder(&folder)?;
        // An empty lock says nothing of the folder, as none does.
        Lock::take(&folder.join(LOCK)).map(drop)
    }

    fn look(&mut self) -> io::Result<()> {
        let mut journals = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let number = path.file_stem().and_then(|stem| stem.to_str()?.parse::<u64>().ok());
            match (number, path.extension().and_then(|ending| ending.to_str())) {
                (Some(number), Some(GROUP)) => self.groups.push(number),
                (Some(number), Some(JOURNAL)) => journals.push(number),
                _ => {}
            }
        }
        self.groups.sort_unstable();
        let last = self.groups.last().copied().unwrap_or(0);
        for journal in journals.iter().filter(|journal| **journal <= last) {
            // A kill came before it was removed.
            fs::remove_file(self.journal_numbered(*journal))?;
        }
        self.journal = last + 1;
        Ok(())
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the journal's path.
    pub fn journal(&self) -> PathBuf {
        self.journal_numbered(self.journal)
    }

    fn journal_numbered(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number}.{JOURNAL}"))
    }

    /// Keeps the journal from whoever may not read the file.
    pub fn protect(&self, journal: &File) {
        if let Some(permissions) = &self.permissions {
            permit(journal, &with_writer(permissions.clone()));
        }
    }

    /// Returns the row groups' paths, in their order.
    pub fn groups(&self) -> impl Iterator<Item = PathBuf> {
        self.groups.iter().map(|number| self.folder.join(format!("{number}.{GROUP}")))
    }

    pub fn has_groups(&self) -> bool {
        !self.groups.is_empty()
    }

    /// Writes the row group of the journal, and goes on to the next journal.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn add_group(&mut self, write: impl FnOnce(File) -> io::Result<File>) -> io::Result<()> {
        let journal = self.journal();
        self.write(&self.folder.join(format!("{}.{GROUP}", self.journal)), self.syncs, write)?;
        self.groups.push(self.journal);
        self.journal += 1;
        fs::remove_file(journal)
    }

    /// Writes the whole file, or leaves it as it is.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_whole(&self, path: &Path, write: impl FnOnce(File) -> io::Result<File>) -> io::Result<()> {
        self.write(path, true, write)
    }

    fn write(&self, path: &Path, syncs: bool, write: impl FnOnce(File) -> io::Result<File>) -> io::Result<()> {
        let unfinished = self.folder.join(UNFINISHED);
        // One that its owner may not write to would be in the way.
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = File::create(&unfinished)?;
        if let Some(permissions) = &self.permissions {
            permit(&file, permissions);
        }
        let file = write(file)?;
        if syncs {
            file.sync_all()?;
        }
        fs::rename(&unfinished, path)?;
        if syncs { sync_name(path) } else { Ok(()) }
    }

    /// Removes the folder.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(&mut self) -> io::Result<()> {
        self.empty()?;
        if let Some(lock) = self.lock.take() {
            lock.remove()?;
        }
        fs::remove_dir(&self.folder)
    }

    /// Removes all but the lock.
    fn empty(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.file_name() != LOCK {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}
