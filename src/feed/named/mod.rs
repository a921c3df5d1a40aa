//! FeedFiles: a sink over the files of a feed whose name has placeholders, each a sink of its own. Does not know what
//! is in the files.

mod named_feed;
mod notes;
mod pending;
#[cfg(test)]
mod tests;

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use hashbrown::HashMap;
use xxhash_rust::xxh3::xxh3_128;

pub(super) use self::named_feed::NamedFeed;
use self::{notes::Notes, pending::PendingRecords};
use super::{
    Opening, Record, Sink, SinkError,
    names::{Existing, NameValues, Placeholder, file_name},
};
use crate::{clock, disk::synced_folder::make_synced, domain::registrable, error::Error};

/// The most files that are open at once; those used least recently are closed, and opened again when more comes for
/// them.
pub(crate) const MAX_OPEN_FILES: usize = 64;

/// The resolution of times in names.
const MILLISECOND: Duration = Duration::from_millis(1);

/// The files of a feed.
pub(super) struct FeedFiles {
    of: NamedFeed,
    /// The time in the last name that has one.
    last_time: SystemTime,
    /// Those that are open.
    open: Vec<OpenFile>,
    pending: PendingRecords,
    /// Which files it has written, if their names do not say so.
    notes: Notes,
    /// The current file of each domain, or the only one without `{domain}`; about 100 bytes each.
    current: HashMap<u128, CurrentFile>,
    uses: u64,
}

struct OpenFile {
    key: u128,
    /// Its number: a file may be opened again within a commit.
    opening: u64,
    sink: Box<dyn Sink>,
    last_use: u64,
    is_changed: bool,
}

struct CurrentFile {
    path: Box<str>,
    batch: u64,
    items: u64,
    begun: Instant,
    /// Whether this run has begun it: what is in it is its own, and not torn.
    is_ours: bool,
    /// Whether it was closed to save open files, and is not whole yet.
    is_resting: bool,
}

impl FeedFiles {
    /// Looks at what is there. Files that a kill may have torn are made whole.
    ///
    /// # Errors
    /// Files of an earlier crawl would be mixed with those of a new one, or they cannot be read.
    pub fn new(of: NamedFeed) -> Result<Self, Error> {
        let (mut files, existing) = Self::look(of)?;
        if files.of.opening.keeps() {
            files.go_on(existing)?;
        }
        Ok(files)
    }

    /// Checks that it can be opened. Changes no file.
    ///
    /// # Errors
    /// As [`FeedFiles::new`].
    pub fn check(of: NamedFeed) -> Result<(), Error> {
        let (files, existing) = Self::look(of)?;
        let of = &files.of;
        if of.opening.keeps() && of.bucket.is_none() {
            files.torn(&existing).iter().try_for_each(|file| of.feed.check_file(file, of.opening))?;
        }
        Ok(())
    }

    fn look(mut of: NamedFeed) -> Result<(Self, Vec<Existing>), Error> {
        let at = of.feed.destination();
        let existing = of.existing().map_err(|source| Error::file(at, source))?;
        let notes = match &of.feed.notes {
            Some(notes) if of.bucket.is_none() => {
                Notes::open(Some(notes), of.syncs).map_err(|source| Error::file(notes, source))?
            }
            _ => Notes::default(),
        };
        let mixes = of.numbers() || of.names.has(Placeholder::Domain);
        if mixes && of.syncs && of.opening == Opening::Fresh {
            // With a state they are its own: an earlier run was killed before the state was first stored.
            of.opening = Opening::Resumed;
        }
        if let Some(first) = existing.first()
            && mixes
            && !of.opening.keeps()
            && !of.names.has(Placeholder::Time)
        {
            let why = format!(
                "files of an earlier crawl are there, as {}; move them away, write {{time}} in the name, or add to them with `append`",
                of.shown(&first.path)
            );
            return Err(Error::setting(of.feed.destination().display().to_string(), why));
        }
        let files = Self {
            of,
            last_time: SystemTime::UNIX_EPOCH,
            open: Vec::new(),
            pending: PendingRecords::default(),
            notes,
            current: HashMap::new(),
            uses: 0,
        };
        Ok((files, existing))
    }

