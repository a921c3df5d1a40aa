//! Valid and invalid sitemaps.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;

use super::*;
use crate::growth::{HostileInput, assert_linear};

const URL: &str = "https://e.org/maps/sitemap.xml";

struct Found {
    entries: Vec<SitemapEntry>,
    error: Option<SitemapError>,
    kind: Option<SitemapKind>,
    skipped: SkippedEntries,
}

impl Found {
    fn urls(&self) -> Vec<&str> {
        self.entries.iter().map(|entry| entry.url.as_str()).collect()
    }
}

fn read_with(bytes: &[u8], limits: SitemapLimits) -> Found {
    let mut sitemap = SitemapReader::new(bytes, &URL.parse().unwrap()).limits(limits);
    let mut entries = Vec::new();
    let mut error = None;
    for entry in sitemap.by_ref() {
        match entry {
            Ok(entry) if error.is_none() => entries.push(entry),
            Ok(_) => panic!("an entry after an error"),
            Err(why) => error = Some(why),
        }
    }
    Found { entries, error, kind: sitemap.kind(), skipped: sitemap.skipped() }
}

fn read(text: &str) -> Found {
    read_with(text.as_bytes(), SitemapLimits::default())
}

fn urlset(inside: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<urlset xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">{inside}</urlset>"
    )
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

/// The sample of <https://www.sitemaps.org/protocol.html>.
#[test]
fn the_sample_of_the_protocol_is_read() {
    let found = read(&urlset(
        "<url><loc>http://www.example.com/</loc><lastmod>2005-01-01</lastmod><changefreq>monthly</changefreq>\
         <priority>0.8</priority></url>\
         <url><loc>http://www.example.com/catalog?item=12&amp;desc=vacation_hawaii</loc><changefreq>weekly</changefreq></url>\
         <url><loc>http://www.example.com/catalog?item=73&amp;desc=vacation_new_zealand</loc>\
         <lastmod>2004-12-23T18:00:15+00:00</lastmod></url>",
    ));
    assert_eq!(
        (found.kind, &found.error, found.skipped),
        (Some(SitemapKind::UrlSet), &None, SkippedEntries::default())
    );
    assert_eq!(found.urls()[1], "http://www.example.com/catalog?item=12&desc=vacation_hawaii");
    let first = &found.entries[0];
    assert_eq!(first.change_frequency, Some(ChangeFrequency::Monthly));
    assert_eq!((first.priority, first.lastmod.unwrap().to_string()), (Some(0.8), "2005-01-01".into()));
    assert_eq!(found.entries[2].lastmod.unwrap().to_string(), "2004-12-23T18:00:15Z");
}

#[test]
fn an_index_names_sitemaps() {
    let found = read(
        "<sitemapindex><sitemap><loc>https://e.org/a.xml.gz</loc><lastmod>2026-01</lastmod></sitemap>\
         <sitemap><loc>b.xml</loc></sitemap></sitemapindex>",
    );
    assert_eq!(found.kind, Some(SitemapKind::Index));
    assert_eq!(found.urls(), ["https://e.org/a.xml.gz", "https://e.org/maps/b.xml"]);
    assert!(found.entries.iter().all(|entry| entry.target == Target::Sitemap));
}

