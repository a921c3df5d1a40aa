//! Peak: the most memory that this process takes, from a moment on. Needs Linux.

use std::fs;

pub const MIB: u64 = 1 << 20;

pub struct Peak {
    before: u64,
}

impl Peak {
    pub fn begin() -> Self {
        let before = memory("VmRSS:");
        // Begins a new peak (proc_pid_clear_refs(5)).
        fs::write("/proc/self/clear_refs", "5").unwrap();
        Self { before }
    }

    /// Returns how much more than at the beginning was taken at most, in bytes.
    pub fn taken(&self) -> u64 {
        memory("VmHWM:").saturating_sub(self.before)
    }
}

fn memory(key: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
}
