//! What the docs tell a newcomer to write: names that exist, commands that run as they stand, and the features of each
//! program.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files below a folder, or the one file, with this ending.
fn files(place: &str, ending: &str) -> Vec<PathBuf> {
    fn below(place: &Path) -> Vec<PathBuf> {
        if place.is_file() {
            return vec![place.to_owned()];
        }
        fs::read_dir(place).unwrap().flat_map(|entry| below(&entry.unwrap().path())).collect()
    }
    below(&root().join(place)).into_iter().filter(|file| file.extension().is_some_and(|of| of == ending)).collect()
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The text within the fences of Markdown if `fenced`, or else what is outside of them.
fn by_fence(text: &str, fenced: bool) -> String {
    let blocks = text.split("```").enumerate().filter(|(number, _)| (number % 2 == 1) == fenced);
    blocks.map(|(_, block)| format!("{block}\n")).collect()
}

/// The code spans outside of fences: what stands between two backticks.
fn spans(text: &str) -> Vec<String> {
    let text = by_fence(text, false);
    text.split("\n\n").flat_map(|part| part.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

/// The chapters of the guide, by their names.
fn chapters() -> BTreeMap<String, String> {
    let named = |file: PathBuf| (file.file_stem().unwrap().to_str().unwrap().to_owned(), read(&file));
    files("docs/guide", "md").into_iter().map(named).collect()
}

/// Each command that asks a server for something, up to the end of its code span or of its lines.
fn commands(text: &str) -> Vec<String> {
    let text = text.replace("\\\n", " ");
    let words = |command: &str| command.replace("///", " ").replace("//!", " ");
    let starts = text.match_indices("actix-crawler ").map(|(at, _)| &text[at..]);
    let commands = starts.map(|rest| words(&rest[..rest.find(['`', '\n', '"']).unwrap_or(rest.len())]));
    let asks = ["crawl", "poll", "fetch", "robots", "sitemap"];
    commands.filter(|command| command.split_whitespace().nth(1).is_some_and(|verb| asks.contains(&verb))).collect()
}

/// Without a contact they end with exit code 2, unless the URL is on this machine.
#[test]
fn each_command_in_the_docs_names_a_contact() {
    let (mut shown, mut nameless) = (0, Vec::new());
    let texts = ["README.md", "docs", "src"].into_iter().flat_map(|place| files(place, "md"));
    for file in texts.chain(["src", "examples"].into_iter().flat_map(|place| files(place, "rs"))) {
        for command in commands(&read(&file)) {
            let has = |words: &[&str]| words.iter().any(|word| command.contains(word));
            // Neither the name of a command alone, nor what needs none: the file may have it, the server is this
            // machine, or it shows what happens without.
            let is_name = command.split_whitespace().count() == 2;
            if is_name || has(&["--help", "--config", "127.0.0.1", "localhost", "[::1]", "# exits with 2"]) {
                continue;
            }
            shown += 1;
            if !has(&["--contact ", "--user-agent "]) {
                nameless.push(format!("{}: {command}", file.display()));
            }
        }
    }
    assert!(shown > 10, "{shown}");
    assert!(nameless.is_empty(), "add --contact me@example.org: {nameless:#?}");
}

/// What the code spans of the docs have beside the crate's own: what a derive makes for `Product`, and SQL.
const OF_OTHERS: [&str; 5] = ["Product::all", "Product::extract", "Product::check", "derive", "numeric"];

/// What stands in a program is checked by the compiler; what stands in a sentence or a table is checked here.
#[test]
fn each_name_in_a_sentence_of_the_docs_is_public() {
    let public = public_names();
    let (mut checked, mut unknown) = (0, BTreeSet::new());
    let docs = ["README.md", "docs/guide", "docs/CONFIG.md", "docs/RATES.md", "docs/FRONTIER.md"];
    for file in docs.into_iter().flat_map(|place| files(place, "md")) {
        for span in spans(&own_columns(&read(&file))) {
            for name in members(&span).chain(calls(&span)) {
                checked += 1;
                if !public.contains(&name) && !OF_OTHERS.contains(&&*name) {
                    unknown.insert(format!("{}: {name}, in `{span}`", file.display()));
                }
            }
        }
    }
    assert!(checked > 100, "{checked}");
    assert!(unknown.is_empty(), "docs/public-api.txt has none of these: {unknown:#?}");
}

/// In the comments of the source private types have names too, so only the variants of public enums are checked.
#[test]
fn each_variant_that_a_comment_names_exists() {
    let api = read(&root().join("docs/public-api.txt"));
    let last = |path: &str| path.rsplit("::").next().unwrap().to_owned();
    let enums: BTreeSet<String> = api.lines().filter_map(|line| line.strip_prefix("enum ")).map(last).collect();
    let public = public_names();
    let mut unknown = BTreeSet::new();
    for file in files("src", "rs") {
        let comments = read(&file);
        for line in comments.lines().map(str::trim_start).filter(|line| line.starts_with("//")) {
            for name in line.split('`').skip(1).step_by(2).flat_map(members) {
                let (owner, member) = name.split_once("::").unwrap();
                let is_variant = member.starts_with(char::is_uppercase) && enums.contains(owner);
                if is_variant && !public.contains(&name) {
                    unknown.insert(format!("{}: {name}", file.display()));
                }
            }
        }
    }
    assert!(unknown.is_empty(), "docs/public-api.txt has none of these: {unknown:#?}");
}

/// The names of `docs/public-api.txt`, as `LinkElement::Image` and as `Image`.
fn public_names() -> BTreeSet<String> {
    let mut public = BTreeSet::new();
    let api = read(&root().join("docs/public-api.txt"));
    for path in api.lines().filter_map(|line| line.split_once(' ')).map(|(_, path)| path) {
        let mut names = path.rsplit("::");
        let (name, owner) = (names.next().unwrap(), names.next().unwrap_or_default());
        public.extend([format!("{owner}::{name}"), name.to_owned()]);
    }
    public
}

/// Each `Type::member` of a code span, but for constants, which the list does not have.
fn members(span: &str) -> impl Iterator<Item = String> {
    let of_types = |(at, _): (usize, &str)| {
        let (owner, member) = (last_word(&span[..at]), first_word(&span[at + 2..]));
        let is_constant = member.len() > 1 && !member.contains(char::is_lowercase);
        let is_member = owner.starts_with(char::is_uppercase) && !member.is_empty() && !is_constant;
        is_member.then(|| format!("{owner}::{member}"))
    };
    span.match_indices("::").filter_map(of_types)
}

/// The name of each function that a code span calls.
fn calls(span: &str) -> impl Iterator<Item = String> {
    let called =
        |(at, _): (usize, &str)| Some(last_word(&span[..at])).filter(|name| name.starts_with(char::is_lowercase));
    span.match_indices('(').filter_map(called).map(str::to_owned)
}

fn first_word(text: &str) -> &str {
    &text[..text.find(|c| !is_word(c)).unwrap_or(text.len())]
}

fn last_word(text: &str) -> &str {
    text.rsplit(|c| !is_word(c)).next().unwrap_or_default()
}

/// The text with the last column alone of tables that compare this crate with others.
fn own_columns(text: &str) -> String {
    let own = |line: &str| match line.strip_prefix("| ").map(|row| row.replace("\\|", "")) {
        Some(row) if row.matches('|').count() > 2 => row.split('|').rev().nth(1).unwrap_or_default().to_owned(),
        _ => line.to_owned(),
    };
    text.lines().map(|line| own(line) + "\n").collect()
}

/// The features that are not on by default, each with what a program shows that needs it. The guide's programs have
/// their crates and files from elsewhere, so those of the command line are not among them.
const FEATURES: [(&str, &[&str]); 15] = [
    ("testing", &["testing::", "Site::new("]),
    ("cookies", &["sessions::", "Login", ".log_in(", ".sessions(", ".cookies("]),
    ("warc", &["warc::", "Warc", ".archive("]),
    ("cache", &[".cache(", ".record("]),
    ("toml", &["Settings::read"]),
    ("sqlite", &[".sqlite\"", ".db\""]),
    ("postgres", &["postgres://"]),
    ("cluster", &[".cluster("]),
    ("parquet", &[".parquet"]),
    ("object-store", &["s3://", "gs://", "az://"]),
    ("xpath", &[".xpath("]),
    ("jmespath", &[".jmes("]),
    ("feeds", &[".feed()"]),
    ("readability", &[".main_content(", ".main()"]),
    ("language", &[".language()"]),
];

/// Features that a program does not show: they are on by default, are of the command line, or change what lies under
/// it.
const NOT_SHOWN: [&str; 7] = ["default", "csv", "derive", "disk", "cli", "native-roots", "hickory"];

#[test]
fn each_chapter_names_the_features_that_its_program_needs() {
    let manifest = read(&root().join("Cargo.toml"));
    let features = manifest.split("\n[features]\n").nth(1).unwrap().split("\n[").next().unwrap();
    let features: BTreeSet<&str> = features.lines().filter_map(|line| Some(line.split_once(" = ")?.0)).collect();
    let known: BTreeSet<&str> = FEATURES.iter().map(|(name, _)| *name).chain(NOT_SHOWN).collect();
    assert_eq!(features, known, "each feature is here, with what shows that a program needs it");

    for (chapter, text) in chapters() {
        // A section may name its own, and is then no part of what the chapter names.
        let (mut whole, mut alone) = (Vec::new(), Vec::new());
        for (number, section) in text.split("\n## ").enumerate() {
            let is_alone = number > 0 && under_title(section).starts_with("Features: ");
            if is_alone { &mut alone } else { &mut whole }.push(section);
        }
        names_its_features(&chapter, &whole.join("\n"), &features);
        alone.into_iter().for_each(|section| names_its_features(&chapter, section, &features));
    }
}

/// The line under the title of a chapter or section.
fn under_title(text: &str) -> &str {
    text.lines().nth(2).unwrap_or_default()
}

fn names_its_features(chapter: &str, text: &str, features: &BTreeSet<&str>) {
    let program = by_fence(text, true);
    if !program.contains("fn main()") {
        return;
    }
    let needs = FEATURES.iter().filter(|(_, signs)| signs.iter().any(|sign| program.contains(sign)));
    let needs: BTreeSet<&str> = needs.map(|(name, _)| *name).collect();
    let line = under_title(text);
    if needs.is_empty() {
        assert!(!line.starts_with("Features: "), "{chapter} needs none: {line}");
        return;
    }
    assert!(line.starts_with("Features: "), "{chapter} says which features it needs under its title: {needs:?}");
    let named: BTreeSet<&str> = line.split('`').filter(|word| features.contains(word)).collect();
    assert_eq!(named, needs, "{chapter}: {line}");
    // What stands for the network is no part of a real program.
    if program.contains("site.crawl(") {
        assert!(line.contains("run_blocking()"), "{chapter} says what runs a real crawl: {line}");
    }
}

/// A chapter that is not in the list of `src/guide.rs` is no part of the documentation, and its program is no test.
#[test]
fn each_chapter_is_in_the_guide_and_each_example_in_the_readme() {
    let guide = read(&root().join("src/guide.rs"));
    let (table, listed) = guide.split_once("chapters! {").unwrap();
    for chapter in chapters().keys() {
        assert!(listed.split_whitespace().any(|word| word == chapter), "{chapter} is not in `chapters!`");
        assert!(table.contains(&format!("[`{chapter}`]")), "{chapter} is not in the table of the guide");
    }
    let readme = read(&root().join("README.md"));
    for file in fs::read_dir(root().join("examples")).unwrap().map(|entry| entry.unwrap().path()) {
        let name = file.file_stem().unwrap().to_str().unwrap();
        assert!(file.is_dir() || readme.contains(&format!("`{name}`")), "the README does not name the example {name}");
    }
}

/// Who looks for `delay` or `download_delay` in the documentation found nothing.
#[test]
fn the_search_of_the_documentation_finds_methods_by_the_names_that_they_have_elsewhere() {
    let mut known = BTreeMap::<String, BTreeSet<String>>::new();
    for file in files("src", "rs") {
        let text = read(&file);
        let mut aliases = Vec::new();
        for line in text.lines().map(str::trim) {
            let name = line.split_once("fn ").map(|(_, rest)| rest.split(['(', '<']).next().unwrap());
            if line.starts_with("#[doc(alias") {
                aliases = line.split('"').skip(1).step_by(2).map(str::to_owned).collect();
            } else if let Some(name) = name.filter(|_| !line.starts_with("//")) {
                known.entry(name.to_owned()).or_default().insert(name.to_owned());
                for alias in std::mem::take(&mut aliases) {
                    known.entry(alias).or_default().insert(name.to_owned());
                }
            }
        }
    }
    for (elsewhere, here) in [
        ("delay", "spacing"),
        ("rate_limit", "rate"),
        ("parallelism", "per_domain"),
        ("user_agent", "new"),
        ("allowed_domains", "within"),
        ("start_urls", "seed"),
        ("errback", "failed"),
        ("on_html", "parse"),
        ("enqueue_links", "follow"),
        ("cb_kwargs", "with_state"),
    ] {
        assert!(known.get(elsewhere).is_some_and(|names| names.contains(here)), "{elsewhere}");
    }
    let elsewhere = spans(&chapters()["coming_from_elsewhere"]);
    let is_setting = |name: &String| name.len() > 3 && name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    let settings: Vec<_> = elsewhere.into_iter().filter(is_setting).map(|name| name.to_ascii_lowercase()).collect();
    assert!(settings.len() >= 15, "{settings:?}");
    let lost: Vec<_> = settings.iter().filter(|name| !known.contains_key(*name)).collect();
    assert!(lost.is_empty(), "these are found under no name: {lost:?}");
}
