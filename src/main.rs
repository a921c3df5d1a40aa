//! The binary `actix-crawler`; everything is in `cli`.
#![deny(missing_docs, unsafe_code)]
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
