//! WarcOptions: the options of `warc`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::super::exit;

/// The options of `warc`.
#[derive(Args, Debug)]
#[command(after_help = exit::OF_WARC)]
pub struct WarcOptions {
    /// What to do.
    #[command(subcommand)]
    pub task: WarcTask,
}

/// What `warc` does.
#[derive(Debug, Subcommand)]
pub enum WarcTask {
    /// Print a JSON line for each record: its offset, type, URL, date and length
    #[command(after_help = exit::OF_WARC)]
    List {
        /// The files
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
    },
    /// Write the body of the latest response of a URL, or of the record at an offset
    #[command(after_help = exit::OF_WARC)]
    Extract {
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The URL as it was asked for, or the offset that `list` tells
        #[arg(value_name = "URL|OFFSET")]
        what: String,
        /// Write the whole block, with the head of the message, as it is stored
        #[arg(long, conflicts_with = "encoded")]
        whole: bool,
        /// Write the body as it is stored, without undoing its Content-Encoding and its chunks
        #[arg(long)]
        encoded: bool,
        /// Write to this file [default: stdout]
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Read all records and compare their digests, and say what is wrong
    #[command(after_help = exit::OF_WARC)]
    Verify {
        /// The files
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
    },
    /// Write an index beside each file, in CDXJ: FILE.cdxj for FILE.warc.gz
    #[command(after_help = exit::OF_WARC)]
    Index {
        /// The files
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
    },
}
