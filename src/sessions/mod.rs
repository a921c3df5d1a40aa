//! Sessions: who a crawl is to a site. Each session has a name, cookies of its own, and a proxy where asked. Needs the
//! feature `cookies`.
//!
//! Without any of this, [`Crawler::cookies`](crate::Crawler::cookies) keeps the cookies of all requests together, in
//! the session that is called [`DEFAULT`].
//!
//! # Several visitors
//!
//! A request is sent in the session that it names. One that was not given begins without cookies.
//!
//! ```no_run
//! use actix_crawler::{prelude::*, sessions::{SessionSettings, Sessions}};
//!
//! fn orders(page: &Response) -> Result<Parsed<String>> {
//!     // The links of a page stay in its session, and so do redirects.
//!     Ok(Parsed::of(page.session().map(|session| session.name().to_owned())).follow(page.links()))
//! }
//!
//! # fn main() -> Result<()> {
//! let accounts = Sessions::new()
//!     .named("alice", SessionSettings::new().cookies_file("alice.txt"))
//!     .named("bob", SessionSettings::new().cookies_file("bob.txt").proxy("http://proxy.example:3128"));
//! let seed = |who: &str| Request::parse("https://shop.example/orders").map(|orders| orders.session(who).dont_filter());
//! let report = Crawler::new(orders, "shopbot/1.0 (+https://example.org/bot)")
//!     .sessions(accounts)
//!     .request(seed("alice")?)
//!     .request(seed("bob")?)
//!     .run_blocking()?;
//! println!("{} requests by alice", report.sessions["alice"].requests);
//! # Ok(()) }
//! ```
//!
//! The same URL in two sessions is one URL for the crawl, which fetches it once: as in Scrapy, who wants it in each
//! asks for it with [`Request::dont_filter`](crate::Request::dont_filter), as the seeds do here, or gives the crawl an
//! [`Identity`](crate::identity::Identity) that tells them apart.
//!
//! Cookies are given as values ([`SessionSettings::cookie`]), in a file as curl, wget and browsers write it, or as
//! [`SessionPool::save`] wrote it. In a settings file:
//!
//! ```toml
//! [sessions]
//! file = "sessions.json"
//! blocked_at = ["/login"]
//!
//! [sessions.named.alice]
//! cookies_file = "alice.txt"
//! proxy = "http://proxy.example:3128"
//! ```
//!
//! # Logging in
//!
//! [`Crawler::log_in`](crate::Crawler::log_in) takes a function that logs a session in: before its first request, where
//! it has no cookies, and again when it was refused. Its requests wait for permits of their domain as all do, and pass
//! the `before` of each [`middleware`](crate::middleware): so they have the headers and the signature that a site
//! expects. What comes of them is the log-in's own, which no `after` judges. They take their places of a shared
//! [`Capacity`](crate::Capacity) in turn with all others.
//!
//! ```no_run
//! use actix_crawler::{client::Login, prelude::*, sessions::Sessions};
//!
//! async fn log_in(login: Login) -> Result<()> {
//!     let page = login.get("https://shop.example/login").send().await?.into_page();
//!     let form = page.form("#login")?.set("user", "alice")?.set("password", "s3cret")?;
//!     login.request(form.submit()?).send().await?.error_for_status()?;
//!     Ok(())
//! }
//!
//! # fn main() -> Result<()> {
//! # let orders = |page: &Response| Ok(Parsed::of(page.title().map(str::to_owned)));
//! let report = Crawler::new(orders, "shopbot/1.0 (+https://example.org/bot)")
//!     .sessions(Sessions::new().blocked_by([401]).blocked_at("/login"))
//!     .log_in(log_in)
//!     .seed("https://shop.example/orders")
//!     .run_blocking()?;
//! # Ok(()) }
//! ```
//!
//! A log-in that fails, panics, or takes longer than 5 minutes is tried again after the session's rest, or after 5
//! seconds if the session has never been logged in, so that a wrong password is soon known; after three failures in a
//! row the session is given up, and its requests fail as `session` with the reason.
//!
//! # A pool
//!
//! [`Sessions::pool`] makes sessions that take turns at the requests that name none: `pool/1`, `pool/2`, …. Each
//! attempt at a request takes the next; only the target of a redirect prefers the session that was redirected. Links of
//! their pages take turns again.
//!
//! # Refused sessions
//!
//! An answer says that its session is refused if it has a status of [`Sessions::blocked_by`], redirects to a path of
//! [`Sessions::blocked_at`], or if a spider ([`Parsed::session_refused`](crate::Parsed::session_refused)) or a
//! middleware ([`Decision::refuse_session`](crate::middleware::Decision::refuse_session)) says so; a bound proxy that
//! fails counts too. The request is made again, in another session where there is one, which counts as an attempt. The
//! session
//!
//! - is logged in again, where there is a function for it and a page has come well since the last log-in;
//! - or else rests for [`Sessions::rest`]. Then it is logged in again where it can be; a session of a pool begins anew
//!   without cookies; any other goes on with those that it has.
//!
//! A request whose session rests waits, without an attempt, as long as the session does.
//!
//! # What it is not
//!
//! More sessions never mean more requests: a domain has one rate, one robots file and one rest after a refusal (429,
//! 503), whoever asks. With a 429 among the statuses, the domain rests *and* the next attempt is made in another
//! session.
//!
//! # Secrets
//!
//! Who has the cookies of a session can act in it. [`Sessions::file`], the file `sessions.json` in the folder of a
//! state, and what [`SessionPool::save`] writes can be read by their owner only (mode 0600 on Unix; elsewhere the
//! folder has to be protected). A crawl with a state keeps the cookies there by itself; they are written a second after
//! they have changed, and at the end. At the next start, what was saved goes before what the settings give, unless the
//! settings give other cookies than before. Of the default session, which is another visitor through each proxy, only
//! the cookies of requests without a proxy are saved, and they are for such requests again, but for new values of those
//! that the settings give.
//!
//! # Bounds
//!
//! There are at most 1,000 sessions beside the default one; a request that names a further one fails as `session`. All
//! have 50,000 cookies together, each 10,000, and each registrable domain 50 in a session. Beyond, a domain loses the
//! cookie that it used least recently, and the session that was used least recently loses those of the domains that it
//! used least recently, and last those of domains for which it was given some. The report counts them as
//! `cookies_forgotten`. So a new session always has room, and a new cookie too.

mod cookie;
#[cfg(feature = "cookies")]
mod cookie_date;
#[cfg(feature = "cookies")]
mod cookies;
#[cfg(not(feature = "cookies"))]
#[path = "no_cookies.rs"]
mod cookies;
mod cookies_txt;
mod given;
mod log_in;
mod name;
mod pool;
mod saved;
mod session;
mod settings;
mod shared;
mod slot;

pub use self::{
    cookie::SessionCookie,
    name::DEFAULT,
    pool::SessionPool,
    session::Session,
    settings::{SessionSettings, Sessions},
    slot::SessionCounts,
};
pub(crate) use self::{
    log_in::LogIn,
    name::is_pooled,
    pool::{Choice, LogInTurn},
    slot::RefusedBy,
};
// for `internals`
#[cfg(feature = "cookies")]
pub(crate) use self::cookies::{AllCookies, Cookies};

/// The most sessions beside the default one: as many as Crawlee's pool has. A thousand with one domain each have 50,000
/// cookies at the most.
const MAX_SESSIONS: usize = 1_000;