/// Google's documentation of the extensions; prefixes and namespaces differ from site to site.
#[test]
fn translations_images_videos_and_news_are_read() {
    let found = read(&urlset(
        "<url><loc>https://e.org/en</loc>\
         <xhtml:link rel='alternate' hreflang='de' href='https://e.org/de?a=1&amp;b=2'/>\
         <x:link rel='alternate' hreflang='x-default' href='/'></x:link><xhtml:link rel='amphtml' href='/amp'/>\
         <image:image><image:loc>https://e.org/1.jpg</image:loc><image:caption>One &amp; all</image:caption></image:image>\
         <image:image><image:title>none</image:title></image:image>\
         <video:video><video:thumbnail_loc>/t.jpg</video:thumbnail_loc><video:title><![CDATA[A <b> film]]></video:title>\
         <video:player_loc>https://e.org/p</video:player_loc><video:duration>600</video:duration><video:rating>9</video:rating>\
         <video:family_friendly>no</video:family_friendly><video:tag>a</video:tag><video:tag>b</video:tag>\
         <video:publication_date>2007-11-05T19:20:30+08:00</video:publication_date></video:video>\
         <n:news><n:publication><n:name>The Times</n:name><n:language>en</n:language></n:publication>\
         <n:publication_date>2008-12-23</n:publication_date><n:title>Companies A, B in Merger Talks</n:title></n:news>\
         <lastmod>2026-01-01</lastmod></url>",
    ));
    assert_eq!(found.error, None);
    let [entry] = &found.entries[..] else { panic!("one entry") };
    let alternates: Vec<_> = entry.alternates.iter().map(|there| (&*there.hreflang, there.url.as_str())).collect();
    assert_eq!(alternates, [("de", "https://e.org/de?a=1&b=2"), ("x-default", "https://e.org/")]);
    assert_eq!(entry.images.len(), 1, "one without a URL is none");
    assert_eq!(entry.images[0].caption.as_deref(), Some("One & all"));
    let video = &entry.videos[0];
    assert_eq!((video.title.as_deref(), video.duration, video.rating), (Some("A <b> film"), Some(600), None));
    assert_eq!((video.family_friendly, &video.tags[..]), (Some(false), &["a".into(), "b".into()][..]));
    assert_eq!(video.published.unwrap().to_string(), "2007-11-05T11:20:30Z");
    let news = entry.news.as_ref().unwrap();
    assert_eq!((news.publication.as_deref(), news.language.as_deref()), (Some("The Times"), Some("en")));
    assert_eq!(entry.lastmod.unwrap().to_string(), "2026-01-01");
    assert_eq!(found.skipped.bad_fields, 2, "the image without a URL and the rating of 9");
}

#[test]
fn a_text_file_has_one_url_on_each_line() {
    let found =
        read("\u{feff}\n https://e.org/a#x \r\nhttps://e.org/é\n# a comment\n\nftp://e.org/\rhttps://e.org/last");
    assert_eq!(found.kind, Some(SitemapKind::Text));
    assert_eq!(found.urls(), ["https://e.org/a", "https://e.org/%C3%A9", "https://e.org/last"]);
    assert_eq!((found.skipped.unreadable, found.skipped.other_scheme), (1, 1));
    let long = format!("https://e.org/{}\nhttps://e.org/b", "x".repeat(3 << 20));
    let found = read(&long);
    assert_eq!((found.urls(), found.skipped.too_long), (vec!["https://e.org/b"], 1));
}

#[test]
fn feeds_give_their_links_and_dates() {
    let found = read(
        "<rss version='2.0'><channel><link>https://e.org/</link><image><link>https://e.org/no</link></image>\
         <item><title>x</title><link>https://e.org/1</link><pubDate>Sat, 07 Sep 2002 00:00:01 GMT</pubDate>\
         <guid>https://e.org/guid</guid><atom:link href='https://e.org/no2'/></item>\
         <item><guid isPermaLink='true'>https://e.org/2</guid></item>\
         <item><guid isPermaLink='false'>tag:3</guid></item></channel></rss>",
    );
    assert_eq!((found.kind, found.urls()), (Some(SitemapKind::Rss), vec!["https://e.org/1", "https://e.org/2"]));
    assert_eq!(found.entries[0].lastmod.unwrap().to_string(), "2002-09-07T00:00:01Z");
    assert_eq!(found.skipped.unreadable, 1);
    let found = read(
        "<feed xmlns='http://www.w3.org/2005/Atom'><link href='https://e.org/'/><entry>\
         <link rel='edit' href='https://e.org/edit'/><link href='https://e.org/1'/><link rel='alternate' href='/other'/>\
         <updated>2003-12-13T18:30:02Z</updated><source><link href='https://e.org/no'/></source></entry></feed>",
    );
    assert_eq!((found.kind, found.urls()), (Some(SitemapKind::Atom), vec!["https://e.org/1"]));
    assert_eq!(found.entries[0].lastmod.unwrap().to_string(), "2003-12-13T18:30:02Z");
    let found = read(
        "<rdf:RDF xmlns='http://purl.org/rss/1.0/'><item rdf:about='x'><link>https://e.org/1</link></item></rdf:RDF>",
    );
    assert_eq!(found.urls(), ["https://e.org/1"]);
}

