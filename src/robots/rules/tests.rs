//! Whole files: the RFC's example, the cases that Google documents, and hostile files.

use proptest::prelude::*;

use super::*;

fn decision(file: &str, token: &str, path: &str) -> String {
    let url = Url::parse("https://e.org/").unwrap().join(path).unwrap();
    RobotsTxt::parse(file.as_bytes(), token).decide(&url).to_string()
}

fn is_allowed(file: &str, token: &str, path: &str) -> bool {
    let url = Url::parse("https://e.org/").unwrap().join(path).unwrap();
    RobotsTxt::parse(file.as_bytes(), token).decide(&url).is_allowed()
}

/// RFC 9309 §5.1.
const SIMPLE: &str = "\
User-Agent: *
Disallow: *.gif$
Disallow: /example/
Allow: /publications/

User-Agent: foobot
Disallow:/
Allow:/example/page.html
Allow:/example/allowed.gif

User-Agent: barbot
User-Agent: bazbot
Disallow: /example/page.html

User-Agent: quxbot
";

#[test]
fn the_example_of_the_rfc_reads_as_the_rfc_says() {
    for (token, path, expected) in [
        ("other", "/example/page.html", false),
        ("other", "/publications/a", true),
        ("other", "/publications/a.gif", true),
        ("other", "/a.gif", false),
        ("other", "/a.gif?x", true),
        ("foobot", "/", false),
        ("FooBot", "/publications/", false),
        ("foobot", "/example/page.html", true),
        ("foobot", "/example/allowed.gif", true),
        ("foobot", "/example/other.gif", false),
        ("barbot", "/example/page.html", false),
        ("bazbot", "/example/page.html", false),
        ("bazbot", "/a.gif", true),
        ("quxbot", "/example/page.html", true),
    ] {
        assert_eq!(is_allowed(SIMPLE, token, path), expected, "{token} {path}");
    }
}

#[test]
fn the_longest_match_decides_wherever_it_stands() {
    // RFC 9309 §5.2.
    let file = "User-Agent: foobot\nAllow: /example/page/\nDisallow: /example/page/disallowed.gif";
    assert!(is_allowed(file, "foobot", "/example/page/"));
    assert!(!is_allowed(file, "foobot", "/example/page/disallowed.gif"));
    for (allow, disallow, path, expected) in [
        ("/p", "/", "/page", true),
        ("/folder", "/folder", "/folder/page", true),
        ("/page", "/*.htm", "/page.htm", false),
        ("/page", "/*.ph", "/page.php5", true),
        ("/$", "/", "/", true),
        ("/$", "/", "/page.htm", false),
        ("/x%20y", "/x%20%79", "/x y", true),
        ("", "/", "/a", false),
        ("/", "", "/a", true),
    ] {
        for file in [
            format!("user-agent: *\nallow: {allow}\ndisallow: {disallow}"),
            format!("user-agent: *\ndisallow: {disallow}\nallow: {allow}"),
        ] {
            assert_eq!(is_allowed(&file, "bot", path), expected, "{file}\n{path}");
        }
    }
}

#[test]
fn groups_of_one_agent_are_merged_and_everyones_holds_only_where_none_names_us() {
    let file = "\
user-agent: a
user-agent: b
disallow: /1

user-agent: *
disallow: /2

user-agent: c
user-agent: B/1.2
disallow: /3";
    for (token, allowed) in [
        ("a", [false, true, true]),
        ("b", [false, true, false]),
        ("C", [true, true, false]),
        ("d", [true, false, true]),
        ("ab", [true, false, true]),
    ] {
        assert_eq!(["/1", "/2", "/3"].map(|path| is_allowed(file, token, path)), allowed, "{token}");
    }
    assert!(is_allowed("user-agent: *\ndisallow: /\nuser-agent: bot\n", "bot", "/"), "a group of its own, and empty");
    let twice = "user-agent: *\ndisallow: /a\nuser-agent: x\ndisallow: /\nuser-agent: *\ndisallow: /b";
    assert_eq!(["/a", "/b", "/c"].map(|path| is_allowed(twice, "bot", path)), [false, false, true]);
}

