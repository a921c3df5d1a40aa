//! File: streams a response to the folder of files, piece by piece and off the network's thread: while the disk takes
//! one piece, the next one comes, and no more is read from the server. Knows no permits and no queues.

use std::{
    cell::RefCell,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use futures_util::future::{FutureExt, LocalBoxFuture};
use http::HeaderMap;

use super::Reading;
use crate::{
    clock,
    fetcher::{
        VisitContext,
        offload::{NoResult, Offload},
    },
    file_store::{Declared, Entry, FileStore, FileWriter, NotWritten, Wanted},
    files::{File, FileStatus},
    outcome::Outcome,
    request::{Request, SubmissionId},
    spider::Spider,
    stats::count::Count,
    transport::{
        body::BodyLimits,
        body_sink::{BodySink, SharedSink},
        exchange::Extent,
        raw_response::RawResponse,
    },
};

/// How much goes to the disk at once. With the piece that comes meanwhile, a file has twice this in memory.
const PIECE: usize = 256 << 10;

/// How much of an answer that is no file is read, so that its connection can be used again.
const READ_OF_OTHERS: usize = 256 << 10;

/// A file that is being received.
pub struct Receiving {
    id: Option<SubmissionId>,
    wanted: Arc<Wanted>,
    known: Option<Entry>,
    store: FileStore,
    sink: Rc<RefCell<FileSink>>,
}

/// Takes the body of a file.
struct FileSink {
    offload: Offload,
    store: FileStore,
    wanted: Arc<Wanted>,
    limits: BodyLimits,
    state: State,
    next: BytesMut,
    ignored: usize,
}

enum State {
    /// Nothing has come, or the answer is no file.
    None,
    Idle(Box<FileWriter>),
    Writing(LocalBoxFuture<'static, Result<Box<FileWriter>, Outcome>>),
    Failed(Outcome),
}

/// A file may be larger than any page.
pub fn extent(max_size: u64) -> Extent {
    Extent { max_bytes: max_size, accepts_part: false, keeps_wire_bytes: false }
}

impl Receiving {
    /// Prepares to receive the file of a request; `None` if nobody waits for it any more.
    pub fn of<S: Spider>(request: &Request, context: &VisitContext<S>) -> Option<Self> {
        let files = &context.files;
        let store = files.store.clone()?;
        let id = request.submission();
        let (wanted, known) = files.pending.wanted(id?)?;
        let sink = FileSink {
            offload: context.offload.clone(),
            store: store.clone(),
            wanted: wanted.clone(),
            limits: context.rules.body_limits,
            state: State::None,
            next: BytesMut::new(),
            ignored: 0,
        };
        Some(Self { id, wanted, known, store, sink: Rc::new(RefCell::new(sink)) })
    }

    /// Returns what takes the body.
    pub fn sink(&self) -> SharedSink {
        self.sink.clone()
    }

    /// Ends the file, whose response is neither a redirect nor a refusal.
    pub async fn finish<S: Spider>(self, response: RawResponse, context: &VisitContext<S>) -> Reading {
        match (response.status, &self.known) {
            (304, Some(known)) => {
                let known = known.clone();
                return self.not_modified(known, context).await;
            }
            (status, _) if is_file(status) => {}
            (status, _) => return Outcome::Status(status).into(),
        }
        match self.write_rest(response).await {
            Ok((file, is_other)) => {
                self.keep(file, context);
                let other = is_other.then_some(Count::Files("other_type"));
                let counts = [Count::DOWNLOADED].into_iter().chain(other).collect();
                Reading { counts, ..Outcome::Ok.into() }
            }
            Err(outcome) => outcome.into(),
        }
    }

    /// Takes what is left in memory to the disk, and gives the file its name.
    async fn write_rest(&self, response: RawResponse) -> Result<(File, bool), Outcome> {
        let (state, rest, offload) = {
            let mut sink = self.sink.borrow_mut();
            if response.streamed == 0 {
                // A layer has kept the body, or there is none.
                sink.begin(response.status, &response.headers);
                sink.next.extend_from_slice(&response.body);
            }
            let state = std::mem::replace(&mut sink.state, State::None);
            (state, std::mem::take(&mut sink.next), sink.offload.clone())
        };
        let mut writer = match state {
            State::None => return Err(Outcome::Status(response.status)),
            State::Idle(writer) => writer,
            State::Writing(writing) => writing.await?,
            State::Failed(outcome) => return Err(outcome),
        };
        off_the_loop(&offload, &self.store, move || writer.write(&rest).and_then(|()| writer.finish(clock::wall())))
            .await
    }

    /// The server says that the file which is there is still the same.
    async fn not_modified<S: Spider>(self, known: Entry, context: &VisitContext<S>) -> Reading {
        let file = known.file(FileStatus::Uptodate);
        let (store, wanted) = (self.store.clone(), self.wanted.clone());
        let work = move || store.renew(&wanted, &known, clock::wall()).map_err(NotWritten::Disk);
        match off_the_loop(&context.offload, &self.store, work).await {
            Ok(()) => {
                self.keep(file, context);
                Reading { counts: vec![Count::Files("not_modified")], ..Outcome::Ok.into() }
            }
            Err(outcome) => outcome.into(),
        }
    }

    fn keep<S: Spider>(&self, file: File, context: &VisitContext<S>) {
        if let Some(id) = self.id {
            context.files.pending.keep(id, file);
        }
    }
}

impl FileSink {
    /// Sends what has come to the disk.
    fn write(&mut self) {
        let State::Idle(mut writer) = std::mem::replace(&mut self.state, State::None) else { return };
        let (piece, offload, store) = (self.next.split().freeze(), self.offload.clone(), self.store.clone());
        let writing = async move {
            let work = move || writer.write(&piece).map(|()| writer);
            off_the_loop(&offload, &store, work).await
        };
        self.state = State::Writing(writing.boxed_local());
    }
}

impl BodySink for FileSink {
    fn begin(&mut self, status: u16, headers: &HeaderMap) {
        self.next.clear();
        self.ignored = 0;
        if !is_file(status) {
            self.state = State::None;
            return;
        }
        self.state = match Declared::of(headers) {
            Ok(declared) => {
                let writer = FileWriter::new(self.store.clone(), self.wanted.clone(), declared, self.limits);
                State::Idle(Box::new(writer))
            }
            Err(error) => State::Failed(Outcome::Fetch(error)),
        };
    }

    fn add(&mut self, piece: Bytes) -> bool {
        match self.state {
            State::Failed(_) => false,
            State::None => {
                self.ignored += piece.len();
                self.ignored < READ_OF_OTHERS
            }
            State::Idle(_) | State::Writing(_) => {
                self.next.extend_from_slice(&piece);
                true
            }
        }
    }

    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let mut has_waited = false;
        while self.next.len() >= PIECE {
            match &mut self.state {
                State::None | State::Failed(_) => self.next.clear(),
                State::Idle(_) => self.write(),
                State::Writing(writing) => {
                    let written = ready!(writing.poll_unpin(cx));
                    has_waited = true;
                    self.state = written.map_or_else(State::Failed, State::Idle);
                }
            }
        }
        // It is begun at once, and waited for when the next piece is full.
        if let State::Writing(writing) = &mut self.state
            && let Poll::Ready(written) = writing.poll_unpin(cx)
        {
            self.state = written.map_or_else(State::Failed, State::Idle);
        }
        Poll::Ready(has_waited)
    }
}

/// Tells whether a status comes with the file (RFC 9110 §15.3.1, §15.3.4).
fn is_file(status: u16) -> bool {
    matches!(status, 200 | 203)
}

/// Writes off the network's thread. A disk that does not take a file ends the crawl, which can be resumed.
async fn off_the_loop<T: Send + 'static>(
    offload: &Offload,
    store: &FileStore,
    work: impl FnOnce() -> Result<T, NotWritten> + Send + 'static,
) -> Result<T, Outcome> {
    let broken = |why: String| Outcome::Broken(format!("a file of {} cannot be written: {why}", store.dir().display()));
    match offload.run(work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(NotWritten::Type(what))) => Err(Outcome::FileType(what)),
        Ok(Err(NotWritten::Body(error))) => Err(Outcome::Fetch(error)),
        Ok(Err(NotWritten::Disk(error))) => Err(broken(error.to_string())),
        Err(NoResult::Ended) => Err(Outcome::Unsent),
        Err(NoResult::Panicked(message)) => Err(Outcome::Panic(message)),
        Err(NoResult::TimedOut(limit)) => {
            let limit = humantime::format_duration(limit);
            Err(broken(format!("the disk has not taken it within {limit}")))
        }
    }
}
