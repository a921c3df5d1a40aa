//! Settings: all that a crawl can be told, but for its spider and its pipelines; and the parts that are seldom named.
//!
//! ```
//! use actix_crawler::{Politeness, Rate, Scope, settings::{Override, Pattern}};
//!
//! let slow = Override { domain: "*.slow.example".into(), rate: Some(Rate::per_minute(10)), ..Override::default() };
//! let politeness = Politeness { overrides: vec![slow], ..Politeness::default() };
//! politeness.check()?;
//!
//! let deny: Pattern = r"/print/".parse()?;
//! let scope = Scope { deny: vec![deny], ..Scope::default() };
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod domain_settings;
#[cfg(feature = "toml")]
pub(crate) mod file;
mod key;
mod page_settings;
pub(crate) mod wrong_value;

use std::{collections::BTreeMap, path::PathBuf, thread, time::Duration};

use serde::{Deserialize, Serialize};

pub(crate) use self::domain_settings::NamedDomains;
#[cfg(feature = "toml")]
pub use self::file::{Fault, VARIABLES};
use self::wrong_value::MAX_THREADS;
pub use self::{
    domain_settings::DomainSettings,
    page_settings::{PagePart, PageSettings},
};
use crate::{
    error::{Error, Result},
    extract::links::MAX_LINKS,
    feed::Feed,
    files::Files,
    middleware::DefaultHeaders,
    order::Order,
    politeness::Politeness,
    recrawl::Recrawl,
    retry::Retry,
    scope::Scope,
    sessions::Sessions,
    text::durations,
    transport::TransportSettings,
};
pub use crate::{
    order::PriorityRule,
    politeness::{DEFAULT_SPACING, Override},
    rate::{MAX_IN_A_WINDOW, MAX_WINDOW, Window},
    recrawl::Adaptive,
    scope::{Pattern, Traps},
    sitemaps::Sitemaps,
};

