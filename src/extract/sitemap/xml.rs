//! XML: the entries of a sitemap, an index or a feed, from the events of quick-xml. Knows elements by their local name and
//! place; expands no entity but those of XML itself.

use quick_xml::{
    Error, Reader,
    events::{BytesRef, BytesStart, Event},
};
use url::Url;

use super::{
    SitemapKind,
    entry::{Alternate, Image, News, SitemapEntry, SkippedEntries, Target, Video},
    error::SitemapError,
    source::Utf8,
};
use crate::extract::prefix::prefix;

/// The deepest nesting. Sitemaps have five levels, an article within Atom's XHTML some dozens; quick-xml holds the names
/// of all that are open.
const MAX_DEPTH: usize = 256;

/// The longest text of a field that is kept, in bytes: as long as a URL may be.
const MAX_TEXT: usize = 2_048;

/// The most images, videos, translations or tags of one entry: Google reads 1,000 images.
const MAX_EXTENSIONS: usize = 1_000;

/// The size to which the buffer of an event shrinks again.
const USUAL_EVENT: usize = 16 << 10;

/// The entries of an XML file.
pub(super) struct XmlEntries<'a> {
    xml: Reader<Utf8<'a>>,
    buffer: Vec<u8>,
    kind: Option<SitemapKind>,
    depth: usize,
    draft: Option<Draft>,
    /// The field whose text is being read, and the text so far.
    field: Option<(Field, String)>,
    ended: bool,
}

/// An entry that is being read.
struct Draft {
    /// The depth of its element.
    depth: usize,
    part: Part,
    loc: Option<String>,
    /// The identifier of an RSS item, which is its URL where it has no link.
    guid: Option<String>,
    /// Whether the image that is being read has a URL.
    has_url: bool,
    /// Filled in as it comes; its URL is set at the end.
    entry: SitemapEntry,
}

/// Where in an entry the reading is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Entry,
    Image,
    Video,
    News,
}

/// An element whose text counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    Loc,
    Guid,
    Lastmod,
    Changefreq,
    Priority,
    ImageLoc,
    ImageCaption,
    ImageTitle,
    ImageGeo,
    ImageLicense,
    VideoThumbnail,
    VideoTitle,
    VideoDescription,
    VideoContent,
    VideoPlayer,
    VideoDuration,
    VideoPublished,
    VideoExpires,
    VideoRating,
    VideoViews,
    VideoFamilyFriendly,
    VideoLive,
    VideoTag,
    NewsPublication,
    NewsLanguage,
    NewsPublished,
    NewsTitle,
    NewsKeywords,
}

/// What one event means for the loop.
enum Step {
    On,
    Done(Box<Draft>),
    End,
}

impl<'a> XmlEntries<'a> {
    pub fn new(text: Utf8<'a>) -> Self {
        let mut xml = Reader::from_reader(text);
        let config = xml.config_mut();
        // As browsers and the field's readers do; what must match for us are depth and names.
        config.allow_dangling_amp = true;
        config.allow_unmatched_ends = true;
        config.check_end_names = false;
        Self { xml, buffer: Vec::new(), kind: None, depth: 0, draft: None, field: None, ended: false }
    }

    pub fn kind(&self) -> Option<SitemapKind> {
        self.kind
    }

    /// Reads up to the end of the next entry that has a URL.
    pub fn next_entry(
        &mut self,
        base: &Url,
        skipped: &mut SkippedEntries,
    ) -> Result<Option<SitemapEntry>, SitemapError> {
        while !self.ended {
            match self.step(base, skipped)? {
                Step::On => {}
                Step::End => self.ended = true,
                Step::Done(draft) => {
                    let loc = draft.loc.or(draft.guid).unwrap_or_default();
                    if let Some(url) = skipped.url(base, &loc) {
                        return Ok(Some(SitemapEntry { url, ..draft.entry }));
                    }
                }
            }
        }
        Ok(None)
    }

