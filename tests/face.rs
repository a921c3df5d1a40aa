//! The public face: what programs outside the crate must not make or name does not compile, each for the reason given.
//! Documentation tests cannot tell: on a stable compiler, `compile_fail` is content with any error.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// What outsiders may write: it tells a wrong path to the crate from a refusal.
const ALLOWED: &str = "use actix_crawler::{Crawler, Domain, Permit, ThrottledClient, frontier::Frontier};
pub fn due(permit: &Permit) -> (&Domain, std::time::Instant) { (permit.domain(), permit.due()) }";

/// Refused while names are resolved. One line each.
const UNNAMEABLE: [&str; 17] = [
    "use actix_crawler::permit::Permit as _0;",
    "use actix_crawler::permit::Gate as _1;",
    "use actix_crawler::permit::Tenancy as _2;",
    "use actix_crawler::throttle::Throttle as _3;",
    "use actix_crawler::conduct::Conduct as _4;",
    "use actix_crawler::conducts::PermitQueue as _5;",
    "use actix_crawler::fetcher::http::Http as _6;",
    "use actix_crawler::fetcher::stack::FetchStack as _7;",
    "use actix_crawler::engine::Scheduler as _8;",
    "use actix_crawler::transport::SharedTransport as _9;",
    "use actix_crawler::transport::Transport as _10;",
    "use actix_crawler::transport::connector::Connector as _11;",
    "use actix_crawler::transport::connection::Connection as _12;",
    "use actix_crawler::transport::sockets::Sockets as _13;",
    "use actix_crawler::transport::wire::ResponseDecoder as _14;",
    "use actix_crawler::client::attempt::attempt as _15;",
    "use actix_crawler::clock::now as _16;",
];

/// Refused later, each with its code.
const UNMAKEABLE: [(&str, &str); 6] = [
    ("pub fn clone(p: actix_crawler::Permit) -> actix_crawler::Permit { p.clone() }", "E0599"),
    ("pub fn forge() { actix_crawler::Permit { tenancy: todo!(), due: todo!(), state: todo!() }; }", "E0451"),
    ("pub fn make() -> actix_crawler::Permit { actix_crawler::Permit::granted(todo!(), todo!()) }", "E0624"),
    ("pub fn default() -> actix_crawler::Permit { Default::default() }", "E0277"),
    ("pub fn start(p: &mut actix_crawler::Permit) { p.try_start(std::time::Instant::now()); }", "E0624"),
    ("pub fn join(c: &actix_crawler::Conducts) { c.tenant(todo!()); }", "E0624"),
];

#[test]
fn what_outsiders_must_not_make_or_name_does_not_compile_each_for_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let crates = crates();
    let fits = |library: &PathBuf| errors(ALLOWED, library, folder.path()).is_empty();
    let library = crates.iter().find(|library| fits(library)).unwrap_or_else(|| {
        let said = crates.last().map(|library| errors(ALLOWED, library, folder.path()));
        panic!("none of {crates:?} can be used: {said:?}")
    });

    let refused = errors(&UNNAMEABLE.join("\n"), library, folder.path());
    for (number, line) in UNNAMEABLE.iter().enumerate() {
        let codes = codes_of(&refused, number);
        assert!(codes.iter().eq(["E0603"]), "{line}: {codes:?}, of {refused:#?}");
    }
    // One at a time: fields are checked only where all types fit.
    for (program, code) in UNMAKEABLE {
        let refused = errors(program, library, folder.path());
        assert!(codes_of(&refused, 0).iter().eq([code]), "{program}: {refused:#?}");
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

/// Compiles a program against the library, and returns its errors as `file:line:column: error[code]: text`.
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

/// The codes of the errors on a line, counted from 0.
fn codes_of(errors: &[String], number: usize) -> BTreeSet<String> {
    let place = format!("outsider.rs:{}:", number + 1);
    let on_line = errors.iter().filter(|error| error.contains(&place));
    on_line.filter_map(|error| Some(error.split("error[").nth(1)?.split(']').next()?.to_owned())).collect()
}
