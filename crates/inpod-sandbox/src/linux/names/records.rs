//! What the records of Services and their endpoints are, and which address a name of the reverse trees stands for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::message::{Data, Record, kind};
use super::name::Name;
use crate::{Endpoint, Service, ServicePort};

/// Seconds: `CoreDNS`'s default.
pub(super) const TTL: u32 = 5;

pub(super) fn record(owner: &[&[u8]], data: Data) -> Record {
    Record {
        owner: Name::new(owner.iter().copied()),
        ttl: TTL,
        data,
    }
}

/// An address and a port that a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place<'a> {
    service: &'a Service,
    /// Of an endpoint, below the Service's name.
    hostname: Option<String>,
    address: IpAddr,
    /// Where no port was declared there is no location (SRV).
    port: Option<u16>,
}

/// Which of a Service's places are meant.
#[derive(Debug, Clone, Copy)]
pub(super) enum Which<'a> {
    All,
    /// By `_port._protocol`. `CoreDNS` does without the underscores.
    Port(&'a str, &'a str),
    /// Of that name, be the Service headless or not.
    Endpoint(&'a str),
}

/// A Service's cluster IPs, or where it has none its endpoints, with each port: in the order of `CoreDNS`.
pub(super) fn places<'a>(service: &'a Service, which: Which<'_>) -> Vec<Place<'a>> {
    let of_endpoints = service.addresses.is_empty() || matches!(which, Which::Endpoint(_));
    if of_endpoints {
        let endpoints = service.endpoints.iter();
        return endpoints
            .map(|endpoint| (endpoint, hostname(endpoint)))
            .filter(|(_, hostname)| match which {
                Which::Endpoint(name) => hostname.eq_ignore_ascii_case(name),
                _ => true,
            })
            .flat_map(|(endpoint, hostname)| {
                let ports = ports(&endpoint.ports, which).into_iter();
                ports.map(move |port| Place {
                    service,
                    hostname: Some(hostname.clone()),
                    address: endpoint.address,
                    port,
                })
            })
            .collect();
    }
    let place = |(port, address): (Option<u16>, &IpAddr)| Place {
        service,
        hostname: None,
        address: *address,
        port,
    };
    let ports = ports(&service.ports, which).into_iter();
    ports
        .flat_map(|port| service.addresses.iter().map(move |address| (port, address)))
        .map(place)
        .collect()
}

/// The numbers of those that are meant; `None` stands for all of no ports.
fn ports(ports: &[ServicePort], which: Which<'_>) -> Vec<Option<u16>> {
    let Which::Port(name, protocol) = which else {
        let numbers: Vec<_> = ports.iter().map(|port| Some(port.port)).collect();
        return if numbers.is_empty() {
            vec![None]
        } else {
            numbers
        };
    };
    let bare = |label| str::strip_prefix(label, "_").unwrap_or(label);
    let (name, protocol) = (bare(name), bare(protocol));
    let is_meant = |port: &&ServicePort| {
        port.name.as_deref() == Some(name) && port.protocol.eq_ignore_ascii_case(protocol)
    };
    ports
        .iter()
        .filter(is_meant)
        .map(|port| Some(port.port))
        .collect()
}

/// The label below its Service's name.
pub(super) fn hostname(endpoint: &Endpoint) -> String {
    let made = || {
        let dashed = endpoint.address.to_string().replace(['.', ':'], "-");
        // No label ends with a dash.
        if dashed.ends_with('-') {
            dashed + "0"
        } else {
            dashed
        }
    };
    endpoint.hostname.clone().unwrap_or_else(made)
}

/// The name of a Service, or of an endpoint of it.
pub(super) fn name(service: &Service, hostname: Option<&str>, domain: &[&[u8]]) -> Name {
    let labels = hostname
        .into_iter()
        .chain([&*service.name, &*service.namespace, "svc"]);
    Name::new(labels.map(str::as_bytes).chain(domain.iter().copied()))
}

impl Place<'_> {
    pub(super) fn name(&self, domain: &[&[u8]]) -> Name {
        name(self.service, self.hostname.as_deref(), domain)
    }

    fn data(&self) -> (u16, Data) {
        match self.address {
            IpAddr::V4(address) => (kind::A, Data::A(address)),
            IpAddr::V6(address) => (kind::AAAA, Data::Aaaa(address)),
        }
    }
}

/// Each address once.
pub(super) fn addresses(places: &[Place<'_>], wanted: u16) -> Vec<Data> {
    let of_kind = places
        .iter()
        .map(Place::data)
        .filter(|(kind, _)| *kind == wanted);
    each_once(of_kind.map(|(_, data)| data))
}

/// The addresses of what [`locations`] name.
pub(super) fn glue(places: &[Place<'_>], domain: &[&[u8]]) -> Vec<Record> {
    let located = places.iter().filter(|place| place.port.is_some());
    each_once(located.map(|place| Record {
        owner: place.name(domain),
        ttl: TTL,
        data: place.data().1,
    }))
}

/// A record for each name and port number. `CoreDNS` shares 100 among all places, and then names each number once.
pub(super) fn locations(places: &[Place<'_>], domain: &[&[u8]]) -> Vec<Data> {
    let weight = u16::try_from(100 / places.len().max(1)).unwrap_or(1).max(1);
    each_once(places.iter().filter_map(|place| {
        Some(Data::Srv {
            weight,
            port: place.port?,
            target: place.name(domain),
        })
    }))
}

pub(super) fn each_once<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut once = Vec::new();
    for one in all {
        if !once.contains(&one) {
            once.push(one);
        }
    }
    once
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
