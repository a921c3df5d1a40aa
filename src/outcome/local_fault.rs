//! LocalFault: what is wrong with this machine when a request cannot be sent. Does not know whose fault a failure is
//! where that is open: see `suspicion`.

use std::{fmt, io, io::ErrorKind};

use serde::{Serialize, Serializer};

/// A fault of this machine, not of the server that was to be asked. It costs a URL no attempt.
///
/// ```
/// use actix_crawler::outcome::{FetchError, LocalFault};
///
/// fn is_out_of_files(error: &FetchError) -> bool {
///     matches!(error, FetchError::Local(LocalFault::Files, ..))
/// }
/// assert_eq!(LocalFault::Files.key(), "files");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum LocalFault {
    /// The process, or the system, has as many files open as it may (`EMFILE`, `ENFILE`).
    Files,
    /// The system has no memory for a socket (`ENOBUFS`, `ENOMEM`).
    Memory,
    /// No local port is free (`EADDRNOTAVAIL`).
    Ports,
    /// No network can be reached (`ENETUNREACH`, `ENETDOWN`).
    Network,
    /// No host can be reached (`EHOSTUNREACH`, or `EACCES`, `EPERM` and `EINVAL` of `connect`, for several domains in a
    /// row), as where the gateway is down, or a firewall or a route of this machine forbids all.
    Hosts,
    /// No name server answers: none does whatever is asked, or `EAI_AGAIN` or `SERVFAIL` comes for several domains in a
    /// row.
    NameServers,
}

impl LocalFault {
    /// Returns the word that logs and counters use.
    pub fn key(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Memory => "memory",
            Self::Ports => "ports",
            Self::Network => "network",
            Self::Hosts => "hosts",
            Self::NameServers => "name_servers",
        }
    }

    /// Returns the fault that an error of a socket is, or may be.
    pub(crate) fn of(error: &io::Error) -> Option<Self> {
        match error.kind() {
            ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => return Some(Self::Network),
            ErrorKind::HostUnreachable => return Some(Self::Hosts),
            ErrorKind::AddrNotAvailable => return Some(Self::Ports),
            ErrorKind::OutOfMemory => return Some(Self::Memory),
            _ => {}
        }
        of_errno(error.raw_os_error()?)
    }

    /// Returns the fault that an error of connecting is, or may be. What a firewall or a `prohibit` route of this
    /// machine forbids fails with `EACCES` or `EPERM` (connect(2)), and what a `blackhole` route swallows with
    /// `EINVAL`.
    pub(crate) fn of_connecting(error: &io::Error) -> Option<Self> {
        let is_forbidden = matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::InvalidInput);
        Self::of(error).or(is_forbidden.then_some(Self::Hosts))
    }

    /// Tells whether a socket of ours that closes may end it.
    pub(crate) fn is_shortage(self) -> bool {
        matches!(self, Self::Files | Self::Memory | Self::Ports)
    }
}

/// The errors that the standard library has no kind for.
#[cfg(unix)]
fn of_errno(errno: i32) -> Option<LocalFault> {
    use rustix::io::Errno;
    match Errno::from_raw_os_error(errno) {
        Errno::MFILE | Errno::NFILE => Some(LocalFault::Files),
        Errno::NOBUFS => Some(LocalFault::Memory),
        _ => None,
    }
}

#[cfg(not(unix))]
fn of_errno(_: i32) -> Option<LocalFault> {
    None
}

impl fmt::Display for LocalFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Files => "too many open files on this machine",
            Self::Memory => "no memory for sockets on this machine",
            Self::Ports => "no local port to connect from",
            Self::Network => "no route to any network",
            Self::Hosts => "no host can be reached",
            Self::NameServers => "no name server answers",
        })
    }
}

impl Serialize for LocalFault {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn errors_of_this_machine_are_told_from_those_of_servers() {
        use rustix::io::Errno;
        for (errno, fault) in [
            (Errno::MFILE, Some(LocalFault::Files)),
            (Errno::NFILE, Some(LocalFault::Files)),
            (Errno::NOBUFS, Some(LocalFault::Memory)),
            (Errno::NOMEM, Some(LocalFault::Memory)),
            (Errno::ADDRNOTAVAIL, Some(LocalFault::Ports)),
            (Errno::NETUNREACH, Some(LocalFault::Network)),
            (Errno::NETDOWN, Some(LocalFault::Network)),
            (Errno::HOSTUNREACH, Some(LocalFault::Hosts)),
            (Errno::CONNREFUSED, None),
            (Errno::CONNRESET, None),
            (Errno::TIMEDOUT, None),
        ] {
            let error = io::Error::from_raw_os_error(errno.raw_os_error());
            assert_eq!(LocalFault::of(&error), fault, "{errno:?}");
            assert_eq!(LocalFault::of_connecting(&error), fault, "{errno:?}");
        }
    }
}
