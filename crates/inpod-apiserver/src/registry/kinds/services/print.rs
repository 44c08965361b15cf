//! What `kubectl get services` shows.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::registry::json::Fields as _;
use crate::registry::kinds::{age, name};
use crate::schema::Json;

/// The cells of a Service's row.
pub(super) fn cells(service: &Json, now: i64) -> Vec<Value> {
    let address = service.texts("spec.clusterIPs").next().unwrap_or("<none>");
    vec![
        name(service),
        json!(service.text("spec.type")),
        json!(address),
        json!(external(service)),
        json!(ports(service)),
        age::age(service, now),
        json!(selector(service)),
    ]
}

fn external(service: &Json) -> String {
    let given: Vec<&str> = service.texts("spec.externalIPs").collect();
    match service.text("spec.type") {
        "ClusterIP" | "NodePort" if given.is_empty() => "<none>".to_owned(),
        "ClusterIP" | "NodePort" => given.join(","),
        "LoadBalancer" => {
            let balanced: BTreeSet<&str> = service
                .objects("status.loadBalancer.ingress")
                .map(|ingress| match ingress.text("ip") {
                    "" => ingress.text("hostname"),
                    ip => ip,
                })
                .filter(|address| !address.is_empty())
                .collect();
            let all: Vec<&str> = balanced.into_iter().chain(given).collect();
            if all.is_empty() {
                "<pending>".to_owned()
            } else {
                all.join(",")
            }
        }
        "ExternalName" => service.text("spec.externalName").to_owned(),
        _ => "<unknown>".to_owned(),
    }
}

fn ports(service: &Json) -> String {
    let ports: Vec<String> = service
        .objects("spec.ports")
        .map(|port| {
            let number = port.int("port").unwrap_or_default();
            let protocol = port.text("protocol");
            match port.int("nodePort") {
                Some(node @ 1..) => format!("{number}:{node}/{protocol}"),
                _ => format!("{number}/{protocol}"),
            }
        })
        .collect();
    if ports.is_empty() {
        return "<none>".to_owned();
    }
    ports.join(",")
}

fn selector(service: &Json) -> String {
    let mut labels: Vec<String> = service
        .map("spec.selector")
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    if labels.is_empty() {
        return "<none>".to_owned();
    }
    labels.sort_unstable();
    labels.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::json::tests::object;

    #[test]
    fn a_row_tells_addresses_and_ports() {
        let service = object(json!({
            "metadata": {"name": "s"},
            "spec": {
                "type": "NodePort",
                "clusterIPs": ["10.96.0.2"],
                "ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}],
                "selector": {"b": "2", "a": "1"},
            },
        }));
        assert_eq!(
            cells(&service, 0),
            [
                "s",
                "NodePort",
                "10.96.0.2",
                "<none>",
                "80:30080/TCP,53/UDP",
                "<unknown>",
                "a=1,b=2"
            ]
        );
    }

    #[test]
    fn a_load_balancer_without_an_address_is_pending() {
        let mut service = object(json!({"spec": {"type": "LoadBalancer"}}));
        assert_eq!(external(&service), "<pending>");
        service.put(
            "status.loadBalancer.ingress",
            json!([{"hostname": "lb"}, {"ip": "192.0.2.1"}]),
        );
        assert_eq!(external(&service), "192.0.2.1,lb");
    }
}
