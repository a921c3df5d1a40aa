//! Sitemap: reads a sitemap file piece by piece, off the network's thread, and passes the URLs on, a thousand at a
//! time: each waits until the ones before are admitted. Knows no permits and no queues.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use actix::{Message, Recipient};
use http::header::CONTENT_TYPE;
use tokio::sync::oneshot;

use super::{Extracted, Reading, TimedResponse, page::PageRules};
use crate::{
    clock,
    extract::{
        ContentType,
        sitemap::{SitemapEntry, SitemapError, SitemapKind, SitemapReader, Target},
    },
    fetcher::VisitContext,
    frontier::candidate::Candidate,
    headers::field_text::text_of,
    outcome::{DropReason, FetchError, Outcome},
    request::{Request, sitemap_file::SitemapFile},
    sitemaps::{self, SitemapRule, Sitemaps},
    spider::Spider,
    stats::count::Count,
    transport::{body::BodyLimits, exchange::Extent, raw_response::RawResponse},
};

/// What a crawl takes from sitemaps.
pub struct SitemapSettings {
    /// The settings.
    pub settings: Sitemaps,
    /// Makes requests of entries; without it each is a plain one.
    pub rule: Option<SitemapRule>,
}

/// URLs of a sitemap that is still being read. The reader waits until `admitted` is answered, so that it is never ahead
/// of the frontier; if it is dropped, the file is read again some time.
pub struct Listed {
    /// The URLs.
    pub candidates: Vec<Candidate>,
    /// Notified when they are in the frontier.
    pub admitted: oneshot::Sender<()>,
}

impl Message for Listed {
    type Result = ();
}

/// How many URLs are passed on at once: admitting them takes the scheduler about a millisecond, as a page with many
/// links does, and they take half a megabyte.
const BATCH: usize = 1_000;

/// The first bytes of a longer file are read: its entries are complete up to there.
pub fn extent(settings: &Sitemaps) -> Extent {
    Extent { max_bytes: settings.max_bytes, accepts_part: true, keeps_wire_bytes: false }
}

/// Reads a sitemap file.
pub async fn read<S: Spider>(
    answer: TimedResponse,
    request: &Arc<Request>,
    file: SitemapFile,
    context: &VisitContext<S>,
) -> Reading {
    let mut response = answer.response;
    match response.status {
        200..=299 => {}
        status @ 400..=499 if file.is_guess() => return missing(Outcome::Status(status)),
        status => return Outcome::Status(status).into(),
    }
    let _reservation = response.release_memory();
    let mut listing = match Listing::open(&response, request, file, context) {
        Ok(listing) => listing,
        Err(error) => return Outcome::Fetch(error).into(),
    };
    drop(response);
    loop {
        let work = move || {
            let found = listing.read_batch();
            (listing, found)
        };
        let found = match context.offload.run(work).await {
            Ok((read_on, found)) => {
                listing = read_on;
                found
            }
            Err(lost) => return lost.outcome(&format!("{BATCH} entries of the sitemap were not read")).into(),
        };
        if !found.is_empty() && admit(&context.listed, found).await.is_none() {
            // The crawl can store nothing any more. The file is read again by the one that goes on.
            return Outcome::Unsent.into();
        }
        if listing.end.is_some() {
            return listing.into_reading();
        }
    }
}

async fn admit(listed: &Recipient<Listed>, candidates: Vec<Candidate>) -> Option<()> {
    let (admitted, answer) = oneshot::channel();
    listed.send(Listed { candidates, admitted }).await.ok()?;
    answer.await.ok()
}

/// The end of a guessed sitemap that is missing: no failure.
fn missing(outcome: Outcome) -> Reading {
    Reading { counts: vec![Count::SITEMAP_MISSING], ..outcome.into() }
}

/// A sitemap that is being read.
struct Listing<S: Spider> {
    entries: SitemapReader<'static>,
    request: Arc<Request>,
    file: SitemapFile,
    sitemaps: Arc<SitemapSettings>,
    rules: Arc<PageRules<S>>,
    now: SystemTime,
    /// Whether the file is longer than what was read of it.
    is_cut: bool,
    pages: u64,
    files: u64,
    left_out: BTreeMap<DropReason, u64>,
    /// How it ended, when it has.
    end: Option<Result<(), SitemapError>>,
}

