//! Options: the command line as clap reads it, the options of one noun in a file each. Where an option is not given,
//! the `--config` file's value holds, or the library's default.

mod cluster;
mod config;
mod crawl;
mod look;
mod network;
mod output;
mod pace;
mod pages;
mod poll;
mod state;
mod unknown;
mod warc;

use std::ffi::OsString;

use clap::{Arg, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

pub use self::{
    cluster::{ClusterCommandOptions, ClusterOptions, ClusterTask, DroppedCrawl, SharedCrawl, SharedSeeds},
    config::{ConfigOptions, ConfigTask},
    crawl::CrawlOptions,
    look::{FetchOptions, RobotsOptions, SitemapOptions},
    network::{IdentityOptions, NetworkOptions},
    poll::PollOptions,
    state::{ExplainOptions, StateOptions},
    warc::{WarcOptions, WarcTask},
};
use super::exit;

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
        let mut command = Self::command().mut_subcommands(|command| command.mut_args(mark));
        let given: Vec<OsString> = std::env::args_os().collect();
        if let Some(error) = unknown::with_one_hyphen(&mut command, &given) {
            return Err(error);
        }
        let matches = command.try_get_matches_from_mut(&given);
        Self::from_arg_matches(&matches.map_err(|error| unknown::explained(error, &command, &given))?)
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
    /// Show or remove a crawl that machines share through a database
    Cluster(ClusterCommandOptions),
    /// Check a file for --config, or print its JSON Schema
    Config(ConfigOptions),
    /// Crawl a dozen small sites on this machine, without internet, and show how politely; takes under a minute
    Demo(DemoOptions),
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

/// The options of `demo`.
#[derive(Args, Debug)]
#[command(after_help = exit::OF_DEMO)]
pub struct DemoOptions {
    /// Whether to show progress on stderr, as a bar on a terminal and as lines elsewhere
    #[arg(long, value_enum, default_value_t, value_name = "auto|never")]
    pub progress: ProgressMode,
}
