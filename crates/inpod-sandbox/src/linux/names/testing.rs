//! Questions and answers as text, for the tests.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::message::{HEADER, INTERNET, kind};

pub(super) fn ask(name: &str, kind: u16) -> Vec<u8> {
    let mut packet = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.').filter(|label| !label.is_empty()) {
        packet.push(label.len().try_into().unwrap());
        packet.extend(label.bytes());
    }
    packet.push(0);
    packet.extend(kind.to_be_bytes());
    packet.extend(INTERNET.to_be_bytes());
    packet
}

pub(super) fn ask_with_opt(name: &str, kind: u16, size: u16) -> Vec<u8> {
    let mut packet = ask(name, kind);
    packet[11] = 1;
    packet.push(0);
    packet.extend(kind::OPT.to_be_bytes());
    packet.extend(size.to_be_bytes());
    packet.extend([0; 6]);
    packet
}

/// A line for code and flags, then one for each record, in order.
pub(super) fn show(packet: &[u8]) -> Vec<String> {
    let count = |at: usize| usize::from(u16::from_be_bytes([packet[at], packet[at + 1]]));
    let mut reader = Reader { packet, at: HEADER };
    for _ in 0..count(4) {
        reader.name();
        reader.at += 4;
    }
    let mut code = u16::from(packet[3] & 15);
    let mut lines = Vec::new();
    for _ in 0..count(6) + count(8) + count(10) {
        lines.push(reader.record(&mut code));
    }
    assert_eq!(reader.at, packet.len(), "bytes behind the last record");
    let code = match code {
        0 => "NOERROR",
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        16 => "BADVERS",
        _ => "another",
    };
    let flags = [
        (2, 0x80, "qr"),
        (2, 4, "aa"),
        (2, 2, "tc"),
        (2, 1, "rd"),
        (3, 0x80, "ra"),
        (3, 0x10, "cd"),
    ];
    let flags = flags
        .iter()
        .filter(|(at, bit, _)| packet[*at] & bit != 0)
        .map(|(_, _, name)| *name);
    let first = [code]
        .into_iter()
        .chain(flags)
        .collect::<Vec<_>>()
        .join(" ");
    lines.insert(0, first);
    lines
}

struct Reader<'a> {
    packet: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn name(&mut self) -> String {
        let (mut name, mut at, mut behind) = (String::new(), self.at, None);
        loop {
            let length = usize::from(self.packet[at]);
            at += 1;
            if length >= 0xC0 {
                behind.get_or_insert(at + 1);
                at = (length & 0x3F) << 8 | usize::from(self.packet[at]);
            } else if length == 0 {
                break;
            } else {
                name += std::str::from_utf8(&self.packet[at..at + length]).unwrap();
                name.push('.');
                at += length;
            }
        }
        self.at = behind.unwrap_or(at);
        name
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        self.at += N;
        *self.packet[self.at - N..].first_chunk().unwrap()
    }

    fn number(&mut self) -> u16 {
        u16::from_be_bytes(self.take())
    }

    fn record(&mut self, code: &mut u16) -> String {
        let owner = self.name();
        let (kind, class) = (self.number(), self.number());
        if kind == kind::OPT {
            let [extended, version, flags, _, 0, 0] = self.take() else {
                panic!("options");
            };
            assert_eq!((owner.as_str(), version), ("", 0));
            *code |= u16::from(extended) << 4;
            let flags = if flags & 0x80 == 0 { "" } else { " do" };
            return format!("OPT {class}{flags}");
        }
        assert_eq!(class, INTERNET);
        let ttl = u32::from_be_bytes(self.take());
        let end = usize::from(self.number()) + self.at;
        let data = match kind {
            kind::A => format!("A {}", Ipv4Addr::from(self.take::<4>())),
            kind::AAAA => format!("AAAA {}", Ipv6Addr::from(self.take::<16>())),
            kind::NS => format!("NS {}", self.name()),
            kind::PTR => format!("PTR {}", self.name()),
            kind::CNAME => format!("CNAME {}", self.name()),
            kind::SRV => {
                let [priority, weight, port] = [self.number(), self.number(), self.number()];
                format!("SRV {priority} {weight} {port} {}", self.name())
            }
            kind::TXT => {
                let text = &self.packet[self.at + 1..end];
                self.at = end;
                format!("TXT {}", std::str::from_utf8(text).unwrap())
            }
            kind::SOA => {
                let names = [self.name(), self.name()].join(" ");
                let times: [u32; 5] = std::array::from_fn(|_| u32::from_be_bytes(self.take()));
                format!("SOA {names} {times:?}")
            }
            other => panic!("type {other}"),
        };
        assert_eq!(self.at, end, "length of {owner} {data}");
        format!("{owner} {ttl} {data}")
    }
}
