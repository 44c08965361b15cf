//! What is wrong with a Service, or with a change of one.

use std::collections::HashSet;
use std::net::IpAddr;

use serde_json::Value;

use super::is_headless;
use crate::Cause;
use crate::registry::json::Fields as _;
use crate::registry::kinds::{field, names};
use crate::registry::validation;
use crate::schema::Json;

/// What is wrong with a Service by itself.
pub(super) fn create(service: &Json) -> Vec<Cause> {
    let mut causes = Vec::new();
    let kind = service.text("spec.type");
    let external_name = kind == "ExternalName";
    if service.is_empty_at("spec.ports") && !is_headless(service) && !external_name {
        causes.push(field::required("spec.ports", ""));
    }
    match kind {
        "LoadBalancer" | "NodePort" if is_headless(service) => {
            let detail = format!("may not be set to 'None' for {kind} services");
            causes.push(field::invalid("spec.clusterIPs[0]", "None", &detail));
        }
        "ExternalName" => external_name_problems(service, &mut causes),
        _ => {}
    }
    ports(service, &mut causes);
    let selector = service.map("spec.selector");
    causes.extend(validation::labels(selector, "spec.selector"));
    let affinity = service.text("spec.sessionAffinity");
    let known = ["ClientIP", "None"];
    if !known.contains(&affinity) {
        causes.push(field::not_supported(
            "spec.sessionAffinity",
            affinity,
            &known,
        ));
    }
    if !external_name {
        causes.extend(addresses(service, "spec.clusterIPs"));
    }
    causes.extend(addresses(service, "spec.externalIPs"));
    let known = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
    if !known.contains(&kind) {
        causes.push(field::not_supported("spec.type", kind, &known));
    }
    causes
}

/// What is wrong with the addresses at `path`.
pub(super) fn addresses(service: &Json, path: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (i, address) in service.texts(path).enumerate() {
        let detail = match address.parse::<IpAddr>() {
            Err(_) if address == "None" && path == "spec.clusterIPs" => continue,
            Err(_) => "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
            Ok(address) if path == "spec.externalIPs" => match special(address) {
                Some(detail) => detail,
                None => continue,
            },
            Ok(_) => continue,
        };
        causes.push(field::invalid(format!("{path}[{i}]"), address, detail));
    }
    causes
}

/// Why an address cannot be one that is reached from outside.
fn special(address: IpAddr) -> Option<&'static str> {
    if address != address.to_canonical() {
        return Some("must not be an IPv4-mapped IPv6 address");
    }
    let link_local = match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    let link_local_multicast = match address {
        IpAddr::V4(v4) => v4.octets()[..3] == [224, 0, 0],
        IpAddr::V6(v6) => v6.segments()[0] & 0xff0f == 0xff02,
    };
    if address.is_unspecified() {
        Some("may not be unspecified (0.0.0.0 or ::)")
    } else if address.is_loopback() {
        Some("may not be in the loopback range (127.0.0.0/8, ::1/128)")
    } else if link_local {
        Some("may not be in the link-local range (169.254.0.0/16, fe80::/10)")
    } else if link_local_multicast {
        Some("may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")
    } else {
        None
    }
}

/// What is wrong with a change: the first cluster IP stays.
pub(super) fn update(service: &Json, old: &Json) -> Vec<Cause> {
    let external = |service: &Json| service.text("spec.type") == "ExternalName";
    let both_headless = is_headless(service) && is_headless(old);
    let before = old.texts("spec.clusterIPs").next();
    let after = service.texts("spec.clusterIPs").next();
    if external(service) || external(old) || both_headless || before == after || before.is_none() {
        return Vec::new();
    }
    let given = Value::from(service.list("spec.clusterIPs").to_vec());
    let detail = if after.is_none() {
        "primary clusterIP can not be unset"
    } else {
        "may not change once set"
    };
    vec![field::invalid("spec.clusterIPs[0]", given, detail)]
}

fn external_name_problems(service: &Json, causes: &mut Vec<Cause>) {
    for field in ["clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
        let path = format!("spec.{field}");
        if !service.is_empty_at(&path) {
            causes.push(field::forbidden(
                path,
                "may not be set for ExternalName services",
            ));
        }
    }
    let name = service.text("spec.externalName");
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.is_empty() {
        causes.push(field::required("spec.externalName", ""));
    } else {
        let wrong = names::dns1123_subdomain(name);
        causes.extend(
            wrong
                .iter()
                .map(|why| field::invalid("spec.externalName", name, why)),
        );
    }
}