    /// Returns the files that a kill may have torn.
    fn torn(&self, existing: &[Existing]) -> Vec<PathBuf> {
        // What is in a bucket is whole.
        let most = match &self.of.bucket {
            Some(_) => 0,
            None if self.of.names.has(Placeholder::Domain) => MAX_OPEN_FILES,
            None => 1,
        };
        // Any file in the folder may be named like a domain. One that is not noted is made whole when something is
        // added.
        let is_ours = |file: &&Existing| file.path.exists() && (!self.of.continues() || self.notes.has(&file.path));
        let last: Vec<_> = existing.iter().filter(is_ours).take(most).map(|file| file.path.clone()).collect();
        let unfinished = existing.iter().map(|file| file.path.clone()).filter(|path| self.of.is_unfinished(path));
        let unfinished: Vec<_> = unfinished.filter(|path| !last.contains(path)).collect();
        [last, unfinished].concat()
    }

    /// Goes on after an earlier run: its last files may be torn. A name that has a number or a time goes on with a new
    /// file.
    fn go_on(&mut self, existing: Vec<Existing>) -> Result<(), Error> {
        for path in self.torn(&existing) {
            let mut sink = self.of.open_file(&path, self.of.opening)?;
            sink.close().map_err(|error| Error::setting(path.display().to_string(), error.to_string()))?;
        }
        if self.of.numbers() {
            for file in existing {
                let current = self.current.entry(xxh3_128(file.domain.as_bytes())).or_insert_with(|| CurrentFile {
                    path: "".into(),
                    batch: 0,
                    items: 0,
                    begun: clock::now(),
                    is_ours: false,
                    is_resting: false,
                });
                current.batch = current.batch.max(file.batch);
            }
        }
        Ok(())
    }

    /// Returns where a record goes: the place of its sink among those that are open.
    fn place(&mut self, record: &Record) -> Result<usize, SinkError> {
        let domain = if self.of.names.has(Placeholder::Domain) { domain_of(record) } else { String::new() };
        let key = xxh3_128(domain.as_bytes());
        self.uses += 1;
        let mut place = self.open.iter().position(|open| open.key == key);
        let now = clock::now();
        let is_due = self.current.get(&key).is_some_and(|current| {
            let bytes = || place.and_then(|at| self.open.get(at)).map_or(0, |open| open.sink.bytes());
            self.of.feed.roll.is_due(current.items, bytes, now.saturating_duration_since(current.begun))
        });
        if is_due {
            match place.take() {
                Some(at) => self.close(at)?,
                None => self.finish(key)?,
            }
        }
        if let Some(at) = place {
            return Ok(at);
        }
        if self.open.len() >= MAX_OPEN_FILES
            && let Some((oldest, _)) = self.open.iter().enumerate().min_by_key(|(_, open)| open.last_use)
        {
            self.rest(oldest)?;
        }
        let (path, opening) = self.file(key, &domain, is_due, now);
        // A file of its name that an earlier run has not noted is another's.
        let is_anyones = self.of.continues() && self.notes.are_stored() && !self.notes.has(Path::new(&*path));
        let unwritable = |error| SinkError::broken(format!("{path} cannot be written: {error}"));
        make_folder(&path, self.of.syncs).map_err(unwritable)?;
        let sink = if opening.keeps() && is_anyones {
            self.of.feed.open_anyones_file(Path::new(&*path), self.of.syncs)
        } else {
            self.of.open_file(Path::new(&*path), opening)
        };
        let sink = sink.map_err(SinkError::broken)?;
        if self.of.continues() {
            // Not before it is open: what another program has left has an end then. Of what is noted, a kill has torn a
            // last record without one.
            self.notes.add(Path::new(&*path)).map_err(unwritable)?;
        }
        if let Some(current) = self.current.get_mut(&key) {
            current.is_resting = false;
        }
        self.open.push(OpenFile { key, opening: self.uses, sink, last_use: self.uses, is_changed: false });
        Ok(self.open.len() - 1)
    }

