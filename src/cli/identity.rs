//! Identity: the User-Agent that the options of every command make, and the contact that it must have.

use actix_crawler::{Settings, user_agent};
use url::Url;

use super::{exit::Failure, options::IdentityOptions};

impl IdentityOptions {
    /// Uses the file's values where no option is given.
    pub fn or(self, contact: Option<String>, user_agent: Option<String>) -> Self {
        if self.contact.is_some() || self.user_agent.is_some() { self } else { Self { contact, user_agent } }
    }

    /// Returns the User-Agent.
    ///
    /// # Errors
    /// There is no contact, and not every URL is on this machine.
    pub fn user_agent(&self, urls: &[Url]) -> Result<String, Failure> {
        let Self { contact, user_agent } = self.clone();
        let whole = Settings { contact, user_agent, ..Settings::default() }.composed_user_agent();
        let at_home = urls.iter().all(user_agent::is_loopback);
        match (&self.user_agent, &self.contact) {
            (Some(given), _) => {
                if !at_home {
                    user_agent::check(given)?;
                }
                Ok(whole)
            }
            (None, Some(contact)) => user_agent::check(&whole).map(|()| whole).map_err(|_| {
                Failure::usage(format!(
                    "--contact `{contact}` is neither a URL nor a mail address; \
                         write it like https://example.org/bot or me@example.org"
                ))
            }),
            (None, None) if at_home => Ok(whole),
            (None, None) => Err(Failure::usage(
                "no contact: whoever owns a site must be able to reach who crawls it; \
                 add --contact https://example.org/bot or --contact me@example.org, with an address of yours",
            )),
        }
    }
}
