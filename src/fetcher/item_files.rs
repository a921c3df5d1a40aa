//! ItemFiles: lets a page wait until its files have ended, and gives each item what became of its own. Knows no
//! permits, no network and no disk: it asks `PendingFiles`, and the engine.

use std::{future::Future, sync::Arc, time::SystemTime};

use actix::{Message, Recipient};
use futures_util::future::join_all;
use url::Url;

use super::{VisitContext, offload::NoResult};
use crate::{
    clock,
    file_store::{
        Entry, FileStore, Wanted,
        pending_files::{AskOutcome, PendingFiles},
    },
    files::{File, FileFields, FileStatus},
    frontier::candidate::Candidate,
    outcome::Outcome,
    request::Request,
    spider::Spider,
    stats::count::Count,
};

/// Asks the engine to queue the files that a page waits for. It needs no reply: `PendingFiles` is told how each file
/// ends.
pub struct FilesAsked(pub Vec<Candidate>);

impl Message for FilesAsked {
    type Result = ();
}

/// What the pages of one arbiter need for their files.
pub struct FilesContext {
    /// The folder, if there is one.
    pub store: Option<FileStore>,
    /// Who waits for what.
    pub pending: Arc<PendingFiles>,
    /// Who queues the requests.
    pub asked: Recipient<FilesAsked>,
}

impl FilesContext {
    /// Lets a page wait for files, of its own or of another page, until `ended`. While it waits, it holds no place in
    /// flight.
    ///
    /// # Errors
    /// The page goes back: the crawl has ended.
    pub async fn wait<T>(&self, requests: Vec<Candidate>, ended: impl Future<Output = T>) -> Result<T, Outcome> {
        let _waiting = self.pending.wait();
        // Sent even without requests: the engine may now grant another page.
        self.asked.send(FilesAsked(requests)).await.map_err(|_| Outcome::Unsent)?;
        Ok(ended.await)
    }
}

/// The files that the items of a page want, in the order of the items and of their fields, and then those of the page.
#[derive(Default)]
pub struct WantedFiles {
    files: Vec<File>,
    /// How many of them are of items.
    of_items: usize,
}

impl WantedFiles {
    /// Collects the files of items, with code of a user's own.
    pub fn of<'a, I: 'a>(items: impl Iterator<Item = &'a mut I>, downloads: Vec<File>, fields: &FileFields<I>) -> Self {
        let mut files = Vec::new();
        fields.each(items, &mut |file| {
            if file.status == FileStatus::Wanted {
                files.push(file.clone());
            }
        });
        let of_items = files.len();
        files.extend(downloads);
        Self { files, of_items }
    }
}

/// Waits for the files of a page. Returns the items with their files, and what is to be counted.
///
/// # Errors
/// The page ends with this outcome: it goes back if the crawl stops, and fails where files cannot be downloaded at all.
pub async fn attach<S: Spider>(
    items: Vec<S::Item>,
    wanted: WantedFiles,
    page: &Request,
    context: &VisitContext<S>,
) -> Result<(Vec<S::Item>, Vec<Count>), Outcome> {
    if wanted.files.is_empty() {
        return Ok((items, Vec::new()));
    }
    // In a place of its own: each page in flight has room for what it awaits itself.
    Box::pin(attach_some(items, wanted, page, context)).await
}

async fn attach_some<S: Spider>(
    mut items: Vec<S::Item>,
    WantedFiles { files, of_items }: WantedFiles,
    page: &Request,
    context: &VisitContext<S>,
) -> Result<(Vec<S::Item>, Vec<Count>), Outcome> {
    let Some(store) = &context.files.store else {
        return Err(Outcome::Parse(
            "it asks for files, and there is no folder for them: add .files(\"folder\")".into(),
        ));
    };
    let most = store.settings().max_per_page;
    if files.len() > most {
        return Err(Outcome::Parse(format!("it asks for {} files, and files.max_per_page allows {most}", files.len())));
    }
    let (ended, mut counts) = fetch(&files, store, page, context).await?;
    if of_items == 0 {
        return Ok((items, counts));
    }
    let fields = context.rules.items.files.clone();
    let work = move || {
        let mut incomplete = 0;
        let mut ended = ended.into_iter();
        for item in &mut items {
            let mut lacks = false;
            fields.each(std::iter::once(item), &mut |file| {
                if file.status == FileStatus::Wanted
                    && let Some(end) = ended.next()
                {
                    lacks |= !end.status.is_there();
                    *file = end;
                }
            });
            incomplete += usize::from(lacks);
        }
        (items, incomplete)
    };
    match context.offload.run(work).await {
        Ok((items, incomplete)) => {
            counts.resize(counts.len() + incomplete, Count::ItemIncomplete);
            Ok((items, counts))
        }
        Err(lost) => Err(lost.outcome("files_of did not return")),
    }
}

