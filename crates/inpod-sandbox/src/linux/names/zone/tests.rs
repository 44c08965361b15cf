//! What is expected is what `CoreDNS` v1.12.4 says if told of the same Services, but for the short names, which only a Pod's `resolv.conf`
//! makes, and the serial.

use super::*;
use crate::ServicePort;
use crate::linux::names::message::{Transport, reply};
use crate::linux::names::testing::{ask, show};
use proptest::prelude::*;

fn service(
    namespace: &str,
    name: &str,
    addresses: &[&str],
    ports: &[(&str, &str, u16)],
) -> Service {
    let port = |&(name, protocol, port): &(&str, &str, u16)| ServicePort {
        name: (!name.is_empty()).then(|| name.to_owned()),
        protocol: protocol.to_owned(),
        port,
    };
    Service {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        addresses: addresses
            .iter()
            .map(|address| address.parse().unwrap())
            .collect(),
        ports: ports.iter().map(port).collect(),
        ..Service::default()
    }
}

fn endpoint(address: &str, hostname: &str, ports: &[(&str, &str, u16)]) -> Endpoint {
    Endpoint {
        address: address.parse().unwrap(),
        hostname: (!hostname.is_empty()).then(|| hostname.to_owned()),
        ports: service("", "", &[], ports).ports,
    }
}

fn external(name: &str, to: &str) -> Service {
    Service {
        external_name: Some(to.to_owned()),
        ..service("team", name, &[], &[("http", "TCP", 80)])
    }
}

fn zone() -> Zone {
    let both = [("pg", "TCP", 5432), ("metrics", "TCP", 9187)];
    let dns = [
        ("dns", "UDP", 53),
        ("dns-tcp", "TCP", 53),
        ("metrics", "TCP", 9153),
    ];
    let services = [
        service(
            "default",
            "kubernetes",
            &["10.96.0.1"],
            &[("https", "TCP", 443)],
        ),
        service(
            "default",
            "both",
            &["10.96.0.3", "fd00::3"],
            &[("", "TCP", 80)],
        ),
        service("default", "headless", &[], &[("", "TCP", 80)]),
        service("other", "six", &["fd00::6"], &[("web", "tcp", 8080)]),
        service("kube-system", "kube-dns", &["10.96.0.10"], &dns),
        service("default", &"x".repeat(64), &["10.96.0.64"], &[]),
        Service {
            endpoints: vec![endpoint("10.1.0.9", "", &[("http", "TCP", 8080)])],
            ..service("team", "web", &["10.96.7.7"], &[("http", "TCP", 80)])
        },
        Service {
            endpoints: vec![
                endpoint("10.1.0.1", "db-0", &both),
                endpoint("10.1.0.2", "", &both),
                endpoint("fd00::a", "db-0", &both[..1]),
                endpoint("fd00::", "", &both[..1]),
                endpoint("10.1.0.5", &"x".repeat(64), &both),
            ],
            ..service("team", "db", &[], &both)
        },
        Service {
            endpoints: vec![endpoint("10.1.2.1", "", &[])],
            ..service("team", "noports", &[], &[])
        },
        external("out", "www.example.com"),
        external("alias", "web.team.svc.cluster.local"),
        external("twice", "alias.team.svc.cluster.local."),
        external("away", "out.team.svc.cluster.local"),
        external("itself", "itself.team.svc.cluster.local"),
        external("round", "about.team.svc.cluster.local"),
        external("about", "round.team.svc.cluster.local"),
        external("nowhere", "nothing.team.svc.cluster.local"),
        external("senseless", "a..b"),
    ];
    Zone {
        serial: 7,
        ..Zone::new("default", &services)
    }
}

fn said(packet: &[u8]) -> Option<Vec<String>> {
    let query = Query::parse(packet).unwrap();
    let answer = zone().answer(&query)?;
    Some(show(&reply(&query, Transport::Tcp, &answer)))
}

