//! Fuzzes what finds the charset of a page and decodes it: it never panics, the text is bounded, a charset in the
//! header is obeyed, and each link is a URL.

use actix_crawler::Response;
use encoding_rs::Encoding;

const LABELS: [&str; 12] = [
    "",
    "utf-8",
    "gb18030",
    "gbk",
    "shift_jis",
    "iso-2022-jp",
    "euc-kr",
    "big5",
    "utf-16le",
    "windows-1251",
    "x-user-defined",
    "no such charset",
];

/// The first byte chooses the charset of the header; it is printable in the seeds, so that those can be read.
pub fn fuzz(input: &[u8]) {
    let [choice, body @ ..] = input else { return };
    let label = LABELS[usize::from(*choice) % LABELS.len()];
    for essence in ["text/html", "text/plain", "application/xhtml+xml", "application/json"] {
        let page = Response::bytes("https://e.ru/a/b?c", &format!("{essence}; charset=\"{label}\""), body.to_vec());
        let text = page.body_text();
        // A character of any charset takes three bytes in UTF-8 at most, and so does U+FFFD for a byte that is none.
        assert!(text.len() <= 3 * body.len() + 3);
        let known = Encoding::for_label(page.encoding().as_bytes());
        assert!(known.is_some_and(|known| known.name() == page.encoding()), "{}", page.encoding());
        if let Some(asked) = Encoding::for_label(label.as_bytes())
            && Encoding::for_bom(body).is_none()
        {
            assert_eq!(page.encoding(), asked.name());
            assert_eq!(text, asked.decode_without_bom_handling(body).0);
        }
        for link in page.links() {
            let url = link.url();
            assert!(url.as_str().is_ascii() && url.as_str().parse().as_ref() == Ok(url), "{url}");
        }
    }
}
