//! Proxies: chooses the proxy of each request and backs off from failing ones. Knows no connections.

use std::{
    collections::HashMap,
    env,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use serde::{Deserialize, Serialize};
use url::Url;

use super::{Proxy, ProxyUrl, environment::Environment, rest::ProxyRest};
use crate::{
    error::{Error, Result},
    outcome::FetchError,
    transport::host_pattern::HostPattern,
};

/// Which requests use which proxies. In order of priority: the request's own proxy, the first matching entry of
/// `overrides`, `via`, the environment.
///
/// ```
/// use actix_crawler::transport::{ProxySettings, ProxyUrl, TransportSettings};
///
/// let via = vec![ProxyUrl::new("http://one.example:3128"), ProxyUrl::new("socks5://two.example:1080")];
/// let proxies = ProxySettings { via, ..ProxySettings::default() };
/// let settings = TransportSettings { proxies, ..TransportSettings::default() };
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProxySettings {
    /// The proxies of the crawl; several are used in rotation, and those that fail rest.
    pub via: Vec<ProxyUrl>,
    /// The proxies of some hosts.
    pub overrides: Vec<ProxyOverride>,
    /// Whether `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` are read.
    pub from_env: bool,
}

/// The proxies of the hosts that match a pattern.
///
/// ```
/// use actix_crawler::transport::{HostPattern, ProxyOverride, ProxySettings, ProxyUrl};
///
/// let at_home = ProxyOverride { host: HostPattern::new("*.intranet.example"), via: vec![ProxyUrl::new("direct")] };
/// let via = vec![ProxyUrl::new("http://proxy.example:3128")];
/// let proxies = ProxySettings { via, overrides: vec![at_home], ..ProxySettings::default() };
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProxyOverride {
    /// The hosts.
    pub host: HostPattern,
    /// Their proxies; `direct` for none.
    pub via: Vec<ProxyUrl>,
}

/// The proxies of a crawl, shared by all arbiters.
pub struct Proxies {
    overrides: Vec<(HostPattern, Rotation)>,
    via: Rotation,
    environment: Environment,
    /// By [`Proxy::id`]. Proxies named only by single requests are not kept here: they have no alternative.
    rests: Mutex<HashMap<u64, ProxyRest>>,
}

/// Proxies used in rotation.
#[derive(Default)]
struct Rotation {
    /// `None` means a direct connection.
    members: Vec<Option<Arc<Proxy>>>,
    turn: AtomicUsize,
}

impl Proxies {
    /// Parses the settings.
    ///
    /// # Errors
    /// Names the setting or the environment variable that is invalid.
    pub fn new(settings: &ProxySettings) -> Result<Self> {
        let environment =
            if settings.from_env { Environment::read(|name| env::var(name).ok())? } else { Environment::default() };
        let via = Rotation::new("proxies.via", &settings.via)?;
        let read = |given: &ProxyOverride| {
            given.host.check("proxies.overrides.host")?;
            Ok((given.host.clone(), Rotation::new("proxies.overrides.via", &given.via)?))
        };
        let overrides = settings.overrides.iter().map(read).collect::<Result<Vec<_>>>()?;
        let known = overrides.iter().flat_map(|(_, rotation)| rotation.proxies()).chain(via.proxies());
        let rests = known.chain(environment.proxies()).map(|proxy| (proxy.id(), ProxyRest::default())).collect();
        Ok(Self { overrides, via, environment, rests: Mutex::new(rests) })
    }

    /// Chooses the proxy of a request; `own` is the one that the request names itself.
    ///
    /// # Errors
    /// [`FetchError::Request`] if `own` is invalid.
    pub fn choose(&self, url: &Url, own: Option<&str>, now: Instant) -> Result<Option<Arc<Proxy>>, FetchError> {
        if let Some(own) = own {
            let read = ProxyUrl::new(own).parse();
            let proxy = read.map_err(|why| FetchError::Request(format!("the request's proxy is not valid: {why}")))?;
            return Ok(proxy.map(Arc::new));
        }
        let Some(rotation) = self.rotation(url) else { return Ok(self.environment.proxy(url).cloned()) };
        let rests = self.rests.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(rotation.next(|proxy| rests.get(&proxy.id()).and_then(|rest| rest.until(now))))
    }

    /// Returns the proxies of which [`Proxies::choose`] chooses one; none if `own` is invalid.
    pub fn candidates(&self, url: &Url, own: Option<&str>) -> Vec<Option<Arc<Proxy>>> {
        match (own, self.rotation(url)) {
            (Some(own), _) => ProxyUrl::new(own).parse().map(|proxy| proxy.map(Arc::new)).into_iter().collect(),
            (None, Some(rotation)) => rotation.members.clone(),
            (None, None) => vec![self.environment.proxy(url).cloned()],
        }
    }

    /// Returns how many alternatives a URL has when its proxy fails.
    pub fn alternatives(&self, url: &Url) -> usize {
        self.rotation(url).map_or(0, |rotation| rotation.members.len().saturating_sub(1))
    }

    /// Returns the rotation for a URL; `None` if the environment decides.
    fn rotation(&self, url: &Url) -> Option<&Rotation> {
        let host = url.host_str().unwrap_or_default();
        let for_host = self.overrides.iter().find(|(pattern, _)| pattern.matches(host));
        let rotation = for_host.map_or(&self.via, |(_, rotation)| rotation);
        Some(rotation).filter(|rotation| !rotation.members.is_empty())
    }

    /// Records whether a proxy served a request that began at `began`.
    pub fn served(&self, proxy: &Proxy, well: bool, began: Instant, now: Instant) {
        let mut rests = self.rests.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(rest) = rests.get_mut(&proxy.id()) else { return };
        if well {
            rest.succeeded(began);
            return;
        }
        let was_awake = rest.until(now).is_none();
        rest.failed(began, now);
        if let (true, Some(until)) = (was_awake, rest.until(now)) {
            let wait = until.saturating_duration_since(now);
            tracing::warn!(%proxy, wait = %humantime::format_duration(wait), "a proxy failed and rests");
        }
    }
}

impl Rotation {
    fn new(what: &str, urls: &[ProxyUrl]) -> Result<Self> {
        let read = |url: &ProxyUrl| {
            let proxy = url.parse().map_err(|why| Error::setting(what, format!("`{url}` is no proxy: {why}")))?;
            Ok(proxy.map(Arc::new))
        };
        Ok(Self { members: urls.iter().map(read).collect::<Result<_>>()?, turn: AtomicUsize::new(0) })
    }

    fn proxies(&self) -> impl Iterator<Item = &Arc<Proxy>> {
        self.members.iter().flatten()
    }

    /// Returns the next proxy that does not rest, or else the one whose rest ends first.
    fn next(&self, rests_until: impl Fn(&Proxy) -> Option<Instant>) -> Option<Arc<Proxy>> {
        let first = self.turn.fetch_add(1, Ordering::Relaxed).checked_rem(self.members.len())?;
        let (before, after) = self.members.split_at_checked(first)?;
        let in_turn = after.iter().chain(before);
        // `min_by_key` takes the first of equals; `None` (no rest) sorts lowest.
        in_turn.min_by_key(|member| member.as_deref().and_then(&rests_until)).cloned().flatten()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn proxies(json: &str) -> Proxies {
        Proxies::new(&serde_json::from_str(json).unwrap()).unwrap()
    }

    fn hosts(proxies: &Proxies, url: &str, now: Instant, times: usize) -> Vec<String> {
        let url = Url::parse(url).unwrap();
        let host = |proxy: Option<Arc<Proxy>>| proxy.map_or_else(|| "direct".to_owned(), |proxy| proxy.host.clone());
        (0..times).map(|_| host(proxies.choose(&url, None, now).unwrap())).collect()
    }

    #[test]
    fn several_take_turns_and_one_that_failed_rests() {
        let proxies = proxies(r#"{"via": ["http://a:1", "http://b:1", "http://c:1"]}"#);
        let now = Instant::now();
        assert_eq!(hosts(&proxies, "http://e.org/", now, 4), ["a", "b", "c", "a"]);
        proxies.served(&"http://b:1".parse().unwrap(), false, now, now);
        assert!(!hosts(&proxies, "http://e.org/", now, 9).contains(&"b".to_owned()));
        let later = now + Duration::from_secs(6);
        assert!(hosts(&proxies, "http://e.org/", later, 3).contains(&"b".to_owned()));
    }

    #[test]
    fn when_all_rest_the_one_that_wakes_first_serves() {
        let proxies = proxies(r#"{"via": ["http://a:1", "http://b:1"]}"#);
        let now = Instant::now();
        let second = Duration::from_secs(1);
        proxies.served(&"http://b:1".parse().unwrap(), false, now, now);
        proxies.served(&"http://a:1".parse().unwrap(), false, now, now + second);
        assert_eq!(hosts(&proxies, "http://e.org/", now + second, 4), ["b", "b", "b", "b"]);
    }

    #[test]
    fn the_request_goes_before_the_host_and_the_host_before_the_crawl() {
        let proxies = proxies(
            r#"{"via": ["http://crawl:1"], "overrides": [
                {"host": "*.site.test", "via": ["socks5://site:1"]}, {"host": "near.test", "via": ["direct"]}]}"#,
        );
        let now = Instant::now();
        assert_eq!(hosts(&proxies, "http://a.site.test/", now, 1), ["site"]);
        assert_eq!(hosts(&proxies, "http://near.test/", now, 1), ["direct"]);
        assert_eq!(hosts(&proxies, "http://far.test/", now, 1), ["crawl"]);
        let url = Url::parse("http://a.site.test/").unwrap();
        let own = proxies.choose(&url, Some("http://own:1"), now).unwrap().unwrap();
        assert_eq!(own.host, "own");
        assert_eq!(proxies.choose(&url, Some("direct"), now).unwrap(), None);
        assert!(matches!(proxies.choose(&url, Some("own:1"), now), Err(FetchError::Request(_))));
    }

    #[test]
    fn what_is_no_proxy_is_named() {
        let settings: ProxySettings = serde_json::from_str(r#"{"via": ["u:hunter2@host:1"]}"#).unwrap();
        let error = Proxies::new(&settings).err().unwrap().to_string();
        assert!(error.contains("proxies.via") && !error.contains("hunter2"), "{error}");
    }
}
