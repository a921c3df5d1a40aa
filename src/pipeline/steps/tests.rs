//! Steps in crawls: what passes, what is left out and counted, and which of two items with one key is written.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use actix_rt::System;
use futures_util::future::join_all;

use super::{super::*, *};

/// Delivers items as a crawl does, all at once, and returns the answers.
fn deliver(pipeline: impl Pipeline<u32>, crawl: CrawlStart, items: &[u32]) -> Vec<Result<(), PipelineError>> {
    System::new().block_on(async {
        let supervisor = Supervisor::start(Box::new(pipeline), crawl, Duration::from_secs(30)).unwrap();
        let scraped = |item: &u32| Scraped { item: Arc::new(*item), url: "https://example.org/".into() };
        let answers = join_all(items.iter().map(|item| supervisor.deliver(scraped(item)))).await;
        supervisor.close().await.unwrap();
        answers
    })
}

fn refuses_first(written: &Arc<Mutex<Vec<u32>>>) -> Batched<u32> {
    let (written, calls) = (written.clone(), AtomicU32::new(0));
    Batched::new(1, Duration::ZERO, move |items: &[Arc<u32>]| {
        if calls.fetch_add(1, Ordering::SeqCst) == 0 {
            return Err(PipelineError::refused("not this one"));
        }
        written.lock().unwrap().extend(items.iter().map(|item| **item));
        Ok(())
    })
}

#[test]
fn steps_run_in_their_order_and_say_why_an_item_is_left_out() {
    let (doubled, texts) = (Collect::new(), Collect::new());
    let steps = Steps::of::<u32>()
        .drop_if("odd", |n| n % 2 == 1)
        .unique_by(|n| (*n != 4).then_some(*n))
        .map(|n| n * 2)
        .try_map(|n| if *n == 12 { Err(PipelineError::refused("a dozen")) } else { Ok(*n) })
        .to(doubled.clone())
        .to(texts.clone());
    let answers = deliver(steps, CrawlStart::default(), &[1, 2, 2, 4, 4, 6, 8]);
    let dropped = |reason| Err(PipelineError::dropped_as(reason));
    assert_eq!(answers[0], dropped("odd"));
    assert_eq!((&answers[1], &answers[2]), (&Ok(()), &dropped("duplicate")));
    assert_eq!((&answers[3], &answers[4]), (&Ok(()), &Ok(())), "what has no key is no duplicate");
    assert_eq!(answers[5], Err(PipelineError::refused("a dozen")));
    assert_eq!(answers[6], Ok(()));
    let mut all = doubled.take();
    all.sort_unstable();
    assert_eq!(all, [4, 8, 8, 16]);
    assert_eq!(texts.take().len(), 4, "each pipeline gets all");
}

/// An item whose key comes again and again was once dropped for a later one, as futures are polled in any order.
#[test]
fn of_items_with_one_key_the_one_that_came_first_is_written() {
    for _ in 0..20 {
        let first = Collect::new();
        let items: Vec<u32> = (0..200).collect();
        let answers =
            deliver(Steps::of::<u32>().unique_by(|n| n % 10).to(first.clone()), CrawlStart::default(), &items);
        let mut written = first.take();
        written.sort_unstable();
        assert_eq!(written, (0..10).collect::<Vec<_>>(), "{answers:?}");
    }
}

#[test]
fn a_duplicate_waits_and_takes_the_place_of_an_item_that_is_refused() {
    let written = Arc::default();
    let steps = Steps::of::<u32>().unique_by(|n| n % 10).to(refuses_first(&written));
    let answers = deliver(steps, CrawlStart::default(), &[1, 11, 21]);
    // Whichever comes first is refused, the next takes its place, and the last is a duplicate.
    let times = |what: Result<(), PipelineError>| answers.iter().filter(|answer| **answer == what).count();
    let refused = Err(PipelineError::refused("not this one"));
    assert_eq!((times(refused), times(Ok(())), answers.len()), (1, 1, 3), "{answers:?}");
    assert_eq!(written.lock().unwrap().len(), 1);
}

