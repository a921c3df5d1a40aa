//! RobotsTxt: what one robots file says to one crawler (RFC 9309). Knows not where the file came from, nor how old it
//! is.

use std::{cmp::Reverse, fmt, mem::size_of, time::Duration};

use url::Url;

use super::{
    directives::{Directive, directives},
    pattern::{Pattern, Target},
};

/// The rules of a robots file for one product token.
///
/// Of the whole file only what concerns us is kept: the groups that name our token, merged, or where there is none
/// those for `*`. As in RFC 9309 §2.2.1 only `Allow` and `Disallow` end a list of user agents: other lines between
/// them, blank ones and `Crawl-delay` too, leave it open. Rules before any user agent hold for nobody.
#[derive(Debug, Clone)]
pub struct RobotsTxt {
    /// The most specific first, and of two that are equally specific the one that allows: the first that matches
    /// decides.
    rules: Vec<Rule>,
    group: Group,
    spacing: Option<Duration>,
    sitemaps: Vec<Url>,
}

/// One `Allow` or `Disallow`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pattern: Pattern,
    allows: bool,
    line: u32,
    written: Box<str>,
}

/// Which groups of a robots file hold for us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Group {
    /// Those that name our product token; here as the file has it.
    Named(Box<str>),
    /// Those for `*`, since none names us.
    Everyone,
    /// None.
    Nobody,
}

/// Whether a URL may be fetched, and why.
#[derive(Debug, Clone, Copy)]
pub struct Decision<'a> {
    group: &'a Group,
    why: Why<'a>,
}

/// What decided on a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why<'a> {
    /// This rule.
    Rule(&'a Rule),
    /// No rule matches, which allows.
    NoRule,
    /// It is the robots file itself, which may always be fetched (RFC 9309 §2.2.2).
    RobotsFile,
}

/// 500 KiB: the least that RFC 9309 §2.5 lets a crawler parse, and what Google's parses. The rest of a file is not
/// looked at, nor the line that the cut goes through.
pub const MAX_BYTES: usize = 500 * 1024;

/// The most different rules with stars that are read as such: each one looks through the whole URL, and 2,000 looks
/// through 2 KiB are what a decision may cost. Of more, which only a hostile file has, those that allow are passed over,
/// and those that disallow hold up to their first star: so nothing is fetched that the file does not allow.
const MAX_WITH_STARS: usize = 2_000;

impl RobotsTxt {
    /// Reads what `file` says to the crawler whose product token is `token`. Every file can be read: lines that mean
    /// nothing are passed over.
    ///
    /// ```
    /// use actix_crawler::robots::RobotsTxt;
    ///
    /// let robots = RobotsTxt::parse(b"User-agent: *\nDisallow: /private\nAllow: /private/*.html$", "quotesbot");
    /// let decide = |url: &str| robots.decide(&url.parse().unwrap()).to_string();
    /// assert_eq!(decide("https://e.org/private/a"), "disallowed by line 2, `Disallow: /private`, of the group for `*`");
    /// assert_eq!(decide("https://e.org/"), "allowed: no rule of the group for `*` matches");
    /// ```
    pub fn parse(file: &[u8], token: &str) -> Self {
        let (mut ours, mut everyones) = (Section::default(), Section::default());
        let mut named = None;
        let mut sitemaps = Vec::new();
        let mut is_listing_agents = false;
        for (number, text, line) in directives(within_bounds(file)) {
            match line {
                Directive::UserAgent(agent) => {
                    if !is_listing_agents {
                        (ours.is_open, everyones.is_open) = (false, false);
                    }
                    is_listing_agents = true;
                    if agent == b"*" {
                        everyones.open();
                    } else if !agent.is_empty() && agent.eq_ignore_ascii_case(token.as_bytes()) {
                        ours.open();
                        named.get_or_insert_with(|| String::from_utf8_lossy(agent).into());
                    }
                }
                Directive::Allow(path) | Directive::Disallow(path) => {
                    is_listing_agents = false;
                    let rule = |allows| Rule::new(path, allows, number, text);
                    for section in [&mut ours, &mut everyones].into_iter().filter(|section| section.is_open) {
                        section.rules.extend(rule(matches!(line, Directive::Allow(_))));
                    }
                }
                Directive::Spacing(spacing) => {
                    for section in [&mut ours, &mut everyones].into_iter().filter(|section| section.is_open) {
                        section.spacing = section.spacing.max(Some(spacing));
                    }
                }
                Directive::Sitemap(url) => sitemaps.push(url),
            }
        }
        let (group, section) = match named {
            Some(agent) => (Group::Named(agent), ours),
            None if everyones.is_there => (Group::Everyone, everyones),
            None => (Group::Nobody, Section::default()),
        };
        let Section { rules, spacing, .. } = section;
        let rules = ranked(rules);
        Self { rules, group, spacing, sitemaps }
    }

