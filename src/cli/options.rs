//! Options: the command line as clap reads it. What an option leaves out, `config` has or the library's default is.

use std::{num::NonZeroU32, path::PathBuf, time::Duration};

use actix_crawler::{
    politeness::RobotsPolicy,
    rate::Rate,
    scope::{Pattern, Within},
    transport::{address::IpNet, credentials::OriginCredentials},
};
use clap::{Arg, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use http::Method;

use super::{
    exit,
    values::{self, Select},
};

/// Crawls many domains politely: robots.txt obeyed, one request at a time and a second between two of them at each
/// domain, unless you say otherwise.
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

/// Values that never begin with a hyphen, by what the help calls them. A number that does (`--depth -1`) is a slip, to be
/// answered with what to write; clap takes it for an option that it does not know.
const NEVER_HYPHENATED: [&str; 8] =
    ["N", "TIME", "RATE", "BYTES", "CIDR", "host|domain|any", "obey|ignore", "auto|never"];

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
    /// Crawl from the given URLs; one JSON line for each page
    Crawl(Box<CrawlOptions>),
    /// Send many requests to an API at exactly the rate that it allows; one JSON line for each answer
    Poll(Box<PollOptions>),
    /// Ask for a robots file, and tell for each path whether it is allowed, by which line, and why
    Robots(RobotsOptions),
    /// Fetch one URL and show the answer, as curl does
    Fetch(FetchOptions),
    /// See what a crawl's state holds, verify it, or change it between two crawls
    State(StateOptions),
    /// Crawl a dozen small sites on this machine, and see how politely: no internet, under a minute
    Demo(DemoOptions),
}

/// Who asks.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Who asks")]
pub struct Identity {
    /// Where site owners can reach you: a URL or a mail address. Required unless every URL is loopback
    #[arg(long, value_name = "URL-or-mail")]
    pub contact: Option<String>,
    /// The whole User-Agent instead, with a contact in it, such as `mybot/1.0 (+https://example.org/bot)`
    #[arg(long, value_name = "UA", conflicts_with = "contact")]
    pub user_agent: Option<String>,
}

/// How bytes get here.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Network")]
pub struct Network {
    /// Connect to private and loopback addresses too
    #[arg(long)]
    pub allow_private: bool,
    /// Connect to the addresses of this network too, as 10.1.0.0/16; may be repeated
    #[arg(long, value_name = "CIDR", value_parser = values::network)]
    pub allow_address: Vec<IpNet>,
    /// Resolve a host to this address: HOST:ADDR or HOST:ADDR:PORT, also `*.example.org:…`; may be repeated
    #[arg(long, value_name = "HOST:ADDR")]
    pub resolve: Vec<String>,
    /// Go through this proxy: http://, https://, socks5:// or socks5h://[name:password@]host:port; several take turns
    #[arg(long, value_name = "URL")]
    pub proxy: Vec<String>,
    /// Go through the proxies that HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY name
    #[arg(long)]
    pub proxy_env: bool,
    /// Trust the authorities in this PEM file too; may be repeated
    #[arg(long, value_name = "FILE.pem")]
    pub ca: Vec<PathBuf>,
    /// Believe whatever certificate this host shows; may be repeated
    #[arg(long, value_name = "HOST")]
    pub insecure: Vec<String>,
    /// Show a name and a password to this origin, and to no other: https://example.org=NAME:PASSWORD; may be repeated
    #[arg(long, value_name = "ORIGIN=NAME:PASSWORD", value_parser = values::user)]
    pub user: Vec<OriginCredentials>,
    /// The longest that one request may take, as `30s`; a bare number is seconds
    #[arg(long, value_name = "TIME", value_parser = values::deadline)]
    pub timeout: Option<Duration>,
    /// The largest body, as `10M`
    #[arg(long, value_name = "BYTES", value_parser = values::bytes)]
    pub max_body: Option<u64>,
}

