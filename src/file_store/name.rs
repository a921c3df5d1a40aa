//! Name: the path of a file in its folder, made of what a page or a server says. It never leaves the folder, and is a
//! name on every common file system. Knows no files.

use percent_encoding::percent_decode_str;

use super::Wanted;
use crate::text::{device_name::is_device, hexadecimal::hexadecimal};

/// The longest part of a path in bytes: file systems allow 255, and a name may be made longer to keep it apart.
const MAX_PART: usize = 200;

/// The longest path in bytes; Linux allows 4,096 with the folder's own.
const MAX_PATH: usize = 1_000;

/// The most folders of a path.
const MAX_FOLDERS: usize = 16;

/// The longest ending that is kept, with its dot.
const MAX_ENDING: usize = 12;

/// Returns the path of a file, by the name that it was given, or by `template`.
pub fn of(template: &str, wanted: &Wanted, hash: &str, extension: &str) -> String {
    if let Some(name) = &wanted.name {
        return safe(name);
    }
    let (stem, ending) = in_url(wanted);
    // What comes from the URL must not make folders.
    let stem = stem.replace(['/', '\\'], "_");
    let ending = if extension.is_empty() { ending } else { extension.to_owned() };
    let host = wanted.url.host_str().unwrap_or("no-host").replace(['[', ']', ':'], "_");
    let made = template.replace("{hash}", hash).replace("{ext}", &ending).replace("{host}", &host);
    safe(&made.replace("{name}", &stem))
}

/// Returns the path under which a file is kept apart from another one with the same name: `report-9f86d081884c.pdf`.
pub fn apart(path: &str, mark: &str) -> String {
    let (folders, name) = path.rsplit_once('/').map_or(("", path), |(folders, name)| (folders, name));
    let (stem, ending) = split(name);
    let slash = if folders.is_empty() { "" } else { "/" };
    format!("{folders}{slash}{stem}-{mark}{ending}")
}

/// Returns a path as one name.
pub fn without_folders(path: &str) -> String {
    safe_part(&path.replace('/', "_"))
}

/// Returns a name that neither a page nor a server can foresee, with the ending of a path.
pub fn unforeseeable(path: &str, mark: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    format!("{mark}-{:016x}{}", fastrand::u64(..), split(name).1)
}

/// Tells whether the URL of a file has an ending.
pub fn has_ending(wanted: &Wanted) -> bool {
    !in_url(wanted).1.is_empty()
}

/// Returns the last part of a URL's path without its ending, and its ending.
fn in_url(wanted: &Wanted) -> (String, String) {
    let last = wanted.url.path_segments().and_then(|mut parts| parts.next_back()).unwrap_or_default();
    let last = percent_decode_str(last).decode_utf8_lossy().into_owned();
    let (stem, ending) = split(&last);
    let is_plain = ending.chars().skip(1).all(|sign| sign.is_ascii_alphanumeric());
    if is_plain { (stem.to_owned(), ending.to_ascii_lowercase()) } else { (last, String::new()) }
}

/// Splits a name before its ending.
fn split(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(dot) if dot > 0 && name.len() - dot <= MAX_ENDING && name.len() - dot > 1 => name.split_at(dot),
        _ => (name, ""),
    }
}

/// Makes a path of a text that anybody may have written.
fn safe(raw: &str) -> String {
    let mut path = String::new();
    for part in raw.split(['/', '\\']).filter(|part| !part.trim_matches(['.', ' ']).is_empty()) {
        if path.matches('/').count() >= MAX_FOLDERS || path.len() + MAX_PART > MAX_PATH {
            return with_hash(&path, raw);
        }
        if !path.is_empty() {
            path.push('/');
        }
        path.push_str(&safe_part(part));
    }
    if path.is_empty() { with_hash("unnamed", raw) } else { path }
}

/// Ends a path that was cut off, so that different ones stay different.
fn with_hash(path: &str, raw: &str) -> String {
    let hash = ring::digest::digest(&ring::digest::SHA256, raw.as_bytes());
    let hash = hexadecimal(hash.as_ref().get(..8).unwrap_or_default());
    format!("{path}-{hash}")
}

fn safe_part(part: &str) -> String {
    let mut safe: String = part.chars().map(|sign| if is_plain(sign) { sign } else { '_' }).collect();
    // Windows drops spaces and dots at the end, and with them the difference between two names.
    safe.truncate(safe.trim_end_matches(['.', ' ']).len());
    let safe = safe.trim_start_matches(' ');
    // A dot at the front hides a file, and our own folders begin with one.
    let safe = safe.strip_prefix('.').map_or_else(|| safe.to_owned(), |rest| format!("_{rest}"));
    let safe = if is_device(&safe) { format!("_{safe}") } else { safe };
    if safe.len() <= MAX_PART { safe } else { shortened(&safe) }
}