impl<S: Spider> Listing<S> {
    fn open(
        response: &RawResponse,
        request: &Arc<Request>,
        file: SitemapFile,
        context: &VisitContext<S>,
    ) -> Result<Self, FetchError> {
        let settings = &context.sitemaps.settings;
        // What a whole body may take together does not apply to one that is read in pieces, some of which wait.
        let limits = BodyLimits { max_bytes: settings.max_bytes, max_time: Duration::MAX, ..context.rules.body_limits };
        let entries = SitemapReader::new(response.reader(limits)?, &request.url).limits(settings.limits());
        let content_type = response.headers.get(CONTENT_TYPE).map(text_of);
        let entries = match ContentType::of(content_type.as_deref(), b"").charset {
            Some(charset) => entries.charset(charset),
            None => entries,
        };
        Ok(Self {
            entries,
            request: request.clone(),
            file,
            sitemaps: context.sitemaps.clone(),
            rules: context.rules.clone(),
            now: clock::wall(),
            is_cut: response.is_cut,
            pages: 0,
            files: 0,
            left_out: BTreeMap::new(),
            end: None,
        })
    }

    /// Reads the next entries.
    fn read_batch(&mut self) -> Vec<Candidate> {
        let (mut pages, mut files) = (Vec::new(), Vec::new());
        for _ in 0..BATCH {
            match self.entries.next() {
                None => {
                    self.end = Some(Ok(()));
                    break;
                }
                Some(Err(error)) => {
                    self.end = Some(Err(error));
                    break;
                }
                Some(Ok(entry)) => match self.take(entry, &mut files) {
                    Ok(page) => pages.extend(page),
                    Err(reason) => *self.left_out.entry(reason).or_default() += 1,
                },
            }
        }
        let PageRules { identity, seen_cache, ranking, .. } = &*self.rules;
        let mut found = Candidate::listed_in(&self.request, pages, &**identity, seen_cache, ranking);
        found.extend(files.into_iter().map(|file| Candidate::new(file, &**identity)));
        found
    }

    /// Makes a request of an entry. That of another sitemap goes to `files`.
    fn take(
        &mut self,
        entry: SitemapEntry,
        files: &mut Vec<Request>,
    ) -> Result<Option<(Request, Option<Duration>)>, DropReason> {
        let Sitemaps { max_nesting, .. } = self.sitemaps.settings;
        let is_file = entry.target == Target::Sitemap;
        *(if is_file { &mut self.files } else { &mut self.pages }) += 1;
        self.sitemaps.settings.takes(&entry)?;
        if is_file {
            if self.file.nesting >= max_nesting {
                return Err(DropReason::SitemapNesting);
            }
            let mut file = sitemaps::listed(&self.request.url, self.file, entry.url);
            file.dont_filter = self.request.dont_filter;
            file.parent = Some(self.request.url.as_str().into());
            files.push(file);
            return Ok(None);
        }
        let unchanged_for = entry.lastmod.and_then(|modified| sitemaps::unchanged_for(modified, self.now));
        let request = match &self.sitemaps.rule {
            Some(rule) => rule(&entry).ok_or(DropReason::SitemapRule)?,
            None => Request::get(entry.url),
        };
        Ok(Some((request, unchanged_for)))
    }

    fn into_reading(mut self) -> Reading {
        let skipped = self.entries.skipped();
        for (reason, entries) in [
            (DropReason::Scheme, skipped.other_scheme),
            (DropReason::Length, skipped.too_long),
            (DropReason::SitemapUrls, skipped.over_limit),
        ] {
            *self.left_out.entry(reason).or_default() += entries as u64;
        }
        let is_empty_text = self.entries.kind() == Some(SitemapKind::Text) && self.pages == 0;
        let end = self.end.unwrap_or(Ok(()));
        if self.file.is_guess() && (is_empty_text || matches!(end, Err(SitemapError::NotASitemap { .. }))) {
            return missing(Outcome::Parse(
                end.err().map_or("the file lists nothing".into(), |error| error.to_string()),
            ));
        }
        let outcome = match end {
            // The file was cut off here, so what the reader says about its end does not count.
            _ if self.is_cut => {
                let max_bytes = self.sitemaps.settings.max_bytes;
                Outcome::Parse(SitemapError::TooLarge { max_bytes }.to_string())
            }
            Ok(()) => Outcome::Ok,
            Err(error) => Outcome::Parse(error.to_string()),
        };
        let left_out = self.left_out.into_iter().filter(|(_, entries)| *entries > 0).collect();
        let content = Extracted::Sitemap {
            pages: self.pages,
            files: self.files,
            unreadable: skipped.unreadable as u64,
            left_out,
        };
        Reading { content, ..outcome.into() }
    }
}
