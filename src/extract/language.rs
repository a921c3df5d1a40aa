//! Language: which language a page is in, as it says itself, or else by a guess. Knows no languages; `guess` does.

use std::fmt;

use serde::{Serialize, Serializer};

use super::{context::Syntax, guess::guess, page_tokens::PageTokens, prefix::prefix, tokens::Token};

/// The language of a page, and what says so. As text, its tag.
///
/// ```
/// use actix_crawler::{extract::LanguageSource, prelude::*};
///
/// let page = Response::html("https://e.org/", "<html lang=de_CH><p>Grüezi");
/// let language = page.language().unwrap();
/// assert_eq!((language.to_string().as_str(), language.primary()), ("de-CH", "de"));
/// assert_eq!(language.source(), LanguageSource::Element);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Language {
    tag: String,
    source: LanguageSource,
}

/// What says which language a page is in.
///
/// ```
/// use actix_crawler::{extract::LanguageSource, prelude::*};
///
/// let page = Response::html("https://e.org/", "<p>Grüezi").with_header("content-language", "de-CH");
/// assert_eq!(page.language().unwrap().source(), LanguageSource::Header);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LanguageSource {
    /// The `lang` or `xml:lang` of the page's `<html>`.
    Element,
    /// The header `Content-Language`, if it names one language.
    Header,
    /// A guess from the page's text: only with the feature `language`, and only if it is reliable.
    Guess,
}

/// How much of a text is looked at for a guess, in bytes: a few pages.
const MAX_GUESSED: usize = 16 << 10;

/// The least text that is looked at, in bytes: a guess from a headline is wrong too often.
const MIN_GUESSED: usize = 100;

impl Language {
    /// Reads it from a page: its element, its header, or else its text, which is made only if it is needed.
    pub(crate) fn of(
        page: &str,
        syntax: Option<Syntax>,
        header: Option<&str>,
        text: impl FnOnce() -> String,
    ) -> Option<Self> {
        let of_element = || Self::new(&lang_of_root(page, syntax?)?, LanguageSource::Element);
        let of_header = || Self::new(header?, LanguageSource::Header);
        of_element().or_else(of_header).or_else(|| {
            let text = text();
            let text = prefix(&text, MAX_GUESSED);
            let tag = guess(text).filter(|_| text.len() >= MIN_GUESSED)?;
            Some(Self { tag: tag.to_owned(), source: LanguageSource::Guess })
        })
    }

    fn new(tag: &str, source: LanguageSource) -> Option<Self> {
        let tag = tag.trim().replace('_', "-");
        let is_subtag =
            |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let primary = tag.split('-').next()?;
        let is_language = primary.len() >= 2 && primary.bytes().all(|byte| byte.is_ascii_alphabetic());
        (is_language && tag.len() <= 64 && tag.split('-').all(is_subtag)).then_some(Self { tag, source })
    }

    /// Returns the tag (BCP 47), as written: `de-CH`. A guess has two letters where the language has them.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// Returns its first part in lower case, the language without country and script: `de`.
    pub fn primary(&self) -> &str {
        self.tag.split('-').next().unwrap_or_default()
    }

    /// Returns what says so.
    pub fn source(&self) -> LanguageSource {
        self.source
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.tag)
    }
}

impl Serialize for Language {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.tag)
    }
}

/// Returns the language that the first element names, if that is `<html>`.
fn lang_of_root(page: &str, syntax: Syntax) -> Option<String> {
    let first = |token| if let Token::Start(tag) = token { Some(tag) } else { None };
    let root = PageTokens::new(page, syntax).find_map(first).filter(|tag| tag.is("html"))?;
    let lang = root.attribute("lang").or_else(|| root.attribute("xml:lang"))?;
    Some(lang.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn language(page: &str, header: Option<&str>) -> Option<(String, LanguageSource)> {
        let language = Language::of(page, Some(Syntax::Html), header, || page.to_owned())?;
        Some((language.tag, language.source))
    }

    #[test]
    fn the_element_comes_before_the_header_and_what_is_no_tag_is_none() {
        let says = |tag: &str, source| Some((tag.to_owned(), source));
        let element = LanguageSource::Element;
        assert_eq!(language("<!doctype html><!-- x --><html lang=' pt_BR '>", Some("en")), says("pt-BR", element));
        assert_eq!(language("<html xml:lang=zh-Hant-TW>", None), says("zh-Hant-TW", element));
        for none in
            ["<html lang=''>", "<html lang='en, de'>", "<html lang=x>", "<html lang={{lang}}>", "<p lang=en>", ""]
        {
            assert_eq!(language(none, Some("en")), says("en", LanguageSource::Header), "{none}");
            assert_eq!(language(none, Some("en, de")), None, "a header for several readers");
        }
        let long = format!("<html lang={}>", "en-".repeat(1_000));
        assert_eq!(language(&long, None), None);
    }

    #[cfg(feature = "language")]
    #[test]
    fn a_page_that_says_nothing_is_guessed_if_its_text_is_long_enough() {
        let guessed = |text: &str| language(text, None).map(|(tag, _)| tag);
        let german = "Der Crawler fragt höflich an und wartet eine Sekunde, bevor er die nächste Seite anfordert. ";
        assert_eq!(guessed(&german.repeat(3)).as_deref(), Some("de"));
        let english = "The crawler asks politely and waits for a second before it requests the next page of the site. ";
        assert_eq!(guessed(&english.repeat(3)).as_deref(), Some("en"));
        assert_eq!(guessed(&"网络爬虫礼貌地请求每一个页面并且遵守机器人协议。".repeat(9)).as_deref(), Some("zh"));
        assert_eq!(guessed("Hallo"), None);
        assert_eq!(guessed(&"12 34 56 78 ".repeat(50)), None);
        assert!(guessed(&english.repeat(100_000)).is_some(), "however long");
    }
}
