//! Archive: writes the exchanges of a crawl, or of a client, as WARC records, and answers when they are written. Does
//! not know how they are fetched.

use std::{
    fs,
    io::{self, Write},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
    time::SystemTime,
};

use tokio::{runtime::Handle, sync::Semaphore, task::JoinHandle};

use super::{
    Exchange, Warc,
    digest::sha256,
    file::{WarcFile, repair_all},
    members::{Effort, MemberEncoders},
    payloads::{Original, Payloads},
    record::{Record, new_id},
};
use crate::{
    clock,
    error::{Error, Result},
    headers::http_head,
};

/// The profile of records whose payload is that of an earlier one (ISO 28500:2017 §6.7.2).
const SAME_PAYLOAD: &str = "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest";

/// The standard that files conform to.
const STANDARD: &str = "http://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/";

/// Shorter payloads are written again: the fields of a record that refers to another take as much.
const MIN_SHARED_PAYLOAD: usize = 256;

/// An archive, shared by all arbiters. Records are compressed and written on blocking threads.
#[derive(Clone)]
pub(crate) struct Archive(Arc<SharedArchive>);

struct SharedArchive {
    settings: Warc,
    threads: Handle,
    user_agent: OnceLock<String>,
    current: Mutex<Current>,
    payloads: Mutex<Payloads>,
    /// One permit for each processor: with more threads at work, records take more memory and no less time.
    turns: Arc<Semaphore>,
    /// What nobody uses at the moment.
    members: Mutex<Vec<MemberEncoders>>,
    /// Full files whose index is being made.
    closing: Mutex<Vec<JoinHandle<Result<()>>>>,
}

/// The file that is written.
struct Current {
    file: Option<WarcFile>,
    serial: u32,
    is_closed: bool,
}

impl Archive {
    /// Opens the folder, closes the files that were left open by a crawl that died, and begins a new one.
    ///
    /// # Errors
    /// A setting is wrong, or the folder cannot be used.
    pub fn open(settings: &Warc, threads: &Handle) -> Result<Self> {
        settings.check()?;
        let dir = &settings.dir;
        fs::create_dir_all(dir).map_err(|error| Error::file(dir, error))?;
        repair_all(dir)?;
        let mut serial = 0;
        let file = WarcFile::create(dir, &settings.file_name, &mut serial, clock::wall())?;
        Ok(Self(Arc::new(SharedArchive {
            settings: settings.clone(),
            threads: threads.clone(),
            user_agent: OnceLock::new(),
            current: Mutex::new(Current { file: Some(file), serial, is_closed: false }),
            payloads: Mutex::default(),
            turns: Arc::new(Semaphore::new(thread::available_parallelism().map_or(1, usize::from))),
            members: Mutex::default(),
            closing: Mutex::default(),
        })))
    }

    /// Names who asks, for the first record of each file.
    pub fn introduce(&self, user_agent: &str) {
        // Who was named first stays.
        let _ = self.0.user_agent.set(user_agent.to_owned());
    }

    /// Tells whether request records keep what identifies who asks.
    pub fn keeps_credentials(&self) -> bool {
        self.0.settings.keeps_credentials
    }

    /// Writes an exchange. It is in the file when this returns: it survives the end of the process, if not of the
    /// system.
    ///
    /// # Errors
    /// It cannot be written; nothing of it is in the file then.
    pub async fn write(&self, exchange: Exchange) -> Result<(), String> {
        let shared = self.0.clone();
        let turn = shared.turns.clone().acquire_owned().await;
        let work = move || {
            // Kept to the end of the work, also where nobody waits for it any more.
            let _turn = turn;
            shared.write_now(&exchange)
        };
        match self.0.threads.spawn_blocking(work).await {
            Ok(written) => written.map_err(|error| self.0.broken(&error)),
            Err(lost) => Err(self.0.broken(&io::Error::other(lost))),
        }
    }

