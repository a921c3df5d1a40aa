//! Options: the command line as clap reads it. Where an option is not given, the `--config` file's value holds, or the
//! library's default.

use std::{num::NonZeroU32, path::PathBuf, time::Duration};

use actix_crawler::{
    Order, Rate, RobotsPolicy, Within,
    extract::sitemap::W3cDate,
    settings::Pattern,
    transport::{IpNet, OriginCredentials},
};
use clap::{Arg, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use http::Method;

use super::{
    convert::Converter,
    exit,
    page::Part,
    validation::ValidationOptions,
    values::{self, Select},
};

/// Crawls many domains politely: it obeys robots.txt, makes one request at a time to each domain, and leaves a second
/// between two, unless you say otherwise.
#[derive(Debug, Parser)]
#[command(
    name = "actix-crawler",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The names of values that never begin with a hyphen. clap takes `-1` in `--depth -1` for an unknown option; passed on
/// as a value, it is answered with what to write.
const NEVER_HYPHENATED: [&str; 11] = [
    "N",
    "TIME",
    "DATE",
    "RATE",
    "BYTES",
    "CIDR",
    "host|domain|any",
    "obey|ignore",
    "follow|ignore",
    "auto|never",
    "found|breadth|depth",
];

impl Cli {
    /// Reads the command line.
    ///
    /// # Errors
    /// It is wrong, or asks for help.
    pub fn read() -> Result<Self, clap::Error> {
        let takes_one = |arg: &Arg| {
            arg.get_value_names()
                .is_some_and(|names| names.iter().any(|name| NEVER_HYPHENATED.contains(&name.as_str())))
        };
        let mark = |arg: Arg| if takes_one(&arg) { arg.allow_hyphen_values(true) } else { arg };
        let command = Self::command().mut_subcommands(|command| command.mut_args(mark));
        Self::from_arg_matches(&command.try_get_matches()?)
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Crawl from the given URLs, and write one JSON line for each page
    Crawl(Box<CrawlOptions>),
    /// Send many requests to an API at exactly the rate that it allows, and write one JSON line for each answer
    Poll(Box<PollOptions>),
    /// Fetch a robots file, and say for each path whether it is allowed, by which line, and why
    Robots(RobotsOptions),
    /// Print what the sitemaps of a site list
    Sitemap(SitemapOptions),
    /// Fetch one URL and show the answer, as curl does
    Fetch(FetchOptions),
    /// Show what a crawl's state directory holds, verify it, or change it between two crawls
    State(StateOptions),
    /// Say where a URL stands in a crawl and why: it waits, has ended, and how, or was never found
    Explain(ExplainOptions),
    /// List, extract, verify or index what WARC files contain, as --warc writes them
    Warc(WarcOptions),
    /// Check a file for --config, or print its JSON Schema
    Config(ConfigOptions),
    /// Crawl a dozen small sites on this machine, without internet, and show how politely; takes under a minute
    Demo(DemoOptions),
}

/// Who asks.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Who asks")]
pub struct IdentityOptions {
    /// Where site owners can reach you: a URL or a mail address; required unless every URL is loopback
    #[arg(long, value_name = "URL-or-mail")]
    pub contact: Option<String>,
    /// The whole User-Agent, with a contact in it, as `mybot/1.0 (+https://example.org/bot)` [default: made of --contact]
    #[arg(long, value_name = "UA", conflicts_with = "contact")]
    pub user_agent: Option<String>,
}

/// How to connect.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Network")]
pub struct Network {
    /// Connect to private, loopback and link-local addresses too [default: they are refused]
    #[arg(long)]
    pub allow_private: bool,
    /// Connect to the addresses of this network too, although they are private, as 10.1.0.0/16; may be repeated
    #[arg(long, value_name = "CIDR", value_parser = values::network)]
    pub allow_address: Vec<IpNet>,
    /// Connect to this address for a host: HOST:ADDR or HOST:ADDR:PORT, also with `*.example.org`; may be repeated
    #[arg(long, value_name = "HOST:ADDR")]
    pub resolve: Vec<String>,
    /// Send requests through this proxy: http://, https://, socks5:// or socks5h://[name:password@]host:port; several
    /// take turns
    #[arg(long, value_name = "URL")]
    pub proxy: Vec<String>,
    /// Send requests through the proxies that HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY name
    #[arg(long)]
    pub proxy_env: bool,
    /// Trust the certificate authorities in this PEM file too; may be repeated
    #[arg(long, value_name = "FILE.pem")]
    pub ca: Vec<PathBuf>,
    /// Accept any certificate from this host, for sites of your own; may be repeated
    #[arg(long, value_name = "HOST")]
    pub insecure: Vec<String>,
    /// Send a name and a password to this origin only, as https://example.org=NAME:PASSWORD; may be repeated
    #[arg(long, value_name = "ORIGIN=NAME:PASSWORD", value_parser = values::user)]
    pub user: Vec<OriginCredentials>,
    /// The longest that one request may take, as `30s`; a bare number is seconds [default: 2m]
    #[arg(long, value_name = "TIME", value_parser = values::deadline)]
    pub timeout: Option<Duration>,
    /// The largest body in bytes, as `500k` or `10M` [default: 10Mi]
    #[arg(long, value_name = "BYTES", value_parser = values::bytes)]
    pub max_body: Option<u64>,
    /// Read answers that have both Transfer-Encoding and Content-Length, by the former alone, as curl does [default: they
    /// fail]
    #[arg(long)]
    pub chunked_over_length: bool,
}

/// The options of `crawl`.
#[derive(Args, Debug, Default)]
#[command(after_help = exit::OF_CRAWL)]
pub struct CrawlOptions {
    /// The URLs to begin with, each with its scheme: https://…
    #[arg(value_name = "URL")]
    pub urls: Vec<String>,
    /// Begin with the URLs in this file too, one a line; `-` is stdin
    #[arg(long, value_name = "FILE")]
    pub seeds: Option<PathBuf>,
    /// Skip lines of --seeds that are no URL, and say how many were [default: the first one ends the command]
    #[arg(long, requires = "seeds")]
    pub skip_bad_seeds: bool,
    /// Read settings from this TOML file, which docs/CONFIG.md describes; variables as ACTIX_CRAWLER_POLITENESS__RATE
    /// replace its values, and options those; --allow, --deny and --resolve add to them
    #[arg(long, value_name = "FILE.toml")]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    pub identity: IdentityOptions,

    /// The most links to follow from a seed to a page; 0 takes the seeds alone [default: no bound]
    #[arg(long, alias = "max-depth", value_name = "N", value_parser = values::count, help_heading = "Which pages")]
    pub depth: Option<u32>,
    /// The most pages in all, with --state in all its runs together; redirects, error statuses, robots files,
    /// sitemaps and files of --files do not count [default: no bound]
    #[arg(long, value_name = "N", value_parser = values::many, help_heading = "Which pages")]
    pub max_pages: Option<u64>,
    /// The most requests in all, with --state in all its runs together; redirects, error statuses and retries count, robots
    /// files, sitemaps and files of --files do not [default: no bound]
    #[arg(long, value_name = "N", value_parser = values::many, help_heading = "Which pages")]
    pub max_requests: Option<u64>,
    /// The most pages of each domain; what counts is as for --max-pages [default: no bound]
    #[arg(long, value_name = "N", value_parser = values::many, help_heading = "Which pages")]
    pub max_pages_per_domain: Option<u64>,
    /// The most requests that wait in memory; with --state they wait on disk, without this bound [default: 10000000]
    #[arg(long, value_name = "N", value_parser = values::many, help_heading = "Which pages")]
    pub max_queued: Option<u64>,
    /// The most requests of one domain that wait [default: 1000000 in memory, 10000000 with --state]
    #[arg(long, value_name = "N", value_parser = values::many, help_heading = "Which pages")]
    pub max_queued_per_domain: Option<u64>,
    /// The most memory that waiting requests take, as `1G` [default: 4G]
    #[arg(long, value_name = "BYTES", value_parser = values::bytes, help_heading = "Which pages")]
    pub max_queued_bytes: Option<u64>,
    /// The most links to read from one page; those beyond are counted as dropped [default: 10000]
    #[arg(long, value_name = "N", value_parser = values::many, help_heading = "Which pages")]
    pub max_links_per_page: Option<u64>,
    /// Whether a page that sends its readers on within 5 s, by a Refresh header or <meta http-equiv=refresh>, is a
    /// redirect, or a page that links there [default: follow]
    #[arg(long, value_name = "follow|ignore", value_parser = follows_refresh, help_heading = "Which pages")]
    pub refresh: Option<bool>,
    /// How far to go from the seeds: to their hosts, their registrable domains, or anywhere [default: domain]
    #[arg(long, alias = "within", value_name = "host|domain|any", value_parser = within, help_heading = "Which pages")]
    pub scope: Option<Within>,
    /// Take only URLs that match this regular expression; may be repeated, and then one must match
    #[arg(long, value_name = "RE", value_parser = values::pattern, help_heading = "Which pages")]
    pub allow: Vec<Pattern>,
    /// Take no URL that matches this regular expression; may be repeated
    #[arg(long, value_name = "RE", value_parser = values::pattern, help_heading = "Which pages")]
    pub deny: Vec<Pattern>,
    /// Fetch a URL again when it is found so long after its last visit, as `7d` [default: never]
    #[arg(long, value_name = "TIME", value_parser = values::deadline, help_heading = "Which pages")]
    pub revisit_after: Option<Duration>,
    /// Fetch a URL again when a sitemap says that it was modified since its last visit, and no other that it lists; reads
    /// sitemaps as --sitemaps does
    #[arg(long, help_heading = "Which pages")]
    pub revisit_modified: bool,
    /// Read the sitemaps of all seeds' sites too, and fetch the pages that they list
    #[arg(long, help_heading = "Which pages")]
    pub sitemaps: bool,
    /// Take from sitemaps only what was modified since this date, as 2026-02-01, or has no date; reads sitemaps as
    /// --sitemaps does [default: all]
    #[arg(long, value_name = "DATE", value_parser = values::date, help_heading = "Which pages")]
    pub since: Option<W3cDate>,
    /// Fetch the seeds again although --state has seen them, to find what is new
    #[arg(long, help_heading = "Which pages")]
    pub seeds_again: bool,
    /// Which of a domain's pages goes first: the one that was found first, the nearest to a seed, or the farthest from it
    /// [default: found]
    #[arg(long, value_name = "found|breadth|depth", value_parser = order, help_heading = "Which pages")]
    pub order: Option<Order>,
    /// Leave out pages whose text is nearly that of an earlier page, with the links on them
    #[arg(long, help_heading = "Which pages")]
    pub skip_near_duplicates: bool,
    /// Do not follow links that `rel=nofollow`, a robots meta tag or `X-Robots-Tag` marks
    #[arg(long, help_heading = "Which pages")]
    pub respect_nofollow: bool,

    /// The most requests to each domain in any window: 2/s, 30/m, 1/10s or unlimited [default: see --delay]
    #[arg(long, value_name = "RATE", value_parser = values::rate, help_heading = "How politely")]
    pub rate: Option<Rate>,
    /// The least time between two requests to each domain, as `250ms` or `2m`; a bare number is seconds [default: 1s, or
    /// none with --rate]
    #[arg(long, alias = "spacing", value_name = "TIME", value_parser = values::duration, help_heading = "How politely")]
    pub delay: Option<Duration>,
    /// The most requests in flight to each domain [default: 1]
    #[arg(long, value_name = "N", value_parser = values::positive, help_heading = "How politely")]
    pub per_domain: Option<NonZeroU32>,
    /// The most pages in flight in all, from the request until their items are written [default: 64]
    #[arg(long, value_name = "N", value_parser = values::positive, help_heading = "How politely")]
    pub concurrency: Option<NonZeroU32>,
    /// Whether to obey robots.txt, or to ignore it on sites of your own [default: obey]
    #[arg(long, value_name = "obey|ignore", value_parser = robots, help_heading = "How politely")]
    pub robots: Option<RobotsPolicy>,
    /// How many times to try a request again that failed for a passing reason [default: 2]
    #[arg(long, value_name = "N", value_parser = values::count, help_heading = "How politely")]
    pub retries: Option<u32>,

    #[command(flatten)]
    pub network: Network,
    /// Send this header with every request that has none of its name, as `Name: value`; may be repeated. A Host, and
    /// what looks like a secret, as Authorization, Cookie and X-Api-Key, goes to the origins of the given URLs only
    #[arg(short = 'H', long, value_name = "HEADER", value_parser = values::header, help_heading = "Network")]
    pub header: Vec<(String, String)>,
    /// Keep the cookies that servers set, and send them back [default: ignore them]
    #[arg(long, help_heading = "Network")]
    pub cookies: bool,
    /// Keep an HTTP cache in this directory: fresh answers are not fetched again, others only if they changed
    #[arg(long, value_name = "DIR", conflicts_with_all = ["record", "replay"], help_heading = "Network")]
    pub cache: Option<PathBuf>,
    /// Record every answer in this directory, for --replay
    #[arg(long, value_name = "DIR", conflicts_with = "replay", help_heading = "Network")]
    pub record: Option<PathBuf>,
    /// Crawl what --record kept in this directory, or what WARC files in it contain, without any network
    #[arg(long, value_name = "DIR", help_heading = "Network")]
    pub replay: Option<PathBuf>,
    /// Archive each request and response as it was on the wire in this directory, in WARC files; `actix-crawler warc` reads
    /// them, and so do pywb and other tools of web archives
    #[arg(long, value_name = "DIR", conflicts_with = "replay", help_heading = "Network")]
    pub warc: Option<PathBuf>,
    /// The number of network threads [default: the number of cores]
    #[arg(long, value_name = "N", value_parser = values::threads, help_heading = "Network")]
    pub threads: Option<u16>,

    #[command(flatten)]
    pub validation: ValidationOptions,

    /// Add a field with the texts of the elements that a CSS selector finds, or with NAME=CSS@ATTRIBUTE the values of
    /// their attribute; may be repeated. It replaces a field of the page that has its name, as title, but not url
    #[arg(long, value_name = "NAME=CSS", help_heading = "Output")]
    pub select: Vec<Select>,
    /// Download files of each page to this folder, and add a field `files` that says what became of each: its images, or what
    /// --files-css selects. What is there is not requested again for 90 days
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub files: Option<PathBuf>,
    /// Which files --files downloads: the href or src of the elements that a CSS selector finds, as a[href$='.pdf']; may be
    /// repeated [default: img]
    #[arg(long, value_name = "CSS", help_heading = "Output")]
    pub files_css: Vec<String>,
    /// Add a field `simhash`: 16 digits, of which pages that are nearly the same nearly share the bits
    #[arg(long, help_heading = "Output")]
    pub simhash: bool,
    /// Add a field `language`: that of <html lang>, or of the header Content-Language, or a guess
    #[arg(long, help_heading = "Output")]
    pub language: bool,
    /// Add a field `markdown` with the main content of each page, or with --markdown=whole all of it; says the same of the
    /// files of -o FOLDER/
    #[arg(
        long,
        value_enum,
        value_name = "main|whole",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "main",
        help_heading = "Output"
    )]
    pub markdown: Option<Part>,
    /// Read documents of this content type as pages, by a program that reads one on stdin and writes text or HTML on stdout:
    /// application/pdf="pdftotext - -"; spaces separate its arguments, quotes do not join them, and no shell reads it; may
    /// be repeated
    #[arg(long, value_name = "TYPE=COMMAND", help_heading = "Output")]
    pub convert: Vec<Converter>,
    /// Write pages to this file, as its ending says: .jsonl, .json, .csv or .xml, with .gz or .zst after it if it is to be
    /// compressed; {domain}, {time} and {spider} in the name are filled in. Or to the table `items` of a database: .sqlite or
    /// .db, or, if this program has the feature `postgres`, a URL like postgres://user@host/database with the password in
    /// PGPASSWORD. With the feature `parquet` also to .parquet, and with `object-store` to objects of a bucket, as
    /// s3://bucket/{domain}.jsonl. Or, if it ends with a slash, each to a file of Markdown in this folder, with an llms.txt
    /// that lists them; `-` is stdout, as JSON Lines; may be repeated [default: -]
    #[arg(short, long, value_name = "FILE|FOLDER/|-", help_heading = "Output")]
    pub output: Vec<PathBuf>,
    /// Put a ' before CSV texts that a spreadsheet would take for a formula, as those that begin with = + - @
    #[arg(long, help_heading = "Output")]
    pub escape_formulas: bool,
    /// Keep the crawl's state in this directory: the same command goes on where the last ended, and adds to its files
    /// [default: in memory]
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub state: Option<PathBuf>,
    /// Write the crawl log to this file: one JSON line for every request that ended or was dropped, and why
    #[arg(long, value_name = "FILE.jsonl", help_heading = "Output")]
    pub log: Option<PathBuf>,
    /// Write the summary as JSON to this file; its text goes to stderr, or to stdout if pages go to a file
    #[arg(long, value_name = "FILE.json", help_heading = "Output")]
    pub summary: Option<PathBuf>,
    /// Whether to show progress on stderr, as a bar on a terminal and as lines elsewhere
    #[arg(long, value_enum, default_value_t, value_name = "auto|never", help_heading = "Output")]
    pub progress: ProgressMode,
}

