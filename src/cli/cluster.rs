//! `cluster`: shows what a crawl has done that machines share, tells it what to do, and removes it.

use std::io;

use actix_crawler::{
    Error,
    internals::{
        ClusterControl, ClusterSettings, Counted, add_seeds, cluster_control, cluster_export, cluster_status,
        drop_crawl,
    },
};

use super::{
    block_on,
    console::print,
    exit::{Exit, Failure},
    options::{ClusterCommandOptions, ClusterTask, DroppedCrawl, SharedCrawl, SharedSeeds},
    terminal,
};

/// Runs the command.
///
/// # Errors
/// The database cannot be reached, there is no such crawl, or the output cannot be written.
pub fn run(options: ClusterCommandOptions) -> Result<Exit, Failure> {
    let settings = |SharedCrawl { database, name }| ClusterSettings::new(database, name);
    match options.task {
        ClusterTask::Status(crawl) => {
            let settings = settings(crawl);
            let status = block_on(async { Ok(cluster_status(&settings).await?) })?;
            // Names of machines come from the database.
            print(terminal::escape(&status.to_string()).as_bytes())?;
        }
        ClusterTask::Seed(SharedSeeds { crawl, urls }) => {
            let settings = settings(crawl);
            block_on(async { Ok(add_seeds(&settings, &urls).await?) })?;
            let seeds = Counted(urls.len() as u64, "seed");
            print(format!("crawl {} gets {seeds}\n", settings.name).as_bytes())?;
        }
        ClusterTask::Pause(crawl) => tell(&settings(crawl), ClusterControl::Pause, "is paused")?,
        ClusterTask::Resume(crawl) => tell(&settings(crawl), ClusterControl::Resume, "goes on")?,
        ClusterTask::Stop(crawl) => tell(&settings(crawl), ClusterControl::Stop, "stops on all nodes")?,
        ClusterTask::Export(crawl) => export(&settings(crawl))?,
        ClusterTask::Drop(DroppedCrawl { crawl, force }) => {
            let settings = settings(crawl);
            block_on(async { Ok(drop_crawl(&settings, force).await?) })?;
            print(format!("crawl {} is dropped\n", settings.name).as_bytes())?;
        }
    }
    Ok(Exit::Well)
}

fn tell(settings: &ClusterSettings, what: ClusterControl, done: &str) -> Result<(), Failure> {
    block_on(async { Ok(cluster_control(settings, what).await?) })?;
    print(format!("crawl {} {done}\n", settings.name).as_bytes())
}

fn export(settings: &ClusterSettings) -> Result<(), Failure> {
    let written = block_on(async { Ok(cluster_export(settings, io::BufWriter::new(io::stdout().lock())).await) })?;
    match written {
        Ok(_) => Ok(()),
        Err(Error::File { source, .. }) => Err(Failure::unprintable(&source)),
        Err(error) => Err(error.into()),
    }
}
