//! See the module of the same name in `src`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| actix_crawler_fuzz::codings::fuzz(input));
