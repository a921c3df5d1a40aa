//! AddressGuard: decides which addresses may be connected to. Resolves no names and opens no connections; the caller
//! checks each address immediately before connecting to it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use ipnet::IpNet;
use ipnet::{Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use url::{Host, Url};

use crate::user_agent::is_loopback;

/// Refuses every address that is not part of the public internet, unless it is allowed here. A crawler follows links
/// written by strangers; without this check such a link could reach servers of the private network that the crawler
/// runs in.
///
/// Every address that we connect to is checked, on every hop. An HTTP proxy, and a `socks5h` proxy, resolve names
/// themselves: there only literal addresses and names can be checked, and names known to be private are refused
/// ([`AddressGuard::check_name`]). A proxy for untrusted URLs should refuse private addresses itself.
///
/// ```
/// use actix_crawler::transport::AddressGuard;
///
/// let guard = AddressGuard::default();
/// assert!(guard.check("192.168.0.1".parse().unwrap()).is_err());
/// assert!(guard.check("1.1.1.1".parse().unwrap()).is_ok());
/// assert!(guard.check_name("metadata.google.internal").is_err());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AddressGuard {
    /// Whether every address may be connected to.
    pub allow_private: bool,
    /// Networks that may be connected to although they are not public, such as `10.1.0.0/16` or `127.0.0.2/32`.
    pub allow: Vec<IpNet>,
}

/// An address that the guard refuses.
///
/// ```
/// use actix_crawler::transport::AddressGuard;
///
/// let refused = AddressGuard::default().check("169.254.169.254".parse()?).unwrap_err();
/// assert_eq!(refused.kind, "a cloud metadata address");
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "{address} is {kind} and is not connected to; allow_private(), or --allow-private on the command line, permits \
     all such addresses, and allow_address() or --allow-address single networks"
)]
pub struct RefusedAddress {
    /// The address.
    pub address: IpAddr,
    /// What kind of address it is.
    pub kind: &'static str,
}

impl AddressGuard {
    /// Checks a name that a proxy will resolve, so that its address cannot be checked. Refuses names known to belong to
    /// metadata services or private networks; any other name passes, even if it resolves to a private address. Where we
    /// resolve the name ourselves (without a proxy, or with `socks5`), its addresses are checked by
    /// [`AddressGuard::check`].
    ///
    /// # Errors
    /// The name is known to be private, and private addresses are not allowed.
    pub fn check_name(&self, name: &str) -> Result<(), RefusedName> {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let kind = match () {
            () if self.allow_private => return Ok(()),
            () if METADATA_NAMES.contains(&name.as_str()) => "a cloud metadata service",
            () if PRIVATE_ENDINGS.iter().any(|ending| name.ends_with(ending)) => "a host of a private network",
            () => return Ok(()),
        };
        Err(RefusedName { name, kind })
    }

    /// Checks the host of a URL as far as it says by itself where it leads: an address, or a name of this machine. All
    /// other names are resolved later, and their addresses checked then.
    ///
    /// ```
    /// use actix_crawler::transport::AddressGuard;
    ///
    /// let guard = AddressGuard::default();
    /// assert!(guard.check_url(&"http://localhost:8080/".parse()?).is_err());
    /// assert!(guard.check_url(&"https://example.org/".parse()?).is_ok());
    /// # Ok::<(), url::ParseError>(())
    /// ```
    ///
    /// # Errors
    /// As [`AddressGuard::check`].
    pub fn check_url(&self, url: &Url) -> Result<(), RefusedAddress> {
        match url.host() {
            Some(Host::Ipv4(address)) => self.check(address.into()),
            Some(Host::Ipv6(address)) => self.check(address.into()),
            _ if is_loopback(url) => self.check(Ipv4Addr::LOCALHOST.into()),
            _ => Ok(()),
        }
    }

    /// Checks an address.
    ///
    /// # Errors
    /// The address is not public, and no setting allows it; the message names the option that would.
    pub fn check(&self, address: IpAddr) -> Result<(), RefusedAddress> {
        if self.allow_private || self.allow.iter().any(|network| network.contains(&address)) {
            return Ok(());
        }
        let refused = |kind| Err(RefusedAddress { address, kind });
        match address {
            IpAddr::V4(v4) => kind_of_v4(v4).map_or(Ok(()), refused),
            IpAddr::V6(v6) => match embedded_in(v6) {
                Some(Embedded { form, targets }) => {
                    // The embedded addresses decide; the error shows the address as it was given.
                    let hidden = targets.into_iter().flatten().find(|target| self.check((*target).into()).is_err());
                    hidden.map_or(Ok(()), |_| refused(form))
                }
                None => kind_of_v6(v6).map_or(Ok(()), refused),
            },
        }
    }
}

/// A name that the guard refuses to have resolved by a proxy.
///
/// ```
/// use actix_crawler::transport::AddressGuard;
///
/// let refused = AddressGuard::default().check_name("Printer.local").unwrap_err();
/// assert_eq!((refused.name.as_str(), refused.kind), ("printer.local", "a host of a private network"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "`{name}` names {kind} and is not asked for through a proxy, which would look it up unseen; allow_private(), or \
     --allow-private on the command line, permits it"
)]
pub struct RefusedName {
    /// The name, in lower case.
    pub name: String,
    /// What it names.
    pub kind: &'static str,
}

/// Names at which clouds and clusters serve their machines' credentials: Google Cloud, AWS, Tencent Cloud, Equinix
/// Metal and Rancher.
const METADATA_NAMES: [&str; 9] = [
    "metadata",
    "metadata.goog",
    "metadata.google.internal",
    "instance-data",
    "instance-data.ec2.internal",
    "metadata.tencentyun.com",
    "metadata.platformequinix.com",
    "metadata.packet.net",
    "rancher-metadata",
];

