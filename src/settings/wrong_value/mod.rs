//! WrongValue: a value that no crawl can work with, with its key; and all of them that settings have. Knows no file of
//! settings and no network.

mod network;

use std::{collections::BTreeMap, path::Path, time::Duration};

use http::{HeaderName, HeaderValue};

use super::{DomainSettings, NamedDomains, Settings, key::Key};
use crate::{
    error::{Error, Result},
    headers::origin_header::belongs_to_origin,
    politeness::Politeness,
    request::parse_url,
    threads::niceness::MAX_NICENESS,
    transport::{TlsSettings, TransportSettings},
    user_agent,
};

/// The most network threads: far more than a machine has cores is a mistake.
pub const MAX_THREADS: usize = 1_024;

/// A value that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongValue {
    /// Where it is set.
    pub key: Key,
    /// What is wrong with it, and what to write.
    pub why: String,
}

/// Wrong values as they are found.
#[derive(Default)]
struct WrongValues(Vec<WrongValue>);

impl From<WrongValue> for Error {
    fn from(wrong: WrongValue) -> Self {
        Self::setting(wrong.key.to_string(), wrong.why)
    }
}

impl Settings {
    /// Returns what is wrong whatever the program or the command line adds.
    pub(crate) fn wrong_values(&self) -> Vec<WrongValue> {
        let mut found = WrongValues::default();
        for (index, seed) in self.seeds.iter().enumerate() {
            found.result(&Key::of("seeds").index(index), parse_url(seed));
        }
        self.find_names(&mut found);
        self.find_limits(&mut found);
        for (list, index, why) in self.scope.wrong() {
            found.add(Key::of("scope").and(list).index(index), why);
        }
        self.find_paths(&mut found);
        self.find_politeness(&mut found);
        self.find_domains(&mut found);
        let headers = Key::of("headers");
        found.headers(&headers.and("all"), &self.headers.all, Some("https://example.org"));
        for (origin, of_origin) in &self.headers.origins {
            let key = headers.and("origins").name(origin);
            found.result(&key, parse_url(origin));
            found.headers(&key, of_origin, None);
        }
        self.find_transport(&mut found);
        for (index, feed) in self.feeds.iter().enumerate() {
            found.result(&Key::of("feeds").index(index), feed.check());
        }
        self.find_sessions(&mut found);
        found.0
    }

    /// Returns the files of certificates that cannot be used.
    pub(crate) fn wrong_files(&self) -> Vec<WrongValue> {
        let (mut found, tls, key) = (WrongValues::default(), &self.transport.tls, Key::of("transport.tls"));
        let system = TlsSettings { system_roots: tls.system_roots, ..TlsSettings::default() };
        found.result(&key.and("system_roots"), system.check());
        for (index, file) in tls.ca_files.iter().enumerate() {
            let one = TlsSettings { ca_files: vec![file.clone()], ..TlsSettings::default() };
            found.result(&key.and("ca_files").index(index), one.check());
        }
        for (index, certificate) in tls.client_certificates.iter().enumerate() {
            let one = TlsSettings { client_certificates: vec![certificate.clone()], ..TlsSettings::default() };
            found.result(&key.and("client_certificates").index(index), one.check());
        }
        found.0
    }

    /// Returns the feeds that name fields which items of these do not have. A program's feeds get items of its own
    /// types.
    #[cfg(feature = "toml")]
    pub(crate) fn feeds_without(&self, fields: &[String]) -> Vec<WrongValue> {
        let mut found = WrongValues::default();
        for (index, feed) in self.feeds.iter().enumerate() {
            found.result(&Key::of("feeds").index(index), feed.check_for(fields));
        }
        found.0
    }

    /// Returns a User-Agent without a contact, which is right for seeds on this machine only.
    pub(crate) fn wrong_user_agent(&self) -> Option<WrongValue> {
        let urls: Vec<_> = self.seeds.iter().filter_map(|seed| parse_url(seed).ok()).collect();
        let at_home = !urls.is_empty() && urls.iter().all(user_agent::is_loopback);
        let given = self.user_agent.as_ref().filter(|given| !at_home && !given.trim().is_empty())?;
        user_agent::check(given).err().map(|error| WrongValue { key: Key::of("user_agent"), why: why(error) })
    }

