//! Once: the client of commands that make single requests by hand. The same throttled client as everything else uses, at
//! the default pace; what it is answered is shown as it came.

use actix_crawler::{
    Error, Politeness, Retry, ThrottledClient,
    client::{ACCEPT_PAGES, Response},
    transport::TransportSettings,
    user_agent,
};
use url::Url;

use super::exit::Failure;

/// Creates a client that tries once, and returns redirects and refusals like any other response.
///
/// # Errors
/// A setting is wrong.
pub fn client(transport: TransportSettings, user_agent: String) -> Result<ThrottledClient, Failure> {
    let builder = ThrottledClient::builder(with_contact(user_agent))
        .politeness(Politeness::default())
        .transport(transport)
        .retry(Retry { attempts: 1, ..Retry::default() })
        .keep_redirects()
        .keep_refusals()
        .accept(ACCEPT_PAGES)
        .threads(1);
    Ok(builder.build()?)
}

/// Adds a contact to a user agent that has none. Only this machine may be asked without one, and its owner is known.
pub fn with_contact(user_agent: String) -> String {
    if user_agent::check(&user_agent).is_ok() { user_agent } else { user_agent + " (+http://localhost/)" }
}

/// Asks for a URL.
///
/// # Errors
/// No whole response came.
pub async fn get(client: &ThrottledClient, url: &Url, headers: &[(String, String)]) -> Result<Response, Failure> {
    let request = headers.iter().fold(client.get(url), |request, (name, value)| request.header(name, value));
    request.send().await.map_err(|error| match error {
        Error::Fetch { source, .. } => Failure::failed(format!("{url}: {}: {source}", source.key())),
        other => other.into(),
    })
}
