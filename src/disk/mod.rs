//! Disk: files that users name and folders that must survive a crash. Does not know what is in them.

pub(crate) mod file_identity;
pub(crate) mod file_lock;
pub(crate) mod input_file;
pub(crate) mod linked_file;
pub(crate) mod replaced_file;
pub(crate) mod synced_folder;