/// All settings of a crawl except its spider and its pipelines: of a [`Crawler`](crate::Crawler), of a file, and of the
/// command line.
///
/// A file in TOML has these names as keys; docs/CONFIG.md shows it. `Settings::read` (feature `toml`) reads the file
/// that `actix-crawler crawl --config` reads, and [`Crawler::from_settings`](crate::Crawler::from_settings) crawls with
/// it.
///
/// ```
/// use std::time::Duration;
///
/// use actix_crawler::{Settings, prelude::*};
///
/// let settings = Settings { parse_timeout: Duration::from_secs(5), max_queued: 100_000, ..Settings::default() };
/// let titles = |page: &Response| Ok(Parsed::of(page.title().map(str::to_owned)));
/// let crawler = Crawler::new(titles, "quotesbot/1.0 (+https://example.org/bot)").settings(settings);
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Settings {
    /// Where the crawl begins, beside the seeds that the program gives.
    pub seeds: Vec<String>,
    /// Where site owners reach who crawls, a URL or a mail address; see [`Settings::composed_user_agent`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// The whole User-Agent, with a contact in it, in place of one that is made of `contact`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// How politely domains are treated.
    pub politeness: Politeness,
    /// Which URLs belong to the crawl.
    pub scope: Scope,
    /// Which of a domain's waiting requests goes first.
    pub order: Order,
    /// Which pages go first by their URLs; see [`PriorityRule`].
    pub priorities: Vec<PriorityRule>,
    /// When failed requests are retried.
    pub retry: Retry,
    /// Which seen URLs are fetched again.
    pub recrawl: Recrawl,
    /// Which sitemaps are read, and what is taken from them.
    pub sitemaps: Sitemaps,
    /// The folder for files, and which files are wanted.
    pub files: Files,
    /// The network: time-outs, bounds, proxies, TLS.
    pub transport: TransportSettings,
    /// The sessions that requests are sent in; see [`Crawler::sessions`](crate::Crawler::sessions).
    pub sessions: Sessions,
    /// Headers that requests carry; see [`Crawler::header`](crate::Crawler::header).
    pub headers: DefaultHeaders,
    /// What is otherwise for some domains, by name; see [`DomainSettings`].
    pub domains: BTreeMap<String, DomainSettings>,
    /// Network threads, with one fetcher each; one for each core by default.
    pub threads: usize,
    /// How far the crawl's threads give way to others of the machine; see [`Crawler::nice`](crate::Crawler::nice).
    pub nice: u8,
    /// The longest that `parse` may take for a page; 30 s by default. A page that takes longer fails.
    #[serde(with = "durations")]
    pub parse_timeout: Duration,
    /// The longest that a pipeline may take to acknowledge an item, from when it got it or has acknowledged those
    /// before it; 5 minutes by default. If it takes longer, the item's page fails and the pipeline is restarted.
    #[serde(with = "durations")]
    pub pipeline_timeout: Duration,
    /// The most waiting requests in memory.
    pub max_queued: u64,
    /// The most waiting requests of one domain, so that an endless site does not use up the room of all others; further
    /// ones are dropped as `budget/domain_queue_full`. By default a million in memory, ten million with a state.
    pub max_queued_per_domain: Option<u64>,
    /// The most memory for waiting requests, in bytes; further ones are dropped as `budget/queue_full`. Does not apply
    /// with a state.
    pub max_queued_bytes: u64,
    /// The most links that are read from one page; 10,000 by default. What is beyond is dropped as
    /// `budget/links_per_page`.
    pub max_links_per_page: usize,
    /// Whether a page that sends its readers on within 5 s, by a `Refresh` header or `<meta http-equiv=refresh>`, is a
    /// redirect; see [`Crawler::ignore_refresh`](crate::Crawler::ignore_refresh).
    pub follow_refresh: bool,
    /// Whether the crawl waits for more seeds when nothing is left to do.
    pub stay_open: bool,
    /// Whether the limit of each domain is searched for; see [`Crawler::adaptive`](crate::Crawler::adaptive).
    pub adaptive: bool,
    /// The longest that the crawl may take; see [`Crawler::max_time`](crate::Crawler::max_time).
    #[serde(with = "durations::optional")]
    pub max_time: Option<Duration>,
    /// Whether signals stop the crawl; see [`Crawler::stop_on_signals`](crate::Crawler::stop_on_signals).
    pub stop_on_signals: bool,
    /// The file for the crawl log.
    pub log: Option<PathBuf>,
    /// The directory for the crawl's state, so that it can be resumed; in memory without one.
    pub state: Option<PathBuf>,
    /// Where items go, and how they are written; a program takes them in by [`Crawler::feeds`](crate::Crawler::feeds).
    pub feeds: Vec<Feed>,
    /// What the command line writes of each page; a spider of one's own does not ask for it.
    pub pages: PageSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seeds: Vec::new(),
            contact: None,
            user_agent: None,
            politeness: Politeness::default(),
            scope: Scope::default(),
            order: Order::default(),
            priorities: Vec::new(),
            retry: Retry::default(),
            recrawl: Recrawl::default(),
            sitemaps: Sitemaps::default(),
            files: Files::default(),
            transport: TransportSettings::default(),
            sessions: Sessions::new(),
            headers: DefaultHeaders::new(),
            domains: BTreeMap::new(),
            threads: thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS),
            nice: 0,
            // Parsing takes milliseconds; what takes half a minute will not end.
            parse_timeout: Duration::from_secs(30),
            // A restarting database may take minutes, and the crawl waits for it.
            pipeline_timeout: Duration::from_secs(300),
            // About 2.5 GB at 250 bytes each; a larger crawl needs a frontier on disk.
            max_queued: 10_000_000,
            max_queued_per_domain: None,
            // The size of `max_queued` ordinary requests; with bodies or states fewer fit.
            max_queued_bytes: 4_000_000_000,
            max_links_per_page: MAX_LINKS,
            follow_refresh: true,
            stay_open: false,
            adaptive: false,
            max_time: None,
            stop_on_signals: false,
            log: None,
            state: None,
            feeds: Vec::new(),
            pages: PageSettings::default(),
        }
    }
}

impl Settings {
    /// Returns the User-Agent: the one that is set, or this crate's name with the contact.
    pub fn composed_user_agent(&self) -> String {
        let name = concat!("actix-crawler/", env!("CARGO_PKG_VERSION"));
        match (&self.user_agent, &self.contact) {
            (Some(given), _) => given.clone(),
            (None, Some(contact)) => format!("{name} (+{contact})"),
            (None, None) => name.to_owned(),
        }
    }

    /// Checks what the types cannot enforce, without network: what a crawl would refuse to start with.
    ///
    /// # Errors
    /// Names the first wrong setting, and what to write. A file of certificates cannot be read.
    pub fn check(&self) -> Result<()> {
        self.check_values()?;
        let rest = self.wrong_files().into_iter().chain(self.wrong_user_agent());
        rest.map(Error::from).next().map_or(Ok(()), Err)
    }

    /// Checks what needs no files, and does not depend on what the program adds.
    ///
    /// # Errors
    /// Names the first wrong setting, and what to write.
    pub(crate) fn check_values(&self) -> Result<()> {
        self.wrong_values().into_iter().map(Error::from).next().map_or(Ok(()), Err)
    }
}
