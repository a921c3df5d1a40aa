//! MediaType: what a file is, by its first bytes and by what the server says. Knows no files and no network.

/// How many first bytes are looked at: what the standard for browsers takes (mimesniff §5.2: 1,445 at most; the tags of
/// tar end at 262).
pub const LOOKED_AT: usize = 512;

/// A kind of file that its first bytes tell.
struct Magic {
    at: usize,
    bytes: &'static [u8],
    media_type: &'static str,
}

const fn magic(at: usize, bytes: &'static [u8], media_type: &'static str) -> Magic {
    Magic { at, bytes, media_type }
}

/// What begins with the same bytes stands in the order of how much it says.
const KNOWN: [Magic; 38] = [
    magic(0, b"\x89PNG\r\n\x1a\n", "image/png"),
    magic(0, b"\xff\xd8\xff", "image/jpeg"),
    magic(0, b"GIF87a", "image/gif"),
    magic(0, b"GIF89a", "image/gif"),
    magic(8, b"WEBPVP", "image/webp"),
    magic(8, b"WAVE", "audio/wav"),
    magic(8, b"AVI ", "video/x-msvideo"),
    magic(4, b"ftypavif", "image/avif"),
    magic(4, b"ftypavis", "image/avif"),
    magic(4, b"ftypheic", "image/heic"),
    magic(4, b"ftypmif1", "image/heif"),
    magic(4, b"ftypM4A", "audio/mp4"),
    magic(4, b"ftypqt", "video/quicktime"),
    magic(4, b"ftyp", "video/mp4"),
    magic(0, b"BM", "image/bmp"),
    magic(0, b"II*\0", "image/tiff"),
    magic(0, b"MM\0*", "image/tiff"),
    magic(0, b"\0\0\x01\0", "image/x-icon"),
    magic(0, b"8BPS", "image/vnd.adobe.photoshop"),
    magic(0, b"\xff\x0a", "image/jxl"),
    magic(0, b"%PDF-", "application/pdf"),
    magic(0, b"%!PS", "application/postscript"),
    magic(0, b"PK\x03\x04", "application/zip"),
    magic(0, b"PK\x05\x06", "application/zip"),
    magic(0, b"\x1f\x8b", "application/gzip"),
    magic(0, b"BZh", "application/x-bzip2"),
    magic(0, b"\xfd7zXZ\0", "application/x-xz"),
    magic(0, b"\x28\xb5\x2f\xfd", "application/zstd"),
    magic(0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    magic(0, b"Rar!\x1a\x07", "application/vnd.rar"),
    magic(257, b"ustar", "application/x-tar"),
    magic(0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    magic(0, b"\x1a\x45\xdf\xa3", "video/webm"),
    magic(0, b"OggS", "application/ogg"),
    magic(0, b"fLaC", "audio/flac"),
    magic(0, b"ID3", "audio/mpeg"),
    magic(0, b"\x7fELF", "application/x-executable"),
    magic(0, b"MZ", "application/vnd.microsoft.portable-executable"),
];

/// Types that hold others: what the server says may be more exact.
const CONTAINERS: [&str; 5] =
    ["application/zip", "application/gzip", "application/x-ole-storage", "application/xml", "application/ogg"];

/// Endings by type.
const ENDINGS: [(&str, &str); 42] = [
    ("image/png", ".png"),
    ("image/jpeg", ".jpg"),
    ("image/jpg", ".jpg"),
    ("image/gif", ".gif"),
    ("image/webp", ".webp"),
    ("image/avif", ".avif"),
    ("image/heic", ".heic"),
    ("image/heif", ".heif"),
    ("image/bmp", ".bmp"),
    ("image/tiff", ".tiff"),
    ("image/x-icon", ".ico"),
    ("image/vnd.microsoft.icon", ".ico"),
    ("image/svg+xml", ".svg"),
    ("image/jxl", ".jxl"),
    ("image/vnd.adobe.photoshop", ".psd"),
    ("audio/wav", ".wav"),
    ("audio/mp4", ".m4a"),
    ("audio/flac", ".flac"),
    ("audio/mpeg", ".mp3"),
    ("application/ogg", ".ogg"),
    ("video/x-msvideo", ".avi"),
    ("video/quicktime", ".mov"),
    ("video/mp4", ".mp4"),
    ("video/webm", ".webm"),
    ("application/pdf", ".pdf"),
    ("application/postscript", ".ps"),
    ("application/zip", ".zip"),
    ("application/gzip", ".gz"),
    ("application/x-bzip2", ".bz2"),
    ("application/x-xz", ".xz"),
    ("application/zstd", ".zst"),
    ("application/x-7z-compressed", ".7z"),
    ("application/vnd.rar", ".rar"),
    ("application/x-tar", ".tar"),
    ("application/xml", ".xml"),
    ("text/html", ".html"),
    ("text/plain", ".txt"),
    ("text/csv", ".csv"),
    ("application/json", ".json"),
    ("application/epub+zip", ".epub"),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", ".xlsx"),
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", ".docx"),
];

/// Returns the type of a file; `None` if nothing tells it. A type that the server says and the bytes contradict is
/// none.
pub fn of(declared: Option<&str>, first: &[u8]) -> Option<String> {
    let declared = declared.filter(|declared| !matches!(*declared, "application/octet-stream" | "binary/octet-stream"));
    match (by_bytes(first), declared) {
        (Some(found), Some(declared)) if CONTAINERS.contains(&found) && may_be_in(found, declared) => {
            Some(declared.to_owned())
        }
        (Some(found), _) => Some(found.to_owned()),
        (None, Some(declared)) if KNOWN.iter().any(|known| known.media_type == declared) => None,
        (None, declared) => declared.map(str::to_owned),
    }
}

/// Returns the usual ending of a type, with its dot.
pub fn ending(media_type: &str) -> Option<&'static str> {
    ENDINGS.iter().find(|(known, _)| *known == media_type).map(|(_, ending)| *ending)
}

/// Tells whether a container may hold a file of a type: whatever else it is, an image or a video is no ZIP.
fn may_be_in(container: &str, declared: &str) -> bool {
    let is_known = KNOWN.iter().any(|known| known.media_type == declared);
    match container {
        "application/xml" => declared.ends_with("xml"),
        "application/ogg" => {
            ["audio/", "video/", "application/"].iter().any(|family| declared.starts_with(family)) && !is_known
        }
        _ => declared.starts_with("application/") && !is_known,
    }
}

/// Returns the type that the first bytes tell.
pub fn by_bytes(first: &[u8]) -> Option<&'static str> {
    let is_it = |known: &&Magic| first.get(known.at..).is_some_and(|rest| rest.starts_with(known.bytes));
    KNOWN.iter().find(is_it).map(|known| known.media_type).or_else(|| by_text(first))
}

