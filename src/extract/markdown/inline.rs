//! Inline: builds the text of one paragraph, heading or cell: words, emphasis, links, line breaks. Knows no blocks.

use super::escape;
use crate::extract::walk::NodeId;

/// The most nested spans: more than Markdown can express.
const MAX_SPANS: usize = 16;

/// The kind of a span of text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum SpanKind {
    Strong,
    Emphasis,
    Deleted,
    Link,
    /// An HTML element without an equivalent in Markdown, such as `<sup>`.
    Html,
}

/// An open span of text.
struct OpenSpan {
    node: NodeId,
    kind: SpanKind,
    open: String,
    close: String,
    /// Whether its opening markup is written, which waits for the first word within.
    is_written: bool,
}

/// The text being built.
pub(super) struct Inline {
    text: String,
    spans: Vec<OpenSpan>,
    /// Whether a space comes before the next word.
    gap: bool,
    /// The number of pending line breaks.
    breaks: usize,
    /// How a line break is written.
    line_break: &'static str,
    /// The last span that ended, and its position.
    last_closed: Option<(SpanKind, usize, usize)>,
}

impl Inline {
    /// How a line break in a paragraph is written.
    pub const HARD_BREAK: &'static str = "  \n";

    pub fn new() -> Self {
        Self {
            text: String::new(),
            spans: Vec::new(),
            gap: false,
            breaks: 0,
            line_break: Self::HARD_BREAK,
            last_closed: None,
        }
    }

    pub fn length(&self) -> usize {
        self.text.len()
    }

    /// Sets how line breaks are written.
    pub fn break_lines_with(&mut self, line_break: &'static str) {
        self.line_break = line_break;
    }

    /// Adds text of the page: collapses white space and escapes markup.
    pub fn text(&mut self, text: &str) {
        let in_link = self.spans.iter().any(|span| span.kind == SpanKind::Link);
        let mut escaped = String::with_capacity(text.len());
        escape::inline(text, in_link, &mut escaped);
        for (nth, word) in escaped.split(char::is_whitespace).enumerate() {
            self.gap |= nth > 0;
            if !word.is_empty() {
                let end = self.text.len();
                self.begin_word();
                // Elements that are not written, such as `<span>`, divide a text.
                if self.text.len() == end
                    && let Some(at) = escape::seam(&self.text, word)
                {
                    self.text.insert(at, '\\');
                }
                self.text.push_str(word);
            }
        }
    }

    /// Adds Markdown unchanged, such as code or an image.
    pub fn raw(&mut self, markdown: &str) {
        self.begin_word();
        self.text.push_str(markdown);
    }

    /// Adds a space, if it is between words.
    pub fn space(&mut self) {
        self.gap = true;
    }

    /// Adds a line break, if there is text before it.
    pub fn line_break(&mut self) {
        self.breaks += usize::from(!self.text.is_empty());
    }

    /// Adds a line break, unless there is one already.
    pub fn fresh_line(&mut self) {
        self.breaks = self.breaks.max(usize::from(!self.text.is_empty()));
    }

    /// Begins a span, unless one of its kind is open.
    pub fn open(&mut self, node: NodeId, kind: SpanKind, open: impl Into<String>, close: impl Into<String>) {
        if self.has_room_for(kind) {
            self.spans.push(OpenSpan { node, kind, open: open.into(), close: close.into(), is_written: false });
        }
    }

    /// Tells whether a span of this kind can begin here.
    pub fn has_room_for(&self, kind: SpanKind) -> bool {
        let is_new = kind == SpanKind::Html || self.spans.iter().all(|span| span.kind != kind);
        is_new && self.spans.len() < MAX_SPANS
    }

    /// Ends the span that began at this node, if any.
    pub fn close(&mut self, node: NodeId) {
        if let Some(span) = self.spans.pop_if(|span| span.node == node)
            && span.is_written
        {
            self.text.push_str(&span.close);
            self.last_closed = Some((span.kind, self.text.len(), span.close.len()));
        }
    }

    /// Returns the text, and starts a new one within the same spans.
    pub fn take(&mut self) -> String {
        for span in self.spans.iter_mut().rev().filter(|span| span.is_written) {
            span.is_written = false;
            self.text.push_str(&span.close);
        }
        self.gap = false;
        self.breaks = 0;
        self.last_closed = None;
        std::mem::take(&mut self.text)
    }

    fn begin_word(&mut self) {
        if !self.text.is_empty() {
            match (self.breaks, self.gap) {
                (0, false) => {}
                (0, true) => self.text.push(' '),
                _ => self.text.push_str(self.line_break),
            }
        }
        self.gap = false;
        self.breaks = 0;
        for span in self.spans.iter_mut().filter(|span| !span.is_written) {
            span.is_written = true;
            match self.last_closed {
                // `**a****b**` would not be parsed as two spans.
                Some((kind, end, length))
                    if kind == span.kind
                        && end == self.text.len()
                        && !matches!(kind, SpanKind::Link | SpanKind::Html) =>
                {
                    self.text.truncate(end - length);
                }
                _ => {
                    // `!` before a link would turn it into an image.
                    if span.kind == SpanKind::Link && self.text.ends_with('!') {
                        self.text.insert(self.text.len() - 1, '\\');
                    }
                    self.text.push_str(&span.open);
                }
            }
        }
    }
}
