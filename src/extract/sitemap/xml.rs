//! XML: reads the entries of a sitemap, an index or a feed from quick-xml's events. Matches elements by local name and
//! position; expands only the entities predefined by XML.

use std::borrow::Cow;

use quick_xml::{
    Error, Reader,
    errors::SyntaxError,
    events::{BytesRef, BytesStart, Event},
};
use url::Url;

use super::{
    SitemapKind,
    draft::{EntryDraft, MAX_TEXT},
    entry::{SitemapEntry, SkippedEntries, Target},
    error::SitemapError,
    field::{EntryField, EntryPart, feed_field, field},
    source::{ReadFault, Utf8},
    token::{SkipEnd, TokenKind},
};
use crate::extract::prefix::prefix;

/// The most open elements whose names quick-xml stores, which we do not need: sitemaps have five levels, an article
/// within Atom's XHTML a few dozen. With more it is begun anew, and forgets them.
const MAX_OPEN: usize = 4_096;

/// The size to which the event buffer shrinks again.
const USUAL_EVENT: usize = 16 << 10;

/// The entries of an XML file.
pub(super) struct XmlEntries<'a> {
    xml: Reader<Utf8<'a>>,
    buffer: Vec<u8>,
    kind: Option<SitemapKind>,
    depth: usize,
    /// How many names quick-xml may have stored.
    open: usize,
    draft: Option<EntryDraft>,
    /// The field whose text is being read, and the text so far.
    field: Option<(EntryField, String)>,
    ended: bool,
}

/// What the loop does after an event.
enum XmlStep {
    On,
    Done(Box<EntryDraft>),
    End,
}

impl<'a> XmlEntries<'a> {
    pub fn new(text: Utf8<'a>) -> Self {
        Self {
            xml: reader_of(text),
            buffer: Vec::new(),
            kind: None,
            depth: 0,
            open: 0,
            draft: None,
            field: None,
            ended: false,
        }
    }

    pub fn kind(&self) -> Option<SitemapKind> {
        self.kind
    }

    /// Returns how many names of elements are stored at most.
    #[cfg(test)]
    pub fn open(&self) -> usize {
        self.open
    }

    /// Reads to the end of the next entry with a URL.
    pub fn next_entry(
        &mut self,
        base: &Url,
        skipped: &mut SkippedEntries,
    ) -> Result<Option<SitemapEntry>, SitemapError> {
        while !self.ended {
            match self.step(base, skipped)? {
                XmlStep::On => {}
                XmlStep::End => self.ended = true,
                XmlStep::Done(draft) => {
                    let loc = draft.loc.or(draft.guid).unwrap_or_default();
                    if let Some(url) = skipped.url(base, &loc) {
                        return Ok(Some(SitemapEntry { url, ..draft.entry }));
                    }
                }
            }
        }
        Ok(None)
    }