    fn step(&mut self, base: &Url, skipped: &mut SkippedEntries) -> Result<Step, SitemapError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        buffer.shrink_to(USUAL_EVENT);
        self.xml.get_mut().begin_token();
        let step = match self.xml.read_event_into(&mut buffer) {
            Err(error) => Err(self.error(error)),
            Ok(event) => self.event(event, base, skipped),
        };
        self.buffer = buffer;
        step
    }

    fn event(&mut self, event: Event<'_>, base: &Url, skipped: &mut SkippedEntries) -> Result<Step, SitemapError> {
        match event {
            Event::Start(tag) => {
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    return Err(SitemapError::TooDeep { max_depth: MAX_DEPTH });
                }
                self.start(&tag, base, skipped)?;
            }
            Event::Empty(tag) => {
                self.depth += 1;
                self.start(&tag, base, skipped)?;
                return Ok(self.end(tag.local_name().as_ref(), base, skipped));
            }
            Event::End(tag) => return Ok(self.end(tag.local_name().as_ref(), base, skipped)),
            Event::Text(text) => self.text(&text, skipped),
            Event::CData(text) => self.text(&text, skipped),
            Event::GeneralRef(reference) => self.reference(&reference, skipped),
            Event::DocType(doctype) => {
                // Within a declaration only entities can change what the text says.
                if doctype.to_ascii_uppercase().contains("<!ENTITY") {
                    return Err(SitemapError::Entities);
                }
            }
            Event::Eof if self.kind.is_none() => return Err(SitemapError::NotASitemap { root: String::new() }),
            Event::Eof if self.depth > 0 => return Err(SitemapError::Truncated),
            Event::Eof => return Ok(Step::End),
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) => {}
        }
        Ok(Step::On)
    }

    fn start(&mut self, tag: &BytesStart<'_>, base: &Url, skipped: &mut SkippedEntries) -> Result<(), SitemapError> {
        let name = tag.local_name();
        let name = name.as_ref();
        self.field = None;
        let Some(kind) = self.kind else {
            self.kind = Some(kind_of(name)?);
            return Ok(());
        };
        if let Some(target) = entry_element(kind, name) {
            // One that was not closed has said nothing that is sure.
            skipped.unreadable += usize::from(self.draft.is_some());
            self.draft = Some(Draft {
                depth: self.depth,
                part: Part::Entry,
                loc: None,
                guid: None,
                has_url: false,
                entry: SitemapEntry::new(base.clone(), target),
            });
            return Ok(());
        }
        let Some(draft) = &mut self.draft else { return Ok(()) };
        let is_feed = matches!(kind, SitemapKind::Rss | SitemapKind::Atom);
        let is_direct = self.depth == draft.depth + 1;
        if is_feed {
            if is_direct {
                if kind == SitemapKind::Atom && name == "link" {
                    draft.atom_link(tag);
                } else {
                    self.field = feed_field(kind, name, tag).map(|field| (field, String::new()));
                }
            }
            return Ok(());
        }
        if draft.begin_part(name, base, skipped) {
            return Ok(());
        }
        if draft.part == Part::Entry && name == "link" {
            draft.alternate(tag, base, skipped);
            return Ok(());
        }
        self.field = field(draft.part, name).map(|field| (field, String::new()));
        Ok(())
    }

    fn end(&mut self, name: &str, base: &Url, skipped: &mut SkippedEntries) -> Step {
        self.depth = self.depth.saturating_sub(1);
        if let (Some((field, text)), Some(draft)) = (self.field.take(), &mut self.draft) {
            draft.set(field, text.trim(), base, skipped);
        }
        let is_entry_end = self.kind.is_some_and(|kind| entry_element(kind, name).is_some());
        if is_entry_end && let Some(draft) = self.draft.take() {
            return Step::Done(Box::new(draft));
        }
        if let Some(draft) = &mut self.draft {
            draft.end_part(name, skipped);
        }
        // What follows the root element is no part of the document.
        let is_root_end = self.kind.is_some() && self.depth == 0;
        if is_root_end { Step::End } else { Step::On }
    }

    fn text(&mut self, text: &str, skipped: &mut SkippedEntries) {
        let Some((_, field)) = &mut self.field else { return };
        // One byte more than may be kept shows that there is more.
        let room = (MAX_TEXT + 1).saturating_sub(field.len());
        let start = prefix(text, room);
        if start.len() < text.len() && field.len() <= MAX_TEXT {
            skipped.cut_fields += 1;
        }
        field.push_str(start);
    }

    /// Adds what `&name;` stands for; a name that XML does not know is text.
    fn reference(&mut self, reference: &BytesRef<'_>, skipped: &mut SkippedEntries) {
        let named = match &**reference {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => reference.resolve_char_ref().ok().flatten(),
        };
        match named {
            Some(character) => self.text(character.encode_utf8(&mut [0; 4]), skipped),
            None => self.text(&format!("&{};", &**reference), skipped),
        }
    }

    fn error(&mut self, error: Error) -> SitemapError {
        if let Some(fault) = self.xml.get_mut().take_fault() {
            return fault;
        }
        match error {
            Error::Io(error) => SitemapError::Read(error.to_string()),
            // quick-xml calls only what lacks its end a syntax error.
            Error::Syntax(_) => SitemapError::Truncated,
            other => SitemapError::Xml(other.to_string()),
        }
    }
}

