//! The cluster's names for a process that asks the machine's name servers: a DNS server on loopback, which answers what the cluster's
//! DNS would, and passes everything else on to the machine's own, unchanged.
//!
//! It takes nothing from `/etc/resolv.conf` but the addresses. The process keeps the machine's file, so that names of the machine's
//! network stay what they are; what the search domains of a Pod's would do for the names of Services, the [`zone`] does.

mod alias;
mod forwarder;
mod listeners;
mod message;
mod name;
mod query;
mod records;
mod stream;
#[cfg(test)]
mod testing;
mod upstream;
mod zone;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::sync::{Arc, PoisonError, RwLock};

use rustix::net::{AddressFamily, SocketType, netdevice::name_to_index};

use forwarder::Forwarder;
use zone::Zone;

use super::address::{own_address, own_addresses};
use super::supervisor;
use crate::{Redirect, Service, View};

/// A running forwarder, and where it is found.
#[derive(Debug)]
pub(super) struct Names {
    zone: Arc<RwLock<Zone>>,
    namespace: String,
    forwarder: Forwarder,
    resolver: IpAddr,
    machine: Vec<SocketAddr>,
}

impl Names {
    /// Where the view has Services. Without it their names are unknown, which is said, and no reason not to go on.
    pub(super) fn serve(view: &View) -> Option<Self> {
        if view.services.is_empty() {
            return None;
        }
        let machine =
            name_servers(&std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default());
        let free = |ip: &IpAddr| UdpSocket::bind((*ip, PORT)).is_ok();
        let resolver = own_addresses().into_iter().find(free);
        let resolver = resolver.unwrap_or_else(own_address);
        let zone = Zone::new(&view.namespace, &view.services);
        let zone = Arc::new(RwLock::new(zone));
        let forwarder = match forwarder::start(Arc::clone(&zone), machine.clone(), resolver) {
            Ok(forwarder) => forwarder,
            Err(error) => {
                tracing::warn!("the names of the cluster's Services are not answered: {error}");
                return None;
            }
        };
        let Some(resolver) = found_at(&forwarder, resolver, !view.redirects.is_empty()) else {
            tracing::warn!(
                "the names of the cluster's Services are not answered: port {PORT} of {resolver} cannot be listened on"
            );
            return None;
        };
        Some(Self {
            zone,
            namespace: view.namespace.clone(),
            forwarder,
            resolver,
            machine,
        })
    }

    pub(super) fn update(&self, services: &[Service]) {
        let zone = Zone::new(&self.namespace, services);
        *self.zone.write().unwrap_or_else(PoisonError::into_inner) = zone;
    }

    /// The name server for the process to ask first.
    pub(super) fn resolver(&self) -> IpAddr {
        self.resolver
    }

    /// From there, and from the machine's name servers, for who asks those.
    pub(super) fn redirects(&self) -> Vec<Redirect> {
        std::iter::once(SocketAddr::new(self.resolver, PORT))
            .chain(self.machine.iter().copied())
            .filter_map(|from| {
                let endpoints = self.forwarder.endpoints(from.ip())?;
                let same = endpoints.udp == endpoints.tcp;
                same.then(|| Redirect::new(from, endpoints.udp))
            })
            .collect()
    }
}

/// The address at which resolvers find it: by the port that they ask, or led there by this sandbox or the one around it.
fn found_at(forwarder: &Forwarder, own: IpAddr, led: bool) -> Option<IpAddr> {
    if led || forwarder.endpoints(own)?.udp.port() == PORT {
        return Some(own);
    }
    let loopback = forwarder.endpoints(Ipv4Addr::LOCALHOST.into())?;
    supervisor::probe().ok()?;
    Some(supervisor::nested_address(loopback.udp.port()).ip())
}

/// What is listened on if no port is told.
const PORT: u16 = 53;
/// `MAXNS` of resolv.conf(5): resolvers heed no more.
const MAX_NAME_SERVERS: usize = 3;

/// The name servers that a `resolv.conf` names, in order; a resolver asks this machine if there are none.
pub(super) fn name_servers(resolv_conf: &str) -> Vec<SocketAddr> {
    let mut servers: Vec<_> = resolv_conf
        .lines()
        .filter_map(|line| line.strip_prefix("nameserver"))
        .filter(|rest| rest.starts_with([' ', '\t']))
        .filter_map(|rest| name_server(rest.split_ascii_whitespace().next()?))
        .take(MAX_NAME_SERVERS)
        .collect();
    if servers.is_empty() {
        servers.push(SocketAddr::from(([127, 0, 0, 1], PORT)));
    }
    servers
}

fn name_server(address: &str) -> Option<SocketAddr> {
    if let Some((address, scope)) = address.split_once('%') {
        let address: Ipv6Addr = address.parse().ok()?;
        let scope = scope.parse().ok().or_else(|| interface(scope));
        let scope = scope.unwrap_or_default();
        return Some(SocketAddrV6::new(address, PORT, 0, scope).into());
    }
    Some(SocketAddr::new(address.parse::<IpAddr>().ok()?, PORT))
}

fn interface(name: &str) -> Option<u32> {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None).ok()?;
    name_to_index(socket, name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(resolv_conf: &str) -> Vec<String> {
        name_servers(resolv_conf)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn the_first_three_name_servers_count() {
        assert_eq!(
            shown(
                "search x\nnameserver 10.0.0.1\nnameserver\tfd00::1 # y\nnameserver 10.0.0.2\nnameserver 10.0.0.3\n"
            ),
            ["10.0.0.1:53", "[fd00::1]:53", "10.0.0.2:53"]
        );
    }

    #[test]
    fn what_names_no_address_is_passed_over() {
        assert_eq!(
            shown(
                "#nameserver 10.0.0.1\n nameserver 10.0.0.2\nnameserver\nnameserver x\nnameservers 10.0.0.3\nnameserver10.0.0.4\nnameserver 10.0.0.5"
            ),
            ["10.0.0.5:53"]
        );
    }

    #[test]
    fn a_link_has_its_number() {
        assert_eq!(
            shown("nameserver fe80::1%7\nnameserver fe80::1%lo\nnameserver fe80::1%none"),
            ["[fe80::1%7]:53", "[fe80::1%1]:53", "[fe80::1]:53"]
        );
    }

    #[test]
    fn without_one_it_is_this_machine() {
        assert_eq!(shown("search x\n"), ["127.0.0.1:53"]);
        assert_eq!(shown(""), ["127.0.0.1:53"]);
    }

    proptest! {
        #[test]
        fn any_text_names_one_to_three(text in "(nameserver |[0-9a-f.:% \n]|\\PC){0,60}") {
            let count = name_servers(&text).len();
            prop_assert!((1..=MAX_NAME_SERVERS).contains(&count));
        }
    }
}
