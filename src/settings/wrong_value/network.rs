//! Network: what is wrong with the settings of transport and sessions. Opens no file and no connection.

use super::WrongValues;
use crate::{
    sessions::{SessionSettings, Sessions},
    settings::{Settings, key::Key},
    transport::{ProxyOverride, ProxySettings, ProxyUrl, TlsSettings, TransportSettings},
    warc::Warc,
};

impl Settings {
    /// Looks at each rule alone, but for what needs files.
    pub(super) fn find_transport(&self, found: &mut WrongValues) {
        let (given, key) = (&self.transport, Key::of("transport"));
        let usual = TransportSettings::default;
        for (index, rule) in given.resolve.iter().enumerate() {
            let alone = TransportSettings { resolve: vec![rule.clone()], ..usual() };
            found.transport(&key.and("resolve").index(index), &alone);
        }
        for (index, one) in given.credentials.iter().enumerate() {
            let alone = TransportSettings { credentials: vec![one.clone()], ..usual() };
            found.transport(&key.and("credentials").index(index), &alone);
        }
        for (index, name) in given.secret_headers.iter().enumerate() {
            let alone = TransportSettings { secret_headers: vec![name.clone()], ..usual() };
            found.transport(&key.and("secret_headers").index(index), &alone);
        }
        for (index, host) in given.tls.insecure.iter().enumerate() {
            let tls = TlsSettings { insecure: vec![host.clone()], ..TlsSettings::default() };
            found.result(&key.and("tls.insecure").index(index), tls.check());
        }
        if let Some(archive) = &given.archive {
            let (key, usual) = (key.and("archive"), || Warc::to(&archive.dir));
            found.result(&key.and("file_name"), usual().file_name(&archive.file_name).check());
            found.result(&key.and("info"), Warc { info: archive.info.clone(), ..usual() }.check());
        }
        let proxies = key.and("proxies");
        for (index, proxy) in given.proxies.via.iter().enumerate() {
            found.transport(&proxies.and("via").index(index), &with_proxy(proxy));
        }
        for (index, one) in given.proxies.overrides.iter().enumerate() {
            let key = proxies.and("overrides").index(index);
            let host = ProxyOverride { host: one.host.clone(), via: Vec::new() };
            found.transport(
                &key.and("host"),
                &with_proxies(ProxySettings { overrides: vec![host], ..ProxySettings::default() }),
            );
            for (index, proxy) in one.via.iter().enumerate() {
                found.transport(&key.and("via").index(index), &with_proxy(proxy));
            }
        }
    }

    pub(super) fn find_sessions(&self, found: &mut WrongValues) {
        let (given, key, before) = (&self.sessions, Key::of("sessions"), found.0.len());
        let usual = Sessions::default;
        found.result(&key.and("pool"), Sessions { pool: given.pool, ..usual() }.check());
        found.result(&key.and("max_uses"), Sessions { max_uses: given.max_uses, ..usual() }.check());
        for (index, path) in given.blocked_at.iter().enumerate() {
            let alone = Sessions { blocked_at: vec![path.clone()], ..usual() };
            found.result(&key.and("blocked_at").index(index), alone.check());
        }
        for (index, proxy) in given.pool_proxies.iter().enumerate() {
            found.transport(&key.and("pool_proxies").index(index), &with_proxy(&ProxyUrl::new(proxy)));
        }
        for (name, session) in &given.named {
            let key = key.and("named").name(name);
            let named = [(name.clone(), SessionSettings::default())].into();
            found.result(&key, Sessions { named, ..usual() }.check());
            found.path(key.and("cookies_file"), session.cookies_file.as_deref());
            if let Some(proxy) = &session.proxy {
                found.transport(&key.and("proxy"), &with_proxy(&ProxyUrl::new(proxy)));
            }
        }
        if found.0.len() == before {
            // What only all together exceed.
            found.result(&key, given.check());
        }
    }
}

/// Returns settings in which this proxy alone can be wrong.
pub(super) fn with_proxy(proxy: &ProxyUrl) -> TransportSettings {
    with_proxies(ProxySettings { via: vec![proxy.clone()], ..ProxySettings::default() })
}

fn with_proxies(proxies: ProxySettings) -> TransportSettings {
    TransportSettings { proxies, ..TransportSettings::default() }
}