impl Draft {
    /// Begins the description of an image, a video or an article if this element is one.
    fn begin_part(&mut self, name: &str, base: &Url, skipped: &mut SkippedEntries) -> bool {
        let entry = &mut self.entry;
        let (part, length) = match (self.part, name) {
            (Part::Entry, "image") => (Part::Image, entry.images.len()),
            (Part::Entry, "video") => (Part::Video, entry.videos.len()),
            (Part::Entry, "news") => (Part::News, 0),
            _ => return false,
        };
        if length >= MAX_EXTENSIONS {
            skipped.cut_fields += 1;
            return true;
        }
        self.part = part;
        match part {
            // An image is nothing but its URL, so one without is dropped at its end: see `end_part`.
            Part::Image => entry.images.push(Image {
                url: base.clone(),
                caption: None,
                title: None,
                geo_location: None,
                license: None,
            }),
            Part::Video => entry.videos.push(Video::default()),
            Part::News => entry.news = Some(News::default()),
            Part::Entry => {}
        }
        self.has_url = false;
        true
    }

    fn end_part(&mut self, name: &str, skipped: &mut SkippedEntries) {
        match (self.part, name) {
            (Part::Image, "image") => {
                if !self.has_url {
                    skipped.bad_fields += 1;
                    self.entry.images.pop();
                }
            }
            (Part::Video, "video") | (Part::News, "news") => {}
            _ => return,
        }
        self.part = Part::Entry;
    }

    fn set(&mut self, field: Field, text: &str, base: &Url, skipped: &mut SkippedEntries) {
        if text.is_empty() {
            return;
        }
        let entry = &mut self.entry;
        match field {
            // The first stands, as in other readers.
            Field::Loc => drop(self.loc.get_or_insert_with(|| text.to_owned())),
            Field::Guid => self.guid = Some(text.to_owned()),
            Field::Lastmod => entry.lastmod = entry.lastmod.or(skipped.field(text.parse().ok())),
            Field::Changefreq => entry.change_frequency = skipped.field(text.parse().ok()),
            Field::Priority => {
                let number = text.parse().ok().filter(|priority| (0.0..=1.0).contains(priority));
                entry.priority = skipped.field(number);
            }
            _ => match self.part {
                Part::Entry => {}
                Part::Image => self.set_image(field, text, base, skipped),
                Part::Video => self.set_video(field, text, base, skipped),
                Part::News => self.set_news(field, text, skipped),
            },
        }
    }

    fn set_image(&mut self, field: Field, text: &str, base: &Url, skipped: &mut SkippedEntries) {
        let Some(image) = self.entry.images.last_mut() else { return };
        match field {
            Field::ImageLoc => {
                if let Ok(url) = base.join(text) {
                    image.url = url;
                    self.has_url = true;
                }
            }
            Field::ImageCaption => image.caption = Some(text.to_owned()),
            Field::ImageTitle => image.title = Some(text.to_owned()),
            Field::ImageGeo => image.geo_location = Some(text.to_owned()),
            Field::ImageLicense => image.license = skipped.field(base.join(text).ok()),
            _ => {}
        }
    }