    /// Returns the file that is written to next, and how it is opened.
    fn file(&mut self, key: u128, domain: &str, is_due: bool, now: Instant) -> (Box<str>, Opening) {
        let (numbers, continues) = (self.of.numbers(), self.of.continues());
        match self.current.get(&key) {
            // It was closed to save open files.
            Some(current) if current.is_ours && !is_due => return (current.path.clone(), Opening::Restarted),
            _ => {}
        }
        let mut batch = self.current.get(&key).map_or(0, |current| current.batch) + u64::from(numbers);
        // Two files may be begun within a millisecond.
        let mut time = clock::wall().max(self.last_time + MILLISECOND);
        let fill = |time, batch| self.of.names.fill(&NameValues { time, batch, domain, spider: &self.of.spider });
        let mut path = fill(time, batch);
        // A link that leads to nothing has the name too.
        let is_there = |path: &Path| fs::symlink_metadata(path).is_ok() || self.of.is_unfinished(path);
        while !continues && is_there(Path::new(&path)) {
            if self.of.names.has(Placeholder::Time) {
                time += MILLISECOND;
            } else {
                batch += 1;
            }
            path = fill(time, batch);
        }
        self.last_time = time;
        let path: Box<str> = path.into();
        let current = CurrentFile { path: path.clone(), batch, items: 0, begun: now, is_ours: true, is_resting: false };
        self.current.insert(key, current);
        (path, if continues { self.of.opening } else { Opening::Fresh })
    }

    fn close(&mut self, at: usize) -> Result<(), SinkError> {
        let open = self.open.swap_remove(at);
        self.end(open)
    }

    /// Closes a file. What it refuses is told of by the next commit.
    fn end(&mut self, mut open: OpenFile) -> Result<(), SinkError> {
        let committed = if open.is_changed { open.sink.commit() } else { Ok(()) };
        self.pending.note(open.opening, committed)?;
        self.pending.note(open.opening, open.sink.close())
    }

    /// Closes a file to save open ones. One that is made whole when it is closed is made so once.
    fn rest(&mut self, at: usize) -> Result<(), SinkError> {
        if !self.of.feed.is_whole_at_end() {
            return self.close(at);
        }
        let mut open = self.open.swap_remove(at);
        if let Some(current) = self.current.get_mut(&open.key) {
            current.is_resting = true;
        }
        self.pending.note(open.opening, open.sink.commit())
    }

    /// Makes a file whole that was closed to save open ones.
    fn finish(&mut self, key: u128) -> Result<(), SinkError> {
        let Some(current) = self.current.get_mut(&key).filter(|current| current.is_resting) else { return Ok(()) };
        current.is_resting = false;
        let path = current.path.clone();
        let opened = self.of.open_file(Path::new(&*path), Opening::Restarted).map_err(SinkError::broken);
        // All that is in it was committed: it cannot be refused any more.
        let closed = opened.and_then(|mut sink| sink.close().map_err(SinkError::broken));
        self.pending.note(self.uses, closed)
    }
}

impl Sink for FeedFiles {
    fn write(&mut self, record: &Record) -> Result<(), SinkError> {
        self.pending.check()?;
        let place = self.place(record)?;
        let Some(open) = self.open.get_mut(place) else { return Ok(()) };
        open.sink.write(record)?;
        open.last_use = self.uses;
        open.is_changed = true;
        self.pending.add(open.opening);
        if let Some(current) = self.current.get_mut(&open.key) {
            current.items += 1;
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), SinkError> {
        self.pending.check()?;
        for open in self.open.iter_mut().filter(|open| open.is_changed) {
            self.pending.note(open.opening, open.sink.commit())?;
            open.is_changed = false;
        }
        self.pending.commit()
    }

    fn stored(&mut self) -> Vec<bool> {
        self.pending.stored()
    }

    fn close(&mut self) -> Result<(), SinkError> {
        // All are closed, whatever one of them says.
        let open: Vec<_> = self.open.drain(..).collect();
        let mut closed: Vec<_> = open.into_iter().map(|open| self.end(open)).collect();
        let resting: Vec<_> =
            self.current.iter().filter(|(_, current)| current.is_resting).map(|(key, _)| *key).collect();
        closed.extend(resting.into_iter().map(|key| self.finish(key)));
        closed.into_iter().collect::<Result<(), _>>().and(self.pending.commit())
    }

    fn bytes(&self) -> u64 {
        self.open.iter().map(|open| open.sink.bytes()).sum()
    }
}

/// Returns the registrable domain of a record's page, as the name of a file.
fn domain_of(record: &Record) -> String {
    let domain = url::Url::parse(record.url()).map(|url| registrable(&url).to_string());
    file_name(&domain.unwrap_or_default())
}

fn make_folder(path: &str, syncs: bool) -> std::io::Result<()> {
    match Path::new(path).parent() {
        // A file that is on the disk is not found there without the names of the folders that it is in.
        Some(folder) if syncs => make_synced(folder),
        Some(folder) if !folder.as_os_str().is_empty() => fs::create_dir_all(folder),
        _ => Ok(()),
    }
}
