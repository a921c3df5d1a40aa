//! Archives from the command line: after kills and on full disks, and what `warc` says of them.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Command, Output, Stdio},
};

use crate::{
    kills::run_and_kill,
    network::Server,
    site::{TWIN, files, gzip, html, judge, serve, site},
};

const CRAWLER: &str = env!("CARGO_BIN_EXE_actix-crawler");

fn run(arguments: &[&str]) -> Output {
    Command::new(CRAWLER).args(arguments).output().unwrap()
}

/// A binary tree of pages, of 4 KB each.
fn tree(pages: usize) -> Server {
    serve(move |path, _| {
        let Some(page) = path[1..].parse::<usize>().ok().filter(|page| *page < pages) else {
            return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec();
        };
        let links: String = [2 * page + 1, 2 * page + 2].map(|to| format!("<a href=/{to}>{to}</a>")).concat();
        let noise: String = (0..4_000).map(|_| fastrand::alphanumeric()).collect();
        html(&format!("{links}<p>{noise}"))
    })
}

/// The URLs that were written as items.
fn items_in(path: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    // Another process may have been killed in the last line.
    let url = |line: &str| Some(serde_json::from_str::<serde_json::Value>(line).ok()?["url"].as_str()?.to_owned());
    text.lines().filter_map(url).collect()
}

fn archived_in(dir: &Path) -> BTreeSet<String> {
    judge(dir).iter().filter(|seen| seen.kind == "response").map(|seen| seen.url().to_owned()).collect()
}

