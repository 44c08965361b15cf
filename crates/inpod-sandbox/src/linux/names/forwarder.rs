//! The server: one thread for all that comes over UDP, and one for each connection.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::{self, JoinHandle, Scope};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};

use super::PORT;
use super::alias::Alias;
use super::listeners::{Endpoints, Listeners};
use super::message::{Answer, Code, Transport, kind, reply};
use super::query::{Query, Rejected};
use super::stream::{Stop, Stream};
use super::upstream::{Exchange, Patience, Upstreams, failure};
use super::zone::Zone;

/// Queries over UDP that wait for a name server. Each has a socket.
const MAX_WAITING: usize = 128;
/// Connections, each with a thread.
const MAX_CONNECTIONS: usize = 64;
/// How many datagrams are read before anything else has its turn.
const MAX_AT_ONCE: usize = 64;
/// How long no connection is taken after the machine had no descriptor left for one.
const PAUSE: Duration = Duration::from_millis(100);

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// A running forwarder. Dropping it closes its sockets and waits for its threads.
#[derive(Debug)]
pub(in crate::linux) struct Forwarder {
    endpoints: Vec<Endpoints>,
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
}

/// Listens on loopback, answers for the zone, and passes on what is not the zone's.
///
/// At `own` with the port of DNS, if that may be had: then it is found even by who cannot be led there.
pub(super) fn start(
    zone: Arc<RwLock<Zone>>,
    upstreams: Vec<SocketAddr>,
    own: IpAddr,
) -> io::Result<Forwarder> {
    Forwarder::start(
        zone,
        Upstreams::new(upstreams, Patience::default()),
        Some(own),
    )
}

impl Forwarder {
    /// Where to lead what goes to a name server. Its own address where that is a loopback one, since some resolvers (c-ares) heed no
    /// answer that comes from another; else the loopback address of its family, if this machine has one.
    pub(in crate::linux) fn endpoints(&self, server: IpAddr) -> Option<Endpoints> {
        let at = |ip| {
            self.endpoints
                .iter()
                .find(|endpoints| endpoints.udp.ip() == ip)
        };
        let server = server.to_canonical();
        at(server).or_else(|| at(loopback(server))).copied()
    }

    fn start(
        zone: Arc<RwLock<Zone>>,
        upstreams: Upstreams,
        own: Option<IpAddr>,
    ) -> io::Result<Self> {
        let mut listeners = vec![Listeners::bind(V4, 0)?];
        let mut taken = vec![V4];
        if let Some(own) = own {
            listeners.push(Listeners::bind(own, PORT).or_else(|_| Listeners::bind(own, 0))?);
            taken.push(own);
        }
        let servers = upstreams.addresses().filter(IpAddr::is_loopback);
        for ip in servers.chain([V6]) {
            if taken.contains(&ip) {
                continue;
            }
            taken.push(ip);
            match Listeners::bind(ip, 0) {
                Ok(bound) => listeners.push(bound),
                Err(error) => {
                    tracing::debug!(%ip, %error, "the cluster's names are not answered there");
                }
            }
        }
        let stop = Arc::new(Stop::new()?);
        let mut forwarder = Self {
            endpoints: listeners
                .iter()
                .map(Listeners::endpoints)
                .collect::<Result<_, _>>()?,
            stop: Arc::clone(&stop),
            thread: None,
        };
        let server = Server {
            zone,
            upstreams,
            stop,
            listeners,
            connections: AtomicUsize::new(0),
        };
        let run = move || {
            if let Err(error) = thread::scope(|scope| server.run(scope)) {
                tracing::error!(%error, "the cluster's names are no longer answered");
            }
        };
        let thread = thread::Builder::new().name("inpod-names".into());
        forwarder.thread = Some(thread.spawn(run)?);
        Ok(forwarder)
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        let rung = self.stop.ring();
        if let Some(thread) = self.thread.take().filter(|_| rung.is_ok()) {
            let _ = thread.join();
        }
    }
}

struct Server {
    /// Which may become another between two queries.
    zone: Arc<RwLock<Zone>>,
    upstreams: Upstreams,
    stop: Arc<Stop>,
    listeners: Vec<Listeners>,
    connections: AtomicUsize,
}

/// A query that waits for a name server, and who asked it where.
struct Waiting<'a> {
    exchange: Exchange,
    /// What the answer is the rest of.
    alias: Option<Alias>,
    from: SocketAddr,
    on: &'a UdpSocket,
}

enum Handled {
    Ignored,
    Answered(Vec<u8>),
    PassedOn,
    /// Half answered.
    Aliased(Box<Alias>),
}

