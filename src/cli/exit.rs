//! Exit: the exit codes of the process, and the one-line error of a failed command.

use std::{
    fmt::Display,
    io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use actix_crawler::{Error, Report, report::Ended};
use clap::error::{ContextKind, ContextValue};

use super::folder_name::is_folder;

/// The exit code. Each command's help lists its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Success.
    Well = 0,
    /// The crawl could not start, or could not finish.
    NotRun = 1,
    /// The command line or the configuration is invalid; nothing was fetched.
    Usage = 2,
    /// The crawl has finished, but some pages, sitemaps or files failed.
    FailedPages = 3,
    /// The ledger does not add up: some URL is unaccounted for.
    Ledger = 4,
    /// The crawl has finished, and a field is in fewer items than `--expect` asks for.
    Coverage = 5,
    /// Stopped before its end, by Ctrl-C, SIGTERM or the longest time: 128 + SIGINT, as shells count.
    Interrupted = 130,
}

/// The codes of `crawl`, for its help.
pub const OF_CRAWL: &str = "\
Exit codes:
    0  the crawl has finished, and every page that was requested ended well; what was dropped, as
       by --deny or robots.txt, is no failure, and a warning tells if that was all
    1  the crawl could not run, or not to its end, or an output could not be written
    2  the command line or the configuration is wrong; nothing was fetched
    3  the crawl has finished, and some pages, sitemaps or files failed
    4  the ledger does not add up
    5  the crawl has finished, and a field is in fewer items than --expect asks for
  130  the crawl was stopped before its end: by Ctrl-C, SIGTERM, or max_time in the --config file;
       with --cluster the other nodes go on
Of several the first in this order holds: 4, 130, 1, 5, 3.";

/// The codes of `poll`.
pub const OF_POLL: &str = "\
Exit codes:
    0  every request was answered with a status below 400
    1  the command could not run, or an output could not be written
    2  the command line is wrong, or there is no contact, or no input
    3  some requests failed, were answered with a status from 400, or were wrong lines of a file
  130  it was interrupted (Ctrl-C, SIGTERM)";

/// The codes of `fetch`.
pub const OF_FETCH: &str = "\
Sends one request. robots.txt is not asked, and a redirect is shown and not followed.

Exit codes:
    0  the answer has a status from 200 to 399
    1  the command could not run, or the body could not be written
    2  the command line is wrong; nothing was sent
    3  no whole answer came, or one with another status";

/// The codes of `robots`.
pub const OF_ROBOTS: &str = "\
Exit codes:
    0  the server answered for the robots file, whatever it says
    1  the command could not run, or stdout could not be written
    2  the command line is wrong; nothing was sent
    3  no whole answer came";

/// The codes of `sitemap`.
pub const OF_SITEMAP: &str = "\
Follows indexes, and obeys robots.txt. The summary goes to stderr.

Exit codes:
    0  at least one sitemap was read, and each to its end
    1  the command could not run, or stdout could not be written
    2  the command line is wrong; nothing was sent
    3  there is no sitemap, or one could not be read
  130  it was interrupted (Ctrl-C, SIGTERM)";

/// The codes of `state`.
pub const OF_STATE: &str = "\
Exit codes:
    0  the command did what it was asked
    1  there is no state, a crawl runs with it, it is damaged, or nothing is queued for the domain to forget
    2  the command line is wrong";

/// The codes of `explain`.
pub const OF_EXPLAIN: &str = "\
The state knows what waits, what is before it, and what failed; the log knows how each URL ended. Give both where there are
both.

Exit codes:
    0  the URL is known
    1  there is no state and no log, a crawl uses the state, or they cannot be read
    2  the command line is wrong
    3  nothing is known of the URL";

/// The codes of `warc`.
pub const OF_WARC: &str = "\
Exit codes:
    0  the command did what it was asked
    1  a file cannot be read or is damaged, verify has found something wrong, or an output could not be written
    2  the command line is wrong
    3  extract has found no such record";

/// The codes of `cluster`.
pub const OF_CLUSTER: &str = "\
Exit codes:
    0  the command did what it was asked
    1  the database cannot be reached, or there is no such crawl
    2  the command line is wrong";

/// The codes of `config`.
pub const OF_CONFIG: &str = "\
Exit codes:
    0  the file is right
    1  stdout could not be written
    2  the command line is wrong, the file cannot be read, or it has faults, which are printed";

/// The codes of `demo`.
pub const OF_DEMO: &str = "\
Exit codes:
    0  the demo went as it should
    1  the demo could not run, or not to its end
    2  the command line is wrong
    4  the ledger does not add up
  130  it was interrupted (Ctrl-C, SIGTERM)";

