//! Pattern: matches the path of a rule against the path of a URL (RFC 9309 §2.2.2 and §2.2.3). Knows no groups.

use std::borrow::Cow;

use memchr::memmem;
use url::Url;

/// The path of a rule in canonical form.
///
/// Both sides are normalized before they are compared: octets that need no encoding are decoded, all others are encoded
/// in upper case. Characters that delimit within a path or a query have another meaning when encoded, and keep their
/// spelling.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PathPattern<'a> {
    /// Canonical octets, all ASCII; `*` is always a wildcard for any number of octets.
    pub octets: Cow<'a, [u8]>,
    /// Whether the pattern ended in `$`, so that it must match to the end.
    pub is_anchored: bool,
}

/// The path and query of a URL in canonical form.
pub struct CanonicalPath {
    octets: Vec<u8>,
    /// The same with `%2F` and `%3F` in the query as written, if it has any: patterns with a star before the query may
    /// spell them so.
    as_written: Option<Vec<u8>>,
}

/// A bound on the cost of a decision. One step is one octet of a URL compared with one starred rule; each piece of a
/// pattern costs a few more.
#[derive(Debug)]
pub struct MatchSteps(usize);

/// The cost of searching for one piece, in addition to the octets compared.
const STEPS_FOR_A_PIECE: usize = 16;

impl MatchSteps {
    /// Allows `most` steps.
    pub fn new(most: usize) -> Self {
        Self(most)
    }

    /// Tells whether no steps are left.
    pub fn are_spent(&self) -> bool {
        self.0 == 0
    }

    fn spend(&mut self, octets: usize) {
        self.0 = self.0.saturating_sub(octets.saturating_add(STEPS_FOR_A_PIECE));
    }
}

impl<'a> PathPattern<'a> {
    /// Parses the path of a rule.
    pub fn new(path: &'a [u8]) -> Self {
        let (path, is_anchored) = match path.strip_suffix(b"$") {
            Some(path) => (path, true),
            None => (path, false),
        };
        let octets = canonical(path, StarKind::Pattern);
        let octets = if octets == path { Cow::Borrowed(path) } else { Cow::Owned(octets) };
        Self { octets, is_anchored }
    }

    /// Returns the specificity of the pattern: the number of its octets (RFC 9309 §2.2.2).
    pub fn specificity(&self) -> usize {
        self.octets.len() + usize::from(self.is_anchored)
    }

    /// Tells whether the pattern has stars, so that matching may scan the whole URL.
    pub fn has_stars(&self) -> bool {
        self.octets.contains(&b'*')
    }

    /// Tells whether the pattern matches, in time linear in both. Returns false if the steps run out first.
    pub fn matches(&self, target: &CanonicalPath, steps: &mut MatchSteps) -> bool {
        target.forms().any(|octets| self.matches_octets(octets, steps))
    }

    /// Searches for each piece between two stars only after the first match of the previous piece. If the rest matches
    /// after a later match, it also matches after the first, so no backtracking is needed.
    fn matches_octets(&self, target: &[u8], steps: &mut MatchSteps) -> bool {
        let mut pieces = self.octets.split(|octet| *octet == b'*');
        let first = pieces.next().unwrap_or_default();
        let Some(mut rest) = target.strip_prefix(first) else { return false };
        let Some(last) = pieces.next_back() else { return !self.is_anchored || rest.is_empty() };
        for piece in pieces {
            let found = memmem::find(rest, piece);
            steps.spend(found.unwrap_or(rest.len()));
            if steps.are_spent() {
                return false;
            }
            match found {
                Some(at) => rest = rest.get(at + piece.len()..).unwrap_or_default(),
                None => return false,
            }
        }
        if self.is_anchored {
            return rest.ends_with(last);
        }
        steps.spend(rest.len());
        !steps.are_spent() && memmem::find(rest, last).is_some()
    }
}

impl CanonicalPath {
    /// Canonicalizes the path and the query of a URL.
    pub fn of(url: &Url) -> Self {
        let path_and_query = &url[url::Position::BeforePath..url::Position::AfterQuery];
        let octets = canonical(path_and_query.as_bytes(), StarKind::Target);
        let as_written = canonical(path_and_query.as_bytes(), StarKind::TargetAsWritten);
        Self { as_written: (as_written != octets).then_some(as_written), octets }
    }