/// Asks for each file that is not there, and waits until all have ended.
async fn fetch<S: Spider>(
    files: &[File],
    store: &FileStore,
    page: &Request,
    context: &VisitContext<S>,
) -> Result<(Vec<File>, Vec<Count>), Outcome> {
    let pending = &context.files.pending;
    let wanted: Vec<_> = files.iter().map(|file| Arc::new(Wanted::of(file))).collect();
    let now = clock::now();
    let joined: Vec<_> = wanted.iter().map(|wanted| refused(wanted).or_else(|| pending.join(wanted, now))).collect();
    let unknown = wanted.iter().zip(&joined).filter(|(_, asked)| asked.is_none()).map(|(wanted, _)| wanted.clone());
    let mut known = look_up(unknown.collect(), store.clone(), context).await?.into_iter();
    let (mut requests, mut counts, mut asked_for) = (Vec::new(), Vec::new(), Vec::with_capacity(files.len()));
    // All requests are made before `PendingFiles` is asked for one. A user's identity may panic here; then no page must
    // be left waiting for a file that is never requested.
    let prepared = wanted.iter().zip(joined).map(|(wanted, joined)| match joined {
        Some(asked) => Prepared::Asked(asked),
        None => match known.next().flatten() {
            Some((entry, true)) => Prepared::Known(entry),
            stale => {
                let entry = stale.map(|(entry, _)| entry);
                let request = request(wanted, entry.as_ref(), page);
                Prepared::Missing(Candidate::new(request, &*context.rules.identity).into(), entry)
            }
        },
    });
    let prepared: Vec<_> = prepared.collect();
    for (wanted, prepared) in wanted.iter().zip(prepared) {
        let (asked, candidate) = match prepared {
            Prepared::Asked(asked) => (asked, None),
            Prepared::Known(entry) => {
                counts.push(Count::Files("not_requested"));
                (AskOutcome::Ended(entry.file(FileStatus::Uptodate).into()), None)
            }
            Prepared::Missing(candidate, entry) => (pending.ask(wanted, entry, now), Some(candidate)),
        };
        asked_for.push(match asked {
            AskOutcome::Ended(file) => Ok(*file),
            AskOutcome::Waits(answer) => Err(answer),
            AskOutcome::New(id, answer) => {
                requests.extend(candidate.map(|candidate| candidate.submitted_as(id)));
                Err(answer)
            }
            AskOutcome::Closed => return Err(Outcome::Unsent),
        });
    }
    if asked_for.iter().all(Result::is_ok) {
        return Ok((asked_for.into_iter().filter_map(Result::ok).collect(), counts));
    }
    let ends = asked_for.into_iter().map(|asked| async {
        match asked {
            Ok(file) => Some(file),
            Err(answer) => answer.await.ok(),
        }
    });
    let ended: Option<Vec<_>> = context.files.wait(requests, join_all(ends)).await?.into_iter().collect();
    // A file is left without an answer only when the crawl stops.
    ended.map(|ended| (ended, counts)).ok_or(Outcome::Unsent)
}

/// A file before `PendingFiles` is asked for it.
enum Prepared {
    /// Nothing is left to ask.
    Asked(AskOutcome),
    /// It is in the folder, and young enough.
    Known(Entry),
    /// It is to be requested, with what is known of it.
    Missing(Box<Candidate>, Option<Entry>),
}

/// Looks in the folder for what was downloaded before.
async fn look_up<S: Spider>(
    wanted: Vec<Arc<Wanted>>,
    store: FileStore,
    context: &VisitContext<S>,
) -> Result<Vec<Option<(Entry, bool)>>, Outcome> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let now: SystemTime = clock::wall();
    let work = move || wanted.iter().map(|wanted| store.look_up(wanted, now)).collect();
    context.offload.run(work).await.map_err(|lost| match lost {
        NoResult::Panicked(message) => Outcome::Panic(message),
        NoResult::Ended => Outcome::Unsent,
        NoResult::TimedOut(limit) => {
            Outcome::Broken(format!("the folder of files does not answer within {}", humantime::format_duration(limit)))
        }
    })
}

/// A file can only be had by HTTP.
fn refused(wanted: &Wanted) -> Option<AskOutcome> {
    unknown_scheme(&wanted.url).map(|why| AskOutcome::Ended(wanted.failed(why).into()))
}

/// Returns why a URL is no file's that can be downloaded, if it is none.
pub fn unknown_scheme(url: &Url) -> Option<String> {
    let scheme = url.scheme();
    let is_http = matches!(scheme, "http" | "https");
    (!is_http).then(|| format!("the scheme `{scheme}` is not downloaded, only http and https are"))
}

/// Makes the request for a file, which says what is there already.
fn request(wanted: &Wanted, known: Option<&Entry>, page: &Request) -> Request {
    let mut request = Request::file(wanted.url.clone());
    request.depth = page.depth.saturating_add(1);
    request.parent = Some(page.url.as_str().into());
    request.begins_anew(page.rare.as_ref().and_then(|rare| rare.session.as_ref()));
    if let Some(etag) = known.and_then(|known| known.etag.as_ref()) {
        request.set_header("if-none-match", etag);
    }
    if let Some(date) = known.and_then(|known| known.last_modified.as_ref()) {
        request.set_header("if-modified-since", date);
    }
    request
}