#[test]
fn only_rules_end_a_list_of_agents_and_rules_before_any_hold_for_nobody() {
    for between in ["", "\n\n", "# words", "Sitemap: https://e.org/s.xml", "Crawl-delay: 5", "Unheard-of: x", "junk"] {
        let file = format!("user-agent: a\n{between}\nuser-agent: b\n{between}\ndisallow: /x");
        assert!(!is_allowed(&file, "a", "/x") && !is_allowed(&file, "b", "/x"), "{between}");
        let file = format!("user-agent: a\ndisallow: /x\n{between}\ndisallow: /y");
        assert!(!is_allowed(&file, "a", "/y"), "{between}");
    }
    assert!(is_allowed("disallow: /\nuser-agent: a\nallow: /x", "a", "/y"));
    assert!(!is_allowed(
        "user-agent: a\nuser-agent: a\ndisallow:\nuser-agent: b\nuser-agent: a\ndisallow: /",
        "a",
        "/"
    ));
}

#[test]
fn the_robots_file_itself_may_always_be_fetched() {
    let file = "user-agent: *\ndisallow: /";
    assert!(is_allowed(file, "bot", "/robots.txt"));
    assert!(!is_allowed(file, "bot", "/robots.txt?x"));
    assert!(!is_allowed(file, "bot", "/a/robots.txt"));
}

#[test]
fn a_rule_that_begins_with_neither_slash_nor_star_matches_nothing() {
    for path in ["a", "https://e.org/a", "$", "?", "."] {
        assert!(is_allowed(&format!("user-agent: *\ndisallow: {path}"), "bot", "/a"), "{path}");
    }
}

#[test]
fn a_decision_says_which_rule_of_which_group_it_was() {
    let file = "# all\nUser-agent: *\nDisallow: /\n\nuser-agent: QuotesBot/2\nDissallow : /a # no\nallow: /a/*.html$";
    for (token, path, expected) in [
        ("quotesbot", "/a/b", "disallowed by line 6, `Dissallow : /a`, of the group for `QuotesBot`"),
        ("quotesbot", "/a/b.html", "allowed by line 7, `allow: /a/*.html$`, of the group for `QuotesBot`"),
        ("quotesbot", "/b", "allowed: no rule of the group for `QuotesBot` matches"),
        ("other", "/b", "disallowed by line 3, `Disallow: /`, of the group for `*`"),
        ("other", "/robots.txt", "allowed: a robots file may always be fetched"),
    ] {
        assert_eq!(decision(file, token, path), expected);
    }
    assert_eq!(decision("", "bot", "/"), "allowed: no group is for us, nor for `*`");
}

#[test]
fn the_spacing_is_the_strictest_that_our_own_group_asks_for() {
    let file = "\
user-agent: slow
crawl-delay: 2.5
request-rate: 1/4
crawl-delay: 3
user-agent: *
crawl-delay: 9
disallow: /x
user-agent: free
disallow: /y
user-agent: slow
disallow: /z
request-rate: 30/1m";
    let spacing = |token| RobotsTxt::parse(file.as_bytes(), token).spacing();
    assert_eq!(spacing("slow"), Some(Duration::from_secs(4)), "the delay below `*` is not for `slow`");
    assert_eq!(spacing("other"), Some(Duration::from_secs(9)));
    assert_eq!(spacing("free"), None);
    let rate = RobotsTxt::parse(b"user-agent: a\nrequest-rate: 1/4\ncrawl-delay: 2", "a").spacing();
    assert_eq!(rate, Some(Duration::from_secs(4)));
}

/// RFC 9309 defines no delay; protego, reppy and crawler-commons apply it to the agents directly above it.
#[test]
fn a_delay_is_for_the_agents_right_above_it_and_rules_are_shared_over_a_missing_gap() {
    let seconds =
        |file: &str, token| RobotsTxt::parse(file.as_bytes(), token).spacing().map(|spacing| spacing.as_secs());
    let two = "User-agent: one\nCrawl-delay: 1\n\nUser-agent: two\nCrawl-delay: 2\nDisallow: /x";
    assert_eq!((seconds(two, "one"), seconds(two, "two"), seconds(two, "three")), (Some(1), Some(2), None));
    assert!(!is_allowed(two, "one", "/x") && !is_allowed(two, "two", "/x"), "RFC 9309 §2.2.1: no rule came between");
    let everyone = "User-agent: bot\nCrawl-delay: 1\nUser-agent: *\nCrawl-delay: 3600\nDisallow: /x";
    assert_eq!((seconds(everyone, "bot"), seconds(everyone, "other")), (Some(1), Some(3_600)));
    let none = "User-agent: bot\nDisallow: /y\nUser-agent: *\nCrawl-delay: 3600";
    assert_eq!(seconds(none, "bot"), None);
    let list = "User-agent: one\n\n# words\nSitemap: https://e.org/s\nUser-agent: two\nDisallow: /x\nCrawl-delay: 2\nCrawl-delay: 3";
    assert_eq!((seconds(list, "one"), seconds(list, "two")), (Some(3), Some(3)), "a list of agents shares it");
}