impl Exit {
    /// Returns the code for a crawl that has ended.
    pub fn of(report: &Report) -> Self {
        match report {
            Report { ledger_adds_up: false, .. } => Self::Ledger,
            Report { ended: Ended::Stopped | Ended::Aborted, .. } => Self::Interrupted,
            Report { ended: Ended::Failed, .. } => Self::NotRun,
            report if report.validation.as_ref().is_some_and(|found| found.missed().next().is_some()) => Self::Coverage,
            report if report.failed() > 0 || !report.complaints.is_empty() => Self::FailedPages,
            _ => Self::Well,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command failed, or had nothing left to do.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    /// One line; empty if the reader of the output has gone.
    message: String,
}

impl Failure {
    /// The request is invalid; `message` says what to write instead.
    pub fn usage(message: impl Display) -> Self {
        Self { exit: Exit::Usage, message: message.to_string() }
    }

    /// The request cannot be carried out; `message` says what to change.
    pub fn not_run(message: impl Display) -> Self {
        Self { exit: Exit::NotRun, message: message.to_string() }
    }

    /// The reader of the output has closed it.
    pub fn reader_gone() -> Self {
        Self { exit: Exit::NotRun, message: String::new() }
    }

    /// Stdout cannot be written. Nothing is said where its reader has gone, as in `… | head`.
    pub fn unprintable(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::reader_gone(),
            _ => Self::not_run(format!("stdout cannot be written: {error}")),
        }
    }

    /// The request was carried out and failed.
    pub fn failed(message: impl Display) -> Self {
        Self { exit: Exit::FailedPages, message: message.to_string() }
    }

    /// The command was interrupted; `message` says what was left undone.
    pub fn interrupted(message: impl Display) -> Self {
        Self { exit: Exit::Interrupted, message: message.to_string() }
    }

    /// Returns the line for people; empty where nothing is to be said.
    pub fn line(&self) -> String {
        let message = one_line(&in_options(&self.message));
        if self.exit == Exit::Well || message.is_empty() { message } else { format!("error: {message}") }
    }

    /// Returns the code.
    pub fn exit(&self) -> Exit {
        self.exit
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match &error {
            Error::Setting { what, why } => match option_of(what) {
                Some(option) => Self::usage(format!("{option} (transport.{}): {why}", of_transport(what))),
                None => Self::usage(error),
            },
            Error::Url { .. } | Error::Selector(_) => Self::usage(error),
            Error::File { path, source } => Self::not_run(format!("{}: {source}", path.display())),
            _ => Self::not_run(error),
        }
    }
}

impl Failure {
    /// An output cannot be written.
    pub fn unwritable(option: &str, path: &Path, source: &io::Error) -> Self {
        let name = path.display();
        if let Some(folder) = missing_folder(path, source) {
            let folder = folder.display();
            return Self::not_run(format!(
                "{option} {name} cannot be written: the folder {folder} is not there; make it, or name a file elsewhere"
            ));
        }
        Self::not_run(match WANT_FOLDERS.contains(&option) {
            true if path.is_file() => format!("{option} {name} is a file; name a directory"),
            true => format!("{option} {name} cannot be used: {source}; name a directory that can"),
            false if path.is_dir() => format!("{option} {name} is a directory; name a file"),
            false => format!("{option} {name} cannot be written: {source}; name a file that can"),
        })
    }

    /// A file of an option cannot be read.
    pub fn unreadable(option: &str, path: &Path, error: &io::Error) -> Self {
        Self::usage(format!("{option} {} cannot be read: {}", path.display(), why_unreadable(path, error)))
    }

    /// The output for pages cannot be written: a file, or a folder if its name ends with a slash.
    fn pages_unwritable(path: &Path, source: &io::Error) -> Self {
        let name = path.display();
        let without_slash: PathBuf = path.components().collect();
        Self::not_run(match is_folder(path) {
            true if without_slash.is_file() => {
                format!("-o {name} is a file; write {} for that, or name another folder", without_slash.display())
            }
            true => format!("-o {name} cannot be used: {source}; name a folder that can"),
            false if path.is_dir() => {
                format!("-o {name} is a directory; name a file, or write {name}/ for a folder of Markdown")
            }
            false => return Self::unwritable("-o", path, source),
        })
    }

    /// Adds to the library's error about a file that cannot be read the option that named it.
    pub fn reading(option: &str, error: Error) -> Self {
        match error {
            Error::File { path, source } => {
                Self::not_run(format!("{option} {} cannot be read: {}", path.display(), why_unreadable(&path, &source)))
            }
            other => other.into(),
        }
    }

    /// Adds to the library's error about an output of a crawl the option that named it.
    pub fn naming(error: Error, outputs: &[(&str, Option<PathBuf>)]) -> Self {
        if let Error::File { path, source } = &error {
            for (option, output) in outputs {
                if let Some(output) = output.as_ref().filter(|output| path.starts_with(output)) {
                    return match *option {
                        "-o" => Self::pages_unwritable(output, source),
                        option => Self::unwritable(option, output, source),
                    };
                }
            }
        }
        error.into()
    }
}

/// Says why a file cannot be read.
fn why_unreadable(path: &Path, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        _ if path.is_dir() => "it is a directory; name a file".to_owned(),
        _ => error.to_string(),
    }
}

