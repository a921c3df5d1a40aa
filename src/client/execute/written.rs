//! Written: an execution whose results are written to a feed as they come. Knows no format.

use std::{pin::pin, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use serde::Serialize;

use super::{Completion, Execution, IntoRequest, begun::Begun};
use crate::{
    client::{RequestBuilder, Response},
    domain::Domain,
    error::{Error, Result},
    feed::{Feed, Opening, Record, Sink, SinkError},
    fetcher::offload::{NoResult, Offload, OffloadThreads},
};

/// What an [`Execution`] has written to a feed. Made by [`Execution::write_to`].
///
/// ```
#[doc = include_str!("../example_api.md")]
/// use actix_crawler::feed::Feed;
///
/// # let path = std::env::temp_dir().join(format!("written-{}.jsonl", std::process::id()));
/// # block_on(async {
/// let urls = ["items/1", "missing", "items/2"].map(|path| format!("{api}/{path}"));
/// let items = client.execute(urls, |response| async move {
///     response.error_for_status()?.json::<serde_json::Value>()
/// });
/// let written = items.write_to(Feed::to(&*path)).await?;
///
/// assert_eq!((written.items, written.failed), (2, 1));
/// assert!(matches!(&written.failures[..], [(1, Error::Status { status: 404, .. })]));
/// # Ok(()) });
/// # std::fs::remove_file(&path).unwrap();
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Written {
    /// Items that were written and committed.
    pub items: u64,
    /// Requests without an item, and items that the feed refused.
    pub failed: u64,
    /// The first hundred of these, each with the place of its request, from 0, and the reason.
    pub failures: Vec<(usize, Error)>,
}

/// The most failures that are kept.
const MAX_FAILURES: usize = 100;

/// The longest that a commit may take, as long as a crawl gives a pipeline by default.
const TIME_LIMIT: Duration = Duration::from_secs(5 * 60);

/// An item, with the place of its request.
type PlacedItem = (usize, Record);

/// The items that a sink does not take, with the places of their requests.
type RefusedItems = Vec<(usize, SinkError)>;

impl<I, F> Execution<'_, I, F> {
    /// Writes what is read to a feed, such as a file or a table, as it comes. What is read is an item, or a list of
    /// items.
    ///
    /// Items that came while others were written are committed together, as many as
    /// [`Batch::items`](crate::feed::Batch) of the feed at the most. The feed is opened anew, so what an earlier run
    /// wrote goes; with [`Feed::append`] it stays. A request that fails, and an item that the feed refuses, do not end
    /// the others.
    ///
    /// What is whole only at its end, as a Parquet file or an object of a bucket, is there when this has returned
    /// without an error. If it fails, or its future is dropped before, rows of a Parquet file are in the folder
    /// `items.parquet.part`, and an object's in the folder of [`Feed::spool`]; the next call with the same feed goes on
    /// with them if it has [`Feed::append`], and else begins anew.
    ///
    /// ```no_run
    /// use actix_crawler::{Rate, Result, ThrottledClient, feed::Feed};
    ///
    /// #[derive(serde::Serialize, serde::Deserialize)]
    /// struct Item {
    ///     id: u64,
    ///     price: f64,
    /// }
    ///
    /// #[tokio::main]
    /// async fn main() -> Result<()> {
    ///     let client = ThrottledClient::new("pricebot/1.0 (+https://example.org/bot)", Rate::per_second(50))?;
    ///     let pages = (1..=600).map(|page| client.get(format!("https://api.example.com/items?page={page}")));
    ///     let items = client.execute(pages, |response| async move { response.error_for_status()?.json::<Vec<Item>>() });
    ///     let written = items.write_to(Feed::to("items.jsonl")).await?;
    ///     println!("{} items, {} failures", written.items, written.failed);
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// The feed cannot be opened, or written any more; requests that still wait are then not sent.
    pub async fn write_to<Fut, T>(self, feed: Feed) -> Result<Written>
    where
        I: Iterator<Item: IntoRequest>,
        F: Fn(Response) -> Fut,
        Fut: Future<Output = Result<T>>,
        T: Serialize,
    {
        let (_threads, offload) = OffloadThreads::new(1, TIME_LIMIT)?;
        let (at_once, chosen) = (feed.batched().items, feed.clone());
        let mut sink = run(&offload, move || feed.open(Opening::Fresh)).await??;
        let mut written = Written::default();
        let begun = Begun::new(self, read_records);
        let completions = stream::unfold(begun, |mut begun| async move { Some((begun.next(None).await?, begun)) });
        let mut completions = pin!(completions.ready_chunks(at_once));
        while let Some(completions) = completions.next().await {
            let mut records: Vec<PlacedItem> = Vec::new();
            for Completion { index, result } in completions {
                match result {
                    Ok(items) => records.extend(items.into_iter().map(|item| (index, item))),
                    Err(error) => written.fail(index, error),
                }
            }
            records.retain(|(_, record)| chosen.takes(record));
            written.items += records.len() as u64;
            let (back, refused) = run(&offload, move || write(sink, records)).await?.map_err(of_sink)?;
            sink = back;
            written.items -= refused.len() as u64;
            for (index, error) in refused {
                written.fail(index, of_sink(error));
            }
        }
        run(&offload, move || sink.close()).await?.map_err(of_sink)?;
        Ok(written)
    }
}