    fn set_video(&mut self, field: Field, text: &str, base: &Url, skipped: &mut SkippedEntries) {
        let Some(video) = self.entry.videos.last_mut() else { return };
        match field {
            Field::VideoThumbnail => video.thumbnail = skipped.field(base.join(text).ok()),
            Field::VideoTitle => video.title = Some(text.to_owned()),
            Field::VideoDescription => video.description = Some(text.to_owned()),
            Field::VideoContent => video.content = skipped.field(base.join(text).ok()),
            Field::VideoPlayer => video.player = skipped.field(base.join(text).ok()),
            Field::VideoDuration => video.duration = skipped.field(text.parse().ok()),
            Field::VideoPublished => video.published = skipped.field(text.parse().ok()),
            Field::VideoExpires => video.expires = skipped.field(text.parse().ok()),
            Field::VideoRating => {
                let number = text.parse().ok().filter(|rating| (0.0..=5.0).contains(rating));
                video.rating = skipped.field(number);
            }
            Field::VideoViews => video.views = skipped.field(text.parse().ok()),
            Field::VideoFamilyFriendly => video.family_friendly = skipped.field(yes_or_no(text)),
            Field::VideoLive => video.live = skipped.field(yes_or_no(text)),
            Field::VideoTag if video.tags.len() < MAX_EXTENSIONS => video.tags.push(text.to_owned()),
            Field::VideoTag => skipped.cut_fields += 1,
            _ => {}
        }
    }

    fn set_news(&mut self, field: Field, text: &str, skipped: &mut SkippedEntries) {
        let Some(news) = &mut self.entry.news else { return };
        match field {
            Field::NewsPublication => news.publication = Some(text.to_owned()),
            Field::NewsLanguage => news.language = Some(text.to_owned()),
            Field::NewsPublished => news.published = skipped.field(text.parse().ok()),
            Field::NewsTitle => news.title = Some(text.to_owned()),
            Field::NewsKeywords => news.keywords = Some(text.to_owned()),
            _ => {}
        }
    }

    /// Takes `<xhtml:link rel="alternate" hreflang="de" href="…"/>`.
    fn alternate(&mut self, tag: &BytesStart<'_>, base: &Url, skipped: &mut SkippedEntries) {
        let [rel, hreflang, href] = attributes(tag, ["rel", "hreflang", "href"]);
        let is_alternate = rel.is_none_or(|rel| rel.trim().eq_ignore_ascii_case("alternate"));
        let (Some(hreflang), Some(href), true) = (hreflang, href, is_alternate) else { return };
        if self.entry.alternates.len() >= MAX_EXTENSIONS || href.len() > MAX_TEXT || hreflang.len() > MAX_TEXT {
            skipped.cut_fields += 1;
        } else if let Some(url) = skipped.field(base.join(href.trim()).ok()) {
            self.entry.alternates.push(Alternate { hreflang: hreflang.trim().to_owned(), url });
        }
    }

    /// Takes the link of an Atom entry: the first that is `alternate`, which is what a link without `rel` is (RFC 4287
    /// §4.2.7.2).
    fn atom_link(&mut self, tag: &BytesStart<'_>) {
        let [rel, href] = attributes(tag, ["rel", "href"]);
        if rel.is_none_or(|rel| rel.trim().eq_ignore_ascii_case("alternate")) {
            self.loc = self.loc.take().or(href);
        }
    }
}

/// Reads what a file is from the name of its root element.
fn kind_of(root: &str) -> Result<SitemapKind, SitemapError> {
    let kinds = [
        ("urlset", SitemapKind::UrlSet),
        ("sitemapindex", SitemapKind::Index),
        ("rss", SitemapKind::Rss),
        ("RDF", SitemapKind::Rss),
        ("feed", SitemapKind::Atom),
    ];
    let known = kinds.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(root));
    known.map(|(_, kind)| kind).ok_or_else(|| SitemapError::NotASitemap { root: prefix(root, 64).into() })
}

