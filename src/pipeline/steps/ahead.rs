//! StepsAhead: the steps of a crawl, which its items go through before their files are requested and before all
//! pipelines. Knows no pages and no actors.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    StepResult, Steps, step,
    unique::{Claims, EndOfClaim, Keys},
};
use crate::{error::Result, feed::Outputs, pipeline::PipelineError};

/// The steps that all items of a crawl go through first; none by default.
pub(crate) struct StepsAhead<I>(Option<Steps<I>>);

/// What the steps have made of some items.
pub(crate) struct Stepped<I> {
    /// Those that go on, in their order, each with the keys that it has claimed.
    pub passed: Vec<(I, Claims)>,
    /// Those whose key an item on its way has, and what to wait for.
    pub waiting: Vec<(I, EndOfClaim)>,
    /// Why each of the others was left out.
    pub left_out: Vec<PipelineError>,
}

impl<I> Default for StepsAhead<I> {
    fn default() -> Self {
        Self(None)
    }
}

impl<I: Send + Sync + 'static> StepsAhead<I> {
    /// Adds steps behind those that are there.
    pub fn add(&mut self, steps: Steps<I>) {
        self.0 = Some(match self.0.take() {
            Some(first) => first.and(steps),
            None => steps,
        });
    }

    /// Checks that keys can be stored in the folder of the state. Changes nothing.
    ///
    /// # Errors
    /// They cannot be.
    pub fn check(&self, folder: Option<&Path>, outputs: &Outputs) -> Result<()> {
        let mut keys = self.0.iter().flat_map(|steps| &steps.keys).enumerate();
        keys.try_for_each(|(number, keys)| keys.check(file(keys, folder, number).as_deref(), outputs))
    }

    /// Begins without keys, or with those of earlier runs in the folder of the state.
    ///
    /// # Errors
    /// They cannot be read or stored.
    pub fn open(&self, folder: Option<&Path>, resumes: bool) -> Result<()> {
        let mut keys = self.0.iter().flat_map(|steps| &steps.keys).enumerate();
        keys.try_for_each(|(number, keys)| keys.open(file(keys, folder, number), resumes))
    }

    /// Returns how many files are open, at the most.
    pub fn max_open_files(&self) -> usize {
        self.0.as_ref().map_or(0, |steps| steps.keys.len())
    }

    /// Takes items through the steps, which are code of a user's own.
    ///
    /// # Errors
    /// A step refuses an item, or ends the crawl.
    pub fn take(&self, items: Vec<I>) -> Result<Stepped<I>, PipelineError> {
        let mut stepped =
            Stepped { passed: Vec::with_capacity(items.len()), waiting: Vec::new(), left_out: Vec::new() };
        let Some(steps) = &self.0 else {
            stepped.passed.extend(items.into_iter().map(|item| (item, Claims::default())));
            return Ok(stepped);
        };
        for item in items.into_iter().map(Arc::new) {
            match step(&*steps.run, &item) {
                (StepResult::Pass(other), claims) => {
                    drop(item);
                    stepped.passed.push((owned(other)?, claims));
                }
                (StepResult::Wait(end), _) => stepped.waiting.push((owned(item)?, end)),
                (StepResult::Drop(why @ (PipelineError::Dropped(_) | PipelineError::NotForThis)), _) => {
                    stepped.left_out.push(why);
                }
                (StepResult::Drop(error), _) => return Err(error),
            }
        }
        Ok(stepped)
    }
}

/// Returns the file for the keys of a step.
fn file(keys: &Keys, folder: Option<&Path>, number: usize) -> Option<PathBuf> {
    Some(folder?.join(keys.file_name(format!("steps-unique-{number}"))))
}

/// Steps only borrow items, so nobody else has it.
fn owned<I>(item: Arc<I>) -> Result<I, PipelineError> {
    Arc::into_inner(item).ok_or_else(|| PipelineError::refused("a step has kept the item"))
}
