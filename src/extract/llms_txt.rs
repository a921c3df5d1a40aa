//! LlmsTxt: reads `llms.txt`, in which a site lists its pages for language models (<https://llmstxt.org>). Knows no
//! crawl.

use serde::Serialize;
use url::Url;

use super::{links::MAX_LINKS, prefix::prefix, reference::resolve};

/// What a site's `llms.txt` says: a title, a summary, and lists of links under headings.
///
/// Any text is read: lines that are neither headings nor links of a list are left out. Up to 10,000 links are read,
/// whose URLs are absolute.
///
/// ```
/// use actix_crawler::prelude::*;
///
/// let file = "# Tea\n\n> All about tea.\n\n## Docs\n\n- [Green](green.md): how to brew it\n\n## Optional\n- [Old](/old)\n";
/// let page = Response::html("https://e.org/llms.txt", file).with_header("content-type", "text/markdown");
/// let listed = page.llms_txt();
/// assert_eq!((listed.title.as_deref(), listed.summary.as_deref()), (Some("Tea"), Some("All about tea.")));
/// assert_eq!(listed.links[0].url.as_str(), "https://e.org/green.md");
/// assert_eq!((listed.links[0].notes.as_str(), listed.links[1].is_optional()), ("how to brew it", true));
///
/// // To crawl what it lists:
/// let parsed = Parsed::<()>::new().follow(listed.links.into_iter().map(|link| link.url));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LlmsTxt {
    /// The first heading of the first level.
    pub title: Option<String>,
    /// The first quotation.
    pub summary: Option<String>,
    /// The links of all lists, in order.
    pub links: Vec<LlmsLink>,
    /// How many links were left out, since there are more than 10,000, or since they are no web addresses.
    pub left_out: usize,
}

/// A link in an `llms.txt`.
///
/// ```
/// use actix_crawler::prelude::*;
///
/// let page = Response::html("https://e.org/llms.txt", "## Guides\n- [Start](/start): begin here");
/// let link = &page.llms_txt().links[0];
/// assert_eq!((link.section.as_str(), link.title.as_str(), link.notes.as_str()), ("Guides", "Start", "begin here"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LlmsLink {
    /// The heading above it; empty if there is none.
    pub section: String,
    /// Its text.
    pub title: String,
    /// Where it leads.
    pub url: Url,
    /// What is said of it; empty if nothing is.
    pub notes: String,
}

/// The longest text that is kept of a heading or a link, in bytes.
const MAX_TEXT: usize = 1_000;

impl LlmsLink {
    /// Tells whether it may be left out where room is short: it is in the section `Optional`.
    pub fn is_optional(&self) -> bool {
        self.section.eq_ignore_ascii_case("optional")
    }
}

impl LlmsTxt {
    /// Reads a file, whose links are relative to `base`. Takes time linear in its length.
    pub fn parse(text: &str, base: &Url) -> Self {
        let mut read = Self::default();
        let (mut section, mut in_code) = ("", false);
        for line in text.lines().map(str::trim) {
            if line.starts_with("```") {
                in_code = !in_code;
            } else if in_code {
            } else if let Some(title) = line.strip_prefix("# ") {
                read.title.get_or_insert_with(|| short(title));
            } else if let Some(name) = line.strip_prefix("## ").or_else(|| line.strip_prefix("### ")) {
                section = prefix(name.trim(), MAX_TEXT);
            } else if let Some(summary) = line.strip_prefix('>') {
                read.summary.get_or_insert_with(|| short(summary));
            } else if let Some((title, reference, notes)) = link_of(line) {
                let url = resolve(base, reference).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
                match url {
                    Some(url) if read.links.len() < MAX_LINKS => {
                        let (section, title, notes) = (section.to_owned(), short(&unescaped(title)), short(notes));
                        read.links.push(LlmsLink { section, title, url, notes });
                    }
                    _ => read.left_out += 1,
                }
            }
        }
        read
    }
}

/// Splits `- [title](url): notes` (CommonMark §6.3).
fn link_of(line: &str) -> Option<(&str, &str, &str)> {
    let item = line.strip_prefix(['-', '*', '+'])?.trim_start().strip_prefix('[')?;
    let title_end = end_of(item, ('[', ']')).filter(|end| item.get(*end..).is_some_and(|rest| rest.starts_with("](")));
    let (title, rest) = item.split_at_checked(title_end.or_else(|| item.find("]("))?)?;
    let rest = rest.strip_prefix("](")?.trim_start();
    let (reference, rest) = if let Some(rest) = rest.strip_prefix('<') {
        rest.split_once('>')?
    } else {
        let end = end_of(rest, ('(', ')')).unwrap_or(rest.len());
        rest.split_at_checked(rest.find(char::is_whitespace).map_or(end, |space| space.min(end)))?
    };
    let (_, notes) = without_title(rest.trim_start()).split_once(')')?;
    let notes = notes.trim_start();
    (!reference.is_empty()).then_some((title, reference, notes.strip_prefix(':').unwrap_or(notes)))
}