fn ports(service: &Json, causes: &mut Vec<Cause>) {
    let many = service.list("spec.ports").len() > 1;
    let mut taken_names = HashSet::new();
    let mut taken = HashSet::new();
    for (i, port) in service.objects("spec.ports").enumerate() {
        let at = |field: &str| format!("spec.ports[{i}].{field}");
        let name = port.text("name");
        if name.is_empty() {
            if many {
                causes.push(field::required(at("name"), ""));
            }
        } else {
            let wrong = names::dns1123_label(name);
            causes.extend(
                wrong
                    .iter()
                    .map(|why| field::invalid(at("name"), name, why)),
            );
            if !taken_names.insert(name) {
                causes.push(field::duplicate(at("name"), name));
            }
        }
        let number = port.int("port").unwrap_or_default();
        let wrong = names::port_number(number);
        causes.extend(
            wrong
                .iter()
                .map(|why| field::invalid(at("port"), number, why)),
        );
        let protocol = port.text("protocol");
        let known = ["SCTP", "TCP", "UDP"];
        if !known.contains(&protocol) {
            causes.push(field::not_supported(at("protocol"), protocol, &known));
        }
        target_port(port, &at("targetPort"), causes);
        if service.text("spec.type") == "ClusterIP" && port.int("nodePort").unwrap_or_default() != 0
        {
            let detail = "may not be used when `type` is 'ClusterIP'";
            causes.push(field::forbidden(at("nodePort"), detail));
        }
        if !taken.insert((protocol, number)) {
            // As Go writes what of the port it compares.
            let value = serde_json::json!({
                "Name": "", "Protocol": protocol, "AppProtocol": null, "Port": number, "TargetPort": 0, "NodePort": 0,
            });
            causes.push(field::duplicate(format!("spec.ports[{i}]"), value));
        }
    }
}

fn target_port(port: &Json, path: &str, causes: &mut Vec<Cause>) {
    match port.at("targetPort") {
        Some(Value::String(name)) => {
            let wrong = names::port_name(name);
            causes.extend(
                wrong
                    .iter()
                    .map(|why| field::invalid(path, name.as_str(), why)),
            );
        }
        Some(value) => {
            let wrong = names::port_number(value.as_i64().unwrap_or_default());
            causes.extend(
                wrong
                    .iter()
                    .map(|why| field::invalid(path, value.clone(), why)),
            );
        }
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::json::tests::object;
    use crate::registry::kinds::services::set_defaults;

    #[expect(clippy::needless_pass_by_value, reason = "it is given a literal")]
    fn service(spec: Value) -> Json {
        let mut service = object(json!({"spec": spec}));
        set_defaults(&mut service);
        service
    }

    fn sentences(causes: &[Cause]) -> Vec<String> {
        causes
            .iter()
            .map(|c| format!("{}: {}", c.field, c.message))
            .collect()
    }

    #[test]
    fn a_service_with_an_address_has_ports() {
        assert_eq!(
            sentences(&create(&service(json!({})))),
            ["spec.ports: Required value"]
        );
        assert!(create(&service(json!({"clusterIP": "None"}))).is_empty());
        let external = json!({"type": "ExternalName", "externalName": "example.com."});
        assert!(create(&service(external)).is_empty());
    }

    #[test]
    fn several_ports_have_names_and_differ() {
        let service = service(
            json!({"ports": [{"port": 80}, {"port": 80, "name": "b"}, {"port": 0, "name": "b"}]}),
        );
        assert_eq!(
            sentences(&create(&service)),
            [
                "spec.ports[0].name: Required value",
                r#"spec.ports[1]: Duplicate value: {"Name":"","Protocol":"TCP","AppProtocol":null,"Port":80,"TargetPort":0,"NodePort":0}"#,
                r#"spec.ports[2].name: Duplicate value: "b""#,
                "spec.ports[2].port: Invalid value: 0: must be between 1 and 65535, inclusive",
                "spec.ports[2].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive",
            ]
        );
    }

    #[test]
    fn the_cluster_ip_stays() {
        let old = service(json!({"clusterIPs": ["10.96.0.2"]}));
        let new = service(json!({"clusterIPs": ["10.96.0.3"]}));
        assert_eq!(
            sentences(&update(&new, &old)),
            [r#"spec.clusterIPs[0]: Invalid value: ["10.96.0.3"]: may not change once set"#]
        );
        assert!(update(&old, &old).is_empty());
    }
}
