//! Sources: which references the elements of a page have. Knows no tokenizer and no tree.

use std::borrow::Cow;

use super::{LinkElement, LinkSet};

/// Calls `found` with each reference of an HTML element, in order, that a set has.
pub(crate) fn references<'a>(
    set: LinkSet,
    name: &str,
    attribute: impl Fn(&str) -> Option<Cow<'a, str>>,
    mut found: impl FnMut(LinkElement, Cow<'a, str>),
) {
    let is = |other: &str| name.eq_ignore_ascii_case(other);
    let element = match () {
        () if is("a") => LinkElement::A,
        () if is("area") => LinkElement::Area,
        () if is("iframe") => LinkElement::Iframe,
        () if is("frame") => LinkElement::Frame,
        () if is("link") => match attribute("rel").and_then(|rel| relation(&rel)) {
            Some(element) => element,
            None => return,
        },
        // `<image>` is another name of it (HTML standard, §13.2.6.4.7).
        () if is("img") || is("image") => LinkElement::Image,
        () if is("source") => LinkElement::Source,
        () if is("script") => LinkElement::Script,
        () if is("form") => LinkElement::Form,
        () => return,
    };
    if !set.contains(element) {
        return;
    }
    match element {
        LinkElement::Image | LinkElement::Source => {
            if let Some(src) = attribute("src") {
                found(element, src);
            }
            for url in attribute("srcset").iter().flat_map(|srcset| candidates(srcset)) {
                found(element, Cow::Owned(url.to_owned()));
            }
        }
        LinkElement::Form if attribute("method").is_none_or(|method| !is_posted(&method)) => {
            if let Some(action) = attribute("action") {
                // The fields replace the query.
                let path = action.split(['?', '#']).next().unwrap_or_default();
                found(element, Cow::Owned(path.to_owned()));
            }
        }
        LinkElement::Form => {}
        _ => {
            let has_src = matches!(element, LinkElement::Frame | LinkElement::Iframe | LinkElement::Script);
            if let Some(reference) = attribute(if has_src { "src" } else { "href" }) {
                found(element, reference);
            }
        }
    }
}

/// Tells whether a form with this `method` sends no query.
fn is_posted(method: &str) -> bool {
    method.eq_ignore_ascii_case("post") || method.eq_ignore_ascii_case("dialog")
}

/// Returns what a `<link>` with this `rel` is.
pub(super) fn relation(rel: &str) -> Option<LinkElement> {
    // `<link rel="alternate stylesheet">` is a style sheet.
    let relations = [
        (&["stylesheet"] as &[_], LinkElement::Stylesheet),
        (&["next"], LinkElement::Next),
        (&["prev", "previous"], LinkElement::Prev),
        (&["alternate"], LinkElement::Alternate),
        (&["canonical"], LinkElement::Canonical),
    ];
    relations.into_iter().find(|(words, _)| has_word(rel, words)).map(|(_, element)| element)
}

/// The words in `rel` that mark links which are not to be followed.
pub(crate) const NOFOLLOW: [&str; 3] = ["nofollow", "ugc", "sponsored"];

/// Tells whether one of `words` occurs in `list`, ignoring case.
pub(crate) fn has_word(list: &str, words: &[&str]) -> bool {
    list.split_ascii_whitespace().any(|item| words.iter().any(|word| item.eq_ignore_ascii_case(word)))
}

/// Returns the URLs of a `srcset` (HTML standard, "parse a srcset attribute").
fn candidates(srcset: &str) -> Vec<&str> {
    let mut urls = Vec::new();
    let mut rest = srcset;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == ',');
        let (url, after) = rest.split_at(rest.find(|c: char| c.is_ascii_whitespace()).unwrap_or(rest.len()));
        if url.is_empty() {
            return urls;
        }
        let alone = url.trim_end_matches(',');
        urls.push(alone);
        rest = if alone.len() < url.len() { after } else { after_descriptors(after) };
    }
}

/// Skips the descriptors of a candidate, such as `2x,`; a comma within brackets is part of one.
fn after_descriptors(text: &str) -> &str {
    let mut is_open = false;
    let end = text.find(|c: char| {
        is_open = (is_open || c == '(') && c != ')';
        c == ',' && !is_open
    });
    text.get(end.unwrap_or(text.len())..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_urls_of_a_srcset_are_those_that_the_standard_reads() {
        for (srcset, urls) in [
            ("a.png 1x, b.png 2x", &["a.png", "b.png"] as &[_]),
            ("a.png, b.png", &["a.png", "b.png"]),
            ("a,b.png 2x", &["a,b.png"]),
            (" ,,a.png  100w ,\n/b 2x(1,2),c", &["a.png", "/b", "c"]),
            ("data:,x 1x,b", &["data:,x", "b"]),
            ("", &[]),
            (",", &[]),
        ] {
            assert_eq!(candidates(srcset), urls, "{srcset:?}");
        }
    }

    proptest::proptest! {
        /// Written with its URLs apart, a list is read as it was.
        #[test]
        fn a_srcset_of_any_text_is_bounded_and_its_urls_are_read_again(srcset in "[a-z0-9,() \t\n.:/é]{0,60}") {
            let urls = candidates(&srcset);
            proptest::prop_assert!(urls.iter().map(|url| url.len()).sum::<usize>() <= srcset.len());
            proptest::prop_assert!(urls.iter().all(|url| !url.is_empty() && !url.starts_with(',') && !url.ends_with(',')));
            let again = urls.iter().map(|url| format!("{url} 1x, ")).collect::<String>();
            proptest::prop_assert_eq!(candidates(&again), urls);
        }
    }
}
