//! `config`: checks a settings file, and prints the schema by which editors check one.

use actix_crawler::Settings;

use super::{
    config::{self, CheckedFile},
    console::print,
    exit::{Exit, Failure},
    options::{ConfigOptions, ConfigTask},
};

/// Runs the command.
///
/// # Errors
/// The file cannot be read, or stdout not be written.
pub fn run(options: &ConfigOptions) -> Result<Exit, Failure> {
    match &options.task {
        ConfigTask::Schema => {
            print(format!("{:#}\n", Settings::schema()).as_bytes())?;
            Ok(Exit::Well)
        }
        ConfigTask::Check { file } => {
            let (name, CheckedFile { faults, variables }) = (file.display(), config::check(file)?);
            if !faults.is_empty() {
                for fault in faults {
                    // The name of a variable says where it is.
                    let place = fault.line.map_or_else(String::new, |_| format!("{name} "));
                    print(format!("{place}{fault}\n").as_bytes())?;
                }
                return Ok(Exit::Usage);
            }
            let with = match &*variables.join(", ") {
                "" => String::new(),
                names => format!(", with {names} of the environment"),
            };
            print(format!("{name} is right{with}\n").as_bytes())?;
            Ok(Exit::Well)
        }
    }
}
