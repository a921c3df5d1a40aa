//! Feed: the entries of RSS, Atom and JSON Feed, by the crate feed-rs, which is kept from hostile files. Works on
//! decoded text, and knows no network.

use std::{borrow::Cow, time::SystemTime};

use feed_rs::{model, parser};
use quick_xml::{Reader, events::Event};
use thiserror::Error;
use url::Url;

use super::{metadata::FeedKind, reference::resolve};

/// A feed.
///
/// ```
/// use actix_crawler::prelude::*;
///
/// let page = Response::html("https://e.org/feed", "<rss version='2.0'><channel><title>News</title>
///     <item><title>First</title><link>/1</link><pubDate>Sun, 01 Feb 2026 10:00:00 GMT</pubDate></item>
/// </channel></rss>");
/// let feed = page.feed()?;
/// assert_eq!((feed.title.as_deref(), feed.entries.len()), (Some("News"), 1));
/// assert_eq!(feed.entries[0].url.as_ref().unwrap().as_str(), "https://e.org/1");
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Feed {
    /// Its format.
    pub kind: FeedKind,
    /// Its title.
    pub title: Option<String>,
    /// What it is about.
    pub description: Option<String>,
    /// The site that it is of.
    pub url: Option<Url>,
    /// Its language.
    pub language: Option<String>,
    /// When it was last changed.
    pub updated: Option<SystemTime>,
    /// Its entries, in their order.
    pub entries: Vec<FeedEntry>,
}

/// An entry of a feed. Texts may have markup.
///
/// ```
/// use actix_crawler::{extract::feed::FeedEntry, prelude::*};
///
/// fn newest(page: &Response) -> Result<Option<FeedEntry>> {
///     Ok(page.feed()?.entries.into_iter().max_by_key(|entry| entry.published.or(entry.updated)))
/// }
/// # drop(newest(&Response::html("https://e.org/", "")));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FeedEntry {
    /// What distinguishes it from others: its `guid` or `id`, or else a hash of its link and title.
    pub id: String,
    /// The page of the entry.
    pub url: Option<Url>,
    /// Its title.
    pub title: Option<String>,
    /// A summary.
    pub summary: Option<String>,
    /// The whole text.
    pub content: Option<String>,
    /// When it was published.
    pub published: Option<SystemTime>,
    /// When it was last changed.
    pub updated: Option<SystemTime>,
    /// Who wrote it.
    pub authors: Vec<String>,
    /// What it is about.
    pub categories: Vec<String>,
    /// Files that belong to it: podcasts, pictures. Where an item of RSS has `<media:content>` too, its `<enclosure>`
    /// is not among them: the crate feed-rs keeps one of both.
    pub enclosures: Vec<Url>,
}

/// Why a text is not read as a feed.
///
/// ```
/// use actix_crawler::{extract::feed::{Feed, FeedError}};
///
/// let page = Feed::parse("<html><body>Not found</body></html>", &"https://e.org/feed".parse().unwrap());
/// assert!(matches!(page, Err(FeedError::NotAFeed(_))));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FeedError {
    /// It is no feed, or one that is broken.
    #[error("this is no feed that can be read: {0}")]
    NotAFeed(String),
    /// Elements are nested deeper than 256.
    #[error("the feed nests more than {max_depth} elements")]
    TooDeep {
        /// The limit.
        max_depth: usize,
    },
    /// It declares entities. No feed needs them, and they can expand a small file enormously.
    #[error("the feed declares entities")]
    Entities,
}

/// The deepest nesting: an article within Atom's XHTML has a few dozen levels. feed-rs goes through what is nested
/// several times.
const MAX_DEPTH: usize = 256;

