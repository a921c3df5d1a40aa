//! Unknown: which option was meant by one that there is not. Knows the names that other tools have for what ours do.

use std::ffi::OsString;

use clap::{
    Command, Error,
    builder::StyledStr,
    error::{ContextKind, ContextValue, ErrorKind},
};

/// What is meant by names of other tools, as of Scrapy, wget and curl.
struct Foreign {
    names: &'static [&'static str],
    /// The option that is meant: a command without it is asked for something else.
    option: &'static str,
    /// What to write.
    tip: &'static str,
}

const FOREIGN: [Foreign; 16] = [
    Foreign {
        names: &["resume", "continue", "jobdir", "job-dir", "checkpoint"],
        option: "state",
        tip: "write --state DIR: the same command then goes on where the last one ended",
    },
    Foreign {
        names: &["follow", "follow-links", "recursive", "recurse", "mirror"],
        option: "allow",
        tip: "links are followed without an option; --allow RE, --deny RE and --max-depth N say which, and --items RE \
              which pages are written",
    },
    Foreign {
        names: &["format", "output-format", "csv", "json", "jsonl", "xml"],
        option: "fields",
        tip: "the ending of the file's name says the format: write -o NAME.csv, or .jsonl, .json or .xml",
    },
    Foreign { names: &["columns", "header-fields", "fieldnames"], option: "fields", tip: "write --fields url,title" },
    Foreign { names: &["level", "levels", "depth-limit", "max-level"], option: "depth", tip: "write --max-depth N" },
    Foreign { names: &["limit", "max-items", "count"], option: "max-pages", tip: "write --max-pages N" },
    Foreign {
        names: &["wait", "sleep", "pause", "interval", "download-delay"],
        option: "delay",
        tip: "write --delay TIME, or --rate RATE",
    },
    Foreign { names: &["include", "accept", "accept-regex"], option: "allow", tip: "write --allow RE" },
    Foreign { names: &["exclude", "reject", "reject-regex"], option: "deny", tip: "write --deny RE" },
    Foreign {
        names: &["parallel", "jobs", "workers", "concurrent-requests"],
        option: "concurrency",
        tip: "write --concurrency N",
    },
    Foreign { names: &["no-robots", "ignore-robots"], option: "robots", tip: "write --robots ignore" },
    Foreign {
        names: &["css", "extract", "selector"],
        option: "select",
        tip: "write --select NAME=CSS, or NAME=CSS@ATTRIBUTE",
    },
    Foreign { names: &["domain", "domains", "span-hosts"], option: "scope", tip: "write --scope host, domain or any" },
    Foreign { names: &["agent", "ua"], option: "user-agent", tip: "write --user-agent UA, or --contact URL-or-mail" },
    Foreign { names: &["ca-cert", "cacert", "ca-certificate"], option: "ca", tip: "write --ca FILE.pem" },
    Foreign { names: &["quiet", "silent", "no-progress"], option: "progress", tip: "write --progress never" },
];

/// Adds to an error about an unknown option what was probably meant, if that is known: one with two hyphens in place of
/// one, one in small letters, or what other tools call otherwise. `given` are all arguments.
pub fn explained(mut error: Error, command: &Command, given: &[OsString]) -> Error {
    let unknown = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(unknown)) if error.kind() == ErrorKind::UnknownArgument => unknown.clone(),
        _ => return error,
    };
    let Some(command) = given.iter().find_map(|given| command.find_subcommand(given)) else { return error };
    let Some((written, tip)) = meant(&unknown, command, given) else { return error };
    for kind in [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand, ContextKind::Suggested] {
        error.remove(kind);
    }
    error.insert(ContextKind::InvalidArg, ContextValue::String(written));
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![StyledStr::from(tip)]));
    error
}

/// Returns an error about a long option with one hyphen that would be read as a short one with its value:
/// `-order breadth` as `-o rder`.
pub fn with_one_hyphen(mut command: &mut Command, given: &[OsString]) -> Option<Error> {
    let mut is_value = false;
    for given in given.iter().skip(1).map_while(|given| given.to_str().filter(|given| *given != "--")) {
        if !is_value && command.find_subcommand(given).is_some() {
            command = command.find_subcommand_mut(given)?;
            continue;
        }
        let name = given.strip_prefix('-').and_then(|name| name.split('=').next()).filter(|name| name.len() > 1);
        if let Some(name) = name.filter(|name| !is_value && has(command, name)) {
            let why = format!("unexpected argument '-{name}' found; a similar argument exists: '--{name}'");
            return Some(command.error(ErrorKind::UnknownArgument, why));
        }
        is_value = takes_value(command, given);
    }
    None
}

/// Tells whether an argument is an option whose value comes next.
fn takes_value(command: &Command, given: &str) -> bool {
    command.get_arguments().filter(|option| option.get_action().takes_values()).any(|option| {
        let is_long = option.get_long().is_some_and(|long| given.strip_prefix("--") == Some(long));
        is_long || option.get_short().is_some_and(|short| given.strip_prefix('-') == Some(short.to_string().as_str()))
    })
}

/// Returns an unknown option as it was written, and what to write.
fn meant(unknown: &str, command: &Command, given: &[OsString]) -> Option<(String, String)> {
    if let Some(name) = unknown.strip_prefix("--") {
        return Some((unknown.to_owned(), tip(command, name)?));
    }
    // `-depth` was read as `-d`, `-e` and so on.
    let letter = unknown.strip_prefix('-')?;
    given.iter().filter_map(|given| given.to_str()).find_map(|given| {
        let written = given.split('=').next()?;
        let name = written.strip_prefix('-').filter(|name| name.contains(letter))?;
        Some((written.to_owned(), tip(command, name)?))
    })
}

/// Returns what to write for a name without its hyphens.
fn tip(command: &Command, name: &str) -> Option<String> {
    let name = name.to_lowercase();
    if has(command, &name) {
        return Some(format!("a similar argument exists: '--{name}'"));
    }
    let is_meant = |foreign: &&Foreign| foreign.names.contains(&&*name) && has(command, foreign.option);
    FOREIGN.iter().find(is_meant).map(|foreign| foreign.tip.to_owned())
}

/// Tells whether a command has an option of this name.
fn has(command: &Command, name: &str) -> bool {
    command.get_arguments().any(|option| {
        let aliases = option.get_all_aliases().unwrap_or_default();
        option.get_long() == Some(name) || aliases.contains(&name)
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::{super::Cli, *};

    #[test]
    fn each_name_of_other_tools_is_no_option_of_ours_and_means_one_of_crawl() {
        let command = Cli::command();
        let crawl = command.find_subcommand("crawl").unwrap();
        for foreign in &FOREIGN {
            assert!(has(crawl, foreign.option), "{}", foreign.option);
            assert!(foreign.names.iter().all(|name| !has(crawl, name)), "{:?}", foreign.names);
        }
    }
}