/// The options of `poll`.
#[derive(Args, Debug)]
#[command(after_help = exit::OF_POLL)]
pub struct PollOptions {
    /// URLs with their scheme, https://…; files; or `-` for stdin. A file has a URL or a JSON object on each line:
    /// {"url", "method", "headers", "body"}. A wrong line becomes a line of the output with the error
    #[arg(value_name = "URL|FILE|-")]
    pub urls: Vec<String>,
    /// Read requests from this file too; the same as a FILE among the arguments
    #[arg(short, long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// The method of requests that do not name one [default: GET, or POST with a body]
    #[arg(short = 'X', long, value_name = "M", value_parser = values::method)]
    pub method: Option<Method>,
    /// Send this header with every request, as `Name: value`; may be repeated. A
    /// User-Agent needs a contact in it, which does not replace --contact
    #[arg(short = 'H', long, value_name = "HEADER", value_parser = values::header)]
    pub header: Vec<(String, String)>,
    /// Never send this header along with a redirect to another origin; may be repeated. It holds in any case for
    /// Host, Authorization, Cookie, and names that look like a secret, as X-Api-Key
    #[arg(long, value_name = "NAME", value_parser = values::header_name)]
    pub secret_header: Vec<String>,
    /// The body of requests that have none of their own [default: none]
    #[arg(short, long, value_name = "BODY")]
    pub data: Option<String>,

