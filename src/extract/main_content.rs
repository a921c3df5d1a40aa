//! MainContent: the part of a page that its readers came for, without navigation, banners and footers. Chooses it by
//! readability (`dom_smoothie`); does not know how it is written.

use dom_smoothie::{Config, Readability};

use super::{
    select::{Document, Element},
    text::HIDDEN,
    walk::{TreeStep, Walk},
};

/// The deepest tree that is searched. Readability takes time that grows faster than the depth, and pages for readers
/// nest some thirty elements.
const MAX_DEPTH: usize = 128;

/// The most nodes of a tree that is searched. Readability took 0.2 s for pages of 30,000 to 80,000 nodes of any kind.
const MAX_NODES: usize = 100_000;

/// The main content has at least this part (one in so many) of the page's letters. What is less is rather one teaser of
/// many, or a note at the end.
const MIN_PART: usize = 4;

/// The most that the serializer of the library searches for what is escaped: it goes through the rest of a text at each
/// `&`. That takes 0.1 s, and real pages have a thousandth of it.
const MAX_ESCAPING: usize = 1 << 30;

/// Returns the main content of a page or an element as a document of its own; `None` if it has none that stands out, or
/// is too deep or too large to be searched. A page that was cut is either.
pub(crate) fn main_content(top: Element<'_>) -> Option<Document> {
    let whole = Size::of(top);
    if whole.depth > MAX_DEPTH || whole.nodes > MAX_NODES || whole.escaping > MAX_ESCAPING {
        return None;
    }
    // Classes name the languages of code; JSON-LD concerns the metadata of articles only.
    let config = Config { keep_classes: true, disable_json_ld: true, ..Config::default() };
    let article = Readability::new(top.html(), None, Some(config)).ok()?.parse().ok()?;
    let main = Document::parse(&article.content);
    (Size::of(main.root()).letters >= whole.letters.div_ceil(MIN_PART)).then_some(main)
}

/// How large a tree is.
#[derive(Default)]
struct Size {
    depth: usize,
    nodes: usize,
    /// Bytes of visible text, without white space.
    letters: usize,
    /// Over all texts, how many characters are escaped times the length of the text.
    escaping: usize,
}

/// Returns what a text adds to [`Size::escaping`].
fn escaping(text: &str) -> usize {
    let escaped = text.bytes().filter(|byte| matches!(byte, b'&' | b'"' | b'<' | b'>' | 0xc2)).count();
    escaped.saturating_mul(text.len())
}

impl Size {
    fn of(top: Element<'_>) -> Self {
        let (mut size, mut depth) = (Self::default(), 0);
        let mut walk = Walk::over(*top.node());
        while let Some(step) = walk.next() {
            match step {
                TreeStep::Close(_) => depth -= 1,
                TreeStep::Open(node) => {
                    depth += 1;
                    size.nodes += 1;
                    size.depth = size.depth.max(depth);
                    if let Some(text) = node.value().as_text() {
                        size.letters += text.split_whitespace().map(str::len).sum::<usize>();
                        size.escaping = size.escaping.saturating_add(escaping(text));
                    } else if let Some(element) = node.value().as_element() {
                        let values = element.attrs().map(|(_, value)| escaping(value));
                        size.escaping = values.fold(size.escaping, usize::saturating_add);
                        if HIDDEN.contains(&element.name()) {
                            walk.skip_content();
                        }
                    }
                }
            }
        }
        size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn main_of(html: &str) -> Option<String> {
        main_content(Document::parse(html).root()).map(|main| main.root().text())
    }

    const STORY: &str =
        "<p>Once upon a time, a crawler asked politely for a page, waited, and was answered at last.</p>";

    #[test]
    fn the_story_is_kept_and_what_is_around_it_is_not() {
        let around = "<nav><ul><li><a href=/>Home</a><li><a href=/b>Blog</a></ul></nav>";
        let page = format!(
            "{around}<article><h2>The story</h2>{}<pre class=language-rust>run()</pre></article>
             <aside class=sidebar><a href=/x>Read this too</a></aside><footer>Imprint, 2026</footer>",
            STORY.repeat(12)
        );
        let main = main_content(Document::parse(&page).root()).unwrap();
        let text = main.root().text();
        assert!(text.contains("asked politely") && text.contains("run()"), "{text}");
        assert!(!text.contains("Blog") && !text.contains("Imprint") && !text.contains("Read this too"), "{text}");
        assert!(
            main.find("pre.language-rust").unwrap().is_some(),
            "the language of code is kept: {}",
            main.root().html()
        );
    }

    #[test]
    fn a_part_that_is_small_is_not_the_main_content() {
        let links = "<li><a href=/x>Something to read, and something else</a>".repeat(90);
        let page = |story: usize| {
            format!("<article>{}</article><div class=sidebar><ul>{links}</ul></div>", STORY.repeat(story))
        };
        assert!(main_of(&page(30)).is_some_and(|text| !text.contains("Something")));
        assert_eq!(main_of(&page(8)), None);
        assert_eq!(main_of(""), None);
    }

    #[test]
    fn what_is_too_deep_or_too_large_is_not_searched() {
        assert_eq!(main_of(&("<div>".repeat(40_000) + &STORY.repeat(30))), None);
        assert_eq!(main_of(&("<i></i>".repeat(110_000) + &STORY.repeat(30))), None);
        assert!(main_of(&("<div>".repeat(60) + &STORY.repeat(30))).is_some());
        assert_eq!(main_of(&(STORY.repeat(30) + &"&amp;".repeat(100_000))), None);
        assert_eq!(main_of(&(STORY.repeat(30) + "<p title='" + &"&".repeat(100_000) + "'>")), None);
    }
}
