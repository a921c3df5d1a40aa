//! Engine: decides when each domain gets which request, and records the results. Knows no network and no spider.
//!
//! The [`Scheduler`] is the actor: it has the timer and the mailbox. It drives one [`Crawl`](crawl::Crawl), whose parts
//! work on the same `Turn`:
//!
//! ```text
//! seeds, answers ─→ Intake ─→ frontier ─→ Granter ─→ fetchers
//!                     │                     │ Domains, Budget, Rulings (RobotsFiles, SitemapFiles, AllowedPages)
//!                     │                     └ LocalOutage: holds all back while this machine is at fault
//!                     ├─ Draining: the queues of given-up domains
//!                     ├─ Failures: what is over, until the spider is notified
//!                     ├─ Durability: what to store, and what waits for the store
//!                     └─ Accounts: ledger, counts, crawl log and streams, all derived from events
//! ```

mod scheduler;
pub mod signals;
pub mod ending;
mod messages;
mod tuning;
pub mod crawl;
mod turn;
mod intake;
mod queues;
mod file_queue;
mod granter;
mod outage;
mod fitness;
mod places;
pub mod domains;
mod due_queue;
mod domain_holds;
pub mod budget;
mod rulings;
pub mod robots_files;
pub mod sitemap_files;
mod allowed_pages;
mod draining;
mod failures;
mod resting;
mod refused_requests;
mod durability;
mod past;
mod question;
mod ends;
mod end_warnings;
mod frequent;
mod accounts;
pub mod log_in_pages;
mod log_line;

pub use self::{
    domain_holds::Hold,
    durability::MAX_QUESTIONS,
    granter::FileWaits,
    messages::{Control, GetFailures, GetFirstFailures, GetProgress, GetStats, GiveUp, Notices, Seed},
    question::Question,
    scheduler::{ClosePipelines, ClosedPipelines, LogLines, Scheduler, SchedulerParts},
    tuning::{GetScope, SettingChange, Tune},
};