impl Written {
    fn fail(&mut self, index: usize, error: Error) {
        self.failed += 1;
        if self.failures.len() < MAX_FAILURES {
            self.failures.push((index, error));
        }
    }
}

/// Sends one request, and makes records of what is read.
async fn read_records<F, Fut, T>(
    index: usize,
    domain: Domain,
    request: RequestBuilder,
    read: Arc<F>,
) -> (Domain, Completion<Vec<Record>>)
where
    F: Fn(Response) -> Fut,
    Fut: Future<Output = Result<T>>,
    T: Serialize,
{
    let records = async {
        let response = request.send().await?;
        let url = response.url().to_string();
        Record::each_of(&read(response).await?, url).map_err(of_sink)
    };
    (domain, Completion { index, result: records.await })
}

/// Writes records and commits them. Returns those that the sink refuses.
fn write(mut sink: Box<dyn Sink>, records: Vec<PlacedItem>) -> Result<(Box<dyn Sink>, RefusedItems), SinkError> {
    let mut refused = Vec::new();
    let mut held = Vec::new();
    for (index, record) in records {
        match sink.write(&record) {
            Ok(()) => held.push((index, record)),
            Err(why @ SinkError::Refused(_)) => refused.push((index, why)),
            Err(why) => return Err(why),
        }
    }
    match sink.commit() {
        Ok(()) => {}
        // The sink has forgotten those that it has not stored, and gets each again alone.
        Err(SinkError::Refused(_)) => {
            let mut stored = sink.stored().into_iter();
            for (index, record) in held {
                if stored.next().unwrap_or(false) {
                    continue;
                }
                match sink.write(&record).and_then(|()| sink.commit()) {
                    Ok(()) => {}
                    Err(why @ SinkError::Refused(_)) => refused.push((index, why)),
                    Err(why) => return Err(why),
                }
            }
        }
        Err(why) => return Err(why),
    }
    Ok((sink, refused))
}

/// Runs what blocks.
async fn run<T: Send + 'static>(offload: &Offload, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    offload.run(work).await.map_err(|no_result| {
        Error::Output(match no_result {
            NoResult::Panicked(message) => format!("the feed panicked: {message}"),
            NoResult::TimedOut(limit) => {
                format!("the feed did not return within {}", humantime::format_duration(limit))
            }
            NoResult::Ended => "the feed was ended".to_owned(),
        })
    })
}

fn of_sink(error: SinkError) -> Error {
    match error {
        SinkError::Refused(why) | SinkError::Broken(why) => Error::Output(why),
        SinkError::ReaderGone => Error::Output(error.to_string()),
    }
}
