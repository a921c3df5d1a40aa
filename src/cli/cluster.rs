//! `cluster`: shows what a crawl has done that machines share, and removes one.

use actix_crawler::internals::{ClusterSettings, cluster_status, drop_crawl};

use super::{
    block_on,
    console::print,
    exit::{Exit, Failure},
    options::{ClusterCommandOptions, ClusterTask, SharedCrawl},
    terminal,
};

/// Runs the command.
///
/// # Errors
/// The database cannot be reached, or there is no such crawl.
pub fn run(options: ClusterCommandOptions) -> Result<Exit, Failure> {
    let settings = |SharedCrawl { database, name }| ClusterSettings::new(database, name);
    match options.task {
        ClusterTask::Status(crawl) => {
            let settings = settings(crawl);
            let status = block_on(async { Ok(cluster_status(&settings).await?) })?;
            // Names of machines come from the database.
            print(terminal::escape(&status.to_string()).as_bytes())?;
        }
        ClusterTask::Drop(crawl) => {
            let settings = settings(crawl);
            block_on(async { Ok(drop_crawl(&settings).await?) })?;
            print(format!("crawl {} is dropped\n", settings.name).as_bytes())?;
        }
    }
    Ok(Exit::Well)
}
