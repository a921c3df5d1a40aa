//! Pages: the options of `crawl` about which pages are fetched.

use std::time::Duration;

use actix_crawler::{
    Order, Within,
    extract::sitemap::W3cDate,
    settings::{Pattern, PriorityRule},
};
use clap::Args;

use super::super::values;

/// Which pages are fetched.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Which pages")]
pub struct PageOptions {
    /// The most links to follow from a seed to a page; 0 takes the seeds alone [default: no bound]
    #[arg(long, alias = "max-depth", value_name = "N", value_parser = values::count)]
    pub depth: Option<u32>,
    /// The most pages in all, with --state in all its runs together; redirects, error statuses, robots files,
    /// sitemaps and files of --files do not count [default: no bound]
    #[arg(long, value_name = "N", value_parser = values::many)]
    pub max_pages: Option<u64>,
    /// The most requests in all, with --state in all its runs together; redirects, error statuses and retries count,
    /// robots files, sitemaps and files of --files do not [default: no bound]
    #[arg(long, value_name = "N", value_parser = values::many)]
    pub max_requests: Option<u64>,
    /// The most pages of each domain; what counts is as for --max-pages [default: no bound]
    #[arg(long, value_name = "N", value_parser = values::many)]
    pub max_pages_per_domain: Option<u64>,
    /// The most requests that wait in memory; with --state they wait on disk, without this bound [default: 10000000]
    #[arg(long, value_name = "N", value_parser = values::many)]
    pub max_queued: Option<u64>,
    /// The most requests of one domain that wait [default: 1000000 in memory, 10000000 with --state]
    #[arg(long, value_name = "N", value_parser = values::many)]
    pub max_queued_per_domain: Option<u64>,
    /// The most memory that waiting requests take, as `1G` [default: 4G]
    #[arg(long, value_name = "BYTES", value_parser = values::bytes)]
    pub max_queued_bytes: Option<u64>,
    /// The most links to read from one page; those beyond are counted as dropped [default: 10000]
    #[arg(long, value_name = "N", value_parser = values::many)]
    pub max_links_per_page: Option<u64>,
    /// Whether a page with a Refresh header or <meta http-equiv=refresh> of at most 5 s counts as a redirect, or as a
    /// page that links there [default: follow]
    #[arg(long, value_name = "follow|ignore", value_parser = follows_refresh)]
    pub refresh: Option<bool>,
    /// How far to go from the seeds: to their hosts, their registrable domains, or anywhere [default: domain]
    #[arg(long, alias = "within", value_name = "host|domain|any", value_parser = within)]
    pub scope: Option<Within>,
    /// Take only URLs that match this regular expression; may be repeated, and then one must match
    #[arg(long, value_name = "RE", value_parser = values::pattern)]
    pub allow: Vec<Pattern>,
    /// Take no URL that matches this regular expression; may be repeated
    #[arg(long, value_name = "RE", value_parser = values::pattern)]
    pub deny: Vec<Pattern>,
    /// Fetch a URL again when it is found so long after its last visit, as `7d` [default: never]
    #[arg(long, value_name = "TIME", value_parser = values::deadline)]
    pub revisit_after: Option<Duration>,
    /// Fetch a URL again if a sitemap says that it was modified since its last visit; skip the others that it lists.
    /// Reads sitemaps as --sitemaps does
    #[arg(long)]
    pub revisit_modified: bool,
    /// Read the sitemaps of all seeds' sites too, and fetch the pages that they list
    #[arg(long)]
    pub sitemaps: bool,
    /// Take from sitemaps only what was modified since this date, as 2026-02-01, or has no date; reads sitemaps as
    /// --sitemaps does [default: all]
    #[arg(long, value_name = "DATE", value_parser = values::date)]
    pub since: Option<W3cDate>,
    /// Fetch the seeds again although --state has seen them, to find what is new
    #[arg(long)]
    pub seeds_again: bool,
    /// Which of a domain's pages goes first: the one that was found first, the nearest to a seed, or the farthest from
    /// it [default: found]
    #[arg(long, value_name = "found|breadth|depth", value_parser = order)]
    pub order: Option<Order>,
    /// Fetch the pages whose URLs match this regular expression before others of their domain, as /product/=10, or
    /// after them, as /archive/=-10; the first that matches counts. May be repeated [default: 0 for all]
    #[arg(long, value_name = "RE=N", value_parser = priority, allow_hyphen_values = true)]
    pub priority: Vec<PriorityRule>,
    /// Leave out pages whose text is nearly that of an earlier page, with the links on them
    #[arg(long)]
    pub skip_near_duplicates: bool,
    /// Do not follow links that `rel=nofollow`, a robots meta tag or `X-Robots-Tag` marks
    #[arg(long)]
    pub respect_nofollow: bool,
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

fn priority(text: &str) -> Result<PriorityRule, String> {
    let (url, priority) =
        text.rsplit_once('=').ok_or("write a regular expression, `=` and a priority, as /product/=10")?;
    let why = |_| format!("`{priority}` is no priority; write a whole number, as /product/=10 or /archive/=-10");
    Ok(PriorityRule { url: values::pattern(url)?, priority: priority.parse().map_err(why)? })
}

fn follows_refresh(text: &str) -> Result<bool, String> {
    match text {
        "follow" => Ok(true),
        "ignore" => Ok(false),
        _ => Err("write follow or ignore".to_owned()),
    }
}
