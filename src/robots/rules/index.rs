//! Index: the rules of one file in a small and fast structure. Knows patterns; no groups and no lines of a file.
//!
//! Most rules are plain path prefixes. They are sorted, and a binary search finds the longest prefix of a URL. Starred
//! rules are tried one by one, the most specific first; a rule is skipped if its rarest octet pairs do not occur in the
//! URL.

use std::{borrow::Cow, cmp::Reverse, mem::size_of};

use memchr::memmem;

use crate::robots::pattern::{CanonicalPath, MatchSteps, PathPattern};

/// The most steps for all starred rules to decide on one URL: 100 ms or less. Enough for every file of 500 KiB and a
/// URL of 2 KiB, since such a file has at most 55,000 rules.
pub(super) const MAX_STEPS: usize = 1 << 27;

/// With fewer starred rules, collecting the pairs of the URL costs more than it saves.
const FEW: usize = 8;

/// A rule of the file.
#[derive(Clone, Copy)]
pub(super) struct WrittenRule<'a> {
    /// Its path.
    pub path: &'a [u8],
    /// Whether it allows.
    pub allows: bool,
    /// Its line number.
    pub line: u32,
    /// Its line without comment.
    pub text: &'a [u8],
}

/// One `Allow` or `Disallow`.
///
/// ```
/// use actix_crawler::robots::{RobotsTxt, Why};
///
/// let robots = RobotsTxt::parse(b"User-agent: *\nDisallow: /private # please", "quotesbot");
/// let Why::Rule(rule) = robots.decide(&"https://e.org/private/a".parse()?).why() else { panic!("a rule matches") };
/// assert_eq!((rule.allows(), rule.line(), rule.written()), (false, 2, "Disallow: /private"));
/// # Ok::<(), url::ParseError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule<'a> {
    allows: bool,
    line: u32,
    written: &'a str,
}

impl<'a> Rule<'a> {
    /// Tells whether the rule allows or disallows.
    pub fn allows(&self) -> bool {
        self.allows
    }

    /// Returns its line number, counted from 1.
    pub fn line(&self) -> u32 {
        self.line
    }

    /// Returns its line in the file, without comment.
    pub fn written(&self) -> &'a str {
        self.written
    }
}

/// Matching exceeded [`MAX_STEPS`].
#[derive(Debug, Clone, Copy)]
pub(super) struct TooCostly;

/// The rules of a file that apply to us.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    /// The lines of all rules, and the patterns that are not part of their line.
    text: Box<str>,
    /// Rules without stars that end in `$`, sorted by octets.
    exact: Box<[RuleEntry]>,
    /// Rules without stars, sorted by octets.
    prefixes: Box<[Prefix]>,
    /// Starred rules, the most specific first; of equally specific ones, those that allow first.
    starred: Box<[Starred]>,
}

#[derive(Debug, Clone, Copy)]
struct RuleEntry {
    pattern: TextRange,
    written: TextRange,
    line: u32,
    allows: bool,
    is_anchored: bool,
}

/// A range in the text. The text for 500 KiB of rules is shorter than 2^32 bytes.
#[derive(Debug, Clone, Copy)]
struct TextRange {
    from: u32,
    length: u32,
}

#[derive(Debug, Clone, Copy)]
struct Prefix {
    entry: RuleEntry,
    /// The index of the longest other rule that is a prefix of this one; [`NONE`] if there is none.
    parent: u32,
}

const NONE: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
struct Starred {
    entry: RuleEntry,
    /// Octet pairs that occur in every matching URL.
    pairs: [Pair; 2],
}

/// Two consecutive octets; [`NO_PAIR`] if a pattern has none, since canonical octets contain no NUL.
type Pair = u16;

const NO_PAIR: Pair = 0;

/// A rule while the index is being built.
struct RuleDraft<'a> {
    pattern: PathPattern<'a>,
    rule: WrittenRule<'a>,
}