    #[command(flatten)]
    pub identity: IdentityOptions,

    /// The most requests to each domain in any window: 50/s, 30/m, 1/10s or unlimited [default: 1/s]
    #[arg(long, value_name = "RATE", value_parser = values::rate, help_heading = "How fast")]
    pub rate: Option<Rate>,
    /// The most requests in flight to each domain
    #[arg(long, value_name = "N", default_value = "100", value_parser = values::positive, help_heading = "How fast")]
    pub concurrency: NonZeroU32,
    /// How many times to try a request again that failed for a passing reason [default: 2]
    #[arg(long, value_name = "N", value_parser = values::count, help_heading = "How fast")]
    pub retries: Option<u32>,

    #[command(flatten)]
    pub network: Network,
    /// Keep the cookies that servers set, and send them back [default: ignore them]
    #[arg(long, help_heading = "Network")]
    pub cookies: bool,
    /// Archive each request and response as it was on the wire in this directory, in WARC files
    #[arg(long, value_name = "DIR", help_heading = "Network")]
    pub warc: Option<PathBuf>,

    /// Write the answers to this file, as JSON Lines; `-` is stdout [default: -]
    #[arg(short, long, value_name = "FILE.jsonl|-", help_heading = "Output")]
    pub output: Option<PathBuf>,
    /// Write answers in the order in which they come [default: the order of the input]
    #[arg(long, help_heading = "Output")]
    pub unordered: bool,
    /// Add this header of the answer to its line; may be repeated
    #[arg(long, value_name = "NAME", value_parser = values::header_name, help_heading = "Output")]
    pub keep_header: Vec<String>,
    /// Write each body to a file in this directory, named by the request's index [default: into the line]
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub save_dir: Option<PathBuf>,
    /// Write the summary as JSON to this file; its text goes to stderr
    #[arg(long, value_name = "FILE.json", help_heading = "Output")]
    pub summary: Option<PathBuf>,
    /// Whether to show progress on stderr, as a bar on a terminal and as lines elsewhere
    #[arg(long, value_enum, default_value_t, value_name = "auto|never", help_heading = "Output")]
    pub progress: ProgressMode,
}

