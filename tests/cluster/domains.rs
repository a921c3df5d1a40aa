//! Domains: servers with one port, each at an address of its own and so a domain of its own.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, TcpListener},
    time::Duration,
};

use super::recorder::{Answer, Asked, Recorder};

/// Starts them. `answer` is told which of them is asked, and the port of all.
pub fn start(
    addresses: impl IntoIterator<Item = Ipv4Addr>,
    port: Option<u16>,
    answer: impl Fn(&Asked, u32, u16) -> Answer + Clone + Send + Sync + 'static,
) -> Vec<Recorder> {
    let mut port = port.unwrap_or(0);
    let mut listeners = Vec::new();
    for address in addresses {
        let listener = TcpListener::bind((address, port)).unwrap();
        port = listener.local_addr().unwrap().port();
        listeners.push(listener);
    }
    let recorder = |(listener, domain)| {
        let answer = answer.clone();
        Recorder::at(listener, move |asked| answer(asked, domain, port))
    };
    listeners.into_iter().zip(0..).map(recorder).collect()
}

/// How often each page was requested.
pub fn times(recorders: &[Recorder]) -> BTreeMap<String, usize> {
    let mut times = BTreeMap::new();
    for recorder in recorders {
        for asked in recorder.asked().iter().filter(|asked| asked.path != "/robots.txt") {
            *times.entry(recorder.url(&asked.path)).or_default() += 1;
        }
    }
    times
}

/// The shortest time between two requests to one of them.
pub fn smallest_gap(recorders: &[Recorder]) -> Duration {
    recorders.iter().map(|recorder| recorder.arrivals().smallest_gap()).min().unwrap()
}
