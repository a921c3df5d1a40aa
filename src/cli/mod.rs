//! The command line: one file for each command, and what they share.

mod bar;
#[cfg_attr(not(feature = "cluster"), path = "no_cluster.rs")]
mod cluster;
mod config;
mod config_command;
mod console;
mod convert;
mod crawl;
mod demo;
mod exit;
mod explain;
mod fetch;
mod folder_name;
mod identity;
mod kept_file;
mod named_files;
mod once;
mod options;
mod output;
mod page;
mod paint;
mod poll;
mod progress_view;
mod robots;
mod seeds;
mod select;
mod sitemap;
mod state;
mod summary;
mod terminal;
mod validation;
mod values;
mod warc;
mod watch;

use std::{process::ExitCode, time::Instant};

use actix_crawler::internals::check_open_files;
use clap::error::ErrorKind;

use self::{
    exit::{Exit, Failure},
    options::{Cli, Command},
};

/// Parses the command line, runs the command, and returns the exit code.
pub fn run() -> ExitCode {
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(error) if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            console::tell(error.to_string().trim_end());
            return Exit::Usage.into();
        }
        Err(error) if error.use_stderr() => return report(&Failure::from(error)),
        // Help and version are not errors.
        Err(help) => {
            let printed = help.print().map_err(|error| Failure::unprintable(&error));
            return printed.map_or_else(|failure| report(&failure), |()| Exit::Well.into());
        }
    };
    warn_on_stderr();
    let done = match cli.command {
        Command::Crawl(options) => crawl::run(*options),
        Command::Poll(options) => poll::run(&options),
        Command::Demo(options) => demo::run(&options),
        Command::Robots(options) => robots::run(&options),
        Command::Sitemap(options) => sitemap::run(&options),
        Command::Fetch(options) => fetch::run(&options),
        Command::State(options) => state::run(&options),
        Command::Explain(options) => explain::run(&options),
        Command::Warc(options) => warc::run(&options),
        Command::Cluster(options) => cluster::run(options),
        Command::Config(options) => config_command::run(&options),
    };
    done.map_or_else(|failure| report(&failure), ExitCode::from)
}

/// Tells a failure on stderr, and returns the code of the process.
fn report(failure: &Failure) -> ExitCode {
    let line = failure.line();
    if !line.is_empty() {
        console::tell(line);
    }
    failure.exit().into()
}

/// What is shown of the library's events: errors; which robots files are waited for, since all pages of an origin wait
/// with its own; faults of this machine, since everything waits with them; outputs that lack something from now on; and
/// whether a node of a cluster crawls, waits, or changes the tables.
const SHOWN: &str = "error,actix_crawler::engine::robots_files=warn,actix_crawler::engine::outage=info,\
     actix_crawler::client::attempt=warn,actix_crawler::transport::response_store=warn,\
     actix_crawler::engine::scheduler=warn,actix_crawler::cluster=info,\
     actix_crawler::frontier::stores::postgres::upgrade=info";

/// Shows the library's warnings on stderr. `RUST_LOG=info` shows more, `RUST_LOG=error` less.
fn warn_on_stderr() {
    use tracing_subscriber::{EnvFilter, filter::LevelFilter};
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::ERROR.into());
    let filter = filter.parse_lossy(std::env::var(EnvFilter::DEFAULT_ENV).as_deref().unwrap_or(SHOWN));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| console::StderrWarnings).with_target(false).init();
}

#[allow(clippy::disallowed_methods, reason = "the doors for people bring the clock, as actors do")]
fn now() -> Instant {
    Instant::now()
}

/// Runs a future on this thread. The runtime itself panics where it gets no files, so they are counted before.
fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    check_open_files().map_err(Failure::from)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::not_run(format!("the system refuses a runtime: {error}")))?;
    runtime.block_on(future)
}
