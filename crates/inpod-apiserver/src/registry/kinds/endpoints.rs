//! Endpoints, the deprecated list of a Service's addresses.

use serde_json::Value;

use super::{age, column, field, names};
use crate::Cause;
use crate::registry::json::Fields as _;
use crate::registry::{Column, Strategy};
use crate::schema::Json;

/// The strategy of Endpoints.
pub(super) struct Endpoints;

impl Strategy for Endpoints {
    fn deprecation(&self) -> Option<&'static str> {
        Some("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice")
    }

    fn default(&self, endpoints: &mut Json) {
        for subset in endpoints.objects_mut("subsets") {
            for port in subset.objects_mut("ports") {
                port.default_to("protocol", "TCP");
            }
        }
    }

    fn validate(&self, endpoints: &Json) -> Vec<Cause> {
        let mut causes = Vec::new();
        for (i, subset) in endpoints.objects("subsets").enumerate() {
            let path = format!("subsets[{i}]");
            if subset.is_empty_at("addresses") && subset.is_empty_at("notReadyAddresses") {
                let detail = "must specify `addresses` or `notReadyAddresses`";
                causes.push(field::required(path.as_str(), detail));
            }
            for (j, port) in subset.objects("ports").enumerate() {
                let number = port.int("port").unwrap_or_default();
                let at = format!("{path}.ports[{j}].port");
                let wrong = names::port_number(number);
                causes.extend(
                    wrong
                        .iter()
                        .map(|why| field::invalid(at.as_str(), number, why)),
                );
            }
        }
        causes
    }

    fn create_on_update(&self) -> bool {
        true
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[Column::NAME, column("Endpoints"), Column::AGE];
        COLUMNS
    }

    fn cells(&self, endpoints: &Json, now: i64) -> Vec<Value> {
        vec![
            super::name(endpoints),
            addresses(endpoints).into(),
            age::age(endpoints, now),
        ]
    }
}

fn addresses(endpoints: &Json) -> String {
    if endpoints.is_empty_at("subsets") {
        return "<none>".to_owned();
    }
    let mut all = Vec::new();
    for subset in endpoints.objects("subsets") {
        let ips = || {
            subset
                .objects("addresses")
                .map(|address| address.text("ip"))
        };
        if subset.is_empty_at("ports") {
            all.extend(ips().map(str::to_owned));
        }
        for port in subset.objects("ports") {
            let port = port.int("port").unwrap_or_default();
            all.extend(ips().map(|ip| {
                if ip.contains(':') {
                    format!("[{ip}]:{port}")
                } else {
                    format!("{ip}:{port}")
                }
            }));
        }
    }
    at_most_three(&all)
}

/// The first three of `all`, and how many more there are.
pub(super) fn at_most_three<T: AsRef<str>>(all: &[T]) -> String {
    let shown: Vec<&str> = all.iter().take(3).map(AsRef::as_ref).collect();
    let shown = shown.join(",");
    match all.len() {
        0..=3 => shown,
        more => format!("{shown} + {} more...", more - 3),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::json::tests::object;

    #[test]
    fn three_addresses_are_shown_and_the_rest_counted() {
        let ips = |n: usize| {
            (1..=n)
                .map(|i| json!({"ip": format!("10.0.0.{i}")}))
                .collect::<Vec<_>>()
        };
        let endpoints =
            |n| object(json!({"subsets": [{"addresses": ips(n), "ports": [{"port": 80}]}]}));
        assert_eq!(addresses(&endpoints(1)), "10.0.0.1:80");
        assert_eq!(
            addresses(&endpoints(5)),
            "10.0.0.1:80,10.0.0.2:80,10.0.0.3:80 + 2 more..."
        );
        assert_eq!(addresses(&Json::new()), "<none>");
    }

    #[test]
    fn ports_are_tcp_unless_said_otherwise() {
        let mut endpoints =
            object(json!({"subsets": [{"addresses": [{"ip": "::1"}], "ports": [{"port": 80}]}]}));
        Endpoints.default(&mut endpoints);
        assert_eq!(endpoints["subsets"][0]["ports"][0]["protocol"], "TCP");
        assert_eq!(addresses(&endpoints), "[::1]:80");
        assert!(Endpoints.validate(&endpoints).is_empty());
    }
}