    fn step(&mut self, base: &Url, skipped: &mut SkippedEntries) -> Result<XmlStep, SitemapError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        buffer.shrink_to(USUAL_EVENT);
        self.xml.get_mut().begin_token();
        if self.xml.get_mut().begins_like_a_comment()? {
            // As browsers do, up to the next bracket.
            self.xml.get_mut().skip_rest("", TokenKind::Declaration)?;
            self.begin_anew();
            return Ok(XmlStep::On);
        }
        let read = match self.xml.read_event_into(&mut buffer) {
            Ok(event) => Ok(self.event(event, base, skipped)),
            Err(error) => Err(error),
        };
        let step = match read {
            Ok(step) => step,
            Err(error) => match self.xml.get_mut().take_fault() {
                Some(ReadFault::LongToken) => self.long_token(&buffer, base, skipped),
                Some(ReadFault::Fatal(error)) => Err(error),
                None => self.pass_over(error),
            },
        };
        self.buffer = buffer;
        if self.open > MAX_OPEN {
            self.begin_anew();
        }
        step
    }

    /// Handles the beginning of a text or tag that is too long, and skips the rest of it.
    fn long_token(&mut self, token: &[u8], base: &Url, skipped: &mut SkippedEntries) -> Result<XmlStep, SitemapError> {
        let token = String::from_utf8_lossy(token);
        let kind = TokenKind::of(&token);
        let end = self.xml.get_mut().skip_rest(&token, kind)?;
        self.begin_anew();
        match kind {
            TokenKind::Text => self.text(&token, skipped),
            TokenKind::Cdata => self.text(token.strip_prefix("<![CDATA[").unwrap_or(&token), skipped),
            TokenKind::Comment | TokenKind::Instruction => {}
            // What it declares is not known.
            TokenKind::Declaration => return Err(SitemapError::Entities),
            TokenKind::Start => {
                // Its attributes are lost, which may be fields of an entry.
                skipped.cut_fields += usize::from(self.draft.is_some());
                let tag = BytesStart::new(name_in(&token));
                let event = if end == SkipEnd::SelfClosing { Event::Empty(tag) } else { Event::Start(tag) };
                return self.event(event, base, skipped);
            }
            TokenKind::End => return Ok(self.end(local(name_in(&token)), base, skipped)),
        }
        Ok(XmlStep::On)
    }

    /// Continues after markup that XML does not know; other errors end the file.
    fn pass_over(&mut self, error: Error) -> Result<XmlStep, SitemapError> {
        match error {
            Error::IllFormed(_) => Ok(XmlStep::On),
            Error::Syntax(SyntaxError::InvalidBangMarkup) => {
                self.xml.get_mut().skip_rest("<!", TokenKind::Start)?;
                self.begin_anew();
                Ok(XmlStep::On)
            }
            Error::Io(error) => Err(SitemapError::Read(error.to_string())),
            // quick-xml reports another syntax error only for unclosed markup.
            Error::Syntax(_) => Err(SitemapError::Truncated),
            other => Err(SitemapError::Xml(other.to_string())),
        }
    }

    /// Goes on with a new parser, which knows no open elements.
    fn begin_anew(&mut self) {
        let old = std::mem::replace(&mut self.xml, reader_of(Utf8::empty()));
        self.xml = reader_of(old.into_inner());
        self.open = 0;
    }

    fn event(&mut self, event: Event<'_>, base: &Url, skipped: &mut SkippedEntries) -> Result<XmlStep, SitemapError> {
        match event {
            Event::Start(tag) => {
                self.depth += 1;
                self.open += 1;
                self.start(&tag, base, skipped)?;
            }
            Event::Empty(tag) => {
                self.depth += 1;
                self.start(&tag, base, skipped)?;
                return Ok(self.end(tag.local_name().as_ref(), base, skipped));
            }
            Event::End(tag) => {
                self.open = self.open.saturating_sub(1);
                return Ok(self.end(tag.local_name().as_ref(), base, skipped));
            }
            Event::Text(text) => self.text(&text, skipped),
            Event::CData(text) => self.text(&text, skipped),
            Event::GeneralRef(reference) => self.reference(&reference, skipped),
            Event::DocType(doctype) => {
                // Only entities in a declaration can change the text.
                if doctype.to_ascii_uppercase().contains("<!ENTITY") {
                    return Err(SitemapError::Entities);
                }
            }
            Event::Eof if self.kind.is_none() => return Err(SitemapError::NotASitemap { root: String::new() }),
            Event::Eof if self.depth > 0 => return Err(SitemapError::Truncated),
            Event::Eof => return Ok(XmlStep::End),
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) => {}
        }
        Ok(XmlStep::On)
    }

    fn start(&mut self, tag: &BytesStart<'_>, base: &Url, skipped: &mut SkippedEntries) -> Result<(), SitemapError> {
        let name = tag.local_name();
        let name = &*in_lower_case(name.as_ref());
        self.field = None;
        let Some(kind) = self.kind else {
            self.kind = Some(kind_of(name)?);
            return Ok(());
        };
        if let Some(target) = entry_element(kind, name) {
            if let Some(unclosed) = &self.draft {
                // An entry that was not closed may be incomplete. This one is beside it.
                skipped.unreadable += 1;
                self.depth = unclosed.depth;
            }
            self.draft = Some(EntryDraft::new(self.depth, base, target));
            return Ok(());
        }
        let Some(draft) = &mut self.draft else { return Ok(()) };
        let is_feed = matches!(kind, SitemapKind::Rss | SitemapKind::Atom);
        let is_direct = self.depth == draft.depth + 1;
        if is_feed {
            if is_direct {
                if kind == SitemapKind::Atom && name == "link" {
                    draft.atom_link(tag);
                } else {
                    self.field = feed_field(kind, name, tag).map(|field| (field, String::new()));
                }
            }
            return Ok(());
        }
        if draft.begin_part(name, base, skipped) {
            return Ok(());
        }
        if draft.part == EntryPart::Entry && name == "link" {
            draft.alternate(tag, base, skipped);
            return Ok(());
        }
        let field = field(draft.part, name).map(|field| {
            // The URL within another element is that of something else, unless an element before it was not closed.
            if field == EntryField::Loc && !is_direct { EntryField::Guid } else { field }
        });
        self.field = field.map(|field| (field, String::new()));
        Ok(())
    }

    fn end(&mut self, name: &str, base: &Url, skipped: &mut SkippedEntries) -> XmlStep {
        let name = &*in_lower_case(name);
        self.depth = self.depth.saturating_sub(1);
        if let (Some((field, text)), Some(draft)) = (self.field.take(), &mut self.draft) {
            draft.set(field, text.trim(), base, skipped);
        }
        let is_entry_end = self.kind.is_some_and(|kind| entry_element(kind, name).is_some());
        if is_entry_end && let Some(draft) = self.draft.take() {
            // The end of an entry also ends the elements within it that have no end tag.
            self.depth = draft.depth.saturating_sub(1);
            return XmlStep::Done(Box::new(draft));
        }
        if let Some(draft) = &mut self.draft {
            draft.end_part(name, skipped);
            return XmlStep::On;
        }
        // Content after the root element is not part of the document. A surplus end tag is no end of the root.
        if self.kind.is_some() && kind_of(name).ok() == self.kind {
            return XmlStep::End;
        }
        self.depth = self.depth.max(usize::from(self.kind.is_some()));
        XmlStep::On
    }

    fn text(&mut self, text: &str, skipped: &mut SkippedEntries) {
        let Some((_, field)) = &mut self.field else { return };
        // One byte more than is kept shows that the text is longer.
        let room = (MAX_TEXT + 1).saturating_sub(field.len());
        let start = prefix(text, room);
        if start.len() < text.len() && field.len() <= MAX_TEXT {
            skipped.cut_fields += 1;
        }
        field.push_str(start);
    }

    /// Adds the replacement of `&name;`. XML defines five names; those of HTML, such as `&eacute;`, are read as in
    /// HTML, since sites write their URLs by functions for web pages. Other names are text.
    fn reference(&mut self, reference: &BytesRef<'_>, skipped: &mut SkippedEntries) {
        let named = match &**reference {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => reference.resolve_char_ref().ok().flatten(),
        };
        match named {
            Some(character) => self.text(character.encode_utf8(&mut [0; 4]), skipped),
            None => self.text(&htmlize::unescape(format!("&{};", &**reference)), skipped),
        }
    }
}