#[track_caller]
fn says(name: &str, kind: u16, expected: &[&str]) {
    assert_eq!(
        said(&ask(name, kind)).as_deref(),
        Some(
            expected
                .iter()
                .map(|line| (*line).to_owned())
                .collect::<Vec<_>>()
                .as_slice()
        )
    );
}

#[track_caller]
fn passes_on(name: &str, kind: u16) {
    assert_eq!(said(&ask(name, kind)), None);
}

const YES: &str = "NOERROR qr aa rd";
const NO: &str = "NXDOMAIN qr aa rd";
const SOA: &str = "cluster.local. 5 SOA ns.dns.cluster.local. hostmaster.cluster.local. [7, 7200, 1800, 86400, 5]";

#[test]
fn a_service_has_its_addresses() {
    says(
        "kubernetes.default.svc.cluster.local.",
        kind::A,
        &[YES, "kubernetes.default.svc.cluster.local. 5 A 10.96.0.1"],
    );
    says(
        "both.default.svc.cluster.local.",
        kind::A,
        &[YES, "both.default.svc.cluster.local. 5 A 10.96.0.3"],
    );
    says(
        "both.default.svc.cluster.local.",
        kind::AAAA,
        &[YES, "both.default.svc.cluster.local. 5 AAAA fd00::3"],
    );
    says(
        "six.other.svc.cluster.local.",
        kind::AAAA,
        &[YES, "six.other.svc.cluster.local. 5 AAAA fd00::6"],
    );
}

#[test]
fn the_case_is_the_askers() {
    says(
        "KuberNetes.Default.Svc.Cluster.Local.",
        kind::A,
        &[YES, "KuberNetes.Default.Svc.Cluster.Local. 5 A 10.96.0.1"],
    );
    says(
        "_HTTPS._Tcp.KuberNetes.Default.Svc.Cluster.Local.",
        kind::SRV,
        &[
            YES,
            "_HTTPS._Tcp.KuberNetes.Default.Svc.Cluster.Local. 5 SRV 0 100 443 kubernetes.default.svc.Cluster.Local.",
            "kubernetes.default.svc.Cluster.Local. 5 A 10.96.0.1",
        ],
    );
    says(
        "No.cluster.LOCAL.",
        kind::A,
        &[
            NO,
            "cluster.LOCAL. 5 SOA ns.dns.cluster.LOCAL. hostmaster.cluster.LOCAL. [7, 7200, 1800, 86400, 5]",
        ],
    );
}

#[test]
fn a_service_has_its_ports() {
    says(
        "kubernetes.default.svc.cluster.local.",
        kind::SRV,
        &[
            YES,
            "kubernetes.default.svc.cluster.local. 5 SRV 0 100 443 kubernetes.default.svc.cluster.local.",
            "kubernetes.default.svc.cluster.local. 5 A 10.96.0.1",
        ],
    );
    says(
        "_web._tcp.six.other.svc.cluster.local.",
        kind::SRV,
        &[
            YES,
            "_web._tcp.six.other.svc.cluster.local. 5 SRV 0 100 8080 six.other.svc.cluster.local.",
            "six.other.svc.cluster.local. 5 AAAA fd00::6",
        ],
    );
    says(
        "_dns._udp.kube-dns.kube-system.svc.cluster.local.",
        kind::SRV,
        &[
            YES,
            "_dns._udp.kube-dns.kube-system.svc.cluster.local. 5 SRV 0 100 53 kube-dns.kube-system.svc.cluster.local.",
            "kube-dns.kube-system.svc.cluster.local. 5 A 10.96.0.10",
        ],
    );
}