impl Server {
    fn run<'s>(&'s self, scope: &'s Scope<'s, '_>) -> io::Result<()> {
        let mut waiting: Vec<Waiting<'_>> = Vec::new();
        let mut buffer = vec![0; usize::from(u16::MAX)];
        let mut pause: Option<Instant> = None;
        loop {
            pause = pause.filter(|end| *end > Instant::now());
            let wake = waiting.iter().filter_map(|one| one.exchange.wake());
            let wake = wake.chain(pause).min();
            let mut fds: Vec<_> = Vec::new();
            for listeners in &self.listeners {
                fds.push(PollFd::new(&listeners.udp, PollFlags::IN));
                if pause.is_none() {
                    fds.push(PollFd::new(&listeners.tcp, PollFlags::IN));
                }
            }
            let sockets = waiting.iter().flat_map(|one| one.exchange.sockets());
            fds.extend(sockets.map(|socket| PollFd::new(socket, PollFlags::IN)));
            if !self.stop.wait(fds, wake)? {
                return Ok(());
            }
            for listeners in &self.listeners {
                self.read(&listeners.udp, &mut waiting, &mut buffer);
                if pause.is_none() && self.accept(scope, &listeners.tcp).is_err() {
                    pause = Some(Instant::now() + PAUSE);
                }
            }
            waiting.retain_mut(|one| {
                let Some(answer) = one.exchange.advance(&self.upstreams, &mut buffer) else {
                    return true;
                };
                let completed = match &one.alias {
                    Some(alias) => alias.complete(&answer, Transport::Udp),
                    None => Some(answer),
                };
                if let Some(answer) = completed {
                    send(one.on, &answer, one.from);
                }
                false
            });
        }
    }

    fn read<'s>(
        &'s self,
        socket: &'s UdpSocket,
        waiting: &mut Vec<Waiting<'s>>,
        buffer: &mut [u8],
    ) {
        for _ in 0..MAX_AT_ONCE {
            let (length, from) = match socket.recv_from(buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => continue,
            };
            let packet = &buffer[..length];
            let alias = match self.handle(packet, Transport::Udp) {
                Handled::Ignored => continue,
                Handled::Answered(answer) => {
                    send(socket, &answer, from);
                    continue;
                }
                Handled::PassedOn => None,
                Handled::Aliased(alias) => Some(*alias),
            };
            if waiting.len() < MAX_WAITING {
                let asked = alias.as_ref().map_or(packet, |alias| &alias.asked);
                waiting.push(Waiting {
                    exchange: Exchange::new(asked, &self.upstreams, Instant::now()),
                    alias,
                    from,
                    on: socket,
                });
            } else if let Ok(query) = Query::parse(packet) {
                send(socket, &failure(&query, Transport::Udp), from);
            }
        }
    }

    fn accept<'s>(&'s self, scope: &'s Scope<'s, '_>, listener: &TcpListener) -> io::Result<()> {
        loop {
            let tcp = match listener.accept() {
                Ok((tcp, _)) => tcp,
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return Ok(()),
                    io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted => continue,
                    _ => return Err(error),
                },
            };
            if self.connections.fetch_add(1, Ordering::Relaxed) >= MAX_CONNECTIONS {
                self.connections.fetch_sub(1, Ordering::Relaxed);
                continue;
            }
            let converse = || {
                if let Err(error) = self.converse(tcp) {
                    tracing::debug!(%error, "a connection ended");
                }
                self.connections.fetch_sub(1, Ordering::Relaxed);
            };
            let thread = thread::Builder::new().name("inpod-names".into());
            if let Err(error) = thread.spawn_scoped(scope, converse) {
                self.connections.fetch_sub(1, Ordering::Relaxed);
                return Err(error);
            }
        }
    }

    /// Answers the queries of a connection in their order, which RFC 7766 §6.2.1.1 allows.
    fn converse(&self, tcp: TcpStream) -> io::Result<()> {
        let mut stream = Stream::accepted(tcp, &self.stop)?;
        let idle = || Instant::now() + self.upstreams.patience.idle;
        while let Some(packet) = stream.receive(idle())? {
            let answer = match self.handle(&packet, Transport::Tcp) {
                Handled::Ignored => None,
                Handled::Answered(answer) => Some(answer),
                Handled::PassedOn => self.upstreams.ask_over_tcp(&packet, &self.stop),
                Handled::Aliased(alias) => {
                    let rest = self.upstreams.ask_over_tcp(&alias.asked, &self.stop);
                    rest.and_then(|rest| alias.complete(&rest, Transport::Tcp))
                }
            };
            let Some(answer) = answer else {
                return Ok(());
            };
            stream.send(&answer, idle())?;
        }
        Ok(())
    }

    fn handle(&self, packet: &[u8], transport: Transport) -> Handled {
        let query = match Query::parse(packet) {
            Ok(query) => query,
            Err(Rejected::Ignore) => return Handled::Ignored,
            Err(Rejected::Reply(answer)) => return Handled::Answered(answer),
        };
        let zone = self.zone.read().unwrap_or_else(PoisonError::into_inner);
        let answer = match zone.answer(&query) {
            Some(answer) => answer,
            // Many messages answer it, and one would be passed back.
            None if matches!(query.kind(), kind::AXFR | kind::IXFR) => Answer::bare(Code::REFUSED),
            None => return Handled::PassedOn,
        };
        match Alias::new(&query, answer) {
            Ok(alias) => Handled::Aliased(Box::new(alias)),
            Err(answer) => Handled::Answered(reply(&query, transport, &answer)),
        }
    }
}

fn loopback(of: IpAddr) -> IpAddr {
    if of.is_ipv4() { V4 } else { V6 }
}

/// Who asked may be gone by now.
fn send(socket: &UdpSocket, answer: &[u8], to: SocketAddr) {
    if let Err(error) = socket.send_to(answer, to) {
        tracing::debug!(%error, "an answer could not be sent");
    }
}

#[cfg(test)]
mod tests;
