//! EntryField: the elements of a sitemap or a feed whose text is used, by their names and their place. Knows no values.

use quick_xml::events::BytesStart;

use super::SitemapKind;

/// The current position within an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum EntryPart {
    Entry,
    Image,
    Video,
    News,
}

/// An element whose text is used.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum EntryField {
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

/// Returns the field of an element in this part of an entry; names are in lower case.
pub(super) fn field(part: EntryPart, name: &str) -> Option<EntryField> {
    Some(match (part, name) {
        (EntryPart::Entry, "loc") => EntryField::Loc,
        (EntryPart::Entry, "lastmod") => EntryField::Lastmod,
        (EntryPart::Entry, "changefreq") => EntryField::Changefreq,
        (EntryPart::Entry, "priority") => EntryField::Priority,
        (EntryPart::Image, "loc") => EntryField::ImageLoc,
        (EntryPart::Image, "caption") => EntryField::ImageCaption,
        (EntryPart::Image, "title") => EntryField::ImageTitle,
        (EntryPart::Image, "geo_location") => EntryField::ImageGeo,
        (EntryPart::Image, "license") => EntryField::ImageLicense,
        (EntryPart::Video, "thumbnail_loc") => EntryField::VideoThumbnail,
        (EntryPart::Video, "title") => EntryField::VideoTitle,
        (EntryPart::Video, "description") => EntryField::VideoDescription,
        (EntryPart::Video, "content_loc") => EntryField::VideoContent,
        (EntryPart::Video, "player_loc") => EntryField::VideoPlayer,
        (EntryPart::Video, "duration") => EntryField::VideoDuration,
        (EntryPart::Video, "publication_date") => EntryField::VideoPublished,
        (EntryPart::Video, "expiration_date") => EntryField::VideoExpires,
        (EntryPart::Video, "rating") => EntryField::VideoRating,
        (EntryPart::Video, "view_count") => EntryField::VideoViews,
        (EntryPart::Video, "family_friendly") => EntryField::VideoFamilyFriendly,
        (EntryPart::Video, "live") => EntryField::VideoLive,
        (EntryPart::Video, "tag") => EntryField::VideoTag,
        (EntryPart::News, "name") => EntryField::NewsPublication,
        (EntryPart::News, "language") => EntryField::NewsLanguage,
        (EntryPart::News, "publication_date") => EntryField::NewsPublished,
        (EntryPart::News, "title") => EntryField::NewsTitle,
        (EntryPart::News, "keywords") => EntryField::NewsKeywords,
        _ => return None,
    })
}

/// Returns the field of an element in an entry of a feed; names are in lower case.
pub(super) fn feed_field(kind: SitemapKind, name: &str, tag: &BytesStart<'_>) -> Option<EntryField> {
    match (kind, name) {
        // Other elements with this local name, such as `atom:link`, have a prefix.
        (SitemapKind::Rss, "link") if tag.name().prefix().is_none() => Some(EntryField::Loc),
        (SitemapKind::Rss, "guid") => {
            let [is_link] = attributes(tag, ["isPermaLink"]);
            is_link.is_none_or(|value| value.trim() != "false").then_some(EntryField::Guid)
        }
        (SitemapKind::Rss, "pubdate" | "date") | (SitemapKind::Atom, "updated" | "published" | "modified") => {
            Some(EntryField::Lastmod)
        }
        _ => None,
    }
}

/// Reads several attributes by their local names, in one pass.
pub(super) fn attributes<const N: usize>(tag: &BytesStart<'_>, names: [&str; N]) -> [Option<String>; N] {
    let mut values = [const { None }; N];
    // Checking for duplicates would take quadratic time.
    for attribute in tag.attributes().with_checks(false).flatten() {
        let (name, _) = attribute.key.decompose();
        let wanted = names.iter().position(|wanted| *wanted == name.as_ref());
        if let Some(value) = wanted.and_then(|at| values.get_mut(at)) {
            *value = value.take().or_else(|| Some(htmlize::unescape_attribute(&*attribute.value).into_owned()));
        }
    }
    values
}
