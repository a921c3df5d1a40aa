//! Warc: archives of what was on the wire, in the format of web archives: WARC/1.1 (ISO 28500:2017). Knows no crawl.
//!
//! [`Crawler::archive`](crate::Crawler::archive) writes one; the guide has a chapter on it. With the feature `warc`,
//! `Reader` reads files of any writer, and `verify` checks them:
//!
//! ```no_run
//! # #[cfg(feature = "warc")]
//! # fn example() -> actix_crawler::Result<()> {
//! use std::io::Read;
//!
//! use actix_crawler::warc::Reader;
//!
//! let mut archive = Reader::open("archive/crawl-20261129113000123-00000.warc.gz")?;
//! while let Some(record) = archive.next_record()? {
//!     let mut block = Vec::new();
//!     archive.by_ref().take(1 << 20).read_to_end(&mut block).map_err(actix_crawler::Error::spider)?;
//!     println!("{} {:?}, {} bytes", record.kind(), record.url(), record.length());
//! }
//! # Ok(()) }
//! ```

#[cfg_attr(not(feature = "warc"), path = "no_archive.rs")]
mod archive;
#[cfg_attr(not(feature = "warc"), path = "no_collection.rs")]
mod collection;
#[cfg(feature = "warc")]
mod digest;
mod exchange;
#[cfg(feature = "warc")]
mod file;
#[cfg(feature = "warc")]
mod index;
#[cfg(feature = "warc")]
mod members;
#[cfg(feature = "warc")]
mod payloads;
#[cfg(feature = "warc")]
mod reader;
#[cfg(feature = "warc")]
mod record;
mod settings;
#[cfg(feature = "warc")]
mod stream;
#[cfg(all(test, feature = "warc"))]
mod tests;
#[cfg(feature = "warc")]
mod url_key;
#[cfg(feature = "warc")]
mod verification;

pub use self::settings::Warc;
pub(crate) use self::{
    archive::Archive,
    collection::{Archived, Collection},
    exchange::{Exchange, Truncated},
};
#[cfg(feature = "warc")]
pub use self::{
    index::{Entry, index_of, write_index},
    reader::Reader,
    record::Record,
    verification::{Verified, verify},
};