#[test]
fn files_that_break_the_rules_are_read_as_other_readers_do() {
    let one = "<url><loc>https://e.org/a</loc></url>";
    for text in [
        format!("\u{feff}{}", urlset(one)),
        format!("\n\n  \t{}", urlset(one)),
        format!("\u{feff}\n\u{feff}{}", urlset(one)),
        format!("<urlset>{one}</urlset>"),
        "<Urlset><URL><Loc>https://e.org/a</lOC></Url></URLSET>".into(),
        format!("<urlset xmlns='http://www.google.com/schemas/sitemap/0.84'>{one}</urlset>"),
        "<s:urlset xmlns:s='x'><s:url><s:loc>https://e.org/a</s:loc></s:url></s:urlset>".into(),
        format!("<!DOCTYPE urlset SYSTEM 'file:///etc/passwd'><urlset>{one}</urlset>"),
        format!("<?xml-stylesheet href='x.xsl'?><!-- a -- comment --><urlset>{one}</urlset><junk"),
        "<urlset><url><loc>\n  <![CDATA[https://e.org/a]]>\n</loc></url></urlset>".into(),
        "<urlset><url><loc>https://e.org/a</loc><loc>https://e.org/b</loc></url></urlset>".into(),
        "<urlset><url><loc>https://e.org/a</locc></url></urlset>".into(),
        "<urlset><url><loc>h&#116;tps://e.org/a</loc></url></urlset>".into(),
    ] {
        let found = read(&text);
        assert_eq!((found.urls(), &found.error), (vec!["https://e.org/a"], &None), "{text}");
    }
    let found = read("<urlset><url><loc>https://e.org/?a=1&b=2&copy=3&sort;</loc></url></urlset>");
    assert_eq!(found.urls(), ["https://e.org/?a=1&b=2&copy=3&sort;"]);
}

/// XML does not define the names of HTML: a strict parser gives up at the first (expat, `sax`, and so
/// ultimate-sitemap-parser and Crawlee), and libxml2, which Scrapy uses, recovers by leaving the character out, so that
/// the URL is another. A site that writes them means what they are in HTML, and so do those who read it with an HTML
/// parser.
#[test]
fn a_name_that_only_html_knows_is_its_character() {
    let file = "<urlset><url><loc>https://e.org/caf&eacute;/&Auml;?q=&euro;&amp;r=&copy;</loc></url>\
                <url><loc>https://e.org/a&nbsp;</loc></url><url><loc>&hellip;&unknown;</loc></url>\
                <url><loc>https://e.org/b</loc></url></urlset>";
    let found = read(file);
    assert_eq!(
        found.urls(),
        [
            "https://e.org/caf%C3%A9/%C3%84?q=%E2%82%AC&r=%C2%A9",
            "https://e.org/a",
            "https://e.org/maps/%E2%80%A6&unknown;",
            "https://e.org/b"
        ]
    );
    assert_eq!((found.error, found.skipped), (None, SkippedEntries::default()));
}

#[test]
fn what_begins_like_a_comment_costs_nothing_wherever_it_is_read_in_pieces() {
    let entry = |name: &str| format!("<url><loc>https://e.org/{name}</loc></url>");
    let before = format!("<urlset>{}", entry("a"));
    for from in 0..8 {
        // The first piece has 1 KiB.
        let blank = " ".repeat((1 << 10) - before.len() - from);
        let text = format!("{before}{blank}<!-x>{}<!-- a comment -->{}</urlset>", entry("b"), entry("c"));
        let found = read(&text);
        assert_eq!((found.urls().len(), &found.error), (3, &None), "{from}: {:?}", found.urls());
    }
}

