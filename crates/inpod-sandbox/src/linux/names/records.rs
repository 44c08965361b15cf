//! What a Service's records are, and which address a name of the reverse trees stands for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::message::{Data, Name, Record, kind};
use crate::{Service, ServicePort};

/// Seconds: `CoreDNS`'s default.
pub(super) const TTL: u32 = 5;

pub(super) fn record(owner: &[&[u8]], data: Data) -> Record {
    Record {
        owner: Name::new(owner.iter().copied()),
        ttl: TTL,
        data,
    }
}

pub(super) fn name(service: &Service, domain: &[&[u8]]) -> Name {
    let labels = [service.name.as_bytes(), service.namespace.as_bytes()];
    let labels = labels.into_iter().chain([b"svc".as_slice()]);
    Name::new(labels.chain(domain.iter().copied()))
}

/// Those that `_port._protocol` names. `CoreDNS` does without the underscores.
pub(super) fn ports<'a>(service: &'a Service, port: &str, protocol: &str) -> Vec<&'a ServicePort> {
    let bare = |label| str::strip_prefix(label, "_").unwrap_or(label).to_owned();
    let (name, protocol) = (bare(port), bare(protocol));
    service
        .ports
        .iter()
        .filter(|port| {
            port.name.as_ref() == Some(&name) && port.protocol.eq_ignore_ascii_case(&protocol)
        })
        .collect()
}

pub(super) fn addresses(service: &Service, kind: u16) -> Vec<Data> {
    let all = service.addresses.iter().map(|address| match *address {
        IpAddr::V4(address) => (kind::A, Data::A(address)),
        IpAddr::V6(address) => (kind::AAAA, Data::Aaaa(address)),
    });
    all.filter(|(of, _)| *of == kind)
        .map(|(_, data)| data)
        .collect()
}

pub(super) fn glue(service: &Service, name: &Name) -> Vec<Record> {
    let all = [kind::A, kind::AAAA].map(|kind| addresses(service, kind));
    all.into_iter()
        .flatten()
        .map(|data| Record {
            owner: name.clone(),
            ttl: TTL,
            data,
        })
        .collect()
}

/// A record for each port number. `CoreDNS` shares 100 among all pairs of port and address, and then names each number once.
pub(super) fn locations(service: &Service, ports: &[&ServicePort], target: &Name) -> Vec<Data> {
    let pairs = (ports.len() * service.addresses.len()).max(1);
    let weight = u16::try_from(100 / pairs).unwrap_or(1).max(1);
    let mut numbers: Vec<u16> = Vec::new();
    for port in ports {
        if !numbers.contains(&port.port) {
            numbers.push(port.port);
        }
    }
    let location = |port| Data::Srv {
        weight,
        port,
        target: target.clone(),
    };
    numbers.into_iter().map(location).collect()
}

/// The address that a name of `in-addr.arpa` (RFC 1035 §3.5) or `ip6.arpa` (RFC 3596 §2.5) stands for.
pub(super) fn reverse(labels: &[&[u8]]) -> Option<IpAddr> {
    let text = |label: &[u8]| Some(std::str::from_utf8(label).ok()?.to_ascii_lowercase());
    let labels: Vec<_> = labels
        .iter()
        .rev()
        .map(|label| text(label))
        .collect::<Option<_>>()?;
    let [top, tree, digits @ ..] = labels.as_slice() else {
        return None;
    };
    match (top.as_str(), tree.as_str(), digits.len()) {
        ("arpa", "in-addr", 4) => digits.join(".").parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        ("arpa", "ip6", 32) if digits.iter().all(|digit| is_nibble(digit)) => {
            let bits = u128::from_str_radix(&digits.concat(), 16).ok()?;
            Some(IpAddr::V6(Ipv6Addr::from_bits(bits)))
        }
        _ => None,
    }
}

fn is_nibble(digit: &str) -> bool {
    digit.len() == 1 && digit.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(name: &str) -> Option<IpAddr> {
        reverse(&name.split('.').map(str::as_bytes).collect::<Vec<_>>())
    }

    #[test]
    fn whole_addresses_are_read() {
        let one = format!("1.{}ip6.ARPA", "0.".repeat(31));
        assert_eq!(address(&one), Some(Ipv6Addr::LOCALHOST.into()));
        assert_eq!(
            address("1.0.0.127.in-addr.arpa"),
            Some(Ipv4Addr::LOCALHOST.into())
        );
    }

    #[test]
    fn nothing_else_is_an_address() {
        let sign = format!("1.{}+.ip6.arpa", "0.".repeat(30));
        let two_digits = format!("01.{}ip6.arpa", "0.".repeat(31));
        let short = format!("1.{}ip6.arpa", "0.".repeat(30));
        for name in [
            &sign,
            &two_digits,
            &short,
            "1.0.0.127.in-addr.example",
            "01.0.0.127.in-addr.arpa",
            "0.0.127.in-addr.arpa",
            "",
        ] {
            assert_eq!(address(name), None, "{name}");
        }
    }
}
