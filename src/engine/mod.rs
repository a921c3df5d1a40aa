//! Engine: decides when each domain gets which request, and records the results. Knows no network and no spider.
//!
//! The [`Scheduler`] is the actor: it has the timer and the mailbox. It drives one [`Crawl`](crawl::Crawl), whose parts
//! work on the same `Turn`:
//!
//! ```text
//! seeds, answers ─→ Intake ─→ frontier ─→ Granter ─→ fetchers
//!                     │                     │ Domains, Budget, RobotsFiles, Ruled
//!                     │                     └ Pause: holds all back while this machine is at fault
//!                     ├─ Draining: the queues of given-up domains
//!                     ├─ Durability: what to store, and what waits for the store
//!                     └─ Accounts: ledger, counts, crawl log and subscribers, all derived from events
//! ```

mod scheduler;
pub mod signals;
mod messages;
pub mod crawl;
mod turn;
mod intake;
mod granter;
mod pause;
pub mod domains;
pub mod budget;
pub mod robots_files;
mod ruled;
mod draining;
mod durability;
mod past;
mod frequent;
mod accounts;
pub mod log_line;

pub use self::{
    messages::{Control, GetProgress, GetStats, Notices, Seed},
    scheduler::{ClosePipelines, LogLines, Scheduler, SchedulerParts},
};