    /// Closes the last file, and waits until all have their index. Returns what went wrong; every record is written
    /// anyway.
    pub async fn close(&self) -> Vec<String> {
        let current = {
            let mut current = lock(&self.0.current);
            current.is_closed = true;
            current.file.take()
        };
        let current = current.map(|file| self.0.threads.spawn_blocking(|| file.close()));
        let closing: Vec<_> = lock(&self.0.closing).drain(..).chain(current).collect();
        let mut complaints = Vec::new();
        for file in closing {
            match file.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => complaints.push(format!("an archive has no index: {error}")),
                Err(lost) => complaints.push(format!("an archive has no index: {lost}")),
            }
        }
        complaints
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that is done under it panics halfway.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SharedArchive {
    fn broken(&self, error: &io::Error) -> String {
        format!("the archive {} cannot be written any more: {error}", self.settings.dir.display())
    }

    fn write_now(&self, exchange: &Exchange) -> io::Result<()> {
        let mut members = lock(&self.members).pop().unwrap_or_default();
        let written = self.write_by(&mut members, exchange);
        lock(&self.members).push(members);
        written
    }

    fn write_by(&self, members: &mut MemberEncoders, exchange: &Exchange) -> io::Result<()> {
        let Exchange { url, body, truncated, .. } = exchange;
        let digest = sha256(&[body]);
        let is_shared = truncated.is_none() && body.len() >= MIN_SHARED_PAYLOAD;
        let original = is_shared.then(|| lock(&self.payloads).get(&digest)).flatten();
        let (id, date) = (new_id()?, date_of(exchange.began));
        let mut records = Vec::new();
        let of = RecordNames { id: &id, date: &date };
        write_response(exchange, &of, &digest, original.as_ref(), members, &mut records)?;
        write_request(exchange, &of, members, &mut records)?;
        write_metadata(exchange, &of, members, &mut records)?;
        self.append(&records, members)?;
        if is_shared && original.is_none() {
            lock(&self.payloads).add(&digest, Original { id, url: url.clone(), date });
        }
        Ok(())
    }

    /// Appends records to the current file, or to a new one if they do not fit.
    fn append(&self, records: &[u8], members: &mut MemberEncoders) -> io::Result<()> {
        let mut current = lock(&self.current);
        if current.is_closed {
            return Err(io::Error::other("it is closed"));
        }
        let is_full =
            |file: &WarcFile| file.length() > 0 && file.length() + records.len() as u64 > self.settings.max_bytes;
        if let Some(full) = current.file.take_if(|file| is_full(file)) {
            let closing = self.threads.spawn_blocking(|| full.close());
            let mut all = lock(&self.closing);
            all.retain(|file| !file.is_finished());
            all.push(closing);
        }
        let Current { file, serial, .. } = &mut *current;
        let file = match file {
            Some(file) => file,
            none => none.insert(self.create(serial)?),
        };
        if file.length() == 0 {
            let first = self.first_record(file.name(), members)?;
            file.append(&first)?;
        }
        file.append(records)
    }

    fn create(&self, serial: &mut u32) -> io::Result<WarcFile> {
        let Warc { dir, file_name, .. } = &self.settings;
        WarcFile::create(dir, file_name, serial, clock::wall()).map_err(io::Error::other)
    }

    /// Returns the record that each file begins with.
    fn first_record(&self, name: &str, members: &mut MemberEncoders) -> io::Result<Vec<u8>> {
        let software = concat!("actix-crawler/", env!("CARGO_PKG_VERSION"));
        let own = [("software", software), ("format", "WARC File Format 1.1"), ("conformsTo", STANDARD)];
        let user_agent = self.user_agent.get().map(|name| ("http-header-user-agent", name.as_str()));
        let given = self.settings.info.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let block = fields(own.into_iter().chain(user_agent).chain(given));
        let record = Record::new("warcinfo", &new_id()?, &date_of(clock::wall()))
            .with("WARC-Filename", name)
            .with("Content-Type", "application/warc-fields")
            .with("WARC-Block-Digest", sha256(&[&block]));
        let mut member = Vec::new();
        record.write([&block, &[]], Effort::Usual, members, &mut member)?;
        Ok(member)
    }
}

/// Without an explicit end, as that of a client, the file gets its index here.
impl Drop for SharedArchive {
    fn drop(&mut self) {
        let current = self.current.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(Err(error)) = current.file.take().map(WarcFile::close) {
            tracing::warn!(%error, "an archive has no index");
        }
    }
}

/// What the records of an exchange name each other by.
struct RecordNames<'a> {
    id: &'a str,
    date: &'a str,
}