    fn find_names(&self, found: &mut WrongValues) {
        let is_blank = |text: &Option<String>| text.as_ref().is_some_and(|text| text.trim().is_empty());
        let is_sent = |text: &str| text.parse::<HeaderValue>().is_ok();
        if is_blank(&self.user_agent) || self.user_agent.as_ref().is_some_and(|text| !is_sent(text)) {
            found.add(
                Key::of("user_agent"),
                "it is empty, or has characters that no header has; write it like quotesbot/1.0 \
                 (+https://example.org/bot)",
            );
        }
        let with_contact = Self { contact: self.contact.clone(), ..Self::default() }.composed_user_agent();
        if let Some(contact) = &self.contact
            && (is_blank(&self.contact) || user_agent::check(&with_contact).is_err())
        {
            found.add(
                Key::of("contact"),
                format!(
                    "`{contact}` is neither a URL nor a mail address; write it like https://example.org/bot or \
                     me@example.org"
                ),
            );
        }
    }

    fn find_limits(&self, found: &mut WrongValues) {
        if !(1..=MAX_THREADS).contains(&self.threads) {
            found.add(
                Key::of("threads"),
                format!("{} is no number of threads; write 1 to {MAX_THREADS}, such as 4", self.threads),
            );
        }
        if self.nice > MAX_NICENESS {
            found.add(Key::of("nice"), format!("{} is no niceness; write 0 to {MAX_NICENESS}, such as 10", self.nice));
        }
        let (scope, transport) = (&self.scope, &self.transport);
        let (body, deadlines) = (&transport.body, &transport.deadlines);
        let size = |number: usize| number as u64;
        for (key, number) in [
            ("max_queued", self.max_queued),
            ("max_queued_per_domain", self.max_queued_per_domain.unwrap_or(1)),
            ("max_queued_bytes", self.max_queued_bytes),
            ("max_links_per_page", size(self.max_links_per_page)),
            ("scope.max_url_length", size(scope.max_url_length)),
            ("scope.max_pages", scope.max_pages.unwrap_or(1)),
            ("scope.max_requests", scope.max_requests.unwrap_or(1)),
            ("scope.max_pages_per_domain", scope.max_pages_per_domain.unwrap_or(1)),
            ("transport.max_connections", size(transport.max_connections)),
            ("transport.archive.max_bytes", transport.archive.as_ref().map_or(1, |archive| archive.max_bytes)),
            ("transport.body.max_bytes", body.max_bytes),
            ("transport.body.max_in_flight_bytes", body.max_in_flight_bytes),
            ("transport.body.max_ratio", body.max_ratio.into()),
        ] {
            if number == 0 {
                found.add(Key::of(key), "0 allows nothing; write at least 1");
            }
        }
        for (key, time) in [
            ("parse_timeout", self.parse_timeout),
            ("pipeline_timeout", self.pipeline_timeout),
            ("transport.deadlines.dns", deadlines.dns),
            ("transport.deadlines.connect", deadlines.connect),
            ("transport.deadlines.tls", deadlines.tls),
            ("transport.deadlines.head", deadlines.head),
            ("transport.deadlines.idle", deadlines.idle),
            ("transport.deadlines.rate_window", deadlines.rate_window),
            ("transport.deadlines.whole", deadlines.whole),
            ("transport.body.max_time", body.max_time),
        ] {
            if time == Duration::ZERO {
                found.add(Key::of(key), "a limit of 0 allows nothing; write it like \"30s\"");
            }
        }
        for (name, rules) in &self.pages.validate.fields {
            for (bound, number) in [("min", rules.min), ("max", rules.max)] {
                if number.is_some_and(|number| !number.is_finite()) {
                    found.add(Key::of("pages.validate.fields").name(name).and(bound), "write a number, such as 0.01");
                }
            }
        }
        found.result(&Key::of("sitemaps.min_priority"), self.sitemaps.check());
        for (key, why) in self.files.wrong() {
            found.add(Key::of("files").and(key), why);
        }
    }

    fn find_paths(&self, found: &mut WrongValues) {
        let (transport, pages) = (&self.transport, &self.pages);
        let stored = transport.response_store.as_ref().map(|stored| &stored.dir);
        for (key, path) in [
            ("log", self.log.as_ref()),
            ("state", self.state.as_ref()),
            ("pages.output", pages.output.as_ref()),
            ("pages.summary", pages.summary.as_ref()),
            ("transport.response_store.dir", stored),
            ("transport.archive.dir", transport.archive.as_ref().map(|archive| &archive.dir)),
            ("sessions.file", self.sessions.file.as_ref()),
        ] {
            found.path(Key::of(key), path.map(AsRef::as_ref));
        }
        let tls = Key::of("transport.tls");
        for (index, file) in transport.tls.ca_files.iter().enumerate() {
            found.path(tls.and("ca_files").index(index), Some(file));
        }
        for (index, certificate) in transport.tls.client_certificates.iter().enumerate() {
            let key = tls.and("client_certificates").index(index);
            found.path(key.and("certificate"), Some(&certificate.certificate));
            found.path(key.and("key"), Some(&certificate.key));
        }
    }

