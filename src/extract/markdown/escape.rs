//! Escape: escapes text that Markdown would interpret as markup (CommonMark 0.31, GFM), and nothing else, since
//! needless backslashes disturb readers.

/// Escapes a text within a paragraph. The text before and after it is unknown and assumed not to be empty.
pub(super) fn inline(text: &str, in_link: bool, into: &mut String) {
    if !text.bytes().any(|byte| matches!(byte, b'\\' | b'`' | b'*' | b'_' | b'~' | b'<' | b'&' | b'[' | b']')) {
        into.push_str(text);
        return;
    }
    let mut before = 'x';
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        let after = rest.clone().next();
        if needs_escape(before, character, after, rest.as_str(), in_link) {
            into.push('\\');
        }
        into.push(character);
        before = character;
    }
}

fn needs_escape(before: char, character: char, after: Option<char>, rest: &str, in_link: bool) -> bool {
    let is_space = |c: Option<char>| c.is_some_and(char::is_whitespace);
    match character {
        '`' => true,
        // A backslash escapes punctuation only.
        '\\' => after.is_none_or(|after| after.is_ascii_punctuation()),
        '*' => !(before.is_whitespace() && is_space(after)),
        // An underscore within a word is no markup.
        '_' => {
            let within = before.is_alphanumeric() && after.is_some_and(char::is_alphanumeric);
            !(within || before.is_whitespace() && is_space(after))
        }
        '~' => before == '~' || after == Some('~'),
        '<' => after.is_none_or(|after| after.is_ascii_alphabetic() || matches!(after, '/' | '!' | '?')),
        '&' => is_reference(rest),
        '[' => in_link,
        ']' => in_link || matches!(after, Some('(' | '[')),
        _ => false,
    }
}

/// Returns where to escape a text that becomes markup only by the word that follows at once, which is escaped itself:
/// the bracket in `[a]` before `(b)`, and the ampersand in `&` before `lt;`.
pub(super) fn seam(text: &str, word: &str) -> Option<usize> {
    let is_escaped = |at: usize| text.get(..at).is_some_and(|before| before.ends_with('\\'));
    let at = if text.ends_with(']') && word.starts_with(['(', '[']) {
        text.len() - 1
    } else {
        let near = text.len().saturating_sub(MAX_REFERENCE);
        let at = text.as_bytes().get(near..)?.iter().rposition(|byte| *byte == b'&')? + near;
        let rest = text.get(at + 1..)?;
        let follows: String = rest.chars().chain(word.chars().take(MAX_REFERENCE)).collect();
        (!is_reference(rest) && is_reference(&follows)).then_some(at)?
    };
    (!is_escaped(at)).then_some(at)
}

/// The longest character reference has 33 characters.
const MAX_REFERENCE: usize = 34;

/// Tells whether the text after an ampersand makes it a character reference.
fn is_reference(rest: &str) -> bool {
    let rest = rest.strip_prefix('#').unwrap_or(rest);
    let length = rest.bytes().take(MAX_REFERENCE).take_while(u8::is_ascii_alphanumeric).count();
    length > 0 && rest.as_bytes().get(length) == Some(&b';')
}

/// Returns where to escape a line that would begin a heading, a quotation, a list, a rule or a fence, or would define
/// what a reference leads to and so not be shown (CommonMark §4.7). `line` already includes its emphasis and links.
pub(super) fn line_start(line: &str) -> Option<usize> {
    let first = *line.as_bytes().first()?;
    let ends_at = |at: usize| line.as_bytes().get(at).is_none_or(|byte| *byte == b' ');
    let is_all_of = |byte: u8| line.bytes().all(|there| there == byte || there == b' ');
    match first {
        b'#' => {
            let length = line.bytes().take_while(|byte| *byte == b'#').count();
            (length <= 6 && ends_at(length)).then_some(0)
        }
        b'>' => Some(0),
        b'-' | b'+' => (ends_at(1) || (line.len() > 1 && is_all_of(b'-'))).then_some(0),
        b'=' => is_all_of(b'=').then_some(0),
        b'~' => line.starts_with("~~~").then_some(0),
        b'[' => is_definition(line).then_some(0),
        b'0'..=b'9' => {
            let length = line.bytes().take_while(u8::is_ascii_digit).count();
            let is_marker = matches!(line.as_bytes().get(length), Some(b'.' | b')'));
            (length <= 9 && is_marker && ends_at(length + 1)).then_some(length)
        }
        _ => None,
    }
}

/// Tells whether a line begins with a label in brackets and a colon. A label has no bracket that is not escaped.
fn is_definition(line: &str) -> bool {
    let mut escaped = false;
    let end = line.bytes().enumerate().skip(1).find(|(_, byte)| {
        let ends = !escaped && matches!(byte, b'[' | b']');
        escaped = *byte == b'\\' && !escaped;
        ends
    });
    end.is_some_and(|(at, _)| line.as_bytes().get(at..at + 2) == Some(b"]:"))
}

/// Writes text as inline code, with as many backticks as necessary.
pub(super) fn code(text: &str) -> String {
    let fence = "`".repeat(longest_run(text, '`') + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// Returns the length of the longest run of a character.
pub(super) fn longest_run(text: &str, character: char) -> usize {
    let mut longest = 0;
    let mut run = 0;
    for there in text.chars() {
        run = if there == character { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

/// Writes a URL so that parentheses in it do not end it.
pub(in crate::extract) fn destination(url: &str) -> String {
    let mut depth = 0_i32;
    let mut is_balanced = true;
    for byte in url.bytes() {
        depth += i32::from(byte == b'(') - i32::from(byte == b')');
        is_balanced &= depth >= 0;
    }
    if is_balanced && depth == 0 { url.to_owned() } else { url.replace('(', "%28").replace(')', "%29") }
}
