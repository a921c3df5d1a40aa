//! The synthetic links, and the system's numbers for this process.

use std::path::Path;

/// One discovered link.
pub struct Link {
    pub fingerprint: [u8; 16],
    pub domain: u32,
    /// Priority (higher first, here inverted so that it sorts) and age.
    pub order: [u8; 12],
    pub value: Vec<u8>,
}

pub struct Workload {
    domains: f64,
    random: fastrand::Rng,
    pub distinct: u64,
    pub new_in_last_commit: u64,
}

impl Workload {
    pub fn new(domains: u32) -> Self {
        Self { domains: f64::from(domains), random: fastrand::Rng::with_seed(1), distinct: 0, new_in_last_commit: 0 }
    }

    /// Approximately Zipf with exponent 1: the inverse of a logarithmic distribution.
    pub fn domain(&mut self) -> u32 {
        (self.domains.powf(self.random.f64()) - 1.0) as u32
    }

    pub fn commit(&mut self, links: usize) -> Vec<Link> {
        self.new_in_last_commit = 0;
        let mut commit = Vec::with_capacity(links);
        for _ in 0..links {
            let number = if self.distinct > 1_000 && self.random.u8(..5) == 0 {
                self.random.u64(..self.distinct)
            } else {
                self.distinct += 1;
                self.new_in_last_commit += 1;
                self.distinct - 1
            };
            commit.push(self.link(number));
        }
        commit
    }

    fn link(&mut self, number: u64) -> Link {
        let domain = self.domain();
        let priority: u32 = if self.random.u8(..10) == 0 { 0 } else { 1 };
        let mut order = [0; 12];
        order[..4].copy_from_slice(&priority.to_be_bytes());
        order[4..].copy_from_slice(&number.to_be_bytes());
        let value = format!(
            r#"{{"url":"https://www.domain-{domain}.example/section/{:x}/page-{number}.html","depth":{},"parent":"https://www.domain-{domain}.example/"}}"#,
            mix(number) & 0xffff,
            number % 9,
        );
        let (low, high) = (mix(number), mix(number ^ 0x9e37_79b9_7f4a_7c15));
        let mut fingerprint = [0; 16];
        fingerprint[..8].copy_from_slice(&low.to_be_bytes());
        fingerprint[8..].copy_from_slice(&high.to_be_bytes());
        Link { fingerprint, domain, order, value: value.into_bytes() }
    }
}

/// SplitMix64's finisher: a bijection.
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

pub fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

pub fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

pub fn disk_bytes(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => disk_bytes(&entry.path()),
            // Blocks, not lengths: journals are preallocated.
            Ok(meta) => std::os::unix::fs::MetadataExt::blocks(&meta) * 512,
            Err(_) => 0,
        })
        .sum()
}