    /// Looks at each setting alone, since a check ends at the first that is wrong.
    fn find_politeness(&self, found: &mut WrongValues) {
        let Politeness { jitter, rate, spacing, rest, max_crawl_delay, .. } = self.politeness;
        let usual = Politeness::default;
        for (key, alone) in [
            ("jitter", Politeness { jitter, ..usual() }),
            ("rate", Politeness { rate, ..usual() }),
            ("spacing", Politeness { spacing, ..usual() }),
            ("rest", Politeness { rest, ..usual() }),
            ("max_crawl_delay", Politeness { max_crawl_delay, ..usual() }),
        ] {
            found.result(&Key::of("politeness").and(key), alone.check());
        }
        let overrides = self.politeness.overrides.clone();
        found.result(&Key::of("politeness.overrides"), Politeness { overrides, ..usual() }.check());
    }

    fn find_domains(&self, found: &mut WrongValues) {
        let before = found.0.len();
        for (name, settings) in &self.domains {
            let key = Key::of("domains").name(name);
            let DomainSettings { rate, spacing, rest, .. } = *settings;
            let none = DomainSettings::new;
            for (part, alone) in [
                ("", none()),
                ("rate", DomainSettings { rate, ..none() }),
                ("spacing", DomainSettings { spacing, ..none() }),
                ("rest", DomainSettings { rest, ..none() }),
            ] {
                let named = NamedDomains::new(&[(name.clone(), alone)].into(), &self.politeness.domain_key);
                let is_wrong = named.is_err();
                found.result(&key.and(part), named);
                if is_wrong && part.is_empty() {
                    // The name itself.
                    break;
                }
            }
            let origin = format!("https://{name}");
            found.headers(&key.and("headers"), &settings.headers, Some(&origin));
            for (index, proxy) in settings.proxies.iter().enumerate() {
                found.transport(&key.and("proxies").index(index), &network::with_proxy(proxy));
            }
            for (part, number) in [("max_pages", settings.max_pages), ("max_queued", settings.max_queued)] {
                if number == Some(0) {
                    found.add(key.and(part), "0 allows nothing; write at least 1");
                }
            }
        }
        if found.0.len() == before {
            // What is wrong with several together: the same name, written in two ways.
            found.result(&Key::of("domains"), NamedDomains::new(&self.domains, &self.politeness.domain_key));
        }
    }
}

impl WrongValues {
    fn add(&mut self, key: Key, why: impl Into<String>) {
        self.0.push(WrongValue { key, why: why.into() });
    }

    fn result<T>(&mut self, key: &Key, result: Result<T>) {
        if let Err(error) = result {
            self.add(key.clone(), why(error));
        }
    }

    fn transport(&mut self, key: &Key, alone: &TransportSettings) {
        self.result(key, alone.check_rules());
    }

    fn path(&mut self, key: Key, path: Option<&Path>) {
        if path.is_some_and(|path| path.as_os_str().is_empty()) {
            self.add(key, "it is empty; name a file or a directory, or leave the key out");
        }
    }

    /// Finds headers that cannot be sent, and secrets among those that go to more than one origin; `origin` is one that
    /// a secret may belong to.
    fn headers(&mut self, key: &Key, headers: &BTreeMap<String, String>, origin: Option<&str>) {
        for (name, value) in headers {
            let key = key.name(name);
            if name.parse::<HeaderName>().is_err() {
                self.add(key, "it is no name of a header; write one as accept-language");
            } else if value.parse::<HeaderValue>().is_err() {
                self.add(key, "its value has characters that no header has");
            } else if name.eq_ignore_ascii_case("user-agent") && user_agent::check(value).is_err() {
                self.result(&key, user_agent::check(value));
            } else if let Some(origin) = origin.filter(|_| belongs_to_origin(name)) {
                let why = format!(
                    "it looks like a secret, and would go to every origin that this table is for; write it in \
                     [headers.origins.\"{origin}\"], with the origin that it belongs to"
                );
                self.add(key, why);
            }
        }
    }
}

/// Returns what is wrong, without the name that the part of the settings has for it.
fn why(error: Error) -> String {
    match error {
        Error::File { path, source } => format!("{} cannot be read: {source}", path.display()),
        other => other.into_why(),
    }
}