impl Feed {
    /// Parses a feed; relative URLs are resolved against `base`.
    ///
    /// # Errors
    /// It is none, or a hostile one.
    pub fn parse(text: &str, base: &Url) -> Result<Self, FeedError> {
        let text = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        let text = if text.starts_with('{') { Cow::Borrowed(text) } else { undeclared(text)? };
        let text = in_newest_format(&text).map_or(text, Cow::Owned);
        let feed = parser::Builder::new().base_uri(Some(base)).build().parse(text.as_bytes());
        let feed = feed.map_err(|error| FeedError::NotAFeed(error.to_string()))?;
        let kind = match feed.feed_type {
            model::FeedType::Atom => FeedKind::Atom,
            model::FeedType::JSON => FeedKind::Json,
            model::FeedType::RSS0 | model::FeedType::RSS1 | model::FeedType::RSS2 => FeedKind::Rss,
        };
        Ok(Self {
            kind,
            title: text_of(feed.title),
            description: text_of(feed.description),
            url: page_of(&feed.links, kind, base),
            language: feed.language,
            updated: feed.updated.or(feed.published).map(SystemTime::from),
            entries: feed.entries.into_iter().map(|entry| FeedEntry::of(entry, kind, base)).collect(),
        })
    }
}

impl FeedEntry {
    fn of(entry: model::Entry, kind: FeedKind, base: &Url) -> Self {
        let url = page_of(&entry.links, kind, base).or_else(|| permalink(&entry.id, kind));
        let linked = entry.links.iter().filter(|link| is_enclosure(link, kind)).take(MAX_ENCLOSURES);
        let mut enclosures: Vec<_> = linked.filter_map(|link| resolve(base, &link.href).ok()).collect();
        for media in entry.media.iter().flat_map(|media| &media.content).filter_map(|content| content.url.as_ref()) {
            if !enclosures.contains(media) && enclosures.len() < MAX_ENCLOSURES {
                enclosures.push(media.clone());
            }
        }
        Self {
            id: entry.id,
            url,
            title: text_of(entry.title),
            summary: text_of(entry.summary),
            content: entry.content.and_then(|content| content.body),
            published: entry.published.map(SystemTime::from),
            updated: entry.updated.map(SystemTime::from),
            authors: entry.authors.into_iter().filter_map(|author| author.name.or(author.email)).collect(),
            categories: entry.categories.into_iter().map(|category| category.label.unwrap_or(category.term)).collect(),
            enclosures,
        }
    }
}

/// The most enclosures of one entry: each is compared with all before.
const MAX_ENCLOSURES: usize = 100;

fn text_of(text: Option<model::Text>) -> Option<String> {
    text.map(|text| text.content.trim().to_owned()).filter(|text| !text.is_empty())
}

/// Tells whether a link is a file of its entry. feed-rs has the attachments of JSON Feed among the links, without a
/// relation, and these alone have a type there.
fn is_enclosure(link: &model::Link, kind: FeedKind) -> bool {
    link.rel.as_deref() == Some("enclosure") || (kind == FeedKind::Json && link.media_type.is_some())
}

/// Returns the page that links lead to: the first with `rel=alternate` or none (RFC 4287 §4.2.7.2).
fn page_of(links: &[model::Link], kind: FeedKind, base: &Url) -> Option<Url> {
    let is_page =
        |link: &&model::Link| link.rel.as_deref().is_none_or(|rel| rel == "alternate") && !is_enclosure(link, kind);
    let url = resolve(base, links.iter().find(is_page)?.href.trim()).ok()?;
    matches!(url.scheme(), "http" | "https").then_some(url)
}

/// Returns the page that the `guid` of an RSS item is the URL of, which it is unless the item says otherwise (RSS 2.0,
/// "guid"). Whether it does is not known here: an item without a link has no other page.
fn permalink(id: &str, kind: FeedKind) -> Option<Url> {
    let url = if kind == FeedKind::Rss { Url::parse(id).ok()? } else { return None };
    matches!(url.scheme(), "http" | "https").then_some(url)
}

