//! Engine: who may be asked for what, and when; and what was done. Knows no network and no spider.
//!
//! The [`Scheduler`] is the actor: it has the timer and the mailbox. It drives one [`Crawl`](crawl::Crawl), whose parts
//! work on the same `Turn`:
//!
//! ```text
//! seeds, answers ─→ Intake ─→ frontier ─→ Granter ─→ fetchers
//!                     │                     │ Domains, Budget, RobotsFiles, Ruled
//!                     ├─ Draining: the queues of domains that are given up
//!                     ├─ Durability: what is stored, and what waits for the store
//!                     └─ Accounts: ledger, counts, crawl log and subscribers, all made from events
//! ```

mod scheduler;
mod signals;
mod messages;
pub mod crawl;
mod turn;
mod warnings;
mod intake;
mod granter;
pub mod domains;
pub mod budget;
pub mod robots_files;
mod ruled;
mod draining;
mod durability;
mod past;
mod accounts;
pub mod log_line;

pub use self::{
    messages::{Control, GetProgress, GetStats, Notices, Seed},
    scheduler::{ClosePipelines, LogLines, Scheduler, SchedulerParts},
};
