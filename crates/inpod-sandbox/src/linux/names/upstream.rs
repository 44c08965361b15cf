//! The machine's name servers, and what is asked of them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::vec::IntoIter;

use super::message::{self, Answer, Code, Transport};
use super::query::Query;
use super::stream::{Stop, Stream};

/// How long is waited for what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// For the answer of a name server; resolvers wait as long (`timeout` of resolv.conf(5)).
    pub(super) answer: Duration,
    /// Before the next is asked as well. The asker takes all for one, so the last must have its turn before the asker gives up.
    pub(super) next: Duration,
    /// For another query on a connection.
    pub(super) idle: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            answer: Duration::from_secs(5),
            next: Duration::from_secs(2),
            idle: Duration::from_secs(10),
        }
    }
}

/// Name servers that all know the same.
#[derive(Debug)]
pub(super) struct Upstreams {
    servers: Vec<SocketAddr>,
    /// The last that answered, which is asked first: where one is down, only one query waits for it.
    first: AtomicUsize,
    pub(super) patience: Patience,
}

impl Upstreams {
    pub(super) fn new(servers: Vec<SocketAddr>, patience: Patience) -> Self {
        Self {
            servers,
            first: AtomicUsize::new(0),
            patience,
        }
    }

    pub(super) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.servers.iter().map(SocketAddr::ip)
    }

    /// Asks one after the other.
    pub(super) fn ask_over_tcp(&self, packet: &[u8], stop: &Stop) -> Option<Vec<u8>> {
        let query = Query::parse(packet).ok()?;
        let mut fallback = None;
        for (index, server) in self.in_turn() {
            let until = Instant::now() + self.patience.answer;
            let answer = Stream::connect(server, stop, until).and_then(|mut stream| {
                stream.send(packet, until)?;
                stream.receive(until)
            });
            match answer {
                Ok(Some(reply)) if query.is_answered_by(&reply) => {
                    if self.settles(index, &reply) {
                        return Some(reply);
                    }
                    fallback = Some(reply);
                }
                Ok(_) => {
                    tracing::debug!(%server, "a name server answered something else, or nothing");
                }
                Err(error) => tracing::debug!(%server, %error, "a name server did not answer"),
            }
        }
        Some(fallback.unwrap_or_else(|| failure(&query, Transport::Tcp)))
    }

    fn in_turn(&self) -> IntoIter<(usize, SocketAddr)> {
        let mut servers: Vec<_> = self.servers.iter().copied().enumerate().collect();
        let first = self.first.load(Ordering::Relaxed).min(servers.len());
        servers.rotate_left(first);
        servers.into_iter()
    }

    /// Whether no other need be asked. Resolvers try the next server upon these codes too, and every next one is this forwarder.
    fn settles(&self, index: usize, reply: &[u8]) -> bool {
        let settles = !matches!(
            Code::of(reply),
            Code::SERVER_FAILURE | Code::NOT_IMPLEMENTED | Code::REFUSED
        );
        if settles {
            self.first.store(index, Ordering::Relaxed);
        }
        settles
    }
}

/// A query over UDP and those who were asked, each from a port of its own (RFC 5452 §9.2).
pub(super) struct Exchange {
    packet: Vec<u8>,
    to_ask: IntoIter<(usize, SocketAddr)>,
    asked: Vec<Asked>,
    /// When the next is asked.
    next: Instant,
    /// An answer that is given if nobody has a better one.
    fallback: Option<Vec<u8>>,
}

struct Asked {
    index: usize,
    socket: UdpSocket,
    until: Instant,
}

impl Exchange {
    pub(super) fn new(packet: &[u8], upstreams: &Upstreams, now: Instant) -> Self {
        Self {
            packet: packet.to_vec(),
            to_ask: upstreams.in_turn(),
            asked: Vec::new(),
            next: now,
            fallback: None,
        }
    }

    pub(super) fn sockets(&self) -> impl Iterator<Item = &UdpSocket> {
        self.asked.iter().map(|asked| &asked.socket)
    }

    /// When it goes on even if no socket has anything.
    pub(super) fn wake(&self) -> Option<Instant> {
        let untils = self.asked.iter().map(|asked| asked.until);
        let next = (self.to_ask.len() > 0).then_some(self.next);
        untils.chain(next).min()
    }

    /// Goes as far as it can now; the answer, once there is one.
    pub(super) fn advance(&mut self, upstreams: &Upstreams, buffer: &mut [u8]) -> Option<Vec<u8>> {
        let now = Instant::now();
        let query = Query::parse(&self.packet).ok()?;
        let mut settled = None;
        self.asked
            .retain(|asked| match asked.receive(&query, buffer) {
                Ok(None) => now < asked.until,
                Ok(Some(reply)) if upstreams.settles(asked.index, reply) => {
                    settled = Some(reply.to_vec());
                    false
                }
                Ok(Some(reply)) => {
                    self.fallback = Some(reply.to_vec());
                    false
                }
                Err(error) => {
                    tracing::debug!(%error, "a name server does not answer");
                    false
                }
            });
        if settled.is_some() {
            return settled;
        }
        while self.asked.is_empty() || now >= self.next {
            let Some((index, server)) = self.to_ask.next() else {
                break;
            };
            self.next = now + upstreams.patience.next;
            let until = now + upstreams.patience.answer;
            match Asked::ask(index, server, &self.packet, until) {
                Ok(asked) => self.asked.push(asked),
                Err(error) => tracing::debug!(%server, %error, "a name server cannot be asked"),
            }
        }
        if self.asked.is_empty() {
            let failed = || failure(&query, Transport::Udp);
            return Some(self.fallback.take().unwrap_or_else(failed));
        }
        None
    }
}

impl Asked {
    fn ask(index: usize, server: SocketAddr, packet: &[u8], until: Instant) -> io::Result<Self> {
        let any: IpAddr = match server {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, 0))?;
        socket.set_nonblocking(true)?;
        socket.connect(server)?;
        socket.send(packet)?;
        Ok(Self {
            index,
            socket,
            until,
        })
    }

    /// Passes over what answers something else. The kernel lets in nothing from elsewhere.
    fn receive<'a>(&self, query: &Query<'_>, buffer: &'a mut [u8]) -> io::Result<Option<&'a [u8]>> {
        loop {
            match self.socket.recv(buffer) {
                Ok(length) if query.is_answered_by(&buffer[..length]) => {
                    return Ok(Some(&buffer[..length]));
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }
}

/// What is said where nobody answered, or too much is asked at once.
pub(super) fn failure(query: &Query<'_>, transport: Transport) -> Vec<u8> {
    message::reply(query, transport, &Answer::bare(Code::SERVER_FAILURE))
}
