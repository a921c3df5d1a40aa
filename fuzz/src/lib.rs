//! What the fuzz targets do with the bytes they get: one module for each reader of foreign bytes, whose `fuzz` panics
//! where a promise does not hold. `tests/fuzz_targets.rs` of the crate runs them over the folder `corpus` in every
//! build.
//!
//! On stable Rust, for five minutes (`cargo install cargo-fuzz` once):
//!
//! ```sh
//! RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none sitemap -- \
//!     -max_total_time=300 -max_len=4096 -timeout=10 -dict=fuzz/sitemap.dict
//! ```

pub mod archive;
pub mod charset;
pub mod codings;
pub mod cookies;
pub mod document;
pub mod form;
pub mod headers;
pub mod robots;
pub mod selector;
pub mod sitemap;
pub mod url;
pub mod wire;
