//! Config: the settings of a crawl from a TOML file, overridden by command line options.

use std::{
    collections::BTreeMap,
    fs,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
};

use actix_crawler::{
    Error, Politeness, Recrawl, Request, Retry, Scope, Settings,
    middleware::DefaultHeaders,
    transport::{AddressGuard, HostPattern, ProxyUrl, Purpose, ResponseStoreSettings, TlsSettings, TransportSettings},
    user_agent,
};
use serde::Deserialize;
use serde_json::Value;
use url::{Host, Url};

use super::{
    exit::Failure,
    options::{CrawlOptions, Identity, Network},
    seeds,
    values::Select,
};

/// The file that `--config` names. Its tables are the library's settings of the same name.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    seeds: Vec<String>,
    contact: Option<String>,
    user_agent: Option<String>,
    threads: Option<u16>,
    max_queued: Option<u64>,
    max_queued_per_domain: Option<u64>,
    max_queued_bytes: Option<u64>,
    max_links_per_page: Option<u64>,
    follow_refresh: Option<bool>,
    respect_nofollow: bool,
    select: BTreeMap<String, String>,
    output: Option<PathBuf>,
    escape_formulas: bool,
    state: Option<PathBuf>,
    log: Option<PathBuf>,
    summary: Option<PathBuf>,
    politeness: Politeness,
    scope: Scope,
    retry: Retry,
    recrawl: Recrawl,
    transport: TransportSettings,
    headers: DefaultHeaders,
}

