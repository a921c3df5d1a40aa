//! CrawlOptions: the options of `crawl`, those of one noun each in a file of their own.

use std::path::PathBuf;

use clap::Args;

use super::{
    super::{exit, validation::ValidationOptions, values},
    ClusterOptions, IdentityOptions, NetworkOptions,
    output::OutputOptions,
    pace::PaceOptions,
    pages::PageOptions,
};

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
    #[command(flatten)]
    pub cluster: ClusterOptions,
    #[command(flatten)]
    pub pages: PageOptions,
    #[command(flatten)]
    pub pace: PaceOptions,
    #[command(flatten)]
    pub network: NetworkOptions,
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
    /// Archive each request and response as it was on the wire in this directory, in WARC files; `actix-crawler warc`
    /// reads them, and so do pywb and other tools of web archives
    #[arg(long, value_name = "DIR", conflicts_with = "replay", help_heading = "Network")]
    pub warc: Option<PathBuf>,
    /// The number of network threads [default: the number of cores]
    #[arg(long, value_name = "N", value_parser = values::threads, help_heading = "Network")]
    pub threads: Option<u16>,

    #[command(flatten)]
    pub validation: ValidationOptions,
    #[command(flatten)]
    pub output: OutputOptions,
}
