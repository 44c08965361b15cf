//! What the cluster's DNS says about its own names: the
//! [specification](https://github.com/kubernetes/dns/blob/master/docs/specification.md), and where that leaves a choice, `CoreDNS`'s
//! [kubernetes plugin](https://coredns.io/plugins/kubernetes/) as it is without options.

use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use super::message::{Answer, Code, Data, INTERNET, Record, kind};
use super::name::Name;
use super::query::Query;
use super::records::{self, Place, TTL, Which, record};
use crate::{Endpoint, Service};

/// The cluster domain, which nothing in the API tells: kubeadm's, and that of nearly all clusters.
const DOMAIN: [&str; 2] = ["cluster", "local"];
/// What `CoreDNS` speaks of the specification, and how long that may be remembered.
const VERSION: (&str, u32) = ("1.1.0", 28800);
/// Where a cluster's DNS can be asked itself, if it has Services for that: namespace and name.
const NAME_SERVER: (&str, &str) = ("kube-system", "kube-dns");

/// So many names that lead to another `CoreDNS` follows.
const MAX_CHAIN: usize = 8;

/// The names of a cluster, as a Pod in one of its namespaces sees them.
#[derive(Debug, Clone)]
pub(in crate::linux) struct Zone {
    namespace: String,
    services: Vec<Service>,
    serial: u32,
}

/// What a name below the cluster domain stands for.
enum Node<'a> {
    Missing,
    /// The cluster domain itself.
    Apex,
    /// A name only because others end in it.
    Empty,
    Version,
    NameServer,
    Places(Vec<Place<'a>>),
    /// Another name.
    Alias(Name),
}