/// Endings that no public name has: RFC 6761 §6.3, RFC 6762 §3, RFC 8375, ICANN's reservation of `internal` (2024), and
/// Kubernetes services.
const PRIVATE_ENDINGS: [&str; 5] = [".localhost", ".local", ".home.arpa", ".internal", ".svc"];

type Kinds<Network> = &'static [(Network, &'static str)];

/// The IANA IPv4 Special-Purpose Address Registry (RFC 6890) without its globally reachable entries that a web server
/// may have; also multicast, class E, and the addresses at which clouds serve credentials to their machines.
const V4: Kinds<Ipv4Net> = &[
    (v4(169, 254, 169, 254, 32), "a cloud metadata address"),
    // ECS task credentials.
    (v4(169, 254, 170, 2, 32), "a cloud metadata address"),
    // Alibaba Cloud.
    (v4(100, 100, 100, 200, 32), "a cloud metadata address"),
    // Azure: a public number in private use.
    (v4(168, 63, 129, 16, 32), "a cloud metadata address"),
    (v4(0, 0, 0, 0, 32), "the unspecified address, which leads to this machine"),
    (v4(0, 0, 0, 0, 8), "an address of \"this network\""),
    (v4(10, 0, 0, 0, 8), "a private address"),
    (v4(100, 64, 0, 0, 10), "an address of carrier-grade NAT"),
    (v4(127, 0, 0, 0, 8), "a loopback address"),
    (v4(169, 254, 0, 0, 16), "a link-local address"),
    (v4(172, 16, 0, 0, 12), "a private address"),
    (v4(192, 0, 0, 0, 24), "an address of IETF protocols"),
    (v4(192, 0, 2, 0, 24), "an address for documentation"),
    (v4(192, 88, 99, 0, 24), "a 6to4 relay"),
    (v4(192, 168, 0, 0, 16), "a private address"),
    (v4(198, 18, 0, 0, 15), "an address for benchmarks"),
    (v4(198, 51, 100, 0, 24), "an address for documentation"),
    (v4(203, 0, 113, 0, 24), "an address for documentation"),
    (v4(224, 0, 0, 0, 4), "a multicast address"),
    (v4(255, 255, 255, 255, 32), "the broadcast address"),
    (v4(240, 0, 0, 0, 4), "a reserved address"),
];

/// The same for IPv6. An address that embeds an IPv4 address is judged by the IPv4 address instead ([`embedded_in`]).
const V6: Kinds<Ipv6Net> = &[
    // AWS, Google Cloud, Scaleway.
    (v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254], 128), "a cloud metadata address"),
    (v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128), "a cloud metadata address"),
    (v6([0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42], 128), "a cloud metadata address"),
    (v6([0; 8], 128), "the unspecified address, which leads to this machine"),
    (v6([0, 0, 0, 0, 0, 0, 0, 1], 128), "the loopback address"),
    // The operator chooses where the IPv4 address stands in it (RFC 8215), so it cannot be extracted.
    (v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48), "an address of a local NAT64"),
    (v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64), "an address that discards"),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), "an address of IETF protocols"),
    (v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), "an address for documentation"),
    (v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), "an address for documentation"),
    (v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7), "a unique local address"),
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), "a link-local address"),
    (v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10), "a site-local address"),
    (v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), "a multicast address"),
];

/// All address space that IANA has assigned as global unicast. An address outside it, and not in the table, is
/// unassigned.
const GLOBAL_UNICAST: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(s: [u16; 8], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]), prefix)
}

fn kind_of_v4(address: Ipv4Addr) -> Option<&'static str> {
    V4.iter().find(|(network, _)| network.contains(&address)).map(|(_, kind)| *kind)
}

fn kind_of_v6(address: Ipv6Addr) -> Option<&'static str> {
    let special = V6.iter().find(|(network, _)| network.contains(&address)).map(|(_, kind)| *kind);
    special.or_else(|| (!GLOBAL_UNICAST.contains(&address)).then_some("an unassigned address"))
}

/// The IPv4 addresses that an IPv6 address embeds.
struct Embedded {
    form: &'static str,
    targets: [Option<Ipv4Addr>; 2],
}

/// Returns the IPv4 addresses that an address embeds, if any. `::` and `::1` match the IPv4-compatible form but do not
/// embed one.
fn embedded_in(address: Ipv6Addr) -> Option<Embedded> {
    let at = |high: u16, low: u16| Some(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    let (form, targets) = match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => return None,
        [0, 0, 0, 0, 0, 0, high, low] => {
            ("the compatible form of an address that is not public", [at(high, low), None])
        }
        [0, 0, 0, 0, 0, 0xffff, high, low] => {
            ("the mapped form of an address that is not public", [at(high, low), None])
        }
        // RFC 6052 §2.1.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            ("the NAT64 form of an address that is not public", [at(high, low), None])
        }
        // RFC 3056 §2.
        [0x2002, high, low, ..] => ("the 6to4 form of an address that is not public", [at(high, low), None]),
        // RFC 4380 §4: the server's address, and the client's with its bits inverted.
        [0x2001, 0, high, low, _, _, client_high, client_low] => {
            ("the Teredo form of an address that is not public", [at(high, low), at(!client_high, !client_low)])
        }
        _ => return None,
    };
    Some(Embedded { form, targets })
}

#[cfg(test)]
mod tests;