/// Cuts a name off, and adds what tells it from others that begin with the same.
fn shortened(name: &str) -> String {
    let (stem, ending) = split(name);
    let room = MAX_PART - 17 - ending.len();
    let end = stem.char_indices().map(|(at, _)| at).take_while(|at| *at <= room).last().unwrap_or(0);
    format!("{}{ending}", with_hash(stem.get(..end).unwrap_or_default(), name))
}

/// Tells whether a sign may be in a name everywhere: no control, nothing that Windows refuses, and nothing that turns
/// the reading direction or has no width, with which `exe.gpj` looks like `jpg.exe`.
fn is_plain(sign: char) -> bool {
    let is_invisible = matches!(sign, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fffd}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    !sign.is_control() && !is_invisible && !matches!(sign, '<' | '>' | ':' | '"' | '|' | '?' | '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    fn named(name: &str) -> String {
        let wanted = Wanted { url: "https://e.org/x".parse().unwrap(), name: Some(name.to_owned()) };
        of("full/{hash}{ext}", &wanted, HASH, ".png")
    }

    fn made(template: &str, url: &str, extension: &str) -> String {
        of(template, &Wanted { url: url.parse().unwrap(), name: None }, HASH, extension)
    }

    #[test]
    fn a_template_is_filled_in() {
        assert_eq!(made("full/{hash}{ext}", "https://e.org/a.jpeg", ".jpg"), format!("full/{HASH}.jpg"));
        assert_eq!(made("{host}/{name}{ext}", "https://e.org/a/b%20c.tar?x=1", ""), "e.org/b c.tar");
        assert_eq!(made("{host}/{name}{ext}", "https://e.org/a/", ".html"), "e.org/.html".replace("/.", "/_"));
        assert_eq!(made("{host}/{name}", "http://[::1]:80/a", ""), "___1_/a");
    }

    #[test]
    fn no_name_leaves_the_folder_or_is_none_on_some_system() {
        let long = "x".repeat(5_000);
        let deep = "d/".repeat(5_000);
        let hostile = [
            "../../etc/passwd",
            "/etc/passwd",
            "..\\..\\boot.ini",
            "C:\\x",
            "a/../../b",
            "....//....//x",
            ".",
            "..",
            "",
            "/",
            "\0",
            "a\0b",
            "con",
            "CON.txt",
            "nul.tar.gz",
            "com1",
            "LPT9.x",
            "com¹.txt",
            "a.",
            "a ",
            ". .",
            " .. ",
            ".htaccess",
            ".index/x",
            ".part/x",
            "a:b",
            "a|b?*<>\"",
            "line\nbreak",
            "\u{202e}gpj.exe",
            "\u{200b}",
            "é/ü",
            "~",
            "-rf",
            "$(x)",
            "%2e%2e/x",
            &long,
            &deep,
            "a/././b",
            "\u{2025}/x",
            "\\\\server\\share\\x",
            "aux .txt",
        ];
        for name in hostile {
            let path = named(name);
            assert!(
                !path.is_empty() && path.len() < 1_300 && !path.starts_with('/') && !path.ends_with('/'),
                "{path:?}"
            );
            for part in path.split('/') {
                assert!(
                    !part.is_empty() && part.len() <= 240 && !part.starts_with('.') && !part.ends_with(['.', ' ']),
                    "{path:?}"
                );
                assert!(part.chars().all(|sign| is_plain(sign) && sign != '\\'), "{path:?}");
                assert!(!is_device(part), "{path:?}");
            }
        }
        assert_eq!(named("../../etc/passwd"), "etc/passwd");
        assert_eq!(named("manuals/7.pdf"), "manuals/7.pdf");
        assert_ne!(named(&"y".repeat(300)), named(&"y".repeat(301)));
        assert!(named(&format!("{}.pdf", "é".repeat(300))).ends_with(".pdf"));
    }

    #[test]
    fn a_url_makes_no_folders() {
        for url in [
            "https://e.org/%2e%2e%2fx",
            "https://e.org/..%5cx.exe",
            "https://e.org/a%00b.png",
            "https://e.org/%2fetc%2fpasswd",
        ] {
            let path = made("{name}{ext}", url, "");
            assert!(!path.contains(['/', '\\', '\0']) && !path.starts_with('.'), "{path:?}");
        }
    }

    #[test]
    fn two_files_of_one_name_are_kept_apart() {
        assert_eq!(apart("a/report.pdf", "9f86"), "a/report-9f86.pdf");
        assert_eq!(apart("report", "9f86"), "report-9f86");
    }
}
