//! Look: the options of `fetch`, `robots` and `sitemap`, which look at a site and crawl nothing.

use std::{path::PathBuf, time::Duration};

use actix_crawler::extract::sitemap::W3cDate;
use clap::Args;

use super::{
    super::{exit, values},
    IdentityOptions, NetworkOptions,
};

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
    pub network: NetworkOptions,
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
    pub network: NetworkOptions,
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
    pub network: NetworkOptions,
}
