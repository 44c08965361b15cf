//! The name servers here are fakes: sockets on loopback that the tests themselves read and answer from.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::time::Duration;

use proptest::prelude::*;
use rustix::net::{AddressFamily, SocketType};

use super::*;
use crate::linux::names::testing::{ask, ask_with_opt, show};
use crate::{Service, ServicePort};

/// Far more than anything here takes, and an end for what would wait forever.
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(20);
const PATIENT: Patience = Patience {
    answer: LONG,
    next: LONG,
    idle: LONG,
};

fn zone() -> Arc<RwLock<Zone>> {
    let service = Service {
        namespace: "default".into(),
        name: "kubernetes".into(),
        addresses: vec!["10.96.0.1".parse().unwrap()],
        ports: vec![ServicePort {
            name: Some("https".into()),
            protocol: "TCP".into(),
            port: 443,
        }],
        ..Service::default()
    };
    let external = Service {
        namespace: "default".into(),
        name: "out".into(),
        external_name: Some("www.example.com".into()),
        ..Service::default()
    };
    Arc::new(RwLock::new(Zone::new("default", &[service, external])))
}

fn forwarder(upstreams: &[SocketAddr], patience: Patience) -> Forwarder {
    let upstreams = Upstreams::new(upstreams.to_vec(), patience);
    Forwarder::start(zone(), upstreams, None).unwrap()
}

fn at(forwarder: &Forwarder) -> Endpoints {
    forwarder.endpoints(V4).unwrap()
}

fn socket(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind((address, 0)).unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    socket
}

fn asker(of: Endpoints) -> UdpSocket {
    let socket = socket(&of.udp.ip().to_string());
    socket.connect(of.udp).unwrap();
    socket
}

fn fakes<const N: usize>() -> ([UdpSocket; N], [SocketAddr; N]) {
    let fakes = [(); N].map(|()| socket("127.0.0.1"));
    let addresses = fakes.each_ref().map(|fake| fake.local_addr().unwrap());
    (fakes, addresses)
}

/// A port that is nobody else's, where nobody listens.
struct Closed {
    _udp: UdpSocket,
    _tcp: OwnedFd,
    address: SocketAddr,
}

fn closed() -> Closed {
    loop {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let tcp = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        rustix::net::bind(&tcp, &any).unwrap(); // and never listens
        let address = rustix::net::getsockname(&tcp).unwrap().try_into().unwrap();
        if let Ok(udp) = UdpSocket::bind(address) {
            udp.connect(address).unwrap(); // so it takes nothing from others
            return Closed {
                _udp: udp,
                _tcp: tcp,
                address,
            };
        }
    }
}

/// A name server that takes everything, over both transports, and is silent until it is told to speak.
fn silent() -> (Listeners, SocketAddr) {
    let fake = Listeners::bind(Ipv4Addr::LOCALHOST.into(), 0).unwrap();
    fake.udp.set_nonblocking(false).unwrap();
    fake.udp.set_read_timeout(Some(LONG)).unwrap();
    fake.tcp.set_nonblocking(false).unwrap();
    let Endpoints { udp, tcp } = fake.endpoints().unwrap();
    assert_eq!(udp, tcp);
    (fake, udp)
}

fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = [0; 4096];
    let (length, from) = socket.recv_from(&mut buffer).unwrap();
    (buffer[..length].to_vec(), from)
}

fn answer(packet: &[u8], code: u8) -> Vec<u8> {
    let mut answer = packet.to_vec();
    answer[2] |= 0x80;
    answer[3] = 0x80 | code;
    answer
}

fn framed(message: &[u8]) -> Vec<u8> {
    [
        &u16::try_from(message.len()).unwrap().to_be_bytes(),
        message,
    ]
    .concat()
}

fn receive_framed(stream: &mut TcpStream) -> Vec<u8> {
    stream.set_read_timeout(Some(LONG)).unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut message = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut message).unwrap();
    message
}