#[test]
fn sitemaps_are_everyones_wherever_they_stand() {
    let file = "Sitemap: https://e.org/1\nuser-agent: x\nsitemap: https://e.org/2\ndisallow: /\nSitemap: /3";
    let robots = RobotsTxt::parse(file.as_bytes(), "bot");
    let texts = |urls: Vec<Url>| urls.iter().map(Url::to_string).collect::<Vec<_>>();
    assert_eq!(texts(robots.sitemaps()), ["https://e.org/1", "https://e.org/2"]);
    let file = Url::parse("https://f.org/robots.txt").unwrap();
    assert_eq!(texts(robots.sitemaps_from(&file)), ["https://e.org/1", "https://e.org/2", "https://f.org/3"]);
}

#[test]
fn a_byte_order_mark_nul_and_invalid_utf_8_do_no_harm() {
    let url = |path: &str| Url::parse("https://e.org/").unwrap().join(path).unwrap();
    let file = b"\xEF\xBB\xBFuser-agent: *\n\0\0\ndisallow: /a\0b\r\xFF\xFE: /x\ndisallow: /\xFFc\ndisallow: /d";
    let robots = RobotsTxt::parse(file, "bot");
    for path in ["/a%00b", "/%ffc", "/d"] {
        assert!(!robots.decide(&url(path)).is_allowed(), "{path}");
    }
    assert!(robots.decide(&url("/a")).is_allowed());
}

#[test]
fn no_more_than_500_kib_are_parsed_and_a_line_that_is_cut_is_dropped() {
    let mut file = "user-agent: *\ndisallow: /first\n".to_owned();
    file.push_str(&"#".repeat(MAX_BYTES - file.len() - "\ndisallow: /a\ndisallow: /b".len()));
    file.push_str("\ndisallow: /a\ndisallow: /b");
    assert_eq!(file.len(), MAX_BYTES);
    assert!(!is_allowed(&file, "bot", "/b"), "a file of 500 KiB is whole");
    file.push_str("/only/this\ndisallow: /c");
    assert_eq!(
        ["/first", "/a", "/b", "/b/only/this", "/c"].map(|path| is_allowed(&file, "bot", path)),
        [false, false, true, true, true]
    );
}

/// Regression: all rules were cut at their first star, so these disallowed everything, by a line that does not match.
#[test]
fn thousands_of_rules_with_stars_match_what_they_say() {
    let lines: String = (0..5_000).map(|n| format!("Disallow: /*a*b*c*{n}$\n")).collect();
    let file = format!("user-agent: *\nallow: /d\n{lines}");
    for (path, expected) in [
        ("/", "allowed: no rule of the group for `*` matches"),
        ("/abc1x", "allowed: no rule of the group for `*` matches"),
        ("/xaxbxcx4321", "disallowed by line 4324, `Disallow: /*a*b*c*4321$`, of the group for `*`"),
        ("/d", "allowed by line 2, `allow: /d`, of the group for `*`"),
        ("/dabc7", "disallowed by line 10, `Disallow: /*a*b*c*7$`, of the group for `*`"),
    ] {
        assert_eq!(decision(&file, "bot", path), expected, "{path}");
    }
}

#[test]
fn what_would_take_too_long_to_tell_is_disallowed_and_says_so() {
    let lines: String = (0..30_000).map(|n| format!("allow: *a{n}b\n")).collect();
    let file = format!("user-agent: *\n{lines}disallow: /x");
    let all: String = (0..30_000).map(|n| format!("a{n}-")).collect();
    let why = decision(&file, "bot", &format!("/{all}"));
    assert!(
        why.starts_with("disallowed: it takes over")
            && why.ends_with("steps to tell which rule of the group for `*` matches"),
        "{why}"
    );
    assert!(is_allowed(&file, "bot", "/x/a7b") && !is_allowed(&file, "bot", "/x/a7c"), "other URLs are decided");
}

#[test]
fn most_files_take_a_few_hundred_bytes() {
    let file =
        "User-agent: *\nDisallow: /wp-admin/\nAllow: /wp-admin/admin-ajax.php\nDisallow: /*?s=\nDisallow: /search\n";
    let weight = RobotsTxt::parse(file.as_bytes(), "bot").weight();
    assert!(weight < 400, "{weight}");
}