impl Index {
    /// Indexes rules. Of equal ones the first in the file is kept.
    pub fn new(rules: &[WrittenRule<'_>]) -> Self {
        let mut drafts: Vec<_> = rules.iter().filter_map(RuleDraft::new).collect();
        let rank = |draft: &RuleDraft<'_>| (Reverse(draft.pattern.specificity()), !draft.rule.allows);
        drafts.sort_by(|a, b| {
            (a.pattern.has_stars(), &a.pattern.octets, a.pattern.is_anchored, !a.rule.allows, a.rule.line).cmp(&(
                b.pattern.has_stars(),
                &b.pattern.octets,
                b.pattern.is_anchored,
                !b.rule.allows,
                b.rule.line,
            ))
        });
        // Of two plain rules with the same pattern, the one that allows wins.
        drafts.dedup_by(|a, b| a.pattern == b.pattern && (a.rule.allows == b.rule.allows || !a.pattern.has_stars()));
        let mut starred = drafts.split_off(drafts.partition_point(|draft| !draft.pattern.has_stars()));
        starred.sort_by_key(rank);
        let mut text = String::new();
        let (mut exact, mut prefixes) = (Vec::new(), Vec::new());
        for draft in &drafts {
            let entry = draft.keep(&mut text);
            if entry.is_anchored { exact.push(entry) } else { prefixes.push(Prefix { entry, parent: NONE }) }
        }
        let starred: Vec<_> = starred
            .iter()
            .map(|draft| Starred { entry: draft.keep(&mut text), pairs: rare_pairs(&draft.pattern.octets) })
            .collect();
        let mut index =
            Self { text: text.into(), exact: exact.into(), prefixes: prefixes.into(), starred: starred.into() };
        index.link_prefixes();
        index
    }

    /// Returns the rule that decides on a URL: the most specific one that matches; of two equally specific ones, the
    /// one that allows.
    ///
    /// # Errors
    /// Finding out whether a deciding starred rule matches would take too long.
    pub fn find(&self, target: &CanonicalPath) -> Result<Option<Rule<'_>>, TooCostly> {
        let plain = target.forms().filter_map(|octets| self.plain(octets)).max_by_key(|entry| entry.rank());
        let mut pairs = None;
        let mut steps = MatchSteps::new(MAX_STEPS);
        for starred in &self.starred {
            if plain.is_some_and(|plain| plain.rank() >= starred.entry.rank()) {
                break;
            }
            if self.starred.len() > FEW && !pairs.get_or_insert_with(|| Pairs::of(target)).contain(starred.pairs) {
                continue;
            }
            if self.pattern(&starred.entry).matches(target, &mut steps) {
                return Ok(Some(self.rule(&starred.entry)));
            }
            if steps.are_spent() {
                return Err(TooCostly);
            }
        }
        Ok(plain.map(|entry| self.rule(entry)))
    }

    /// Tells whether there are no rules.
    pub fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.prefixes.is_empty() && self.starred.is_empty()
    }

    /// Returns the approximate heap size.
    pub fn weight(&self) -> usize {
        self.text.len()
            + self.exact.len() * size_of::<RuleEntry>()
            + self.prefixes.len() * size_of::<Prefix>()
            + self.starred.len() * size_of::<Starred>()
    }

    /// Returns the most specific rule without stars that matches.
    fn plain(&self, target: &[u8]) -> Option<&RuleEntry> {
        let exact = self.exact.binary_search_by(|entry| self.octets(entry).cmp(target)).ok();
        exact.and_then(|at| self.exact.get(at)).or_else(|| self.longest_prefix(target))
    }

    /// Every rule that is a prefix of the target is also a prefix of the last rule sorted before or at the target. So
    /// the longest is that rule or one of its parents.
    fn longest_prefix(&self, target: &[u8]) -> Option<&RuleEntry> {
        let behind = self.prefixes.partition_point(|prefix| self.octets(&prefix.entry) <= target);
        let mut prefix = self.prefixes.get(behind.checked_sub(1)?)?;
        let common = self.octets(&prefix.entry).iter().zip(target).take_while(|(ours, theirs)| ours == theirs).count();
        while prefix.entry.pattern.length as usize > common {
            prefix = self.prefixes.get(prefix.parent as usize)?;
        }
        Some(&prefix.entry)
    }

    /// Sets the parent of each prefix. The prefixes of a rule are sorted before it; those that can still be prefixes of
    /// later rules are on a stack.
    fn link_prefixes(&mut self) {
        let mut open: Vec<usize> = Vec::new();
        let mut prefixes = std::mem::take(&mut self.prefixes);
        for at in 0..prefixes.len() {
            let Some(octets) = prefixes.get(at).map(|prefix| self.octets(&prefix.entry)) else { break };
            let begins_with =
                |open: usize| prefixes.get(open).is_some_and(|prefix| octets.starts_with(self.octets(&prefix.entry)));
            while open.last().is_some_and(|&last| !begins_with(last)) {
                open.pop();
            }
            let parent = open.last().and_then(|&last| u32::try_from(last).ok()).unwrap_or(NONE);
            if let Some(prefix) = prefixes.get_mut(at) {
                prefix.parent = parent;
            }
            open.push(at);
        }
        self.prefixes = prefixes;
    }

    fn octets(&self, entry: &RuleEntry) -> &[u8] {
        self.at(entry.pattern).as_bytes()
    }

    fn pattern(&self, entry: &RuleEntry) -> PathPattern<'_> {
        PathPattern { octets: Cow::Borrowed(self.octets(entry)), is_anchored: entry.is_anchored }
    }

    fn rule(&self, entry: &RuleEntry) -> Rule<'_> {
        Rule { allows: entry.allows, line: entry.line, written: self.at(entry.written) }
    }

    fn at(&self, span: TextRange) -> &str {
        let from = span.from as usize;
        self.text.get(from..from + span.length as usize).unwrap_or_default()
    }
}

