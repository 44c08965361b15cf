//! Answers as they lie on the wire (RFC 1035 §4).

use std::net::{Ipv4Addr, Ipv6Addr};

use super::name::Name;
use super::query::Query;

pub(super) const HEADER: usize = 12;
/// Of a message over UDP to one that says nothing else (RFC 1035 §4.2.1).
const MAX_PLAIN_UDP: usize = 512;
const OPT_LENGTH: usize = 11;

/// Bits of the header's third and fourth bytes.
pub(super) const QR: u8 = 0x80;
pub(super) const OPCODE: u8 = 0x78;
const AUTHORITATIVE: u8 = 0x04;
const TRUNCATED: u8 = 0x02;
const RECURSION_DESIRED: u8 = 0x01;
const CHECKING_DISABLED: u8 = 0x10;

/// The one class in use.
pub(super) const INTERNET: u16 = 1;

/// Types of records.
pub(super) mod kind {
    pub(in super::super) const A: u16 = 1;
    pub(in super::super) const NS: u16 = 2;
    pub(in super::super) const CNAME: u16 = 5;
    pub(in super::super) const SOA: u16 = 6;
    pub(in super::super) const PTR: u16 = 12;
    pub(in super::super) const TXT: u16 = 16;
    pub(in super::super) const AAAA: u16 = 28;
    pub(in super::super) const SRV: u16 = 33;
    pub(in super::super) const OPT: u16 = 41;
    pub(in super::super) const IXFR: u16 = 251;
    pub(in super::super) const AXFR: u16 = 252;
}

/// A response code (RFC 1035 §4.1.1, RFC 6891 §6.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Code(u16);

impl Code {
    pub(super) const NO_ERROR: Self = Self(0);
    pub(super) const FORMAT_ERROR: Self = Self(1);
    pub(super) const SERVER_FAILURE: Self = Self(2);
    pub(super) const NAME_ERROR: Self = Self(3);
    pub(super) const NOT_IMPLEMENTED: Self = Self(4);
    pub(super) const REFUSED: Self = Self(5);
    const BAD_VERSION: Self = Self(16);

    /// That of a message which is at least a header.
    pub(super) fn of(message: &[u8]) -> Self {
        Self((message[3] & 15).into())
    }
}

/// How a message came and its answer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    Udp,
    Tcp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) owner: Name,
    /// Seconds.
    pub(super) ttl: u32,
    pub(super) data: Data,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Data {
    A(Ipv4Addr),
    Aaaa(Ipv6Addr),
    Ns(Name),
    Cname(Name),
    Ptr(Name),
    Srv {
        weight: u16,
        port: u16,
        target: Name,
    },
    Txt(&'static str),
    Soa {
        server: Name,
        mailbox: Name,
        times: [u32; 5],
    },
}

/// What is said to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) code: Code,
    pub(super) authoritative: bool,
    pub(super) answers: Vec<Record>,
    pub(super) authority: Vec<Record>,
    pub(super) additional: Vec<Record>,
    /// Whether more was to be had than came.
    pub(super) truncated: bool,
    /// A name that is not the cluster's, whose addresses are the rest of the answers.
    pub(super) beyond: Option<Name>,
}

impl Answer {
    /// A code, and nothing else.
    pub(super) fn bare(code: Code) -> Self {
        Self {
            code,
            authoritative: false,
            answers: Vec::new(),
            authority: Vec::new(),
            additional: Vec::new(),
            truncated: false,
            beyond: None,
        }
    }
}

/// A query for a name, with the number, the type and the size for answers of another.
pub(super) fn ask(name: &Name, like: &Query<'_>) -> Vec<u8> {
    let number = &like.packet()[..2];
    let mut bytes = [number, &[RECURSION_DESIRED, 0, 0, 1, 0, 0, 0, 0, 0, 0]].concat();
    bytes.extend(name.bytes());
    bytes.extend(like.kind().to_be_bytes());
    bytes.extend(INTERNET.to_be_bytes());
    if let Ok(Some(edns)) = like.edns() {
        bytes[11] = 1;
        bytes.push(0);
        bytes.extend(kind::OPT.to_be_bytes());
        bytes.extend(edns.size.to_be_bytes());
        bytes.extend([0; 6]);
    }
    bytes
}

/// Whether a message says that it is not all.
pub(super) fn is_truncated(message: &[u8]) -> bool {
    message.get(2).is_some_and(|flags| flags & TRUNCATED != 0)
}

/// A header alone, for what cannot be read further.
pub(super) fn bare(query: &[u8; HEADER], code: Code) -> Vec<u8> {
    let opcode_and_recursion = query[2] & (OPCODE | RECURSION_DESIRED);
    let code = code.0.to_be_bytes()[1] & 15;
    let mut bytes = vec![query[0], query[1], QR | opcode_and_recursion, code];
    bytes.resize(HEADER, 0);
    bytes
}

