//! NamedFiles: the files that options name, of which none may be written to and be another one too, however they are
//! spelt. Opens none.

use std::path::{Path, PathBuf};

use actix_crawler::internals::FileIdentity;

use super::exit::Failure;

/// The files of one command, in the order in which they were named.
#[derive(Default)]
pub struct NamedFiles(Vec<NamedFile>);

struct NamedFile {
    option: &'static str,
    path: PathBuf,
    is_written: bool,
}

/// Takes whatever is written, so it may be named twice.
const NULL: &str = "/dev/null";

impl NamedFiles {
    /// Adds a file that is read, if one is named; `-` is stdin.
    pub fn read(&mut self, option: &'static str, path: Option<&Path>) {
        self.add(option, path, false);
    }

    /// Adds a file or a folder that is written to, if one is named; `-` is stdout.
    pub fn written(&mut self, option: &'static str, path: Option<&Path>) {
        self.add(option, path, true);
    }

    fn add(&mut self, option: &'static str, path: Option<&Path>, is_written: bool) {
        let path = path.filter(|path| path.as_os_str() != "-" && *path != Path::new(NULL));
        self.0.extend(path.map(|path| NamedFile { option, path: path.to_owned(), is_written }));
    }

    /// Checks that each file that is written to is named once. To be called before any is opened.
    ///
    /// # Errors
    /// Names both options.
    pub fn check(&self) -> Result<(), Failure> {
        let identities: Vec<_> = self.0.iter().map(|file| FileIdentity::of(&file.path)).collect();
        for (index, (file, identity)) in self.0.iter().zip(&identities).enumerate() {
            let before = self.0.iter().zip(&identities).take(index);
            let same =
                before.filter(|(other, _)| file.is_written || other.is_written).find(|(_, other)| identity.is(other));
            if let Some((other, _)) = same {
                let (one, two) = (other.path.display(), file.path.display());
                let what = if one.to_string() == two.to_string() {
                    format!("{one} is named for {} and {}", other.option, file.option)
                } else {
                    format!("{one}, named for {}, is the same as {two}, named for {}", other.option, file.option)
                };
                return Err(Failure::usage(format!("{what}; name two files")));
            }
        }
        Ok(())
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    /// Tells whether two names are refused, the first of which is read or written.
    fn are_one(one: &Path, other: &Path, is_written: bool) -> bool {
        let mut named = NamedFiles::default();
        named.add("--one", Some(one), is_written);
        named.written("--other", Some(other));
        named.check().is_err()
    }

    #[test]
    fn one_file_is_recognized_however_it_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("there"), "").unwrap();
        fs::write(at("another"), "").unwrap();
        fs::hard_link(at("there"), at("hard")).unwrap();
        symlink("there", at("soft")).unwrap();
        symlink("not-yet", at("dangling")).unwrap();
        symlink(".", at("here")).unwrap();
        symlink("round", at("round")).unwrap();
        for (one, other) in [
            ("there", "there"),
            ("there", "./there"),
            ("there", "hard"),
            ("there", "soft"),
            ("there", "here/there"),
            ("not-yet", "./not-yet"),
            ("not-yet", "dangling"),
            ("not-yet", "here/not-yet"),
            ("no/folder/x", "no/./folder//x"),
            ("folder", "folder/"),
        ] {
            assert!(are_one(&at(one), &at(other), true), "{one} {other}");
            assert!(are_one(&at(one), &at(other), false), "{one} {other}");
        }
        for (one, other) in [("there", "another"), ("there", "not-yet"), ("round", "there"), ("no/x", "no/y")] {
            assert!(!are_one(&at(one), &at(other), true), "{one} {other}");
        }
    }

    #[test]
    fn what_is_only_read_or_keeps_nothing_may_be_named_twice() {
        let mut named = NamedFiles::default();
        for option in ["--seeds", "--config"] {
            named.read(option, Some(Path::new("Cargo.toml")));
        }
        for path in ["/dev/null", "-"] {
            named.written("-o", Some(Path::new(path)));
            named.written("--log", Some(Path::new(path)));
        }
        assert!(named.check().is_ok());
    }
}
