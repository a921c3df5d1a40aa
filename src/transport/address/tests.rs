//! Every special range of addresses, every IPv6 form that embeds IPv4, and names.

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

/// The WHATWG URL parser accepts every number format of inet_aton; none of them may bypass the guard.
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
    /// No embedding form bypasses the guard.
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