/// The options of `crawl`.
#[derive(Args, Debug, Default)]
#[command(after_help = exit::OF_CRAWL)]
pub struct CrawlOptions {
    /// Where to begin, with the scheme: https://…
    #[arg(value_name = "URL")]
    pub urls: Vec<String>,
    /// Begin with the URLs in a file too, one a line; `-` is stdin
    #[arg(long, value_name = "FILE")]
    pub seeds: Option<PathBuf>,
    /// Take settings from a TOML file (docs/CONFIG.md shows every one); options win over it: --rate, --delay and
    /// --per-domain over its overrides for single domains too. --allow, --deny and --resolve add to the file's
    #[arg(long, value_name = "FILE.toml")]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    pub identity: Identity,
    /// The most links from a seed
    #[arg(long, value_name = "N", value_parser = values::count, help_heading = "Which pages")]
    pub depth: Option<u32>,
    /// The most pages in all
    #[arg(long, value_name = "N", value_parser = values::many, help_heading = "Which pages")]
    pub max_pages: Option<u64>,
    /// The most pages of one domain
    #[arg(long, value_name = "N", value_parser = values::many, help_heading = "Which pages")]
    pub max_pages_per_domain: Option<u64>,
    /// The most requests that wait in memory [default: 10000000]; with --state they wait on disk, without this bound
    #[arg(long, value_name = "N", value_parser = values::many, help_heading = "Which pages")]
    pub max_queued: Option<u64>,
    /// The most requests of one domain that wait [default: 1000000 in memory, 10000000 with --state]
    #[arg(long, value_name = "N", value_parser = values::many, help_heading = "Which pages")]
    pub max_queued_per_domain: Option<u64>,
    /// The most memory that waiting requests take, as `1G` [default: 4G]
    #[arg(long, value_name = "BYTES", value_parser = values::bytes, help_heading = "Which pages")]
    pub max_queued_bytes: Option<u64>,
    /// How far from the seeds: their hosts, their registrable domains (the default), or anywhere
    #[arg(long, value_name = "host|domain|any", value_parser = within, help_heading = "Which pages")]
    pub scope: Option<Within>,
    /// Take only URLs that match a regular expression, or one of several
    #[arg(long, value_name = "RE", value_parser = values::pattern, help_heading = "Which pages")]
    pub allow: Vec<Pattern>,
    /// Take no URL that matches a regular expression, or one of several
    #[arg(long, value_name = "RE", value_parser = values::pattern, help_heading = "Which pages")]
    pub deny: Vec<Pattern>,
    /// Visit a URL again when it is found or seeded so long after it was last taken in, as `7d`
    #[arg(long, value_name = "TIME", value_parser = values::deadline, help_heading = "Which pages")]
    pub revisit_after: Option<Duration>,
    /// Fetch the seeds although --state has seen them, to find what is new since
    #[arg(long, help_heading = "Which pages")]
    pub seeds_again: bool,
    /// Do not follow links that `rel=nofollow` or a robots meta tag asks to leave
    #[arg(long, help_heading = "Which pages")]
    pub respect_nofollow: bool,

    /// The most requests at each domain: 2/s, 30/m, 1/10s or unlimited; replaces the default second between two
    #[arg(long, value_name = "RATE", value_parser = values::rate, help_heading = "How politely")]
    pub rate: Option<Rate>,
    /// The least time between two requests at each domain, as `1s`, `250ms` or `2m`; a bare number is seconds
    #[arg(long, value_name = "TIME", value_parser = values::duration, help_heading = "How politely")]
    pub delay: Option<Duration>,
    /// The most requests in flight at each domain [default: 1]
    #[arg(long, value_name = "N", value_parser = values::positive, help_heading = "How politely")]
    pub per_domain: Option<NonZeroU32>,
    /// The most requests in flight in all [default: 64]
    #[arg(long, value_name = "N", value_parser = values::positive, help_heading = "How politely")]
    pub concurrency: Option<NonZeroU32>,
    /// Obey robots.txt (the default), or ignore it on sites of your own
    #[arg(long, value_name = "obey|ignore", value_parser = robots, help_heading = "How politely")]
    pub robots: Option<RobotsPolicy>,
    /// How often a request that failed is tried again [default: 2]
    #[arg(long, value_name = "N", value_parser = values::count, help_heading = "How politely")]
    pub retries: Option<u32>,

