//! `cluster`, in a build without it.

use super::{
    exit::{Exit, Failure},
    options::{ClusterCommandOptions, ClusterTask, DroppedCrawl, SharedCrawl, SharedSeeds},
};

/// Fails.
///
/// # Errors
/// Always; the message names the feature.
pub fn run(options: ClusterCommandOptions) -> Result<Exit, Failure> {
    let (ClusterTask::Status(crawl)
    | ClusterTask::Seed(SharedSeeds { crawl, .. })
    | ClusterTask::Pause(crawl)
    | ClusterTask::Resume(crawl)
    | ClusterTask::Stop(crawl)
    | ClusterTask::Export(crawl)
    | ClusterTask::Drop(DroppedCrawl { crawl, .. })) = options.task;
    let SharedCrawl { database, name } = crawl;
    // It may hold a password.
    drop(database);
    let why = "this program was built without shared crawls; build actix-crawler with the feature `cluster`";
    Err(Failure::usage(format!("{name}: {why}")))
}
