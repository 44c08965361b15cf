//! A Service that stands for a name outside the cluster (`ExternalName`): half of the answer is ours, and the machine's name servers
//! have the other.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::message::{self, Answer, Data, HEADER, Record, Transport, kind};
use super::query::{Cursor, Malformed, Query};

/// An answer that ends in a name of others.
#[derive(Debug)]
pub(super) struct Alias {
    /// Who asked what.
    packet: Vec<u8>,
    answer: Answer,
    /// The query for the rest.
    pub(super) asked: Vec<u8>,
}

impl Alias {
    /// The answer itself where it needs no other.
    pub(super) fn new(query: &Query<'_>, mut answer: Answer) -> Result<Self, Answer> {
        match answer.beyond.take() {
            Some(name) => Ok(Self {
                packet: query.packet().to_vec(),
                answer,
                asked: message::ask(&name, query),
            }),
            None => Err(answer),
        }
    }

    /// With what a name server says of the rest. Where that is nothing, the name alone is told, as by `CoreDNS`.
    pub(super) fn complete(&self, rest: &[u8], transport: Transport) -> Option<Vec<u8>> {
        let mut answer = self.answer.clone();
        answer.truncated = message::is_truncated(rest);
        answer.answers.extend(addresses(rest).unwrap_or_default());
        let query = Query::parse(&self.packet).ok()?;
        Some(message::reply(&query, transport, &answer))
    }
}

/// The addresses in an answer, and the names on the way to them.
fn addresses(reply: &[u8]) -> Result<Vec<Record>, Malformed> {
    let mut cursor = Cursor {
        packet: reply,
        at: 4,
    };
    let questions = cursor.number()?;
    let answers = cursor.number()?;
    cursor.at = HEADER;
    for _ in 0..questions {
        cursor.whole_name()?;
        cursor.take(4)?;
    }
    let mut records = Vec::new();
    for _ in 0..answers {
        let owner = cursor.whole_name()?;
        let (kind, class) = (cursor.number()?, cursor.number()?);
        let ttl = u32::from_be_bytes(*cursor.chunk()?);
        let length = usize::from(cursor.number()?);
        let end = cursor.at + length;
        let data = match (class, kind, length) {
            (message::INTERNET, kind::A, 4) => Some(Data::A(Ipv4Addr::from(*cursor.chunk::<4>()?))),
            (message::INTERNET, kind::AAAA, 16) => {
                Some(Data::Aaaa(Ipv6Addr::from(*cursor.chunk::<16>()?)))
            }
            (message::INTERNET, kind::CNAME, _) => Some(Data::Cname(cursor.whole_name()?)),
            _ => None,
        };
        cursor.at = end;
        records.extend(data.map(|data| Record { owner, ttl, data }));
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::super::testing::ask;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_pointer_that_does_not_lead_to_the_front_is_malformed() {
        let mut reply = ask("a.", kind::A);
        reply[7] = 1;
        let owner = u8::try_from(reply.len()).unwrap();
        for pointer in [owner, owner + 2, 0xFF] {
            let record = [
                &[0xC0, pointer][..],
                &[0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 1, 2, 3, 4],
            ]
            .concat();
            assert_eq!(addresses(&[&reply[..], &record].concat()), Err(Malformed));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_records_or_none(
            counts: [u8; 2],
            bytes in prop::collection::vec(prop_oneof![Just(0u8), Just(0xC0), Just(1), Just(12), any::<u8>()], 0..96),
        ) {
            let mut reply = ask("a.b.", kind::A);
            (reply[5], reply[7]) = (counts[0] % 3, counts[1] % 4);
            reply.extend(bytes);
            let _ = addresses(&reply);
            let _ = addresses(&reply[..reply.len() / 2]);
        }
    }
}
