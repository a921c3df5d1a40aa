//! Options over a file: what a file says of a folder or an output stays where an option names another, or the same.

use clap::Parser as _;

use super::{
    super::options::{Cli, Command},
    *,
};

fn with_options(file: &str, options: &[&str]) -> CheckedConfig {
    let command = ["actix-crawler", "crawl", "https://example.org/", "--contact", "me@example.org"];
    let cli = Cli::try_parse_from(command.iter().chain(options)).unwrap();
    let Command::Crawl(options) = cli.command else { unreachable!() };
    with(toml::from_str(file).unwrap(), *options).unwrap()
}

/// An option once replaced the whole table: a gigabyte was the most again, and credentials were left out.
#[test]
fn an_option_that_names_a_folder_keeps_what_the_file_says_of_it() {
    let file = r#"
        [transport.archive]
        dir = "a"
        max_bytes = 5000000000
        keeps_credentials = true
        info = { operator = "The Library" }
        [transport.response_store]
        dir = "a"
        purpose = "cache"
        max_bytes = 10737418240
        [files]
        dir = "a"
        max_size = 1000
    "#;
    let settings = with_options(file, &["--warc", "b", "--record", "c", "--files", "d"]).settings;
    let archive = Warc::to("b").max_bytes(5_000_000_000).keep_credentials().info("operator", "The Library");
    assert_eq!(settings.transport.archive, Some(archive));
    let store = ResponseStoreSettings { max_bytes: 10 << 30, ..ResponseStoreSettings::new("c", Purpose::Record) };
    assert_eq!(settings.transport.response_store, Some(store));
    assert_eq!((settings.files.dir.as_deref(), settings.files.max_size), (Some(Path::new("d")), 1_000));
    let alone = with_options("", &["--warc", "b", "--cache", "c"]).settings.transport;
    assert_eq!(alone.archive, Some(Warc::to("b")));
    assert_eq!(alone.response_store, Some(ResponseStoreSettings::new("c", Purpose::Cache)));
}

#[test]
fn an_output_that_the_file_describes_is_written_as_it_says() {
    let file = r#"
        [[feeds]]
        to = "shop.txt"
        format = "csv"
        compression = "gz"
        [[feeds]]
        to = "other.jsonl"
    "#;
    let outputs = with_options(file, &["-o", "shop.txt", "-o", "new.json"]).outputs;
    let paths: Vec<_> = outputs.paths().collect();
    assert_eq!(paths, [Path::new("shop.txt"), Path::new("new.json")]);
    assert!(outputs.has_csv(), "the file says how it is written");
}
