//! Opening: creates a frontier over a store: reads its content, compares settings, removes expired fingerprints.

use std::{collections::BTreeMap, ops::ControlFlow};

use hashbrown::{HashMap, HashSet};

use super::{
    Sizes, WindowedFrontier,
    calendar::Calendar,
    recent::RecentlySeen,
    sharing::Sharing,
    store::{Batch, Change, Contents, Store},
    store_thread::{StoreLink, Transaction},
    window::QueueWindow,
};
use crate::{
    domain::Domain,
    error::Result,
    frontier::{
        durable::{DOMAIN_KEY, DeadLetter, IDENTITY, ORDER, Opened, Opening, Resumed},
        visits::MAX_KNOWN,
    },
    identity::{self, Fingerprint},
    request::{Kind, Request},
};

/// Opens a frontier over a store, and returns what an earlier process left there.
///
/// # Errors
/// The store cannot be read or written, a setting has changed that must not, or the system cannot start a thread.
pub fn open(store: impl Store + 'static, opening: Opening) -> Result<Opened> {
    let (frontier, resumed) = open_sized(store, opening, Sizes::default())?;
    Ok(Opened { frontier: Box::new(frontier), resumed })
}

pub(super) fn open_sized(
    store: impl Store + 'static,
    opening: Opening,
    sizes: Sizes,
) -> Result<(WindowedFrontier, Resumed)> {
    let calendar = Calendar::now();
    let Opening { settings, recrawl, has_max_depth, now } = opening;
    let mut contents = store.load()?;
    let was_open = contents.settings.is_some() || contents.counters.is_some();
    let (changed, settings) = compare_settings(&store, contents.settings.take(), &settings)?;
    let look = contents.look.take();
    // Of a crawl that machines share, what is due may just be admitted again by another.
    if recrawl.forgets() && look.is_none() {
        let now = calendar.second(now);
        forget_due(&store, &mut contents, sizes.looked_through, |seen_at| recrawl.is_due(seen_at, now))?;
    }
    let (mut next, mut seen) = contents.counters.as_ref().map_or((0, 0), |counters| (counters.next, counters.seen));
    let mut recent = RecentlySeen::with_generations_of(sizes.generation, &recrawl);
    if seen <= sizes.generation as u64 {
        store.each_seen(Fingerprint::from_bytes([0; 16]), &mut |fingerprint, at| {
            recent.insert(fingerprint, at);
            ControlFlow::Continue(())
        })?;
    } else {
        recent.forget_completeness();
    }
    let is_shared = look.is_some();
    let joins_others = look.as_ref().is_some_and(|look| look.joins_others);
    if let Some(look) = &look {
        // Those of the counters are the others'.
        (next, seen) = (look.gained.as_ref().map_or(0, |gained| gained.numbers), 0);
    }
    let windows = contents.waiting.into_iter().map(|(domain, stored)| (domain, QueueWindow::stored(stored)));
    let queues: HashMap<Domain, QueueWindow> = windows.collect();
    let waiting_seeds = if recrawl.seeds { waiting_seeds(&store, sizes.looked_through)? } else { Vec::new() };
    let failed = failed(&store)?;
    let depths = if has_max_depth { store.depths()? } else { Vec::new() };
    let visits = if recrawl.adaptive.is_some() { store.visits(MAX_KNOWN)? } else { Vec::new() };
    let frontier = WindowedFrontier {
        stored: queues.values().map(|queue| queue.stored).sum(),
        queues,
        leases: HashMap::new(),
        held: HashSet::new(),
        recent,
        questions: HashMap::new(),
        in_memory: 0,
        next,
        seen,
        recrawl,
        committed: calendar.start(),
        calendar,
        transaction: Transaction::default(),
        reads: Vec::new(),
        touched: Vec::new(),
        sharing: look.map(Sharing::new),
        settings,
        link: StoreLink::start(store)?,
        sizes,
    };
    let resumed = Resumed {
        was_open,
        checkpoint: contents.counters.map(|counters| counters.checkpoint),
        histories: contents.histories,
        included: contents.included,
        depths,
        visits,
        waiting_seeds,
        failed,
        changed,
        is_shared,
        joins_others,
    };
    Ok((frontier, resumed))
}