/// All settings of `crawl`, checked as far as possible without the network.
#[derive(Debug)]
pub struct Order {
    /// The seeds.
    pub seeds: Vec<Url>,
    /// The User-Agent.
    pub user_agent: String,
    /// The library's settings.
    pub settings: Settings,
    /// The fields selected from each page.
    pub select: Vec<Select>,
    /// Whether links marked `nofollow` are skipped.
    pub respect_nofollow: bool,
    /// The file for pages; `None` for stdout.
    pub output: Option<PathBuf>,
    /// Whether CSV texts that a spreadsheet would evaluate as formulas are escaped.
    pub escape_formulas: bool,
    /// The file for the JSON summary.
    pub summary: Option<PathBuf>,
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, or has an invalid setting: the message names the line and what to write.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let text = fs::read_to_string(path).map_err(|error| Failure::unreadable("--config", path, &error))?;
        toml::from_str(&text).map_err(|error| {
            let place = error.span().and_then(|span| text.get(..span.start)).map(|before| {
                let number = before.matches('\n').count();
                let line = text.lines().nth(number).unwrap_or_default().trim();
                format!(" line {}, `{line}`", number + 1)
            });
            let message = error.message();
            let belongs = unknown_key(message).and_then(|key| Some((key, section_of(key)?)));
            let belongs = belongs.map(|(key, section)| format!("{key} belongs to [{section}]; "));
            let (place, belongs) = (place.unwrap_or_default(), belongs.unwrap_or_default());
            Failure::usage(format!("{}{place}: {belongs}{message}", path.display()))
        })
    }

    /// Overrides the file's settings by the given options.
    ///
    /// # Errors
    /// A setting is invalid or missing, or a seed is an address that must not be connected to.
    pub fn with(mut self, options: CrawlOptions) -> Result<Order, Failure> {
        let mut seeds = options
            .urls
            .iter()
            .map(|seed| Request::parse(seed).map(|request| request.url))
            .collect::<Result<Vec<_>, Error>>()?;
        if let Some(path) = &options.seeds {
            seeds.extend(seeds::read(path, options.skip_bad_seeds)?);
        }
        if seeds.is_empty() {
            // Seeds on the command line replace the file's.
            seeds = self
                .seeds
                .iter()
                .map(|seed| Request::parse(seed).map(|request| request.url))
                .collect::<Result<Vec<_>, Error>>()?;
        }
        if seeds.is_empty() {
            return Err(Failure::usage(
                "no URL to begin with; give one, as in: actix-crawler crawl https://example.org/",
            ));
        }

        let politeness = &mut self.politeness;
        if options.rate.is_some() || options.delay.is_some() {
            // The pace on the command line replaces all of the file's, otherwise the strictest would hold.
            (politeness.rate, politeness.spacing, politeness.rest) = (options.rate, options.delay, None);
        }
        if options.rate.is_some() || options.delay.is_some() || options.per_domain.is_some() {
            // Otherwise the file's overrides would win over the command line for their domains.
            politeness.overrides.clear();
        }
        put(&mut politeness.per_domain, options.per_domain);
        put(&mut politeness.concurrency, options.concurrency);
        put(&mut politeness.robots, options.robots);
        put(&mut self.retry.attempts, options.retries.map(|retries| retries.saturating_add(1)));
        self.recrawl.seeds |= options.seeds_again;
        self.recrawl.revisit_after = options.revisit_after.or(self.recrawl.revisit_after);
        let scope = &mut self.scope;
        put(&mut scope.within, options.scope);
        scope.max_depth = options.depth.or(scope.max_depth);
        scope.max_pages = options.max_pages.or(scope.max_pages);
        scope.max_requests = options.max_requests.or(scope.max_requests);
        scope.max_pages_per_domain = options.max_pages_per_domain.or(scope.max_pages_per_domain);
        scope.allow.extend(options.allow);
        scope.deny.extend(options.deny);
        let mut transport = options.network.over(self.transport)?;
        transport.cookies |= options.cookies;
        let stores =
            [(options.cache, Purpose::Cache), (options.record, Purpose::Record), (options.replay, Purpose::Replay)];
        for (dir, purpose) in stores {
            put(&mut transport.response_store, dir.map(|dir| Some(ResponseStoreSettings::new(dir, purpose))));
        }
        refuse_private(&seeds, &transport.guard)?;
        let add = |headers: DefaultHeaders, (name, value)| headers.header(name, value);
        let headers = options.header.into_iter().fold(self.headers, add);
        headers.check()?;

        let mut select = Vec::new();
        for (name, query) in &self.select {
            let refuse = |why| Failure::usage(format!("select.{name}: {why}"));
            select.push(Select::new(name, query).map_err(refuse)?);
        }
        for (index, Select { name, .. }) in options.select.iter().enumerate() {
            if options.select.iter().take(index).any(|other| other.name == *name) {
                return Err(Failure::usage(format!("--select {name} is given twice; give each selector its own name")));
            }
        }
        select.retain(|from_file| options.select.iter().all(|given| given.name != from_file.name));
        select.extend(options.select);

        let identity = options.identity.or(self.contact, self.user_agent);
        let output = options.output.or(self.output).filter(|path| path.as_os_str() != "-");
        let summary = options.summary.or(self.summary);
        let log = options.log.or(self.log);
        for (option, path) in [("--log", &log), ("--summary", &summary)] {
            refuse_stdout(option, path.as_deref())?;
        }
        refuse_shared([("output", &output), ("log", &log), ("summary", &summary)])?;
        let defaults = Settings::default();
        let settings = Settings {
            politeness: self.politeness,
            scope: self.scope,
            retry: self.retry,
            recrawl: self.recrawl,
            transport,
            headers,
            threads: options.threads.or(self.threads).map_or(defaults.threads, |threads| threads.max(1).into()),
            max_queued: options.max_queued.or(self.max_queued).unwrap_or(defaults.max_queued),
            max_queued_per_domain: options.max_queued_per_domain.or(self.max_queued_per_domain),
            max_queued_bytes: options.max_queued_bytes.or(self.max_queued_bytes).unwrap_or(defaults.max_queued_bytes),
            max_links_per_page: options
                .max_links_per_page
                .or(self.max_links_per_page)
                .map_or(defaults.max_links_per_page, |links| usize::try_from(links).unwrap_or(usize::MAX)),
            follow_refresh: options.refresh.or(self.follow_refresh).unwrap_or(defaults.follow_refresh),
            log,
            state: options.state.or(self.state),
            ..defaults
        };
        let respect_nofollow = options.respect_nofollow || self.respect_nofollow;
        Ok(Order {
            user_agent: identity.user_agent(&seeds)?,
            seeds,
            settings,
            select,
            respect_nofollow,
            output,
            escape_formulas: options.escape_formulas || self.escape_formulas,
            summary,
        })
    }
}

/// Extracts the unknown key from serde's message.
fn unknown_key(message: &str) -> Option<&str> {
    Some(message.strip_prefix("unknown field `")?.split_once('`')?.0)
}

/// Returns the table that has this key.
fn section_of(key: &str) -> Option<String> {
    let Settings { politeness, scope, retry, transport, .. } = Settings::default();
    let tables = serde_json::json!({
        "politeness": politeness, "scope": scope, "retry": retry, "transport": transport
    });
    find(&tables, key)
}

fn find(tables: &Value, key: &str) -> Option<String> {
    let tables = || tables.as_object().into_iter().flatten();
    let here = tables().find(|(_, table)| table.get(key).is_some()).map(|(name, _)| name.clone());
    here.or_else(|| tables().find_map(|(name, table)| Some(format!("{name}.{}", find(table, key)?))))
}

