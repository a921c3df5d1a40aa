//! AddressGuard: which addresses may be connected to. Knows no names and opens nothing; whoever connects asks it right
//! before, with the very address that is connected to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use ipnet::IpNet;
use ipnet::{Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Refuses every address that is not part of the public internet, unless it is allowed here: a crawler follows links
/// that strangers wrote, and must not carry them into the network it runs in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AddressGuard {
    /// Whether every address may be connected to.
    pub allow_private: bool,
    /// Networks that may be connected to although they are not public, such as `10.1.0.0/16` or `127.0.0.2/32`.
    pub allow: Vec<IpNet>,
}

/// An address that is not connected to.
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
    /// Checks a name that a proxy is to look up, where its address cannot be seen: refuses names that are known to lead
    /// to metadata services and into private networks. Of other names nothing is known: a name that leads to a private
    /// address is refused only where we look it up ourselves, as without a proxy and with `socks5`.
    ///
    /// # Errors
    /// The name is one of those, and private addresses are not allowed.
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

    /// Checks an address.
    ///
    /// # Errors
    /// It is not public, and nothing allows it; the text names the option that would.
    pub fn check(&self, address: IpAddr) -> Result<(), RefusedAddress> {
        if self.allow_private || self.allow.iter().any(|network| network.contains(&address)) {
            return Ok(());
        }
        let refused = |kind| Err(RefusedAddress { address, kind });
        match address {
            IpAddr::V4(v4) => kind_of_v4(v4).map_or(Ok(()), refused),
            IpAddr::V6(v6) => match embedded_in(v6) {
                Some(Embedded { form, targets }) => {
                    // What the form leads to decides, but the address is named as it was met.
                    let hidden = targets.into_iter().flatten().find(|target| self.check((*target).into()).is_err());
                    hidden.map_or(Ok(()), |_| refused(form))
                }
                None => kind_of_v6(v6).map_or(Ok(()), refused),
            },
        }
    }
}

/// A name that is not asked for through a proxy that would look it up.
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

/// Endings of names that no public server has: RFC 6761 §6.3, RFC 6762 §3, RFC 8375, ICANN's reservation of `internal`
/// (2024), and the services of a Kubernetes cluster.
const PRIVATE_ENDINGS: [&str; 5] = [".localhost", ".local", ".home.arpa", ".internal", ".svc"];

type Kinds<Network> = &'static [(Network, &'static str)];

/// The IANA IPv4 Special-Purpose Address Registry (RFC 6890), less what it calls globally reachable and a web server
/// may have; multicast and class E; and the addresses at which clouds serve their machines' credentials.
const V4: Kinds<Ipv4Net> = &[
    (v4(169, 254, 169, 254, 32), "a cloud metadata address"),
    // ECS task credentials.
    (v4(169, 254, 170, 2, 32), "a cloud metadata address"),
    // Alibaba Cloud.
    (v4(100, 100, 100, 200, 32), "a cloud metadata address"),
    // Azure: public by its number, private by its use.
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

/// The IANA IPv6 Special-Purpose Address Registry, in the same way. What embeds an IPv4 address is judged by that
/// instead ([`embedded_in`]).
const V6: Kinds<Ipv6Net> = &[
    // AWS, Google Cloud, Scaleway.
    (v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254], 128), "a cloud metadata address"),
    (v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128), "a cloud metadata address"),
    (v6([0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42], 128), "a cloud metadata address"),
    (v6([0; 8], 128), "the unspecified address, which leads to this machine"),
    (v6([0, 0, 0, 0, 0, 0, 0, 1], 128), "the loopback address"),
    // Where in it the IPv4 address stands is its operator's choice (RFC 8215), so nothing can be read out of it.
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

/// All that IANA has given out as global unicast; what is neither here nor in the table is not assigned.
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

/// IPv4 addresses that an IPv6 address leads to.
struct Embedded {
    form: &'static str,
    targets: [Option<Ipv4Addr>; 2],
}