impl RuleEntry {
    fn rank(&self) -> (u32, bool) {
        (self.pattern.length + u32::from(self.is_anchored), self.allows)
    }
}

impl<'a> RuleDraft<'a> {
    /// `None` if the path cannot match anything: paths begin with a slash, which a star may match. An empty path has no
    /// meaning.
    fn new(rule: &WrittenRule<'a>) -> Option<Self> {
        let can_match = matches!(rule.path.first(), Some(b'/' | b'*'));
        can_match.then(|| Self { pattern: PathPattern::new(rule.path), rule: *rule })
    }

    /// Stores the rule in the text. Its pattern is nearly always part of its line.
    fn keep(&self, text: &mut String) -> RuleEntry {
        let written = push(text, &String::from_utf8_lossy(self.rule.text));
        let line = text.get(written.from as usize..).unwrap_or_default();
        let pattern = match memmem::find(line.as_bytes(), &self.pattern.octets) {
            Some(at) => TextRange { from: written.from + length(at), length: length(self.pattern.octets.len()) },
            None => push(text, &String::from_utf8_lossy(&self.pattern.octets)),
        };
        let WrittenRule { line, allows, .. } = self.rule;
        RuleEntry { pattern, written, line, allows, is_anchored: self.pattern.is_anchored }
    }
}

fn push(text: &mut String, piece: &str) -> TextRange {
    let from = length(text.len());
    text.push_str(piece);
    TextRange { from, length: length(piece.len()) }
}

/// The text for a file of 500 KiB is shorter than 2^32 bytes.
fn length(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// The octet pairs of a URL, one bit for each possible pair.
struct Pairs(Box<[u64; 1 << 10]>);

impl Pairs {
    fn of(target: &CanonicalPath) -> Self {
        let mut pairs = Self(Box::new([0; 1 << 10]));
        for octets in target.forms() {
            for pair in octets.windows(2).filter_map(pair_of) {
                if let Some(word) = pairs.0.get_mut(usize::from(pair >> 6)) {
                    *word |= 1 << (pair & 63);
                }
            }
        }
        pairs
    }

    fn contain(&self, pairs: [Pair; 2]) -> bool {
        let has = |pair: Pair| self.0.get(usize::from(pair >> 6)).is_some_and(|word| word >> (pair & 63) & 1 == 1);
        pairs.into_iter().all(|pair| pair == NO_PAIR || has(pair))
    }
}

fn pair_of(octets: &[u8]) -> Option<Pair> {
    Some(Pair::from_be_bytes(octets.try_into().ok()?))
}

/// Returns the two pairs of a pattern that are probably the rarest in URLs.
fn rare_pairs(pattern: &[u8]) -> [Pair; 2] {
    let pieces = pattern.split(|octet| *octet == b'*');
    let pairs = pieces.flat_map(|piece| piece.windows(2)).filter_map(pair_of);
    let mut rarest = [NO_PAIR; 2];
    for pair in pairs {
        let commonness = |pair: Pair| match pair {
            NO_PAIR => u8::MAX,
            pair => pair.to_be_bytes().into_iter().map(commonness).sum(),
        };
        let [first, second] = &mut rarest;
        if pair == *first || pair == *second {
            continue;
        }
        if commonness(pair) < commonness(*first) {
            (*first, *second) = (pair, *first);
        } else if commonness(pair) < commonness(*second) {
            *second = pair;
        }
    }
    rarest
}

/// Estimates how common an octet is in URLs.
fn commonness(octet: u8) -> u8 {
    match octet {
        b'/' => 9,
        b'a' | b'e' | b'i' | b'n' | b'o' | b'r' | b's' | b't' => 8,
        b'a'..=b'z' => 6,
        b'-' | b'.' | b'0'..=b'9' => 5,
        b'%' | b'=' | b'_' => 4,
        b'A'..=b'Z' => 3,
        _ => 2,
    }
}
