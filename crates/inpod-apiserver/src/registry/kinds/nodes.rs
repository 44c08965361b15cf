//! Nodes.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{age, column, field, wide};
use crate::Cause;
use crate::registry::json::Fields as _;
use crate::registry::{Column, Strategy};
use crate::schema::Json;

/// The strategy of Nodes.
pub(super) struct Nodes;

impl Strategy for Nodes {
    fn default(&self, node: &mut Json) {
        if node.map("status.allocatable").is_none()
            && let Some(capacity) = node.map("status.capacity").cloned()
        {
            node.put("status.allocatable", capacity);
        }
    }

    fn validate_update(&self, node: &Json, old: &Json) -> Vec<Cause> {
        let mut causes = Vec::new();
        if !old.is_empty_at("spec.podCIDRs")
            && node.list("spec.podCIDRs") != old.list("spec.podCIDRs")
        {
            let detail = r#"node updates may not change podCIDR except from "" to valid"#;
            causes.push(field::forbidden("spec.podCIDRs", detail));
        }
        let (new, old) = (node.text("spec.providerID"), old.text("spec.providerID"));
        if !old.is_empty() && new != old {
            let detail = if new.is_empty() {
                "field cannot be cleared once set"
            } else {
                "field cannot be modified once set"
            };
            causes.push(field::invalid("spec.providerID", Value::Null, detail));
        }
        causes
    }

    fn fields(&self, node: &Json) -> Vec<(&'static str, String)> {
        let unschedulable = node.boolean("spec.unschedulable").unwrap_or_default();
        vec![("spec.unschedulable", unschedulable.to_string())]
    }

    fn field_labels(&self) -> &'static [&'static str] {
        &["spec.unschedulable"]
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            Column::NAME,
            column("Status"),
            column("Roles"),
            Column::AGE,
            column("Version"),
            wide("Internal-IP"),
            wide("External-IP"),
            wide("OS-Image"),
            wide("Kernel-Version"),
            wide("Container-Runtime"),
        ];
        COLUMNS
    }

    fn cells(&self, node: &Json, now: i64) -> Vec<Value> {
        let info = |name: &str| node.text(&format!("status.nodeInfo.{name}"));
        let mut kernel = or(info("kernelVersion"), "<unknown>").to_owned();
        if !info("architecture").is_empty() {
            kernel = format!("{kernel} ({})", info("architecture"));
        }
        vec![
            super::name(node),
            status(node).into(),
            or(&roles(node), "<none>").into(),
            age::age(node, now),
            info("kubeletVersion").into(),
            address(node, "InternalIP").into(),
            address(node, "ExternalIP").into(),
            or(info("osImage"), "<unknown>").into(),
            kernel.into(),
            or(info("containerRuntimeVersion"), "<unknown>").into(),
        ]
    }
}

fn status(node: &Json) -> String {
    let ready = node
        .objects("status.conditions")
        .rfind(|condition| condition.text("type") == "Ready");
    let mut status = match ready.map(|condition| condition.text("status")) {
        Some("True") => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    }
    .to_owned();
    if node.boolean("spec.unschedulable") == Some(true) {
        status.push_str(",SchedulingDisabled");
    }
    status
}

fn roles(node: &Json) -> String {
    let labels = node.map("metadata.labels").into_iter().flatten();
    let roles: BTreeSet<&str> = labels
        .filter_map(
            |(key, value)| match key.strip_prefix("node-role.kubernetes.io/") {
                Some(role) => Some(role),
                None if key == "kubernetes.io/role" => value.as_str(),
                None => None,
            },
        )
        .filter(|role| !role.is_empty())
        .collect();
    Vec::from_iter(roles).join(",")
}

fn address<'a>(node: &'a Json, kind: &str) -> &'a str {
    node.objects("status.addresses")
        .find(|address| address.text("type") == kind)
        .map_or("<none>", |address| address.text("address"))
}

fn or<'a>(text: &'a str, fallback: &'a str) -> &'a str {
    if text.is_empty() { fallback } else { text }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::json::tests::object;

    #[test]
    fn a_row_tells_state_roles_and_addresses() {
        let node = object(json!({
            "metadata": {"name": "n", "labels": {
                "node-role.kubernetes.io/worker": "",
                "node-role.kubernetes.io/control-plane": "",
            }},
            "spec": {"unschedulable": true},
            "status": {
                "conditions": [{"type": "Ready", "status": "True"}],
                "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
                "nodeInfo": {"kubeletVersion": "v1.37.2", "kernelVersion": "6.18", "architecture": "amd64"},
            },
        }));
        assert_eq!(
            Nodes.cells(&node, 0),
            [
                "n",
                "Ready,SchedulingDisabled",
                "control-plane,worker",
                "<unknown>",
                "v1.37.2",
                "10.0.0.1",
                "<none>",
                "<unknown>",
                "6.18 (amd64)",
                "<unknown>",
            ]
        );
    }

    #[test]
    fn a_node_that_says_nothing_is_unknown() {
        assert_eq!(status(&Json::new()), "Unknown");
        let down =
            object(json!({"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}));
        assert_eq!(status(&down), "NotReady");
    }

    #[test]
    fn what_can_be_allocated_is_the_capacity_unless_said_otherwise() {
        let mut node = object(json!({"status": {"capacity": {"cpu": "2"}}}));
        Nodes.default(&mut node);
        assert_eq!(node["status"]["allocatable"], json!({"cpu": "2"}));
    }

    #[test]
    fn the_provider_of_a_node_stays() {
        let old = object(json!({"spec": {"providerID": "a"}}));
        let new = object(json!({"spec": {"providerID": "b"}}));
        assert_eq!(
            Nodes.validate_update(&new, &old)[0].message,
            "Invalid value: null: field cannot be modified once set"
        );
    }
}