#[test]
fn hostile_files_cost_little() {
    let long_url = format!("/{}", "a".repeat(100_000));
    for file in [
        "user-agent: *\ndisallow: /x\n".repeat(400_000),
        format!("user-agent: *\ndisallow: /x\nallow: /{}", "*a".repeat(500_000)),
        format!("user-agent: *\ndisallow: /x\n{}", "x".repeat(1_000_000)),
        format!("user-agent: *\ndisallow: /x\n{}", "user-agent: y\nallow: /\n".repeat(100_000)),
        format!("user-agent: *\ndisallow: /x\n{}", "\n".repeat(10_000_000)),
        format!("user-agent: *\ndisallow: /x\n{}", "allow:*b\n".repeat(60_000)),
        format!("user-agent: *\ndisallow: /x\n{}", (0..60_000).map(|n| format!("allow:*{n:x}/\n")).collect::<String>()),
    ] {
        let robots = RobotsTxt::parse(file.as_bytes(), "bot");
        assert!(robots.weight() < 16 << 20, "{}", robots.weight());
        assert!(robots.decide(&Url::parse("https://e.org/").unwrap().join(&long_url).unwrap()).is_allowed());
        assert!(!robots.decide(&Url::parse("https://e.org/x").unwrap()).is_allowed());
    }
}

/// The rules of RFC 9309 §2.2.2 in a straightforward implementation.
fn naive(rules: &[(bool, String)], path: &str) -> bool {
    let matching = rules.iter().filter(|(_, pattern)| {
        let (body, end) = pattern.strip_suffix('$').map_or((&**pattern, ""), |body| (body, "$"));
        let regex = format!("^{}{end}", body.replace('*', ".*").replace('?', "[?]"));
        !pattern.is_empty() && regex::Regex::new(&regex).unwrap().is_match(path)
    });
    matching.map(|(allows, pattern)| (pattern.len(), *allows)).max().is_none_or(|(_, allows)| allows)
}

proptest! {
    #[test]
    fn decisions_are_those_of_a_naive_reading(
        rules in proptest::collection::vec((any::<bool>(), "(/[ab/*?]{0,6}[$]?)?"), 0..6),
        path in "/([ab]{1,3}(/[ab]{0,3})?)?([?][ab/?]{0,4})?",
    ) {
        let lines = rules.iter().map(|(allows, path)| format!("{}: {path}\n", if *allows { "allow" } else { "disallow" }));
        let file = format!("user-agent: *\n{}", lines.collect::<String>());
        prop_assert_eq!(is_allowed(&file, "bot", &path), naive(&rules, &path), "{} {}", file, path);
    }
}

proptest! {
    // Few cases, since the straightforward implementation compiles a regex for each rule.
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn decisions_of_large_files_are_those_of_a_naive_reading_too(
        rules in proptest::collection::vec((any::<bool>(), "/[ab/]{0,5}(\\*[ab]{1,3})?[$]?"), 12..40),
        path in "/([ab][ab/]{0,8})?",
    ) {
        let lines = rules.iter().map(|(allows, path)| format!("{}: {path}\n", if *allows { "allow" } else { "disallow" }));
        let file = format!("user-agent: *\n{}", lines.collect::<String>());
        prop_assert_eq!(is_allowed(&file, "bot", &path), naive(&rules, &path), "{} {}", file, path);
    }

}

proptest! {
    #[test]
    fn no_file_makes_the_parser_panic(
        file in proptest::collection::vec(any::<u8>(), 0..400),
        path in "/\\PC{0,20}",
    ) {
        let url = Url::parse(&format!("https://e.org{path}")).unwrap();
        RobotsTxt::parse(&file, "bot").decide(&url).to_string();
    }

    #[test]
    fn lines_that_look_right_make_no_panic_either(
        lines in proptest::collection::vec(
            "(user-agent|disallow|allow|crawl-delay|request-rate|sitemap)[: ]{0,2}[*/a-c0-9.%$ \0é]{0,12}[\r\n]{0,2}", 0..20
        ),
    ) {
        let robots = RobotsTxt::parse(lines.concat().as_bytes(), "a");
        robots.decide(&Url::parse("https://e.org/a/b?c").unwrap()).to_string();
        prop_assert!(robots.spacing().is_none_or(|spacing| !spacing.is_zero()));
    }
}
