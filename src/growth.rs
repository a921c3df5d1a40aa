//! Growth: whether the time that a function takes grows as its input does. Time is that of the thread on a processor,
//! so what else this machine does is not counted. For tests.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Makes a hostile input of a size.
pub type HostileInput = fn(usize) -> String;

/// By how much more than its input the time may grow: four times the input takes a quadratic function four times as
/// much more.
const SLACK: f64 = 2.0;

/// Below this, growth is that of the cache and of the allocator.
const NEGLIGIBLE: Duration = Duration::from_millis(5);

/// Asserts that `read` takes time in proportion to each of the inputs: it is given one of a size and one four times as
/// large.
#[track_caller]
pub fn assert_linear(size: usize, inputs: &[HostileInput], read: impl Fn(&str)) {
    for input in inputs {
        let (small, large) = (input(size), input(4 * size));
        #[allow(clippy::cast_precision_loss, reason = "a ratio")]
        let growth = large.len() as f64 / small.len() as f64;
        // An interrupt may still disturb one.
        let grows = || time_of(&large, &read).as_secs_f64() / time_of(&small, &read).as_secs_f64();
        let is_linear = time_of(&large, &read) < NEGLIGIBLE || (0..5).any(|_| grows() < SLACK * growth);
        let beginning: String = large.chars().take(60).collect();
        assert!(is_linear, "{growth:.1} times as much takes {:.1} times as long: {beginning}", grows());
    }
}

/// The least time of a few.
fn time_of(text: &str, read: &impl Fn(&str)) -> Duration {
    let time = |_| {
        let before = cpu_time();
        read(text);
        cpu_time() - before
    };
    (0..3).map(time).min().unwrap_or_default().max(Duration::from_nanos(1))
}

fn cpu_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap().into()
}

#[test]
fn growth_tells_linear_from_quadratic_time() {
    let letters = |size| "a".repeat(size);
    let count = |text: &str| std::hint::black_box(text.bytes().map(u64::from).sum::<u64>());
    assert_linear(1_000_000, &[letters], |text| {
        count(text);
    });
    let squares = |text: &str| {
        (0..text.len()).for_each(|_| {
            count(text);
        })
    };
    assert!(std::panic::catch_unwind(|| assert_linear(1_000, &[letters], squares)).is_err());
}