#[test]
fn weights_are_shared_and_numbers_named_once() {
    says(
        "both.default.svc.cluster.local.",
        kind::SRV,
        &[
            YES,
            "both.default.svc.cluster.local. 5 SRV 0 50 80 both.default.svc.cluster.local.",
            "both.default.svc.cluster.local. 5 A 10.96.0.3",
            "both.default.svc.cluster.local. 5 AAAA fd00::3",
        ],
    );
    says(
        "kube-dns.kube-system.svc.cluster.local.",
        kind::SRV,
        &[
            YES,
            "kube-dns.kube-system.svc.cluster.local. 5 SRV 0 33 53 kube-dns.kube-system.svc.cluster.local.",
            "kube-dns.kube-system.svc.cluster.local. 5 SRV 0 33 9153 kube-dns.kube-system.svc.cluster.local.",
            "kube-dns.kube-system.svc.cluster.local. 5 A 10.96.0.10",
        ],
    );
}

#[test]
fn a_ports_name_has_the_services_addresses_too() {
    says(
        "_https._tcp.kubernetes.default.svc.cluster.local.",
        kind::A,
        &[
            YES,
            "_https._tcp.kubernetes.default.svc.cluster.local. 5 A 10.96.0.1",
        ],
    );
    for name in ["_http._tcp", "_https._udp", "a.b", "a", "a._https._tcp"] {
        says(
            &format!("{name}.kubernetes.default.svc.cluster.local."),
            kind::A,
            &[NO, SOA],
        );
    }
}

#[test]
fn a_headless_service_is_its_endpoints() {
    let name = "db.team.svc.cluster.local.";
    says(
        name,
        kind::A,
        &[
            YES,
            "db.team.svc.cluster.local. 5 A 10.1.0.1",
            "db.team.svc.cluster.local. 5 A 10.1.0.2",
        ],
    );
    says(
        name,
        kind::SRV,
        &[
            YES,
            "db.team.svc.cluster.local. 5 SRV 0 16 5432 db-0.db.team.svc.cluster.local.",
            "db.team.svc.cluster.local. 5 SRV 0 16 9187 db-0.db.team.svc.cluster.local.",
            "db.team.svc.cluster.local. 5 SRV 0 16 5432 10-1-0-2.db.team.svc.cluster.local.",
            "db.team.svc.cluster.local. 5 SRV 0 16 9187 10-1-0-2.db.team.svc.cluster.local.",
            "db.team.svc.cluster.local. 5 SRV 0 16 5432 fd00--0.db.team.svc.cluster.local.",
            "db-0.db.team.svc.cluster.local. 5 A 10.1.0.1",
            "10-1-0-2.db.team.svc.cluster.local. 5 A 10.1.0.2",
            "db-0.db.team.svc.cluster.local. 5 AAAA fd00::a",
            "fd00--0.db.team.svc.cluster.local. 5 AAAA fd00::",
        ],
    );
    says(
        "_metrics._tcp.db.team.svc.cluster.local.",
        kind::SRV,
        &[
            YES,
            "_metrics._tcp.db.team.svc.cluster.local. 5 SRV 0 50 9187 db-0.db.team.svc.cluster.local.",
            "_metrics._tcp.db.team.svc.cluster.local. 5 SRV 0 50 9187 10-1-0-2.db.team.svc.cluster.local.",
            "db-0.db.team.svc.cluster.local. 5 A 10.1.0.1",
            "10-1-0-2.db.team.svc.cluster.local. 5 A 10.1.0.2",
        ],
    );
    says(
        "_metrics._tcp.db.team.svc.cluster.local.",
        kind::AAAA,
        &[YES, SOA],
    );
    for kind in [kind::TXT, kind::NS, kind::PTR, 255] {
        says(name, kind, &[YES, SOA]);
    }
    says(
        "db.team.",
        kind::AAAA,
        &[YES, "db.team. 5 AAAA fd00::a", "db.team. 5 AAAA fd00::"],
    );
}

