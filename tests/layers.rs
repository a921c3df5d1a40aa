//! Layers: a file uses only modules above its own in `src/lib.rs`, only the transport names the crates beneath awc, and
//! the docs name only existing tests.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

const SRC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src");

#[test]
fn a_module_uses_only_modules_that_stand_above_it() {
    let order = modules_in_order();
    assert!(order.len() > 20, "src/lib.rs lists its modules as `mod name;`: {order:?}");
    let place = |module: &str| order.iter().position(|listed| listed == module);
    let mut wrong = Vec::new();
    for file in files(Path::new(SRC)) {
        let Some(mine) = place(&module_of(&file)) else { continue };
        for used in modules_used_by(&fs::read_to_string(&file).unwrap()) {
            match place(&used) {
                Some(theirs) if theirs > mine => wrong.push(format!("{} uses {used}", file.display())),
                _ => {}
            }
        }
    }
    assert!(wrong.is_empty(), "uses that point down:\n{}", wrong.join("\n"));
}

#[test]
fn only_the_transport_names_what_lies_under_awc() {
    let below = ["actix_tls", "actix_service", "tokio_rustls", "httparse", "TcpStream"];
    let names_it = |file: &PathBuf| {
        let text = code_of(&fs::read_to_string(file).unwrap());
        below.iter().any(|name| text.contains(name))
    };
    // The demo's site is a server, not a part of the crawler; and a database that items go to is no server that is crawled.
    let is_database = |file: &PathBuf| file.ends_with("postgres/tls.rs");
    let elsewhere = |file: &PathBuf| !matches!(module_of(file).as_str(), "transport" | "cli") && !is_database(file);
    let wrong: Vec<_> = files(Path::new(SRC)).into_iter().filter(|file| elsewhere(file) && names_it(file)).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn every_file_opens_with_what_it_is() {
    let silent = |file: &PathBuf| !fs::read_to_string(file).unwrap().starts_with("//! ");
    let wrong: Vec<_> = files(Path::new(SRC)).into_iter().filter(silent).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn every_test_that_the_docs_name_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let code: String = [root.join("src"), root.join("tests")]
        .iter()
        .flat_map(|folder| files(folder))
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    let docs = ["docs/ARCHITECTURE.md", "docs/RATES.md", "docs/FRONTIER.md", "docs/CLUSTER.md"];
    let text: String = docs.iter().map(|file| fs::read_to_string(root.join(file)).unwrap()).collect();
    // A test's name is a claim, so it has many words.
    let named = text.split('`').filter(|name| {
        name.matches('_').count() >= 4 && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    });
    let named: BTreeSet<_> = named.collect();
    assert!(named.len() > 20, "{named:?}");
    let missing: Vec<_> = named.iter().filter(|name| !code.contains(&format!("fn {name}("))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

fn modules_in_order() -> Vec<String> {
    let lib = fs::read_to_string(Path::new(SRC).join("lib.rs")).unwrap();
    let module = |line: &str| {
        let line = line.trim_start_matches("pub(crate) ").trim_start_matches("pub ");
        Some(line.strip_prefix("mod ")?.strip_suffix(';')?.to_owned())
    };
    lib.lines().filter_map(module).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let all = entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] });
    all.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

/// `src/fetcher/http.rs` belongs to `fetcher`, `src/error.rs` to `error`.
fn module_of(file: &Path) -> String {
    let inside = file.strip_prefix(SRC).unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

/// The code without its comments and the unit tests at its end; tests in a file of their own are read as code.
fn code_of(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.map(|line| format!("{line}\n")).collect()
}

/// The modules named by `crate::name` and by the first level of `use crate::{name::…, name}`.
fn modules_used_by(text: &str) -> BTreeSet<String> {
    let code = code_of(text);
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut used = BTreeSet::new();
    for after in code.split("crate::").skip(1) {
        let Some(group) = after.strip_prefix('{') else {
            used.insert(word(after));
            continue;
        };
        let mut depth = 1;
        let mut name = String::new();
        for c in group.chars() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => {
                    used.insert(word(name.trim()));
                    name.clear();
                    continue;
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
            if depth == 1 {
                name.push(c);
            }
        }
        used.insert(word(name.trim()));
    }
    used.remove("");
    used
}
