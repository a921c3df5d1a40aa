//! The threads of the throttled client, counted in a separate process.

#![allow(clippy::disallowed_methods, reason = "time is measured here")]

mod recorder;

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use actix_crawler::ThrottledClient;
use recorder::{Answer, Recorder};

const S: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

/// Without tokio and actix: the caller's executor only polls.
#[test]
fn it_works_without_any_runtime_and_its_threads_end_with_the_last_clone() {
    let api = Recorder::start(|asked| Answer::ok(asked.path.clone()));
    let client = ThrottledClient::builder("test/1.0 (+https://example.org/bot)").allow_private().build().unwrap();
    let clone = client.clone();
    drop(client);
    let response = block_on(clone.get(api.url("/x")).send()).unwrap();
    assert_eq!(response.body_text(), "/x");
    assert!(response.started_at() <= SystemTime::now() && response.elapsed() < S);
    assert!(workers() >= 1);
    drop(clone);
    let started = Instant::now();
    while workers() > 0 && started.elapsed() < 10 * S {
        std::thread::sleep(10 * MS);
    }
    assert_eq!(workers(), 0);
}

fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let (mut future, mut context) = (std::pin::pin!(future), std::task::Context::from_waker(&waker));
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(output) => return output,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}

/// Threads of this process that work for a client.
fn workers() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.trim() == "throttled-clien").count()
}
