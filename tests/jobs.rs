//! Jobs as a service uses them: given, watched, cancelled, resumed and removed; over restarts, and by tenants who share
//! places. Judged by what the server saw and what is in their folders.
#![cfg(feature = "disk")]

mod crawls;
mod job_site;
mod recorder;

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use actix_crawler::{
    Conducts, Error,
    jobs::{Job, JobState, JobStatus, Jobs},
    prelude::*,
};
use crawls::{CONTACT, Links, MS, block_on, links, until};
use futures_util::future::join;
use job_site::{PAGES, lines, open, reopened, site, state};
use recorder::Recorder;
use serde::{Deserialize, Serialize, Serializer};

#[test]
fn a_job_tells_the_same_fields_from_its_beginning_to_its_end_and_after_a_restart() {
    let (site, folder) = (site(5 * MS), tempfile::tempdir().unwrap());
    block_on(async {
        let jobs = open(folder.path(), &site, 2).unwrap();
        let job = jobs.start("alice", "one.test".to_owned()).await.unwrap();
        let keys = |status: &JobStatus<String>| {
            let json = serde_json::to_value(status).unwrap();
            json.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>()
        };
        let at_work = jobs.status("alice", job.id).await.unwrap();
        assert_eq!(at_work.state, JobState::Running);
        until("it ends", async || state(&jobs, "alice", job.id).await == JobState::Finished).await;
        let ended = jobs.status("alice", job.id).await.unwrap();
        assert_eq!((keys(&job), keys(&at_work)), (keys(&ended), keys(&ended)));
        assert_eq!(
            (ended.progress.pages, ended.progress.items, ended.progress.ledger.failed),
            (20, 20, 2),
            "{ended:?}"
        );
        assert_eq!(ended.first_failures["status/404"].url, "http://one.test/gone");
        assert!(ended.ended.is_some() && ended.why.is_none(), "{ended:?}");
        assert_eq!(lines(&jobs, &ended).await.len(), PAGES);
        assert!(matches!(jobs.crawl("alice", job.id).await, Err(Error::JobNotRunning { .. })), "it does not run");
        assert_eq!(jobs.stop_within(MS).await.unwrap(), 0);
        let refused = jobs.start("alice", "two.test".to_owned()).await.unwrap_err().to_string();
        assert!(refused.contains("the jobs are stopped"), "no more are taken: {refused}");
        assert!(jobs.resume("alice", job.id).await.unwrap_err().to_string().contains("the jobs are stopped"));
        drop(jobs);

        let jobs = reopened(folder.path(), &site, 2).await;
        let later = jobs.status("alice", job.id).await.unwrap();
        let millis = |status: &JobStatus<String>| serde_json::to_value(status).unwrap();
        assert_eq!(millis(&later), millis(&ended));
        assert_eq!(site.count(), PAGES + 2, "what is over does not begin again");
    });
}

#[test]
fn jobs_that_were_stopped_with_their_service_go_on_with_the_next_and_ask_for_nothing_twice() {
    let (site, folder) = (site(20 * MS), tempfile::tempdir().unwrap());
    block_on(async {
        let jobs = open(folder.path(), &site, 1).unwrap();
        let first = jobs.start("alice", "one.test".to_owned()).await.unwrap();
        let waiting = jobs.start("alice", "two.test".to_owned()).await.unwrap();
        assert_eq!(waiting.state, JobState::Waiting);
        let refused = open(folder.path(), &site, 1).err().unwrap().to_string();
        assert!(refused.contains("another process runs the jobs"), "{refused}");
        until("it is under way", async || jobs.status("alice", first.id).await.unwrap().progress.pages >= 3).await;
        assert_eq!(jobs.stop_within(Duration::from_secs(10)).await.unwrap(), 1);
        drop(jobs);
        let before = site.count();
        assert!(before < PAGES, "there is more to do");

        let jobs = reopened(folder.path(), &site, 1).await;
        for job in [&first, &waiting] {
            until("it ends", async || state(&jobs, "alice", job.id).await == JobState::Finished).await;
            assert_eq!(lines(&jobs, job).await.len(), PAGES);
        }
        assert_eq!(site.sorted_urls().len(), 2 * (PAGES + 2), "each once");
    });
}

