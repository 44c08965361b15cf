//! Pods.

mod binding;
mod defaults;
mod print;
mod qos;
mod validate;

use serde_json::{Value, json};

use super::{column, field, wide};
use crate::Cause;
use crate::registry::json::Fields as _;
use crate::registry::{Column, Context, Strategy};
use crate::schema::Json;

pub(super) use binding::Binding;

/// The strategy of Pods.
pub(super) struct Pods;

/// The lists of a Pod's spec that hold containers.
const CONTAINER_LISTS: [&str; 3] = [
    "spec.initContainers",
    "spec.containers",
    "spec.ephemeralContainers",
];

impl Strategy for Pods {
    fn default(&self, pod: &mut Json) {
        defaults::set(pod);
    }

    fn prepare_create(&self, cx: &Context<'_>, pod: &mut Json) {
        start(pod, &cx.core.source.timestamp());
    }

    fn prepare_update(&self, _cx: &Context<'_>, pod: &mut Json, old: &Json) {
        // Old kubelets leave it out.
        if pod.text("status.qosClass").is_empty() {
            pod.put_back("status.qosClass", old);
        }
    }

    fn validate(&self, pod: &Json) -> Vec<Cause> {
        validate::create(pod)
    }

    fn validate_update(&self, pod: &Json, old: &Json) -> Vec<Cause> {
        let mut causes = validate::update(pod, old);
        causes.extend(field::immutable(
            "status.qosClass",
            pod.at("status.qosClass"),
            old.at("status.qosClass"),
        ));
        causes
    }

    fn returns_deleted(&self) -> bool {
        true
    }

    fn has_generation(&self) -> bool {
        true
    }

    fn fields(&self, pod: &Json) -> Vec<(&'static str, String)> {
        let ip = pod.objects("status.podIPs").next();
        let ip = ip.map(|ip| ip.text("ip")).unwrap_or_default();
        let host_network = pod.boolean("spec.hostNetwork").unwrap_or_default();
        LABELS
            .iter()
            .map(|&path| {
                let value = match path {
                    "spec.host" => pod.text("spec.nodeName").to_owned(),
                    "status.podIP" | "status.podIPs" => ip.to_owned(),
                    "spec.hostNetwork" => host_network.to_string(),
                    _ => pod.text(path).to_owned(),
                };
                (path, value)
            })
            .collect()
    }

    fn field_labels(&self) -> &'static [&'static str] {
        &LABELS
    }

    fn reset_fields(&self, subresource: &str) -> &'static [&'static str] {
        match subresource {
            "status" => &[
                "spec",
                "metadata.deletionTimestamp",
                "metadata.ownerReferences",
            ],
            _ => &["status"],
        }
    }

    fn grace_period(&self, pod: &Json) -> Option<i64> {
        let unscheduled = pod.text("spec.nodeName").is_empty();
        if unscheduled || matches!(pod.text("status.phase"), "Succeeded" | "Failed") {
            return Some(0);
        }
        Some(match pod.int("spec.terminationGracePeriodSeconds") {
            Some(..0) => 1,
            Some(period) => period,
            None => 0,
        })
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            Column::NAME,
            column("Ready"),
            column("Status"),
            column("Restarts"),
            Column::AGE,
            wide("IP"),
            wide("Node"),
            wide("Nominated Node"),
            wide("Readiness Gates"),
        ];
        COLUMNS
    }

    fn cells(&self, pod: &Json, now: i64) -> Vec<Value> {
        print::cells(pod, now)
    }
}

/// What field selectors may name; `spec.host` is what `spec.nodeName` was called in v1beta2.
const LABELS: [&str; 10] = [
    "spec.nodeName",
    "spec.host",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.podIPs",
    "status.nominatedNodeName",
];

/// The status a new Pod starts with.
fn start(pod: &mut Json, now: &str) {
    let mut status = Json::new();
    status.put("phase", "Pending");
    if !pod.is_empty_at("spec.schedulingGates") {
        let gated = json!({
            "type": "PodScheduled",
            "status": "False",
            "lastProbeTime": null,
            "lastTransitionTime": now,
            "reason": "SchedulingGated",
            "message": "Scheduling is blocked due to non-empty scheduling gates",
        });
        status.list_mut("conditions").push(gated);
    }
    status.put("qosClass", qos::class(pod));
    pod.put("status", status);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::json::tests::object;

    #[test]
    fn only_a_scheduled_pod_that_runs_gets_time_to_stop() {
        let pod = |node: &str, phase: &str| {
            object(json!({
                "spec": {"nodeName": node, "terminationGracePeriodSeconds": 30},
                "status": {"phase": phase},
            }))
        };
        assert_eq!(Pods.grace_period(&pod("n", "Running")), Some(30));
        assert_eq!(Pods.grace_period(&pod("", "Pending")), Some(0));
        assert_eq!(Pods.grace_period(&pod("n", "Succeeded")), Some(0));
        assert_eq!(Pods.grace_period(&pod("n", "Failed")), Some(0));
    }

    #[test]
    fn a_new_pod_has_only_the_status_we_give_it() {
        let mut pod = object(json!({
            "spec": {"containers": [{"name": "a"}]},
            "status": {"phase": "Running", "podIP": "10.0.0.1"},
        }));
        start(&mut pod, "");
        assert_eq!(
            pod["status"],
            json!({"phase": "Pending", "qosClass": "BestEffort"})
        );
    }

    #[test]
    fn selectors_can_name_node_phase_and_address() {
        let pod = object(json!({
            "spec": {"nodeName": "n"},
            "status": {"phase": "Running", "podIPs": [{"ip": "10.0.0.1"}]},
        }));
        let fields = Pods.fields(&pod);
        let value = |name: &str| fields.iter().find(|f| f.0 == name).map(|f| f.1.as_str());
        assert_eq!(value("spec.nodeName"), Some("n"));
        assert_eq!(value("status.podIP"), Some("10.0.0.1"));
        assert_eq!(value("spec.hostNetwork"), Some("false"));
        assert_eq!(value("spec.restartPolicy"), Some(""));
    }
}
