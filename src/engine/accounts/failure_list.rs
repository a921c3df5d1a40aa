//! FailureList: which requests have failed: the first for each reason, and the latest. Knows no numbers.

use std::collections::{BTreeMap, VecDeque};

use hashbrown::HashMap;

use crate::{
    clock,
    extract::prefix,
    request::Request,
    stats::{Failure, FirstFailure, MAX_FAILURES_LISTED, count::Count},
};

/// The failures that are shown.
#[derive(Default)]
pub struct FailureList {
    first: HashMap<Count, FirstFailure>,
    /// The last one is at the end.
    latest: VecDeque<Failure>,
}

/// The longest detail of a failure that is kept, in bytes.
const MAX_DETAIL: usize = 300;

impl FailureList {
    /// Adds a request that has failed.
    pub fn add(&mut self, reason: Count, request: &Request, detail: &str) {
        self.first
            .entry(reason)
            .or_insert_with(|| FirstFailure { url: request.url.as_str().to_owned(), detail: detail.to_owned() });
        if self.latest.len() >= MAX_FAILURES_LISTED {
            self.latest.pop_front();
        }
        self.latest.push_back(Failure {
            time: clock::wall(),
            url: request.url.as_str().to_owned(),
            reason: reason_of(&reason),
            detail: prefix(detail, MAX_DETAIL).to_owned(),
        });
    }

    /// Returns the first URL that failed for each reason.
    pub fn first(&self) -> BTreeMap<String, FirstFailure> {
        self.first.iter().map(|(count, first)| (reason_of(count), first.clone())).collect()
    }

    /// Returns the latest failures, at most so many, the last one first.
    pub fn latest(&self, most: usize) -> Vec<Failure> {
        self.latest.iter().rev().take(most).cloned().collect()
    }
}

/// Returns the reason of a failure, without what is common to all.
fn reason_of(failed: &Count) -> String {
    failed.to_string().trim_start_matches("failed/").to_owned()
}