#[test]
fn a_job_that_is_cancelled_stops_stays_so_and_goes_on_when_it_is_resumed() {
    let (site, folder) = (site(20 * MS), tempfile::tempdir().unwrap());
    block_on(async {
        let jobs = open(folder.path(), &site, 1).unwrap();
        let job = jobs.start("alice", "one.test".to_owned()).await.unwrap();
        let other = jobs.start("alice", "two.test".to_owned()).await.unwrap();
        until("it is under way", async || jobs.status("alice", job.id).await.unwrap().progress.pages >= 2).await;
        let cancelled = jobs.cancel("alice", job.id).await.unwrap();
        assert_eq!(cancelled.state, JobState::Cancelled);
        assert!(cancelled.progress.pages >= 2, "{cancelled:?}");
        assert_eq!(jobs.cancel("alice", other.id).await.unwrap().state, JobState::Cancelled, "wherever it is");
        drop(jobs);
        let jobs = reopened(folder.path(), &site, 1).await;
        assert_eq!(state(&jobs, "alice", job.id).await, JobState::Cancelled);
        assert!(!jobs.resume("alice", job.id).await.unwrap().state.is_over());
        until("it ends", async || state(&jobs, "alice", job.id).await == JobState::Finished).await;
        let urls = lines(&jobs, &job).await;
        assert_eq!(urls.iter().collect::<BTreeSet<_>>().len(), PAGES);
        assert!(urls.len() <= PAGES + 1, "the page in flight when it was cancelled may be fetched again: {urls:?}");

        jobs.remove("alice", job.id).await.unwrap();
        assert!(matches!(jobs.status("alice", job.id).await, Err(Error::NoSuchJob { id }) if id == job.id));
        assert!(!folder.path().join("tenants/alice").join(job.id.to_string()).exists());
        assert!(jobs.start("alice", "one.test".to_owned()).await.unwrap().id > other.id, "no id is given twice");
    });
}

#[test]
fn a_tenant_of_whom_fewer_run_goes_first_and_sees_no_jobs_of_others() {
    let (site, folder) = (site(Duration::from_secs(3_600)), tempfile::tempdir().unwrap());
    block_on(async {
        let jobs = open(folder.path(), &site, 2).unwrap();
        let mut ids = Vec::new();
        for (tenant, host) in [("alice", "a1.test"), ("alice", "a2.test"), ("alice", "a3.test"), ("bob", "b1.test")] {
            ids.push(jobs.start(tenant, host.to_owned()).await.unwrap().id);
        }
        let states = async |jobs: &Jobs<String>| {
            let (of_alice, of_bob) = (jobs.list("alice").await.unwrap(), jobs.list("bob").await.unwrap());
            of_alice.iter().chain(&of_bob).map(|status| status.state).collect::<Vec<_>>()
        };
        let (running, waiting) = (JobState::Running, JobState::Waiting);
        assert_eq!(states(&jobs).await, [running, running, waiting, waiting]);
        assert!(jobs.status("bob", ids[0]).await.is_err() && jobs.cancel("bob", ids[0]).await.is_err());
        assert!(jobs.remove("bob", ids[0]).await.is_err() && jobs.file("bob", ids[0], "urls.jsonl").await.is_err());
        until("it runs", async || jobs.crawl("alice", ids[0]).await.is_ok()).await;
        jobs.cancel("alice", ids[0]).await.unwrap();
        let expected = [JobState::Cancelled, running, waiting, running];
        until("bob's begins", async || states(&jobs).await == expected).await;
        jobs.stop_within(MS).await.unwrap();
    });
}

#[test]
fn a_job_that_cannot_begin_says_why_and_what_no_job_can_be_is_refused() {
    let (site, folder) = (site(MS), tempfile::tempdir().unwrap());
    block_on(async {
        let jobs = open(folder.path(), &site, 2).unwrap();
        for (host, why) in [("panic", "over this job"), ("no host", "is not a URL")] {
            let job = jobs.start("alice", host.to_owned()).await.unwrap();
            until("it has failed", async || state(&jobs, "alice", job.id).await == JobState::Failed).await;
            let told = jobs.status("alice", job.id).await.unwrap().why.unwrap();
            assert!(told.contains(why), "{told}");
        }
        for tenant in ["", "..", "a/b", "é", &"a".repeat(65), "con", "NUL", "com1", "Alice"] {
            assert!(jobs.start(tenant, "one.test".to_owned()).await.is_err(), "{tenant}");
        }
        let come = jobs.start("come", "no host".to_owned()).await.unwrap();
        until("it is over", async || state(&jobs, "come", come.id).await.is_over()).await;
        jobs.remove("come", come.id).await.unwrap();
        for _ in 0..3 {
            jobs.start("alice", "one.test".to_owned()).await.unwrap();
        }
        let refused = jobs.start("alice", "one.test".to_owned()).await.unwrap_err().to_string();
        assert!(refused.contains("max_jobs") && refused.contains("remove some"), "{refused}");
        jobs.stop_within(Duration::from_secs(10)).await.unwrap();
    });
}

