//! State: the options of `state` and `explain`, which read what a crawl has kept.

use std::path::PathBuf;

use clap::Args;

use super::super::exit;

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
