//! `explain`: says where a URL stands in a crawl and why, from its state or its log.

use actix_crawler::{
    Error,
    explain::{Explanation, Whereabouts},
    frontier::stores::fjall::open_state,
    internals::{escape_json, explain_by_log},
};

use super::{
    console::print,
    exit::{Exit, Failure},
    options::ExplainOptions,
    terminal,
};

/// Runs the command.
///
/// # Errors
/// There is no state and no log, a crawl uses the state and no log is given, or they cannot be read.
pub fn run(options: &ExplainOptions) -> Result<Exit, Failure> {
    let explained = explain(options)?;
    if options.json {
        let mut line = serde_json::to_vec(&explained).map_err(Failure::not_run)?;
        if terminal::is_terminal(None) {
            escape_json(&mut line);
        }
        line.push(b'\n');
        print(&line)?;
    } else {
        print(format!("{explained}\n").as_bytes())?;
    }
    Ok(if is_known(&explained) { Exit::Well } else { Exit::FailedPages })
}

/// A state knows what waits and what failed, a log how each URL ended. So the log is asked where the state says no more
/// than that a URL is not there.
fn explain(options: &ExplainOptions) -> Result<Explanation, Failure> {
    let by_state = |dir| open_state(dir).and_then(|state| state.explain(&options.url));
    let by_log = |log| explain_by_log(log, &options.url).map_err(|error| Failure::reading("--log", error));
    match (&options.state, &options.log) {
        (None, None) => Err(Failure::usage("nothing to look into; give --state DIR or --log FILE, or both")),
        (None, Some(log)) => by_log(log),
        (Some(dir), None) => by_state(dir).map_err(|error| match error {
            Error::Store { .. } => {
                Failure::not_run(format!("{error}. Of a crawl that runs, --log FILE tells how a URL has ended"))
            }
            other => other.into(),
        }),
        // A typo in one is not hidden by the other.
        (Some(dir), Some(log)) if !dir.is_dir() || !log.exists() => Err(Failure::not_run(format!(
            "there is no {}; name what the crawl was given",
            if dir.is_dir() { log.display() } else { dir.display() }
        ))),
        (Some(dir), Some(log)) => match by_state(dir) {
            Ok(explained) if knows_all(&explained) => Ok(explained),
            Ok(explained) => Ok(Some(by_log(log)?).filter(is_known).unwrap_or(explained)),
            Err(error @ Error::Store { .. }) => Some(by_log(log)?).filter(is_known).ok_or_else(|| {
                Failure::not_run(format!("{error}; and the log has no line of the URL, which may wait"))
            }),
            Err(error) => Err(error.into()),
        },
    }
}

fn knows_all(explained: &Explanation) -> bool {
    !matches!(explained.stands, Whereabouts::NeverHeardOf { .. } | Whereabouts::TakenIn { .. })
}

fn is_known(explained: &Explanation) -> bool {
    !matches!(explained.stands, Whereabouts::NeverHeardOf { .. } | Whereabouts::NotLogged)
}