#[test]
fn what_is_too_long_or_nests_too_deep_costs_at_most_its_entry() {
    let (a, b) = ("<url><loc>https://e.org/a</loc></url>", "<url><loc>https://e.org/b</loc></url>");
    let x = "x".repeat((1 << 20) + 5);
    for (between, urls, skipped) in [
        // Not within an entry, so nothing is lost.
        (format!("<!-- <url> {x}-->"), 2, SkippedEntries::default()),
        (format!("<?{x}?>"), 2, SkippedEntries::default()),
        (x.clone(), 2, SkippedEntries::default()),
        (format!("<x y='>{x}'>z</x>"), 2, SkippedEntries::default()),
        (format!("<x y='>{x}'/>"), 2, SkippedEntries::default()),
        ("<a>".repeat(100_000), 2, SkippedEntries::default()),
        (format!("{}{}", "<a>".repeat(300), "</a>".repeat(300)), 2, SkippedEntries::default()),
        ("</a>".repeat(300), 2, SkippedEntries::default()),
        ("<!a>".into(), 2, SkippedEntries::default()),
        ("<!-a>".into(), 2, SkippedEntries::default()),
        ("<!->".into(), 2, SkippedEntries::default()),
        ("<!-a <b>".into(), 2, SkippedEntries::default()),
        // Within one.
        (format!("<url><loc>https://e.org/c</loc><t>{x}</t></url>"), 3, SkippedEntries::default()),
        (
            format!("<url><loc>{x}&amp;</loc></url>"),
            2,
            SkippedEntries { too_long: 1, cut_fields: 1, ..SkippedEntries::default() },
        ),
        (
            format!("<url><loc><![CDATA[{x}]]></loc></url>"),
            2,
            SkippedEntries { too_long: 1, cut_fields: 1, ..SkippedEntries::default() },
        ),
        (
            format!("<url><loc>/c</loc><x:link href='{x}'/></url>"),
            3,
            SkippedEntries { cut_fields: 1, ..SkippedEntries::default() },
        ),
        (
            format!("<url z=\"{x}\"><loc>/c</loc></url {x}>"),
            3,
            SkippedEntries { cut_fields: 0, ..SkippedEntries::default() },
        ),
        (format!("<url><loc>/c</loc>{}</url>", "<b>".repeat(5_000)), 3, SkippedEntries::default()),
        (
            format!("{}<loc>/c</loc>", "<url>".repeat(3)),
            2,
            SkippedEntries { unreadable: 3, ..SkippedEntries::default() },
        ),
    ] {
        let found = read(&urlset(&format!("{a}{between}{b}")));
        let shown = &between[..between.len().min(60)];
        assert_eq!((found.error, found.skipped), (None, skipped), "{shown}");
        assert_eq!(found.entries.len(), urls, "{shown}");
        assert_eq!(found.entries.last().map(|last| last.url.path()), Some("/b"), "{shown}");
    }
}

/// Names of open elements are stored by quick-xml, and sitemaps need none of them.
#[test]
fn a_file_that_nests_without_end_takes_no_memory_for_it() {
    let nested = Endless { left: 6 << 20, piece: b"<urls>", at: 0 };
    let bytes = b"<urlset>".chain(nested).chain(&b"<url><loc>https://e.org/a</loc></url></urlset>"[..]);
    let mut sitemap = SitemapReader::new(bytes, &URL.parse().unwrap());
    assert_eq!(sitemap.next().unwrap().unwrap().url.path(), "/a");
    let ReadState::Xml(entries) = &sitemap.state else { panic!("XML") };
    assert!(entries.open() <= 4_096);
    assert_eq!(sitemap.next(), None);
}

#[test]
fn what_is_no_sitemap_says_so() {
    for (text, expected) in
        [("<!doctype html><html><body>404</body></html>", "html"), ("<opml></opml>", "opml"), ("<!-- -->", "")]
    {
        let found = read(text);
        assert_eq!(found.error, Some(SitemapError::NotASitemap { root: expected.into() }), "{text}");
    }
    let found = read("");
    assert_eq!((found.error, found.entries.len()), (None, 0));
}

#[test]
fn a_file_that_was_cut_off_gives_what_is_whole() {
    let whole = urlset("<url><loc>https://e.org/a</loc></url><url><loc>https://e.org/b</loc></url>");
    for end in whole.find("/b").unwrap()..whole.len() - 1 {
        let found = read(&whole[..end]);
        assert_eq!(found.error, Some(SitemapError::Truncated), "{}", &whole[..end]);
        assert_eq!(found.urls()[0], "https://e.org/a");
    }
}

