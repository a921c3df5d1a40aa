//! ConfigOptions: the options of `config`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::super::exit;

/// The options of `config`.
#[derive(Args, Debug)]
#[command(after_help = exit::OF_CONFIG)]
pub struct ConfigOptions {
    /// What to do.
    #[command(subcommand)]
    pub task: ConfigTask,
}

/// What `config` does.
#[derive(Debug, Subcommand)]
pub enum ConfigTask {
    /// Say each fault of a file and of the variables that replace its values, with its line and the key that was
    /// probably meant
    #[command(after_help = exit::OF_CONFIG)]
    Check {
        /// The file
        #[arg(value_name = "FILE.toml")]
        file: PathBuf,
    },
    /// Print the JSON Schema of the file, by which editors complete and check it
    #[command(after_help = exit::OF_CONFIG)]
    Schema,
}
