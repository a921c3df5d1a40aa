//! PollOptions: the options of `poll`.

use std::{num::NonZeroU32, path::PathBuf};

use actix_crawler::Rate;
use clap::Args;
use http::Method;

use super::{
    super::{exit, values},
    IdentityOptions, NetworkOptions, ProgressMode,
};

/// The options of `poll`.
#[derive(Args, Debug)]
#[command(after_help = exit::OF_POLL)]
pub struct PollOptions {
    /// URLs with their scheme, https://…; files; or `-` for stdin. A file has a URL or a JSON object on each line:
    /// {"url", "method", "headers", "body"}. A wrong line becomes a line of the output with the error
    #[arg(value_name = "URL|FILE|-")]
    pub urls: Vec<String>,
    /// Read requests from this file too; the same as a FILE among the arguments
    #[arg(short, long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// The method of requests that do not name one [default: GET, or POST with a body]
    #[arg(short = 'X', long, value_name = "M", value_parser = values::method)]
    pub method: Option<Method>,
    /// Send this header with every request, as `Name: value`; may be repeated. A
    /// User-Agent needs a contact in it, which does not replace --contact
    #[arg(short = 'H', long, value_name = "HEADER", value_parser = values::header)]
    pub header: Vec<(String, String)>,
    /// Never send this header along with a redirect to another origin; may be repeated. It holds in any case for
    /// Host, Authorization, Cookie, and names that look like a secret, as X-Api-Key
    #[arg(long, value_name = "NAME", value_parser = values::header_name)]
    pub secret_header: Vec<String>,
    /// The body of requests that have none of their own [default: none]
    #[arg(short, long, value_name = "BODY")]
    pub data: Option<String>,

    #[command(flatten)]
    pub identity: IdentityOptions,

    /// The most requests to each domain in any window: 50/s, 30/m, 1/10s or unlimited [default: 1/s]
    #[arg(long, value_name = "RATE", value_parser = values::rate, help_heading = "How fast")]
    pub rate: Option<Rate>,
    /// The most requests in flight to each domain
    #[arg(long, value_name = "N", default_value = "100", value_parser = values::positive, help_heading = "How fast")]
    pub concurrency: NonZeroU32,
    /// How many times to retry a request after a transient failure [default: 2]
    #[arg(long, value_name = "N", value_parser = values::count, help_heading = "How fast")]
    pub retries: Option<u32>,

    #[command(flatten)]
    pub network: NetworkOptions,
    /// Keep the cookies that servers set, and send them back [default: ignore them]
    #[arg(long, help_heading = "Network")]
    pub cookies: bool,
    /// Archive each request and response as it was on the wire in this directory, in WARC files
    #[arg(long, value_name = "DIR", help_heading = "Network")]
    pub warc: Option<PathBuf>,

    /// Write the answers to this file, as JSON Lines; `-` is stdout [default: -]
    #[arg(short, long, value_name = "FILE.jsonl|-", help_heading = "Output")]
    pub output: Option<PathBuf>,
    /// Write answers in the order in which they come [default: the order of the input]
    #[arg(long, help_heading = "Output")]
    pub unordered: bool,
    /// Add this header of the answer to its line; may be repeated
    #[arg(long, value_name = "NAME", value_parser = values::header_name, help_heading = "Output")]
    pub keep_header: Vec<String>,
    /// Write each body to a file in this directory, named by the request's index [default: into the line]
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub save_dir: Option<PathBuf>,
    /// Write the summary as JSON to this file; its text goes to stderr
    #[arg(long, value_name = "FILE.json", help_heading = "Output")]
    pub summary: Option<PathBuf>,
    /// Whether to show progress on stderr, as a bar on a terminal and as lines elsewhere
    #[arg(long, value_enum, default_value_t, value_name = "auto|never", help_heading = "Output")]
    pub progress: ProgressMode,
}
