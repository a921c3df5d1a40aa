//! The file of settings: read and checked, with the variables that replace its values. Knows no options.

use std::path::Path;

use actix_crawler::{Error, Settings, internals::Source, settings::Fault};

use super::{
    super::{convert::Converter, exit::Failure, select::Select, values},
    page_spider,
};

/// Reads the settings of a file and of the environment.
///
/// # Errors
/// The file cannot be read, or one of them has an invalid setting: the message names the line and what to write.
pub fn read(path: Option<&Path>) -> Result<Settings, Failure> {
    let source = Source::with_env(path).map_err(|error| unreadable("--config", error))?;
    let (settings, mut faults) = source.read();
    if let Some(settings) = &settings {
        faults.extend(faults_of_pages(&source, settings));
        faults.extend(source.faults_of_files(settings));
    }
    match settings.filter(|_| faults.is_empty()) {
        Some(settings) => Ok(settings),
        None => Err(unreadable("--config", source.error(&in_order(faults)))),
    }
}

/// What is wrong with a file.
pub struct CheckedFile {
    /// All that is wrong with it by itself, and with the variables that replace its values here.
    pub faults: Vec<Fault>,
    /// The names of those variables.
    pub variables: Vec<String>,
}

/// Checks a file by itself, and with the variables that replace its values: the file may go elsewhere without them.
///
/// # Errors
/// It cannot be read, or a variable is no text.
pub fn check(path: &Path) -> Result<CheckedFile, Failure> {
    let unreadable = |error| unreadable("config check", error);
    let mut faults = faults(&Source::of_file(path).map_err(unreadable)?);
    let with_env = Source::with_env(Some(path)).map_err(unreadable)?;
    let variables: Vec<_> = with_env.variables().map(str::to_owned).collect();
    if !variables.is_empty() {
        let of_file = faults.clone();
        faults.extend(self::faults(&with_env).into_iter().filter(|fault| !of_file.contains(fault)));
    }
    Ok(CheckedFile { faults: in_order(faults), variables })
}

/// Returns all that is wrong with a file, and with the variables that replace its values.
fn faults(source: &Source) -> Vec<Fault> {
    let (settings, mut faults) = source.read();
    if let Some(settings) = &settings {
        faults.extend(faults_of_pages(source, settings));
        faults.extend(source.faults_of_files(settings));
        faults.extend(source.fault_of_user_agent(settings));
        let names = fields(settings);
        faults.extend(source.faults_of_feeds(settings, &names));
        for name in settings.pages.validate.fields.keys().filter(|name| !names.contains(name)) {
            let why =
                format!("there is no such field; write it in [pages.select], or name one of {}", names.join(", "));
            faults.extend(source.fault(&["pages", "validate", "fields", name], why));
        }
    }
    faults
}

fn unreadable(option: &str, error: Error) -> Failure {
    match error {
        Error::File { path, source } => Failure::unreadable(option, &path, &source),
        // Faults tell their lines themselves.
        Error::Setting { what, why } => Failure::usage(format!("{what} {why}")),
        other => other.into(),
    }
}

fn in_order(mut faults: Vec<Fault>) -> Vec<Fault> {
    faults.sort_by_key(|fault| fault.line.unwrap_or(usize::MAX));
    faults
}

/// Returns what is wrong with what the command line alone reads.
fn faults_of_pages(source: &Source, settings: &Settings) -> Vec<Fault> {
    let pages = &settings.pages;
    let selects = pages.select.iter().map(|(name, query)| ("select", name, Select::new(name, query).err()));
    let converters = pages.convert.iter().map(|(of, command)| ("convert", of, Converter::new(of, command).err()));
    let wrong = selects.chain(converters).filter_map(|(table, key, why)| Some((table, key, why?)));
    let faults = wrong.flat_map(|(table, key, why)| source.fault(&["pages", table, key], why));
    let each = pages.each.as_deref().and_then(|each| values::css(each).err());
    faults.chain(each.into_iter().flat_map(|why| source.fault(&["pages", "each"], why))).collect()
}

/// Returns the names of the fields that each page has by a file alone.
fn fields(settings: &Settings) -> Vec<String> {
    let mut names = page_spider(Vec::new(), settings, None).columns();
    names.extend(settings.pages.select.keys().cloned());
    names
}
