//! Where the forwarder is asked.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};

/// Where a [`Forwarder`](super::Forwarder) listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::linux) struct Endpoints {
    pub(in crate::linux) udp: SocketAddr,
    /// The same port where both were free.
    pub(in crate::linux) tcp: SocketAddr,
}

#[derive(Debug)]
pub(super) struct Listeners {
    pub(super) udp: UdpSocket,
    pub(super) tcp: TcpListener,
}

impl Listeners {
    /// On that port, or on a free one where it is 0.
    pub(super) fn bind(ip: IpAddr, port: u16) -> io::Result<Self> {
        let same_port = || {
            let tcp = TcpListener::bind((ip, port)).ok()?;
            let udp = UdpSocket::bind(tcp.local_addr().ok()?).ok()?;
            Some((udp, tcp))
        };
        let (udp, tcp) = match (0..16).find_map(|_| same_port()) {
            Some(pair) => pair,
            None => (UdpSocket::bind((ip, port))?, TcpListener::bind((ip, port))?),
        };
        udp.set_nonblocking(true)?;
        tcp.set_nonblocking(true)?;
        Ok(Self { udp, tcp })
    }

    pub(super) fn endpoints(&self) -> io::Result<Endpoints> {
        Ok(Endpoints {
            udp: self.udp.local_addr()?,
            tcp: self.tcp.local_addr()?,
        })
    }
}
