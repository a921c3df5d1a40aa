//! Source: a file and the variables that replace its values, so that what is found later can be told with its line too.
//! Knows no command line.

use std::{env, path::Path};

use super::{Fault, FileReading, VARIABLES, read};
use crate::{
    disk::input_file::read_text,
    error::{Error, Result},
    settings::{Settings, key::Key, wrong_value::WrongValue},
};

/// What settings are read from.
#[derive(Debug)]
pub struct Source {
    name: String,
    text: String,
    variables: Vec<(String, String)>,
}

impl Source {
    /// Reads a file.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn of_file(path: &Path) -> Result<Self> {
        let text = read_text(path).map_err(|source| Error::file(path, source))?;
        Ok(Self { name: path.display().to_string(), text, variables: Vec::new() })
    }

    /// Reads a file, or none, and the environment.
    ///
    /// # Errors
    /// The file cannot be read, or a variable is no text.
    pub fn with_env(path: Option<&Path>) -> Result<Self> {
        let none = Self { name: "environment".to_owned(), text: String::new(), variables: Vec::new() };
        let file = path.map_or(Ok(none), Self::of_file)?;
        Ok(Self { variables: variables()?, ..file })
    }

    /// Returns the names of the variables.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.variables.iter().map(|(name, _)| name.as_str())
    }

    /// Returns the settings.
    ///
    /// # Errors
    /// Every fault, in one message.
    pub fn settings(&self) -> Result<Settings> {
        let (settings, faults) = self.read();
        settings.filter(|_| faults.is_empty()).ok_or_else(|| self.error(&faults))
    }

    /// Returns the settings, with the defaults in place of what is wrong, and every fault.
    pub fn read(&self) -> (Option<Settings>, Vec<Fault>) {
        read(&self.text, &self.variables)
    }

    /// Returns the files of certificates that cannot be used.
    pub fn faults_of_files(&self, settings: &Settings) -> Vec<Fault> {
        self.faults(settings.wrong_files())
    }

    /// Returns a User-Agent that is right for seeds on this machine only, unless all of them are there.
    pub fn fault_of_user_agent(&self, settings: &Settings) -> Vec<Fault> {
        self.faults(settings.wrong_user_agent().into_iter().collect())
    }

    /// Returns the feeds that name fields which items of these do not have.
    pub fn faults_of_feeds(&self, settings: &Settings, fields: &[String]) -> Vec<Fault> {
        self.faults(settings.feeds_without(fields))
    }

    /// Returns what is wrong with the value of a key, given name by name.
    pub fn fault(&self, key: &[&str], why: String) -> Vec<Fault> {
        let key = key.iter().fold(Key::default(), |key, name| key.name(name));
        self.faults(vec![WrongValue { key, why }])
    }

    /// Returns one error of all faults.
    pub fn error(&self, faults: &[Fault]) -> Error {
        let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
        let is_of_file = faults.iter().any(|fault| fault.line.is_some());
        Error::setting(if is_of_file { &*self.name } else { "environment" }, lines.join("; "))
    }

    fn faults(&self, wrong: Vec<WrongValue>) -> Vec<Fault> {
        let table = FileReading::new(&self.text, &self.variables).table().unwrap_or_default();
        let mut reading = FileReading::new(&self.text, &self.variables);
        for WrongValue { key, why } in wrong {
            reading.add_wrong(&table, &key, why);
        }
        reading.into_faults()
    }
}

/// Returns the variables of this process that are meant for us.
fn variables() -> Result<Vec<(String, String)>> {
    let all = env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    let ours = all.filter(|(name, value)| {
        let Some(rest) = name.strip_prefix(VARIABLES) else { return false };
        let is_of_kubernetes = is_of_kubernetes(rest, &value.to_string_lossy());
        if is_of_kubernetes {
            tracing::warn!(
                name,
                "no setting: Kubernetes tells so of a Service; `enableServiceLinks: false` leaves it out"
            );
        }
        !is_of_kubernetes
    });
    let read = |(name, value): (String, std::ffi::OsString)| match value.into_string() {
        Ok(value) => Ok((name, value)),
        Err(_) => Err(Error::setting(name, "its value is no text in UTF-8")),
    };
    let mut variables = ours.map(read).collect::<Result<Vec<_>>>()?;
    variables.sort();
    Ok(variables)
}

/// Tells whether Kubernetes has set a variable: it does in each pod for each Service, also for one that has our name,
/// or one that begins with it. `rest` is what follows our prefix.
fn is_of_kubernetes(rest: &str, value: &str) -> bool {
    // `NAME_SERVICE_HOST`, `NAME_SERVICE_PORT`, `NAME_SERVICE_PORT_HTTP`
    let of_service = rest.ends_with("SERVICE_HOST") || rest.ends_with("SERVICE_PORT") || rest.contains("SERVICE_PORT_");
    // `NAME_PORT=tcp://10.0.0.7:80`
    let is_port = (rest == "PORT" || rest.ends_with("_PORT")) && value.contains("://");
    // `NAME_PORT_80_TCP`, `NAME_PORT_80_TCP_ADDR`
    let of_port = rest.split("PORT_").skip(1).any(|after| {
        let mut words = after.split('_');
        let is_number = words.next().is_some_and(|word| word.parse::<u16>().is_ok());
        is_number && words.next().is_some_and(|word| matches!(word, "TCP" | "UDP" | "SCTP"))
    });
    of_service || is_port || of_port
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Regression: beside a Service called `actix-crawler` no crawl started.
    #[test]
    fn what_kubernetes_says_of_a_service_with_our_name_is_no_setting() {
        for (rest, value) in [
            ("SERVICE_HOST", "10.0.0.7"),
            ("SERVICE_PORT", "80"),
            ("SERVICE_PORT_HTTP", "80"),
            ("PORT", "tcp://10.0.0.7:80"),
            ("PORT_80_TCP", "tcp://10.0.0.7:80"),
            ("PORT_80_TCP_PROTO", "tcp"),
            ("PORT_80_TCP_ADDR", "10.0.0.7"),
            ("WEB_SERVICE_HOST", "10.0.0.7"),
            ("WEB_PORT", "tcp://10.0.0.7:80"),
            ("WEB_PORT_53_UDP_PORT", "53"),
        ] {
            assert!(is_of_kubernetes(rest, value), "{rest}");
        }
        for (rest, value) in [("MAX_QUEUED", "7"), ("PORT", "80"), ("SEEDS", "['http://a.test/']"), ("SUPPORT_X", "1")]
        {
            assert!(!is_of_kubernetes(rest, value), "{rest}");
        }
    }
}