#[test]
fn a_crawl_that_is_killed_again_and_again_has_each_page_that_it_settled_in_its_archive() {
    const PAGES: usize = 60;
    let (site, folder) = (tree(PAGES), tempfile::tempdir().unwrap());
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (state, archive, output) = (path("state"), path("archive"), path("pages.jsonl"));
    let seed = site.url("/0");
    let arguments =
        ["crawl", &seed, "--allow-private", "--robots", "ignore", "--rate", "unlimited", "--per-domain", "4"];
    let arguments =
        [&arguments[..], &["--delay", "15ms", "--state", &state, "--warc", &archive, "-o", &output]].concat();
    let spawn = || Command::new(CRAWLER).args(&arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let (kills, output_of_last) = run_and_kill(8, 40..400, spawn);
    let said = String::from_utf8_lossy(&output_of_last.stderr);
    assert!(matches!(output_of_last.status.code(), Some(0 | 3)), "{said}");
    println!("{kills} kills");
    let (archive, archived, items) =
        (Path::new(&archive), archived_in(Path::new(&archive)), items_in(Path::new(&output)));
    assert_eq!(items.len(), PAGES);
    assert!(items.is_subset(&archived), "missing: {:?}", items.difference(&archived));
    for file in files(archive) {
        let name = file.to_string_lossy().into_owned();
        assert!(!name.ends_with(".open") && !name.ends_with(".damaged"), "{name}");
        let index = file.with_extension("").with_extension("cdxj");
        assert!(!name.ends_with(".gz") || index.exists(), "{name}");
    }
}

#[test]
fn an_archive_that_cannot_be_written_stops_the_crawl_over_a_robots_file_too() {
    let (site, folder) = (tree(9), tempfile::tempdir().unwrap());
    let arguments = format!("crawl {} --allow-private --rate 500/s --warc archive", site.url("/0"));
    let line = format!("trap '' XFSZ; ulimit -f 0; exec {CRAWLER} {arguments}");
    let output = Command::new("sh").args(["-c", &line]).current_dir(folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{said}");
    assert!(said.contains("error: the archive archive cannot be written any more: File too large"), "{said}");
    assert_eq!(site.heads().len(), 1, "no page may be fetched: {:?}", site.heads());
}

#[test]
fn a_full_disk_under_an_archive_stops_the_crawl_and_nothing_is_lost() {
    const PAGES: usize = 90;
    let (site, folder) = (tree(PAGES), tempfile::tempdir().unwrap());
    let path = |name: &str| folder.path().join(name);
    for dir in ["archive", "kept"] {
        fs::create_dir(path(dir)).unwrap();
    }
    let crawl = format!(
        "{CRAWLER} crawl {} --allow-private --rate 500/s --warc archive --state state -o pages.jsonl --progress never",
        site.url("/0")
    );
    let script = format!(
        "mount -t tmpfs -o size=160k none archive || exit 99
         {crawl}
         echo $? > first; cp pages.jsonl first.jsonl; mount -o remount,size=64m archive
         {crawl} > second.txt 2>&1
         echo $? > second; cp archive/* kept/"
    );
    // Without root, a user namespace gives the right to mount.
    let alone = "[ $(id -u) = 0 ] || map=-r; exec unshare $map -m sh -c \"$1\"";
    let output = Command::new("sh").args(["-c", alone, "sh", &script]).current_dir(folder.path()).output().unwrap();
    let said = [&*output.stdout, &*output.stderr].map(String::from_utf8_lossy).concat();
    let denied = output.status.code() == Some(99) || said.starts_with("unshare:");
    assert!(!denied, "this test mounts a small disk: run it as root, or where user namespaces are allowed: {said}");
    let code = |name: &str| fs::read_to_string(path(name)).unwrap_or_default();
    assert_eq!(code("first"), "1\n", "{said}");
    assert!(said.contains("cannot be written any more: No space left on device") && said.contains("adds up"), "{said}");
    assert!((1..PAGES).contains(&items_in(&path("first.jsonl")).len()), "{said}");
    assert!(["0\n", "3\n"].contains(&&*code("second")), "{}", code("second.txt"));
    let (items, archived) = (items_in(&path("pages.jsonl")), archived_in(&path("kept")));
    assert_eq!(items.len(), PAGES);
    assert!(items.is_subset(&archived), "missing: {:?}", items.difference(&archived));
}

#[test]
fn the_command_line_lists_extracts_verifies_and_indexes_archives() {
    let (site, dir) = (site(), tempfile::tempdir().unwrap());
    let (archive, seed) = (dir.path().join("archive"), site.url("/"));
    let archive_name = archive.to_str().unwrap();
    let output =
        run(&["crawl", &seed, "--allow-private", "--rate", "unlimited", "--retries", "0", "--warc", archive_name]);
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    let (index, file) = (files(&archive)[0].clone(), files(&archive)[1].clone());
    let file_name = file.to_str().unwrap();
    let text = |output: &Output| String::from_utf8(output.stdout.clone()).unwrap();

    let listed = run(&["warc", "list", file_name]);
    let lines: Vec<serde_json::Value> = text(&listed).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), lines[0]["type"].as_str()), (judge(&archive).len(), Some("warcinfo")));
    let old = lines.iter().find(|line| line["type"] == "response" && line["url"] == site.url("/old")).unwrap();
    for what in [site.url("/old"), old["offset"].to_string()] {
        assert_eq!(text(&run(&["warc", "extract", file_name, &what])), "<p>until the end");
        assert!(text(&run(&["warc", "extract", "--whole", file_name, &what])).starts_with("HTTP/1.0 200 Fine\r\n"));
    }
    let zipped =
        |options: &[&str]| run(&[&["warc", "extract"][..], options, &[file_name, &site.url("/gzip")]].concat());
    assert_eq!(text(&zipped(&[])), "<p>zipped", "as its reader sees it");
    assert_eq!(zipped(&["--encoded"]).stdout, gzip("<p>zipped"), "as it is stored");
    let twin = [1, 2].map(|n| text(&run(&["warc", "extract", file_name, &site.url(&format!("/twin/{n}"))])));
    assert_eq!(twin, [TWIN, TWIN], "one of them is stored once");
    assert_eq!(run(&["warc", "extract", file_name, "http://e.org/none"]).status.code(), Some(3));

    let verified = run(&["warc", "verify", file_name]);
    assert_eq!((verified.status.code(), text(&verified)), (Some(0), String::new()));
    let made = fs::read(&index).unwrap();
    fs::remove_file(&index).unwrap();
    assert_eq!(text(&run(&["warc", "index", file_name])).trim_end(), index.to_str().unwrap());
    assert_eq!(fs::read(&index).unwrap(), made, "as the crawl has made it");

    let whole = fs::read(&file).unwrap();
    let mut damaged = whole.clone();
    let at = usize::try_from(old["offset"].as_u64().unwrap()).unwrap();
    damaged[at + 40] ^= 1;
    fs::write(&file, &damaged).unwrap();
    for command in ["verify", "list", "index"] {
        let output = run(&["warc", command, file_name]);
        let said = [&*output.stdout, &*output.stderr].map(String::from_utf8_lossy).concat();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("{file_name}, offset {at}: ")), "{said}");
    }
    fs::write(&file, &whole[..whole.len() - 3]).unwrap();
    let output = run(&["warc", "verify", file_name]);
    assert!(text(&output).contains("the file ends within a record"), "{output:?}");
}

#[test]
fn poll_archives_what_it_asks_and_closes_the_file() {
    let (site, dir) = (site(), tempfile::tempdir().unwrap());
    let archive = dir.path().join("archive");
    let urls = [site.url("/gzip"), site.url("/old")];
    let options = ["poll", "--allow-private", "--rate", "unlimited", "--warc", archive.to_str().unwrap()];
    let output = run(&[&options[..], &[urls[0].as_str(), urls[1].as_str()]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(archived_in(&archive), BTreeSet::from(urls));
    assert_eq!(files(&archive).len(), 2, "the file and its index");
}

/// An archive was once emptied by what was to be read from it.
#[test]
fn an_extract_that_cannot_be_whole_leaves_its_output_as_it_was() {
    let site = serve(|path, _| match path {
        "/torn" => crate::site::answer("Content-Encoding: gzip\r\n", &gzip(&"text ".repeat(9_000))[..40]),
        _ => html("<p>whole"),
    });
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("archive").to_str().unwrap().to_owned();
    let (torn, whole) = (site.url("/torn"), site.url("/whole"));
    run(&["crawl", &torn, &whole, "--allow-private", "--robots", "ignore", "--depth", "0", "--warc", &archive]);
    let warc =
        files(Path::new(&archive)).into_iter().find(|file| file.extension().is_some_and(|is| is == "gz")).unwrap();
    let before = fs::read(&warc).unwrap();
    let (warc, output) = (warc.to_str().unwrap(), folder.path().join("page.html").to_str().unwrap().to_owned());
    let onto_itself = run(&["warc", "extract", warc, &whole, "-o", warc]);
    assert_eq!(onto_itself.status.code(), Some(2), "{}", String::from_utf8_lossy(&onto_itself.stderr));
    assert!(fs::read(warc).unwrap() == before, "the archive is as it was");
    fs::write(&output, "an earlier page, which is longer than the next one").unwrap();
    let broken = run(&["warc", "extract", warc, &torn, "-o", &output]);
    assert_eq!(broken.status.code(), Some(1), "{}", String::from_utf8_lossy(&broken.stderr));
    assert!(fs::read_to_string(&output).unwrap().starts_with("an earlier page"));
    assert!(run(&["warc", "extract", warc, &whole, "-o", &output]).status.success());
    assert_eq!(fs::read_to_string(&output).unwrap(), "<p>whole");
}