/// Whether progress is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ProgressMode {
    /// As stderr allows.
    #[default]
    Auto,
    /// Never.
    Never,
}

/// The options of `fetch`.
#[derive(Args, Debug)]
#[command(after_help = exit::OF_FETCH)]
pub struct FetchOptions {
    /// The URL to fetch, with its scheme: https://…
    #[arg(value_name = "URL")]
    pub url: String,
    /// Print status and headers before the body
    #[arg(short, long)]
    pub include: bool,
    /// Write the body to this file [default: stdout]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Save status, headers and body to this file, or to a file of its own in this directory, to be read in tests of a
    /// spider; the body is then not printed
    #[arg(long, value_name = "PATH")]
    pub save: Option<PathBuf>,
    /// Send this header with every request, as `Name: value`; may be repeated. A
    /// User-Agent needs a contact in it, which does not replace --contact
    #[arg(short = 'H', long, value_name = "HEADER", value_parser = values::header)]
    pub header: Vec<(String, String)>,
    #[command(flatten)]
    pub identity: IdentityOptions,
    #[command(flatten)]
    pub network: Network,
}

/// The options of `robots`.
#[derive(Args, Debug)]
#[command(after_help = exit::OF_ROBOTS)]
pub struct RobotsOptions {
    /// A URL of the site whose robots file to fetch, with its scheme: https://…
    #[arg(value_name = "URL")]
    pub url: String,
    /// The paths to judge [default: that of the URL]
    #[arg(value_name = "PATH")]
    pub paths: Vec<String>,
    #[command(flatten)]
    pub identity: IdentityOptions,
    #[command(flatten)]
    pub network: Network,
}