fn write_response(
    exchange: &Exchange,
    RecordNames { id, date }: &RecordNames<'_>,
    digest: &str,
    original: Option<&Original>,
    members: &mut MemberEncoders,
    to: &mut Vec<u8>,
) -> io::Result<()> {
    let Exchange { url, server, head, body, truncated, .. } = exchange;
    let kind = if original.is_some() { "revisit" } else { "response" };
    let mut record = Record::new(kind, id, date).with("WARC-Target-URI", url);
    if let Some(server) = server {
        record = record.with("WARC-IP-Address", server.to_string());
    }
    record = record.with("WARC-Payload-Digest", digest);
    if let Some(Original { id, url, date }) = original {
        record = record
            .with("WARC-Profile", SAME_PAYLOAD)
            .with("WARC-Refers-To", id)
            .with("WARC-Refers-To-Target-URI", url)
            .with("WARC-Refers-To-Date", date);
    }
    if let Some(truncated) = truncated {
        record = record.with("WARC-Truncated", truncated.word());
    }
    let body: &[u8] = if original.is_some() { &[] } else { body };
    record
        .with("WARC-Block-Digest", sha256(&[head, body]))
        .with("Content-Type", "application/http;msgtype=response")
        .write([head, body], effort(head), members, to)
}

fn write_request(
    exchange: &Exchange,
    RecordNames { id: response, date }: &RecordNames<'_>,
    members: &mut MemberEncoders,
    to: &mut Vec<u8>,
) -> io::Result<()> {
    let Exchange { url, server, request, .. } = exchange;
    let mut record = Record::new("request", &new_id()?, date).with("WARC-Target-URI", url);
    if let Some(server) = server {
        record = record.with("WARC-IP-Address", server.to_string());
    }
    record
        .with("WARC-Concurrent-To", *response)
        .with("WARC-Block-Digest", sha256(&[request]))
        .with("Content-Type", "application/http;msgtype=request")
        .write([request, &[]], Effort::Usual, members, to)
}

fn write_metadata(
    exchange: &Exchange,
    RecordNames { id: response, date }: &RecordNames<'_>,
    members: &mut MemberEncoders,
    to: &mut Vec<u8>,
) -> io::Result<()> {
    let Exchange { url, notes, .. } = exchange;
    let block = fields(notes.iter().map(|(name, value)| (*name, value.as_str())));
    Record::new("metadata", &new_id()?, date)
        .with("WARC-Target-URI", url)
        .with("WARC-Concurrent-To", *response)
        .with("WARC-Block-Digest", sha256(&[&block]))
        .with("Content-Type", "application/warc-fields")
        .write([&block, &[]], Effort::Usual, members, to)
}

/// Returns a block of named fields.
fn fields<'a>(fields: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        // Writing to a Vec cannot fail.
        let _ = write!(block, "{name}: {}\r\n", value.replace(char::is_control, " "));
    }
    block
}

/// Returns the effort for a response: what its server has compressed hardly becomes smaller.
fn effort(head: &[u8]) -> Effort {
    match http_head::field(head, "content-encoding") {
        Some(_) => Effort::Little,
        None => Effort::Usual,
    }
}

fn date_of(time: SystemTime) -> String {
    humantime::format_rfc3339_micros(time).to_string()
}
