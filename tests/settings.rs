//! One file for a program and for the command line; variables win over it, and options over both. Each fault of it is
//! told.
#![cfg(feature = "cli")]

mod crawls;
mod recorder;

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use actix_crawler::{Settings, prelude::*};
use crawls::{Links, links, run};
use recorder::{Answer, Recorder};

fn site() -> Recorder {
    Recorder::start(|asked| match asked.path.as_str() {
        "/" => Answer::page(["/a", "/b", "/c"]),
        _ => Answer::ok(""),
    })
}

/// A file for a crawl of the site's home page and one more.
fn file(site: &Recorder, folder: &Path) -> String {
    let path = folder.join("crawl.toml");
    let text = format!(
        "seeds = ['{}']\n[politeness]\nrate = 'unlimited'\nrobots = 'ignore'\n[scope]\nmax_pages = 2\n\
         [transport.guard]\nallow_private = true\n[headers.all]\nx-from = 'file'\n",
        site.url("/")
    );
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn command(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_actix-crawler"));
    command.args(arguments).envs(variables.iter().copied()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_program_crawls_with_the_file_of_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let by_program = site();
    let settings = Settings::read(file(&by_program, folder.path())).unwrap();
    let report = run(Crawler::from_settings(links as Links, settings));
    let by_command = site();
    let output = command(&["crawl", "--config", &file(&by_command, folder.path())], &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(report.pages(), 2, "{report}");
    for site in [by_program, by_command] {
        assert_eq!(site.paths(), ["/", "/a"]);
        assert!(site.asked().iter().all(|asked| asked.header("x-from") == Some("file")));
        let user_agent = concat!("actix-crawler/", env!("CARGO_PKG_VERSION"));
        assert!(site.asked().iter().all(|asked| asked.header("user-agent") == Some(user_agent)));
    }
}

#[test]
fn a_variable_wins_over_the_file_and_an_option_over_both() {
    let (site, folder) = (site(), tempfile::tempdir().unwrap());
    let file = file(&site, folder.path());
    let three = ("ACTIX_CRAWLER_SCOPE__MAX_PAGES", "3");
    assert!(command(&["crawl", "--config", &file], &[three]).status.success());
    assert_eq!(site.count(), 3);
    assert!(command(&["crawl", "--config", &file, "--max-pages", "1"], &[three]).status.success());
    assert_eq!(site.count(), 3 + 1);
    let seed = format!("['{}']", site.url("/"));
    let all =
        [("ACTIX_CRAWLER_SEEDS", seed.as_str()), ("ACTIX_CRAWLER_TRANSPORT__GUARD__ALLOW_PRIVATE", "true"), three];
    assert!(command(&["crawl", "--rate", "unlimited", "--robots", "ignore"], &all).status.success());
    assert_eq!(site.count(), 3 + 1 + 3);
    let typo = command(&["crawl", "--config", &file], &[("ACTIX_CRAWLER_SCOPE__MAX_PAGE", "3")]);
    let said = text(&typo.stderr);
    assert_eq!(typo.status.code(), Some(2), "{said}");
    assert!(said.contains("did you mean ACTIX_CRAWLER_SCOPE__MAX_PAGES?"), "{said}");
    assert_eq!(site.count(), 7, "nothing was fetched");
}

#[test]
fn each_fault_of_a_file_is_told_by_config_check() {
    let (site, folder) = (site(), tempfile::tempdir().unwrap());
    let right = file(&site, folder.path());
    let output = command(&["config", "check", &right], &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("crawl.toml is right"));

    let wrong = folder.path().join("wrong.toml");
    fs::write(&wrong, "treads = 2\n[politeness]\nspaceing = '2s'\nrate = 'fast'\n").unwrap();
    let output = command(&["config", "check", wrong.to_str().unwrap()], &[]);
    let said = text(&output.stdout);
    assert_eq!((output.status.code(), said.lines().count()), (Some(2), 3), "{said}");
    for (line, words) in said.lines().zip([
        ["wrong.toml line 1", "did you mean threads?"],
        ["wrong.toml line 3", "did you mean spacing?"],
        ["wrong.toml line 4", "50/s"],
    ]) {
        assert!(words.iter().all(|word| line.contains(word)), "{line}");
    }
    for (path, why) in [("nowhere.toml", "there is no such file"), ("src", "it is a directory")] {
        let output = command(&["config", "check", path], &[]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2));
        assert!(said.contains(&format!("{path} cannot be read: {why}")), "{said}");
    }
}

#[test]
fn config_check_tells_of_variables_too_and_a_cause_of_two_lines_is_one() {
    let (site, folder) = (site(), tempfile::tempdir().unwrap());
    let file = file(&site, folder.path());
    let check = |variables: &[(&str, &str)]| {
        let output = command(&["config", "check", &file], variables);
        (output.status.code(), text(&output.stdout))
    };
    let three = ("ACTIX_CRAWLER_SCOPE__MAX_PAGES", "3");
    assert_eq!(check(&[three]), (Some(0), format!("{file} is right, with {} of the environment\n", three.0)));
    let (code, said) =
        check(&[("ACTIX_CRAWLER_SCOPE__MAX_PAGE", "3"), ("ACTIX_CRAWLER_SCOPE__ALLOW", "['a(']"), three]);
    let lines: Vec<_> = said.lines().collect();
    let [regex, typo] = &lines[..] else { panic!("{said}") };
    assert_eq!(code, Some(2));
    assert!(regex.starts_with("ACTIX_CRAWLER_SCOPE__ALLOW: ") && regex.contains("unclosed group"), "{regex}");
    assert!(typo.starts_with("ACTIX_CRAWLER_SCOPE__MAX_PAGE: ") && typo.contains("did you mean"), "{typo}");

    // What a variable replaces is told too: the file may be used without it.
    fs::write(&file, "[scope]\nmax_pages = 'many'\nallow = ['(']\n[pages]\neach = 'a['\n").unwrap();
    let (_, said) = check(&[three]);
    let lines: Vec<_> = said.lines().collect();
    let [pages, allow, each] = &lines[..] else { panic!("{said}") };
    assert!(pages.contains("line 2, `max_pages = 'many'`") && allow.contains("unclosed group"), "{said}");
    assert!(each.contains("line 5, `each = 'a['`") && !each.ends_with('^'), "{said}");
}

/// What `config check` prints of a file with faults.
fn told(text_of_file: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wrong.toml");
    fs::write(&file, text_of_file).unwrap();
    let output = command(&["config", "check", file.to_str().unwrap()], &[]);
    assert_eq!(output.status.code(), Some(2), "{text_of_file}: {}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn each_fault_of_meaning_is_told_with_its_line_and_its_whole_key() {
    for (text_of_file, words) in [
        ("\n[politeness]\njitter = -1\n", "line 3, `jitter = -1`: politeness.jitter: -1 is not between"),
        (
            "[pages.select]\nprice = '.price'\n[[feeds]]\nto = 'a.csv'\nfields = ['url', 'prize']\n",
            "line 3, `[[feeds]]`: feeds[0]: items have no field `prize`; did you mean `price`? there are url, ",
        ),
        ("[[feeds]]\nto = 'a.sqlite'\nkey = ['ean']\n", "items have no field `ean`; there are url, "),
        ("[sitemaps]\nmin_priority = 2.0\n", "line 2, `min_priority = 2.0`: sitemaps.min_priority: "),
        (
            "[domains.'www.example.org']\nrobots = 'ignore'\n",
            "line 1, `[domains.'www.example.org']`: domains.\"www.example.org\": ",
        ),
        (
            "[domains.'localhost.']\nproxies = ['ftp://x']\n",
            "line 2, `proxies = ['ftp://x']`: domains.\"localhost.\".proxies[0]: ",
        ),
        (
            "[domains.'e.org']\nheaders = { authorization = 'sekret' }\n",
            "line 2, `headers = …`: domains.\"e.org\".headers.authorization: ",
        ),
        ("[headers.all]\nAuthorization = 'sekret'\n", "line 2, `Authorization = …`: headers.all.Authorization: "),
        ("[headers.origins.'example.org']\nx = 'y'\n", "headers.origins.\"example.org\": "),
        ("[pages.select]\nhead = 'h1['\n", "line 2, `head = 'h1['`: pages.select.head: "),
        ("[pages.convert]\n'pdf' = 'x'\n", "line 2, `'pdf' = 'x'`: pages.convert.pdf: "),
        (
            "[pages.validate.fields.nope]\nrequired = true\n",
            "line 1, `[pages.validate.fields.nope]`: pages.validate.fields.nope: ",
        ),
        ("seeds = ['https://e.org',\n 'example.org']\n", "line 2, `'example.org']`: seeds[1]: "),
        ("[transport]\nresolve = ['x']\n", "line 2, `resolve = ['x']`: transport.resolve[0]: "),
        ("[transport.proxies]\nvia = ['nowhere']\n", "line 2, `via = ['nowhere']`: transport.proxies.via[0]: "),
        (
            "[transport.tls]\nca_files = ['/nonexistent.pem']\n",
            "line 2, `ca_files = ['/nonexistent.pem']`: transport.tls.ca_files[0]: ",
        ),
        (
            "[transport.archive]\ndir = 'a'\nfile_name = 'x.warc.gz'\n",
            "line 3, `file_name = 'x.warc.gz'`: transport.archive.file_name: write a name with {serial}",
        ),
        ("user_agent = 'x'\n", "line 1, `user_agent = 'x'`: user_agent: "),
        ("user_agent = ''\n", "line 1, `user_agent = ''`: user_agent: "),
        ("contact = 'x'\n", "line 1, `contact = 'x'`: contact: "),
        ("contact = ''\n", "line 1, `contact = ''`: contact: "),
    ] {
        let said = told(text_of_file);
        assert!(said.lines().count() == 1 && said.contains(words), "{said} and not {words}");
        assert!(!said.contains("sekret") && !said.contains("header_for"), "{said}");
    }
    let all = told("log = ''\nthreads = 0\ntreads = 1\n[politeness]\njitter = -1\nrate = 'fast'\n");
    let lines: Vec<_> = all.lines().filter_map(|line| line.split("line ").nth(1)?.split(',').next()).collect();
    assert_eq!(lines, ["1", "2", "3", "5", "6"], "{all}");
}

#[test]
fn what_options_refuse_is_refused_in_a_file_too() {
    for (key, value) in [
        ("threads", "0"),
        ("threads", "100000"),
        ("nice", "20"),
        ("max_queued", "0"),
        ("max_links_per_page", "0"),
        ("parse_timeout", "0"),
        ("state", "''"),
        ("log", "''"),
        ("pages.output", "''"),
        ("pages.summary", "''"),
        ("scope.max_url_length", "0"),
        ("scope.max_pages", "0"),
        ("transport.max_connections", "0"),
        ("transport.body.max_bytes", "0"),
        ("transport.body.max_ratio", "0"),
        ("transport.deadlines.connect", "0"),
        ("pages.validate.fields.title.min", "nan"),
        ("politeness.per_domain", "0"),
        ("max_queued", "-1"),
    ] {
        let line = format!("{key} = {value}");
        let said = told(&line);
        let place = format!("line 1, `{line}`: {key}: ");
        assert!(said.lines().count() == 1 && said.contains(&place), "{said} and not {place}");
    }
    let none = Settings { max_queued: 0, ..Settings::default() };
    assert_eq!(none.check().unwrap_err().to_string(), "max_queued: 0 allows nothing; write at least 1");
}

#[test]
fn what_is_of_another_kind_is_told_in_plain_words() {
    for (text_of_file, words) in [
        ("scope.traps = []", "scope.traps: a list does not belong here; write a table"),
        ("scope.traps = [1]", "scope.traps: a list does not belong here; write a table"),
        ("scope.canonical = []", "scope.canonical: a list does not belong here; write a table"),
        ("recrawl.adaptive = [1]", "recrawl.adaptive: a list does not belong here; write a table"),
        (
            "transport.response_store = ['a', 'cache', 1]",
            "transport.response_store: a list does not belong here; write a table",
        ),
        (
            "parse_timeout = true",
            "parse_timeout: true or false does not belong here; write a text in quotation marks, such as \"1s\"",
        ),
        ("parse_timeout = -1.5", "parse_timeout: `-1.5` is no duration; write it like 1s, 250ms or 2m 30s"),
        ("max_queued = 1.5", "max_queued: a number with a point does not belong here; write a whole number, as 10"),
        ("seeds = 'https://e.org'", "seeds: a text does not belong here; write a list"),
        ("scope.within = 'hots'", "did you mean \"host\"?"),
        // The nearest of all keys, also where another of its own table is near.
        ("max_page = 3", "did you mean max_pages of [scope]?"),
        ("politeness.delay = '1s'", "write spacing = \"1s\" in [politeness]"),
        ("politeness.rate = '2'", "politeness.rate: `2`"),
        ("sitemaps.max_nesting = 300", "sitemaps.max_nesting: 300 is too large"),
    ] {
        let said = told(text_of_file);
        assert!(said.lines().count() == 1 && said.contains(words), "{said} and not {words}");
        for word in ["untagged", "variant", "expected", "struct", "usize", "rate: rate"] {
            assert!(!said.contains(word), "{said}");
        }
    }
}

#[test]
fn a_fault_of_a_variable_is_told_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("right.toml");
    fs::write(&file, "seeds = ['https://e.org/']\n[scope.traps]\nmax_segments = 3\n").unwrap();
    for (name, value) in [
        ("ACTIX_CRAWLER_SEEDS", "['example.org']"),
        ("ACTIX_CRAWLER_SEEDS", "[1]"),
        ("ACTIX_CRAWLER_POLITENESS__JITTER", "-1"),
        ("ACTIX_CRAWLER_POLITENESS__JITTER", "true"),
        ("ACTIX_CRAWLER_TRANSPORT__PROXIES__OVERRIDES", "[{ hots = 'x', via = [] }]"),
        ("ACTIX_CRAWLER_TRANSPORT__TLS__CA_FILES", "['/nonexistent.pem']"),
        ("ACTIX_CRAWLER_CONTACT", "x"),
        ("ACTIX_CRAWLER_STATE", ""),
        ("ACTIX_CRAWLER_SCOPE__TRAPS", "[]"),
    ] {
        let output = command(&["crawl", "--config", file.to_str().unwrap()], &[(name, value)]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(&format!("{name}: ")) && !said.contains("line "), "{said}");
    }
}

#[test]
fn a_variable_of_the_pace_replaces_all_of_the_files_pace() {
    let variable = ("ACTIX_CRAWLER_POLITENESS__RATE".to_owned(), "2/s".to_owned());
    let text = "[politeness]\nspacing = '9s'\nrest = '9s'\nrobots = 'ignore'\n";
    let politeness = Settings::from_toml_with(text, &[variable]).unwrap().politeness;
    assert_eq!((politeness.rate, politeness.spacing, politeness.rest), (Some(Rate::per_second(2)), None, None));
    assert_eq!(politeness.robots, actix_crawler::RobotsPolicy::Ignore);
}

#[test]
fn no_secret_is_in_an_error() {
    for text_of_file in [
        "[[transport.credentials]]\norigin = 'https://e.org'\n[transport.credentials.credentials.basic]\nuser = 'me'\npasword = 'sekret'\n",
        "transport.credentials = [{ origin = 'https://e.org', credentials = { basic = { user = 'me', pasword = 'sekret' } } }]",
        "transport.credentials = [{ origin = 'https://e.org', credentials = 'sekret' }]",
        "transport.credentials = [{ origin = 'https://e.org', credentials = { bearr = 'sekret' } }]",
        "[transport.credentials]\npassword = sekret\n",
        "[headers.origins.'https://e.org']\nauthorization = ['sekret']\n",
        "seeds = ['http://me:sekret@:99/']",
        "transport.proxies.via = ['ftp://me:sekret@e.org']",
    ] {
        let said = told(text_of_file);
        assert!(said.contains("line ") && !said.contains("sekret"), "{said}");
    }
    for arguments in [
        ["--user", "me:sekret"],
        ["-H", "Authorization Bearer sekret"],
        ["--proxy", "ftp://me:sekret@e.org"],
        ["http://me:sekret@:99/", "--progress=never"],
    ] {
        let output = command(&[&["crawl", "http://127.0.0.1:9/", "--allow-private"], &arguments[..]].concat(), &[]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("write it") || said.contains("write a header") || said.contains("***"), "{said}");
        assert!(!said.contains("sekret"), "{said}");
    }
    let no_number = command(&["crawl", "http://127.0.0.1:9/", "--min", "title=x"], &[]);
    assert!(text(&no_number.stderr).contains("`x` is no number; write it like 0.01"), "{}", text(&no_number.stderr));
}

#[test]
fn the_schema_is_printed_as_the_library_has_it() {
    let output = command(&["config", "schema"], &[]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap(), Settings::schema());
}
