//! What a Service is given from pools that all Services share: its cluster IP and node ports.
//!
//! The pools have no state of their own: what is taken is what the stored Services have. That two requests do not take the same
//! is the lock's business that `Strategy::shares_a_pool` asks for.

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use serde_json::{Value, json};

use super::is_headless;
use super::validate::addresses;
use crate::admission::Operation;
use crate::registry::Context;
use crate::registry::json::Fields as _;
use crate::registry::kinds::field;
use crate::schema::Json;
use crate::storage::Lookup as _;
use crate::{Cause, Source, Status};

/// The range of cluster IPs, kubeadm's default.
const FIRST: u32 = u32::from_be_bytes([10, 96, 0, 0]);
const SIZE: u32 = 1 << 20;
/// The first addresses are left to whoever names one (`kubernetes` has the first, a DNS server usually the tenth).
const RESERVED: u32 = 256;

/// The range of node ports.
const NODE_PORTS: RangeInclusive<i64> = 30000..=32767;

/// Gives a Service the addresses and ports that it needs and does not have.
///
/// # Errors
/// 422 where it names an address or port that is taken or out of range; 500 where none is left.
pub(crate) fn allocate(
    cx: &Context<'_>,
    operation: Operation<'_>,
    service: &mut Json,
) -> Result<(), Status> {
    // Whoever writes a status is given nothing, not even for a Service that the write creates.
    if cx.subresource.is_some() {
        return Ok(());
    }
    let old = match operation {
        Operation::Update(old) => Some(old),
        Operation::Create | Operation::Delete(_) => None,
    };
    relate_addresses(service, old);
    if let Some(old) = old {
        keep(service, old);
    }
    let uid = old.map_or("", |old| old.text("metadata.uid")).to_owned();
    let others = cx.core.store.list("", "services", None);
    let others: Vec<Json> = others
        .iter()
        .filter(|other| uid.is_empty() || other.uid != uid)
        .map(|other| other.value())
        .collect();
    let pools = Pools::of(&others);
    let name = service.text("metadata.name").to_owned();
    let invalid = |causes: Vec<Cause>| Status::invalid("", "Service", &name, causes);
    give_address(service, &pools, &*cx.core.source)
        .and_then(|()| give_node_ports(service, &pools, &*cx.core.source))
        .map_err(|refusal| match refusal {
            Refusal::Invalid(causes) => invalid(causes),
            Refusal::Full(what) => Status::internal(format!(
                "failed to allocate a {what} for Service {name:?}: range is full"
            )),
        })
}

/// What other Services have.
#[derive(Debug, Default)]
struct Pools {
    addresses: HashSet<String>,
    /// Protocol and port.
    node_ports: HashSet<(String, i64)>,
}