/// Returns the seeds that wait, among at most `max` requests: reading more of them would take longer than it saves.
fn waiting_seeds(store: &impl Store, max: usize) -> Result<Vec<Request>> {
    let (mut seeds, mut looked_at) = (Vec::new(), 0);
    store.each_queued(&mut |_, stored| {
        looked_at += 1;
        let request = &stored.entry.request;
        if request.depth == 0 && request.parent.is_none() && request.kind() == Kind::Page {
            seeds.push(Request::clone(request));
        }
        if looked_at < max { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(seeds)
}

/// The most failed requests that are read when a crawl goes on: as many as it remembers ends.
const MAX_FAILED: usize = 65_536;

/// Returns requests that failed for good.
fn failed(store: &impl Store) -> Result<Vec<DeadLetter>> {
    let mut failed = Vec::new();
    store.each_dead(&mut |_, dead| {
        failed.push(dead);
        if failed.len() < MAX_FAILED { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(failed)
}

type SettingsByName = BTreeMap<String, String>;

/// Returns the settings that changed since the last process, and those that are to be stored when the crawl begins.
/// Those of a new state are stored at once: they show that it was open. Without settings nothing is compared.
fn compare_settings(
    store: &impl Store,
    before: Option<SettingsByName>,
    settings: &[(&'static str, String)],
) -> Result<(Vec<String>, Option<SettingsByName>)> {
    let now: SettingsByName = settings.iter().map(|(name, text)| ((*name).to_owned(), text.clone())).collect();
    if settings.is_empty() {
        return Ok((Vec::new(), None));
    }
    // Of machines that begin a crawl together, one stores its settings, and the others compare theirs.
    let before = if before.is_some() { before } else { store.begin_settings(&now)? };
    let Some(before) = before else { return Ok((Vec::new(), None)) };
    for name in [DOMAIN_KEY, IDENTITY] {
        // Earlier versions had only this identity, and did not store its name.
        let default = (name == IDENTITY).then_some(identity::CANONICAL_URL);
        let (then, now) = (before.get(name).map(String::as_str).or(default), now.get(name));
        if let (Some(then), Some(now)) = (then, now)
            && then != now
        {
            let why = format!(
                "its queues were kept with the {name} {then}, and this crawl has {now}; set that, or begin with another state"
            );
            return Err(store.refuse(why));
        }
    }
    // Earlier versions did not store these.
    let is_new = |name: &str| name != IDENTITY && name != ORDER;
    let changed =
        |(name, text): &&(&'static str, String)| before.get(*name).map_or(is_new(name), |before| before != text);
    Ok((settings.iter().filter(changed).map(|(name, _)| (*name).to_owned()).collect(), Some(now)))
}

/// The most fingerprints removed in one batch, which bounds its memory.
const MAX_FORGOTTEN_AT_ONCE: usize = 10_000;

/// Removes expired fingerprints among up to `max`, starting anywhere, and corrects the count of seen ones.
fn forget_due(store: &impl Store, contents: &mut Contents, max: usize, is_due: impl Fn(u32) -> bool) -> Result<()> {
    let anywhere = Fingerprint::from_bytes(fastrand::u128(..).to_be_bytes());
    let (mut due, mut looked_at) = (Vec::new(), 0);
    store.each_seen(anywhere, &mut |fingerprint, at| {
        if looked_at >= max {
            return ControlFlow::Break(());
        }
        looked_at += 1;
        if is_due(at) {
            due.push(fingerprint);
        }
        ControlFlow::Continue(())
    })?;
    for part in due.chunks(MAX_FORGOTTEN_AT_ONCE) {
        let counters = contents.counters.get_or_insert_default();
        counters.seen = counters.seen.saturating_sub(part.len() as u64);
        let changes = part.iter().map(|fingerprint| Change::Unsee(*fingerprint)).collect();
        store.apply(Batch { changes, counters: contents.counters.clone(), ..Batch::default() })?;
    }
    Ok(())
}
