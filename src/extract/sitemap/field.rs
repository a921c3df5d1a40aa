//! Field: the elements of a sitemap or a feed whose text is used, by their names and their place. Knows no values.

use quick_xml::events::BytesStart;

use super::SitemapKind;

/// The current position within an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Entry,
    Image,
    Video,
    News,
}

/// An element whose text is used.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
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
pub(super) fn field(part: Part, name: &str) -> Option<Field> {
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

/// Returns the field of an element in an entry of a feed; names are in lower case.
pub(super) fn feed_field(kind: SitemapKind, name: &str, tag: &BytesStart<'_>) -> Option<Field> {
    match (kind, name) {
        // Other elements with this local name, such as `atom:link`, have a prefix.
        (SitemapKind::Rss, "link") if tag.name().prefix().is_none() => Some(Field::Loc),
        (SitemapKind::Rss, "guid") => {
            let [is_link] = attributes(tag, ["isPermaLink"]);
            is_link.is_none_or(|value| value.trim() != "false").then_some(Field::Guid)
        }
        (SitemapKind::Rss, "pubdate" | "date") | (SitemapKind::Atom, "updated" | "published" | "modified") => {
            Some(Field::Lastmod)
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