enum Refusal {
    Invalid(Vec<Cause>),
    Full(&'static str),
}

impl Pools {
    fn of(services: &[Json]) -> Self {
        let addresses = services
            .iter()
            .flat_map(|service| service.texts("spec.clusterIPs"))
            .map(str::to_owned)
            .collect();
        let node_ports = services
            .iter()
            .flat_map(|service| service.objects("spec.ports"))
            .filter_map(|port| Some((port.text("protocol").to_owned(), port.int("nodePort")?)))
            .collect();
        Self {
            addresses,
            node_ports,
        }
    }
}

/// Of the older single field and the list, whoever sets the one alone means the other too.
fn relate_addresses(service: &mut Json, old: Option<&Json>) {
    let empty = Json::new();
    let old = old.unwrap_or(&empty);
    let (single, before) = (service.text("spec.clusterIP"), old.text("spec.clusterIP"));
    let same_list = service.list("spec.clusterIPs") == old.list("spec.clusterIPs");
    if single == before || !same_list {
        return;
    }
    if single.is_empty() {
        service.take("spec.clusterIPs");
    } else {
        let list = json!([single]);
        service.put("spec.clusterIPs", list);
    }
}

/// An update that leaves out what was allocated keeps it.
fn keep(service: &mut Json, old: &Json) {
    let needs_address = |service: &Json| service.text("spec.type") != "ExternalName";
    match (needs_address(old), needs_address(service)) {
        (true, true) => {
            for path in [
                "spec.clusterIP",
                "spec.clusterIPs",
                "spec.ipFamilies",
                "spec.ipFamilyPolicy",
            ] {
                if service.is_empty_at(path) {
                    service.put_back(path, old);
                }
            }
        }
        (true, false) => {
            for path in [
                "spec.clusterIP",
                "spec.clusterIPs",
                "spec.ipFamilies",
                "spec.ipFamilyPolicy",
            ] {
                if service.at(path) == old.at(path) {
                    service.take(path);
                }
            }
        }
        _ => {}
    }
    let had: Vec<(String, i64)> = old
        .objects("spec.ports")
        .filter_map(|port| Some((port.text("name").to_owned(), port.int("nodePort")?)))
        .collect();
    if needs_node_ports(service) {
        let used: Vec<i64> = service
            .objects("spec.ports")
            .filter_map(|port| port.int("nodePort"))
            .collect();
        for port in service.objects_mut("spec.ports") {
            let kept = had.iter().find(|(name, _)| *name == port.text("name"));
            if let Some((_, number)) = kept
                && !used.contains(number)
            {
                port.default_nonzero("nodePort", *number);
            }
        }
    } else {
        for port in service.objects_mut("spec.ports") {
            let number = port.int("nodePort").unwrap_or_default();
            if had.iter().any(|(_, old)| *old == number) {
                port.take("nodePort");
            }
        }
    }
}

fn needs_node_ports(service: &Json) -> bool {
    match service.text("spec.type") {
        "NodePort" => true,
        "LoadBalancer" => service.boolean("spec.allocateLoadBalancerNodePorts") != Some(false),
        _ => false,
    }
}

fn give_address(service: &mut Json, pools: &Pools, source: &dyn Source) -> Result<(), Refusal> {
    if service.text("spec.type") == "ExternalName" {
        return Ok(());
    }
    let wrong = addresses(service, "spec.clusterIPs");
    if !wrong.is_empty() {
        return Err(Refusal::Invalid(wrong));
    }
    if is_headless(service) {
        service.default_to("spec.clusterIP", "None");
        // Without a selector, whoever writes the addresses may use both families.
        if service.is_empty_at("spec.selector") {
            service.default_to("spec.ipFamilies", json!(["IPv4", "IPv6"]));
            service.default_to("spec.ipFamilyPolicy", "RequireDualStack");
            return Ok(());
        }
    }
    let families = family_problems(service);
    if !families.is_empty() {
        return Err(Refusal::Invalid(families));
    }
    service.default_to("spec.ipFamilies", json!(["IPv4"]));
    service.default_to("spec.ipFamilyPolicy", "SingleStack");
    if is_headless(service) {
        return Ok(());
    }
    let first = service
        .texts("spec.clusterIPs")
        .next()
        .unwrap_or_default()
        .to_owned();
    let address = if first.is_empty() {
        free_address(pools, source).ok_or(Refusal::Full("serviceIP"))?
    } else {
        if let Some(why) = address_problem(&first, pools) {
            let given = Value::from(service.list("spec.clusterIPs").to_vec());
            let detail = format!("failed to allocate IP {first}: {why}");
            let cause = field::invalid("spec.clusterIPs", given, &detail);
            return Err(Refusal::Invalid(vec![cause]));
        }
        first
    };
    service.default_to("spec.clusterIP", address.as_str());
    if service.is_empty_at("spec.clusterIPs") {
        service.put("spec.clusterIPs", json!([address]));
    }
    Ok(())
}

/// The cluster has addresses of one family.
fn family_problems(service: &Json) -> Vec<Cause> {
    let mut causes = Vec::new();
    // An address that no family was named for tells its own.
    let unnamed = service.list("spec.ipFamilies").len();
    for (i, address) in service.texts("spec.clusterIPs").enumerate().skip(unnamed) {
        if address.contains(':') {
            let given = Value::from(service.list("spec.clusterIPs").to_vec());
            let path = format!("spec.clusterIPs[{i}]");
            causes.push(field::invalid(
                path,
                given,
                "IPv6 is not configured on this cluster",
            ));
        }
    }
    if !causes.is_empty() {
        return causes;
    }
    let policy = service.text("spec.ipFamilyPolicy");
    if policy == "RequireDualStack" {
        let detail = "this cluster is not configured for dual-stack services";
        causes.push(field::invalid("spec.ipFamilyPolicy", policy, detail));
    }
    for (i, family) in service.texts("spec.ipFamilies").enumerate() {
        if family != "IPv4" {
            let path = format!("spec.ipFamilies[{i}]");
            causes.push(field::invalid(
                path,
                family,
                "not configured on this cluster",
            ));
        }
    }
    causes
}

fn free_address(pools: &Pools, source: &dyn Source) -> Option<String> {
    let mut random = [0; 4];
    source.fill(&mut random);
    let start = u32::from_ne_bytes(random);
    // The first and the last address of a range are not handed out.
    let usable = SIZE - RESERVED - 1;
    (0..usable)
        .map(|i| FIRST + RESERVED + start.wrapping_add(i) % usable)
        .map(|address| Ipv4Addr::from(address).to_string())
        .find(|address| !pools.addresses.contains(address))
}

fn address_problem(address: &str, pools: &Pools) -> Option<String> {
    // One of the other family was refused before.
    let parsed: Ipv4Addr = address.parse().ok()?;
    if !(FIRST + 1..FIRST + SIZE - 1).contains(&u32::from(parsed)) {
        return Some("the provided network does not match the current range".to_owned());
    }
    pools
        .addresses
        .contains(address)
        .then(|| "provided IP is already allocated".to_owned())
}

fn give_node_ports(service: &mut Json, pools: &Pools, source: &dyn Source) -> Result<(), Refusal> {
    let allocate = needs_node_ports(service);
    let mut taken = pools.node_ports.clone();
    for (i, port) in service.objects_mut("spec.ports").enumerate() {
        let protocol = port.text("protocol").to_owned();
        let number = port.int("nodePort").unwrap_or_default();
        if number != 0 {
            let why = if !NODE_PORTS.contains(&number) {
                "provided port is not in the valid range. The range of valid ports is 30000-32767"
            } else if taken.contains(&(protocol.clone(), number)) {
                "provided port is already allocated"
            } else {
                taken.insert((protocol, number));
                continue;
            };
            let path = format!("spec.ports[{i}].nodePort");
            return Err(Refusal::Invalid(vec![field::invalid(path, number, why)]));
        }
        if allocate {
            let number = free_port(&protocol, &taken, source).ok_or(Refusal::Full("nodePort"))?;
            taken.insert((protocol, number));
            port.put("nodePort", number);
        }
    }
    Ok(())
}

fn free_port(protocol: &str, taken: &HashSet<(String, i64)>, source: &dyn Source) -> Option<i64> {
    let mut random = [0; 2];
    source.fill(&mut random);
    let start = i64::from(u16::from_ne_bytes(random));
    let size = NODE_PORTS.end() - NODE_PORTS.start() + 1;
    (0..size)
        .map(|i| NODE_PORTS.start() + (start + i) % size)
        .find(|port| !taken.contains(&(protocol.to_owned(), *port)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemSource;
    use crate::registry::json::tests::object;
    use crate::registry::kinds::testing::Cluster;

    #[expect(clippy::needless_pass_by_value, reason = "it is given a literal")]
    fn service(spec: Value) -> Json {
        object(json!({"metadata": {"name": "s"}, "spec": spec}))
    }

    fn given(spec: Value, pools: &Pools) -> Result<Json, String> {
        let mut service = service(spec);
        relate_addresses(&mut service, None);
        give_address(&mut service, pools, &SystemSource)
            .and_then(|()| give_node_ports(&mut service, pools, &SystemSource))
            .map(|()| service)
            .map_err(|refusal| match refusal {
                Refusal::Invalid(causes) => causes[0].message.clone(),
                Refusal::Full(what) => what.to_owned(),
            })
    }

    #[test]
    fn a_service_gets_an_address_that_is_free() {
        let service = given(json!({"type": "ClusterIP"}), &Pools::default()).unwrap();
        let address: Ipv4Addr = service.text("spec.clusterIP").parse().unwrap();
        assert!((FIRST + RESERVED..FIRST + SIZE - 1).contains(&u32::from(address)));
        assert_eq!(service["spec"]["clusterIPs"], json!([address.to_string()]));
        assert_eq!(service["spec"]["ipFamilies"], json!(["IPv4"]));
        assert_eq!(service["spec"]["ipFamilyPolicy"], "SingleStack");
    }

    #[test]
    fn an_address_is_given_once() {
        let taken = service(
            json!({"clusterIPs": ["10.96.0.1"], "ports": [{"protocol": "TCP", "nodePort": 30001}]}),
        );
        let pools = Pools::of(&[taken]);
        assert_eq!(
            given(json!({"clusterIP": "10.96.0.1"}), &pools).unwrap_err(),
            r#"Invalid value: ["10.96.0.1"]: failed to allocate IP 10.96.0.1: provided IP is already allocated"#
        );
        assert!(
            given(json!({"clusterIP": "10.112.0.0"}), &pools)
                .unwrap_err()
                .ends_with("the provided network does not match the current range")
        );
        let port = |protocol: &str| json!({"type": "NodePort", "ports": [{"protocol": protocol, "nodePort": 30001}]});
        assert_eq!(
            given(port("TCP"), &pools).unwrap_err(),
            "Invalid value: 30001: provided port is already allocated"
        );
        assert!(given(port("UDP"), &pools).is_ok());
    }

    #[test]
    fn a_headless_service_has_no_address() {
        let service = given(
            json!({"clusterIP": "None", "selector": {"a": "b"}}),
            &Pools::default(),
        )
        .unwrap();
        assert_eq!(service["spec"]["clusterIPs"], json!(["None"]));
        assert_eq!(service["spec"]["ipFamilies"], json!(["IPv4"]));
        let service = given(json!({"clusterIP": "None"}), &Pools::default()).unwrap();
        assert_eq!(service["spec"]["ipFamilyPolicy"], "RequireDualStack");
    }

    #[test]
    fn node_ports_are_given_where_the_type_needs_them() {
        let ports = json!([{"protocol": "TCP", "port": 80}, {"protocol": "TCP", "port": 81}]);
        let with = given(
            json!({"type": "NodePort", "ports": ports}),
            &Pools::default(),
        )
        .unwrap();
        let numbers: Vec<i64> = with
            .objects("spec.ports")
            .filter_map(|p| p.int("nodePort"))
            .collect();
        assert_eq!(numbers.len(), 2);
        assert_ne!(numbers[0], numbers[1]);
        let without = given(
            json!({"type": "ClusterIP", "ports": ports}),
            &Pools::default(),
        )
        .unwrap();
        assert!(
            without
                .objects("spec.ports")
                .all(|p| p.int("nodePort").is_none())
        );
    }

    #[test]
    fn an_update_keeps_what_it_does_not_name() {
        let old = service(json!({
            "type": "NodePort", "clusterIP": "10.96.1.2", "clusterIPs": ["10.96.1.2"],
            "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack",
            "ports": [{"port": 80, "nodePort": 30001}],
        }));
        let mut new = service(json!({"type": "NodePort", "ports": [{"port": 80}]}));
        keep(&mut new, &old);
        assert_eq!(new["spec"]["clusterIP"], "10.96.1.2");
        assert_eq!(new["spec"]["ports"][0]["nodePort"], 30001);

        let mut new = old.clone();
        new.put("spec.type", "ExternalName");
        keep(&mut new, &old);
        assert_eq!(
            new["spec"],
            json!({"type": "ExternalName", "ports": [{"port": 80}]})
        );
    }

    #[test]
    fn of_services_that_name_one_address_at_once_one_gets_it() {
        let cluster = Cluster::new();
        for round in 1..=20 {
            let address = format!("10.96.0.{round}");
            let barrier = std::sync::Barrier::new(4);
            let create = |n: usize| {
                barrier.wait();
                let body = json!({
                    "metadata": {"name": format!("s{round}-{n}")},
                    "spec": {"clusterIP": address, "ports": [{"port": 80}]},
                });
                cluster.serve("create", ("", "services", ""), body).is_ok()
            };
            let create = &create;
            let created = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..4).map(|n| scope.spawn(move || create(n))).collect();
                let done = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
                done.filter(|created| matches!(created, Ok(true))).count()
            });
            assert_eq!(created, 1, "{address}");
        }
    }
}
