//! FileName: the name of a page's file, made of its URL. Knows no files.

use std::path::PathBuf;

use url::Url;
use xxhash_rust::xxh3::xxh3_64;

use crate::text::device_name::is_device;

/// The longest part of a name that is made of the path, in bytes: enough to tell pages apart by eye.
const MAX_SLUG: usize = 80;

/// Returns `example.org/docs-install-<hash>.md`. The hash of the whole URL without its fragment makes it unique; the
/// rest is for people. Any file system takes it: ASCII letters, digits, `-`, `_` and `.`, no longer than 255 bytes, and
/// no device.
pub(super) fn of(url: &Url) -> PathBuf {
    let mut page = url.clone();
    page.set_fragment(None);
    let host = safe(page.host_str().unwrap_or("no-host"), 240);
    let folder = page.port().map_or(host.clone(), |port| format!("{host}_{port}"));
    let folder = if is_device(&folder) { format!("_{folder}") } else { folder };
    let path = page.path();
    let path = path.strip_suffix(".html").or_else(|| path.strip_suffix(".htm")).unwrap_or(path);
    let slug = safe(&format!("{path}-{}", page.query().unwrap_or_default()), MAX_SLUG);
    let slug = if slug.is_empty() { "index" } else { &slug };
    PathBuf::from(folder).join(format!("{slug}-{:016x}.md", xxh3_64(page.as_str().as_bytes())))
}

/// Keeps letters, digits, `_` and dots within; makes one hyphen of all between.
fn safe(text: &str, max_bytes: usize) -> String {
    let mut safe = String::new();
    for character in text.chars() {
        if safe.len() >= max_bytes {
            break;
        }
        match character {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '_' => safe.push(character),
            '.' if !safe.is_empty() && !safe.ends_with(['.', '-']) => safe.push('.'),
            _ if !safe.is_empty() && !safe.ends_with(['.', '-']) => safe.push('-'),
            _ => {}
        }
    }
    safe.truncate(safe.trim_end_matches(['.', '-']).len());
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(url: &str) -> String {
        of(&Url::parse(url).unwrap()).to_str().unwrap().to_owned()
    }

    #[test]
    fn a_name_says_which_page_it_is_and_is_always_the_same() {
        assert_eq!(name("https://e.org/docs/install.html?v=2#top"), "e.org/docs-install-v-2-d530337c6c79975a.md");
        assert_eq!(name("https://e.org/docs/install.html?v=2"), name("https://e.org/docs/install.html?v=2#top"));
        assert!(name("https://e.org/").starts_with("e.org/index-"));
        assert!(name("http://127.0.0.1:8080/a").starts_with("127.0.0.1_8080/a-"));
    }

    #[test]
    fn pages_of_different_urls_have_different_names_and_none_leaves_the_folder() {
        let urls = [
            "https://e.org/a",
            "https://e.org/a/",
            "https://e.org/A",
            "https://e.org/a?",
            "https://e.org/a.html",
            "https://e.org/?a",
            "https://e.org/%2e%2e%2f",
            "https://e.org/..%2f..%2fetc",
            "http://e.org/a",
            "https://e.org/\u{e9}",
            "https://e.org/con",
            "https://con/",
            "https://aux.com/",
            "http://[::1]/",
            "https://e.org/a%00b",
        ];
        let names: std::collections::BTreeSet<_> = urls.iter().map(|url| name(url)).collect();
        assert_eq!(names.len(), urls.len(), "{names:?}");
        let long = name(&format!("https://{}.org/{}", "a.".repeat(120), "b/".repeat(5_000)));
        for name in names.iter().chain([&long]) {
            let parts: Vec<_> = name.split('/').collect();
            assert!(parts.len() == 2 && !parts.iter().any(|part| is_device(part)), "{name}");
            assert!(parts.iter().all(|part| part.len() < 255 && !part.starts_with('.') && !part.is_empty()), "{name}");
            assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte)), "{name}");
        }
    }
}