/// Returns what an entry in this element is; `None` if the element is no entry. Indexes with `<url>` and sets with
/// `<sitemap>` exist.
fn entry_element(kind: SitemapKind, name: &str) -> Option<Target> {
    match (kind, name) {
        (SitemapKind::UrlSet | SitemapKind::Index, "url")
        | (SitemapKind::Rss, "item")
        | (SitemapKind::Atom, "entry") => Some(Target::Page),
        (SitemapKind::UrlSet | SitemapKind::Index, "sitemap") => Some(Target::Sitemap),
        _ => None,
    }
}

fn feed_field(kind: SitemapKind, name: &str, tag: &BytesStart<'_>) -> Option<Field> {
    match (kind, name) {
        // Other elements of the name, such as `atom:link`, have a prefix.
        (SitemapKind::Rss, "link") if tag.name().prefix().is_none() => Some(Field::Loc),
        (SitemapKind::Rss, "guid") => {
            let [is_link] = attributes(tag, ["isPermaLink"]);
            is_link.is_none_or(|value| value.trim() != "false").then_some(Field::Guid)
        }
        (SitemapKind::Rss, "pubDate" | "date") | (SitemapKind::Atom, "updated" | "published" | "modified") => {
            Some(Field::Lastmod)
        }
        _ => None,
    }
}

fn field(part: Part, name: &str) -> Option<Field> {
    Some(match (part, name) {
        (Part::Entry, "loc") => Field::Loc,
        (Part::Entry, "lastmod") => Field::Lastmod,
        (Part::Entry, "changefreq") => Field::Changefreq,
        (Part::Entry, "priority") => Field::Priority,
        (Part::Image, "loc") => Field::ImageLoc,
        (Part::Image, "caption") => Field::ImageCaption,
        (Part::Image, "title") => Field::ImageTitle,
        (Part::Image, "geo_location") => Field::ImageGeo,
        (Part::Image, "license") => Field::ImageLicense,
        (Part::Video, "thumbnail_loc") => Field::VideoThumbnail,
        (Part::Video, "title") => Field::VideoTitle,
        (Part::Video, "description") => Field::VideoDescription,
        (Part::Video, "content_loc") => Field::VideoContent,
        (Part::Video, "player_loc") => Field::VideoPlayer,
        (Part::Video, "duration") => Field::VideoDuration,
        (Part::Video, "publication_date") => Field::VideoPublished,
        (Part::Video, "expiration_date") => Field::VideoExpires,
        (Part::Video, "rating") => Field::VideoRating,
        (Part::Video, "view_count") => Field::VideoViews,
        (Part::Video, "family_friendly") => Field::VideoFamilyFriendly,
        (Part::Video, "live") => Field::VideoLive,
        (Part::Video, "tag") => Field::VideoTag,
        (Part::News, "name") => Field::NewsPublication,
        (Part::News, "language") => Field::NewsLanguage,
        (Part::News, "publication_date") => Field::NewsPublished,
        (Part::News, "title") => Field::NewsTitle,
        (Part::News, "keywords") => Field::NewsKeywords,
        _ => return None,
    })
}

fn yes_or_no(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" => Some(true),
        "no" | "false" => Some(false),
        _ => None,
    }
}

/// Reads some attributes by their local names, in one pass.
fn attributes<const N: usize>(tag: &BytesStart<'_>, names: [&str; N]) -> [Option<String>; N] {
    let mut values = [const { None }; N];
    // A check for duplicates would cost the square of their number.
    for attribute in tag.attributes().with_checks(false).flatten() {
        let (name, _) = attribute.key.decompose();
        let wanted = names.iter().position(|wanted| *wanted == name.as_ref());
        if let Some(value) = wanted.and_then(|at| values.get_mut(at)) {
            *value = value.take().or_else(|| Some(htmlize::unescape_attribute(&*attribute.value).into_owned()));
        }
    }
    values
}
