//! File: reads settings from TOML and from environment variables, and tells each fault with its line. Knows no command
//! line.

mod kind;
mod reading;
mod schema;
mod shape;
pub mod source;
mod tree;

use std::{fmt, path::Path};

use self::{reading::FileReading, source::Source};
use super::Settings;
use crate::error::Result;

/// What a variable's name begins with; the rest is the path of a key in capitals, with `__` between tables.
pub const VARIABLES: &str = "ACTIX_CRAWLER_";

/// What is wrong with a file or a variable.
///
/// ```
/// use actix_crawler::Settings;
///
/// let faults = Settings::from_toml("[politeness]\nspaceing = '2s'\njitter = 'much'\n").unwrap_err();
/// assert_eq!((faults[0].line, faults[1].line), (Some(2), Some(3)));
/// assert!(faults[0].to_string().contains("did you mean spacing?"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The line, counted from 1; `None` for a variable.
    pub line: Option<usize>,
    /// The line's text, without what may be a password, or the variable's name.
    pub text: String,
    /// What is wrong, and what to write instead.
    pub why: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}, `{}`: {}", self.text, self.why),
            None => write!(f, "{}: {}", self.text, self.why),
        }
    }
}

impl Settings {
    /// Reads a file in TOML; docs/CONFIG.md shows every key. Needs the feature `toml`.
    ///
    /// ```no_run
    /// use actix_crawler::{Settings, prelude::*};
    ///
    /// # fn titles(page: &Response) -> Result<Parsed<String>> { Ok(Parsed::of(page.title().map(str::to_owned))) }
    /// # fn main() -> Result<()> {
    /// let settings = Settings::read("crawl.toml")?;
    /// let report = Crawler::from_settings(titles, settings).run_blocking()?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The file cannot be read, or has an unknown key, a value that the key does not take, or one that no crawl can
    /// work with. The message names the line of each, and the key that was probably meant. [`Settings::check`] looks at
    /// files of certificates too.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        Source::of_file(path.as_ref())?.settings()
    }

    /// As [`Settings::read`], with the values of environment variables in place of the file's; without a file the
    /// variables alone. That of `max_queued` is `ACTIX_CRAWLER_MAX_QUEUED`, that of `rate` in `[politeness]` is
    /// `ACTIX_CRAWLER_POLITENESS__RATE`. A text is written as it is, all else as in TOML. Tables whose keys are names
    /// of your own, as those of domains, stand in a file only.
    ///
    /// # Errors
    /// As [`Settings::read`]; also for every variable with this beginning that names no key.
    pub fn read_with_env(path: Option<&Path>) -> Result<Self> {
        Source::with_env(path)?.settings()
    }

    /// Reads settings from text in TOML.
    ///
    /// # Errors
    /// Every fault, in the order of the lines.
    pub fn from_toml(text: &str) -> std::result::Result<Self, Vec<Fault>> {
        Self::from_toml_with(text, &[])
    }

    /// Reads settings from text in TOML, and replaces its values by those of variables, given with their names.
    ///
    /// # Errors
    /// Every fault, those of variables last.
    pub fn from_toml_with(text: &str, variables: &[(String, String)]) -> std::result::Result<Self, Vec<Fault>> {
        let (settings, faults) = read(text, variables);
        settings.filter(|_| faults.is_empty()).ok_or(faults)
    }
}

