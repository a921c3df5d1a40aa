//! FileNames: the names of a feed's files, made of what is written in braces. Opens nothing.

use std::{
    fs, io,
    path::{Path, PathBuf, is_separator},
    time::SystemTime,
};

use regex::Regex;

use crate::{error::Error, text::device_name::is_device};

/// The name of a feed with placeholders: `{time}`, `{batch}`, `{domain}`, `{spider}`. `{{` and `}}` are braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileNames(Vec<NamePart>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum NamePart {
    Text(String),
    Filled(Placeholder),
}

/// What is written in braces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placeholder {
    /// When the file was begun.
    Time,
    /// The number of the file.
    Batch,
    /// The registrable domain of the item's page.
    Domain,
    /// The product in the crawl's User-Agent.
    Spider,
}

const ALL: [(&str, Placeholder); 4] = [
    ("time", Placeholder::Time),
    ("batch", Placeholder::Batch),
    ("domain", Placeholder::Domain),
    ("spider", Placeholder::Spider),
];

/// What is filled in.
#[derive(Clone, Debug)]
pub(super) struct NameValues<'v> {
    pub time: SystemTime,
    pub batch: u64,
    pub domain: &'v str,
    pub spider: &'v str,
}

/// A file that is there, with what its name says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Existing {
    pub path: PathBuf,
    pub domain: String,
    pub batch: u64,
    pub modified: SystemTime,
}

impl FileNames {
    /// Reads a name.
    ///
    /// # Errors
    /// Something else is in braces, or a brace has no other; the message lists what may be there.
    pub fn of(name: &str) -> Result<Self, Error> {
        let refuse = |why: String| {
            let known: Vec<_> = ALL.iter().map(|(word, _)| format!("{{{word}}}")).collect();
            Error::setting(name, format!("{why}; there are {}, and {{{{ and }}}} for braces", known.join(", ")))
        };
        let (mut parts, mut text, mut rest) = (Vec::new(), String::new(), name);
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            text.push_str(before);
            if let Some(after) = from.strip_prefix("{{").or_else(|| from.strip_prefix("}}")) {
                text.extend(from.chars().next());
                rest = after;
                continue;
            }
            let Some((word, after)) = from.strip_prefix('{').and_then(|inner| inner.split_once('}')) else {
                return Err(refuse("a brace has no other".to_owned()));
            };
            let known = ALL.iter().find(|(known, _)| *known == word);
            let (_, placeholder) = known.ok_or_else(|| refuse(format!("nothing is known as {{{word}}}")))?;
            parts.push(NamePart::Text(std::mem::take(&mut text)));
            parts.push(NamePart::Filled(*placeholder));
            rest = after;
        }
        text.push_str(rest);
        parts.push(NamePart::Text(text));
        Ok(Self(parts))
    }

    /// Tells whether something is filled in.
    pub fn has(&self, placeholder: Placeholder) -> bool {
        self.0.contains(&NamePart::Filled(placeholder))
    }

    /// Tells whether anything is filled in.
    pub fn are_filled(&self) -> bool {
        self.0.iter().any(|part| matches!(part, NamePart::Filled(_)))
    }

    /// Makes a name.
    pub fn fill(&self, values: &NameValues) -> String {
        let fill = |part: &NamePart| match part {
            NamePart::Text(text) => text.clone(),
            NamePart::Filled(Placeholder::Time) => time(values.time),
            NamePart::Filled(Placeholder::Batch) => format!("{:05}", values.batch),
            NamePart::Filled(Placeholder::Domain) => file_name(values.domain),
            NamePart::Filled(Placeholder::Spider) => file_name(values.spider),
        };
        self.0.iter().map(fill).collect()
    }

    /// Finds the files that have such names, the latest modified first.
    ///
    /// # Errors
    /// A folder cannot be read.
    pub fn existing(&self, spider: &str) -> io::Result<Vec<Existing>> {
        let (pattern, (root, depth)) = (self.pattern(spider)?, self.root());
        let mut found = Vec::new();
        walk(Path::new(&root), depth, &mut |path, modified| found.extend(pattern.existing(path, modified)))?;
        // Files with the same modification time are sorted by the number and the time in their names.
        found.sort_by(|one, other| {
            (other.modified, other.batch, &other.path).cmp(&(one.modified, one.batch, &one.path))
        });
        Ok(found)
    }

    /// Returns the folder that all such names are in, and how many folders deeper their files are.
    fn root(&self) -> (String, usize) {
        let (fixed, shape) = (self.fixed(), self.shape());
        let end = fixed.rfind(is_separator).map_or(0, |at| at + 1);
        let (root, below) = shape.split_at(end);
        (root.to_owned(), below.matches(is_separator).count())
    }

    /// Returns what such names begin with.
    pub fn fixed(&self) -> String {
        let text = |part: &NamePart| if let NamePart::Text(text) = part { Some(text.clone()) } else { None };
        self.0.iter().map_while(text).collect()
    }

    /// Returns the pattern of such names.
    ///
    /// # Errors
    /// They are too long for one.
    pub fn pattern(&self, spider: &str) -> io::Result<NamePattern> {
        let (mut pattern, mut seen) = (String::from("^"), Vec::new());
        for part in &self.0 {
            match part {
                NamePart::Text(text) => pattern.push_str(&regex::escape(text)),
                NamePart::Filled(placeholder) => {
                    let (name, what) = match placeholder {
                        Placeholder::Time => ("time", r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}".to_owned()),
                        Placeholder::Batch => ("batch", r"\d{5,18}".to_owned()),
                        Placeholder::Domain => ("domain", r"[^/\\]+".to_owned()),
                        Placeholder::Spider => ("spider", regex::escape(&file_name(spider))),
                    };
                    // A name may have the same twice.
                    let is_first = !seen.contains(placeholder);
                    seen.push(*placeholder);
                    pattern.extend(if is_first { ["(?<", name, ">", &what, ")"] } else { ["(?:", "", "", &what, ")"] });
                }
            }
        }
        pattern.push('$');
        Regex::new(&pattern).map(NamePattern).map_err(io::Error::other)
    }

    /// Returns the text alone.
    fn shape(&self) -> String {
        let text = |part: &NamePart| if let NamePart::Text(text) = part { text.clone() } else { String::new() };
        self.0.iter().map(text).collect()
    }
}

