//! FileIdentity: what makes two names one file, however they are spelt. Opens none.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A file by whatever name, also one that does not exist yet.
#[derive(Clone, Debug)]
pub struct FileIdentity {
    /// With symbolic links followed.
    path: PathBuf,
    /// The device and the number on it, which several hard links share.
    number: Option<(u64, u64)>,
}

/// The most symbolic links that are followed from one name, as Linux does.
const MAX_LINKS: usize = 40;

impl FileIdentity {
    /// Looks at a name.
    pub fn of(path: &Path) -> Self {
        let path = followed(path);
        let number = number_of(&path);
        Self { path: canonical(&path), number }
    }

    /// Tells whether another name is that of the same file.
    pub fn is(&self, other: &Self) -> bool {
        self.path == other.path || (self.number.is_some() && self.number == other.number)
    }
}

/// Returns where a symbolic link leads, also if nothing is there yet; any other path as it is.
pub(crate) fn followed(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let Ok(target) = fs::read_link(&path) else { break };
        path = path.parent().unwrap_or(Path::new("")).join(target);
    }
    path
}

/// Returns a path without symbolic links, as far as it exists.
fn canonical(path: &Path) -> PathBuf {
    if let Ok(path) = fs::canonicalize(path) {
        return path;
    }
    // Fails for an empty path only.
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => canonical(parent).join(name),
        _ => path,
    }
}

#[cfg(unix)]
fn number_of(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// Elsewhere two names of one file are told apart by their paths alone.
#[cfg(not(unix))]
fn number_of(_: &Path) -> Option<(u64, u64)> {
    None
}
