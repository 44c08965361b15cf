//! A question as it is asked (RFC 1035 §4.1), as far as it must be read to answer it or to pass it on.

use super::message::{self, Code, HEADER, kind};
use super::name::{MAX_NAME, Name};

/// A message that asks one question.
#[derive(Debug, Clone)]
pub(super) struct Query<'a> {
    packet: &'a [u8],
    labels: Vec<&'a [u8]>,
    kind: u16,
    class: u16,
    /// Where the question ends.
    end: usize,
}

/// Why a message is no query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rejected {
    /// An answer to it could start a loop, or would have nobody to go to.
    Ignore,
    Reply(Vec<u8>),
}

/// What the asker says about itself in an OPT record (RFC 6891 §6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Edns {
    pub(super) size: u16,
    pub(super) version: u8,
    /// RFC 3225: an answer repeats it.
    pub(super) dnssec_ok: bool,
}

/// The message ends or goes astray where a record should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

impl<'a> Query<'a> {
    pub(super) fn parse(packet: &'a [u8]) -> Result<Self, Rejected> {
        let header: &[u8; HEADER] = packet.first_chunk().ok_or(Rejected::Ignore)?;
        if header[2] & message::QR != 0 {
            return Err(Rejected::Ignore);
        }
        let reject = |code| Err(Rejected::Reply(message::bare(header, code)));
        if header[2] & message::OPCODE != 0 {
            return reject(Code::NOT_IMPLEMENTED);
        }
        // More than one question has no meaning that servers agree on (RFC 9619).
        let count = u16::from_be_bytes([header[4], header[5]]);
        match Self::question(packet) {
            Ok(query) if count == 1 => Ok(query),
            _ => reject(Code::FORMAT_ERROR),
        }
    }

    fn question(packet: &'a [u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor { packet, at: HEADER };
        let mut labels = Vec::new();
        loop {
            match usize::from(cursor.byte()?) {
                0 => break,
                // Nothing stands before it that a pointer could point to.
                length @ 1..=63 => labels.push(cursor.take(length)?),
                _ => return Err(Malformed),
            }
            if cursor.at - HEADER >= MAX_NAME {
                return Err(Malformed);
            }
        }
        Ok(Self {
            packet,
            labels,
            kind: cursor.number()?,
            class: cursor.number()?,
            end: cursor.at,
        })
    }

    /// The name's labels in the case they are asked in.
    pub(super) fn labels(&self) -> &[&'a [u8]] {
        &self.labels
    }

    /// The type asked for, one of [`kind`] or another.
    pub(super) fn kind(&self) -> u16 {
        self.kind
    }

    pub(super) fn class(&self) -> u16 {
        self.class
    }

    pub(super) fn packet(&self) -> &'a [u8] {
        self.packet
    }

    /// The name as it lies in the message.
    pub(super) fn name(&self) -> &'a [u8] {
        &self.packet[HEADER..self.end - 4]
    }

    /// Name, type and class as they lie in the message.
    pub(super) fn section(&self) -> &'a [u8] {
        &self.packet[HEADER..self.end]
    }

    /// Reads the rest of the message for an OPT record; more than one is malformed (RFC 6891 §6.1.1).
    pub(super) fn edns(&self) -> Result<Option<Edns>, Malformed> {
        let mut cursor = Cursor {
            packet: self.packet,
            at: 6,
        };
        let before = u32::from(cursor.number()?) + u32::from(cursor.number()?);
        let additional = u32::from(cursor.number()?);
        cursor.at = self.end;
        let mut edns = None;
        for record in 0..before + additional {
            let root = cursor.name()?;
            let kind = cursor.number()?;
            let size = cursor.number()?;
            let [_, version, flags, _] = *cursor.chunk()?;
            let length = cursor.number()?;
            cursor.take(length.into())?;
            if kind != kind::OPT {
                continue;
            }
            if !root || record < before || edns.is_some() {
                return Err(Malformed);
            }
            edns = Some(Edns {
                size,
                version,
                dnssec_ok: flags & 0x80 != 0,
            });
        }
        Ok(edns)
    }

    /// Whether a message is an answer to this one, as far as RFC 5452 §9.1 lets that be told. A server that could not read the question
    /// may leave it out.
    pub(super) fn is_answered_by(&self, reply: &[u8]) -> bool {
        let Some(header) = reply.first_chunk::<HEADER>() else {
            return false;
        };
        if header[..2] != self.packet[..2] || header[2] & message::QR == 0 {
            return false;
        }
        if header[4..6] == [0, 0] {
            return true;
        }
        let Some(section) = reply.get(HEADER..self.end) else {
            return false;
        };
        let (name, rest) = section.split_at(section.len() - 4);
        name.eq_ignore_ascii_case(self.name()) && rest == &self.packet[self.end - 4..self.end]
    }
}