#[test]
fn charsets_come_from_mark_header_and_declaration() {
    let latin = b"<?xml version='1.0' encoding='iso-8859-1'?><urlset><url><loc>https://e.org/\xe9</loc></url></urlset>";
    assert_eq!(read_with(latin, SitemapLimits::default()).urls(), ["https://e.org/%C3%A9"]);
    let undeclared = b"<urlset><url><loc>https://e.org/\xe9</loc></url></urlset>";
    let sitemap = SitemapReader::new(&undeclared[..], &URL.parse().unwrap()).charset("latin1");
    assert_eq!(sitemap.map(|entry| entry.unwrap().url.to_string()).collect::<Vec<_>>(), ["https://e.org/%C3%A9"]);
    let text = urlset("<url><loc>https://e.org/é</loc></url>");
    let utf16: Vec<u8> = [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_be_bytes).collect();
    assert_eq!(read_with(&utf16, SitemapLimits::default()).urls(), ["https://e.org/%C3%A9"]);
}

#[test]
fn gzip_comes_off_and_may_be_broken() {
    let bytes = gzipped(urlset("<url><loc>https://e.org/a</loc></url>").as_bytes());
    assert_eq!(read_with(&bytes, SitemapLimits::default()).urls(), ["https://e.org/a"]);
    let found = read_with(&bytes[..bytes.len() / 2], SitemapLimits::default());
    assert!(matches!(found.error, Some(SitemapError::Read(_))), "{:?}", found.error);
}

#[test]
fn entity_bombs_are_errors_and_others_are_not_fetched() {
    let bomb = "<!DOCTYPE x [<!ENTITY a 'lol'><!ENTITY b '&a;&a;&a;'>]><urlset><url><loc>&b;</loc></url></urlset>";
    assert_eq!(read(bomb).error, Some(SitemapError::Entities));
    let foreign = "<!DOCTYPE x [<!entity a SYSTEM 'file:///etc/passwd'>]><urlset></urlset>";
    assert_eq!(read(foreign).error, Some(SitemapError::Entities));
}

#[test]
fn every_limit_is_shown() {
    let three = urlset(&"<url><loc>https://e.org/a</loc></url>".repeat(3));
    let found = read_with(three.as_bytes(), SitemapLimits { max_urls: 2, ..SitemapLimits::default() });
    assert_eq!((found.entries.len(), found.skipped.over_limit, found.error), (2, 1, None));
    let limits = SitemapLimits { max_bytes: 100_000, ..SitemapLimits::default() };
    let bomb = gzipped(urlset(&" ".repeat(10 << 20)).as_bytes());
    assert_eq!(read_with(&bomb, limits).error, Some(SitemapError::TooLarge { max_bytes: 100_000 }));
    let long = format!("<url><loc>https://e.org/{}</loc></url>", "x".repeat(3_000));
    assert_eq!(read(&urlset(&long)).skipped.too_long, 1);
    let images = "<image:image><image:loc>/i</image:loc></image:image>".repeat(1_001);
    let found = read(&urlset(&format!("<url><loc>/a</loc>{images}</url>")));
    assert_eq!((found.entries[0].images.len(), found.skipped.cut_fields), (1_000, 1));
}

/// A source generated while it is read, never in memory as a whole.
struct Endless {
    left: usize,
    piece: &'static [u8],
    at: usize,
}

impl Read for Endless {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let length = into.len().min(self.piece.len() - self.at).min(self.left);
        into[..length].copy_from_slice(&self.piece[self.at..self.at + length]);
        self.at = (self.at + length) % self.piece.len();
        self.left -= length;
        Ok(length)
    }
}

#[test]
fn a_large_file_is_read_in_pieces() {
    let entries = Endless {
        left: 20 << 20,
        piece: b"<url><loc>https://e.org/a</loc><lastmod>2026-01-01</lastmod></url>\n",
        at: 0,
    };
    let bytes = b"<urlset>".chain(entries);
    let mut sitemap = SitemapReader::new(bytes, &URL.parse().unwrap());
    assert_eq!(sitemap.by_ref().filter(Result::is_ok).count(), 50_000);
    assert!(sitemap.skipped().over_limit > 200_000);
}

