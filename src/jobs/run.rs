//! Run: one run of a job's crawl, from the start of its thread to its end, as it is reported to the runner. Knows no
//! other jobs.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    fs, io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    time::{sleep, timeout},
};

use super::Job;
use crate::{
    crawler::Crawler,
    error::{Error, Result},
    frontier::stores::fjall,
    handle::CrawlHandle,
    outcome::LocalFault,
    report::Report,
    spider::Spider,
    stats::{FirstFailure, Progress},
    text::panic_message::message_of,
    transport::open_files,
};

/// Makes the crawl of a job and runs it to its end, on the thread that calls it. The function is told when it has
/// begun, or why it could not.
pub(super) type Crawls<P> = dyn Fn(&Job<P>, Box<dyn FnOnce(Result<CrawlHandle>)>) + Send + Sync;

/// What happens in a run, in this order. `AtRest` comes in any case, and `Ended` before it.
pub(super) enum RunEvent {
    /// Its crawl has begun.
    Began(CrawlHandle),
    /// How far it is.
    Numbers(Numbers),
    /// Its crawl has ended, or could not begin.
    Ended(Result<Arc<Report>>),
    /// Its thread has ended and its state is closed: nothing of it runs any more.
    AtRest,
}

/// How far a crawl is, and what has failed.
pub(super) type Numbers = (Progress, BTreeMap<String, FirstFailure>);

/// How long after the beginning the numbers are told, and then after twice that time each. A kill loses those of later.
const FIRST_NUMBERS: Duration = Duration::from_secs(1);

/// The longest time between.
const MAX_BETWEEN_NUMBERS: Duration = Duration::from_secs(60);

/// How long a crawl may take to tell its numbers; one whose own thread is blocked tells none. It takes a microsecond
/// else.
const MAX_ASKING: Duration = Duration::from_millis(500);

/// Returns what makes crawls of jobs with a function of the user's own.
pub(super) fn crawls<P, S: Spider>(crawler: impl Fn(&Job<P>) -> Crawler<S> + Send + Sync + 'static) -> Arc<Crawls<P>> {
    Arc::new(move |job: &Job<P>, begun| {
        if let Err(error) = fs::create_dir_all(job.folder()) {
            return begun(Err(Error::file(job.folder(), error)));
        }
        match catch_unwind(AssertUnwindSafe(|| crawler(job))) {
            Ok(crawler) => crawler.state(&job.state).run_on_this_thread(begun),
            Err(panic) => begun(Err(Error::Crawl(format!("its maker panicked: {}", message_of(&*panic))))),
        }
        // The thread of its store may still write.
        fjall::wait_until_closed(&job.state);
    })
}

/// Starts a run of a job, whose events are sent with the job's id.
///
/// # Errors
/// The system starts no thread.
pub(super) fn start<P: Send + Sync + 'static>(
    job: Job<P>,
    crawls: &Arc<Crawls<P>>,
    events: mpsc::Sender<(u64, RunEvent)>,
) -> io::Result<()> {
    let (id, crawls) = (job.id, crawls.clone());
    let (begun_to, begun) = oneshot::channel();
    let (ends, at_rest) = oneshot::channel::<()>();
    let run = move || {
        // Both senders are dropped also if it panics. The runner may have ended.
        crawls(&job, Box::new(|begun| drop(begun_to.send(begun))));
        drop(ends);
    };
    thread::Builder::new().name("crawler".to_owned()).spawn(run)?;
    drop(tokio::spawn(RunReporter { id, events }.report_all(begun, at_rest)));
    Ok(())
}

/// Reports the events of a run to the runner.
struct RunReporter {
    id: u64,
    events: mpsc::Sender<(u64, RunEvent)>,
}

impl RunReporter {
    async fn send(&self, event: RunEvent) {
        // The runner receives all of them: it ends after the runs.
        drop(self.events.send((self.id, event)).await);
    }

    async fn report_all(self, begun: oneshot::Receiver<Result<CrawlHandle>>, at_rest: oneshot::Receiver<()>) {
        let begun = begun.await.unwrap_or_else(|_| Err(Error::Crawl("its thread died".to_owned())));
        let end = match begun {
            Ok(crawl) => {
                self.send(RunEvent::Began(crawl.clone())).await;
                tokio::select! {
                    end = crawl.wait() => end,
                    never = self.report_numbers(&crawl) => match never {},
                }
            }
            Err(error) => Err(error),
        };
        self.send(RunEvent::Ended(end)).await;
        // Nothing is sent; it is dropped.
        let _ = at_rest.await;
        self.send(RunEvent::AtRest).await;
    }

    /// Reports the numbers of a crawl again and again.
    async fn report_numbers(&self, crawl: &CrawlHandle) -> Infallible {
        let mut between = FIRST_NUMBERS;
        loop {
            sleep(between).await;
            between = (between * 2).min(MAX_BETWEEN_NUMBERS);
            if let Some(numbers) = numbers_of(crawl).await {
                self.send(RunEvent::Numbers(numbers)).await;
            }
        }
    }
}

/// Asks a crawl how far it is.
pub(super) async fn numbers_of(crawl: &CrawlHandle) -> Option<Numbers> {
    let ask = async { Ok::<_, Error>((crawl.progress().await?, crawl.first_failures().await?)) };
    timeout(MAX_ASKING, ask).await.ok()?.ok()
}

/// Tells whether a crawl could not begin since this machine lacks something: it may begin later.
pub(super) fn is_of_this_machine(error: &Error) -> bool {
    let lacks = |error: &io::Error| {
        LocalFault::of(error).is_some()
            || matches!(
                error.kind(),
                // The last is that there are too many threads.
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::WouldBlock
            )
    };
    match error {
        Error::Start(source) | Error::File { source, .. } => lacks(source),
        Error::Store { source, .. } => source.as_ref().is_some_and(lacks),
        Error::Setting { what, .. } => what == open_files::SETTING,
        _ => false,
    }
}