/// Returns the IPv4 addresses within the forms that embed them. `::` and `::1` look like the compatible form and are
/// none.
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
        // RFC 4380 §4: the server, and the client with its bits turned.
        [0x2001, 0, high, low, _, _, client_high, client_low] => {
            ("the Teredo form of an address that is not public", [at(high, low), at(!client_high, !client_low)])
        }
        _ => return None,
    };
    Some(Embedded { form, targets })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use url::{Host, Url};

    use super::*;

    fn check(address: &str) -> Result<(), RefusedAddress> {
        AddressGuard::default().check(address.parse().unwrap())
    }

    #[test]
    fn every_range_is_refused_from_its_first_address_to_its_last_and_not_beyond() {
        for (first, last) in [
            ("0.0.0.0", "0.255.255.255"),
            ("10.0.0.0", "10.255.255.255"),
            ("100.64.0.0", "100.127.255.255"),
            ("127.0.0.0", "127.255.255.255"),
            ("169.254.0.0", "169.254.255.255"),
            ("172.16.0.0", "172.31.255.255"),
            ("192.0.0.0", "192.0.0.255"),
            ("192.0.2.0", "192.0.2.255"),
            ("192.88.99.0", "192.88.99.255"),
            ("192.168.0.0", "192.168.255.255"),
            ("198.18.0.0", "198.19.255.255"),
            ("198.51.100.0", "198.51.100.255"),
            ("203.0.113.0", "203.0.113.255"),
            ("224.0.0.0", "255.255.255.255"),
        ] {
            let (first, last): (Ipv4Addr, Ipv4Addr) = (first.parse().unwrap(), last.parse().unwrap());
            let (first, last) = (u32::from(first), u32::from(last));
            let guard = AddressGuard::default();
            let check = |bits: u32| guard.check(Ipv4Addr::from(bits).into());
            assert!(check(first).is_err() && check(last).is_err() && check(first + (last - first) / 2).is_err());
            if first > 0 {
                assert!(check(first - 1).is_ok(), "{}", Ipv4Addr::from(first - 1));
            }
            if last < u32::MAX {
                assert!(check(last + 1).is_ok(), "{}", Ipv4Addr::from(last + 1));
            }
        }
    }

    #[test]
    fn public_addresses_pass() {
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "168.63.129.15",
            "192.31.196.1",
            "223.255.255.255",
            "2001:200::1",
            "2606:4700:4700::1111",
            "2a00:1450:4001::200e",
            "2620:fe::fe",
            // Forms that lead to a public address.
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
            "2001:0:808:808::f7f7:f7f7",
        ] {
            assert_eq!(check(public), Ok(()), "{public}");
        }
    }

    #[test]
    fn what_is_not_public_is_refused_by_its_kind() {
        for (address, kind) in [
            ("169.254.169.254", "metadata"),
            ("169.254.170.2", "metadata"),
            ("100.100.100.200", "metadata"),
            ("168.63.129.16", "metadata"),
            ("fd00:ec2::254", "metadata"),
            ("fd20:ce::254", "metadata"),
            ("0.0.0.0", "unspecified"),
            ("255.255.255.255", "broadcast"),
            ("127.0.0.1", "loopback"),
            ("::", "unspecified"),
            ("::1", "loopback"),
            ("::ffff:127.0.0.1", "mapped"),
            ("::ffff:169.254.169.254", "mapped"),
            ("::7f00:1", "compatible"),
            ("::10.0.0.1", "compatible"),
            ("64:ff9b::10.0.0.1", "NAT64"),
            ("64:ff9b:1::8.8.8.8", "NAT64"),
            ("64:ff9b:2::8.8.8.8", "unassigned"),
            ("100::1", "discards"),
            ("2001::1", "Teredo"),
            // A private server, a private client.
            ("2001:0:a00:1::f7f7:f7f7", "Teredo"),
            ("2001:0:808:808::80ff:fffe", "Teredo"),
            ("2001:2::1", "IETF"),
            ("2001:20::1", "IETF"),
            ("2001:db8::1", "documentation"),
            ("3fff::1", "documentation"),
            ("2002:7f00:1::1", "6to4"),
            ("2002:c0a8:101::", "6to4"),
            ("5f00::1", "unassigned"),
            ("4000::1", "unassigned"),
            ("fc00::1", "unique local"),
            ("fdff::1", "unique local"),
            ("fe80::1", "link-local"),
            ("febf::1", "link-local"),
            ("fec0::1", "site-local"),
            ("ff02::1", "multicast"),
        ] {
            let refused = check(address).unwrap_err();
            assert!(refused.kind.contains(kind), "{address}: {refused}");
            let text = refused.to_string();
            assert!(text.contains("allow_private()") && text.contains("--allow-private"), "{text}");
            let open = AddressGuard { allow_private: true, ..AddressGuard::default() };
            assert_eq!(open.check(address.parse().unwrap()), Ok(()));
        }
    }

    #[test]
    fn a_list_allows_its_networks_in_every_form_and_no_other() {
        let guard = AddressGuard { allow: vec!["127.0.0.2/32".parse().unwrap()], ..AddressGuard::default() };
        for allowed in ["127.0.0.2", "::ffff:127.0.0.2", "64:ff9b::127.0.0.2"] {
            assert_eq!(guard.check(allowed.parse().unwrap()), Ok(()), "{allowed}");
        }
        for refused in ["127.0.0.3", "127.0.0.1", "::1", "::ffff:127.0.0.3", "10.0.0.1"] {
            assert!(guard.check(refused.parse().unwrap()).is_err(), "{refused}");
        }
    }

    /// The WHATWG URL standard knows every way in which inet_aton reads an address; what it makes of them must not pass.
    #[test]
    fn tricks_in_urls_end_as_refused_addresses() {
        for host in [
            "2130706433",
            "0x7f000001",
            "0x7F.1",
            "017700000001",
            "0177.0.0.01",
            "127.1",
            "127.0.1",
            "127.0.0.1.",
            "0",
            "0x0",
            "0.0",
            "%31%32%37.0.0.1",
            "127。0。0。1",
            "①②⑦.0.0.1",
            "0xa9fea9fe",
            "2852039166",
            "0251.0376.0251.0376",
            "[::]",
            "[::1]",
            "[0:0::0:1]",
            "[::ffff:7f00:1]",
            "[::FFFF:127.0.0.1]",
            "[::127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[fe80::1]",
            "[fd00:ec2::254]",
        ] {
            let url = Url::parse(&format!("http://{host}/")).unwrap();
            let address: IpAddr = match url.host().unwrap() {
                Host::Ipv4(address) => address.into(),
                Host::Ipv6(address) => address.into(),
                Host::Domain(name) => panic!("{host} was read as the name {name}"),
            };
            assert!(AddressGuard::default().check(address).is_err(), "{host} → {address}");
        }
    }

    #[test]
    fn names_that_only_a_proxy_looks_up_are_refused_where_they_are_known_to_be_private() {
        let guard = AddressGuard::default();
        for (name, kind) in [
            ("metadata.google.internal", "metadata"),
            ("Metadata.Google.Internal.", "metadata"),
            ("instance-data", "metadata"),
            ("vault.internal", "private"),
            ("printer.local", "private"),
            ("kubernetes.default.svc", "private"),
        ] {
            let refused = guard.check_name(name).unwrap_err();
            assert!(refused.kind.contains(kind) && refused.to_string().contains("--allow-private"), "{refused}");
            let open = AddressGuard { allow_private: true, ..AddressGuard::default() };
            assert_eq!(open.check_name(name), Ok(()));
        }
        for name in ["example.org", "internal.example.org", "local.test", "metadata.example.org"] {
            assert_eq!(guard.check_name(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn settings_name_an_unknown_key() {
        let guard: AddressGuard = serde_json::from_str(r#"{"allow": ["10.0.0.0/8", "fd00::/8"]}"#).unwrap();
        assert!(guard.check("10.1.1.1".parse().unwrap()).is_ok() && guard.check("fd00::1".parse().unwrap()).is_ok());
        let error = serde_json::from_str::<AddressGuard>(r#"{"alow": []}"#).unwrap_err().to_string();
        assert!(error.contains("alow") && error.contains("allow_private"), "{error}");
    }

    proptest! {
        /// No form smuggles an address in.
        #[test]
        fn a_form_passes_only_if_what_it_embeds_passes(bits: u32, other: u32) {
            let guard = AddressGuard::default();
            let plain = guard.check(Ipv4Addr::from(bits).into()).is_ok();
            let halves = |bits: u32| ((bits >> 16).try_into().unwrap(), (bits & 0xffff).try_into().unwrap());
            let ((high, low), (client_high, client_low)): ((u16, u16), (u16, u16)) = (halves(bits), halves(!other));
            let forms = [
                [0, 0, 0, 0, 0, 0xffff, high, low],
                [0x64, 0xff9b, 0, 0, 0, 0, high, low],
                [0x2002, high, low, 1, 2, 3, 4, 5],
            ];
            for form in forms {
                prop_assert_eq!(guard.check(Ipv6Addr::from(form).into()).is_ok(), plain);
            }
            let teredo = Ipv6Addr::from([0x2001, 0, high, low, 0, 0, client_high, client_low]);
            let both = plain && guard.check(Ipv4Addr::from(other).into()).is_ok();
            prop_assert_eq!(guard.check(teredo.into()).is_ok(), both);
        }
    }
}