#[test]
fn two_jobs_with_the_same_parameters_are_two_with_files_of_their_own() {
    let (site, folder) = (site(MS), tempfile::tempdir().unwrap());
    block_on(async {
        let jobs = open(folder.path(), &site, 2).unwrap();
        let [first, second] = [jobs.start("alice", "one.test".to_owned()), jobs.start("alice", "one.test".to_owned())];
        let (first, second) = (first.await.unwrap(), second.await.unwrap());
        assert!(second.id > first.id);
        for job in [&first, &second] {
            until("it ends", async || state(&jobs, "alice", job.id).await == JobState::Finished).await;
            assert_eq!(lines(&jobs, job).await.len(), PAGES);
        }
        for name in ["", "..", "../x", "/etc/passwd", "a/../../b", "."] {
            assert!(jobs.file("alice", first.id, name).await.is_err(), "it leads elsewhere: {name}");
        }
        assert!(jobs.file("alice", first.id, "images/1.png").await.unwrap().ends_with("images/1.png"));
    });
}

#[test]
fn jobs_of_whom_nobody_has_a_handle_run_to_their_end_and_the_others_wait_for_the_next_opening() {
    let (site, folder) = (site(5 * MS), tempfile::tempdir().unwrap());
    block_on(async {
        let jobs = open(folder.path(), &site, 1).unwrap();
        let first = jobs.start("alice", "one.test".to_owned()).await.unwrap();
        let waiting = jobs.start("alice", "two.test".to_owned()).await.unwrap();
        drop(jobs);
        let jobs = reopened(folder.path(), &site, 1).await;
        assert_eq!(state(&jobs, "alice", first.id).await, JobState::Finished);
        until("it ends", async || state(&jobs, "alice", waiting.id).await == JobState::Finished).await;
        assert_eq!(site.sorted_urls().len(), 2 * (PAGES + 2), "each once");
    });
}

/// A spider whose crawl begins when it is let in.
struct Gated(Arc<Mutex<mpsc::Receiver<()>>>);

impl Spider for Gated {
    type Item = String;

    fn parse(&self, page: &Response) -> Result<Parsed<String>> {
        links(page)
    }

    fn check(&self) -> Result<()> {
        // Without a sender all are let in.
        let _ = self.0.lock().unwrap().recv();
        Ok(())
    }
}

fn open_gated(folder: &Path, site: &Recorder, gate: mpsc::Receiver<()>) -> Result<Jobs<String>> {
    let (rule, conducts, gate) = (site.rule(), Conducts::new(), Arc::new(Mutex::new(gate)));
    Jobs::builder(folder).max_running(1).open(move |job: &Job<String>| {
        let crawler = Crawler::new(Gated(gate.clone()), CONTACT).conducts(&conducts).resolve(&rule).allow_private();
        crawler.ignore_robots().rate(Rate::UNLIMITED).seed(format!("http://{}/0", job.params()))
    })
}

#[test]
fn a_job_that_is_cancelled_or_stopped_while_it_begins_ends_as_soon_as_it_has_begun() {
    let (site, folder) = (site(Duration::from_secs(3_600)), tempfile::tempdir().unwrap());
    let (let_in, gate) = mpsc::channel();
    block_on(async {
        let jobs = open_gated(folder.path(), &site, gate).unwrap();
        let job = jobs.start("alice", "one.test".to_owned()).await.unwrap();
        assert_eq!(job.state, JobState::Running);
        let (cancelled, other) = join(jobs.cancel("alice", job.id), async {
            until("it is cancelled", async || state(&jobs, "alice", job.id).await == JobState::Cancelled).await;
            let other = jobs.start("alice", "two.test".to_owned()).await.unwrap();
            assert_eq!(other.state, JobState::Waiting, "the place is taken until the crawl has ended");
            let_in.send(()).unwrap();
            other
        })
        .await;
        assert_eq!(cancelled.unwrap().state, JobState::Cancelled);
        until("the other begins", async || state(&jobs, "alice", other.id).await == JobState::Running).await;
        let (stopped, ()) = join(jobs.stop_within(Duration::from_secs(10)), async {
            assert_eq!(state(&jobs, "alice", other.id).await, JobState::Running);
            let_in.send(()).unwrap();
        })
        .await;
        assert_eq!(stopped.unwrap(), 1);
        assert_eq!(state(&jobs, "alice", other.id).await, JobState::Running, "it goes on with the next process");
        drop((jobs, let_in));
        let jobs = reopened(folder.path(), &site, 1).await;
        until("it goes on", async || jobs.crawl("alice", other.id).await.is_ok()).await;
        assert_eq!(state(&jobs, "alice", job.id).await, JobState::Cancelled);
        jobs.stop_within(MS).await.unwrap();
    });
}