/// The options of `sitemap`.
#[derive(Args, Debug)]
#[command(after_help = exit::OF_SITEMAP)]
pub struct SitemapOptions {
    /// A sitemap, with its scheme; or a site, as https://example.org/, whose sitemaps to look for
    #[arg(value_name = "URL")]
    pub url: String,
    /// Print only what was modified since this date, as 2026-02-01, or has no date [default: all]
    #[arg(long, value_name = "DATE", value_parser = values::date)]
    pub since: Option<W3cDate>,
    /// Print each page as a JSON line with all that the sitemap says of it [default: its URL alone]
    #[arg(long)]
    pub json: bool,
    /// The least time between two requests to each domain, as `250ms` or `2m`; a bare number is seconds [default: 1s]
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    pub delay: Option<Duration>,
    #[command(flatten)]
    pub identity: IdentityOptions,
    #[command(flatten)]
    pub network: Network,
}

/// The options of `state`.
#[derive(Args, Debug)]
#[command(after_help = exit::OF_STATE)]
pub struct StateOptions {
    /// The directory that the crawl was given with --state
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// What to do [default: show what the state holds]
    #[command(flatten)]
    pub task: StateTask,
}

/// What `state` does.
#[derive(Args, Debug)]
#[group(multiple = false)]
pub struct StateTask {
    /// Read all of it, checksums included, and say what is wrong
    #[arg(long)]
    pub verify: bool,
    /// Print every queued request, as a JSON line
    #[arg(long)]
    pub export: bool,
    /// Print every request that failed for good, as a JSON line
    #[arg(long)]
    pub dead_letters: bool,
    /// Queue again the requests that failed for good
    #[arg(long)]
    pub requeue_dead: bool,
    /// Drop what is queued for this domain; its URLs are not queued again
    #[arg(long, value_name = "DOMAIN")]
    pub forget_domain: Option<String>,
}

