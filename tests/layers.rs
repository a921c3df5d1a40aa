//! Layers: a file uses only modules above its own in `src/lib.rs`, files use each other in one
//! direction, only the transport names the crates beneath awc, and the docs name only existing tests and files.

use std::{
    collections::{BTreeMap, BTreeSet},
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
fn files_use_each_other_in_one_direction() {
    let used = files_used_by_files();
    assert!(used.len() > 400, "{}", used.len());
    let mut reached: BTreeMap<&Vec<String>, BTreeSet<&Vec<String>>> = BTreeMap::new();
    for file in used.keys() {
        let mut seen = BTreeSet::new();
        let mut open = vec![file];
        while let Some(at) = open.pop() {
            open.extend(used.get(at).into_iter().flatten().filter(|next| seen.insert(*next)));
        }
        reached.insert(file, seen);
    }
    let circles: Vec<_> =
        reached.iter().filter(|(file, seen)| seen.contains(*file)).map(|(file, _)| file.join("/")).collect();
    assert!(circles.is_empty(), "files that use themselves by way of others:\n{}", circles.join("\n"));
}

#[test]
fn only_the_transport_names_what_lies_under_awc() {
    let below = ["actix_tls", "actix_service", "tokio_rustls", "httparse", "TcpStream"];
    let names_it = |file: &PathBuf| {
        let text = code_of(&fs::read_to_string(file).unwrap());
        below.iter().any(|name| text.contains(name))
    };
    // The demo's site is a server, not a part of the crawler; and a database that items go to is no server that is
    // crawled.
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

/// Programs in comments and tables are as wide as they must be.
#[test]
fn comments_are_at_most_120_columns_wide() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut wide = Vec::new();
    for file in ["src", "macros", "tests", "examples", "benches"].iter().flat_map(|folder| files(&root.join(folder))) {
        let mut is_program = false;
        for (number, line) in fs::read_to_string(&file).unwrap().lines().enumerate() {
            let comment = line.trim_start();
            let Some(text) = comment.strip_prefix("//") else {
                is_program = false;
                continue;
            };
            let text = text.trim_start_matches(['/', '!']).trim_start();
            is_program ^= text.starts_with("```");
            if line.chars().count() > 120 && !is_program && !text.starts_with(['|', '[', '<']) {
                wide.push(format!("{}:{}", file.display(), number + 1));
            }
        }
    }
    assert!(wide.is_empty(), "{}", wide.join("\n"));
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

/// A path such as `engine/turn.rs` or `conduct/`, as much of it as tells which is meant.
#[test]
fn every_file_that_the_docs_name_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let all: Vec<_> = ["src", "macros", "tests", "examples", "benches", "docs"]
        .iter()
        .flat_map(|folder| files(&root.join(folder)))
        .map(|file| format!("/{}", file.strip_prefix(root).unwrap().display()))
        .collect();
    let mut named = 0;
    for docs in ["README.md", "docs/ARCHITECTURE.md", "docs/RATES.md", "docs/FRONTIER.md", "docs/decisions/handmade.md"]
    {
        let text = fs::read_to_string(root.join(docs)).unwrap();
        let is_file = |span: &&str| {
            let is_path = span.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c == '/' || c == '.');
            is_path && (span.ends_with(".rs") || span.len() > 1 && span.ends_with('/') && !span.starts_with('.'))
        };
        for span in text.split('`').skip(1).step_by(2).filter(is_file) {
            named += 1;
            let path = format!("/{span}");
            let exists = |file: &String| if path.ends_with('/') { file.contains(&path) } else { file.ends_with(&path) };
            assert!(all.iter().any(exists), "{docs} names {span}, which is not there");
        }
    }
    assert!(named > 40, "{named}");
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

/// The modules at the root that are named by `crate::name…` and by `use crate::{name…}`.
fn modules_used_by(text: &str) -> BTreeSet<String> {
    let paths = paths_in(&code_of(text));
    paths.into_iter().filter(|path| path[0] == "crate").filter_map(|path| path.get(1).cloned()).collect()
}

/// The files that files use: of a path, the deepest module that it names, and what that module has from another in
/// place of itself.
fn files_used_by_files() -> BTreeMap<Vec<String>, BTreeSet<Vec<String>>> {
    let modules: BTreeMap<_, _> = files(Path::new(SRC))
        .into_iter()
        .map(|file| (path_of(&file), code_of(&fs::read_to_string(&file).unwrap())))
        .filter(|(path, _)| !path.iter().any(|part| part == "tests" || part == "lib" || part == "main"))
        .collect();
    let absolute = |module: &[String], path: &[String]| -> Vec<String> {
        let ups = path.iter().take_while(|part| *part == "super").count();
        let base = if path[0] == "crate" { &[] } else { &module[..module.len().saturating_sub(ups)] };
        let rest = path.iter().skip_while(|part| ["crate", "self", "super"].contains(&part.as_str()));
        base.iter().chain(rest).cloned().collect()
    };
    let paths: BTreeMap<_, Vec<_>> = modules
        .iter()
        .map(|(module, code)| (module, paths_in(code).iter().map(|path| absolute(module, path)).collect()))
        .collect();
    let deepest = |path: &[String]| (1..=path.len()).rev().find(|length| modules.contains_key(&path[..*length]));
    let file_of = |path: &[String]| {
        let mut path = path.to_vec();
        // A name that is passed on several times.
        for _ in 0..4 {
            let length = deepest(&path)?;
            let passed_on = path.get(length).and_then(|name| {
                let from = paths[&path[..length].to_vec()].iter().find(|used| used.last() == Some(name))?;
                Some([from, &path[length + 1..]].concat()).filter(|whole| *whole != path)
            });
            match passed_on.filter(|path| deepest(path).is_some()) {
                Some(whole) => path = whole,
                None => return Some(path[..length].to_vec()),
            }
        }
        deepest(&path).map(|length| path[..length].to_vec())
    };
    paths
        .iter()
        .map(|(module, used)| {
            let used = used.iter().filter_map(|path| file_of(path));
            // A folder is made of its files.
            (module.to_vec(), used.filter(|file| !file.starts_with(module)).collect())
        })
        .collect()
}

/// `src/client/execute/mod.rs` is `client::execute`.
fn path_of(file: &Path) -> Vec<String> {
    let inside = file.strip_prefix(SRC).unwrap().with_extension("");
    let mut parts: Vec<_> = inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    parts.pop_if(|last| last == "mod");
    parts
}

/// All paths from `crate`, `self` or `super`, in code and in each branch of a `use`.
fn paths_in(code: &str) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    for start in ["crate::", "self::", "super::"] {
        for (at, _) in code.match_indices(start) {
            if !code[..at].ends_with(|c: char| is_of_a_name(c) || c == ':' || c == '$') {
                branches(&code[at..], &[], &mut paths);
            }
        }
    }
    paths
}

/// Reads a path or a tree of paths, and returns what follows it.
fn branches<'a>(text: &'a str, before: &[String], paths: &mut Vec<Vec<String>>) -> &'a str {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = branches(rest, before, paths).trim_start();
            match rest.strip_prefix(',') {
                Some(next) => rest = next,
                None => return rest.strip_prefix('}').unwrap_or(rest),
            }
        }
    }
    let end = text.find(|c| !is_of_a_name(c)).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    if word.is_empty() {
        return rest;
    }
    let path = [before, &[word.to_owned()]].concat();
    match rest.strip_prefix("::") {
        Some(next) => branches(next, &path, paths),
        None => {
            paths.push(path);
            // A name for it here.
            rest.trim_start().strip_prefix("as ").map_or(rest, |named| named.trim_start_matches(is_of_a_name))
        }
    }
}

fn is_of_a_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