impl Network {
    /// Overrides the transport's settings by the given options.
    ///
    /// # Errors
    /// A certificate file cannot be read.
    pub fn over(&self, mut transport: TransportSettings) -> Result<TransportSettings, Failure> {
        transport.guard.allow_private |= self.allow_private;
        transport.guard.allow.extend(&self.allow_address);
        // Of two rules for one host the later wins.
        transport.resolve.extend(self.resolve.iter().cloned());
        if !self.proxy.is_empty() {
            // Proxies on the command line replace the file's.
            transport.proxies.via = self.proxy.iter().map(ProxyUrl::new).collect();
        }
        transport.proxies.from_env |= self.proxy_env;
        transport.tls.ca_files.extend(self.ca.iter().cloned());
        transport.tls.insecure.extend(self.insecure.iter().map(HostPattern::new));
        transport.credentials.extend(self.user.iter().cloned());
        if let Some(limit) = self.timeout {
            transport.deadlines = transport.deadlines.within(limit);
        }
        put(&mut transport.body.max_bytes, self.max_body);
        transport.chunked_over_length |= self.chunked_over_length;
        let TlsSettings { ca_files, client_certificates, .. } = &transport.tls;
        if !ca_files.is_empty() || !client_certificates.is_empty() {
            // Also read here, since the library's error does not say whether a file was to be read or written.
            transport.tls.check().map_err(|error| match error {
                Error::File { path, source } => {
                    let option = if ca_files.contains(&path) { "--ca" } else { "client_certificates:" };
                    Failure::unreadable(option, &path, &source)
                }
                other => other.into(),
            })?;
        }
        Ok(transport)
    }
}

impl Identity {
    /// Uses the file's values where no option is given.
    fn or(self, contact: Option<String>, user_agent: Option<String>) -> Self {
        if self.contact.is_some() || self.user_agent.is_some() { self } else { Self { contact, user_agent } }
    }

    /// Returns the User-Agent.
    ///
    /// # Errors
    /// There is no contact, and not every URL is on this machine.
    pub fn user_agent(&self, urls: &[Url]) -> Result<String, Failure> {
        let name = concat!("actix-crawler/", env!("CARGO_PKG_VERSION"));
        let at_home = urls.iter().all(user_agent::is_loopback);
        match (&self.user_agent, &self.contact) {
            (Some(given), _) => {
                if !at_home {
                    user_agent::check(given)?;
                }
                Ok(given.clone())
            }
            (None, Some(contact)) => {
                let whole = format!("{name} (+{contact})");
                user_agent::check(&whole).map(|()| whole).map_err(|_| {
                    Failure::usage(format!(
                        "--contact `{contact}` is neither a URL nor a mail address; \
                         write it like https://example.org/bot or me@example.org"
                    ))
                })
            }
            (None, None) if at_home => Ok(name.to_owned()),
            (None, None) => Err(Failure::usage(
                "no contact: whoever owns a site must be able to reach who crawls it; \
                 add --contact https://example.org/bot or --contact me@example.org, with an address of yours",
            )),
        }
    }
}

/// Refuses URLs whose host is an address that must not be connected to. Names are resolved later, and their addresses
/// checked then.
///
/// # Errors
/// Names the URL and the option that allows it.
pub fn refuse_private(urls: &[Url], guard: &AddressGuard) -> Result<(), Failure> {
    for url in urls {
        let address = match url.host() {
            Some(Host::Ipv4(address)) => address.into(),
            Some(Host::Ipv6(address)) => address.into(),
            _ if user_agent::is_loopback(url) => IpAddr::from(Ipv4Addr::LOCALHOST),
            _ => continue,
        };
        if let Err(refused) = guard.check(address) {
            let kind = refused.kind;
            return Err(Failure::usage(format!(
                "{url}: {address} is {kind}; add --allow-private, or --allow-address {address}, if you mean that"
            )));
        }
    }
    Ok(())
}

/// Refuses `-` for options that write files only.
///
/// # Errors
/// The path is `-`.
pub fn refuse_stdout(option: &str, path: Option<&Path>) -> Result<(), Failure> {
    match path {
        Some(path) if path.as_os_str() == "-" => Err(Failure::usage(format!(
            "{option} cannot be written to stdout, which is for the other output; name a file"
        ))),
        _ => Ok(()),
    }
}

fn refuse_shared(files: [(&str, &Option<PathBuf>); 3]) -> Result<(), Failure> {
    for (index, (one, path)) in files.iter().enumerate() {
        let shared = files.iter().skip(index + 1).find(|(_, other)| path.is_some() && path == other);
        if let (Some((other, _)), Some(path)) = (shared, path) {
            let path = path.display();
            return Err(Failure::usage(format!("{path} is named for --{one} and --{other}; name two files")));
        }
    }
    Ok(())
}

fn put<T>(setting: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *setting = given;
    }
}
