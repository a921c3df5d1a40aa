//! Kills: a crawl in as many processes as it takes, of which some are killed. Knows no site and no output.

#![allow(dead_code, reason = "each test takes what it needs")]

use std::{
    ops::Range,
    process::{Child, Output},
    thread,
    time::Duration,
};

/// Runs a crawl to its end in as many processes as it takes, of which up to `most` are killed after some milliseconds.
/// Returns how many were, and how the last ended, which is for the caller to judge.
pub fn run_and_kill(most: usize, after_ms: Range<u64>, spawn: impl Fn() -> Child) -> (usize, Output) {
    let wait = |_: &mut Child| thread::sleep(Duration::from_millis(fastrand::u64(after_ms.clone())));
    run_and_kill_after(most, wait, spawn)
}

/// The same, where each is killed when it has got on by some requests, as `count` has them, and a moment later.
pub fn run_and_kill_on_its_way(
    most: usize,
    some: Range<usize>,
    count: impl Fn() -> usize,
    spawn: impl Fn() -> Child,
) -> (usize, Output) {
    let wait = |child: &mut Child| {
        let until = count() + fastrand::usize(some.clone());
        while count() < until && child.try_wait().unwrap().is_none() {
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_millis(fastrand::u64(0..20)));
    };
    run_and_kill_after(most, wait, spawn)
}

fn run_and_kill_after(most: usize, wait: impl Fn(&mut Child), spawn: impl Fn() -> Child) -> (usize, Output) {
    let mut kills = 0;
    loop {
        let mut child = spawn();
        if kills < most {
            wait(&mut child);
            if child.try_wait().unwrap().is_none() {
                child.kill().unwrap();
                child.wait().unwrap();
                kills += 1;
                continue;
            }
        }
        return (kills, child.wait_with_output().unwrap());
    }
}

/// Returns how many were killed, of processes of which the last must end well.
pub fn ended_well((kills, output): (usize, Output)) -> usize {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    kills
}

/// Kills a process as soon as `is_time`, which it must live to see.
pub fn kill_when(mut child: Child, mut is_time: impl FnMut() -> bool) {
    while !is_time() {
        assert!(child.try_wait().unwrap().is_none());
        thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}
