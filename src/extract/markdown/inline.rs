//! Inline: the text of one paragraph, heading or cell while it is put together: words, emphasis, links, line breaks. Knows no
//! blocks.

use super::escape;
use crate::extract::walk::NodeId;

/// The most spans within one another: more than Markdown has, and more than anyone sees.
const MAX_SPANS: usize = 16;

/// What a span of text is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum SpanKind {
    Strong,
    Emphasis,
    Deleted,
    Link,
    /// An element of HTML for which Markdown has nothing, such as `<sup>`.
    Html,
}

/// A span of text that is open.
struct Span {
    node: NodeId,
    kind: SpanKind,
    open: String,
    close: String,
    /// Whether its beginning is written; it waits for the first word within.
    is_written: bool,
}

/// The text under construction.
pub(super) struct Inline {
    text: String,
    spans: Vec<Span>,
    /// Whether a space is to stand before the next word.
    gap: bool,
    /// How many line breaks are.
    breaks: usize,
    /// What a line break is written as.
    line_break: &'static str,
    /// The span that ended last, and where.
    last_closed: Option<(SpanKind, usize, usize)>,
}

impl Inline {
    /// What a line break in a paragraph is written as.
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

    /// Writes line breaks so from here on.
    pub fn break_lines_with(&mut self, line_break: &'static str) {
        self.line_break = line_break;
    }

    /// Adds text of the page: white space in it is collapsed, and what looks like markup escaped.
    pub fn text(&mut self, text: &str) {
        let in_link = self.spans.iter().any(|span| span.kind == SpanKind::Link);
        let mut escaped = String::with_capacity(text.len());
        escape::inline(text, in_link, &mut escaped);
        for (nth, word) in escaped.split(char::is_whitespace).enumerate() {
            self.gap |= nth > 0;
            if !word.is_empty() {
                self.begin_word();
                self.text.push_str(word);
            }
        }
    }

    /// Adds what is Markdown already, such as code or an image.
    pub fn raw(&mut self, markdown: &str) {
        self.begin_word();
        self.text.push_str(markdown);
    }

    /// Adds a space, if words stand before and after it.
    pub fn space(&mut self) {
        self.gap = true;
    }

    /// Adds a line break, if there is text before it.
    pub fn line_break(&mut self) {
        self.breaks += usize::from(!self.text.is_empty());
    }

    /// Adds a line break, unless there is one.
    pub fn fresh_line(&mut self) {
        self.breaks = self.breaks.max(usize::from(!self.text.is_empty()));
    }

    /// Begins a span. One of a kind that is open already is nothing.
    pub fn open(&mut self, node: NodeId, kind: SpanKind, open: impl Into<String>, close: impl Into<String>) {
        let is_new = kind == SpanKind::Html || self.spans.iter().all(|span| span.kind != kind);
        if is_new && self.spans.len() < MAX_SPANS {
            self.spans.push(Span { node, kind, open: open.into(), close: close.into(), is_written: false });
        }
    }

    /// Ends the span that began at this node, if there is one.
    pub fn close(&mut self, node: NodeId) {
        if let Some(span) = self.spans.pop_if(|span| span.node == node)
            && span.is_written
        {
            self.text.push_str(&span.close);
            self.last_closed = Some((span.kind, self.text.len(), span.close.len()));
        }
    }

    /// Returns the text, and begins anew within the same spans.
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
                // `**a****b**` would not be read as two.
                Some((kind, end, length))
                    if kind == span.kind
                        && end == self.text.len()
                        && !matches!(kind, SpanKind::Link | SpanKind::Html) =>
                {
                    self.text.truncate(end - length);
                }
                _ => {
                    // `!` before a link would make an image of it.
                    if span.kind == SpanKind::Link && self.text.ends_with('!') {
                        self.text.insert(self.text.len() - 1, '\\');
                    }
                    self.text.push_str(&span.open);
                }
            }
        }
    }
}
