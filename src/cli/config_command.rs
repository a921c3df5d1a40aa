//! `config`: checks a settings file, and prints the schema by which editors check one.

use actix_crawler::Settings;

use super::{
    config,
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
            let (name, faults) = (file.display(), config::faults(file)?);
            if !faults.is_empty() {
                for fault in faults {
                    print(format!("{name} {fault}\n").as_bytes())?;
                }
                return Ok(Exit::Usage);
            }
            print(format!("{name} is right\n").as_bytes())?;
            Ok(Exit::Well)
        }
    }
}
