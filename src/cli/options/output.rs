//! Output: the options of `crawl` about what is written of each page, and where.

use std::path::PathBuf;

use actix_crawler::settings::Pattern;
use clap::Args;

use super::{
    super::{convert::Converter, page::MarkdownPart, select::Select, values},
    ProgressMode,
};

/// What is written of each page, and where.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Output")]
pub struct OutputOptions {
    /// Write only the pages whose URLs match this regular expression, as /product/; the links of the others are
    /// followed all the same, and no file of theirs is downloaded; may be repeated, and then one must match [default:
    /// all]
    #[arg(long, value_name = "RE", value_parser = values::pattern)]
    pub items: Vec<Pattern>,
    /// Write a line for each element that a CSS selector finds, as .card, in place of one for each page: --select and
    /// --files-css then read within it, and --select NAME=@ATTRIBUTE its own attribute
    #[arg(long, value_name = "CSS", value_parser = values::css)]
    pub each: Option<String>,
    /// Add a field with the texts of the elements that a CSS selector finds, or with NAME=CSS@ATTRIBUTE the values of
    /// their attribute; of each, 'NAME=CSS | number' takes the number, without those that have none, and 'NAME=CSS | re
    /// REGEX' what matches, or its first group; may be repeated. It replaces a field of the page that has its name, as
    /// title, but not url
    #[arg(long, value_name = "NAME=CSS")]
    pub select: Vec<Select>,
    /// Write these fields alone, in this order, as url,name,price: in each -o, and in CSV as its columns [default: all]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub fields: Vec<String>,
    /// Download files of each page to this folder, and add a field `files` that says what became of each: its images,
    /// or what --files-css selects. What is there is not requested again for 90 days
    #[arg(long, value_name = "DIR")]
    pub files: Option<PathBuf>,
    /// Which files --files downloads: the href or src of the elements that a CSS selector finds, as a[href$='.pdf'];
    /// may be repeated [default: img]
    #[arg(long, value_name = "CSS")]
    pub files_css: Vec<String>,
    /// Add a field `simhash`: 16 hexadecimal digits, which differ in few bits between pages that are nearly the same
    #[arg(long)]
    pub simhash: bool,
    /// Add a field `language`: that of <html lang>, or of the header Content-Language, or a guess
    #[arg(long)]
    pub language: bool,
    /// Add a field `markdown` with the main content of each page, or with --markdown=whole all of it; the choice also
    /// holds for -o FOLDER/
    #[arg(
        long,
        value_enum,
        value_name = "main|whole",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "main"
    )]
    pub markdown: Option<MarkdownPart>,
    /// Read documents of this content type as pages, by a program that reads one on stdin and writes text or HTML on
    /// stdout: application/pdf="pdftotext - -"; spaces separate its arguments, quotes do not join them, and no shell
    /// reads it; may be repeated
    #[arg(long, value_name = "TYPE=COMMAND")]
    pub convert: Vec<Converter>,
    /// Write pages to this file, as its ending says: .jsonl, .json, .csv or .xml, with .gz or .zst after it if it is to
    /// be compressed; {domain}, {time} and {spider} in the name are filled in. Or to the table `items` of a database:
    /// .sqlite or .db, or, if this program has the feature `postgres`, a URL like postgres://user@host/database with
    /// the password in PGPASSWORD. With the feature `parquet` also to .parquet, and with `object-store` to objects of a
    /// bucket, as s3://bucket/{domain}.jsonl. Or, if it ends with a slash, each to a file of Markdown in this folder,
    /// with an llms.txt that lists them; `-` is stdout, as JSON Lines; may be repeated [default: -]
    #[arg(short, long, value_name = "FILE|FOLDER/|-")]
    pub output: Vec<PathBuf>,
    /// Put a ' before CSV texts that a spreadsheet would take for a formula, as those that begin with = + - @
    #[arg(long)]
    pub escape_formulas: bool,
    /// Keep the crawl's state in this directory: the same command goes on where the last ended, and adds to its files
    /// [default: in memory]
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Write the crawl log to this file: one JSON line for every request that ended or was dropped, and why
    #[arg(long, value_name = "FILE.jsonl")]
    pub log: Option<PathBuf>,
    /// Write the summary as JSON to this file; its text goes to stderr, or to stdout if pages go to a file
    #[arg(long, value_name = "FILE.json")]
    pub summary: Option<PathBuf>,
    /// Whether to show progress on stderr, as a bar on a terminal and as lines elsewhere
    #[arg(long, value_enum, default_value_t, value_name = "auto|never")]
    pub progress: ProgressMode,
}