/// What the names of a feed's files are like.
pub(super) struct NamePattern(Regex);

impl NamePattern {
    /// Returns what the name of a file says; `None` if it is another's.
    pub fn existing(&self, path: &Path, modified: SystemTime) -> Option<Existing> {
        let captures = self.0.captures(path.to_str()?)?;
        let of = |name: &str| captures.name(name).map_or("", |found| found.as_str());
        let (domain, batch) = (of("domain").to_owned(), of("batch").parse().unwrap_or(0));
        Some(Existing { path: path.to_owned(), domain, batch, modified })
    }
}

/// Visits the files in a folder, down to a depth. Skips files that are removed meanwhile, and unreadable folders below
/// it, which are not the feed's.
fn walk(folder: &Path, depth: usize, visit: &mut impl FnMut(&Path, SystemTime)) -> io::Result<()> {
    let listed = match fs::read_dir(if folder.as_os_str().is_empty() { Path::new(".") } else { folder }) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        listed => listed?,
    };
    for entry in listed {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        // What was moved away and linked back is still the feed's. A link that cannot be followed has its name taken
        // too.
        let looked = fs::metadata(&path);
        if looked.is_err() && fs::symlink_metadata(&path).is_ok_and(|at| at.is_symlink()) {
            visit(&path, SystemTime::UNIX_EPOCH);
            continue;
        }
        let Some(metadata) = if_there(looked)? else { continue };
        if metadata.is_dir() {
            // What is gathered for a file that is not whole yet.
            if path.extension().is_some_and(|ending| ending == "part") {
                visit(&path.with_extension(""), metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH));
            }
            if depth > 0 {
                if_there(walk(&path, depth - 1, visit))?;
            }
        } else if metadata.is_file() {
            visit(&path, metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH));
        }
    }
    Ok(())
}

fn if_there<T>(looked: io::Result<T>) -> io::Result<Option<T>> {
    match looked {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => Ok(None),
        looked => looked.map(Some),
    }
}

/// Writes a time as names of files may have it everywhere: without colons.
fn time(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string().trim_end_matches('Z').replace(':', "-")
}

