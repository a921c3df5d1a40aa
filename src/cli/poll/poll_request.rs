//! PollRequest: one request, parsed from a URL or a JSON object. Knows no files.

use actix_crawler::{Request, ThrottledClient, client::RequestBuilder, user_agent};
use http::Method;
use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;

use super::super::{options::PollOptions, values};

/// The defaults for requests whose line does not say otherwise.
pub struct Common {
    method: Option<Method>,
    headers: Vec<(String, String)>,
    data: Option<String>,
}

/// One request of the input.
pub struct PollRequest {
    /// Its URL.
    pub url: Url,
    method: Method,
    headers: Vec<(String, String)>,
    body: Option<String>,
}

/// A JSON line of the input.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestLine {
    url: String,
    method: Option<String>,
    #[serde(default)]
    headers: Map<String, Value>,
    /// A string is sent unchanged, any other value as JSON.
    body: Option<Value>,
}

impl Common {
    /// Takes the defaults from the options.
    pub fn of(options: &PollOptions) -> Self {
        Self { method: options.method.clone(), headers: options.header.clone(), data: options.data.clone() }
    }
}

impl PollRequest {
    /// Parses a URL, or a JSON object with a URL and more.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn read(line: &str, common: &Common) -> Result<Self, String> {
        let line = if line.starts_with('{') {
            serde_json::from_str(line).map_err(|error| error.to_string())?
        } else {
            RequestLine { url: line.to_owned(), method: None, headers: Map::new(), body: None }
        };
        let mut headers = common.headers.clone();
        let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let own: Vec<_> = line.headers.into_iter().map(|(name, value)| (name, text(value))).collect();
        for (name, value) in own.iter().cloned() {
            headers.retain(|(given, _)| !given.eq_ignore_ascii_case(&name));
            headers.push((name, value));
        }
        let (text, is_json) = match line.body {
            Some(Value::String(text)) => (Some(text), false),
            Some(value) => (Some(value.to_string()), true),
            None => (common.data.clone(), false),
        };
        if is_json && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            headers.push(("content-type".to_owned(), "application/json".to_owned()));
        }
        let method = match line.method {
            Some(method) => values::method(&method)?,
            None => common.method.clone().unwrap_or(if text.is_some() { Method::POST } else { Method::GET }),
        };
        let url = Request::parse(&line.url).map_err(|error| error.to_string())?.url;
        // Headers from options are checked once for all lines.
        user_agent::check_headers(&own, &url).map_err(|error| error.to_string())?;
        Ok(Self { url, method, headers, body: text })
    }

    /// Converts it to a request of `client`.
    pub fn with(self, client: &ThrottledClient) -> RequestBuilder {
        let request = client.request(self.method, self.url).body(self.body.unwrap_or_default());
        self.headers.into_iter().fold(request, |request, (name, value)| request.header(name, value))
    }
}
