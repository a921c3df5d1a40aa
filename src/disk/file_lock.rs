//! FileLock: what the answer to a request for a lock means. Opens nothing.

use std::fs::TryLockError;

/// Tells whether another holds the lock of a file. A file system without locks keeps nobody away: there the answer is
/// an error of another kind, for every file.
pub(crate) fn is_held(locked: &Result<(), TryLockError>) -> bool {
    matches!(locked, Err(TryLockError::WouldBlock))
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    /// An archive in a folder without locks once made one file after another, and never began.
    #[test]
    fn a_file_system_without_locks_keeps_nobody_away() {
        for kind in [io::ErrorKind::Unsupported, io::ErrorKind::PermissionDenied] {
            assert!(!is_held(&Err(TryLockError::Error(kind.into()))));
        }
        assert!(!is_held(&Ok(())) && is_held(&Err(TryLockError::WouldBlock)));
    }
}
