//! What the binary does where its messages or its results cannot be written, and where its input has no end.
#![cfg(all(feature = "cli", target_os = "linux"))]

mod network;

use std::{
    fs::{self, File},
    process::{Command, Output, Stdio},
};

use network::{Server, page};

/// A disk that is full.
fn full() -> Stdio {
    File::options().write(true).open("/dev/full").unwrap().into()
}

/// A pipe whose reader has gone.
fn closed() -> Stdio {
    std::io::pipe().unwrap().1.into()
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_actix-crawler"));
    command.args(arguments).stdin(Stdio::null()).env_remove("RUST_LOG");
    command
}

fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let output = command(arguments).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

fn site() -> Server {
    Server::http(|head| match head.split(' ').nth(1) {
        Some("/robots.txt") => page("User-agent: *\nDisallow: /no"),
        Some("/sitemap.xml") => page("<urlset><url><loc>/a</loc></url></urlset>"),
        _ => page("hello"),
    })
}

/// Regression: the first message that could not be written ended the process by a panic, and `fetch` lost its body.
#[test]
fn messages_that_cannot_be_written_are_dropped_and_the_command_does_its_work() {
    let (site, folder) = (site(), tempfile::tempdir().unwrap());
    let (url, pages, seeds) = (site.url("/"), folder.path().join("pages"), folder.path().join("seeds"));
    fs::write(&seeds, format!("{url}\nnonsense\n")).unwrap();
    let (pages, seeds) = (pages.to_str().unwrap(), seeds.to_str().unwrap());
    let cases: [(&[&str], i32, &str); 8] = [
        (&["fetch", &url, "--allow-private"], 0, "hello"),
        (&["poll", &url, "--allow-private"], 0, "\"body\":\"hello\""),
        (&["robots", &url, "/no", "--allow-private"], 0, "disallowed"),
        (&["sitemap", &url, "--allow-private"], 0, "/a\n"),
        (&["crawl", "--seeds", seeds, "--skip-bad-seeds", "--allow-private", "-o", pages], 0, "1 page"),
        (&["crawl", &url, "--allow-private", "--max-pages", "1"], 0, "\"url\""),
        (&["crawl", "nonsense"], 2, ""),
        (&[], 2, ""),
    ];
    for (arguments, code, shown) in cases {
        for stderr in [full, closed] {
            // The library's own events are shown too.
            let mut command = command(arguments);
            let output: Output = command.env("RUST_LOG", "debug").stderr(stderr()).output().unwrap();
            let stdout = String::from_utf8(output.stdout).unwrap();
            assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stdout}");
            assert!(stdout.contains(shown), "{arguments:?}: {stdout}");
        }
    }
}

#[test]
fn results_that_cannot_be_written_are_an_error_and_a_reader_that_has_gone_is_told_nothing() {
    let (site, folder) = (site(), tempfile::tempdir().unwrap());
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (url, pages, state, log) = (site.url("/"), path("pages"), path("state"), path("log"));
    let (code, said) =
        run(&["crawl", &url, "--allow-private", "-o", &pages, "--state", &state, "--log", &log, "--max-pages", "1"]);
    assert_eq!(code, Some(0), "{said}");
    let cases: [&[&str]; 10] = [
        &["fetch", &url, "--allow-private"],
        &["poll", &url, "--allow-private"],
        &["robots", &url, "--allow-private"],
        &["sitemap", &url, "--allow-private"],
        &["crawl", &url, "--allow-private"],
        &["crawl", &url, "--allow-private", "-o", &pages],
        &["state", &state],
        &["explain", &url, "--log", &log],
        &["--help"],
        &["--version"],
    ];
    for arguments in cases {
        for (stdout, is_full) in [(full(), true), (closed(), false)] {
            let output = command(arguments).stdout(stdout).output().unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
            let errors = said.lines().filter(|line| line.starts_with("error: ")).count();
            assert_eq!(errors, usize::from(is_full), "{arguments:?}: {said}");
            assert!(!is_full || said.contains("No space left on device"), "{arguments:?}: {said}");
        }
    }
}

/// Regression: a wrong name, as that of a device, took memory until the system ended the process.
#[test]
fn input_without_an_end_is_an_error_that_names_the_bound() {
    let url = "http://127.0.0.1:9/";
    for (arguments, words) in [
        (&["crawl", "--seeds", "/dev/zero", "--allow-private"][..], ["--seeds /dev/zero", "256 MiB"]),
        (&["crawl", url, "--config", "/dev/zero", "--allow-private"], ["--config /dev/zero", "16 MiB"]),
        (&["fetch", url, "--ca", "/dev/zero", "--allow-private"], ["--ca /dev/zero", "16 MiB"]),
    ] {
        let (code, said) = run(arguments);
        assert_eq!(code, Some(2), "{said}");
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
    }
    let output = command(&["poll", "-i", "/dev/zero"]).output().unwrap();
    let line = String::from_utf8(output.stdout).unwrap();
    assert_eq!((output.status.code(), line.lines().count()), (Some(3), 1), "{line}");
    assert!(line.contains("/dev/zero line 1: a line goes on after 16 MiB"), "{line}");
    let (code, said) = run(&["explain", url, "--log", "/dev/zero"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("16 MiB"), "{said}");
}
