//! Explain: where a URL stands in a stored crawl and why, from what the state holds. Changes nothing.

use std::{
    ops::ControlFlow,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::{State, StoredEntry};
use crate::{
    clock,
    conduct::cooling::CoolingCause,
    domain::{Domain, DomainKey},
    error::{Error, Result},
    explain::{End, Explanation, Wait, WaitsFor, Whereabouts},
    frontier::{
        durable::{DOMAIN_KEY, DomainHistory, IDENTITY},
        known_depth::KnownDepth,
        windowed::{
            entry::{Entry, QueuePosition},
            store::{Contents, DeadLetter},
        },
    },
    identity::{CANONICAL_URL, CanonicalUrl},
    outcome::DropReason,
    request::{Kind, Request},
};

/// How many entries of a queue are read at once.
const READ_AT_ONCE: usize = 1_000;

impl State {
    /// Tells where a page stands and why. Reads the queue of its domain up to the page, the requests that failed, and
    /// those that were too deep. A request that was dropped for another reason is not stored, so the crawl log may know
    /// more; nor is the canonical form of URLs, which is taken as the default one.
    ///
    /// # Errors
    /// The text is not a URL that can be crawled, the state cannot be read, or its crawl has a domain key or an
    /// identity of its own, which are not stored.
    pub fn explain(&self, url: &str) -> Result<Explanation> {
        let mut page = Request::parse(url)?;
        CanonicalUrl::default().apply(&mut page.url);
        let mut contents = self.store.load()?;
        let domain = self.domain_key(&contents)?.domain(&page.url);
        let history = contents.histories.drain(..).find(|(known, _)| *known == domain).map(|(_, history)| history);
        let queued = contents.waiting.iter().find(|(known, _)| *known == domain).map_or(0, |(_, count)| *count);
        let stands = match self.position(&domain, &page)? {
            Some((ahead, stored)) => Whereabouts::Waits(wait(ahead, queued, &stored, history.as_ref())),
            None => self.not_waiting(&page)?,
        };
        Ok(Explanation { url: page.url.into(), domain, stands })
    }

    fn domain_key(&self, contents: &Contents) -> Result<DomainKey> {
        let setting = |name: &str| contents.settings.as_ref().and_then(|settings| settings.get(name));
        if let Some(other) = setting(IDENTITY).filter(|name| *name != CANONICAL_URL) {
            let why = format!("its crawl has an identity of its own, {other}; ask the crawl while it runs");
            return Err(self.store.refuse(why));
        }
        match setting(DOMAIN_KEY).map(String::as_str) {
            None => Ok(DomainKey::default()),
            Some(key) => [DomainKey::RegistrableDomain, DomainKey::Host]
                .into_iter()
                .find(|known| format!("{known:?}") == key)
                .ok_or_else(|| self.no_key()),
        }
    }

    fn no_key(&self) -> Error {
        self.store.refuse("its crawl has a domain key of its own; ask the crawl while it runs".to_owned())
    }

    /// Returns a page that waits, and how many requests of its domain go before it.
    fn position(&self, domain: &Domain, page: &Request) -> Result<Option<(u64, StoredEntry)>> {
        let (mut ahead, mut from) = (0, Some(QueuePosition::FIRST));
        while let Some(place) = from {
            let read = self.store.queue(domain, place, READ_AT_ONCE)?;
            for stored in read.entries {
                if is_same(&stored.entry.request, page) {
                    return Ok(Some((ahead, stored)));
                }
                ahead += 1;
            }
            from = read.next;
        }
        Ok(None)
    }

    fn not_waiting(&self, page: &Request) -> Result<Whereabouts> {
        let mut failed = None;
        self.store.each_dead(&mut |_, dead| {
            if is_same(&dead.request, page) {
                // The last one, if it was queued again.
                failed = Some(dead);
            }
            ControlFlow::Continue(())
        })?;
        if let Some(DeadLetter { request, outcome, detail, .. }) = failed {
            let found_on = request.parent.clone();
            return Ok(Whereabouts::Failed(End { outcome, detail, found_on, ..End::default() }));
        }
        let fingerprint = page.fingerprint();
        if let Some((_, second)) = self.store.seen(&[fingerprint])?.first() {
            let at = UNIX_EPOCH.checked_add(Duration::from_secs(u64::from(*second)));
            return Ok(Whereabouts::TakenIn { not_looked_at: 0, at });
        }
        let too_deep = self.store.depths()?.into_iter().find_map(|(known, depth)| match depth {
            KnownDepth::TooDeep(request) if known == fingerprint => Some(request),
            _ => None,
        });
        Ok(match too_deep {
            Some(request) => {
                let (outcome, found_on) = (DropReason::Depth.to_string(), request.parent.clone());
                Whereabouts::Dropped(End { outcome, found_on, ..End::default() })
            }
            None => Whereabouts::NeverHeardOf { would_be_dropped: None, may_have_been_dropped: true },
        })
    }
}

fn is_same(known: &Request, page: &Request) -> bool {
    let Request { url, method, body, .. } = page;
    (&known.url, &known.method, &known.body) == (url, method, body) && known.kind() == Kind::Page
}

fn wait(ahead: u64, queued: u64, stored: &StoredEntry, history: Option<&DomainHistory>) -> Wait {
    let StoredEntry { entry: Entry { attempts, request, .. }, not_before } = stored;
    let now = clock::wall();
    let left = |until_ms: u64| time(until_ms).duration_since(now).ok().filter(|left| !left.is_zero());
    let mut reasons = vec![WaitsFor::NoCrawl];
    reasons.extend(history.and_then(|history| {
        let cooling = history.cooling.as_ref()?;
        let left = left(cooling.until)?;
        let cause = cooling.status.map_or(CoolingCause::Unreachable, CoolingCause::Status).to_string();
        Some(WaitsFor::Cools { cause, left })
    }));
    reasons.extend(not_before.and_then(left).map(|left| WaitsFor::NotBefore { left }));
    reasons.extend(history.and_then(|history| {
        let is_valid = history.spacing_until.is_some_and(|until| left(until).is_some());
        history.spacing.filter(|_| is_valid).map(|asked| WaitsFor::CrawlDelay { asked })
    }));
    let (attempts, found_on) = (*attempts, request.parent.clone());
    Wait { forecast: None, ahead: Some(ahead), queued, attempts, reasons, found_on }
}

fn time(ms: u64) -> SystemTime {
    UNIX_EPOCH.checked_add(Duration::from_millis(ms)).unwrap_or(UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frontier::{
        durable::CoolingHistory,
        stores::tables::TablesStore,
        windowed::store::{Batch, Change, Store},
    };

    #[test]
    fn what_a_domain_taught_and_what_failed_is_told_from_a_state() {
        let (store, domain) = (TablesStore::default(), Domain::new("e.org"));
        let request = |path: &str| std::sync::Arc::new(Request::parse(&format!("http://e.org{path}")).unwrap());
        let hour = Duration::from_secs(3_600);
        let later = u64::try_from((clock::wall() + hour).duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
        let history = DomainHistory {
            cooling: Some(CoolingHistory { until: later, status: Some(429), consecutive: 1, limit: 8 }),
            spacing: Some(Duration::from_secs(10)),
            spacing_until: Some(later),
            ..DomainHistory::default()
        };
        let entry = Entry { place: QueuePosition::new(0, 1), attempts: 2, request: request("/waits") };
        let (outcome, detail) = ("status".to_owned(), "404".to_owned());
        let dead = DeadLetter { domain: domain.clone(), request: request("/failed"), outcome, detail };
        let mut changes = vec![
            Change::Put { domain: domain.clone(), entry, not_before: Some(later) },
            Change::Remember { domain: domain.clone(), history },
            Change::Bury { number: 1, dead },
        ];
        let deep = request("/deep");
        let known = Some(KnownDepth::TooDeep(Request::clone(&deep).into()));
        changes.push(Change::Depth(deep.fingerprint(), known));
        let waiting = [(domain, 1)].into_iter().collect();
        store.apply(Batch { changes, waiting, ..Batch::default() }).unwrap();
        let state = State::new(store);
        let Whereabouts::Waits(wait) = state.explain("http://e.org/waits#part").unwrap().stands else { panic!() };
        let hour = |left: &Duration| *left <= hour && *left > hour / 2;
        assert!(
            matches!(
                &wait.reasons[..],
                [
                    WaitsFor::NoCrawl,
                    WaitsFor::Cools { cause, left: cools },
                    WaitsFor::NotBefore { left },
                    WaitsFor::CrawlDelay { .. }
                ] if hour(cools) && hour(left) && cause.contains("429")
            ),
            "{wait:?}"
        );
        assert_eq!((wait.ahead, wait.attempts, wait.forecast), (Some(0), 2, None));
        assert_eq!(state.explain("http://e.org/failed").unwrap().to_string(), "failed: status, 404");
        assert_eq!(state.explain("http://e.org/deep").unwrap().to_string(), "dropped: scope/depth");
    }
}