#[test]
fn a_panic_behind_the_steps_fails_its_item_and_no_other_and_forgets_no_key() {
    let taken = Arc::new(Mutex::new(Vec::new()));
    let written = taken.clone();
    let batched = Batched::new(4, Duration::from_millis(10), move |items: &[Arc<u32>]| {
        assert!(!items.iter().any(|item| **item == 3), "no three");
        written.lock().unwrap().extend(items.iter().map(|item| **item));
        Ok(())
    });
    let steps = Steps::of::<u32>().unique_by(|n| *n).to(batched);
    let answers = deliver(steps, CrawlStart::default(), &[1, 2, 3, 4, 5, 1]);
    assert_eq!(answers[2], Err(PipelineError::Panicked));
    let of_one_key = [&answers[0], &answers[5]];
    let duplicate = Err(PipelineError::dropped_as("duplicate"));
    // After the panic they are sent again, each alone, in any order.
    assert!(of_one_key.contains(&&Ok(())) && of_one_key.contains(&&duplicate), "{answers:?}");
    let mut written = taken.lock().unwrap().clone();
    written.sort_unstable();
    assert_eq!(written, [1, 2, 4, 5]);
}

#[test]
fn keys_are_known_in_a_later_run_with_the_state() {
    let dir = tempfile::tempdir().unwrap();
    let run = |resumes, items: &[u32]| {
        let collect = Collect::new();
        let state = Some((dir.path().to_owned(), "0".to_owned()));
        let crawl = CrawlStart { resumes, has_state: true, state, ..CrawlStart::default() };
        deliver(Steps::of::<u32>().unique_by(|n| *n).to(collect.clone()), crawl, items);
        let mut taken = collect.take();
        taken.sort_unstable();
        taken
    };
    assert_eq!(run(false, &[1, 2]), [1, 2]);
    let file = dir.path().join("pipeline-0-unique-0");
    let bytes = std::fs::read(&file).unwrap();
    assert_eq!(bytes.len(), 32);
    // As if a kill had torn the last.
    std::fs::write(&file, [&bytes[..], &bytes[..5]].concat()).unwrap();
    assert_eq!(run(true, &[1, 2, 3]), [3]);
    assert_eq!(run(true, &[3, 4]), [4]);
    assert_eq!(run(false, &[1, 4]), [1, 4], "a new crawl begins anew");
}

/// They shared one file once: what the first had left out was a duplicate for the second.
#[test]
fn steps_behind_steps_have_keys_of_their_own_in_a_later_run() {
    let dir = tempfile::tempdir().unwrap();
    let run = |resumes, items: &[u32]| {
        let (even, all) = (Collect::new(), Collect::new());
        let steps = Steps::of::<u32>()
            .to(Steps::of::<u32>().drop_if("odd", |n| n % 2 == 1).unique_by(|n| n / 10).to(even.clone()))
            .to(Steps::of::<u32>().unique_by(|n| n / 10).to(all.clone()));
        let state = Some((dir.path().to_owned(), "0".to_owned()));
        deliver(steps, CrawlStart { resumes, has_state: true, state, ..CrawlStart::default() }, items);
        (even.take(), all.take())
    };
    assert_eq!(run(false, &[1]), (vec![], vec![1]));
    assert_eq!(run(true, &[2]), (vec![2], vec![]), "each knows what it has taken");
    assert_eq!(run(true, &[4]), (vec![], vec![]));
}

#[test]
fn a_batch_is_given_when_it_is_full_or_has_waited_and_a_refused_one_item_by_item() {
    let batches = Arc::new(Mutex::new(Vec::new()));
    let given = batches.clone();
    let batched = Batched::new(3, Duration::from_millis(20), move |items: &[Arc<u32>]| {
        given.lock().unwrap().push(items.len());
        if items.iter().any(|item| **item == 2) { Err(PipelineError::refused("no two")) } else { Ok(()) }
    });
    let answers = deliver(batched, CrawlStart::default(), &[1, 2, 3, 4]);
    assert_eq!(answers, [Ok(()), Err(PipelineError::refused("no two")), Ok(()), Ok(())]);
    assert_eq!(*batches.lock().unwrap(), [3, 1, 1, 1, 1]);
}