/// Refuses what costs a parser more than its length. Returns the text without its XML declarations: their charset would
/// mislead, since the text is decoded, and feed-rs panics at one that is not at the beginning.
fn undeclared(text: &str) -> Result<Cow<'_, str>, FeedError> {
    let mut xml = Reader::from_str(text);
    let config = xml.config_mut();
    config.allow_dangling_amp = true;
    config.allow_unmatched_ends = true;
    config.check_end_names = false;
    let mut depth = 0_usize;
    let (mut kept, mut rest_from) = (String::new(), 0);
    loop {
        match xml.read_event() {
            Ok(Event::Start(_)) if depth == MAX_DEPTH => return Err(FeedError::TooDeep { max_depth: MAX_DEPTH }),
            Ok(Event::Start(_)) => depth += 1,
            Ok(Event::End(_)) => depth = depth.saturating_sub(1),
            Ok(Event::DocType(doctype)) if doctype.to_ascii_uppercase().contains("<!ENTITY") => {
                return Err(FeedError::Entities);
            }
            Ok(Event::Decl(_)) => {
                let end = usize::try_from(xml.buffer_position()).unwrap_or(text.len());
                let before = text.get(rest_from..end).unwrap_or_default();
                kept.push_str(before.rsplit_once("<?").map_or(before, |(before, _)| before));
                rest_from = end;
            }
            // Broken markup is the parser's to judge.
            Ok(Event::Eof) | Err(_) => break,
            Ok(_) => {}
        }
    }
    let rest = text.get(rest_from..).unwrap_or_default();
    Ok(if kept.is_empty() { Cow::Borrowed(rest) } else { Cow::Owned(kept + rest) })
}

/// The versions of RSS that feed-rs knows. All others say the same by the same elements.
const VERSIONS: [&str; 4] = ["2.0", "0.92", "0.91", ""];

/// The namespace of Atom 0.3.
const ATOM_0_3: &str = "http://purl.org/atom/ns#";

/// What Atom 0.3 calls otherwise.
const RENAMED: [(&str, &str); 3] = [("issued", "published"), ("modified", "updated"), ("tagline", "subtitle")];

