//! Niceness: how far threads give way to others of the machine. Knows no crawl.

/// The largest niceness: such a thread runs when hardly anybody else wants to.
pub const MAX_NICENESS: u8 = 19;

/// Makes this thread, and all that it starts from now on, at least as nice as `niceness`, as `nice(1)` does for a
/// process. Only Linux has a niceness for each thread; on other systems this changes nothing.
pub fn give_way(niceness: u8) {
    if niceness == 0 {
        return;
    }
    #[cfg(target_os = "linux")]
    if let Err(error) = raise(i32::from(niceness)) {
        tracing::warn!(niceness, %error, "the niceness of a thread cannot be set");
    }
}

#[cfg(target_os = "linux")]
fn raise(niceness: i32) -> std::io::Result<()> {
    use rustix::process::{getpriority_process, setpriority_process};
    // Without a process, Linux takes the calling thread. A process that is nicer already may not become less so.
    if getpriority_process(None)? < niceness {
        setpriority_process(None, niceness)?;
    }
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::thread;

    use rustix::process::getpriority_process;

    use super::*;

    #[test]
    fn a_thread_and_those_it_starts_are_nicer_and_never_less_nice_than_before_and_no_other_is() {
        let own = || getpriority_process(None).unwrap();
        let before = own();
        let started = thread::spawn(move || {
            give_way(7);
            let own_one = own();
            give_way(3);
            (own_one, own(), thread::spawn(own).join().unwrap())
        });
        let nice = before.max(7);
        assert_eq!(started.join().unwrap(), (nice, nice, nice));
        assert_eq!(own(), before);
    }
}
