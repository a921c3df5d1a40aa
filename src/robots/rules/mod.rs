//! RobotsTxt: the rules of one robots file for one crawler (RFC 9309). Does not know the file's origin or age.

mod index;

use std::{fmt, mem::size_of, time::Duration};

use url::Url;

pub use self::index::Rule;
use self::index::{Index, MAX_STEPS, TooCostly, WrittenRule};
use super::{
    directives::{Directive, directives},
    pattern::CanonicalPath,
};

/// The rules of a robots file for one product token.
///
/// Only the groups that apply are kept: those that name the token, merged, or else those for `*`. As in RFC 9309 §2.2.1
/// only `Allow` and `Disallow` end a list of user agents; other lines between them, including blank ones, do not. Rules
/// before the first user agent apply to no one. A `Crawl-delay` or `Request-rate`, which the RFC does not define,
/// applies to the agents directly above it, as in protego, reppy and crawler-commons.
///
/// A file with a few rules takes a few hundred bytes.
///
/// ```
/// use std::time::Duration;
///
/// use actix_crawler::robots::RobotsTxt;
///
/// let robots = RobotsTxt::parse(b"User-agent: *\nDisallow: /private\nCrawl-delay: 2", "quotesbot");
/// assert!(!robots.decide(&"https://e.org/private/a".parse()?).is_allowed());
/// assert_eq!(robots.spacing(), Some(Duration::from_secs(2)));
/// # Ok::<(), url::ParseError>(())
/// ```
#[derive(Debug, Clone)]
pub struct RobotsTxt {
    rules: Index,
    group: Group,
    spacing: Option<Duration>,
    /// One URL a line.
    sitemaps: Box<str>,
}

/// The groups of a robots file that apply to us.
///
/// ```
/// use actix_crawler::robots::{Group, RobotsTxt};
///
/// let file = b"User-agent: QuotesBot\nDisallow: /a\n\nUser-agent: *\nDisallow: /b";
/// assert_eq!(RobotsTxt::parse(file, "quotesbot").group(), &Group::Named("QuotesBot".into()));
/// assert_eq!(RobotsTxt::parse(file, "another").group(), &Group::Everyone);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Group {
    /// Those that name our product token, spelled as in the file.
    Named(Box<str>),
    /// Those for `*`, since none names us.
    Everyone,
    /// None.
    Nobody,
}

/// Whether a URL may be fetched, and why.
///
/// ```
/// use actix_crawler::robots::RobotsTxt;
///
/// let robots = RobotsTxt::parse(b"User-agent: *\nDisallow: /private", "quotesbot");
/// let url = "https://e.org/private/a".parse()?;
/// let decision = robots.decide(&url);
/// assert_eq!(decision.to_string(), "disallowed by line 2, `Disallow: /private`, of the group for `*`");
/// # Ok::<(), url::ParseError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct RobotsDecision<'a> {
    group: &'a Group,
    why: Why<'a>,
}

/// What decided on a URL.
///
/// ```
/// use actix_crawler::robots::{RobotsTxt, Why};
///
/// let robots = RobotsTxt::parse(b"User-agent: *\nDisallow: /", "quotesbot");
/// assert_eq!(robots.decide(&"https://e.org/robots.txt".parse()?).why(), Why::RobotsFile);
/// assert!(matches!(robots.decide(&"https://e.org/".parse()?).why(), Why::Rule(_)));
/// # Ok::<(), url::ParseError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why<'a> {
    /// This rule.
    Rule(Rule<'a>),
    /// No rule matches, which allows the URL.
    NoRule,
    /// There are so many starred rules, and the URL is so long, that matching would take too long. This disallows the
    /// URL, since the file may forbid it. Only a hostile file with a long URL gets here.
    TooCostly,
    /// It is the URL of the robots file itself, which may always be fetched (RFC 9309 §2.2.2).
    RobotsFile,
}

/// 500 KiB: the least that RFC 9309 §2.5 requires a crawler to parse, and what Google parses. The rest of a file is
/// ignored, and so is the line that the cut goes through.
pub const MAX_BYTES: usize = 500 * 1024;

