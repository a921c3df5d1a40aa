//! Tag: a name and its attributes, each a slice of the page. Does not know the text between tags.

use std::borrow::Cow;

use memchr::{memchr, memchr3};

use super::{
    cursor::{MarkupCursor, is_space},
    normalised,
};

/// A start or end tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::extract) struct Tag<'a> {
    /// As spelled in the page; compare with [`Tag::is`].
    pub name: &'a str,
    /// Written as `<…/>`; significant within SVG and MathML only.
    pub self_closing: bool,
    attributes: &'a str,
}

impl<'a> Tag<'a> {
    /// Reads a tag, starting at its name. `None` if the page ends within it.
    #[inline]
    pub(super) fn read(page: &mut MarkupCursor<'a>) -> Option<Self> {
        let name = page.take_until(|byte| is_space(byte) || matches!(byte, b'/' | b'>'));
        if page.byte(0)? == b'>' {
            page.take(1);
            return Some(Tag { name, self_closing: false, attributes: "" });
        }
        let from = page.rest;
        let mut attributes = Attributes { tag: *page, end: None };
        while attributes.next().is_some() {}
        *page = attributes.tag;
        let inside = from.len().saturating_sub(page.rest.len());
        Some(Tag {
            name,
            self_closing: attributes.end? == TagEnd::SelfClosing,
            attributes: from.get(..inside).unwrap_or_default(),
        })
    }

    /// Tells whether this is a tag of the element `name`.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// Tells whether this is a tag of one of the elements `names`.
    pub fn is_one_of(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.is(name))
    }

    /// Iterates over the attributes as in the page; of two with the same name the first counts.
    pub fn attributes(&self) -> impl Iterator<Item = Attribute<'a>> + use<'a> {
        Attributes { tag: MarkupCursor { rest: self.attributes }, end: None }
    }

    /// Returns the value of the attribute `name`.
    pub fn attribute(&self, name: &str) -> Option<Cow<'a, str>> {
        let [value] = self.values([name]);
        value
    }

    /// Returns the values of the attributes `names`, in that order.
    pub fn values<const N: usize>(&self, names: [&str; N]) -> [Option<Cow<'a, str>>; N] {
        let mut values = [const { None }; N];
        for attribute in self.attributes() {
            for (name, value) in names.iter().zip(&mut values) {
                if value.is_none() && attribute.name.eq_ignore_ascii_case(name) {
                    *value = Some(attribute.value());
                }
            }
        }
        values
    }
}

/// An attribute of a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::extract) struct Attribute<'a> {
    /// As spelled in the page.
    pub name: &'a str,
    raw: &'a str,
}

impl<'a> Attribute<'a> {
    /// Returns the value with its character references resolved; empty if there is none.
    pub fn value(&self) -> Cow<'a, str> {
        if memchr3(b'&', b'\r', 0, self.raw.as_bytes()).is_none() {
            return Cow::Borrowed(self.raw);
        }
        htmlize::unescape_attribute(normalised(self.raw))
    }
}

/// Reads the rest of a tag including its `>`.
#[derive(Debug)]
struct Attributes<'a> {
    tag: MarkupCursor<'a>,
    /// How the tag ended; `None` before its end, and always if the page ends within it.
    end: Option<TagEnd>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TagEnd {
    Plain,
    SelfClosing,
}

impl<'a> Attributes<'a> {
    /// Reads the value after an attribute's `=`.
    fn value(&mut self) -> &'a str {
        self.tag.take_until(|byte| !is_space(byte));
        match self.tag.byte(0) {
            Some(quote @ (b'"' | b'\'')) => {
                self.tag.take(1);
                let value = self.tag.take(memchr(quote, self.tag.rest.as_bytes()).unwrap_or(self.tag.rest.len()));
                self.tag.take(1);
                value
            }
            _ => self.tag.take_until(|byte| is_space(byte) || byte == b'>'),
        }
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Attribute<'a>> {
        let between = self.tag.take_until(|byte| !is_space(byte) && byte != b'/');
        if self.tag.byte(0)? == b'>' {
            self.tag.take(1);
            self.end = Some(if between.ends_with('/') { TagEnd::SelfClosing } else { TagEnd::Plain });
            return None;
        }
        // A name may begin with "=": its first byte always belongs to it.
        let ends_name = |byte| is_space(byte) || matches!(byte, b'/' | b'>' | b'=');
        let after_first = self.tag.rest.bytes().skip(1).position(ends_name);
        let name = self.tag.take(after_first.map_or(self.tag.rest.len(), |at| at + 1));
        let space = self.tag.rest.bytes().take_while(|&byte| is_space(byte)).count();
        if self.tag.byte(space) != Some(b'=') {
            return Some(Attribute { name, raw: "" });
        }
        self.tag.take(space + 1);
        Some(Attribute { name, raw: self.value() })
    }
}
