//! Threads: which thread an actor has, and how far it gives way to others. Knows no crawl.

pub(crate) mod niceness;
pub(crate) mod own_arbiter;