/// Writes an answer. RA stays clear, as in `CoreDNS`'s own answers: what is not recursive here is passed on.
pub(super) fn reply(query: &Query<'_>, transport: Transport, answer: &Answer) -> Vec<u8> {
    let nothing;
    let (edns, answer) = match query.edns() {
        Ok(Some(edns)) if edns.version != 0 => {
            nothing = Answer::bare(Code::BAD_VERSION);
            (Some(edns), &nothing)
        }
        Ok(edns) => (edns, answer),
        Err(_) => {
            nothing = Answer::bare(Code::FORMAT_ERROR);
            (None, &nothing)
        }
    };
    let limit = match (transport, edns) {
        (Transport::Tcp, _) => usize::from(u16::MAX),
        (Transport::Udp, Some(edns)) => MAX_PLAIN_UDP.max(edns.size.into()) - OPT_LENGTH,
        (Transport::Udp, None) => MAX_PLAIN_UDP,
    };
    let [extended, code] = (answer.code.0 << 4).to_be_bytes();
    let asked = query.packet();
    let mut writer = Writer {
        bytes: vec![
            asked[0],
            asked[1],
            QR | asked[2] & RECURSION_DESIRED,
            asked[3] & CHECKING_DISABLED | code >> 4,
        ],
        question: query.name(),
    };
    if answer.authoritative {
        writer.bytes[2] |= AUTHORITATIVE;
    }
    writer.bytes.resize(HEADER, 0);
    writer.bytes[5] = 1;
    writer.bytes.extend(query.section());
    let complete = !answer.truncated
        && writer.section(7, &answer.answers, limit)
        && writer.section(9, &answer.authority, limit);
    if complete {
        // What is left out here was not asked for: no reason to ask again over TCP (RFC 2181 §9).
        writer.section(11, &answer.additional, limit);
    } else {
        writer.bytes[2] |= TRUNCATED;
    }
    if let Some(edns) = edns {
        writer.bytes[11] += 1;
        writer.bytes.push(0);
        writer.number(kind::OPT);
        writer.number(edns.size);
        let flags = if edns.dnssec_ok { 0x80 } else { 0 };
        writer.bytes.extend([extended, 0, flags, 0, 0, 0]);
    }
    writer.bytes
}

struct Writer<'a> {
    bytes: Vec<u8>,
    question: &'a [u8],
}