impl RobotsTxt {
    /// Parses `file` for the crawler whose product token is `token`. Never fails: lines without a meaning are skipped.
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
        let mut sitemaps = String::new();
        // The kind of the last line in the group that had a meaning.
        let mut last = LineKind::Rules;
        for (line, text, directive) in directives(within_bounds(file)) {
            match directive {
                Directive::UserAgent(agent) => {
                    if last != LineKind::Agents {
                        (ours.takes_spacing, everyones.takes_spacing) = (false, false);
                    }
                    if last == LineKind::Rules {
                        (ours.takes_rules, everyones.takes_rules) = (false, false);
                    }
                    last = LineKind::Agents;
                    if agent == b"*" {
                        everyones.open();
                    } else if !agent.is_empty() && agent.eq_ignore_ascii_case(token.as_bytes()) {
                        ours.open();
                        named.get_or_insert_with(|| String::from_utf8_lossy(agent).into());
                    }
                }
                Directive::Allow(path) | Directive::Disallow(path) => {
                    last = LineKind::Rules;
                    let rule = WrittenRule { path, allows: matches!(directive, Directive::Allow(_)), line, text };
                    for section in [&mut ours, &mut everyones].into_iter().filter(|section| section.takes_rules) {
                        section.rules.push(rule);
                    }
                }
                Directive::Spacing(spacing) => {
                    // Further agents share the rules of those above, but not their spacing.
                    last = last.max(LineKind::Spacing);
                    for section in [&mut ours, &mut everyones].into_iter().filter(|section| section.takes_spacing) {
                        section.spacing = section.spacing.max(Some(spacing));
                    }
                }
                Directive::Sitemap(url) => {
                    sitemaps.push_str(url);
                    sitemaps.push('\n');
                }
            }
        }
        let (group, section) = match named {
            Some(agent) => (Group::Named(agent), ours),
            None if everyones.is_there => (Group::Everyone, everyones),
            None => (Group::Nobody, Section::default()),
        };
        Self { rules: Index::new(&section.rules), group, spacing: section.spacing, sitemaps: sitemaps.into() }
    }

    /// Decides whether a URL may be fetched: by the longest rule that matches its path and query; of two equally long
    /// ones, by the one that allows.
    ///
    /// Rules without stars take time logarithmic in their number. Each starred rule takes time linear in the URL at
    /// most, and all together at most about 100 ms ([`Why::TooCostly`]).
    pub fn decide(&self, url: &Url) -> RobotsDecision<'_> {
        let why = if is_robots_file(url) {
            Why::RobotsFile
        } else {
            match self.rules.find(&CanonicalPath::of(url)) {
                Ok(Some(rule)) => Why::Rule(rule),
                Ok(None) => Why::NoRule,
                Err(TooCostly) => Why::TooCostly,
            }
        };
        RobotsDecision { group: &self.group, why }
    }

    /// Returns the least time between two starts that our group asks for: the largest value of its `Crawl-delay` and
    /// `Request-rate` lines.
    pub fn spacing(&self) -> Option<Duration> {
        self.spacing
    }

    /// Returns the sitemaps that the file names by absolute URLs. They do not depend on groups.
    pub fn sitemaps(&self) -> Vec<Url> {
        self.sitemaps.lines().filter_map(|url| Url::parse(url).ok()).collect()
    }

    /// Returns the sitemaps that the file at this URL names, also by relative URLs: that is not allowed, but occurs.
    ///
    /// ```
    /// use actix_crawler::robots::RobotsTxt;
    ///
    /// let robots = RobotsTxt::parse(b"Sitemap: /maps/all.xml", "quotesbot");
    /// let file = "https://e.org/robots.txt".parse().unwrap();
    /// assert_eq!(robots.sitemaps_from(&file)[0].as_str(), "https://e.org/maps/all.xml");
    /// assert!(robots.sitemaps().is_empty());
    /// ```
    pub fn sitemaps_from(&self, file: &Url) -> Vec<Url> {
        self.sitemaps.lines().filter_map(|url| file.join(url).ok()).collect()
    }

    /// Tells whether the file asks nothing of us, as one that is missing.
    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.spacing.is_none()
    }

    /// Returns the groups of the file that apply to us.
    pub fn group(&self) -> &Group {
        &self.group
    }

    /// Returns the approximate memory size.
    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>() + self.rules.weight() + self.sitemaps.len()
    }
}

/// Tells whether a URL is that of its origin's robots file.
pub fn is_robots_file(url: &Url) -> bool {
    url.path() == "/robots.txt" && url.query().is_none()
}

/// The kind of the last line in a group.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum LineKind {
    Agents,
    Spacing,
    Rules,
}

/// The merged groups for one agent.
#[derive(Default)]
struct Section<'a> {
    rules: Vec<WrittenRule<'a>>,
    spacing: Option<Duration>,
    takes_rules: bool,
    takes_spacing: bool,
    is_there: bool,
}

impl Section<'_> {
    fn open(&mut self) {
        (self.takes_rules, self.takes_spacing, self.is_there) = (true, true, true);
    }
}

/// Cuts a file that is too long after its last complete line.
fn within_bounds(file: &[u8]) -> &[u8] {
    match file.get(..MAX_BYTES) {
        Some(head) if file.len() > MAX_BYTES => {
            let end = memchr::memrchr2(b'\r', b'\n', head).unwrap_or(0);
            head.get(..end).unwrap_or_default()
        }
        _ => file,
    }
}

impl<'a> RobotsDecision<'a> {
    /// Tells whether the URL may be fetched.
    pub fn is_allowed(&self) -> bool {
        match self.why {
            Why::Rule(rule) => rule.allows(),
            Why::NoRule | Why::RobotsFile => true,
            Why::TooCostly => false,
        }
    }

    /// Returns what decided.
    pub fn why(&self) -> Why<'a> {
        self.why
    }

    /// Returns the groups of the file that were consulted.
    pub fn group(&self) -> &'a Group {
        self.group
    }
}

impl fmt::Display for RobotsDecision<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.why, self.group) {
            (Why::RobotsFile, _) => f.write_str("allowed: a robots file may always be fetched"),
            (Why::NoRule, Group::Nobody) => f.write_str("allowed: no group is for us, nor for `*`"),
            (Why::NoRule, group) => write!(f, "allowed: no rule of {group} matches"),
            (Why::TooCostly, group) => {
                write!(f, "disallowed: it takes over {MAX_STEPS} steps to tell which rule of {group} matches")
            }
            (Why::Rule(rule), group) => {
                let verb = if rule.allows() { "allowed" } else { "disallowed" };
                write!(f, "{verb} by line {}, `{}`, of {group}", rule.line(), rule.written())
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