impl Zone {
    pub(in crate::linux) fn new(namespace: &str, services: &[Service]) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let seconds = now.map_or(0, |now| now.as_secs());
        // Kubernetes lets no others be, and a longer label has no form in a message.
        let is_label = |name: &str| (1..=63).contains(&name.len());
        let can_be_said = |endpoint: &Endpoint| is_label(&records::hostname(endpoint));
        let services = services
            .iter()
            .filter(|service| is_label(&service.namespace) && is_label(&service.name));
        let services = services.cloned().map(|mut service| {
            service.endpoints.retain(can_be_said);
            service
        });
        Self {
            namespace: namespace.to_owned(),
            services: services.collect(),
            serial: u32::try_from(seconds).unwrap_or(u32::MAX),
        }
    }

    /// `None` for a name that is not the cluster's.
    pub(super) fn answer(&self, query: &Query<'_>) -> Option<Answer> {
        let labels = query.labels();
        if let Some((name, domain)) = inside(labels) {
            return Some(self.full(query, name, domain));
        }
        if query.class() != INTERNET {
            return None;
        }
        if query.kind() == kind::PTR
            && let Some(address) = records::reverse(labels)
        {
            let names = records::each_once(self.names_of(address));
            let pointers = names
                .into_iter()
                .map(|name| record(labels, Data::Ptr(name)));
            return Some(positive(pointers.collect())).filter(|answer| !answer.answers.is_empty());
        }
        self.short(query)
    }

    /// A name that ends in the cluster domain: nobody else knows more about it.
    fn full(&self, query: &Query<'_>, name: &[&[u8]], domain: &[&[u8]]) -> Answer {
        if query.class() != INTERNET || matches!(query.kind(), kind::AXFR | kind::IXFR) {
            return Answer::bare(Code::REFUSED);
        }
        let node = self.find(name);
        let mut answer = match self.records(&node, query, domain) {
            Some(answer) => answer,
            None => Answer {
                code: Code::NAME_ERROR,
                ..positive(Vec::new())
            },
        };
        // A caching resolver needs it to keep a "no" (RFC 2308 §3).
        if answer.answers.is_empty() {
            answer.authority.push(self.authority(domain));
        }
        answer
    }

    /// A name that is a Service's with one of the search domains of a Pod's `resolv.conf` behind it. The process has the machine's
    /// instead. Nothing that is not a Service is answered: the name may mean something elsewhere.
    ///
    /// Without SOA record where there is nothing to say: the cluster domain is not above the name.
    fn short(&self, query: &Query<'_>) -> Option<Answer> {
        let namespace = self.namespace.as_bytes();
        let searched: [&[&[u8]]; 3] = [&[namespace, b"svc"], &[b"svc"], &[]];
        let node = searched.iter().find_map(|rest| {
            let name = [query.labels(), rest].concat();
            let node = self.find(&name);
            matches!(node, Node::Places(_) | Node::Alias(_)).then_some(node)
        })?;
        self.records(&node, query, &DOMAIN.map(str::as_bytes))
    }

    fn find(&self, name: &[&[u8]]) -> Node<'_> {
        let name: Vec<_> = name
            .iter()
            .map(|label| String::from_utf8_lossy(label).to_ascii_lowercase())
            .collect();
        let name: Vec<_> = name.iter().map(String::as_str).collect();
        match *name {
            [] => Node::Apex,
            ["svc" | "pod"] => Node::Empty,
            ["dns-version"] => Node::Version,
            ["ns", "dns"] => Node::NameServer,
            [namespace, "svc"] if self.has_namespace(namespace) => Node::Empty,
            [name, namespace, "svc"] => self.places(namespace, name, Which::All),
            [endpoint, name, namespace, "svc"] => {
                self.places(namespace, name, Which::Endpoint(endpoint))
            }
            [port, protocol, name, namespace, "svc"] => {
                self.places(namespace, name, Which::Port(port, protocol))
            }
            _ => Node::Missing,
        }
    }

    fn places(&self, namespace: &str, name: &str, which: Which<'_>) -> Node<'_> {
        let Some(service) = self.service(namespace, name) else {
            return Node::Missing;
        };
        if let Some(name) = &service.external_name {
            let alias = Name::parse(name).filter(|_| matches!(which, Which::All));
            return alias.map_or(Node::Missing, Node::Alias);
        }
        match records::places(service, which) {
            places if places.is_empty() => Node::Missing,
            places => Node::Places(places),
        }
    }

    /// `None` where there is no such name.
    fn records(&self, node: &Node<'_>, query: &Query<'_>, domain: &[&[u8]]) -> Option<Answer> {
        let owner = query.labels();
        let records = |data: Vec<Data>| data.into_iter().map(|data| record(owner, data)).collect();
        let mut additional = Vec::new();
        let mut beyond = None;
        let answers = match (query.kind(), node) {
            (kind::SOA, Node::Apex) => vec![self.authority(domain)],
            // As CoreDNS has it, which looks no name up for that.
            (kind::SOA, _) => Vec::new(),
            (kind::TXT, Node::Version) => vec![Record {
                ttl: VERSION.1,
                ..record(owner, Data::Txt(VERSION.0))
            }],
            // CoreDNS knows no names for TXT but its version's and the Services', and does not find its own for PTR.
            (_, Node::Missing | Node::Version)
            | (kind::TXT, Node::Apex | Node::Empty | Node::NameServer)
            | (kind::PTR, Node::NameServer) => return None,
            (kind::SRV, Node::Places(places)) => {
                additional = records::glue(places, domain);
                records(records::locations(places, domain))
            }
            (kind, Node::Places(places)) => records(records::addresses(places, kind)),
            (kind @ (kind::A | kind::AAAA), Node::Alias(name)) => {
                let answers;
                (answers, beyond) = self.follow(Name::new(owner.iter().copied()), name, kind);
                answers
            }
            (kind::CNAME, Node::Alias(name)) => records(vec![Data::Cname(name.clone())]),
            (kind, Node::NameServer) => records(records::addresses(&self.name_server(), kind)),
            (kind::NS, Node::Apex) => {
                let places = self.name_server();
                additional = records::glue(&places, domain);
                let name = places.first().map(|place| Data::Ns(place.name(domain)));
                records(name.into_iter().collect())
            }
            (_, Node::Alias(_) | Node::Apex | Node::Empty) => Vec::new(),
        };
        Some(Answer {
            additional,
            beyond,
            ..positive(answers)
        })
    }

    /// From one name of the cluster to the next, and where they lead out of it, to the name whose addresses others know. Nothing, where
    /// they lead to nothing or in a circle.
    fn follow(&self, from: Name, to: &Name, kind: u16) -> (Vec<Record>, Option<Name>) {
        let mut chain = Vec::new();
        let (mut owner, mut name) = (from, to.clone());
        while chain.len() < MAX_CHAIN && !owner.is(&name) {
            let data = Data::Cname(name.clone());
            chain.push(Record {
                owner,
                ttl: TTL,
                data,
            });
            let labels = name.labels();
            let Some((below, _)) = inside(&labels) else {
                return (chain, Some(name));
            };
            match self.find(below) {
                Node::Alias(next) => (owner, name) = (name, next),
                Node::Places(places) => {
                    let addresses = records::addresses(&places, kind);
                    if addresses.is_empty() {
                        break;
                    }
                    chain.extend(addresses.into_iter().map(|data| record(&labels, data)));
                    return (chain, None);
                }
                _ => break,
            }
        }
        (Vec::new(), None)
    }

    fn service(&self, namespace: &str, name: &str) -> Option<&Service> {
        self.services
            .iter()
            .find(|service| service.name == name && service.namespace == namespace)
    }

    /// The Service that has the address, or else what endpoints have it.
    fn names_of(&self, address: IpAddr) -> impl Iterator<Item = Name> {
        let domain = DOMAIN.map(str::as_bytes);
        let mut services = self.services.iter();
        let service = services.find(|service| service.addresses.contains(&address));
        let endpoints = self.services.iter().flat_map(|service| {
            let all = service.endpoints.iter();
            all.map(move |endpoint| (service, endpoint))
        });
        let endpoints = endpoints
            .filter(move |(_, endpoint)| service.is_none() && endpoint.address == address)
            .map(|(service, endpoint)| (service, Some(records::hostname(endpoint))));
        let all = service
            .map(|service| (service, None))
            .into_iter()
            .chain(endpoints);
        all.map(move |(service, hostname)| records::name(service, hostname.as_deref(), &domain))
    }

    fn has_namespace(&self, namespace: &str) -> bool {
        self.namespace == namespace
            || self
                .services
                .iter()
                .any(|service| service.namespace == namespace)
    }

    fn name_server(&self) -> Vec<Place<'_>> {
        let service = self.service(NAME_SERVER.0, NAME_SERVER.1);
        service.map_or_else(Vec::new, |service| records::places(service, Which::All))
    }

    fn authority(&self, domain: &[&[u8]]) -> Record {
        let below = |labels: &[&'static [u8]]| {
            Name::new(labels.iter().copied().chain(domain.iter().copied()))
        };
        let data = Data::Soa {
            server: below(&[b"ns", b"dns"]),
            mailbox: below(&[b"hostmaster"]),
            times: [self.serial, 7200, 1800, 86400, TTL],
        };
        record(domain, data)
    }
}

type Labels<'a> = [&'a [u8]];

/// A name that ends in the cluster domain, parted there.
fn inside<'a, 'b>(labels: &'a Labels<'b>) -> Option<(&'a Labels<'b>, &'a Labels<'b>)> {
    let at = labels.len().checked_sub(DOMAIN.len())?;
    let (name, domain) = labels.split_at(at);
    let mut pairs = domain.iter().zip(DOMAIN);
    let is_it = pairs.all(|(label, domain)| label.eq_ignore_ascii_case(domain.as_bytes()));
    is_it.then_some((name, domain))
}

fn positive(answers: Vec<Record>) -> Answer {
    Answer {
        authoritative: true,
        answers,
        ..Answer::bare(Code::NO_ERROR)
    }
}

#[cfg(test)]
mod tests;
