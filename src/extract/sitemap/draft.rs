//! EntryDraft: an entry of a sitemap while it is being read, filled in field by field. Knows no events.

use quick_xml::events::BytesStart;
use url::Url;

use super::{
    entry::{Alternate, Image, News, SitemapEntry, SkippedEntries, Target, Video},
    field::{EntryField, EntryPart, attributes},
};
use crate::extract::reference::resolve;

/// The longest text of a field, in bytes: as long as a URL may be.
pub(super) const MAX_TEXT: usize = 2_048;

/// The most images, videos, translations or tags of one entry: Google reads 1,000 images.
const MAX_EXTENSIONS: usize = 1_000;

/// The most text that is kept of one entry: a thousand images with a caption each. Google's limits allow far more, and
/// a hostile file could make us hold all of its 50 MiB in one entry.
const MAX_ENTRY_TEXT: usize = 1 << 20;

/// An entry being read.
pub(super) struct EntryDraft {
    /// The depth of its element.
    pub depth: usize,
    pub part: EntryPart,
    pub loc: Option<String>,
    /// The identifier of an RSS item, or the URL in an element that is not known, used as the entry's URL if it has no
    /// other.
    pub guid: Option<String>,
    /// Whether the current image has a URL.
    has_url: bool,
    /// The bytes of text that were kept.
    kept: usize,
    /// Filled in during reading; its URL is set at the end.
    pub entry: SitemapEntry,
}

impl EntryDraft {
    /// Begins an entry. `base` stands for its URL until that is known.
    pub fn new(depth: usize, base: &Url, target: Target) -> Self {
        let entry = SitemapEntry::new(base.clone(), target);
        Self { depth, part: EntryPart::Entry, loc: None, guid: None, has_url: false, kept: 0, entry }
    }

    /// Begins an image, a video or an article, if this element is one.
    pub fn begin_part(&mut self, name: &str, base: &Url, skipped: &mut SkippedEntries) -> bool {
        let entry = &mut self.entry;
        let (part, length) = match (self.part, name) {
            (EntryPart::Entry, "image") => (EntryPart::Image, entry.images.len()),
            (EntryPart::Entry, "video") => (EntryPart::Video, entry.videos.len()),
            (EntryPart::Entry, "news") => (EntryPart::News, 0),
            _ => return false,
        };
        if length >= MAX_EXTENSIONS {
            skipped.cut_fields += 1;
            return true;
        }
        self.part = part;
        match part {
            // An image without a URL is dropped at its end: see `end_part`.
            EntryPart::Image => entry.images.push(Image {
                url: base.clone(),
                caption: None,
                title: None,
                geo_location: None,
                license: None,
            }),
            EntryPart::Video => entry.videos.push(Video::default()),
            EntryPart::News => entry.news = Some(News::default()),
            EntryPart::Entry => {}
        }
        self.has_url = false;
        true
    }

    pub fn end_part(&mut self, name: &str, skipped: &mut SkippedEntries) {
        match (self.part, name) {
            (EntryPart::Image, "image") => {
                if !self.has_url {
                    skipped.bad_fields += 1;
                    self.entry.images.pop();
                }
            }
            (EntryPart::Video, "video") | (EntryPart::News, "news") => {}
            _ => return,
        }
        self.part = EntryPart::Entry;
    }

    pub fn set(&mut self, field: EntryField, text: &str, base: &Url, skipped: &mut SkippedEntries) {
        // Without its URL the entry would be lost.
        let is_url = matches!(field, EntryField::Loc | EntryField::Guid);
        if text.is_empty() || !(is_url || self.keep(text.len(), skipped)) {
            return;
        }
        let entry = &mut self.entry;
        match field {
            // The first is kept, as by other readers.
            EntryField::Loc => drop(self.loc.get_or_insert_with(|| text.to_owned())),
            EntryField::Guid => self.guid = Some(text.to_owned()),
            EntryField::Lastmod => entry.lastmod = entry.lastmod.or(skipped.field(text.parse().ok())),
            EntryField::Changefreq => entry.change_frequency = skipped.field(text.parse().ok()),
            EntryField::Priority => {
                let number = text.parse().ok().filter(|priority| (0.0..=1.0).contains(priority));
                entry.priority = skipped.field(number);
            }
            _ => match self.part {
                EntryPart::Entry => {}
                EntryPart::Image => self.set_image(field, text, base, skipped),
                EntryPart::Video => self.set_video(field, text, base, skipped),
                EntryPart::News => self.set_news(field, text, skipped),
            },
        }
    }