/// Looks for markup, as an error page in place of a file is.
fn by_text(first: &[u8]) -> Option<&'static str> {
    let text = first.strip_prefix(b"\xef\xbb\xbf").unwrap_or(first).trim_ascii_start().to_ascii_lowercase();
    let begins = |with: &[u8]| text.starts_with(with);
    let has = |what: &[u8]| memchr::memmem::find(&text, what).is_some();
    if begins(b"<!doctype html") || begins(b"<html") || begins(b"<head") || begins(b"<body") {
        Some("text/html")
    } else if begins(b"<svg") || (begins(b"<?xml") || begins(b"<!")) && has(b"<svg") {
        Some("image/svg+xml")
    } else if (begins(b"<?xml") || begins(b"<!--")) && has(b"<html") {
        Some("text/html")
    } else if begins(b"<?xml") {
        Some("application/xml")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_say_more_than_the_server() {
        let of = |declared: &str, first: &[u8]| {
            of(Some(declared).filter(|text| !text.is_empty()), first).unwrap_or_default()
        };
        assert_eq!(of("text/plain", b"\x89PNG\r\n\x1a\nrest"), "image/png");
        assert_eq!(of("image/jpeg", b" <!DOCTYPE html><title>not found"), "text/html");
        assert_eq!(of("image/jpeg", b"garbage"), "", "a JPEG begins otherwise");
        assert_eq!(of("image/png", b"PK\x03\x04"), "application/zip", "no ZIP passes as an image");
        assert_eq!(of("application/epub+zip", b"PK\x03\x04"), "application/epub+zip");
        assert_eq!(of("application/octet-stream", b"%PDF-1.7"), "application/pdf");
        assert_eq!(of("application/octet-stream", b"?"), "");
        assert_eq!(of("text/csv", b"a,b"), "text/csv");
        assert_eq!(of("image/svg+xml", b"<?xml version='1.0'?>"), "image/svg+xml");
        assert_eq!(of("", b"<?xml version='1.0'?><svg xmlns="), "image/svg+xml");
        assert_eq!(of("", b""), "");
    }
}
