//! Tests of the folder: its files, its contents, and what it refuses.

use super::*;
use crate::response::Response;

fn page(path: &str, title: &str) -> MarkdownPage {
    let page = Response::html(&format!("https://e.org{path}"), format!("<title>{title}</title><p>Text of {path}"));
    MarkdownPage::of(&page, page.markdown().to_string())
}

fn folder() -> (tempfile::TempDir, FolderWriter) {
    let dir = tempfile::tempdir().unwrap();
    let writer = FolderWriter { dir: dir.path().to_owned(), syncs: true };
    (dir, writer)
}

fn end(writer: &FolderWriter) -> String {
    let contents = contents::of(&writer.dir).unwrap();
    writer.write_whole(&writer.dir.join(contents::NAME), contents.as_bytes()).unwrap();
    fs::read_to_string(writer.dir.join("llms.txt")).unwrap()
}

#[test]
fn a_page_written_again_replaces_its_own_file_and_no_other() {
    let (_dir, writer) = folder();
    let first = page("/a", "First");
    writer.write(&first).unwrap();
    writer.write(&page("/a", "Second")).unwrap();
    let path = writer.dir.join(first.file_name());
    assert!(fs::read_to_string(&path).unwrap().contains("title: \"Second\""));
    for other in ["notes of my own", "", "---\nurl: \"https://e.org/b\"\n---\n"] {
        fs::write(&path, other).unwrap();
        let refused = writer.write(&first).unwrap_err();
        assert!(!refused.stops_the_crawl() && refused.to_string().contains("move it away"), "{refused}");
        assert_eq!(fs::read_to_string(&path).unwrap(), other);
    }
}

#[test]
fn what_cannot_be_written_stops_the_crawl_and_leaves_no_part() {
    let (_dir, writer) = folder();
    fs::write(writer.dir.join("e.org"), "a file where the folder should be").unwrap();
    assert!(writer.write(&page("/a", "A")).unwrap_err().stops_the_crawl());
    let (_dir, writer) = folder();
    let path = writer.dir.join(page("/a", "A").file_name());
    fs::create_dir_all(&path).unwrap();
    assert!(writer.write(&page("/a", "A")).is_err());
    let names: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().collect();
    assert_eq!(names.len(), 1, "{names:?}");
}

#[test]
fn the_contents_list_every_page_by_its_title() {
    let (_dir, writer) = folder();
    let pages = [page("/a", "A [draft]"), page("/b", "B")];
    pages.iter().for_each(|page| writer.write(page).unwrap());
    fs::write(writer.dir.join("e.org/notes.md"), "no page").unwrap();
    fs::write(writer.dir.join("e.org/.x.md.part"), "---\nurl: \"https://e.org/x\"\n").unwrap();
    let text = end(&writer);
    assert!(text.starts_with("# e.org\n\n## e.org\n\n- [A  draft ](e.org/a-"), "{text}");
    assert_eq!(end(&writer), text, "the same folder gives the same text");
    let base = url::Url::from_directory_path(&writer.dir).unwrap();
    assert_eq!(text.matches("\n- [").count(), 2, "{text}");
    let listed =
        base.join(text.split("](").nth(2).unwrap().split(')').next().unwrap()).unwrap().to_file_path().unwrap();
    assert!(fs::read_to_string(listed).unwrap().contains("Text of /b"));
}

#[test]
fn front_matter_is_on_lines_of_its_own_whatever_a_page_says() {
    let page = page("/a", "A: \"b\"\n---\nurl: x").with("null", serde_json::json!(["x\ny", null, "\u{2028}\u{85}"]));
    let text = page.to_string();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!((lines[0], lines[1]), ("---", "url: \"https://e.org/a\""));
    assert_eq!(lines[2], "title: \"A: \\\"b\\\" --- url: x\"");
    assert_eq!(lines[4..6], ["\"null\": [\"x\\ny\",null,\"\\u2028\\u0085\"]", "---"], "{text}");
}

#[test]
fn a_folder_that_holds_something_is_refused_unless_the_crawl_goes_on() {
    let (dir, _) = folder();
    let pipeline = MarkdownFolder::create(dir.path());
    let system = actix_rt::System::new();
    let arbiter = system.block_on(async { actix::Arbiter::current() });
    let start = Start::new(arbiter);
    assert!(pipeline.open(&start).is_ok());
    fs::write(dir.path().join("notes"), "").unwrap();
    assert!(pipeline.open(&start).unwrap_err().to_string().contains("not empty"));
    assert!(pipeline.open(&start.clone().resuming(true)).is_ok() && pipeline.open(&start.restarted(1)).is_ok());
    assert!(
        MarkdownFolder::create(dir.path().join("notes"))
            .open(&Start::new(actix_rt::System::new().block_on(async { actix::Arbiter::current() })))
            .is_err()
    );
}

/// A kill before the state was first stored once left a folder that the same command refused.
#[test]
fn a_crawl_with_a_state_goes_on_with_pages_that_were_written_before_it_was_stored() {
    let (dir, writer) = folder();
    let arbiter = actix_rt::System::new().block_on(async { actix::Arbiter::current() });
    let crawl = super::super::CrawlStart { has_state: true, ..super::super::CrawlStart::default() };
    let start = Start::of(arbiter.clone(), crawl);
    let pipeline = MarkdownFolder::create(dir.path());
    writer.write(&page("/a", "A")).unwrap();
    fs::write(dir.path().join("e.org/.x.md.part"), "half").unwrap();
    assert!(pipeline.open(&start).is_ok());
    assert!(pipeline.open(&Start::new(arbiter)).is_err(), "without a state it is another's");
    let notes = dir.path().join("e.org/notes.md");
    fs::write(&notes, "of somebody else").unwrap();
    assert!(pipeline.open(&start).is_err());
    fs::remove_file(notes).unwrap();
    end(&writer);
    assert!(pipeline.open(&start).is_err(), "that crawl has ended");
}
