//! The command line: one file for each command, and what they share.

mod bar;
mod config;
mod crawl;
mod demo;
mod exit;
mod fetch;
mod once;
mod options;
mod output;
mod page;
mod paint;
mod poll;
mod progress_view;
mod robots;
mod seeds;
mod state;
mod summary;
mod terminal;
mod values;
mod watch;

use std::{process::ExitCode, time::Instant};

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
            eprint!("{error}");
            return Exit::Usage.into();
        }
        Err(error) if error.use_stderr() => return Failure::from(error).report(),
        // Help and version are not errors.
        Err(help) => return help.print().map_or(Exit::NotRun, |()| Exit::Well).into(),
    };
    warn_on_stderr();
    let done = match cli.command {
        Command::Crawl(options) => crawl::run(*options),
        Command::Poll(options) => poll::run(&options),
        Command::Demo(options) => demo::run(&options),
        Command::Robots(options) => robots::run(&options),
        Command::Fetch(options) => fetch::run(&options),
        Command::State(options) => state::run(&options),
    };
    done.map_or_else(|failure| failure.report(), ExitCode::from)
}

/// What is shown of the library's events: errors; which robots files are waited for, since all pages of an origin wait with
/// its own; and faults of this machine, since everything waits with them.
const SHOWN: &str = "error,actix_crawler::engine::robots_files=warn,actix_crawler::engine::pause=info,\
     actix_crawler::client::attempt=warn";

/// Shows the library's warnings on stderr. `RUST_LOG=info` shows more, `RUST_LOG=error` less.
fn warn_on_stderr() {
    use tracing_subscriber::{EnvFilter, filter::LevelFilter};
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::ERROR.into());
    let filter = filter.parse_lossy(std::env::var(EnvFilter::DEFAULT_ENV).as_deref().unwrap_or(SHOWN));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| bar::Stderr).with_target(false).init();
}

#[allow(clippy::disallowed_methods, reason = "the doors for people bring the clock, as actors do")]
fn now() -> Instant {
    Instant::now()
}

/// Runs a future on this thread.
fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::not_run(format!("the system refuses a runtime: {error}")))?;
    runtime.block_on(future)
}