/// The options of `explain`.
#[derive(Args, Debug)]
#[command(after_help = exit::OF_EXPLAIN)]
pub struct ExplainOptions {
    /// The URL, with its scheme: https://…
    #[arg(value_name = "URL")]
    pub url: String,
    /// The directory that the crawl was given with --state; no crawl may use it now
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// The log that the crawl was given with --log, also of a crawl that runs
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// Print one JSON object in place of a sentence
    #[arg(long)]
    pub json: bool,
}

/// The options of `config`.
#[derive(Args, Debug)]
#[command(after_help = exit::OF_CONFIG)]
pub struct ConfigOptions {
    /// What to do.
    #[command(subcommand)]
    pub task: ConfigTask,
}

/// What `config` does.
#[derive(Debug, Subcommand)]
pub enum ConfigTask {
    /// Say each fault of a file, with its line and the key that was probably meant
    #[command(after_help = exit::OF_CONFIG)]
    Check {
        /// The file
        #[arg(value_name = "FILE.toml")]
        file: PathBuf,
    },
    /// Print the JSON Schema of the file, by which editors complete and check it
    #[command(after_help = exit::OF_CONFIG)]
    Schema,
}

/// The options of `warc`.
#[derive(Args, Debug)]
#[command(after_help = exit::OF_WARC)]
pub struct WarcOptions {
    /// What to do.
    #[command(subcommand)]
    pub task: WarcTask,
}