#[test]
fn an_endpoint_has_a_name_below_its_services() {
    let name = "DB-0.Db.team.svc.cluster.local.";
    says(
        name,
        kind::A,
        &[YES, "DB-0.Db.team.svc.cluster.local. 5 A 10.1.0.1"],
    );
    says(
        name,
        kind::SRV,
        &[
            YES,
            "DB-0.Db.team.svc.cluster.local. 5 SRV 0 33 5432 db-0.db.team.svc.cluster.local.",
            "DB-0.Db.team.svc.cluster.local. 5 SRV 0 33 9187 db-0.db.team.svc.cluster.local.",
            "db-0.db.team.svc.cluster.local. 5 A 10.1.0.1",
            "db-0.db.team.svc.cluster.local. 5 AAAA fd00::a",
        ],
    );
    says(
        "10-1-0-9.web.team.svc.cluster.local.",
        kind::SRV,
        &[
            YES,
            "10-1-0-9.web.team.svc.cluster.local. 5 SRV 0 100 8080 10-1-0-9.web.team.svc.cluster.local.",
            "10-1-0-9.web.team.svc.cluster.local. 5 A 10.1.0.9",
        ],
    );
    says("fd00--0.db.team.svc.cluster.local.", kind::A, &[YES, SOA]);
    for name in [
        "x.db",
        "10-1-0-1.db",
        "a.db-0.db",
        "_pg._tcp.db-0.db",
        "_pg._udp.db",
    ] {
        says(
            &format!("{name}.team.svc.cluster.local."),
            kind::A,
            &[NO, SOA],
        );
    }
}

#[test]
fn without_ports_there_is_no_location() {
    for name in ["noports", "10-1-2-1.noports"] {
        let name = format!("{name}.team.svc.cluster.local.");
        says(&name, kind::A, &[YES, &format!("{name} 5 A 10.1.2.1")]);
        says(&name, kind::SRV, &[YES, SOA]);
    }
}

#[test]
fn an_external_name_leads_to_another() {
    let name = |name: &str| format!("{name}.team.svc.cluster.local.");
    let alias = "alias.team.svc.cluster.local. 5 CNAME web.team.svc.cluster.local.";
    let web = "web.team.svc.cluster.local. 5 A 10.96.7.7";
    let twice = "twice.team.svc.cluster.local. 5 CNAME alias.team.svc.cluster.local.";
    says(&name("alias"), kind::A, &[YES, alias, web]);
    says(&name("alias"), kind::CNAME, &[YES, alias]);
    says(&name("twice"), kind::A, &[YES, twice, alias, web]);
    let short = "alias. 5 CNAME web.team.svc.cluster.local.";
    let zone = Zone {
        namespace: "team".into(),
        ..zone()
    };
    let packet = ask("alias.", kind::A);
    let query = Query::parse(&packet).unwrap();
    let answer = zone.answer(&query).unwrap();
    assert_eq!(
        show(&reply(&query, Transport::Tcp, &answer)),
        [YES, short, web]
    );
    for kind in [kind::AAAA, kind::SRV, kind::TXT, kind::NS, 255] {
        says(&name("alias"), kind, &[YES, SOA]);
    }
    for below in ["_http._tcp.alias", "x.alias", "senseless"] {
        says(&name(below), kind::A, &[NO, SOA]);
    }
}

#[test]
fn an_external_name_that_leads_to_nothing_has_no_addresses() {
    for name in ["itself", "round", "nowhere"] {
        says(
            &format!("{name}.team.svc.cluster.local."),
            kind::A,
            &[YES, SOA],
        );
    }
}

#[test]
fn an_external_name_out_of_the_cluster_is_for_others_to_complete() {
    for (name, chain) in [("out", 1), ("away", 2)] {
        let packet = ask(&format!("{name}.team.svc.cluster.local."), kind::A);
        let answer = zone().answer(&Query::parse(&packet).unwrap()).unwrap();
        assert_eq!(answer.answers.len(), chain);
        assert_eq!(answer.beyond, Name::parse("www.example.com"));
    }
}

