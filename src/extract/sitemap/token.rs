//! Token: the kinds of text and markup in XML, and where each ends. Used for those that are too long to be read as a
//! whole.

use memchr::{memchr, memchr3_iter};

/// What a piece of XML is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    Text,
    Cdata,
    Comment,
    /// `<?…?>`
    Instruction,
    /// `<!DOCTYPE …>`
    Declaration,
    Start,
    End,
}

impl TokenKind {
    /// Returns the kind of what begins like this.
    pub fn of(beginning: &str) -> Self {
        let kinds = [
            ("<![CDATA[", Self::Cdata),
            ("<!--", Self::Comment),
            ("<!", Self::Declaration),
            ("<?", Self::Instruction),
            ("</", Self::End),
            ("<", Self::Start),
        ];
        kinds.into_iter().find(|(start, _)| beginning.starts_with(start)).map_or(Self::Text, |(_, kind)| kind)
    }

    /// Returns what ends it; a text ends before the next markup.
    fn terminator(self) -> &'static [u8] {
        match self {
            Self::Cdata => b"]]>",
            Self::Comment => b"-->",
            Self::Instruction => b"?>",
            Self::Text | Self::Declaration | Self::Start | Self::End => b"",
        }
    }
}

/// How a tag ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SkipEnd {
    Plain,
    SelfClosing,
}

/// The search for the end of a token, piece by piece.
pub(super) struct Rest {
    kind: TokenKind,
    /// The last bytes, since what ends it may lie across two pieces.
    last: Vec<u8>,
    /// Of a tag, the quote that is open: a bracket in a value does not end it.
    quote: Option<u8>,
}

impl Rest {
    /// Begins after what was read of the token.
    pub fn of(beginning: &[u8], kind: TokenKind) -> Self {
        let mut rest = Self { kind, last: Vec::new(), quote: None };
        match kind {
            TokenKind::Start | TokenKind::End => rest.quote = end_of_tag(beginning, None).err().flatten(),
            _ => {}
        }
        rest.keep(beginning);
        rest
    }

    /// Returns where the token ends in the next piece; `None` if it does not.
    pub fn find_end(&mut self, piece: &[u8]) -> Option<usize> {
        let end = match self.kind {
            TokenKind::Text => memchr(b'<', piece),
            TokenKind::Declaration => memchr(b'>', piece).map(|at| at + 1),
            TokenKind::Start | TokenKind::End => match end_of_tag(piece, self.quote) {
                Ok(at) => Some(at + 1),
                Err(quote) => {
                    self.quote = quote;
                    None
                }
            },
            kind => self.find_terminator(piece, kind.terminator()),
        };
        self.keep(piece.get(..end.map_or(piece.len(), |end| end.saturating_sub(1))).unwrap_or_default());
        end
    }

    /// Returns how the tag ended.
    pub fn end(&self) -> SkipEnd {
        if self.last.last() == Some(&b'/') { SkipEnd::SelfClosing } else { SkipEnd::Plain }
    }

    fn find_terminator(&self, piece: &[u8], terminator: &[u8]) -> Option<usize> {
        for at in memchr::memchr_iter(b'>', piece) {
            let end = at + 1;
            let before = piece.get(..end)?;
            let missing = terminator.len().saturating_sub(end);
            let ends_here = match before.len().checked_sub(terminator.len()) {
                Some(from) => before.get(from..) == Some(terminator),
                None => {
                    terminator.ends_with(before) && self.last.ends_with(terminator.get(..missing).unwrap_or_default())
                }
            };
            if ends_here {
                return Some(end);
            }
        }
        None
    }

    fn keep(&mut self, piece: &[u8]) {
        const KEPT: usize = 2;
        self.last.extend_from_slice(piece.get(piece.len().saturating_sub(KEPT)..).unwrap_or_default());
        let surplus = self.last.len().saturating_sub(KEPT);
        self.last.drain(..surplus);
    }
}

/// Returns where the bracket is that ends a tag, or the quote that is open at the end of the piece.
fn end_of_tag(piece: &[u8], mut quote: Option<u8>) -> Result<usize, Option<u8>> {
    for at in memchr3_iter(b'"', b'\'', b'>', piece) {
        let byte = piece.get(at).copied();
        match quote {
            None if byte == Some(b'>') => return Ok(at),
            None => quote = byte,
            Some(_) if byte == quote => quote = None,
            Some(_) => {}
        }
    }
    Err(quote)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_ends_where_it_would_if_it_were_read_whole() {
        for (token, rest) in [
            ("text &amp; more", "<a>"),
            ("<![CDATA[ <a> ]] > ]>]]>", "]]><a>"),
            ("<!-- <a> -- > ->-->", "--><a>"),
            ("<?xml <a> ? >?>", "?><a>"),
            ("<a href='>' title=\"'>\" >", "x>"),
            ("<a b=\"/>\"/>", "x>"),
            ("</a >", "x>"),
        ] {
            let kind = TokenKind::of(token);
            let whole = format!("{token}{rest}");
            for read in 2..token.len() {
                for length in 1..4 {
                    let mut search = Rest::of(&token.as_bytes()[..read], kind);
                    let mut at = read;
                    let end = whole.as_bytes()[read..].chunks(length).find_map(|piece| {
                        let end = search.find_end(piece).map(|end| at + end);
                        at += piece.len();
                        end
                    });
                    assert_eq!(end, Some(token.len()), "{token} read {read} by {length}");
                    assert_eq!(search.end() == SkipEnd::SelfClosing, token.ends_with("/>"), "{token} {read} {length}");
                }
            }
        }
    }
}