    /// Tells whether there is room for so much more text; counts what there is no room for.
    fn keep(&mut self, length: usize, skipped: &mut SkippedEntries) -> bool {
        self.kept += length;
        let has_room = self.kept <= MAX_ENTRY_TEXT;
        skipped.cut_fields += usize::from(!has_room);
        has_room
    }

    fn set_image(&mut self, field: EntryField, text: &str, base: &Url, skipped: &mut SkippedEntries) {
        let Some(image) = self.entry.images.last_mut() else { return };
        match field {
            EntryField::ImageLoc => {
                if let Ok(url) = resolve(base, text) {
                    image.url = url;
                    self.has_url = true;
                }
            }
            EntryField::ImageCaption => image.caption = Some(text.to_owned()),
            EntryField::ImageTitle => image.title = Some(text.to_owned()),
            EntryField::ImageGeo => image.geo_location = Some(text.to_owned()),
            EntryField::ImageLicense => image.license = skipped.field(resolve(base, text).ok()),
            _ => {}
        }
    }

    fn set_video(&mut self, field: EntryField, text: &str, base: &Url, skipped: &mut SkippedEntries) {
        let Some(video) = self.entry.videos.last_mut() else { return };
        match field {
            EntryField::VideoThumbnail => video.thumbnail = skipped.field(resolve(base, text).ok()),
            EntryField::VideoTitle => video.title = Some(text.to_owned()),
            EntryField::VideoDescription => video.description = Some(text.to_owned()),
            EntryField::VideoContent => video.content = skipped.field(resolve(base, text).ok()),
            EntryField::VideoPlayer => video.player = skipped.field(resolve(base, text).ok()),
            EntryField::VideoDuration => video.duration = skipped.field(text.parse().ok()),
            EntryField::VideoPublished => video.published = skipped.field(text.parse().ok()),
            EntryField::VideoExpires => video.expires = skipped.field(text.parse().ok()),
            EntryField::VideoRating => {
                let number = text.parse().ok().filter(|rating| (0.0..=5.0).contains(rating));
                video.rating = skipped.field(number);
            }
            EntryField::VideoViews => video.views = skipped.field(text.parse().ok()),
            EntryField::VideoFamilyFriendly => video.family_friendly = skipped.field(yes_or_no(text)),
            EntryField::VideoLive => video.live = skipped.field(yes_or_no(text)),
            EntryField::VideoTag if video.tags.len() < MAX_EXTENSIONS => video.tags.push(text.to_owned()),
            EntryField::VideoTag => skipped.cut_fields += 1,
            _ => {}
        }
    }

    fn set_news(&mut self, field: EntryField, text: &str, skipped: &mut SkippedEntries) {
        let Some(news) = &mut self.entry.news else { return };
        match field {
            EntryField::NewsPublication => news.publication = Some(text.to_owned()),
            EntryField::NewsLanguage => news.language = Some(text.to_owned()),
            EntryField::NewsPublished => news.published = skipped.field(text.parse().ok()),
            EntryField::NewsTitle => news.title = Some(text.to_owned()),
            EntryField::NewsKeywords => news.keywords = Some(text.to_owned()),
            _ => {}
        }
    }

    /// Reads `<xhtml:link rel="alternate" hreflang="de" href="…"/>`.
    pub fn alternate(&mut self, tag: &BytesStart<'_>, base: &Url, skipped: &mut SkippedEntries) {
        let [rel, hreflang, href] = attributes(tag, ["rel", "hreflang", "href"]);
        let is_alternate = rel.is_none_or(|rel| rel.trim().eq_ignore_ascii_case("alternate"));
        let (Some(hreflang), Some(href), true) = (hreflang, href, is_alternate) else { return };
        if self.entry.alternates.len() >= MAX_EXTENSIONS || href.len() > MAX_TEXT || hreflang.len() > MAX_TEXT {
            skipped.cut_fields += 1;
            return;
        }
        if self.keep(base.as_str().len() + href.len() + hreflang.len(), skipped)
            && let Some(url) = skipped.field(resolve(base, href.trim()).ok())
        {
            self.entry.alternates.push(Alternate { hreflang: hreflang.trim().to_owned(), url });
        }
    }

    /// Reads the link of an Atom entry: the first with `rel=alternate` or without `rel`, which means the same (RFC 4287
    /// §4.2.7.2).
    pub fn atom_link(&mut self, tag: &BytesStart<'_>) {
        let [rel, href] = attributes(tag, ["rel", "href"]);
        if rel.is_none_or(|rel| rel.trim().eq_ignore_ascii_case("alternate")) {
            self.loc = self.loc.take().or(href);
        }
    }
}

fn yes_or_no(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" => Some(true),
        "no" | "false" => Some(false),
        _ => None,
    }
}