/// Reads settings, with the defaults in place of what is wrong, and tells every fault. There are none where a text is
/// no TOML.
fn read(text: &str, variables: &[(String, String)]) -> (Option<Settings>, Vec<Fault>) {
    let mut reading = FileReading::new(text, variables);
    let settings = reading.table().and_then(|mut table| {
        let settings = reading.deserialize(&mut table)?;
        for wrong in settings.wrong_values() {
            reading.add_wrong(&table, &wrong.key, wrong.why);
        }
        Some(settings)
    });
    (settings, reading.into_faults())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str, variables: &[(&str, &str)]) -> Vec<String> {
        let variables: Vec<_> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let faults = Settings::from_toml_with(text, &variables).err().unwrap_or_default();
        faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_fault_of_a_file_is_told_with_its_line_and_what_was_meant() {
        let text = "threads = 'many'\nmax_pages = 3\n[politeness]\nspaceing = '1s'\nrate = '2'\njitter = 0.5\n\
                    [transport]\nca_files = []\n[transport.tls]\ninsecur = ['a']\n\
                    [[transport.proxies.overrides]]\nhosts = 'a'\nhost = 'a'\nvia = []\n\
                    [domains.'e.org']\nrobot = 'ignore'\nproxies = 3\n[scope]\nwithin = 'planet'\n";
        let told = faults(text, &[]);
        for (fault, words) in told.iter().zip([
            ["line 1, `threads = 'many'`: threads: ", "write a whole number"],
            ["line 2, `max_pages = 3`: there is no key max_pages", "belongs to [scope] or [domains.*]"],
            ["line 4, `spaceing = '1s'`: [politeness] has no key spaceing", "did you mean spacing?"],
            ["line 5, `rate = '2'`: politeness.rate: `2`", "50/s"],
            ["line 8, `ca_files = []`: ", "belongs to [transport.tls]"],
            ["line 10, ", "did you mean insecure?"],
            ["line 12, ", "did you mean host?"],
            ["line 16, `robot = 'ignore'`: [domains.\"e.org\"] has no key robot", "did you mean robots?"],
            ["line 17, `proxies = 3`: domains.\"e.org\".proxies: ", "write a list"],
            ["line 19, `within = 'planet'`: scope.within: ", "\"host\" or \"domain\""],
        ]) {
            assert!(words.iter().all(|word| fault.contains(word)), "{fault} and not {words:?}");
        }
        assert_eq!(told.len(), 10, "{told:#?}");
        assert!(faults("a = \nb = 'x\n", &[]).iter().all(|fault| fault.starts_with("line ")));
    }

    #[test]
    fn a_variable_wins_over_the_file_and_a_typo_in_its_name_is_told() {
        let text = "max_queued = 7\n[politeness]\nrate = '1/s'\nrobots = 'obey'\n";
        let given = [
            ("ACTIX_CRAWLER_POLITENESS__RATE", "2/s"),
            ("ACTIX_CRAWLER_POLITENESS__SPACING", "5"),
            ("ACTIX_CRAWLER_SEEDS", "['https://e.org/']"),
            ("ACTIX_CRAWLER_TRANSPORT__COOKIES", "true"),
        ];
        let given = given.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let settings = Settings::from_toml_with(text, &given).unwrap();
        assert_eq!(settings.politeness.rate.unwrap().to_string(), "2/s");
        assert_eq!(settings.politeness.spacing.unwrap().as_secs(), 5);
        assert_eq!((settings.max_queued, settings.seeds.len(), settings.transport.cookies), (7, 1, true));
        for (name, value, words) in [
            ("ACTIX_CRAWLER_POLITENES__RATE", "2/s", "did you mean ACTIX_CRAWLER_POLITENESS__RATE?"),
            ("ACTIX_CRAWLER_POLITENESS_RATE", "2/s", "did you mean ACTIX_CRAWLER_POLITENESS__RATE?"),
            ("ACTIX_CRAWLER_NONSENSE", "2", "it names no setting"),
            ("ACTIX_CRAWLER_HEADERS__ALL__X", "2", "in a file only"),
            ("ACTIX_CRAWLER_MAX_QUEUED", "many", "as in TOML"),
            ("ACTIX_CRAWLER_POLITENESS__RATE", "fast", "50/s"),
        ] {
            let told = faults(text, &[(name, value)]);
            assert!(told.len() == 1 && told[0].starts_with(name) && told[0].contains(words), "{told:?}");
        }
    }
}
