//! Guide: how to do what people who write spiders do every day. Its chapters are in `docs/guide/`; each has a program,
//! which is a test of this crate.
//!
//! In the programs a [`Site`](crate::testing::Site) stands for the network: `site.crawl(crawler)` runs a whole crawl
//! against pages in memory, in virtual time. In your program that line is `crawler.run_blocking()?`, or
//! `crawler.run().await?`, with `seed` as it is. The line under each title names the features that its program needs
//! beside those that are on by default.
//!
//! | how do I … | |
//! |---|---|
//! | read what a page says | [`read_pages`] |
//! | follow a list to its end | [`paginate`] |
//! | choose which page goes next, and how far to go | [`order`] |
//! | pass data from a page to the next | [`pass_data`] |
//! | log in, and stay logged in | [`log_in`] |
//! | use a site's sitemap | [`sitemaps`] |
//! | write items to files | [`feeds`] |
//! | download files | [`download`] |
//! | crawl a whole shop | [`shop`] |
//! | archive a site | [`archive`] |
//! | sign requests, or set headers | [`sign_requests`] |
//! | rotate proxies | [`rotate_proxies`] |
//! | retry, and hear of failures | [`failures`] |
//! | go on after a crash, or visit again | [`resume`] |
//! | test a spider | [`test_a_spider`] |
//! | call an API at its limit, into a database | [`call_an_api`] |
//! | crawl within a web service | [`embed`] |
//! | share limits between crawls | [`share_limits`] |
//! | crawl without a program | [`crawl_from_the_command_line`] |
//! | call an API without a program | [`poll_from_the_command_line`] |
//! | say it as in Scrapy, Colly or Crawlee | [`coming_from_elsewhere`] |

macro_rules! chapters {
    ($($name:ident)*) => {
        $(
            #[doc = include_str!(concat!("../docs/guide/", stringify!($name), ".md"))]
            pub mod $name {}
        )*
    };
}

chapters! {
    read_pages paginate order pass_data log_in sitemaps feeds download shop archive sign_requests rotate_proxies failures resume
    test_a_spider call_an_api embed share_limits crawl_from_the_command_line poll_from_the_command_line
    coming_from_elsewhere
}