#[test]
fn a_name_without_such_a_record_is_there() {
    says(
        "kubernetes.default.svc.cluster.local.",
        kind::AAAA,
        &[YES, SOA],
    );
    says("six.other.svc.cluster.local.", kind::A, &[YES, SOA]);
    for kind in [kind::TXT, kind::NS, kind::PTR, kind::SOA, 65, 255] {
        says("kubernetes.default.svc.cluster.local.", kind, &[YES, SOA]);
    }
    for name in ["", "svc.", "pod.", "default.svc.", "other.svc."] {
        says(&format!("{name}cluster.local."), kind::A, &[YES, SOA]);
        says(&format!("{name}cluster.local."), kind::SRV, &[YES, SOA]);
    }
}

#[test]
fn no_other_name_is_there() {
    for name in [
        "no.default.svc",
        "kubernetes.other.svc",
        "nowhere.svc",
        "default.pod",
        "1-2-3-4.default.pod",
        "dns",
        "svc.default",
        "no",
        "headless.default.svc",
    ] {
        for kind in [
            kind::A,
            kind::AAAA,
            kind::SRV,
            kind::TXT,
            kind::NS,
            kind::PTR,
            255,
        ] {
            says(&format!("{name}.cluster.local."), kind, &[NO, SOA]);
        }
    }
}

#[test]
fn the_domain_says_who_speaks_for_it() {
    says("cluster.local.", kind::SOA, &[YES, SOA]);
    let server = "kube-dns.kube-system.svc.cluster.local. 5 A 10.96.0.10";
    says(
        "cluster.local.",
        kind::NS,
        &[
            YES,
            "cluster.local. 5 NS kube-dns.kube-system.svc.cluster.local.",
            server,
        ],
    );
    says(
        "ns.dns.cluster.local.",
        kind::A,
        &[YES, "ns.dns.cluster.local. 5 A 10.96.0.10"],
    );
    says("ns.dns.cluster.local.", kind::AAAA, &[YES, SOA]);
    says("ns.dns.cluster.local.", kind::SRV, &[YES, SOA]);
    says("ns.dns.cluster.local.", kind::TXT, &[NO, SOA]);
    says("ns.dns.cluster.local.", kind::PTR, &[NO, SOA]);
    says("cluster.local.", kind::TXT, &[NO, SOA]);
}

#[test]
fn the_versions_name_has_nothing_else() {
    says(
        "dns-version.cluster.local.",
        kind::TXT,
        &[YES, "dns-version.cluster.local. 28800 TXT 1.1.0"],
    );
    says("dns-version.cluster.local.", kind::A, &[NO, SOA]);
}

#[test]
fn addresses_lead_back_to_services() {
    says(
        "1.0.96.10.in-addr.arpa.",
        kind::PTR,
        &[
            YES,
            "1.0.96.10.in-addr.arpa. 5 PTR kubernetes.default.svc.cluster.local.",
        ],
    );
    let six = format!("6.{}d.f.IP6.arpa.", "0.".repeat(29));
    says(
        &six,
        kind::PTR,
        &[YES, &format!("{six} 5 PTR six.other.svc.cluster.local.")],
    );
}

#[test]
fn addresses_lead_back_to_endpoints() {
    for (address, name) in [
        ("1.0.1.10.in-addr.arpa.", "db-0.db"),
        ("2.0.1.10.in-addr.arpa.", "10-1-0-2.db"),
        ("9.0.1.10.in-addr.arpa.", "10-1-0-9.web"),
    ] {
        let pointer = format!("{address} 5 PTR {name}.team.svc.cluster.local.");
        says(address, kind::PTR, &[YES, &pointer]);
    }
}

#[test]
fn other_addresses_are_others() {
    for name in [
        "2.0.96.10.in-addr.arpa.",
        "0.96.10.in-addr.arpa.",
        "+1.0.96.10.in-addr.arpa.",
        "in-addr.arpa.",
        "arpa.",
        ".",
    ] {
        passes_on(name, kind::PTR);
    }
    passes_on(&format!("6.{}+.f.ip6.arpa.", "0.".repeat(29)), kind::PTR);
    passes_on("1.0.96.10.in-addr.arpa.", kind::A);
    passes_on("64.0.96.10.in-addr.arpa.", kind::PTR); // of a Service whose name cannot be said
}

