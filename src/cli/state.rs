//! `state`: shows, verifies and edits a crawl's state directory between two crawls.

use std::{
    io::{self, Write},
    ops::ControlFlow,
};

use actix_crawler::{
    Domain, Error,
    frontier::{stores::fjall::open_state, windowed::state::State},
    internals::{Counted, escape_json},
};

use super::{
    console::print,
    exit::{Exit, Failure},
    options::StateOptions,
    terminal,
};

/// Runs the command.
///
/// # Errors
/// There is no state, a crawl uses it, or it is damaged.
pub fn run(options: &StateOptions) -> Result<Exit, Failure> {
    let state = open_state(&options.dir)?;
    let task = &options.task;
    if task.export {
        return export(&state);
    }
    if task.dead_letters {
        return dead_letters(&state);
    }
    if task.requeue_dead {
        let count = state.requeue_dead()?;
        print(format!("{} queued again\n", Counted(count, "request")).as_bytes())?;
        return Ok(Exit::Well);
    }
    if let Some(name) = &task.forget_domain {
        let count = state.forget_domain(&Domain::new(name))?;
        if count == 0 {
            return Err(Failure::not_run(format!("nothing is queued for {name}; --export shows what is")));
        }
        print(format!("{} of {name} dropped\n", Counted(count, "request")).as_bytes())?;
        return Ok(Exit::Well);
    }
    let summary = if task.verify { state.verify()? } else { state.summary()? };
    print(summary.to_string().as_bytes())?;
    match (task.verify, summary.problems.len()) {
        (true, 0) => print(b"nothing is wrong with it\n").map(|()| Exit::Well),
        (_, 0) => Ok(Exit::Well),
        (_, problems) => Err(Failure::not_run(format!(
            "{}; --export writes what can be read of what waits",
            Counted(problems as u64, "problem")
        ))),
    }
}

fn export(state: &State) -> Result<Exit, Failure> {
    match state.export(io::BufWriter::new(io::stdout().lock())) {
        Ok((_, damaged)) if damaged.is_empty() => Ok(Exit::Well),
        Ok((_, damaged)) => {
            let names: Vec<_> = damaged.iter().map(Domain::as_str).collect();
            Err(Failure::not_run(format!(
                "the queues of these domains are damaged and not whole: {}",
                names.join(", ")
            )))
        }
        Err(Error::File { source, .. }) => Err(Failure::unprintable(&source)),
        Err(error) => Err(error.into()),
    }
}

fn dead_letters(state: &State) -> Result<Exit, Failure> {
    let mut output = io::BufWriter::new(io::stdout().lock());
    let on_terminal = terminal::is_terminal(None);
    let mut written = Ok(());
    state.each_dead_letter(|dead| {
        written = serde_json::to_vec(&dead).map_err(io::Error::from).and_then(|mut line| {
            if on_terminal {
                escape_json(&mut line);
            }
            line.push(b'\n');
            output.write_all(&line)
        });
        if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    written.and_then(|()| output.flush()).map(|()| Exit::Well).map_err(|error| Failure::unprintable(&error))
}
