//! Hosts: whose pages' links are followed: those of the seeds, and those that the seeds redirect to. Knows no pages.

use hashbrown::HashSet;

/// The hosts whose links are followed.
#[derive(Default)]
pub(super) struct Hosts {
    of_seeds: HashSet<String>,
    /// Those that the seeds redirect to. A later run asks no seed again, so a request says for itself that its host is
    /// one.
    learned: HashSet<String>,
}

impl Hosts {
    /// Begins with the hosts of the seeds.
    pub fn of_seeds<'h>(hosts: impl Iterator<Item = &'h str>) -> Self {
        Self { of_seeds: hosts.map(str::to_owned).collect(), ..Self::default() }
    }

    /// Tells whether a host is one of them.
    pub fn has(&self, host: &str) -> bool {
        self.of_seeds.contains(host) || self.learned.contains(host)
    }

    /// Tells whether a host is one of them; from now on, if its page shows that it is.
    pub fn learn(&mut self, host: &str, is_shown: bool) -> bool {
        if self.has(host) {
            return true;
        }
        if is_shown {
            self.learned.insert(host.to_owned());
        }
        is_shown
    }

    /// Returns the first of some hosts that a later run would not know by the seeds.
    pub fn learned<'h>(&self, mut hosts: impl Iterator<Item = &'h str>) -> Option<&'h str> {
        hosts.find(|host| self.learned.contains(*host))
    }
}