/// Returns the folder of a file, if the file cannot be written since there is none.
fn missing_folder<'p>(path: &'p Path, source: &io::Error) -> Option<&'p Path> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.filter(|folder| source.kind() == io::ErrorKind::NotFound && !folder.exists())
}

/// Options that name directories.
const WANT_FOLDERS: [&str; 6] = ["--state", "--cache", "--record", "--replay", "--warc", "--save-dir"];

/// Returns the name of a setting within the transport's.
fn of_transport(setting: &str) -> &str {
    setting.strip_prefix("transport.").unwrap_or(setting)
}

/// Returns the option for a setting of the transport.
fn option_of(setting: &str) -> Option<&'static str> {
    // The place in a list is not the option's.
    match of_transport(setting).split('[').next().unwrap_or_default() {
        "resolve" => Some("--resolve"),
        "proxies.via" => Some("--proxy"),
        "tls.insecure" => Some("--insecure"),
        "tls.ca_files" => Some("--ca"),
        "credentials" => Some("--user"),
        "secret_headers" => Some("--secret-header"),
        _ => None,
    }
}

/// Replaces method names by option names in the library's messages.
pub fn in_options(text: &str) -> String {
    let names = [
        ("allow_private(), or --allow-private on the command line,", "--allow-private"),
        ("allow_address() or --allow-address", "--allow-address"),
        ("seeds_again()", "--seeds-again"),
        ("revisit_after()", "--revisit-after"),
        ("max_pages()", "--max-pages"),
        ("max_requests()", "--max-requests"),
        ("max_pages_per_domain()", "--max-pages-per-domain"),
        // After the one that ends in it.
        ("per_domain()", "--per-domain"),
        ("concurrency()", "--concurrency"),
    ];
    names.iter().fold(text.to_owned(), |text, (method, option)| text.replace(method, option))
}

/// Keeps the first paragraphs of clap's message, which say what is wrong; the others describe how to get help.
impl From<clap::Error> for Failure {
    fn from(mut error: clap::Error) -> Self {
        let is_secret = |arg: &ContextValue| match arg {
            ContextValue::String(arg) => SECRET.iter().any(|option| arg.starts_with(option)),
            _ => false,
        };
        if error.get(ContextKind::InvalidArg).is_some_and(is_secret) {
            error.insert(ContextKind::InvalidValue, ContextValue::String("***".to_owned()));
        }
        let text = error.to_string();
        let what = text.split("\n\nUsage:").next().unwrap_or(&text);
        let what = what.split("\n\nFor more information").next().unwrap_or(what);
        let what = what.trim_start_matches("error: ");
        match what.split_once("tip: to pass '") {
            // clap suggests passing it as an argument.
            Some((what, _)) => Self::usage(format!(
                "{}; --help lists the options. If it is the value of one, write --option=VALUE",
                what.trim_end()
            )),
            // The nearest option or command.
            None => Self::usage(what.replace("\n\n  tip: ", "; ")),
        }
    }
}

/// Options whose values have passwords in them.
const SECRET: [&str; 3] = ["--header <", "--user <", "--proxy <"];

/// Joins the lines of a message. A caret and the line that it stands under stay as they are.
fn one_line(text: &str) -> String {
    let (mut told, mut lines) = (String::new(), text.lines().peekable());
    while let Some(line) = lines.next() {
        if let Some(caret) = lines.next_if(|next| line.starts_with(' ') && next.trim() == "^") {
            told.push_str(&format!("\n{line}\n{caret}\n"));
            continue;
        }
        for word in line.split_whitespace() {
            if !told.is_empty() && !told.ends_with('\n') {
                told.push(' ');
            }
            told.push_str(word);
        }
    }
    told.truncate(told.trim_end().len());
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_of_a_crawl_lists_every_code() {
        for exit in
            [Exit::Well, Exit::NotRun, Exit::Usage, Exit::FailedPages, Exit::Ledger, Exit::Coverage, Exit::Interrupted]
        {
            let code = format!("{:>5}  ", exit as u8);
            assert!(OF_CRAWL.contains(&code), "{code}");
        }
    }

    #[test]
    fn a_message_is_one_line_but_for_a_caret_under_its_fault() {
        assert_eq!(one_line("wrong:\n  a\n  b\n"), "wrong: a b");
        assert_eq!(one_line("no selector:\n    p > .1st\n        ^"), "no selector:\n    p > .1st\n        ^");
        assert_eq!(one_line("no:\n    p[\n     ^\n tip: p"), "no:\n    p[\n     ^\ntip: p");
    }

    #[test]
    fn a_message_of_the_library_names_options_in_place_of_methods() {
        let message = "a per_domain() of 38 reaches it, with a concurrency() of 38 too; max_pages_per_domain() of 4";
        let options = "a --per-domain of 38 reaches it, with a --concurrency of 38 too; --max-pages-per-domain of 4";
        assert_eq!(in_options(message), options);
    }
}
