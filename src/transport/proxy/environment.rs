//! Environment: the proxies named by environment variables, interpreted as by curl.

use std::{net::IpAddr, sync::Arc};

use ipnet::IpNet;
use url::Url;

use super::Proxy;
use crate::{
    error::{Error, Result},
    transport::host_pattern::bare,
};

/// The contents of `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    http: Option<Arc<Proxy>>,
    https: Option<Arc<Proxy>>,
    without: NoProxy,
}

impl Environment {
    /// Reads the variables; lower-case names have priority. `HTTP_PROXY` is ignored if `REQUEST_METHOD` is set: this is
    /// a CGI program then, and a client could set the variable with a `Proxy` header.
    ///
    /// # Errors
    /// Names the variable that is invalid.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let is_cgi = get("REQUEST_METHOD").is_some();
        let given = |name: &str| get(name).filter(|value| !value.is_empty());
        let proxy = |name: &str| -> Result<Option<Arc<Proxy>>> {
            let upper = name.to_ascii_uppercase();
            let names = if upper == "HTTP_PROXY" && is_cgi { [name, name] } else { [name, upper.as_str()] };
            for name in names {
                if let Some(value) = given(name) {
                    let value = if value.contains("://") { value } else { format!("http://{value}") };
                    return Ok(Some(Arc::new(value.parse().map_err(|why: String| Error::setting(name, why))?)));
                }
            }
            Ok(None)
        };
        let all = proxy("all_proxy")?;
        let without = given("no_proxy").or_else(|| given("NO_PROXY")).unwrap_or_default();
        Ok(Self {
            http: proxy("http_proxy")?.or_else(|| all.clone()),
            https: proxy("https_proxy")?.or(all),
            without: NoProxy::parse(&without),
        })
    }

    /// Returns the proxy for a URL.
    pub fn proxy(&self, url: &Url) -> Option<&Arc<Proxy>> {
        let host = url.host_str()?;
        let proxy = if url.scheme() == "https" { &self.https } else { &self.http };
        proxy.as_ref().filter(|_| !self.without.holds(host))
    }

    /// Returns all proxies.
    pub fn proxies(&self) -> impl Iterator<Item = &Arc<Proxy>> {
        self.http.iter().chain(&self.https)
    }
}

/// The hosts that need no proxy: names with all names below them, addresses and networks, or `*` for all.
#[derive(Clone, Debug, Default)]
struct NoProxy(Vec<NoProxyEntry>);

#[derive(Clone, Debug)]
enum NoProxyEntry {
    Everything,
    Network(IpNet),
    Name(String),
}

impl NoProxy {
    fn parse(text: &str) -> Self {
        let entries = text.split([',', ' ', '\t']).filter(|entry| !entry.is_empty());
        Self(
            entries
                .map(|entry| match (entry, bare(entry).parse::<IpAddr>(), entry.parse::<IpNet>()) {
                    ("*", ..) => NoProxyEntry::Everything,
                    (_, Ok(address), _) => NoProxyEntry::Network(address.into()),
                    (_, _, Ok(network)) => NoProxyEntry::Network(network),
                    _ => NoProxyEntry::Name(entry.trim_matches('.').to_ascii_lowercase()),
                })
                .collect(),
        )
    }

    fn holds(&self, host: &str) -> bool {
        let host = bare(host);
        let address = host.parse::<IpAddr>().ok();
        let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        self.0.iter().any(|entry| match (entry, address) {
            (NoProxyEntry::Everything, _) => true,
            (NoProxyEntry::Network(network), Some(address)) => network.contains(&address),
            (NoProxyEntry::Name(of), None) => {
                name.strip_suffix(of.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
            _ => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Result<Environment> {
        let get = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        Environment::read(get)
    }

    fn host(environment: &Environment, url: &str) -> Option<String> {
        environment.proxy(&Url::parse(url).unwrap()).map(|proxy| proxy.host.clone())
    }

    #[test]
    fn each_scheme_has_its_variable_and_lower_case_goes_first() {
        let environment = environment(&[
            ("HTTP_PROXY", "http://upper:1"),
            ("http_proxy", "lower:1"),
            ("HTTPS_PROXY", "socks5h://secure:1"),
        ])
        .unwrap();
        assert_eq!(host(&environment, "http://e.org/").as_deref(), Some("lower"));
        assert_eq!(host(&environment, "https://e.org/").as_deref(), Some("secure"));
    }

    #[test]
    fn all_proxy_serves_both_and_an_empty_variable_is_none() {
        let environment = environment(&[("ALL_PROXY", "all:1"), ("https_proxy", "")]).unwrap();
        assert_eq!(host(&environment, "http://e.org/").as_deref(), Some("all"));
        assert_eq!(host(&environment, "https://e.org/").as_deref(), Some("all"));
    }

    #[test]
    fn a_header_called_proxy_chooses_none_under_cgi() {
        let cgi = environment(&[("HTTP_PROXY", "evil:1"), ("REQUEST_METHOD", "GET")]).unwrap();
        assert_eq!(host(&cgi, "http://e.org/"), None);
    }

    #[test]
    fn a_variable_that_is_no_proxy_is_named_without_its_password() {
        let error = environment(&[("https_proxy", "gopher://u:hunter2@x")]).unwrap_err().to_string();
        assert!(error.contains("https_proxy") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn no_proxy_is_read_as_curl_reads_it() {
        let cases = [
            ("e.org", "http://e.org/", true),
            ("e.org", "http://www.e.org./", true),
            (".e.org", "http://e.org/", true),
            ("e.org", "http://note.org/", false),
            ("E.ORG, other", "http://e.org/", true),
            ("a b", "http://b/", true),
            ("*", "http://anything/", true),
            ("127.0.0.1", "http://127.0.0.1:8080/", true),
            ("10.0.0.0/8", "http://10.2.3.4/", true),
            ("10.0.0.0/8", "http://11.2.3.4/", false),
            ("0.0.1", "http://127.0.0.1/", false),
            ("::1", "http://[::1]/", true),
            ("", "http://e.org/", false),
        ];
        for (without, url, expected) in cases {
            let environment = environment(&[("http_proxy", "p:1"), ("NO_PROXY", without)]).unwrap();
            assert_eq!(host(&environment, url).is_none(), expected, "{without} {url}");
        }
    }
}