    #[command(flatten)]
    pub network: Network,
    /// Keep the cookies that servers set, and send them back
    #[arg(long, help_heading = "Network")]
    pub cookies: bool,
    /// Keep answers in this folder, and ask again only for what is no longer fresh, and only whether it changed
    #[arg(long, value_name = "DIR", conflicts_with_all = ["record", "replay"], help_heading = "Network")]
    pub cache: Option<PathBuf>,
    /// Keep every answer in this folder, to be replayed
    #[arg(long, value_name = "DIR", conflicts_with = "replay", help_heading = "Network")]
    pub record: Option<PathBuf>,
    /// Crawl what --record kept in this folder, without any network
    #[arg(long, value_name = "DIR", help_heading = "Network")]
    pub replay: Option<PathBuf>,
    /// Network threads [default: as many as cores]
    #[arg(long, value_name = "N", value_parser = values::threads, help_heading = "Network")]
    pub threads: Option<u16>,

    /// Put what a CSS selector finds into each line, as a list of texts, or of an attribute's values with
    /// NAME=CSS@ATTRIBUTE; may be repeated
    #[arg(long, value_name = "NAME=CSS", help_heading = "Output")]
    pub select: Vec<Select>,
    /// Where pages go: CSV if the name ends in .csv, JSON Lines whatever else it ends in, or `-` for stdout (the default)
    #[arg(short, long, value_name = "FILE.jsonl|FILE.csv|-", help_heading = "Output")]
    pub output: Option<PathBuf>,
    /// Keep the crawl's state in this directory: the same command again goes on with it, however the crawl ended. Pages
    /// and log lines are then added to their files
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub state: Option<PathBuf>,
    /// Write the crawl log: one JSON line for every request that ended or was dropped, robots files included, and why
    #[arg(long, value_name = "FILE.jsonl", help_heading = "Output")]
    pub log: Option<PathBuf>,
    /// Write the summary as JSON too: the one to read goes to stderr, or to stdout if pages go to a file
    #[arg(long, value_name = "FILE.json", help_heading = "Output")]
    pub summary: Option<PathBuf>,
    /// Show progress on stderr: a bar on a terminal and lines elsewhere, or nothing
    #[arg(long, value_enum, default_value_t, value_name = "auto|never", help_heading = "Output")]
    pub progress: ProgressMode,
}

/// The options of `poll`.
#[derive(Args, Debug)]
#[command(after_help = exit::OF_POLL)]
pub struct PollOptions {
    /// What to ask for: URLs with the scheme, https://…; files; or `-` for stdin. A file has one URL or JSON object a
    /// line, {"url", "method", "headers", "body"}, and is read as it is needed: a wrong line becomes a line of the output
    /// that says so
    #[arg(value_name = "URL|FILE|-")]
    pub urls: Vec<String>,
    /// Ask for what a file says too, as a FILE among the arguments
    #[arg(short, long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// The method [default: GET, or POST with a body]
    #[arg(short = 'X', long, value_name = "M", value_parser = values::method)]
    pub method: Option<Method>,
    /// Send this header too, as `Name: value`; may be repeated
    #[arg(short = 'H', long, value_name = "HEADER", value_parser = values::header)]
    pub header: Vec<(String, String)>,
    /// Send this body
    #[arg(short, long, value_name = "BODY")]
    pub data: Option<String>,

    #[command(flatten)]
    pub identity: Identity,

