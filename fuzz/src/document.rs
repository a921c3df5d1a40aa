//! Fuzzes all that is read of a document, with any bytes of any content type: it never panics, it ends, and what is
//! made of it is bounded.

use actix_crawler::{
    extract::{LinkElement, LinkSet, MAX_LINKS, MAX_URL_LENGTH, markdown::MAX_MARKDOWN},
    prelude::*,
};

/// Those that are read in different ways.
const TYPES: [&str; 8] = [
    "text/html",
    "application/xhtml+xml",
    "text/html; charset=gb18030",
    "text/plain",
    "text/markdown",
    "application/atom+xml",
    "application/feed+json",
    "application/octet-stream",
];

/// The first byte chooses the content type; it is printable in the seeds, so that those can be read.
pub fn fuzz(input: &[u8]) {
    let [kind, body @ ..] = input else { return };
    let page = Response::bytes("https://e.org/a/b?c", TYPES[usize::from(*kind) % TYPES.len()], body.to_vec());
    // A character of any charset takes three bytes in UTF-8 at most, and so does U+FFFD for a byte that is none.
    assert!(page.body_text().len() <= 3 * body.len() + 3);

    let set = LinkSet::from([
        LinkElement::A,
        LinkElement::Frame,
        LinkElement::Image,
        LinkElement::Form,
        LinkElement::Canonical,
        LinkElement::Refresh,
    ]);
    let links = page.links().of(set);
    assert!(links.len() <= MAX_LINKS);
    for link in links {
        assert!(matches!(link.url().scheme(), "http" | "https"), "{}", link.url());
        assert!(link.url().as_str().len() <= MAX_URL_LENGTH && link.url().fragment().is_none(), "{}", link.url());
        assert!(link.text().len() <= 32 << 10);
    }

    assert!(page.text().len() <= 8 * body.len() + 8);
    for markdown in [page.markdown(), page.markdown().main()] {
        let written = markdown.write();
        assert!(written.text.len() <= MAX_MARKDOWN);
        assert!(written.text.is_empty() || written.text.ends_with('\n'));
    }
    let listed = page.llms_txt();
    assert!(listed.links.len() <= MAX_LINKS);
    let metadata = page.metadata();
    assert!(metadata.meta.len() <= 1_000);
    if let Ok(form) = page.form("form") {
        // It may send nothing, or nowhere.
        if let Ok(request) = form.submit() {
            assert!(matches!(request.url.scheme(), "http" | "https"));
        }
    }
    if let Ok(feed) = page.feed() {
        assert!(feed.entries.iter().all(|entry| entry.enclosures.len() <= 100));
    }
}
