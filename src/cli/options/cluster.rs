//! Cluster: the options of a crawl that machines share, and those of `cluster`.

use clap::{Args, Subcommand};

use super::super::exit;

/// Where a crawl is that machines share.
#[derive(Args, Debug, Default)]
pub struct ClusterOptions {
    /// Share the crawl with other machines through this PostgreSQL database, as postgres://user@host/database with the
    /// password in PGPASSWORD: all nodes that are started with the same command crawl together, each its own domains,
    /// and take over those of a node that ends. A node that cannot reach the database for 9 s ends, so let a supervisor
    /// start it again. Needs a program with the feature `cluster`
    #[arg(long, value_name = "URL", requires = "crawl", conflicts_with = "state", help_heading = "Cluster")]
    pub cluster: Option<String>,
    /// The name of the shared crawl: lower-case letters, digits, _ and -
    #[arg(long, value_name = "NAME", requires = "cluster", help_heading = "Cluster")]
    pub crawl: Option<String>,
}

/// The options of `cluster`.
#[derive(Args, Debug)]
#[command(after_help = exit::OF_CLUSTER)]
pub struct ClusterCommandOptions {
    /// What to do.
    #[command(subcommand)]
    pub task: ClusterTask,
}

/// What `cluster` does.
#[derive(Debug, Subcommand)]
pub enum ClusterTask {
    /// Show what a shared crawl has done, what waits, and which nodes take part
    Status(SharedCrawl),
    /// Add seeds to a shared crawl that has not ended; their hosts extend its scope
    Seed(SharedSeeds),
    /// Let no node of a shared crawl send requests until it is resumed
    Pause(SharedCrawl),
    /// Let the nodes of a shared crawl send requests again
    Resume(SharedCrawl),
    /// Let all nodes of a shared crawl end what is in flight, and exit; nodes that are started later go on
    Stop(SharedCrawl),
    /// Write what waits in a shared crawl as JSON Lines, each with its part and state: waiting, tried (and to be tried
    /// again) or sent (on its way to another node)
    Export(SharedCrawl),
    /// Remove a shared crawl that nobody crawls, with all that its database keeps of it
    Drop(DroppedCrawl),
}

/// A shared crawl to be removed.
#[derive(Args, Debug)]
pub struct DroppedCrawl {
    /// The crawl.
    #[command(flatten)]
    pub crawl: SharedCrawl,
    /// Remove it though nodes crawl it, which give up then. If it is begun anew within their term, its servers may be
    /// asked too soon
    #[arg(long)]
    pub force: bool,
}

/// Seeds for a shared crawl.
#[derive(Args, Debug)]
pub struct SharedSeeds {
    /// The crawl.
    #[command(flatten)]
    pub crawl: SharedCrawl,
    /// The URLs to add
    #[arg(value_name = "SEED", required = true)]
    pub urls: Vec<String>,
}

/// A shared crawl.
#[derive(Args, Debug)]
pub struct SharedCrawl {
    /// The database, as postgres://user@host/database with the password in PGPASSWORD
    #[arg(value_name = "URL")]
    pub database: String,
    /// The name of the crawl
    #[arg(value_name = "NAME")]
    pub name: String,
}
