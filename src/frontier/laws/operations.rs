//! Operations: the random operations on a frontier. Knows no frontier.

/// One step of a trial. Domains and pages are small numbers, so that they recur.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    Offer {
        domain: u8,
        page: u8,
        rank: i32,
        dont_filter: bool,
    },
    Lease {
        domain: u8,
    },
    /// Settles one of the leases.
    Settle {
        which: usize,
    },
    GiveBack {
        which: usize,
        delay: Option<u8>,
        attempted: bool,
    },
    /// Drains waiting requests, in several steps of several each, or fewer if nothing is left.
    Drain {
        domain: u8,
        max: usize,
        steps: usize,
    },
    Pass {
        seconds: u8,
    },
    Commit,
    /// Waits until everything committed is stored.
    Sync,
    Kill,
    /// Hands a domain over to another process, or takes it back.
    HandOver {
        domain: u8,
        to_us: bool,
    },
}

impl Operation {
    /// Returns a simpler operation with the same effect, if there is one.
    pub fn simpler(&self) -> Option<Self> {
        match *self {
            Self::Settle { which: 1.. } => Some(Self::Settle { which: 0 }),
            Self::GiveBack { which: 1.., delay, attempted } => Some(Self::GiveBack { which: 0, delay, attempted }),
            _ => None,
        }
    }
}

/// Domains in a trial.
pub(super) const DOMAINS: u8 = 3;

/// Pages of a domain.
const PAGES: u8 = 60;

/// Pages that are offered more often than others.
const COMMON_PAGES: u8 = 6;

pub(super) fn random_operations(random: &mut fastrand::Rng) -> Vec<Operation> {
    let length = random.usize(0..200);
    (0..length).map(|_| random_operation(random)).collect()
}

fn random_operation(random: &mut fastrand::Rng) -> Operation {
    let domain = random.u8(0..DOMAINS);
    match random.u8(0..46) {
        0..12 => {
            let pages = if random.bool() { PAGES } else { COMMON_PAGES };
            let page = random.u8(0..pages);
            let dont_filter = random.bool() && page < COMMON_PAGES;
            Operation::Offer { domain, page, rank: random.i32(-1..2), dont_filter }
        }
        12..22 => Operation::Lease { domain },
        22..27 => Operation::Settle { which: random.usize(0..8) },
        27..31 => {
            let delay = random.bool().then(|| random.u8(0..4));
            Operation::GiveBack { which: random.usize(0..8), delay, attempted: random.bool() }
        }
        31 => Operation::Drain { domain, max: random.usize(1..8), steps: random.usize(1..20) },
        32..35 => Operation::Pass { seconds: random.u8(1..4) },
        35..41 => Operation::Commit,
        41 => Operation::Sync,
        42..44 => Operation::Kill,
        _ => Operation::HandOver { domain, to_us: random.bool() },
    }
}