/// How a connection that is closed ends for the other side, whose bytes may not all have been read.
fn is_over(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(LONG)).unwrap();
    match stream.read(&mut [0]) {
        Ok(read) => read == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

const KUBERNETES: [&str; 2] = ["NOERROR qr aa rd", "kubernetes.default.svc. 5 A 10.96.0.1"];

#[test]
fn the_clusters_names_are_answered_over_both_transports_and_families() {
    let forwarder = start(zone(), Vec::new(), V4).unwrap();
    for endpoints in [V4, V6]
        .into_iter()
        .filter_map(|ip| forwarder.endpoints(ip))
    {
        let query = ask("kubernetes.default.svc.", kind::A);
        let udp = asker(endpoints);
        udp.send(&query).unwrap();
        assert_eq!(show(&receive(&udp).0), KUBERNETES);
        let mut tcp = TcpStream::connect(endpoints.tcp).unwrap();
        tcp.write_all(&framed(&query)).unwrap();
        assert_eq!(show(&receive_framed(&mut tcp)), KUBERNETES);
    }
}

#[test]
fn a_zone_that_has_changed_is_answered_from_at_once() {
    let zone = zone();
    let forwarder = start(Arc::clone(&zone), Vec::new(), V4).unwrap();
    let udp = asker(at(&forwarder));
    let asked = || {
        udp.send(&ask("kubernetes.default.svc.cluster.local.", kind::A))
            .unwrap();
        show(&receive(&udp).0)[0].clone()
    };
    assert_eq!(asked(), "NOERROR qr aa rd");
    *zone.write().unwrap() = Zone::new("default", &[]);
    assert_eq!(asked(), "NXDOMAIN qr aa rd");
}

#[test]
fn it_is_asked_at_a_name_servers_own_address_where_it_can_be() {
    let [local, far] = ["127.0.0.53:53", "192.0.2.1:53"].map(|server| server.parse().unwrap());
    let forwarder = forwarder(&[local, far], PATIENT);
    let endpoints = forwarder.endpoints(local.ip()).unwrap();
    assert_eq!(
        (endpoints.udp.ip(), endpoints.tcp.ip()),
        (local.ip(), local.ip())
    );
    let udp = socket("127.0.0.1");
    udp.send_to(&ask("kubernetes.default.svc.", kind::A), endpoints.udp)
        .unwrap();
    assert_eq!(receive(&udp).1, endpoints.udp);
    assert_eq!(forwarder.endpoints(far.ip()), forwarder.endpoints(V4));
    let mapped = IpAddr::V6(Ipv4Addr::LOCALHOST.to_ipv6_mapped());
    assert_eq!(forwarder.endpoints(mapped), forwarder.endpoints(V4));
    let six = forwarder.endpoints(V6).map(|endpoints| endpoints.udp.ip());
    assert_eq!(six, UdpSocket::bind((V6, 0)).is_ok().then_some(V6));
}

#[test]
fn everything_else_is_passed_on_unchanged_and_back() {
    let ([fake], address) = fakes();
    let forwarder = forwarder(&address, PATIENT);
    let asker = asker(at(&forwarder));
    let mut query = ask_with_opt("Example.com.", 65, 1232);
    query.extend(b"whatever else");
    asker.send(&query).unwrap();
    let (passed, from) = receive(&fake);
    assert_eq!(passed, query);
    let reply = [answer(&query, 0), b"and more".to_vec()].concat();
    fake.send_to(&reply, from).unwrap();
    assert_eq!(receive(&asker).0, reply);
}

/// As a name server says it, which compresses names.
fn example(packet: &[u8], more: u8) -> Vec<u8> {
    let mut reply = answer(packet, 0);
    reply[2] |= more;
    reply.truncate(12 + b"\x03www\x07example\x03com\0".len() + 4);
    reply[7] = 2;
    reply[11] = 0;
    reply.extend(b"\xC0\x0C\0\x05\0\x01\0\0\0\x3C\0\x02\xC0\x10"); // CNAME example.com.
    reply.extend(b"\xC0\x10\0\x01\0\x01\0\0\0\x3C\0\x04\xC0\0\x02\x50");
    reply
}

const OUT: [&str; 4] = [
    "NOERROR qr aa rd",
    "out.default.svc.cluster.local. 5 CNAME www.example.com.",
    "www.example.com. 60 CNAME example.com.",
    "example.com. 60 A 192.0.2.80",
];

#[test]
fn an_external_name_is_completed_by_a_name_server() {
    let ([fake], [address]) = fakes();
    let forwarder = forwarder(&[address], PATIENT);
    let udp = asker(at(&forwarder));
    let name = "out.default.svc.cluster.local.";
    let says = |asked: &[u8], reply: fn(&[u8]) -> Vec<u8>| {
        udp.send(asked).unwrap();
        let (packet, from) = receive(&fake);
        fake.send_to(&reply(&packet), from).unwrap();
        (packet, show(&receive(&udp).0))
    };
    let asked = ask(name, kind::A);
    let (packet, said) = says(&asked, |packet| example(packet, 0));
    assert_eq!(packet, ask("www.example.com.", kind::A));
    assert_eq!(said, OUT);
    let (packet, said) = says(&ask_with_opt(name, kind::A, 4096), |packet| {
        example(packet, 0)
    });
    assert_eq!(packet, ask_with_opt("www.example.com.", kind::A, 4096));
    assert_eq!(said, [OUT.as_slice(), &["OPT 4096"]].concat());
    let (_, said) = says(&asked, |packet| example(packet, 2));
    assert_eq!(said, ["NOERROR qr aa tc rd"]);
    let (_, said) = says(&asked, |packet| answer(packet, 3));
    assert_eq!(said, OUT[..2]);
}

#[test]
fn an_external_name_is_completed_over_tcp_too() {
    let (fake, address) = silent();
    let forwarder = forwarder(&[address], PATIENT);
    let mut tcp = TcpStream::connect(at(&forwarder).tcp).unwrap();
    let asked = ask("out.default.svc.cluster.local.", kind::A);
    tcp.write_all(&framed(&asked)).unwrap();
    let (mut upstream, _) = fake.tcp.accept().unwrap();
    let packet = receive_framed(&mut upstream);
    upstream.write_all(&framed(&example(&packet, 0))).unwrap();
    assert_eq!(show(&receive_framed(&mut tcp)), OUT);
}

#[test]
fn what_answers_something_else_is_passed_over() {
    let ([fake], address) = fakes();
    let forwarder = forwarder(&address, PATIENT);
    let asker = asker(at(&forwarder));
    let query = ask("example.com.", kind::A);
    asker.send(&query).unwrap();
    let (_, from) = receive(&fake);
    let mut other = answer(&query, 3);
    other[0] ^= 1;
    fake.send_to(&other, from).unwrap();
    fake.send_to(&answer(&ask("example.org.", kind::A), 3), from)
        .unwrap();
    fake.send_to(&answer(&query, 0), from).unwrap();
    assert_eq!(receive(&asker).0, answer(&query, 0));
}

#[test]
fn the_next_is_asked_where_nobody_listens() {
    let ([fake], [address]) = fakes();
    let closed = closed();
    let forwarder = forwarder(&[closed.address, address], PATIENT);
    let asker = asker(at(&forwarder));
    let query = ask("example.com.", kind::A);
    asker.send(&query).unwrap();
    let (_, from) = receive(&fake);
    fake.send_to(&answer(&query, 3), from).unwrap();
    assert_eq!(receive(&asker).0, answer(&query, 3));
}

#[test]
fn the_next_is_asked_where_one_will_not_and_from_then_on_first() {
    let ([unwilling, fake], addresses) = fakes();
    let forwarder = forwarder(&addresses, PATIENT);
    let asker = asker(at(&forwarder));
    let query = ask("example.com.", kind::A);
    asker.send(&query).unwrap();
    let (_, from) = receive(&unwilling);
    unwilling.send_to(&answer(&query, 5), from).unwrap();
    for _ in 0..2 {
        let (_, from) = receive(&fake);
        fake.send_to(&answer(&query, 0), from).unwrap();
        assert_eq!(receive(&asker).0, answer(&query, 0));
        asker.send(&query).unwrap();
    }
    unwilling.set_nonblocking(true).unwrap();
    let nothing = unwilling.recv(&mut [0]).unwrap_err();
    assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
}

#[test]
fn a_slow_one_may_still_answer_when_the_next_was_asked() {
    let ([slow, next], addresses) = fakes();
    let patience = Patience {
        next: SHORT,
        ..PATIENT
    };
    let forwarder = forwarder(&addresses, patience);
    let asker = asker(at(&forwarder));
    let query = ask("example.com.", kind::A);
    asker.send(&query).unwrap();
    receive(&next);
    let (_, from) = receive(&slow);
    slow.send_to(&answer(&query, 0), from).unwrap();
    assert_eq!(receive(&asker).0, answer(&query, 0));
}

#[test]
fn where_none_will_the_last_refusal_is_the_answer() {
    let ([one, other], addresses) = fakes();
    let forwarder = forwarder(&addresses, PATIENT);
    let asker = asker(at(&forwarder));
    let query = ask("example.com.", kind::A);
    asker.send(&query).unwrap();
    for (fake, code) in [(one, 2), (other, 5)] {
        let (_, from) = receive(&fake);
        fake.send_to(&answer(&query, code), from).unwrap();
    }
    assert_eq!(receive(&asker).0, answer(&query, 5));
}

#[test]
fn where_nobody_answers_that_is_said() {
    let (_silent, silent) = silent();
    let closed = closed();
    let patience = Patience {
        answer: SHORT,
        ..PATIENT
    };
    for upstreams in [vec![], vec![closed.address], vec![silent]] {
        let forwarder = forwarder(&upstreams, patience);
        let query = ask_with_opt("example.com.", kind::A, 4096);
        let expected = ["SERVFAIL qr rd", "OPT 4096"];
        let udp = asker(at(&forwarder));
        udp.send(&query).unwrap();
        assert_eq!(show(&receive(&udp).0), expected);
        let mut tcp = TcpStream::connect(at(&forwarder).tcp).unwrap();
        tcp.write_all(&framed(&query)).unwrap();
        assert_eq!(show(&receive_framed(&mut tcp)), expected);
    }
}

#[test]
fn more_than_can_wait_is_refused_and_the_clusters_names_are_not() {
    let ([_silent], address) = fakes();
    let forwarder = forwarder(&address, PATIENT);
    let asker = asker(at(&forwarder));
    let mut query = ask("example.com.", kind::A);
    for number in 0..=u8::try_from(MAX_WAITING).unwrap() {
        query[1] = number;
        asker.send(&query).unwrap();
    }
    let (refused, _) = receive(&asker);
    assert_eq!(show(&refused), ["SERVFAIL qr rd"]);
    assert_eq!(refused[1], u8::try_from(MAX_WAITING).unwrap());
    asker
        .send(&ask("kubernetes.default.svc.", kind::A))
        .unwrap();
    assert_eq!(show(&receive(&asker).0), KUBERNETES);
}

#[test]
fn a_connection_carries_many_queries_each_passed_on_over_another() {
    let fake = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = closed();
    let forwarder = forwarder(&[closed.address, fake.local_addr().unwrap()], PATIENT);
    let mut tcp = TcpStream::connect(at(&forwarder).tcp).unwrap();
    let queries = [
        ask("example.com.", kind::A),
        ask("kubernetes.default.svc.", kind::A),
        ask("example.org.", kind::TXT),
    ];
    tcp.write_all(&queries.each_ref().map(|query| framed(query)).concat())
        .unwrap();
    let serve = |tcp: &mut TcpStream, query: &[u8]| {
        let (mut stream, _) = fake.accept().unwrap();
        assert_eq!(receive_framed(&mut stream), query);
        let long = [answer(query, 0), vec![0; 60_000]].concat();
        stream.write_all(&framed(&long)).unwrap();
        assert!(receive_framed(tcp) == long);
    };
    serve(&mut tcp, &queries[0]);
    assert_eq!(show(&receive_framed(&mut tcp)), KUBERNETES);
    serve(&mut tcp, &queries[2]);
}

#[test]
fn over_tcp_too_the_next_is_asked_where_one_will_not() {
    let fakes = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let addresses = fakes.each_ref().map(|fake| fake.local_addr().unwrap());
    let query = ask("example.com.", kind::A);
    for last in [3, 5] {
        let forwarder = forwarder(&addresses, PATIENT);
        let mut tcp = TcpStream::connect(at(&forwarder).tcp).unwrap();
        tcp.write_all(&framed(&query)).unwrap();
        for (fake, code) in fakes.iter().zip([2, last]) {
            let (mut stream, _) = fake.accept().unwrap();
            receive_framed(&mut stream);
            stream.write_all(&framed(&answer(&query, code))).unwrap();
        }
        assert_eq!(receive_framed(&mut tcp), answer(&query, last));
    }
}

#[test]
fn a_zone_transfer_is_refused_whosever_it_is() {
    let forwarder = forwarder(&[], PATIENT);
    let mut tcp = TcpStream::connect(at(&forwarder).tcp).unwrap();
    tcp.write_all(&framed(&ask("example.com.", kind::AXFR)))
        .unwrap();
    assert_eq!(show(&receive_framed(&mut tcp)), ["REFUSED qr rd"]);
}

#[test]
fn an_idle_or_senseless_connection_is_closed() {
    let patience = Patience {
        idle: SHORT,
        ..PATIENT
    };
    let impatient = forwarder(&[], patience);
    let mut tcp = TcpStream::connect(at(&impatient).tcp).unwrap();
    tcp.write_all(&[0]).unwrap(); // half a length
    assert!(is_over(&mut tcp));
    let forwarder = forwarder(&[], PATIENT);
    let mut tcp = TcpStream::connect(at(&forwarder).tcp).unwrap();
    tcp.write_all(&framed(b"")).unwrap();
    assert!(is_over(&mut tcp));
}

#[test]
fn one_connection_too_many_is_closed() {
    let forwarder = forwarder(&[], PATIENT);
    let query = framed(&ask("kubernetes.default.svc.", kind::A));
    let connections: Vec<_> = (0..MAX_CONNECTIONS)
        .map(|_| {
            let mut tcp = TcpStream::connect(at(&forwarder).tcp).unwrap();
            tcp.write_all(&query).unwrap();
            assert_eq!(show(&receive_framed(&mut tcp)), KUBERNETES);
            tcp
        })
        .collect();
    let mut tcp = TcpStream::connect(at(&forwarder).tcp).unwrap();
    assert!(is_over(&mut tcp));
    drop(connections);
}

#[test]
fn dropping_it_ends_everything_that_waits() {
    let (fake, address) = silent();
    let forwarder = forwarder(&[address], PATIENT);
    let server = Arc::downgrade(&forwarder.stop);
    let v4 = at(&forwarder);
    let query = ask("example.com.", kind::A);
    let udp = asker(v4);
    udp.send(&query).unwrap();
    receive(&fake.udp);
    let mut idle = TcpStream::connect(v4.tcp).unwrap();
    let mut waiting = TcpStream::connect(v4.tcp).unwrap();
    waiting.write_all(&framed(&query)).unwrap();
    let _passed_on = fake.tcp.accept().unwrap();
    drop(forwarder); // would take LONG
    assert!(is_over(&mut idle));
    assert_eq!(show(&receive_framed(&mut waiting)), ["SERVFAIL qr rd"]);
    assert!(is_over(&mut waiting));
    assert!(server.upgrade().is_none(), "the server is still there");
}

proptest! {
    #[test]
    fn no_bytes_silence_it(
        packets in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..64),
                // A question, and then anything.
                prop::collection::vec(any::<u8>(), 0..64).prop_map(|rest| [ask("a.cluster.local.", kind::A), rest].concat()),
                (0..29usize, any::<u8>()).prop_map(|(at, byte)| {
                    let mut packet = ask("a.cluster.local.", kind::A);
                    packet[at] = byte;
                    packet
                }),
            ],
            1..20,
        ),
    ) {
        let closed = closed();
        let forwarder = forwarder(&[closed.address], PATIENT);
        let udp = asker(at(&forwarder));
        for packet in &packets {
            udp.send(packet).unwrap();
            let mut tcp = TcpStream::connect(at(&forwarder).tcp).unwrap();
            tcp.write_all(&framed(packet)).unwrap();
        }
        let mut tcp = TcpStream::connect(at(&forwarder).tcp).unwrap();
        let query = ask("kubernetes.default.svc.", kind::A);
        tcp.write_all(&framed(&query)).unwrap();
        prop_assert_eq!(show(&receive_framed(&mut tcp)), KUBERNETES);
        udp.send(&query).unwrap();
        while !receive(&udp).0[12..].starts_with(&query[12..]) {}
    }
}
