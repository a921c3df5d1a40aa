//! Outsider: programs outside the crate, compiled against the library as it was built for these tests.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

/// Compiles programs against the library.
pub struct Outsider {
    library: PathBuf,
    folder: TempDir,
}

impl Outsider {
    /// Finds the library among those that were built with other features, by a program that must compile.
    pub fn new(allowed: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let crates = crates();
        let fits = |library: &&PathBuf| errors(allowed, library, folder.path()).is_empty();
        let library = crates.iter().find(fits).cloned().unwrap_or_else(|| {
            let said = crates.last().map(|library| errors(allowed, library, folder.path()));
            panic!("none of {crates:?} can be used: {said:?}")
        });
        Self { library, folder }
    }

    /// Compiles a program, and returns its errors as `file:line:column: error[code]: text`.
    pub fn errors(&self, program: &str) -> Vec<String> {
        errors(program, &self.library, self.folder.path())
    }
}

/// The library as built for these tests, perhaps among others that were built with other features.
fn crates() -> Vec<PathBuf> {
    let deps = env::current_exe().unwrap().parent().unwrap().to_owned();
    let mut found: Vec<_> = fs::read_dir(deps)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rlib"))
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("libactix_crawler-")))
        .collect();
    found.sort_by_key(|path| std::cmp::Reverse(fs::metadata(path).unwrap().modified().unwrap()));
    found
}

fn errors(program: &str, library: &Path, folder: &Path) -> Vec<String> {
    let source = folder.join("outsider.rs");
    fs::write(&source, program).unwrap();
    let output = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .args(["--edition=2024", "--crate-type=lib", "--emit=metadata", "--error-format=short", "--cap-lints=allow"])
        .arg("--out-dir")
        .arg(folder)
        .arg("--extern")
        .arg(format!("actix_crawler={}", library.display()))
        .arg("-L")
        .arg(format!("dependency={}", library.parent().unwrap().display()))
        .arg(&source)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let errors: Vec<_> = said.lines().filter(|line| line.contains(": error")).map(str::to_owned).collect();
    assert_eq!(errors.is_empty(), output.status.success(), "{said}");
    errors
}
