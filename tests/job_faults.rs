//! Jobs where something goes wrong: callers that give up, makers that block, spiders that stop, kills, and what
//! strangers send.
#![cfg(feature = "disk")]
#![allow(clippy::disallowed_methods, reason = "tests read clocks")]

mod crawls;
mod job_site;
mod recorder;

use std::{
    fs, io,
    path::Path,
    sync::{Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

use actix_crawler::{
    Conducts,
    jobs::{Job, JobState, Jobs},
    pipeline::{Pipeline, Running, Start},
    prelude::*,
};
use crawls::{CONTACT, Links, MS, block_on, links, until};
use futures_util::{FutureExt, future::join_all};
use job_site::{PAGES, open, open_with, reopened, site, state};
use recorder::{Answer, Recorder};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Opens a folder whose last handle was dropped a moment ago, with other parameters.
async fn open_of<P>(folder: &Path) -> Jobs<P>
where
    P: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
{
    let mut jobs = None;
    until("the folder is free", async || {
        let opened = Jobs::open(folder, |_: &Job<P>| Crawler::new(links as Links, CONTACT).seed("no URL"));
        if let Err(error) = &opened {
            assert!(error.to_string().contains("another process"), "{error}");
        }
        jobs = opened.ok();
        jobs.is_some()
    })
    .await;
    jobs.unwrap()
}

/// Regression: a stranger's parameters kept all jobs of all tenants from being opened again.
#[test]
fn what_could_not_be_read_again_is_refused_when_it_is_given() {
    let [of_lists, of_numbers] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    block_on(async {
        let jobs = open_of::<serde_json::Value>(of_lists.path()).await;
        let nested = format!("{}{}", "[".repeat(127), "]".repeat(127));
        let refused = jobs.start("alice", serde_json::from_str(&nested).unwrap()).await.unwrap_err().to_string();
        assert!(refused.contains("params") && refused.contains("recursion limit"), "{refused}");
        jobs.start("alice", serde_json::json!([1])).await.unwrap();
        drop(jobs);
        assert_eq!(open_of::<serde_json::Value>(of_lists.path()).await.list("alice").await.unwrap().len(), 1);

        let jobs = open_of::<f64>(of_numbers.path()).await;
        assert!(jobs.start("alice", f64::NAN).await.is_err());
        drop(jobs);
        assert!(open_of::<f64>(of_numbers.path()).await.list("alice").await.unwrap().is_empty());
    });
}

/// Regression: the caller ended the crawl, so a job whose caller had gone was cancelled and crawled on.
#[test]
fn a_cancel_and_a_stop_whose_callers_give_up_are_a_cancel_and_a_stop() {
    let (site, folder) = (site(20 * MS), tempfile::tempdir().unwrap());
    block_on(async {
        let jobs = open(folder.path(), &site, 1).unwrap();
        let first = jobs.start("alice", "one.test".to_owned()).await.unwrap();
        let other = jobs.start("alice", "two.test".to_owned()).await.unwrap();
        until("it is under way", async || site.count() >= 2).await;
        assert!(jobs.cancel("alice", first.id).now_or_never().is_none());
        until("the other runs", async || jobs.crawl("alice", other.id).await.is_ok()).await;
        assert_eq!(state(&jobs, "alice", first.id).await, JobState::Cancelled);
        let asked = |host: &str| site.by_host().get(host).map_or(0, Vec::len);
        assert!(asked("one.test") < PAGES, "it has ended");

        assert!(jobs.stop_within(Duration::from_secs(10)).now_or_never().is_none());
        until("it has ended", async || jobs.crawl("alice", other.id).await.is_err()).await;
        assert!(asked("two.test") < PAGES, "it was stopped");
        assert_eq!(state(&jobs, "alice", other.id).await, JobState::Running, "it goes on with the next process");
    });
}

/// Regression: with two places, an end began the next job as long as any other ran.
#[test]
fn no_job_begins_when_nobody_has_a_handle_however_many_run() {
    let folder = tempfile::tempdir().unwrap();
    let site = Recorder::start(|asked| match asked.path[1..].parse::<u32>() {
        Ok(n) if n < 10 => {
            let page = Answer::page([format!("/{}", n + 1)]);
            page.after(if asked.host.starts_with("slow") { 60 * MS } else { 10 * MS })
        }
        _ => Answer::status(404),
    });
    block_on(async {
        let jobs = open(folder.path(), &site, 2).unwrap();
        for host in ["slow1.test", "quick1.test", "slow2.test", "quick2.test"] {
            jobs.start("alice", host.to_owned()).await.unwrap();
        }
        drop(jobs);
        let (mut jobs, mut hosts) = (None, Vec::new());
        until("the folder is free", async || {
            hosts = site.by_host().into_keys().collect();
            jobs = open(folder.path(), &site, 2).ok();
            jobs.is_some()
        })
        .await;
        assert_eq!(hosts, ["quick1.test", "slow1.test"], "no other has begun");
        let jobs = jobs.unwrap();
        let states = async || jobs.list("alice").await.unwrap().iter().map(|job| job.state).collect::<Vec<_>>();
        assert_eq!(states().await[..2], [JobState::Finished; 2]);
        until("all end", async || states().await.iter().all(|state| state.is_over())).await;
    });
}

/// Regression: a maker ran on the thread of all jobs, and what waited for a crawl that began had no end.
#[test]
fn a_maker_that_blocks_holds_up_nobody_else_and_neither_a_cancel_nor_a_stop() {
    let (site, folder) = (site(MS), tempfile::tempdir().unwrap());
    let (let_in, gate) = mpsc::channel::<()>();
    let (rule, conducts, gate) = (site.rule(), Conducts::new(), Mutex::new(gate));
    let begun = Instant::now();
    block_on(async {
        let jobs = Jobs::builder(folder.path())
            .open(move |job: &Job<String>| {
                if job.params() == "blocks" {
                    // Nobody sends; it ends with the test.
                    let _ = gate.lock().unwrap().recv();
                }
                let crawler = Crawler::new(links as Links, CONTACT).conducts(&conducts).resolve(&rule).allow_private();
                crawler.ignore_robots().rate(Rate::UNLIMITED).seed(format!("http://{}/0", job.params()))
            })
            .unwrap();
        let blocked = jobs.start("alice", "blocks".to_owned()).await.unwrap();
        let other = jobs.start("bob", "one.test".to_owned()).await.unwrap();
        until("the other ends", async || state(&jobs, "bob", other.id).await == JobState::Finished).await;
        assert_eq!(jobs.cancel("alice", blocked.id).await.unwrap().state, JobState::Cancelled);
        assert_eq!(jobs.stop_within(50 * MS).await.unwrap(), 1);
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        let refused = jobs.remove("alice", blocked.id).now_or_never();
        assert!(refused.is_none(), "it waits for the end of its crawl");
        drop(let_in);
        jobs.remove("alice", blocked.id).await.unwrap();
    });
}

/// `/0` leads to a page on which the spider stops, and to a slow one.
fn slow_site() -> Recorder {
    Recorder::start(|asked| match &*asked.path {
        "/0" => Answer::page(["/found", "/slow", "/more"]),
        "/slow" => Answer::page(["/later"]).after(400 * MS),
        _ => Answer::page(["/later"]),
    })
}

fn stops_when_found(page: &Response) -> Result<Parsed<String>> {
    let mut parsed = links(page)?;
    if page.url().path() == "/found" {
        parsed.stop("found it");
    }
    Ok(parsed)
}

fn open_that_stops(folder: &Path, site: &Recorder, spider: Links) -> Result<Jobs<String>> {
    let (rule, conducts) = (site.rule(), Conducts::new());
    Jobs::open(folder, move |job: &Job<String>| {
        let crawler = Crawler::new(spider, CONTACT).conducts(&conducts).resolve(&rule).allow_private();
        crawler.ignore_robots().rate(Rate::UNLIMITED).per_domain(2).seed(job.params())
    })
}

/// Regression: what its spider or its handle had stopped went on with the next process, if the service ended meanwhile.
#[test]
fn a_job_that_was_stopped_is_over_also_if_its_service_ends_while_it_drains() {
    for (spider, why) in [(stops_when_found as Links, Some("the spider says: found it")), (links as Links, None)] {
        let (site, folder) = (slow_site(), tempfile::tempdir().unwrap());
        block_on(async {
            let jobs = open_that_stops(folder.path(), &site, spider).unwrap();
            let id = jobs.start("alice", "http://one.test/0".to_owned()).await.unwrap().id;
            until("both are asked for", async || site.count() >= 3).await;
            until("it is read", async || jobs.status("alice", id).await.unwrap().progress.pages >= 2).await;
            if why.is_none() {
                jobs.crawl("alice", id).await.unwrap().stop().await;
            }
            jobs.stop_within(Duration::from_secs(10)).await.unwrap();
            drop(jobs);
            let asked = site.count();
            let mut jobs = None;
            until("the folder is free", async || {
                jobs = open_that_stops(folder.path(), &site, spider).ok();
                jobs.is_some()
            })
            .await;
            let status = jobs.unwrap().status("alice", id).await.unwrap();
            assert_eq!((status.state, status.why.as_deref()), (JobState::Stopped, why));
            assert_eq!(site.count(), asked);
        });
    }
}

/// Regression: a name that a stranger gave led to the cookies of the crawl's sessions.
#[test]
fn no_name_of_a_file_leads_to_the_state_or_the_record_of_a_job() {
    let (site, folder) = (site(MS), tempfile::tempdir().unwrap());
    block_on(async {
        let jobs = open(folder.path(), &site, 1).unwrap();
        let job = jobs.start("alice", "one.test".to_owned()).await.unwrap();
        until("it ends", async || state(&jobs, "alice", job.id).await == JobState::Finished).await;
        for name in ["job.json", "state/lock", "state/store", "../state/lock", "state"] {
            let file = jobs.file("alice", job.id, name).await;
            assert!(file.is_err() || !file.unwrap().exists(), "{name}");
        }
        assert!(jobs.file("alice", job.id, "urls.jsonl").await.unwrap().exists());
    });
}

#[test]
fn what_is_left_of_jobs_that_were_removed_or_not_accepted_is_deleted_when_they_are_opened() {
    let (site, folder) = (site(MS), tempfile::tempdir().unwrap());
    let of_tenant = folder.path().join("tenants/alice");
    for leftover in [".removed-5", ".new-6"] {
        fs::create_dir_all(of_tenant.join(leftover).join("state")).unwrap();
        fs::write(of_tenant.join(leftover).join("state/x"), "x").unwrap();
    }
    fs::create_dir_all(of_tenant.join("7/own")).unwrap();
    fs::create_dir_all(folder.path().join("tenants/lost+found/8")).unwrap();
    block_on(async {
        let jobs = open(folder.path(), &site, 1).unwrap();
        let names = || fs::read_dir(&of_tenant).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
        until("they are gone", async || names() == ["7"]).await;
        assert!(of_tenant.join("7/own").is_dir(), "it is nothing of ours");
        assert!(jobs.list("alice").await.unwrap().is_empty());
    });
}

/// Regression: the files of a job were deleted while everybody waited.
#[test]
fn a_job_with_many_files_is_removed_at_once_and_its_files_are_deleted_beside() {
    const FILES: usize = 30_000;
    let (site, folder) = (site(MS), tempfile::tempdir().unwrap());
    let fill = |folder: &Path| (0..FILES).for_each(|n| fs::write(folder.join(n.to_string()), "").unwrap());
    block_on(async {
        let jobs = open(folder.path(), &site, 1).unwrap();
        let job = jobs.start("alice", "one.test".to_owned()).await.unwrap();
        until("it ends", async || state(&jobs, "alice", job.id).await == JobState::Finished).await;
        fill(jobs.file("alice", job.id, "x").await.unwrap().parent().unwrap());
        let alike = folder.path().join("alike");
        fs::create_dir(&alike).unwrap();
        fill(&alike);
        let begun = Instant::now();
        fs::remove_dir_all(&alike).unwrap();
        let (deleting, begun) = (begun.elapsed(), Instant::now());
        jobs.remove("alice", job.id).await.unwrap();
        jobs.list("alice").await.unwrap();
        assert!(begun.elapsed() < deleting / 2, "{:?} of {deleting:?}", begun.elapsed());
        let of_tenant = folder.path().join("tenants/alice");
        until("all is gone", async || fs::read_dir(&of_tenant).unwrap().count() == 0).await;
    });
}

#[test]
fn an_id_is_not_given_again_when_the_clock_was_set_back_and_the_job_removed() {
    let (site, folder) = (site(MS), tempfile::tempdir().unwrap());
    block_on(async {
        let jobs = open(folder.path(), &site, 1).unwrap();
        let id = jobs.start("alice", "no host".to_owned()).await.unwrap().id;
        until("it fails", async || state(&jobs, "alice", id).await == JobState::Failed).await;
        drop(jobs);
        // As if it had been given when the clock was an hour ahead.
        let later = id + 3_600_000;
        let of = |id: u64| folder.path().join("tenants/alice").join(id.to_string());
        fs::rename(of(id), of(later)).unwrap();
        let record = fs::read_to_string(of(later).join("job.json")).unwrap();
        fs::write(of(later).join("job.json"), record.replace(&id.to_string(), &later.to_string())).unwrap();
        reopened(folder.path(), &site, 1).await.remove("alice", later).await.unwrap();
        let jobs = reopened(folder.path(), &site, 1).await;
        assert!(jobs.start("alice", "no host".to_owned()).await.unwrap().id > later);
    });
}

/// Regression: with one place, all jobs of the tenant who came first went before those of the others.
#[test]
fn tenants_take_turns_also_with_one_place_and_a_resumed_job_waits_behind_the_others() {
    let (site, folder) = (site(MS), tempfile::tempdir().unwrap());
    block_on(async {
        let jobs = open(folder.path(), &site, 1).unwrap();
        let mut ids = Vec::new();
        for (tenant, host) in [("alice", "a1.test"), ("alice", "a2.test"), ("alice", "a3.test"), ("bob", "b1.test")] {
            ids.push((tenant, jobs.start(tenant, host.to_owned()).await.unwrap().id));
        }
        jobs.cancel("alice", ids[1].1).await.unwrap();
        jobs.resume("alice", ids[1].1).await.unwrap();
        for (tenant, id) in ids {
            until("it ends", async || state(&jobs, tenant, id).await == JobState::Finished).await;
        }
        let first = site.asked().into_iter().filter(|asked| asked.path == "/0").map(|asked| asked.host);
        assert_eq!(first.collect::<Vec<_>>(), ["a1.test", "b1.test", "a3.test", "a2.test"]);
    });
}

/// Parameters that cannot be copied.
#[derive(Deserialize, Serialize)]
struct Touchy(String);

impl Clone for Touchy {
    fn clone(&self) -> Self {
        assert_ne!(self.0, "panic", "over these parameters");
        Self(self.0.clone())
    }
}

/// Regression: the job was on disk, and panicked whenever a place was free.
#[test]
fn parameters_that_cannot_be_copied_are_refused_and_those_of_a_record_fail_their_job() {
    let folder = tempfile::tempdir().unwrap();
    block_on(async {
        let jobs = open_of::<Touchy>(folder.path()).await;
        assert!(jobs.start("alice", Touchy("panic".to_owned())).await.is_err());
        assert_eq!(jobs.list("alice").await.unwrap().len(), 0);
        let id = jobs.start("alice", Touchy("fails".to_owned())).await.unwrap().id;
        until("it fails", async || jobs.status("alice", id).await.unwrap().state == JobState::Failed).await;
        drop(jobs);
        let path = folder.path().join("tenants/alice").join(id.to_string()).join("job.json");
        let record = fs::read_to_string(&path).unwrap();
        fs::write(
            &path,
            record.replace(r#""fails""#, r#""panic""#).replace(r#""state":"failed""#, r#""state":"waiting""#),
        )
        .unwrap();
        let jobs = open_of::<Touchy>(folder.path()).await;
        let id = jobs.start("alice", Touchy("fails".to_owned())).await.unwrap().id;
        until("it fails", async || jobs.status("alice", id).await.unwrap().state == JobState::Failed).await;
    });
}

/// Regression: a job that waited for a place was removed, although it had been resumed meanwhile.
#[test]
fn a_job_that_waits_has_no_crawl_and_says_so_and_shows_no_more_why_it_failed() {
    let (site, folder) = (site(Duration::from_secs(3_600)), tempfile::tempdir().unwrap());
    block_on(async {
        let jobs = open(folder.path(), &site, 1).unwrap();
        let failed = jobs.start("alice", "no host".to_owned()).await.unwrap().id;
        until("it fails", async || state(&jobs, "alice", failed).await == JobState::Failed).await;
        assert!(jobs.status("alice", failed).await.unwrap().why.is_some());
        let running = jobs.start("alice", "one.test".to_owned()).await.unwrap();
        let resumed = jobs.resume("alice", failed).await.unwrap();
        assert_eq!((resumed.state, resumed.why), (JobState::Waiting, None));
        let refused = jobs.crawl("alice", failed).await.err().unwrap().to_string();
        assert!(refused.contains("does not run"), "{refused}");
        assert_eq!(state(&jobs, "alice", running.id).await, JobState::Running);
        jobs.stop_within(MS).await.unwrap();
    });
}

/// Two requests with one key came at once, and made two jobs.
#[test]
fn a_job_of_one_name_is_taken_once_by_each_tenant_also_after_a_restart() {
    let (site, folder) = (site(MS), tempfile::tempdir().unwrap());
    block_on(async {
        let jobs = open(folder.path(), &site, 1).unwrap();
        let twice = ["one.test", "two.test"].map(|host| jobs.start_once("alice", "key 1", host.to_owned()));
        let twice = join_all(twice).await.into_iter().map(Result::unwrap).collect::<Vec<_>>();
        assert_eq!((twice[0].id, &*twice[0].params), (twice[1].id, &*twice[1].params));
        let of_bob = jobs.start_once("bob", "key 1", "one.test".to_owned()).await.unwrap();
        assert_ne!(of_bob.id, twice[0].id);
        for name in ["", "a\nb", &"x".repeat(257)] {
            assert!(jobs.start_once("alice", name, "one.test".to_owned()).await.is_err(), "{name:?}");
        }
        until("it ends", async || state(&jobs, "alice", twice[0].id).await == JobState::Finished).await;
        jobs.stop_within(MS).await.unwrap();
        assert_eq!(
            jobs.start_once("alice", "key 1", String::new()).await.unwrap().id,
            twice[0].id,
            "it is none to take"
        );
        drop(jobs);
        let jobs = reopened(folder.path(), &site, 1).await;
        let again = jobs.start_once("alice", "key 1", "one.test".to_owned()).await.unwrap();
        assert_eq!((again.id, again.name.as_deref()), (twice[0].id, Some("key 1")));
        jobs.remove("alice", again.id).await.unwrap();
        assert_ne!(jobs.start_once("alice", "key 1", "one.test".to_owned()).await.unwrap().id, again.id);
    });
}

#[test]
fn jobs_are_listed_in_pages_and_a_tenant_has_a_bound_of_its_own() {
    let (site, folder) = (site(Duration::from_secs(3_600)), tempfile::tempdir().unwrap());
    block_on(async {
        let jobs = open_with(Jobs::builder(folder.path()).max_running(1).max_jobs_per_tenant(3), &site).unwrap();
        let mut given = Vec::new();
        for host in ["one.test", "two.test", "three.test"] {
            given.push(jobs.start("alice", host.to_owned()).await.unwrap().id);
            jobs.start("bob", host.to_owned()).await.unwrap();
        }
        let refused = jobs.start("alice", "four.test".to_owned()).await.unwrap_err();
        assert!(refused.to_string().contains("max_jobs_per_tenant"), "{refused}");
        let page = async |after, most| {
            let page = jobs.list_page("alice", after, most).await.unwrap();
            page.iter().map(|job| job.id).collect::<Vec<_>>()
        };
        assert_eq!(page(0, 2).await, given[..2]);
        assert_eq!(page(given[1], 2).await, given[2..]);
        assert!(
            page(given[2], 2).await.is_empty() && page(u64::MAX, 2).await.is_empty() && page(0, 0).await.is_empty()
        );
        jobs.stop_within(MS).await.unwrap();
    });
}

#[test]
fn a_folder_of_an_earlier_version_is_refused_and_left_as_it_is() {
    let (site, folder) = (site(MS), tempfile::tempdir().unwrap());
    fs::create_dir_all(folder.path().join("alice/5")).unwrap();
    fs::write(folder.path().join("lock"), "").unwrap();
    let refused = open(folder.path(), &site, 1).err().unwrap().to_string();
    assert!(refused.contains("an earlier version"), "{refused}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[cfg(unix)]
#[test]
fn a_tenant_may_be_called_lock_and_a_link_to_another_disk_is_its_folder() {
    let (site, folder, elsewhere) = (site(MS), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    block_on(async {
        fs::create_dir(folder.path().join("tenants")).unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), folder.path().join("tenants/alice")).unwrap();
        let jobs = open(folder.path(), &site, 1).unwrap();
        let mut ids = Vec::new();
        for tenant in ["alice", "lock"] {
            let id = jobs.start(tenant, "no host".to_owned()).await.unwrap().id;
            until("it fails", async || state(&jobs, tenant, id).await == JobState::Failed).await;
            ids.push((tenant, id));
        }
        assert!(elsewhere.path().join(ids[0].1.to_string()).is_dir());
        drop(jobs);
        let jobs = reopened(folder.path(), &site, 1).await;
        for (tenant, id) in ids {
            assert_eq!(state(&jobs, tenant, id).await, JobState::Failed);
            jobs.remove(tenant, id).await.unwrap();
        }
        until("it is gone", async || fs::read_dir(elsewhere.path()).unwrap().count() == 0).await;
    });
}

/// An output beyond its owner's quota.
struct Full;

impl Pipeline<String> for Full {
    fn start(&self, _: &Start) -> Result<Running<String>> {
        Err(Error::file("urls.jsonl", io::ErrorKind::QuotaExceeded.into()))
    }
}

/// Regression: it was tried again before those behind it, since it had waited longest, and none of them ever began.
#[test]
fn a_job_that_lacks_something_that_others_have_lets_them_go_first() {
    let (site, folder) = (site(MS), tempfile::tempdir().unwrap());
    let (rule, conducts) = (site.rule(), Conducts::new());
    block_on(async {
        let jobs = Jobs::builder(folder.path()).max_running(1).open(move |job: &Job<String>| {
            let crawler = Crawler::new(links as Links, CONTACT).conducts(&conducts).resolve(&rule).allow_private();
            let crawler = crawler.ignore_robots().rate(Rate::UNLIMITED).seed(format!("http://{}/0", job.params()));
            if job.params() == "full.test" { crawler.pipeline(Full) } else { crawler }
        });
        let jobs = jobs.unwrap();
        let full = jobs.start("alice", "full.test".to_owned()).await.unwrap();
        let other = jobs.start("alice", "one.test".to_owned()).await.unwrap();
        until("the other ends", async || state(&jobs, "alice", other.id).await == JobState::Finished).await;
        assert!(!state(&jobs, "alice", full.id).await.is_over());
    });
}

/// What the tests below run in a process of their own, which may open few files.
#[cfg(unix)]
mod few_files {
    use std::{env, fs::File, path::PathBuf, process::Command};

    use nix::sys::resource::{Resource, setrlimit};

    use super::*;

    const FOLDER: &str = "JOB_FAULTS_FOLDER";
    const FILES: &str = "JOB_FAULTS_FILES";

    /// What a test says in whose course a job has waited for files.
    const WAITED: &str = "a job has waited";

    /// Runs a test of this file again, in a process of its own, which may open so many files. Returns what it has said.
    fn again(test: &str, files: u64) -> String {
        let folder = tempfile::tempdir().unwrap();
        let name = format!("few_files::{test}");
        let run = Command::new(env::current_exe().unwrap())
            .args([&*name, "--exact", "--nocapture"])
            .envs([(FOLDER, folder.path().as_os_str()), (FILES, files.to_string().as_ref())])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stdout).into_owned();
        assert!(run.status.success(), "{files} files: {said}\n{}", String::from_utf8_lossy(&run.stderr));
        said
    }

    /// Returns the folder of a test that runs again, with its limit set; `None` where it is to be run again.
    fn limited() -> Option<PathBuf> {
        let (folder, files) = (env::var_os(FOLDER)?, env::var(FILES).ok()?.parse().ok()?);
        setrlimit(Resource::RLIMIT_NOFILE, files, files).unwrap();
        Some(folder.into())
    }

    /// Regression: each job that found no free files failed for good, and the next one was tried at once.
    #[test]
    fn jobs_that_this_machine_has_no_files_for_wait_until_it_has() {
        let Some(folder) = limited() else {
            let again = |files| again("jobs_that_this_machine_has_no_files_for_wait_until_it_has", files);
            let said = [70, 80, 90, 100].map(again).concat();
            assert!(said.contains(WAITED), "the limits are low enough: {said}");
            return;
        };
        let site = site(MS);
        block_on(async {
            let jobs = open_with(Jobs::builder(folder).max_running(4), &site).unwrap();
            for n in 0..10 {
                jobs.start("alice", format!("host{n}.test")).await.unwrap();
            }
            let list = async || jobs.list("alice").await.unwrap();
            let mut has_waited = false;
            until("all end", async || {
                let list = list().await;
                has_waited |= list.iter().any(|job| job.state == JobState::Waiting && job.why.is_some());
                list.iter().all(|job| job.state.is_over())
            })
            .await;
            for job in list().await {
                assert_eq!((job.state, job.progress.pages), (JobState::Finished, PAGES as u64), "{job:?}");
            }
            if has_waited {
                println!("{WAITED}");
            }
        });
    }

    /// Regression: the record was renamed before its folder could not be opened, so a change that was refused was made.
    #[test]
    fn a_change_that_is_refused_for_want_of_files_is_not_on_the_disk() {
        let Some(folder) = limited() else {
            again("a_change_that_is_refused_for_want_of_files_is_not_on_the_disk", 160);
            return;
        };
        block_on(async {
            let jobs = open_of::<String>(&folder).await;
            let id = jobs.start("alice", String::new()).await.unwrap().id;
            until("it fails", async || state(&jobs, "alice", id).await == JobState::Failed).await;
            // The thread of the crawl has closed its files.
            thread::sleep(100 * MS);
            let mut all = Vec::new();
            while let Ok(file) = File::open("/dev/null") {
                all.push(file);
            }
            drop(all.pop());
            assert!(jobs.resume("alice", id).await.is_err());
            drop((all, jobs));
            assert_eq!(state(&open_of::<String>(&folder).await, "alice", id).await, JobState::Failed);
        });
    }
}
