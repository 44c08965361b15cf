//! `EndpointSlices`.

use serde_json::Value;

use super::endpoints::at_most_three;
use super::{age, column, field};
use crate::Cause;
use crate::registry::json::Fields as _;
use crate::registry::{Column, Strategy};
use crate::schema::Json;

/// The strategy of `EndpointSlices`.
pub(super) struct EndpointSlices;

impl Strategy for EndpointSlices {
    fn default(&self, slice: &mut Json) {
        for port in slice.objects_mut("ports") {
            port.default_to("name", "");
            port.default_to("protocol", "TCP");
        }
    }

    fn validate(&self, slice: &Json) -> Vec<Cause> {
        let mut causes = Vec::new();
        let known = ["FQDN", "IPv4", "IPv6"];
        match slice.text("addressType") {
            "" => causes.push(field::required("addressType", "")),
            kind if !known.contains(&kind) => {
                causes.push(field::not_supported("addressType", kind, &known));
            }
            _ => {}
        }
        for (i, endpoint) in slice.objects("endpoints").enumerate() {
            if endpoint.is_empty_at("addresses") {
                causes.push(field::required(format!("endpoints[{i}].addresses"), ""));
            }
        }
        causes
    }

    fn validate_update(&self, slice: &Json, old: &Json) -> Vec<Cause> {
        field::immutable(
            "addressType",
            slice.at("addressType"),
            old.at("addressType"),
        )
    }

    fn has_generation(&self) -> bool {
        true
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            Column::NAME,
            column("AddressType"),
            column("Ports"),
            column("Endpoints"),
            Column::AGE,
        ];
        COLUMNS
    }

    fn cells(&self, slice: &Json, now: i64) -> Vec<Value> {
        let ports: Vec<String> = slice.objects("ports").map(port).collect();
        let addresses: Vec<&str> = slice
            .objects("endpoints")
            .flat_map(|endpoint| endpoint.texts("addresses"))
            .collect();
        vec![
            super::name(slice),
            slice.text("addressType").into(),
            list(&ports).into(),
            list(&addresses).into(),
            age::age(slice, now),
        ]
    }
}

fn port(port: &Json) -> String {
    match (port.int("port"), port.at("name")) {
        (Some(number), _) => number.to_string(),
        (None, Some(name)) => name.as_str().unwrap_or_default().to_owned(),
        (None, None) => "*".to_owned(),
    }
}

fn list<T: AsRef<str>>(all: &[T]) -> String {
    if all.is_empty() {
        return "<unset>".to_owned();
    }
    at_most_three(all)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::json::tests::object;

    #[test]
    fn a_row_tells_ports_and_addresses() {
        let slice = object(json!({
            "metadata": {"name": "kubernetes"},
            "addressType": "IPv4",
            "ports": [{"name": "https", "port": 6443}],
            "endpoints": [{"addresses": ["192.0.2.1"]}],
        }));
        assert_eq!(
            EndpointSlices.cells(&slice, 0),
            ["kubernetes", "IPv4", "6443", "192.0.2.1", "<unknown>"]
        );
        assert_eq!(EndpointSlices.cells(&Json::new(), 0)[2], "<unset>");
    }

    #[test]
    fn the_kind_of_addresses_is_given_and_stays() {
        assert_eq!(
            EndpointSlices.validate(&Json::new())[0].message,
            "Required value"
        );
        let (old, new) = (
            object(json!({"addressType": "IPv4"})),
            object(json!({"addressType": "IPv6"})),
        );
        assert_eq!(EndpointSlices.validate_update(&new, &old).len(), 1);
    }
}
