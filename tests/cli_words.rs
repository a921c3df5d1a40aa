//! What the command line says to those who write as other tools are written: each answer is one line that tells what to
//! write.
#![cfg(feature = "cli")]

use std::process::{Command, Stdio};

/// Expects one line on stderr that contains each of `words`, and returns it.
fn refuses(arguments: &[&str], code: i32, words: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_actix-crawler"));
    let output = command.args(arguments).env_remove("RUST_LOG").stdin(Stdio::null()).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
    assert!(error.starts_with("error: ") && error.trim_end().lines().count() == 1, "{arguments:?}: {error}");
    for word in words {
        assert!(error.contains(word), "{arguments:?} does not say {word}: {error}");
    }
    error
}

#[test]
fn an_option_of_another_tool_is_answered_with_what_it_is_called_here() {
    for (option, words) in [
        ("--resume", ["'--resume' found", "--state DIR"]),
        ("--follow", ["links are followed without an option", "--allow RE"]),
        ("--format csv", ["'--format' found", "-o NAME.csv"]),
        ("--DEPTH 3", ["'--DEPTH' found", "exists: '--depth'"]),
        ("--Max-Pages=3", ["'--Max-Pages' found", "exists: '--max-pages'"]),
        ("-depth 3", ["'-depth' found", "exists: '--depth'"]),
        ("-max-depth=3", ["'-max-depth' found", "exists: '--max-depth'"]),
        ("-resume", ["'-resume' found", "--state DIR"]),
    ] {
        let arguments: Vec<_> = ["crawl", "http://a.test"].into_iter().chain(option.split(' ')).collect();
        let error = refuses(&arguments, 2, &words);
        assert!(!error.contains("--require") && error.matches("; ").count() <= 2, "one answer: {error}");
    }
    // One that a short option would take for its value.
    refuses(&["crawl", "http://a.test", "-order", "breadth"], 2, &["'-order' found", "'--order'"]);
    refuses(&["crawl", "http://a.test", "-header=a: b"], 2, &["'-header' found", "'--header'"]);
    refuses(&["poll", "http://a.test", "-output", "x.jsonl"], 2, &["'-output' found", "'--output'"]);
    // A command without the option that is meant says nothing of it.
    assert!(!refuses(&["fetch", "http://a.test", "--resume"], 2, &["'--resume' found"]).contains("--state"));
    refuses(&["fetch", "http://a.test", "-save", "x"], 2, &["'-save' found", "exists: '--save'"]);
}

#[test]
fn a_selection_as_scrapy_writes_it_is_told_as_it_is_written_here() {
    let crawl = ["crawl", "http://127.0.0.1:1/", "--allow-private", "--select"];
    for (given, told) in
        [("price=.price::text", "write price=.price"), ("price=.price::attr(title)", "write price=.price@title")]
    {
        let error = refuses(&[&crawl[..], &[given]].concat(), 2, &["CSS has no ::text", told]);
        assert!(!error.contains("text_of") && !error.contains("attr_of"), "{error}");
    }
}

#[test]
fn a_file_in_a_folder_that_is_not_there_is_told_by_that_folder() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nodir/out.csv");
    let (name, missing) = (file.to_str().unwrap(), file.parent().unwrap().to_str().unwrap());
    let why = format!("{name} cannot be written: the folder {missing} is not there; make it");
    for option in ["-o", "--log", "--summary"] {
        refuses(&["crawl", "http://127.0.0.1:1/", "--allow-private", option, name], 1, &[option, &why]);
    }
    for option in ["-o", "--save"] {
        refuses(&["fetch", "http://127.0.0.1:1/", "--allow-private", option, name], 1, &[option, &why]);
    }
    assert!(!file.parent().unwrap().exists());
}