/// What one pipeline had not written was once not told of, since another had failed as well.
#[test]
fn each_pipeline_behind_steps_that_cannot_be_closed_is_named() {
    struct Fails(&'static str);
    impl crate::feed::Sink for Fails {
        fn write(&mut self, _: &Record) -> std::result::Result<(), crate::feed::SinkError> {
            Ok(())
        }
        fn commit(&mut self) -> std::result::Result<(), crate::feed::SinkError> {
            Err(crate::feed::SinkError::broken(self.0))
        }
    }
    let fails = |name| OwnSink::new(move |_| Ok(Fails(name)));
    let steps = Steps::of::<u32>().to(fails("the first")).to(Collect::new()).to(fails("the third"));
    let closed = System::new().block_on(async {
        let steps = Box::new(steps);
        Supervisor::start(steps, CrawlStart::default(), Duration::from_secs(30)).unwrap().close().await
    });
    assert_eq!(closed, Err(PipelineError::broken("the first; the third")));
}

/// A thousand items for a compressed file were once in the steps at once, and timed out behind a slow pipeline beside
/// it.
#[test]
fn a_slow_pipeline_behind_steps_is_not_given_up_while_it_accepts_one_item_after_the_other() {
    let (batched, slow) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
    let steps = {
        let (batched, slow) = (batched.clone(), slow.clone());
        let batch = Batched::new(64, Duration::from_millis(20), move |items: &[Arc<u32>]| {
            batched.lock().unwrap().extend(items.iter().map(|item| **item));
            Ok(())
        });
        Steps::of::<u32>().to(batch).to(Each::new(move |item: &u32| {
            std::thread::sleep(Duration::from_millis(30));
            slow.lock().unwrap().push(*item);
        }))
    };
    let items: Vec<u32> = (0..64).collect();
    let (answers, restarts) = System::new().block_on(async {
        let supervisor = Supervisor::start(Box::new(steps), CrawlStart::default(), Duration::from_secs(1)).unwrap();
        let scraped = |item: &u32| Scraped { item: Arc::new(*item), url: "https://example.org/".into() };
        let answers = join_all(items.iter().map(|item| supervisor.deliver(scraped(item)))).await;
        supervisor.close().await.unwrap();
        (answers, supervisor.restarts())
    });
    assert!(restarts == 0 && answers.iter().all(Result::is_ok), "{restarts} restarts: {answers:?}");
    for mut taken in [batched, slow].map(|taken| taken.lock().unwrap().clone()) {
        taken.sort_unstable();
        assert_eq!(taken, items, "each once");
    }
}

/// The items before one whose page had given up were in no Parquet file, since nobody started its pipeline again.
#[test]
fn a_pipeline_that_has_died_of_an_item_that_nobody_waits_for_is_closed_all_the_same() {
    let (begun, has_begun) = std::sync::mpsc::channel();
    let (go_on, may_go_on) = std::sync::mpsc::channel::<()>();
    let (begun, may_go_on) = (Mutex::new(begun), Mutex::new(may_go_on));
    let each = Each::new(move |item: &u32| {
        if *item == 2 {
            begun.lock().unwrap().send(()).unwrap();
            let _ = may_go_on.lock().unwrap().recv();
            panic!("no two");
        }
    });
    let (closed, restarts) = System::new().block_on(async {
        let supervisor = Supervisor::start(Box::new(each), CrawlStart::default(), Duration::from_secs(30)).unwrap();
        let scraped = |item: u32| Scraped { item: Arc::new(item), url: "https://example.org/".into() };
        supervisor.deliver(scraped(1)).await.unwrap();
        let mut given_up = Box::pin(supervisor.deliver(scraped(2)));
        assert!(futures_util::poll!(&mut given_up).is_pending());
        has_begun.recv().unwrap();
        drop(given_up);
        go_on.send(()).unwrap();
        (supervisor.close().await, supervisor.restarts())
    });
    assert_eq!((closed, restarts), (Ok(()), 1));
}

/// Keys were once known by their place alone, so those of one meaning were taken for another's.
#[test]
fn keys_with_a_name_are_found_wherever_their_step_is_and_by_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let crawl = |resumes| {
        let state = Some((dir.path().to_owned(), "0".to_owned()));
        CrawlStart { resumes, has_state: true, state, ..CrawlStart::default() }
    };
    let taken = Collect::new();
    let by_unit = |n: &u32| n % 10;
    deliver(Steps::of::<u32>().unique_by_named("unit", by_unit).to(taken.clone()), crawl(false), &[11]);
    let steps = Steps::of::<u32>().unique_by_named("ten", |n| n / 10).unique_by_named("unit", by_unit);
    deliver(steps.to(taken.clone()), crawl(true), &[12, 21]);
    assert_eq!(taken.take(), [11, 12], "21 has the unit of 11, and 12 has not its ten");
    let twice = Steps::of::<u32>().unique_by_named("unit", by_unit).unique_by_named("unit", by_unit).to(taken);
    let refused = System::new().block_on(async { Supervisor::check(&twice, crawl(true)) }).unwrap_err().to_string();
    assert!(refused.contains("`unit`") && refused.contains("another step"), "{refused}");
}