    /// Returns the spellings that patterns may match.
    pub fn forms(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::once(&*self.octets).chain(self.as_written.as_deref())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum StarKind {
    /// A star is a wildcard.
    Pattern,
    Target,
    /// `%2F` and `%3F` stay as they are in the query too.
    TargetAsWritten,
}

/// Characters that delimit within a path or a query, so that their encoded form has another meaning there. The other
/// reserved characters of RFC 3986 §2.2 are encoded on both sides, as RFC 9309 §2.2.2 says.
const DELIMITERS: &[u8] = b"/?&=+;,";

/// Characters that delimit nothing within the query (RFC 3986 §3.4).
const PLAIN_IN_QUERY: &[u8] = b"/?";

fn canonical(text: &[u8], kind: StarKind) -> Vec<u8> {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut canonical = Vec::with_capacity(text.len());
    let mut in_query = false;
    let mut rest = text;
    while let Some((&octet, behind)) = rest.split_first() {
        let (octet, was_encoded) = match (octet, behind) {
            (b'%', &[high, low, ..]) => match (nibble(high), nibble(low)) {
                (Some(high), Some(low)) => (high << 4 | low, true),
                _ => (octet, false),
            },
            _ => (octet, false),
        };
        rest = behind.get(if was_encoded { 2 } else { 0 }..).unwrap_or_default();
        let is_plain = match octet {
            b'*' => kind == StarKind::Pattern && !was_encoded,
            _ if is_unreserved(octet) => true,
            _ if !was_encoded => DELIMITERS.contains(&octet),
            _ => in_query && kind != StarKind::TargetAsWritten && PLAIN_IN_QUERY.contains(&octet),
        };
        if is_plain {
            canonical.push(octet);
        } else {
            let hex = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or(b'0');
            canonical.extend([b'%', hex(octet >> 4), hex(octet & 15)]);
        }
        in_query |= octet == b'?' && !was_encoded;
    }
    canonical
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// RFC 3986 §2.3.
fn is_unreserved(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_' | b'~')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        let url = Url::parse("https://e.org/").unwrap().join(path).unwrap();
        PathPattern::new(pattern.as_bytes()).matches(&CanonicalPath::of(&url), &mut enough())
    }

    fn enough() -> MatchSteps {
        MatchSteps::new(usize::MAX)
    }

    #[test]
    fn stars_and_the_end_mark_match_as_documented() {
        let fish =
            ["/fish", "/fish.html", "/fish/salmon.html", "/fishheads", "/fishheads/yummy.html", "/fish.php?id=a"];
        for (pattern, matching, others) in [
            ("/", &["/", "/any", "/a/b?c"][..], &[][..]),
            ("/*", &["/", "/any"], &[]),
            ("/$", &["/"], &["/any", "/?"]),
            ("/fish", &fish, &["/Fish.asp", "/catfish", "/?id=fish", "/desert/fish"]),
            ("/fish*", &fish, &["/Fish.asp", "/catfish", "/?id=fish", "/desert/fish"]),
            ("/fish/", &["/fish/", "/fish/?id=a", "/fish/salmon.htm"], &["/fish", "/fish.html", "/animals/fish/"]),
            (
                "/*.php",
                &["/index.php", "/a/name.php", "/a/name.php?x", "/a/any.php.html", "/name.php/"],
                &["/", "/windows.PHP"],
            ),
            ("/*.php$", &["/name.php", "/a/name.php"], &["/name.php?x", "/name.php/", "/name.php5", "/windows.PHP"]),
            ("/fish*.php", &["/fish.php", "/fishheads/catfish.php?x"], &["/Fish.PHP", "/fish.htm"]),
            ("*", &["/", "/a"], &[]),
            ("*.gif$", &["/a.gif", "/b/a.gif"], &["/a.gif?"]),
            ("/a*b*c$", &["/abc", "/axbxc", "/abcc", "/acbc"], &["/ab", "/acb", "/abcd"]),
            ("/a**b", &["/ab", "/axb"], &["/a"]),
            ("/a$b", &["/a$b", "/a%24b"], &["/a", "/ab"]),
            ("/aba*aba$", &["/abaaba", "/aba-aba"], &["/aba", "/ababa"]),
        ] {
            for path in matching {
                assert!(matches(pattern, path), "{pattern} should match {path}");
            }
            for path in others {
                assert!(!matches(pattern, path), "{pattern} should not match {path}");
            }
        }
    }

    #[test]
    fn both_sides_may_be_encoded_or_not() {
        for (pattern, path, expected) in [
            // RFC 9309 §2.2.2, the table.
            ("/foo/bar?baz=quz", "/foo/bar?baz=quz", true),
            ("/foo/bar?baz=https://foo.bar", "/foo/bar?baz=https%3A%2F%2Ffoo.bar", true),
            ("/foo/bar?baz=https%3A%2F%2Ffoo.bar", "/foo/bar?baz=https://foo.bar", true),
            ("/foo/bar/ツ", "/foo/bar/%E3%83%84", true),
            ("/foo/bar/%E3%83%84", "/foo/bar/ツ", true),
            ("/foo/bar/%e3%83%84", "/foo/bar/%E3%83%84", true),
            ("/foo/bar/%62%61%7A", "/foo/bar/baz", true),
            ("/foo/bar/baz", "/foo/bar/%62%61%7A", true),
            // RFC 9309 §2.2.3: the special characters themselves.
            ("/path/file-with-a-%2A.html", "/path/file-with-a-*.html", true),
            ("/path/file-with-a-%2A.html", "/path/file-with-a-x.html", false),
            ("/path/foo-%24", "/path/foo-$", true),
            ("/path/foo-%24$", "/path/foo-$x", false),
            // An encoded delimiter does not delimit.
            ("/a%2Fb", "/a/b", false),
            ("/a/b", "/a%2Fb", false),
            ("/a%2fb", "/a%2Fb", true),
            ("/a?b", "/a%3Fb", false),
            ("/a?x=1%26y", "/a?x=1&y", false),
            // In the query a slash is an ordinary character.
            ("/*://", "/go?to=http%3A%2F%2Fe.org", true),
            ("/*%2Fadmin", "/go?to=%2Fadmin", true),
            ("/*%2Fadmin", "/go/admin", false),
            ("/go?to=/", "/go?to=%2Fadmin", true),
            // Characters that browsers encode and people do not, and the reverse.
            ("/a b", "/a%20b", true),
            ("/~me", "/%7Eme", true),
            ("/a?f[x]=1", "/a?f%5Bx%5D=1", true),
            ("/a?q='x'", "/a?q='x'", true),
            ("/a(b)", "/a%28b%29", true),
            ("/a|b", "/a%7Cb", true),
            ("/100%", "/100%", true),
            ("/100%", "/100%25", true),
            ("/%zz", "/%zz", true),
            ("/%4", "/%4", true),
            ("/A", "/a", false),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} against {path}");
        }
    }

    #[test]
    fn octets_that_are_no_text_match_themselves() {
        let url = Url::parse("https://e.org/%FF%00x").unwrap();
        assert!(PathPattern::new(b"/\xFF\0x").matches(&CanonicalPath::of(&url), &mut enough()));
        assert!(!PathPattern::new(b"/\xFE").matches(&CanonicalPath::of(&url), &mut enough()));
    }

    /// A backtracking matcher would practically never finish; the test is that this one does.
    #[test]
    fn many_stars_cost_no_more_than_their_length() {
        let stars = |count: usize| format!("/{}b", "*a".repeat(count));
        assert!(!matches(&stars(200), &format!("/{}", "a".repeat(800))));
        assert!(!matches(&stars(250_000), &format!("/{}", "a".repeat(1_000_000))));
        assert!(matches(&format!("/{}", "*".repeat(500_000)), "/a"));
        let piece = format!("/*{}b*{}b$", "a".repeat(200_000), "a".repeat(200_000));
        assert!(!matches(&piece, &format!("/{}", "a".repeat(1_000_000))));
    }

    #[test]
    fn matching_ends_when_its_steps_are_spent() {
        let url = Url::parse(&format!("https://e.org/{}", "a".repeat(1_000))).unwrap();
        let (target, pattern) = (CanonicalPath::of(&url), PathPattern::new(b"/*a*a*"));
        let mut steps = MatchSteps::new(40);
        assert!(!pattern.matches(&target, &mut steps) && steps.are_spent());
        assert!(pattern.matches(&target, &mut MatchSteps::new(2_000)));
    }

    proptest! {
        #[test]
        fn a_pattern_matches_what_the_same_regex_matches(
            pattern in "/[ab/*]{0,8}[$]?",
            path in "/[ab/]{0,12}",
        ) {
            let (body, end) = pattern.strip_suffix('$').map_or((&*pattern, ""), |body| (body, "$"));
            let regex = format!("^{}{end}", body.replace('*', ".*"));
            let expected = regex::Regex::new(&regex).unwrap().is_match(&path);
            let matcher = PathPattern::new(pattern.as_bytes());
            let target = CanonicalPath { octets: canonical(path.as_bytes(), StarKind::Target), as_written: None };
            prop_assert_eq!(matcher.matches(&target, &mut enough()), expected);
        }

        #[test]
        fn the_canonical_form_is_a_fixed_point_whatever_the_octets(
            octets in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            for kind in [StarKind::Pattern, StarKind::Target, StarKind::TargetAsWritten] {
                let once = canonical(&octets, kind);
                prop_assert_eq!(canonical(&once, kind), once.clone());
                prop_assert!(once.len() <= 3 * octets.len());
            }
        }

        #[test]
        fn every_path_matches_itself_and_its_beginnings(path in "/[a-c%?/ ü&]{0,12}", cut in 0_usize..12) {
            let url = Url::parse(&format!("https://e.org{path}")).unwrap();
            let target = CanonicalPath::of(&url);
            let written = &url[url::Position::BeforePath..url::Position::AfterQuery];
            prop_assert!(PathPattern::new(written.as_bytes()).matches(&target, &mut enough()), "{}", url);
            let beginning: String = url.path().chars().take(cut + 1).take_while(|c| *c != '%').collect();
            prop_assert!(PathPattern::new(beginning.as_bytes()).matches(&target, &mut enough()), "{} of {}", beginning, url);
        }
    }
}
