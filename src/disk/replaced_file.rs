//! ReplacedFile: a whole file that was written aside takes the place of another. Does not know what is in it.

use std::{fs, io, path::Path};

/// Moves a file to the place of another, whose permissions it gets.
///
/// # Errors
/// It cannot be moved.
pub(crate) fn replace(aside: &Path, target: &Path) -> io::Result<()> {
    if let Ok(before) = fs::metadata(target) {
        // A file system without permissions has none to lose.
        let _ = fs::set_permissions(aside, before.permissions());
    }
    fs::rename(aside, target)
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn who_may_read_a_file_stays_when_its_content_changes() {
        let dir = tempfile::tempdir().unwrap();
        let [aside, target] = ["aside", "target"].map(|name| dir.path().join(name));
        for mode in [0o600, 0o640] {
            fs::write(&aside, "new").unwrap();
            fs::write(&target, "old").unwrap();
            fs::set_permissions(&target, fs::Permissions::from_mode(mode)).unwrap();
            replace(&aside, &target).unwrap();
            assert_eq!(fs::read_to_string(&target).unwrap(), "new");
            assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, mode);
        }
    }
}