#[test]
fn a_pods_search_domains_are_heeded() {
    for name in [
        "kubernetes.",
        "kubernetes.default.",
        "Kubernetes.default.SVC.",
    ] {
        says(name, kind::A, &[YES, &format!("{name} 5 A 10.96.0.1")]);
        says(name, kind::AAAA, &[YES]);
        says(name, kind::SOA, &[YES]);
    }
    says(
        "six.other.",
        kind::AAAA,
        &[YES, "six.other. 5 AAAA fd00::6"],
    );
    says(
        "_web._tcp.six.other.svc.",
        kind::SRV,
        &[
            YES,
            "_web._tcp.six.other.svc. 5 SRV 0 100 8080 six.other.svc.cluster.local.",
            "six.other.svc.cluster.local. 5 AAAA fd00::6",
        ],
    );
}

#[test]
fn what_no_service_is_called_is_passed_on() {
    for name in [
        ".",
        "example.com.",
        "six.",
        "kubernetes.other.",
        "default.svc.",
        "svc.",
        "local.",
        "xcluster.local.",
        "cluster.local.example.",
        "headless.",
    ] {
        passes_on(name, kind::A);
    }
}

#[test]
fn the_pods_namespace_is_there_without_services() {
    let zone = Zone::new("mine", &[]);
    let code = |name| {
        let packet = ask(name, kind::A);
        zone.answer(&Query::parse(&packet).unwrap()).unwrap().code
    };
    assert_eq!(code("mine.svc.cluster.local."), Code::NO_ERROR);
    assert_eq!(code("default.svc.cluster.local."), Code::NAME_ERROR);
}

#[test]
fn without_a_namespace_no_single_label_is_a_service() {
    let zone = Zone::new("", &zone().services);
    let packet = ask("kubernetes.", kind::A);
    assert_eq!(zone.answer(&Query::parse(&packet).unwrap()), None);
}

#[test]
fn the_zone_is_not_handed_out() {
    says("cluster.local.", kind::AXFR, &["REFUSED qr rd"]);
    says("cluster.local.", kind::IXFR, &["REFUSED qr rd"]);
}

#[test]
fn other_classes_have_no_such_names() {
    let chaos = |name| {
        let mut packet = ask(name, kind::TXT);
        *packet.last_mut().unwrap() = 3;
        said(&packet)
    };
    assert_eq!(
        chaos("dns-version.cluster.local."),
        Some(vec!["REFUSED qr rd".into()])
    );
    assert_eq!(chaos("kubernetes."), None);
}

proptest! {
    #[test]
    fn any_question_is_answered_or_passed_on(
        labels in prop::collection::vec(
            prop_oneof![
                prop::sample::select(vec!["cluster", "local", "svc", "default", "both", "_https", "_tcp", "ip6", "arpa", "in-addr", "1"])
                    .prop_map(|label| label.as_bytes().to_vec()),
                prop::collection::vec(any::<u8>(), 1..20),
            ],
            0..10,
        ),
        inside: bool,
        kind in prop_oneof![Just(kind::A), Just(kind::SRV), Just(kind::PTR), any::<u16>()],
    ) {
        let mut packet = ask("", kind);
        let behind = packet.split_off(12);
        let domain = ["cluster", "local"].map(|label| label.as_bytes().to_vec());
        for label in labels.into_iter().chain(domain.into_iter().filter(|_| inside)) {
            packet.push(label.len().try_into().unwrap());
            packet.extend(label);
        }
        packet.extend(behind);
        if let Ok(query) = Query::parse(&packet) {
            let answer = zone().answer(&query);
            prop_assert!(answer.is_some() || !inside);
            if let Some(answer) = answer {
                let reply = reply(&query, Transport::Udp, &answer);
                prop_assert!(reply.len() <= 512 && query.is_answered_by(&reply));
            }
        }
    }
}
