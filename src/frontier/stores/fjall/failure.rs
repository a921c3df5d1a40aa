//! Failure: why the database cannot be used. The system refuses something, or what is there is not what was written.

use std::{
    error, fmt,
    io::{self, ErrorKind},
    path::Path,
};

use crate::error::Error;

/// Creates the error for what the database reports. Only what says nothing of the system is called damage.
pub(super) fn unusable(dir: &Path, error: &fjall::Error) -> Error {
    let Some(system) = of_the_system(error) else { return damaged(dir, error) };
    let why = if matches!(system.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) {
        format!("the disk has no room for it: {system}; what it holds is safe; make room and start again")
    } else {
        format!("the system refuses it: {system}")
    };
    let source = system.raw_os_error().map_or_else(|| system.kind().into(), io::Error::from_raw_os_error);
    Error::Store { dir: dir.to_owned(), why, source: Some(source) }
}

/// Creates the error for content that cannot be read.
pub(super) fn damaged(dir: &Path, error: &dyn fmt::Display) -> Error {
    Error::store(dir, format!("it is damaged: {error}; `actix-crawler state DIR --verify` tells what can be saved"))
}

/// Returns the shortest description of an error: the system's own words, where there are some.
pub(super) fn reason(error: &fjall::Error) -> &dyn fmt::Display {
    match of_the_system(error) {
        Some(system) => system,
        None => error,
    }
}

/// Returns the system's error below one of the database, which may be wrapped so that only its kind shows. A missing
/// file is damage, and so is a short one, which the system does not report.
fn of_the_system(error: &fjall::Error) -> Option<&io::Error> {
    let mut causes = std::iter::successors(Some(error as &dyn error::Error), |cause| cause.source());
    let system = causes.find_map(|cause| cause.downcast_ref::<io::Error>())?;
    let is_refusal = match system.kind() {
        ErrorKind::NotFound => false,
        ErrorKind::StorageFull
        | ErrorKind::QuotaExceeded
        | ErrorKind::FileTooLarge
        | ErrorKind::ReadOnlyFilesystem
        | ErrorKind::PermissionDenied => true,
        _ => system.raw_os_error().is_some(),
    };
    is_refusal.then_some(system)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(source: io::Error) -> String {
        unusable("state".as_ref(), &fjall::Error::Io(source)).to_string()
    }

    #[test]
    fn what_the_system_refuses_is_no_damage_and_what_is_missing_or_cut_is() {
        let [full, not_allowed, missing] = [28, 13, 2].map(io::Error::from_raw_os_error).map(said);
        let wrapped = said(io::Error::new(ErrorKind::StorageFull, "no space at path"));
        for full in [full, wrapped] {
            assert!(full.contains("no room") && full.contains("safe") && !full.contains("damaged"), "{full}");
        }
        assert!(not_allowed.contains("refuses") && !not_allowed.contains("damaged"), "{not_allowed}");
        let cut = said(ErrorKind::UnexpectedEof.into());
        assert!(missing.contains("is damaged") && cut.contains("is damaged"), "{missing} {cut}");
    }
}