/// Returns where the bracket is closed that was opened before the text.
fn end_of(text: &str, (open, close): (char, char)) -> Option<usize> {
    let (mut depth, mut is_escaped) = (0_usize, false);
    for (at, character) in text.char_indices() {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            _ if character == open => depth += 1,
            _ if character == close && depth == 0 => return Some(at),
            _ if character == close => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Skips the quoted title that may follow a URL.
fn without_title(rest: &str) -> &str {
    let Some(quote) = rest.chars().next().filter(|first| matches!(first, '"' | '\'')) else { return rest };
    rest.split(quote).nth(1).and_then(|title| rest.get(title.len() + 2..)).unwrap_or(rest)
}

/// Removes the backslashes that escape punctuation.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        let escapes = character == '\\' && rest.peek().is_some_and(char::is_ascii_punctuation);
        plain.extend(if escapes { rest.next() } else { Some(character) });
    }
    plain
}

fn short(text: &str) -> String {
    prefix(text.trim(), MAX_TEXT).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> LlmsTxt {
        LlmsTxt::parse(text, &Url::parse("https://e.org/docs/llms.txt").unwrap())
    }

    #[test]
    fn lists_of_any_mark_are_read_and_other_lines_are_not() {
        let text = "# A\n# B\n> one\n> two\n[no list](/x)\n- no link\n* [a](a.md)\r\n+ [b](<b> \"B\") : about b\n\
                    ```\n- [code](/code)\n```\n- [mail](mailto:me@e.org)\n- [broken](";
        let found = read(text);
        assert_eq!((found.title.as_deref(), found.summary.as_deref()), (Some("A"), Some("one")));
        let urls: Vec<_> = found.links.iter().map(|link| (link.url.path(), link.notes.as_str())).collect();
        assert_eq!(urls, [("/docs/a.md", ""), ("/docs/b", "about b")]);
        assert_eq!(found.left_out, 1);
    }

    #[test]
    fn a_file_without_end_is_read_within_bounds() {
        let found = read(&"- [x](/x)\n".repeat(50_000));
        assert_eq!((found.links.len(), found.left_out), (10_000, 40_000));
        let found = read(&format!("## {0}\n- [{0}](/x): {0}", "é".repeat(1_000_000)));
        assert!(found.links[0].section.len() <= 1_000 && found.links[0].title.len() <= 1_000);
        assert!(read(&"- [".repeat(1_000_000)).links.is_empty());
    }

    #[test]
    fn a_link_is_read_as_in_markdown() {
        for (line, title, url, notes) in [
            ("- [a](x_(y))", "a", "https://e.org/docs/x_(y)", ""),
            ("- [a [b]](c): d (e)", "a [b]", "https://e.org/docs/c", "d (e)"),
            (r"- [a \[b\\](c)", r"a [b\", "https://e.org/docs/c", ""),
            ("- [a](<c d(> 'T)'): e", "a", "https://e.org/docs/c%20d(", "e"),
            ("- [a](c \"T (1)\") : e", "a", "https://e.org/docs/c", "e"),
            ("- [a](///o.org/)", "a", "https://o.org/", ""),
            ("- [a [b](c)", "a [b", "https://e.org/docs/c", ""),
        ] {
            let found = read(line);
            let found: Vec<_> = found.links.iter().map(|l| (&*l.title, l.url.as_str(), &*l.notes)).collect();
            assert_eq!(found, [(title, url, notes)], "{line}");
        }
        assert!(read("- [a]()\n- [a](\n- [a](<\n- [](x \"y\n- [a](b").links.is_empty());
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics_and_what_is_listed_is_read(
            text in "(# |## |> |- |\\[|\\]|\\(|\\)|<|>|\\\\|\"|'|:|a|é| |\n|```|http://e.org/){0,40}",
            title in "[a-z\\\\é \"'<(]{1,12}",
            path in "[a-z()é]{0,8}",
        ) {
            read(&text);
            let url = Url::parse("https://e.org/").unwrap().join(&path).unwrap();
            let destination = crate::extract::markdown::escape::destination(url.as_str());
            let written = format!("- [{}]({destination}): notes", title.replace('\\', "\\\\"));
            let found = read(&written);
            proptest::prop_assert_eq!(found.links.len(), 1, "{}", written);
            let link = &found.links[0];
            proptest::prop_assert_eq!((&*link.title, link.url.as_str(), &*link.notes), (title.trim(), &*destination, "notes"), "{}", written);
        }
    }
}
