//! Masked: texts for people, without the passwords of URLs in them. Knows no setting.

/// Returns a text with `***` in place of the user name and the password of each URL in it. A text that is no right URL
/// is masked too, as `http://me:secret@:99/`: what is between its scheme, or a quotation mark, and its last `@`.
pub fn masked(text: &str) -> String {
    text.split_inclusive(['"', '\'', '`']).map(of_one).collect()
}

fn of_one(text: &str) -> String {
    let begin = text.find("://").map(|scheme| scheme + "://".len());
    let (before, rest) = text.split_at_checked(begin.unwrap_or(0)).unwrap_or(("", text));
    match rest.rsplit_once('@') {
        // An @ of a path, of a selector or of a mail address is no secret's end.
        Some((secret, after)) if secret.contains(':') || (begin.is_some() && !secret.contains('/')) => {
            format!("{before}***@{after}")
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_masked_and_all_else_stays() {
        for (text, expected) in [
            ("http://me:sekret@:99/", "http://***@:99/"),
            ("http://me:se/kr@et@h/", "http://***@h/"),
            ("me:sekret@h:1", "***@h:1"),
            ("proxies = [\"http://a:b@h\", 'http://token@h']", "proxies = [\"http://***@h\", 'http://***@h']"),
            ("https://example.org/@me", "https://example.org/@me"),
            ("contact = \"me@example.org\"", "contact = \"me@example.org\""),
            ("a.next@href", "a.next@href"),
            ("https:/x", "https:/x"),
        ] {
            assert_eq!(masked(text), expected);
        }
    }
}