#[test]
fn a_disk_that_takes_no_record_refuses_and_changes_nothing() {
    let (site, folder) = (site(Duration::from_secs(3_600)), tempfile::tempdir().unwrap());
    block_on(async {
        let jobs = open(folder.path(), &site, 1).unwrap();
        let of_tenant = folder.path().join("tenants/alice");
        fs::write(&of_tenant, "in the way").unwrap();
        let refused = jobs.start("alice", "one.test".to_owned()).await.unwrap_err().to_string();
        assert!(refused.contains("alice"), "{refused}");
        assert!(jobs.list("alice").await.unwrap().is_empty());
        fs::remove_file(&of_tenant).unwrap();
        let id = jobs.start("alice", "one.test".to_owned()).await.unwrap().id;
        until("it runs", async || jobs.crawl("alice", id).await.is_ok()).await;

        let of_job = of_tenant.join(id.to_string());
        let in_the_way = of_job.join("job.json.new");
        fs::create_dir(&in_the_way).unwrap();
        assert!(jobs.cancel("alice", id).await.is_err());
        assert_eq!(state(&jobs, "alice", id).await, JobState::Running);
        assert!(jobs.crawl("alice", id).await.is_ok(), "it runs as before");
        fs::remove_dir(&in_the_way).unwrap();
        assert_eq!(jobs.cancel("alice", id).await.unwrap().state, JobState::Cancelled);
        fs::create_dir(&in_the_way).unwrap();
        assert!(jobs.resume("alice", id).await.is_err());
        assert_eq!(state(&jobs, "alice", id).await, JobState::Cancelled);

        // As a removal leaves it that has failed halfway.
        fs::remove_file(of_job.join("job.json")).unwrap();
        jobs.remove("alice", id).await.unwrap();
        assert!(!of_job.exists());
    });
}

#[test]
fn a_record_that_is_broken_or_leads_out_of_the_folder_is_refused_by_its_path() {
    let (site, folder) = (site(Duration::from_secs(3_600)), tempfile::tempdir().unwrap());
    block_on(async {
        let jobs = open(folder.path(), &site, 1).unwrap();
        let id = jobs.start("alice", "one.test".to_owned()).await.unwrap().id;
        jobs.cancel("alice", id).await.unwrap();
        drop(jobs);
        let path = folder.path().join("tenants/alice").join(id.to_string()).join("job.json");
        let record = fs::read_to_string(&path).unwrap();
        let led_away = record.replace(r#""tenant":"alice""#, r#""tenant":"../alice""#);
        for (wrong, why) in [("{", "EOF"), (&led_away, "of another folder")] {
            fs::write(&path, wrong).unwrap();
            let mut refused = String::new();
            until("the folder is free", async || {
                refused = open(folder.path(), &site, 1).err().unwrap().to_string();
                !refused.contains("another process")
            })
            .await;
            assert!(refused.contains("job.json") && refused.contains(why), "{refused}");
        }
        fs::write(&path, record).unwrap();
        assert_eq!(state(&open(folder.path(), &site, 1).unwrap(), "alice", id).await, JobState::Cancelled);
    });
}

/// Parameters whose own code panics.
#[derive(Clone, Deserialize)]
struct Touchy(String);

impl Serialize for Touchy {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        assert_ne!(self.0, "panic", "over these parameters");
        serializer.serialize_str(&self.0)
    }
}

#[test]
fn parameters_that_panic_fail_what_was_asked_and_leave_the_jobs_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    block_on(async {
        let crawler = |job: &Job<Touchy>| Crawler::new(links as Links, CONTACT).seed(&job.params().0);
        let jobs = Jobs::open(folder.path(), crawler).unwrap();
        let failed = jobs.start("alice", Touchy("panic".to_owned())).await.err().unwrap().to_string();
        assert!(failed.contains("panicked"), "{failed}");
        assert_eq!(jobs.list("alice").await.unwrap().len(), 0);
        let id = jobs.start("alice", Touchy("no url".to_owned())).await.unwrap().id;
        until("it fails", async || jobs.status("alice", id).await.unwrap().state == JobState::Failed).await;
    });
}