fn reader_of(text: Utf8<'_>) -> Reader<Utf8<'_>> {
    let mut xml = Reader::from_reader(text);
    let config = xml.config_mut();
    // As browsers and other readers do; we check only names.
    config.allow_dangling_amp = true;
    config.allow_unmatched_ends = true;
    config.check_end_names = false;
    xml
}

/// Returns the name in the beginning of a tag.
fn name_in(tag: &str) -> &str {
    let name = tag.trim_start_matches(['<', '/']);
    let ends = |c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>');
    prefix(name.split(ends).next().unwrap_or_default(), MAX_TEXT)
}

/// Returns a name in lower case: some sites write `<Url><Loc>`, or all of it in upper case.
fn in_lower_case(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) { name.to_ascii_lowercase().into() } else { name.into() }
}

fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

/// Returns the kind of a file by its root element.
fn kind_of(root: &str) -> Result<SitemapKind, SitemapError> {
    let kinds = [
        ("urlset", SitemapKind::UrlSet),
        ("sitemapindex", SitemapKind::Index),
        ("rss", SitemapKind::Rss),
        ("RDF", SitemapKind::Rss),
        ("feed", SitemapKind::Atom),
    ];
    let known = kinds.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(root));
    known.map(|(_, kind)| kind).ok_or_else(|| SitemapError::NotASitemap { root: prefix(root, 64).into() })
}

/// Returns what an entry in this element refers to; `None` if the element is not an entry. Some indexes contain
/// `<url>`, and some sets `<sitemap>`.
fn entry_element(kind: SitemapKind, name: &str) -> Option<Target> {
    match (kind, name) {
        (SitemapKind::UrlSet | SitemapKind::Index, "url")
        | (SitemapKind::Rss, "item")
        | (SitemapKind::Atom, "entry") => Some(Target::Page),
        (SitemapKind::UrlSet | SitemapKind::Index, "sitemap") => Some(Target::Sitemap),
        _ => None,
    }
}