/// Returns a feed in a format that feed-rs does not know in one that it does: RSS without a version, with a rare one,
/// or with a namespace of its own, as RSS 2.0, and Atom 0.3 as Atom. Of these it would read nothing, or no entries.
/// `None` for others.
fn in_newest_format(text: &str) -> Option<String> {
    let mut xml = Reader::from_str(text);
    xml.config_mut().allow_dangling_amp = true;
    let root = loop {
        match xml.read_event() {
            Ok(Event::Start(root)) => break root,
            Ok(Event::Empty(_) | Event::Eof) | Err(_) => return None,
            Ok(_) => {}
        }
    };
    let inside: &str = &root;
    if inside.contains(ATOM_0_3) && root.local_name().as_ref() == "feed" {
        let atom = text.replace(ATOM_0_3, "http://www.w3.org/2005/Atom");
        let renamed = RENAMED.iter().fold(atom, |atom, (old, new)| {
            atom.replace(&format!("<{old}>"), &format!("<{new}>")).replace(&format!("</{old}>"), &format!("</{new}>"))
        });
        return Some(renamed);
    }
    let attributes: Vec<_> = root.attributes().with_checks(false).filter_map(Result::ok).collect();
    let value_of = |name: &str| attributes.iter().find(|attribute| attribute.key.as_ref() == name);
    let has_version = value_of("version").is_some_and(|version| VERSIONS.contains(&&*version.value));
    if root.name().as_ref() != "rss" || (has_version && value_of("xmlns").is_none()) {
        return None;
    }
    let end = usize::try_from(xml.buffer_position()).unwrap_or_default();
    // Beside what is in the tag there are its brackets.
    let (before, _) = text.split_at_checked(end.checked_sub(inside.len() + 2)?)?;
    let mut newest = format!("{before}<rss version=\"2.0\"");
    for attribute in attributes.iter().filter(|attribute| !matches!(attribute.key.as_ref(), "version" | "xmlns")) {
        newest.extend([" ", attribute.key.as_ref(), "=\"", &attribute.value.replace('"', "&quot;"), "\""]);
    }
    newest.extend([">", text.get(end..).unwrap_or_default()]);
    Some(newest)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn parse(text: &str) -> Result<Feed, FeedError> {
        Feed::parse(text, &"https://e.org/blog/feed".parse().unwrap())
    }

    fn first(text: &str) -> FeedEntry {
        parse(text).unwrap().entries.remove(0)
    }

    fn urls(entry: &FeedEntry) -> Vec<&str> {
        entry.url.iter().chain(&entry.enclosures).map(Url::as_str).collect()
    }

    #[test]
    fn the_three_formats_say_the_same() {
        let rss = "\u{feff}<?xml version='1.0' encoding='windows-1251'?><rss version='2.0'><channel><title>Чай</title><link>https://e.org/</link>
            <item><guid isPermaLink='false'>7</guid><title>Leaf</title><link>leaf</link><description>short</description>
            <category>tea</category><pubDate>Sun, 01 Feb 2026 10:00:00 GMT</pubDate>
            <enclosure url='https://e.org/7.mp3' type='audio/mpeg' length='1'/></item></channel></rss>";
        let atom = "<feed xmlns='http://www.w3.org/2005/Atom'><title>Чай</title><id>x</id><updated>2026-02-01T10:00:00Z</updated>
            <link href='https://e.org/'/>
            <entry><id>7</id><title>Leaf</title><link rel='self' href='no'/><link href='leaf'/><summary>short</summary>
            <category term='tea'/><published>2026-02-01T10:00:00Z</published><updated>2026-02-01T10:00:00Z</updated>
            <link rel='enclosure' href='https://e.org/7.mp3' type='audio/mpeg'/></entry></feed>";
        let json = r#"{"version": "https://jsonfeed.org/version/1.1", "title": "Чай", "home_page_url": "https://e.org/",
            "items": [{"id": "7", "title": "Leaf", "url": "https://e.org/blog/leaf", "summary": "short", "tags": ["tea"],
            "date_published": "2026-02-01T10:00:00Z", "content_text": "long",
            "attachments": [{"url": "https://e.org/7.mp3", "mime_type": "audio/mpeg"}]}]}"#;
        for (text, kind) in [(rss, FeedKind::Rss), (atom, FeedKind::Atom), (json, FeedKind::Json)] {
            let feed = parse(text).unwrap();
            assert_eq!((feed.kind, feed.title.as_deref()), (kind, Some("Чай")));
            assert_eq!(feed.url.as_ref().map(Url::as_str), Some("https://e.org/"), "{kind:?}");
            let entry = first(text);
            assert_eq!((&*entry.id, entry.title.as_deref()), ("7", Some("Leaf")), "{kind:?}");
            assert_eq!((entry.summary.as_deref(), &entry.categories[..]), (Some("short"), &["tea".to_owned()][..]));
            assert_eq!(urls(&entry), ["https://e.org/blog/leaf", "https://e.org/7.mp3"], "{kind:?}");
            let published = entry.published.unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap();
            assert_eq!(published.as_secs(), 1_769_940_000, "{kind:?}");
        }
    }

    /// feedparser and our reader of sitemaps take it so, too.
    #[test]
    fn the_guid_of_an_item_without_a_link_is_its_page() {
        let url = |item: &str| {
            let feed =
                parse(&format!("<rss version='2.0'><channel><item><title>t</title>{item}</item></channel></rss>"));
            feed.unwrap().entries[0].url.clone().map(String::from)
        };
        assert_eq!(url("<guid>https://e.org/a</guid>").as_deref(), Some("https://e.org/a"));
        assert_eq!(url("<guid>https://e.org/a</guid><link>/b</link>").as_deref(), Some("https://e.org/b"));
        for none in ["<guid>7</guid>", "<guid>urn:x:7</guid>", "<guid>/a</guid>", ""] {
            assert_eq!(url(none), None, "{none}");
        }
        assert_eq!(url("<link>///o.org/b</link>").as_deref(), Some("https://o.org/b"));
    }

    /// It is not where XML allows it, and names a charset that the text has no more.
    #[test]
    fn a_declaration_that_is_not_at_the_beginning_is_passed_over() {
        let decl = "<?xml version='1.0' encoding='gbk'?>";
        for feed in [
            format!("<!-- c -->{decl}<rss version='2.0'><channel><title>Чай</title></channel></rss>"),
            format!("{decl}{decl}<rss version='2.0'><channel>{decl}<title>Чай</title></channel></rss>"),
            format!("<rss version='2.0'>{}<channel><title>Чай</title>{decl}</channel></rss>", " ".repeat(20_000)),
        ] {
            assert_eq!(parse(&feed).unwrap().title.as_deref(), Some("Чай"), "{feed}");
        }
        let code = format!("<rss version='2.0'><channel><title><![CDATA[{decl}]]></title></channel></rss>");
        assert_eq!(parse(&code).unwrap().title.as_deref(), Some(decl));
    }

    /// Regression: the first ones were no feeds, and those with a namespace had no entries, without an error.
    #[test]
    fn feeds_of_older_formats_are_read_too() {
        let item = "<channel><title>T</title><item><title>Tea</title><link>/tea</link></item></channel></rss>";
        for root in [
            "<rss>",
            "<rss version='0.93'>",
            "<!-- RSS --><rss version='2.01' xmlns:itunes='http://www.itunes.com/DTDs/Podcast-1.0.dtd'>",
            "<rss version='2.0' xmlns='http://backend.userland.com/rss2'>",
            "<rss xml:lang='\"'>",
            "<rss xmlns:a='http://purl.org/atom/ns#'>",
        ] {
            let entry = first(&format!("{root}{item}"));
            assert_eq!((entry.title.as_deref(), urls(&entry)), (Some("Tea"), vec!["https://e.org/tea"]), "{root}");
        }
        let atom = "<feed version='0.3' xmlns='http://purl.org/atom/ns#'><title>T</title><tagline>What</tagline>
            <entry><title type='text/html' mode='escaped'>Tea</title><link rel='alternate' href='/tea'/><id>7</id>
            <issued>2026-02-01T10:00:00Z</issued><modified>2026-02-01T10:00:01Z</modified></entry></feed>";
        let (feed, entry) = (parse(atom).unwrap(), first(atom));
        assert_eq!((feed.description.as_deref(), entry.title.as_deref()), (Some("What"), Some("Tea")));
        assert_eq!(urls(&entry), ["https://e.org/tea"]);
        assert_eq!(entry.published.map(|time| time + Duration::from_secs(1)), entry.updated);
        assert!(entry.updated.is_some());
    }

    #[test]
    fn hostile_feeds_are_errors_and_take_no_time() {
        let rss =
            |inside: &str| format!("<rss version='2.0'><channel><item><title>a</title>{inside}</item></channel></rss>");
        let deep = format!("{}{}", "<x>".repeat(40_000), "</x>".repeat(40_000));
        let too_deep = Err(FeedError::TooDeep { max_depth: 256 });
        let bomb =
            "<!DOCTYPE x [<!ENTITY a 'aaaa'><!entity b '&a;&a;'>]>".to_owned() + &rss("<description>&b;</description>");
        let began = Instant::now();
        assert_eq!(parse(&rss(&deep)), too_deep);
        assert_eq!(parse(&rss(&format!("<description>{deep}</description>"))), too_deep);
        assert_eq!(parse(&"<x>".repeat(40_000)), too_deep);
        assert_eq!(parse(&bomb), Err(FeedError::Entities));
        let json = format!(r#"{{"version": "https://jsonfeed.org/version/1", "x": {}"#, "[".repeat(40_000));
        assert!(matches!(parse(&json), Err(FeedError::NotAFeed(_))));
        assert!(matches!(parse("just text"), Err(FeedError::NotAFeed(_))));
        assert!(matches!(parse(""), Err(FeedError::NotAFeed(_))));
        // Five files, without optimization.
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    }
}