/// What `warc` does.
#[derive(Debug, Subcommand)]
pub enum WarcTask {
    /// Print a JSON line for each record: its offset, type, URL, date and length
    #[command(after_help = exit::OF_WARC)]
    List {
        /// The files
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
    },
    /// Write the body of the latest response of a URL, or of the record at an offset
    #[command(after_help = exit::OF_WARC)]
    Extract {
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The URL as it was asked for, or the offset that `list` tells
        #[arg(value_name = "URL|OFFSET")]
        what: String,
        /// Write the whole block, with the head of the message, as it is stored
        #[arg(long, conflicts_with = "encoded")]
        whole: bool,
        /// Write the body as it is stored, without undoing its Content-Encoding and its chunks
        #[arg(long)]
        encoded: bool,
        /// Write to this file [default: stdout]
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Read all records and compare their digests, and say what is wrong
    #[command(after_help = exit::OF_WARC)]
    Verify {
        /// The files
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
    },
    /// Write an index beside each file, in CDXJ: FILE.cdxj for FILE.warc.gz
    #[command(after_help = exit::OF_WARC)]
    Index {
        /// The files
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
    },
}

/// The options of `demo`.
#[derive(Args, Debug)]
#[command(after_help = exit::OF_DEMO)]
pub struct DemoOptions {
    /// Whether to show progress on stderr, as a bar on a terminal and as lines elsewhere
    #[arg(long, value_enum, default_value_t, value_name = "auto|never")]
    pub progress: ProgressMode,
}

fn within(text: &str) -> Result<Within, String> {
    match text {
        "host" => Ok(Within::Host),
        "domain" => Ok(Within::Domain),
        "any" => Ok(Within::Any),
        _ => Err("write host, domain or any".to_owned()),
    }
}

fn order(text: &str) -> Result<Order, String> {
    match text {
        "found" => Ok(Order::Found),
        "breadth" => Ok(Order::BreadthFirst),
        "depth" => Ok(Order::DepthFirst),
        _ => Err("write found, breadth or depth".to_owned()),
    }
}

fn robots(text: &str) -> Result<RobotsPolicy, String> {
    match text {
        "obey" => Ok(RobotsPolicy::Obey),
        "ignore" => Ok(RobotsPolicy::Ignore),
        _ => Err("write obey or ignore".to_owned()),
    }
}

fn follows_refresh(text: &str) -> Result<bool, String> {
    match text {
        "follow" => Ok(true),
        "ignore" => Ok(false),
        _ => Err("write follow or ignore".to_owned()),
    }
}