    /// Decides whether a URL may be fetched: by the rule that matches its path and query and is the longest, and of
    /// two that are equally long by the one that allows. Takes time linear in the rules and in the URL.
    pub fn decide(&self, url: &Url) -> Decision<'_> {
        let why = if is_robots_file(url) {
            Why::RobotsFile
        } else {
            let target = Target::of(url);
            self.rules.iter().find(|rule| rule.pattern.matches(&target)).map_or(Why::NoRule, Why::Rule)
        };
        Decision { group: &self.group, why }
    }

    /// Returns the least time between two starts that our group asks for: the strictest of its `Crawl-delay` and
    /// `Request-rate` lines.
    pub fn spacing(&self) -> Option<Duration> {
        self.spacing
    }

    /// Returns the sitemaps that the file names, whomever its groups are for.
    pub fn sitemaps(&self) -> &[Url] {
        &self.sitemaps
    }

    /// Returns which groups of the file hold for us.
    pub fn group(&self) -> &Group {
        &self.group
    }

    /// Returns about how many bytes of memory this takes.
    pub(crate) fn weight(&self) -> usize {
        // Each piece on the heap costs the allocator some 16 bytes of its own.
        let of_rule = |rule: &Rule| size_of::<Rule>() + rule.pattern.specificity() + rule.written.len() + 32;
        let of_sitemap = |url: &Url| size_of::<Url>() + url.as_str().len() + 16;
        let rules: usize = self.rules.iter().map(of_rule).sum();
        let sitemaps: usize = self.sitemaps.iter().map(of_sitemap).sum();
        size_of::<Self>() + rules + sitemaps
    }
}

/// Tells whether a URL is that of its origin's robots file.
pub fn is_robots_file(url: &Url) -> bool {
    url.path() == "/robots.txt" && url.query().is_none()
}

/// What the groups for one agent say, merged.
#[derive(Default)]
struct Section {
    rules: Vec<Rule>,
    spacing: Option<Duration>,
    is_open: bool,
    is_there: bool,
}

impl Section {
    fn open(&mut self) {
        self.is_open = true;
        self.is_there = true;
    }
}

/// Cuts a file that is too long behind the last line that is whole.
fn within_bounds(file: &[u8]) -> &[u8] {
    match file.get(..MAX_BYTES) {
        Some(head) if file.len() > MAX_BYTES => {
            let end = memchr::memrchr2(b'\r', b'\n', head).unwrap_or(0);
            head.get(..end).unwrap_or_default()
        }
        _ => file,
    }
}

/// Brings rules into the order in which the first that matches decides. Of equal ones the first in the file stays.
fn ranked(mut rules: Vec<Rule>) -> Vec<Rule> {
    let rank = |rule: &Rule| (Reverse(rule.pattern.specificity()), !rule.allows);
    rules.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| (&a.pattern, a.line).cmp(&(&b.pattern, b.line))));
    rules.dedup_by(|a, b| a.pattern == b.pattern && a.allows == b.allows);
    let with_stars = rules.iter().filter(|rule| rule.pattern.has_stars()).count();
    if with_stars > MAX_WITH_STARS {
        rules.retain(|rule| !rule.allows || !rule.pattern.has_stars());
        rules = rules.into_iter().map(|rule| Rule { pattern: rule.pattern.up_to_first_star(), ..rule }).collect();
    }
    rules.shrink_to_fit();
    rules
}

impl Rule {
    /// `None` where the path cannot match anything: paths begin with a slash, which a star can stand for. An empty one
    /// says nothing.
    fn new(path: &[u8], allows: bool, line: u32, text: &[u8]) -> Option<Self> {
        let can_match = matches!(path.first(), Some(b'/' | b'*'));
        let written = || String::from_utf8_lossy(text).into();
        can_match.then(|| Self { pattern: Pattern::new(path), allows, line, written: written() })
    }

    /// Tells whether the rule allows or disallows.
    pub fn allows(&self) -> bool {
        self.allows
    }

    /// Returns the number of its line, counted from 1.
    pub fn line(&self) -> u32 {
        self.line
    }

    /// Returns its line as the file has it, without a comment.
    pub fn written(&self) -> &str {
        &self.written
    }
}

impl<'a> Decision<'a> {
    /// Tells whether the URL may be fetched.
    pub fn is_allowed(&self) -> bool {
        match self.why {
            Why::Rule(rule) => rule.allows,
            Why::NoRule | Why::RobotsFile => true,
        }
    }

    /// Returns what decided.
    pub fn why(&self) -> Why<'a> {
        self.why
    }

    /// Returns which groups of the file were asked.
    pub fn group(&self) -> &'a Group {
        self.group
    }
}

impl fmt::Display for Decision<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.why, self.group) {
            (Why::RobotsFile, _) => f.write_str("allowed: a robots file may always be fetched"),
            (Why::NoRule, Group::Nobody) => f.write_str("allowed: no group is for us, nor for `*`"),
            (Why::NoRule, group) => write!(f, "allowed: no rule of {group} matches"),
            (Why::Rule(rule), group) => {
                let verb = if rule.allows { "allowed" } else { "disallowed" };
                write!(f, "{verb} by line {}, `{}`, of {group}", rule.line, rule.written)
            }
        }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(agent) => write!(f, "the group for `{agent}`"),
            Self::Everyone => f.write_str("the group for `*`"),
            Self::Nobody => f.write_str("no group"),
        }
    }
}

#[cfg(test)]
mod tests;