    /// Requests to each domain: 50/s, 30/m, 1/10s or unlimited [default: one a second]
    #[arg(long, value_name = "RATE", value_parser = values::rate, help_heading = "How fast")]
    pub rate: Option<Rate>,
    /// The most requests in flight to each domain
    #[arg(long, value_name = "N", default_value = "100", value_parser = values::positive, help_heading = "How fast")]
    pub concurrency: NonZeroU32,
    /// How often a request that failed is tried again [default: 2]
    #[arg(long, value_name = "N", value_parser = values::count, help_heading = "How fast")]
    pub retries: Option<u32>,

    #[command(flatten)]
    pub network: Network,
    /// Keep the cookies that servers set, and send them back
    #[arg(long, help_heading = "Network")]
    pub cookies: bool,

    /// Where the lines go; `-` is stdout (the default)
    #[arg(short, long, value_name = "FILE.jsonl|-", help_heading = "Output")]
    pub output: Option<PathBuf>,
    /// Write answers as they come, and not in the order of the input
    #[arg(long, help_heading = "Output")]
    pub unordered: bool,
    /// Put this header of the answer into its line; may be repeated
    #[arg(long, value_name = "NAME", value_parser = values::header_name, help_heading = "Output")]
    pub keep_header: Vec<String>,
    /// Write each body to a file in this folder, named by its index, and not into the line
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub save_dir: Option<PathBuf>,
    /// Write the summary as JSON too: the one to read goes to stderr
    #[arg(long, value_name = "FILE.json", help_heading = "Output")]
    pub summary: Option<PathBuf>,
    /// Show progress on stderr: a bar on a terminal and lines elsewhere, or nothing
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
    /// What to fetch, with the scheme: https://…
    #[arg(value_name = "URL")]
    pub url: String,
    /// Show status and headers before the body
    #[arg(short, long)]
    pub include: bool,
    /// Write the body to a file
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Send this header too, as `Name: value`; may be repeated
    #[arg(short = 'H', long, value_name = "HEADER", value_parser = values::header)]
    pub header: Vec<(String, String)>,
    #[command(flatten)]
    pub identity: Identity,
    #[command(flatten)]
    pub network: Network,
}

/// The options of `robots`.
#[derive(Args, Debug)]
#[command(after_help = exit::OF_ROBOTS)]
pub struct RobotsOptions {
    /// A URL of the origin whose robots file it is, with the scheme: https://…
    #[arg(value_name = "URL")]
    pub url: String,
    /// Paths on that origin; without any, that of the URL
    #[arg(value_name = "PATH")]
    pub paths: Vec<String>,
    #[command(flatten)]
    pub identity: Identity,
    #[command(flatten)]
    pub network: Network,
}

/// The options of `state`.
#[derive(Args, Debug)]
#[command(after_help = exit::OF_STATE)]
pub struct StateOptions {
    /// The directory that a crawl was given with --state
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// What to do; without it, tell what the state holds
    #[command(flatten)]
    pub task: StateTask,
}

/// What `state` does.
#[derive(Args, Debug)]
#[group(multiple = false)]
pub struct StateTask {
    /// Read all of it, checksums included, and tell what is wrong
    #[arg(long)]
    pub verify: bool,
    /// Print all that is queued, one JSON line each
    #[arg(long)]
    pub export: bool,
    /// Print the requests that failed for good, one JSON line each
    #[arg(long)]
    pub dead_letters: bool,
    /// Queue the requests that failed for good again
    #[arg(long)]
    pub requeue_dead: bool,
    /// Drop what is queued for a domain; its URLs are not taken in again
    #[arg(long, value_name = "DOMAIN")]
    pub forget_domain: Option<String>,
}

/// The options of `demo`.
#[derive(Args, Debug)]
#[command(after_help = exit::OF_DEMO)]
pub struct DemoOptions {
    /// Show progress on stderr: a bar on a terminal and lines elsewhere, or nothing
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

fn robots(text: &str) -> Result<RobotsPolicy, String> {
    match text {
        "obey" => Ok(RobotsPolicy::Obey),
        "ignore" => Ok(RobotsPolicy::Ignore),
        _ => Err("write obey or ignore".to_owned()),
    }
}