#[test]
fn one_entry_does_not_fill_the_memory_and_keeps_its_url() {
    let image = format!("<image><loc>/i</loc><caption>{}</caption></image>", "x".repeat(2_000));
    let found = read(&urlset(&format!("<url>{}<loc>https://e.org/a</loc></url>", image.repeat(1_000))));
    let captions: usize = found.entries[0].images.iter().filter_map(|image| Some(image.caption.as_ref()?.len())).sum();
    assert!((1_000_000..=1 << 20).contains(&captions), "{captions}");
    assert_eq!(found.entries[0].url.as_str(), "https://e.org/a");
    assert!(found.skipped.cut_fields > 400, "{}", found.skipped.cut_fields);
}

#[test]
fn hostile_files_take_linear_time() {
    let files: [HostileInput; 8] = [
        |size| "<a>".repeat(size),
        |size| urlset(&"<url>".repeat(size)),
        |size| urlset(&"</url>".repeat(size)),
        |size| urlset(&"<url><loc>&".repeat(size)),
        |size| format!("<urlset {}>", "a='1' ".repeat(size)),
        |size| urlset(&format!("<url><link {}/></url>", "hreflang='1' ".repeat(size))),
        |size| "https://e.org\n".repeat(size),
        |size| "&#".repeat(size),
    ];
    assert_linear(10_000, &files, |text| drop(read(text)));
}

/// As gzip itself and browsers do. What a truncated file holds comes before its error, also if the file is small.
#[test]
fn what_follows_a_compressed_file_is_ignored_and_what_precedes_its_fault_is_read() {
    let file = gzipped(urlset("<url><loc>/a</loc></url>").as_bytes());
    for after in [&b"\0\0\0\0"[..], b"junk", b"\n", &[0; 100_000]] {
        let found = read_with(&[&file[..], after].concat(), SitemapLimits::default());
        assert_eq!((found.urls(), found.error.is_none()), (vec!["https://e.org/a"], true), "{:?}", &after[..1]);
    }
    let both = urlset("<url><loc>/a</loc></url><url><loc>/b</loc></url>");
    let (first, second) = both.split_at(130);
    let members = [gzipped(first.as_bytes()), gzipped(second.as_bytes())].concat();
    assert_eq!(read_with(&members, SitemapLimits::default()).urls(), ["https://e.org/a", "https://e.org/b"]);
    let found = read_with(&[&members[..], b"\x1f"].concat(), SitemapLimits::default());
    assert_eq!(found.urls().len(), 2);
    let found = read_with(&members[..members.len() - 20], SitemapLimits::default());
    assert!(found.error.is_some());
    let stored = {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::none());
        gzip.write_all(urlset(&"<url><loc>/a</loc></url>".repeat(20)).as_bytes()).unwrap();
        gzip.finish().unwrap()
    };
    let found = read_with(&stored[..400], SitemapLimits::default());
    assert!(found.entries.len() > 5 && found.error.is_some(), "{}: {:?}", found.entries.len(), found.error);
}

#[test]
fn a_url_within_an_unknown_element_is_not_the_entrys_own() {
    let own = "<url><x:y><x:loc>/no</x:loc></x:y><loc>/a</loc></url>";
    let unclosed = "<url><br><loc>/b</loc></url>";
    assert_eq!(read(&urlset(&format!("{own}{unclosed}"))).urls(), ["https://e.org/a", "https://e.org/b"]);
    let slashes = "<url><loc>///o.org/a</loc></url><url><loc>//o.org/b</loc></url>";
    assert_eq!(read(&urlset(slashes)).urls(), ["https://o.org/a", "https://o.org/b"]);
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes: Vec<u8>, piece in "(<|</|<!|\\?>|url|loc|>|&|;|CDATA|\\[|\\]|'|=| |é){0,60}") {
        read_with(&bytes, SitemapLimits::default());
        read(&piece);
        read(&urlset(&format!("<url><loc>{piece}")));
    }
}
