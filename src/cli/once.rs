//! Once: the client for commands that send single requests. It is the throttled client at the default pace; responses
//! are shown unchanged.

use actix_crawler::{
    Error, Politeness, Retry, ThrottledClient,
    client::{ACCEPT_PAGES, Response},
    transport::TransportSettings,
    user_agent,
};
use url::Url;

use super::exit::Failure;

/// Creates a client that does not retry, and returns redirects and refusals like any other response.
///
/// # Errors
/// A setting is invalid.
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

/// Adds a placeholder contact to a user agent without one, which is allowed only for requests to this machine.
pub fn with_contact(user_agent: String) -> String {
    if user_agent::check(&user_agent).is_ok() { user_agent } else { user_agent + " (+http://localhost/)" }
}

/// Requests a URL.
///
/// # Errors
/// No complete response came.
pub async fn get(client: &ThrottledClient, url: &Url, headers: &[(String, String)]) -> Result<Response, Failure> {
    let request = headers.iter().fold(client.get(url), |request, (name, value)| request.header(name, value));
    request.send().await.map_err(|error| match error {
        Error::Fetch { source, .. } => Failure::failed(format!("{url}: {}: {source}", source.key())),
        other => other.into(),
    })
}
