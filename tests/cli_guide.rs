//! The chapters of the guide about the command line: each of their commands is run, against a site on this machine, and
//! does and says what the chapter shows.
#![cfg(feature = "cli")]

mod recorder;

use std::{fs, path::Path, process::Command};

use recorder::{Answer, Asked, Recorder};

/// A part of a chapter in a fence, with its language.
struct Block<'a> {
    language: &'a str,
    text: &'a str,
}

fn blocks(chapter: &str) -> Vec<Block<'_>> {
    let fenced = chapter.split("\n```").skip(1).step_by(2);
    fenced.map(|block| block.split_once('\n').unwrap()).map(|(language, text)| Block { language, text }).collect()
}

/// The commands of a block, each with the exit code that it is to have.
fn commands(text: &str) -> Vec<(String, i32)> {
    let whole = text.replace("\\\n", " ");
    let command = |line: &str| match line.split_once("# exits with ") {
        Some((command, code)) => (command.to_owned(), code.trim().parse().unwrap()),
        None => (line.to_owned(), 0),
    };
    whole.lines().filter(|line| !line.is_empty()).map(command).collect()
}

/// Runs all blocks of a chapter in a folder, with the site in the place of `origin`.
fn follow(chapter: &str, origin: &str, site: &Recorder, folder: &Path) {
    let here = site.url("");
    let binary = Path::new(env!("CARGO_BIN_EXE_actix-crawler")).parent().unwrap();
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
    let mut said = String::new();
    for Block { language, text } in blocks(chapter) {
        let text = text.replace(origin, &here);
        match language {
            "toml" => fs::write(folder.join("crawl.toml"), text).unwrap(),
            "text" => assert_eq!(said.trim_end(), text.trim_end()),
            "sh" => {
                said.clear();
                let mut before = String::new();
                for (command, code) in commands(&text) {
                    if !command.contains('|') && !command.contains(' ') {
                        // A variable, for the commands that follow.
                        before = format!("{command}; ");
                        continue;
                    }
                    let mut shell = Command::new("sh");
                    shell
                        .args(["-c", &format!("{before}{}", at_home(&command))])
                        .current_dir(folder)
                        .env("PATH", &path);
                    let output = shell.output().unwrap();
                    let errors = String::from_utf8_lossy(&output.stderr);
                    assert_eq!(output.status.code(), Some(code), "{command}\n{errors}");
                    said = String::from_utf8(output.stdout).unwrap();
                }
            }
            other => panic!("a block of {other}"),
        }
    }
}

/// The command for a site on this machine, as fast as that is: but where the pace is what it shows.
fn at_home(command: &str) -> String {
    let mut words: Vec<_> = command.split(' ').collect();
    let Some(at) = words.iter().position(|word| *word == "actix-crawler") else { return command.to_owned() };
    let name = words[at + 1];
    if matches!(name, "crawl" | "poll" | "sitemap") {
        words.insert(at + 2, "--allow-private");
        let has_pace = ["--rate", "--delay", "--config"].iter().any(|option| words.contains(option));
        if !has_pace {
            words.insert(at + 2, if name == "sitemap" { "--delay 1ms" } else { "--rate 500/s" });
        }
    }
    words.join(" ")
}

fn shop(asked: &Asked) -> Answer {
    let product = |name: &str, price: &str| {
        let body = format!("<title>{name}</title><h1>{name}</h1><b class=price>{price}</b><a href=/>back</a>");
        Answer::ok(body).header("content-type", "text/html")
    };
    match asked.path.as_str() {
        "/" => Answer::page(["/product/tea", "/product/milk", "/about", "/contact", "/cart"]),
        "/about" | "/contact" => product("About", ""),
        "/product/tea" => product("Tea", "3.50 €"),
        "/product/milk" => product("Milk", "1.20 €"),
        "/robots.txt" => Answer::ok("User-agent: *\nDisallow: /cart\n"),
        "/sitemap.xml" => {
            let host = asked.header("host").unwrap();
            let urls = ["tea", "milk"].map(|name| format!("<url><loc>http://{host}/product/{name}</loc></url>"));
            Answer::ok(format!("<urlset>{}</urlset>", urls.concat())).header("content-type", "application/xml")
        }
        _ => Answer::status(404),
    }
}

#[test]
fn each_command_of_the_chapter_on_crawls_does_what_it_says() {
    let (site, folder) = (Recorder::start(shop), tempfile::tempdir().unwrap());
    let chapter = include_str!("../docs/guide/crawl_from_the_command_line.md");
    // Everybody is known on this machine, so the last command has no contact to miss.
    let (chapter, last) = chapter.split_once("actix-crawler crawl https://shop.example/ -o none.jsonl").unwrap();
    follow(&format!("{chapter}{}", last.split_once('\n').unwrap().1), "https://shop.example", &site, folder.path());
    let refused = Command::new(env!("CARGO_BIN_EXE_actix-crawler"))
        .args(["crawl", "https://shop.example/", "-o", "none.jsonl"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(2));
    let file = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    assert!(folder.path().join("products.sqlite").is_file());
    assert_eq!(file("listed.jsonl").lines().count(), 2);
    assert!(file("pages/llms.txt").contains("Tea"));
    for all in ["polite.jsonl", "rated.jsonl", "archived.jsonl", "again.jsonl"] {
        assert_eq!(file(all).lines().count(), 5, "{all}");
    }
    assert!(file("again.jsonl").contains(r#""name":["Tea"]"#), "{}", file("again.jsonl"));
    assert_eq!(file("from-file.csv").lines().count(), 6);
}

#[test]
fn each_command_of_the_chapter_on_apis_does_what_it_says() {
    let api = Recorder::start(|asked: &Asked| match (asked.method.as_str(), asked.path.strip_prefix("/items")) {
        ("GET", Some(id)) => Answer::ok(format!("{{\"id\":{}}}", id.trim_start_matches('/'))).header("etag", "\"e\""),
        ("POST", Some("")) if asked.header("authorization") == Some("Bearer secret") => Answer::ok("created"),
        ("PUT", Some("")) if asked.body == br#"{"name": "milk"}"# => Answer::ok("put"),
        _ => Answer::status(404),
    });
    let folder = tempfile::tempdir().unwrap();
    let chapter = include_str!("../docs/guide/poll_from_the_command_line.md");
    follow(chapter, "https://api.example", &api, folder.path());
    let file = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    assert!(file("kept.jsonl").contains("etag") && file("summary.json").contains('1'));
    assert!(file("created.jsonl").contains(r#""status":200"#) && file("put.jsonl").contains(r#""status":200"#));
    assert_eq!(api.paths().iter().filter(|path| path.starts_with("/items/")).count(), 2 + 40 + 1 + 1);
}