/// Reads a message from front to back; nothing lies behind its end.
pub(super) struct Cursor<'a> {
    pub(super) packet: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let end = self.at + length;
        let bytes = self.packet.get(self.at..end).ok_or(Malformed)?;
        self.at = end;
        Ok(bytes)
    }

    pub(super) fn chunk<const N: usize>(&mut self) -> Result<&'a [u8; N], Malformed> {
        self.take(N)?.first_chunk().ok_or(Malformed)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Malformed> {
        self.chunk().map(|&[byte]| byte)
    }

    pub(super) fn number(&mut self) -> Result<u16, Malformed> {
        self.chunk().map(|&bytes| u16::from_be_bytes(bytes))
    }

    /// Reads a name, following its pointers, each of which leads further to the front (RFC 1035 §4.1.4).
    pub(super) fn whole_name(&mut self) -> Result<Name, Malformed> {
        let mut labels = Vec::new();
        let mut length = 1;
        let mut behind = None;
        let mut front = self.at;
        loop {
            match usize::from(self.byte()?) {
                0 => break,
                label @ 1..=63 => {
                    length += 1 + label;
                    labels.push(self.take(label)?);
                }
                high @ 0xC0.. => {
                    let low = usize::from(self.byte()?);
                    behind.get_or_insert(self.at);
                    self.at = (high & 0x3F) << 8 | low;
                    if self.at >= front {
                        return Err(Malformed);
                    }
                    front = self.at;
                }
                _ => return Err(Malformed),
            }
            if length > MAX_NAME {
                return Err(Malformed);
            }
        }
        self.at = behind.unwrap_or(self.at);
        Ok(Name::new(labels))
    }

    /// Passes a name without following its pointer, and tells whether it is the root.
    fn name(&mut self) -> Result<bool, Malformed> {
        let mut root = true;
        loop {
            match self.byte()? {
                0 => return Ok(root),
                length @ 1..=63 => self.take(length.into())?,
                0xC0.. => {
                    self.byte()?;
                    return Ok(false);
                }
                _ => return Err(Malformed),
            };
            root = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ask, ask_with_opt};
    use super::*;
    use proptest::prelude::*;

    fn edns(packet: &[u8]) -> Result<Option<Edns>, Malformed> {
        Query::parse(packet).unwrap().edns()
    }

    #[test]
    fn a_question_is_read() {
        let packet = ask("Kubernetes.default.", kind::SRV);
        let query = Query::parse(&packet).unwrap();
        assert_eq!(query.labels(), [b"Kubernetes".as_slice(), b"default"]);
        assert_eq!((query.kind(), query.class()), (kind::SRV, 1));
        assert_eq!(query.name(), b"\x0aKubernetes\x07default\0");
        assert_eq!(query.section().len(), query.name().len() + 4);
    }

    #[test]
    fn what_asks_nothing_gets_no_answer() {
        let mut reply = ask("a.", kind::A);
        reply[2] |= message::QR;
        assert_eq!(Query::parse(&reply).unwrap_err(), Rejected::Ignore);
        assert_eq!(Query::parse(&[0; 11]).unwrap_err(), Rejected::Ignore);
    }

    #[test]
    fn what_cannot_be_asked_is_refused_by_number() {
        let code = |change: fn(&mut Vec<u8>)| {
            let mut packet = ask("a.", kind::A);
            change(&mut packet);
            match Query::parse(&packet).unwrap_err() {
                Rejected::Reply(reply) => {
                    assert_eq!(reply[..2], packet[..2]);
                    reply[3] & 15
                }
                Rejected::Ignore => panic!("nothing was answered"),
            }
        };
        assert_eq!(code(|packet| packet[2] |= 5 << 3), 4); // UPDATE
        assert_eq!(code(|packet| packet[5] = 0), 1); // no question
        assert_eq!(code(|packet| packet[5] = 2), 1); // two
        assert_eq!(code(|packet| packet[12] = 0xC0), 1); // a pointer
        assert_eq!(code(|packet| packet[12] = 64), 1); // a label of no known kind
        assert_eq!(code(|packet| packet.truncate(16)), 1);
    }

    #[test]
    fn a_name_may_have_255_bytes() {
        let name = |last: usize| format!("{0}.{0}.{0}.{1}.", "a".repeat(63), "b".repeat(last));
        assert!(Query::parse(&ask(&name(61), kind::A)).is_ok());
        assert!(Query::parse(&ask(&name(62), kind::A)).is_err());
    }

    #[test]
    fn an_opt_record_is_found() {
        assert_eq!(edns(&ask("a.", kind::A)), Ok(None));
        assert_eq!(
            edns(&ask_with_opt("a.", kind::A, 4096)),
            Ok(Some(Edns {
                size: 4096,
                version: 0,
                dnssec_ok: false
            }))
        );
    }

    #[test]
    fn an_opt_record_stands_alone_at_the_end() {
        let mut twice = ask_with_opt("a.", kind::A, 4096);
        let opt = twice[twice.len() - 11..].to_vec();
        twice.extend(&opt);
        twice[11] = 2;
        assert_eq!(edns(&twice), Err(Malformed));
        let mut elsewhere = ask_with_opt("a.", kind::A, 4096);
        elsewhere.swap(9, 11); // as authority
        assert_eq!(edns(&elsewhere), Err(Malformed));
        let mut cut = ask_with_opt("a.", kind::A, 4096);
        cut.pop();
        assert_eq!(edns(&cut), Err(Malformed));
    }

    #[test]
    fn an_answer_is_known_by_number_and_question() {
        let packet = ask("Example.com.", kind::A);
        let query = Query::parse(&packet).unwrap();
        let reply = |change: fn(&mut Vec<u8>)| {
            let mut reply = ask("example.COM.", kind::A);
            reply[2] |= message::QR;
            change(&mut reply);
            query.is_answered_by(&reply)
        };
        assert!(reply(|_| ()));
        assert!(reply(|reply| {
            reply[5] = 0;
            reply.truncate(HEADER);
        }));
        assert!(!reply(|reply| reply[0] ^= 1));
        assert!(!reply(|reply| reply[2] = 0));
        assert!(!reply(|reply| reply[13] = b'f'));
        assert!(!reply(|reply| reply[26] = 28));
        assert!(!reply(|reply| reply.truncate(20)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_query_or_none(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(query) = Query::parse(&bytes) {
                let _ = query.edns();
                let _ = query.is_answered_by(&bytes);
            }
        }

        #[test]
        fn any_bytes_behind_a_question_are_records_or_none(
            counts: [u8; 3],
            bytes in prop::collection::vec(prop_oneof![Just(0u8), Just(41), any::<u8>()], 0..64),
        ) {
            let mut packet = ask("a.b.", kind::A);
            for (count, at) in counts.into_iter().zip([7, 9, 11]) {
                packet[at] = count % 4;
            }
            packet.extend(bytes);
            let _ = Query::parse(&packet).unwrap().edns();
        }
    }
}
