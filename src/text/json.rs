//! Json: parses JSON as browsers do where a text was cut within a pair of surrogates. Knows no pages.

use std::borrow::Cow;

use serde::de::DeserializeOwned;

/// Parses JSON. An escape of half a surrogate pair, as scripts leave one when they cut a text in the middle of an
/// emoji, is U+FFFD: no text can contain it, and browsers replace it in the same way when they make bytes of it.
///
/// # Errors
/// The text is not the JSON that `T` expects.
pub(crate) fn from_json<T: DeserializeOwned>(text: &str) -> serde_json::Result<T> {
    serde_json::from_str(text).or_else(|error| match without_lone_surrogates(text) {
        Cow::Owned(text) => serde_json::from_str(&text),
        Cow::Borrowed(_) => Err(error),
    })
}

/// Replaces escapes of lone surrogates. What is replaced has the same length, so that places in errors are right.
pub(crate) fn without_lone_surrogates(text: &str) -> Cow<'_, str> {
    let mut kept = String::new();
    let (mut copied, mut at) = (0, 0);
    while let Some(found) = text.get(at..).and_then(|rest| rest.find('\\')) {
        at += found;
        at += match surrogate(text, at) {
            None => 2,
            Some(Half::Leading) if matches!(surrogate(text, at + ESCAPE), Some(Half::Trailing)) => 2 * ESCAPE,
            Some(_) => {
                kept.push_str(text.get(copied..at).unwrap_or_default());
                kept.push_str("\\ufffd");
                copied = at + ESCAPE;
                ESCAPE
            }
        };
        // Behind a backslash may stand a letter of several bytes.
        while at < text.len() && !text.is_char_boundary(at) {
            at += 1;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    kept.push_str(text.get(copied..).unwrap_or_default());
    Cow::Owned(kept)
}

enum Half {
    Leading,
    Trailing,
}

/// The length of `\uXXXX`.
const ESCAPE: usize = 6;

/// Returns which half of a pair is escaped at a place, if one is.
fn surrogate(text: &str, at: usize) -> Option<Half> {
    let digits = text.get(at..at + ESCAPE)?.strip_prefix("\\u")?;
    match u16::from_str_radix(digits, 16).ok()? {
        0xd800..=0xdbff => Some(Half::Leading),
        0xdc00..=0xdfff => Some(Half::Trailing),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_pair_is_a_replacement_character_and_a_whole_one_stays() {
        for (json, expected) in [
            (r#""cut \ud83d""#, "cut \u{fffd}"),
            (r#""\uDE00 and \ud83d\ud83d\ude00\ude00""#, "\u{fffd} and \u{fffd}😀\u{fffd}"),
            (r#""\\ud83d \\\ud83d""#, "\\ud83d \\\u{fffd}"),
            (r#""\ud83d\n\u00e9 é""#, "\u{fffd}\né é"),
        ] {
            assert_eq!(from_json::<String>(json).unwrap(), expected, "{json}");
        }
        for whole in [r#""\ud83d\ude00 \\ud83d""#, "\"\\", "\\é", "", r"\ud8", r"\ué\ud83"] {
            assert!(matches!(without_lone_surrogates(whole), Cow::Borrowed(_)), "{whole}");
        }
    }

    #[test]
    fn what_is_no_json_says_where() {
        let error = from_json::<Vec<String>>(r#"["\ud83d", 1]"#).unwrap_err();
        assert_eq!(error.column(), 12, "{error}");
        assert!(from_json::<String>("\"\\ud83d").is_err() && from_json::<String>("nul").is_err());
    }
}
