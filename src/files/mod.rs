//! Files: what a crawl downloads beside its pages: images, PDFs, archives. The nouns and the settings; knows no network
//! and no folder.
//!
//! A file is asked for by an item that has it, or by its page alone. It is requested as every URL is: under a permit of
//! its domain, after its robots file, with retries, in the ledger. An item goes to the pipelines when its files have
//! ended, and says of each what became of it.
//!
//! ```no_run
//! use actix_crawler::{files::File, prelude::*};
//!
//! #[derive(Extract, serde::Serialize)]
//! struct Product {
//!     #[extract(css = "h1")]
//!     name: String,
//!     #[extract(css = ".gallery img", url)]
//!     images: Vec<File>,
//! }
//!
//! fn main() -> Result<()> {
//!     Crawler::items::<Product>("shopbot/1.0 (+https://example.org/bot)")
//!         .spider(|products| products.each(".product").follow("a"))
//!         .seed("https://shop.example/")
//!         .files("images")
//!         .pipeline(JsonLines::create("products.jsonl"))
//!         .run_to_end()
//! }
//! ```
//!
//! The items of other spiders say where their files are by [`Crawler::files_of_items`](crate::Crawler::files_of_items),
//! if they derive `Extract`, or else by [`Crawler::files_of`](crate::Crawler::files_of).
//!
//! Each image of a line in `products.jsonl` is then
//! `{"url": "https://…", "path": "full/9f86d0….jpg", "checksum": "sha256:9f86d0…", "status": "downloaded", …}`.

mod field;
mod file;
mod settings;

pub(crate) use self::field::FileFields;
#[cfg(feature = "derive")]
pub(crate) use self::field::each_file;
pub use self::{
    field::{EachFile, FileField},
    file::{File, FileStatus},
    settings::Files,
};
