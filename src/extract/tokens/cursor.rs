//! MarkupCursor: the unread part of a page. Knows ASCII and no markup.

use memchr::memchr;

/// The rest of a page or a tag. Stops at ASCII characters only, so never within a character.
#[derive(Clone, Copy, Debug)]
pub(super) struct MarkupCursor<'a> {
    pub rest: &'a str,
}

impl<'a> MarkupCursor<'a> {
    pub fn byte(&self, at: usize) -> Option<u8> {
        self.rest.as_bytes().get(at).copied()
    }

    pub fn take(&mut self, count: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(count).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    /// Takes everything before the first byte that is a `stop`, or all.
    pub fn take_until(&mut self, stop: impl Fn(u8) -> bool) -> &'a str {
        self.take(self.rest.bytes().position(stop).unwrap_or(self.rest.len()))
    }

    /// Takes everything including the next `>`, or all; returns what precedes it.
    pub fn take_past_bracket(&mut self) -> &'a str {
        let inside = self.take(memchr(b'>', self.rest.as_bytes()).unwrap_or(self.rest.len()));
        self.take(1);
        inside
    }
}

/// White space in tags: tab, line feed, form feed, carriage return, space.
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\t' | b'\r' | b'\x0c')
}