/// Makes a domain's name a valid file name, on every system.
pub(super) fn file_name(domain: &str) -> String {
    let fit = |sign: char| if sign.is_alphanumeric() || matches!(sign, '.' | '-' | '_') { sign } else { '_' };
    let name: String = domain.chars().map(fit).collect();
    if name.trim_matches('.').is_empty() || is_device(&name) { format!("_{name}") } else { name }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn names_are_filled_and_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let names =
            FileNames::of(&format!("{}/{{domain}}/{{spider}}-{{batch}}-{{time}}{{{{x}}}}.csv", dir.path().display()))
                .unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_764_420_962_007);
        let name = names.fill(&NameValues { time, batch: 7, domain: "a.org:80", spider: "bot" });
        assert!(name.ends_with("/a.org_80/bot-00007-2025-11-29T12-56-02.007{x}.csv"), "{name}");
        fs::create_dir_all(Path::new(&name).parent().unwrap()).unwrap();
        fs::write(&name, "").unwrap();
        fs::write(dir.path().join("other.csv"), "").unwrap();
        let found = names.existing("bot").unwrap();
        assert_eq!((found.len(), found[0].batch, &*found[0].domain), (1, 7, "a.org_80"));
        assert_eq!(found[0].path, Path::new(&name));
        assert!(names.existing("another").unwrap().is_empty());
    }

    #[test]
    fn files_are_looked_for_as_deep_as_their_names_are() {
        for (name, root, depth) in [
            ("/tmp/{domain}.jsonl", "/tmp/", 0),
            ("/{domain}.jsonl", "/", 0),
            ("out/{batch}.csv", "out/", 0),
            ("out//{batch}.csv", "out//", 0),
            ("{domain}.csv", "", 0),
            ("out/{domain}/x.csv", "out/", 1),
            ("out/a{domain}/{batch}/x.csv", "out/", 2),
        ] {
            assert_eq!(FileNames::of(name).unwrap().root(), (root.to_owned(), depth), "{name}");
        }
    }

    /// A feed in `/tmp` once did not start, since it looked into the folders of others.
    #[test]
    fn what_is_beside_a_feeds_files_is_not_looked_into() {
        let dir = tempfile::tempdir().unwrap();
        let other = dir.path().join("other");
        fs::create_dir(&other).unwrap();
        fs::write(other.join("x.csv"), "").unwrap();
        fs::write(dir.path().join("00001.csv"), "").unwrap();
        let names = FileNames::of(&format!("{}/{{batch}}.csv", dir.path().display())).unwrap();
        let (root, depth) = names.root();
        let mut seen = Vec::new();
        walk(Path::new(&root), depth, &mut |path, _| seen.push(path.to_owned())).unwrap();
        assert_eq!(seen, [dir.path().join("00001.csv")]);
        assert_eq!(names.existing("bot").unwrap()[0].batch, 1);
    }

    /// Root may read everything: then it is there, and nothing of the feed's.
    #[cfg(unix)]
    #[test]
    fn a_folder_that_may_not_be_read_is_passed_over() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        for folder in ["a.org", "b.org"] {
            fs::create_dir(dir.path().join(folder)).unwrap();
            fs::write(dir.path().join(folder).join("x.csv"), "").unwrap();
        }
        let may_not = |mode| fs::set_permissions(dir.path().join("a.org"), fs::Permissions::from_mode(mode)).unwrap();
        may_not(0);
        let names = FileNames::of(&format!("{}/{{domain}}/x.csv", dir.path().display())).unwrap();
        let found = names.existing("bot");
        may_not(0o755);
        assert!(found.unwrap().iter().any(|file| file.domain == "b.org"));
    }

    /// Any of these, whatever its name, once kept the crawl from starting.
    #[cfg(unix)]
    #[test]
    fn a_link_that_cannot_be_followed_has_its_name_and_no_more() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        for (to, name) in
            [("loop", "loop"), ("file/x", "within_a_file"), ("gone", "to_nothing"), ("00007.csv", "00007.csv")]
        {
            symlink(to, dir.path().join(name)).unwrap();
        }
        let names = FileNames::of(&format!("{}/{{batch}}.csv", dir.path().display())).unwrap();
        let found = names.existing("").unwrap();
        assert_eq!(found.iter().map(|file| file.batch).collect::<Vec<_>>(), [7]);
    }

    #[test]
    fn what_is_not_known_is_refused_with_what_is() {
        for wrong in ["{tiem}.csv", "a{.csv", "a}.csv", "{}.csv", "{domain"] {
            let refused = FileNames::of(wrong).unwrap_err().to_string();
            assert!(refused.contains("{time}, {batch}, {domain}, {spider}"), "{refused}");
        }
    }

    #[test]
    fn no_domain_leads_out_of_the_folder() {
        for (domain, name) in [
            ("..", "_.."),
            ("a/../b", "a_.._b"),
            ("[::1]", "___1_"),
            ("münchen.de", "münchen.de"),
            ("aux.com", "_aux.com"),
            ("nul", "_nul"),
            ("com1.de", "_com1.de"),
            ("come.to", "come.to"),
        ] {
            assert_eq!(file_name(domain), name);
            assert_eq!(file_name(name), name, "a file that is there is found again");
        }
    }
}
