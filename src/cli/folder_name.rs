//! FolderName: how a folder is told from a file by its name alone. Asks no file system.

use std::path::Path;

/// Tells whether an output is a folder: its name ends with a slash.
pub fn is_folder(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().last().is_some_and(|last| std::path::is_separator(char::from(*last)))
}