impl Writer<'_> {
    /// Writes records while they have room, and their number where the header counts them. Tells whether all had.
    fn section(&mut self, count: usize, records: &[Record], limit: usize) -> bool {
        for record in records {
            let before = self.bytes.len();
            self.record(record);
            if self.bytes.len() > limit || self.bytes[count] == u8::MAX - 1 {
                self.bytes.truncate(before);
                return false;
            }
            self.bytes[count] += 1;
        }
        true
    }

    fn record(&mut self, record: &Record) {
        self.name(&record.owner);
        self.number(match record.data {
            Data::A(_) => kind::A,
            Data::Aaaa(_) => kind::AAAA,
            Data::Ns(_) => kind::NS,
            Data::Cname(_) => kind::CNAME,
            Data::Ptr(_) => kind::PTR,
            Data::Srv { .. } => kind::SRV,
            Data::Txt(_) => kind::TXT,
            Data::Soa { .. } => kind::SOA,
        });
        self.number(INTERNET);
        self.bytes.extend(record.ttl.to_be_bytes());
        let length = self.bytes.len();
        self.number(0);
        match &record.data {
            Data::A(address) => self.bytes.extend(address.octets()),
            Data::Aaaa(address) => self.bytes.extend(address.octets()),
            Data::Ns(name) | Data::Cname(name) | Data::Ptr(name) => self.name(name),
            Data::Srv {
                weight,
                port,
                target,
            } => {
                for number in [0, *weight, *port] {
                    self.number(number);
                }
                self.bytes.extend(target.bytes()); // never compressed (RFC 2782)
            }
            Data::Txt(text) => {
                self.bytes.extend(u8::try_from(text.len()));
                self.bytes.extend(text.bytes());
            }
            Data::Soa {
                server,
                mailbox,
                times,
            } => {
                self.name(server);
                self.name(mailbox);
                self.bytes
                    .extend(times.iter().flat_map(|time| time.to_be_bytes()));
            }
        }
        let data = self.bytes.len() - length - 2;
        let data = u16::try_from(data).unwrap_or_default().to_be_bytes(); // names and texts are short
        self.bytes[length..length + 2].copy_from_slice(&data);
    }

    /// A name, which from the first label that the question has in common with it on is a pointer there (RFC 1035 §4.1.4).
    fn name(&mut self, name: &Name) {
        let mut rest = name.bytes();
        while let [length @ 1..=63, ..] = rest {
            if let Some(pointer) = self.pointer(rest) {
                return self.number(0xC000 | pointer);
            }
            let (label, behind) = rest.split_at(1 + usize::from(*length));
            self.bytes.extend(label);
            rest = behind;
        }
        self.bytes.push(0);
    }

    fn pointer(&self, suffix: &[u8]) -> Option<u16> {
        let mut rest = self.question;
        while let [length @ 1..=63, ..] = rest {
            if rest == suffix {
                return u16::try_from(HEADER + self.question.len() - rest.len()).ok();
            }
            rest = &rest[1 + usize::from(*length)..];
        }
        None
    }

    fn number(&mut self, number: u16) {
        self.bytes.extend(number.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ask, ask_with_opt, show};
    use super::*;

    fn record(data: Data) -> Record {
        Record {
            owner: Name::new([b"b".as_slice(), b"c"]),
            ttl: 5,
            data,
        }
    }

    fn addresses(count: u8) -> Answer {
        let address = |last| record(Data::A(Ipv4Addr::new(10, 0, 0, last)));
        Answer {
            authoritative: true,
            answers: (0..count).map(address).collect(),
            ..Answer::bare(Code::NO_ERROR)
        }
    }

    fn reply_to(packet: &[u8], transport: Transport, answer: &Answer) -> Vec<u8> {
        reply(&Query::parse(packet).unwrap(), transport, answer)
    }

    #[test]
    fn names_point_into_the_question() {
        let reply = reply_to(&ask("a.b.c.", kind::A), Transport::Udp, &addresses(1));
        assert_eq!(reply[HEADER + 11..HEADER + 13], [0xC0, 14]);
        assert_eq!(show(&reply), ["NOERROR qr aa rd", "b.c. 5 A 10.0.0.0"]);
    }

    #[test]
    fn the_target_of_a_location_points_nowhere() {
        let target = Name::new([b"b".as_slice(), b"c"]);
        let data = Data::Srv {
            weight: 100,
            port: 80,
            target,
        };
        let answer = Answer {
            answers: vec![record(data)],
            ..Answer::bare(Code::NO_ERROR)
        };
        let reply = reply_to(&ask("b.c.", kind::SRV), Transport::Udp, &answer);
        assert!(reply.ends_with(b"\x01b\x01c\0"));
    }

    #[test]
    fn the_case_that_was_not_asked_in_is_kept() {
        let reply = reply_to(&ask("B.c.", kind::A), Transport::Udp, &addresses(1));
        assert_eq!(show(&reply)[1], "b.c. 5 A 10.0.0.0");
    }

    #[test]
    fn a_plain_asker_gets_512_bytes_over_udp() {
        let packet = ask("a.b.c.", kind::A);
        let reply = reply_to(&packet, Transport::Udp, &addresses(40));
        assert!((500..=512).contains(&reply.len()), "{}", reply.len());
        let shown = show(&reply);
        assert_eq!(shown[0], "NOERROR qr aa tc rd");
        assert_eq!(shown.len(), 1 + (512 - HEADER - 11) / 16);
        let whole = reply_to(&packet, Transport::Tcp, &addresses(40));
        assert_eq!(show(&whole).len(), 41);
    }

    #[test]
    fn an_asker_with_edns_gets_what_it_takes() {
        let packet = ask_with_opt("a.b.c.", kind::A, 4096);
        let shown = show(&reply_to(&packet, Transport::Udp, &addresses(40)));
        assert_eq!(shown[0], "NOERROR qr aa rd");
        assert_eq!(shown[41..], ["OPT 4096"]);
        let small = ask_with_opt("a.b.c.", kind::A, 100);
        let small = reply_to(&small, Transport::Udp, &addresses(40));
        assert!((496..=512).contains(&small.len()), "{}", small.len());
    }

    #[test]
    fn additional_records_go_without_a_word() {
        let mut answer = addresses(30);
        answer.additional = answer.answers.clone();
        let shown = show(&reply_to(&ask("b.c.", kind::A), Transport::Udp, &answer));
        assert_eq!(shown[0], "NOERROR qr aa rd");
        assert!((31..61).contains(&shown.len()), "{}", shown.len());
    }

    #[test]
    fn more_records_than_are_ever_needed_are_cut() {
        let packet = ask("b.c.", kind::A);
        let shown = show(&reply_to(&packet, Transport::Tcp, &addresses(255)));
        assert_eq!(
            (shown[0].as_str(), shown.len()),
            ("NOERROR qr aa tc rd", 255)
        );
    }

    #[test]
    fn another_version_of_edns_is_told_ours() {
        let mut packet = ask_with_opt("b.c.", kind::A, 4096);
        let version = packet.len() - 5;
        packet[version] = 1;
        let reply = reply_to(&packet, Transport::Udp, &addresses(1));
        assert_eq!(show(&reply), ["BADVERS qr rd", "OPT 4096"]);
    }

    #[test]
    fn what_is_malformed_behind_the_question_is_told_so() {
        let mut packet = ask_with_opt("b.c.", kind::A, 4096);
        packet.pop();
        let reply = reply_to(&packet, Transport::Udp, &addresses(1));
        assert_eq!(show(&reply), ["FORMERR qr rd"]);
    }

    #[test]
    fn flags_that_are_the_askers_come_back() {
        let mut packet = ask_with_opt("b.c.", kind::A, 4096);
        packet[2] = 0;
        packet[3] = CHECKING_DISABLED;
        let flags = packet.len() - 4;
        packet[flags] = 0x80;
        let shown = show(&reply_to(&packet, Transport::Udp, &addresses(0)));
        assert_eq!(shown, ["NOERROR qr aa cd", "OPT 4096 do"]);
    }
}
