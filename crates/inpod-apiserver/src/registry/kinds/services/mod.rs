//! Services.

mod allocate;
mod print;
mod validate;

use serde_json::{Value, json};

use super::{column, field, wide};
use crate::Cause;
use crate::registry::json::Fields as _;
use crate::registry::{Column, Context, Strategy};
use crate::schema::Json;

pub(crate) use allocate::allocate;

/// The strategy of Services.
pub(super) struct Services;

impl Strategy for Services {
    fn default(&self, service: &mut Json) {
        set_defaults(service);
    }

    fn shares_a_pool(&self) -> bool {
        true
    }

    fn prepare_create(&self, _cx: &Context<'_>, service: &mut Json) {
        service.put("status", json!({"loadBalancer": {}}));
    }

    fn prepare_update(&self, cx: &Context<'_>, service: &mut Json, _old: &Json) {
        if cx.subresource.is_none() && service.text("spec.type") != "LoadBalancer" {
            service.put("status.loadBalancer", json!({}));
        }
    }

    fn validate(&self, service: &Json) -> Vec<Cause> {
        let mut causes = validate::create(service);
        if service.text("spec.type") != "ExternalName" && service.is_empty_at("spec.clusterIPs") {
            causes.push(field::required("spec.clusterIPs", ""));
        }
        causes
    }

    fn validates_update_first(&self) -> bool {
        true
    }

    fn validate_update(&self, service: &Json, old: &Json) -> Vec<Cause> {
        validate::update(service, old)
    }

    fn warnings(&self, service: &Json) -> Vec<String> {
        warnings(service)
    }

    fn create_on_update(&self) -> bool {
        true
    }

    fn returns_deleted(&self) -> bool {
        true
    }

    fn fields(&self, service: &Json) -> Vec<(&'static str, String)> {
        LABELS
            .iter()
            .map(|&path| (path, service.text(path).to_owned()))
            .collect()
    }

    fn field_labels(&self) -> &'static [&'static str] {
        &LABELS
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            Column::NAME,
            column("Type"),
            column("Cluster-IP"),
            column("External-IP"),
            column("Port(s)"),
            Column::AGE,
            wide("Selector"),
        ];
        COLUMNS
    }

    fn cells(&self, service: &Json, now: i64) -> Vec<Value> {
        print::cells(service, now)
    }
}

/// What is set to no effect, or is deprecated.
fn warnings(service: &Json) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut warn = |told: bool, text: &str| {
        if told {
            warnings.push(text.to_owned());
        }
    };
    let is_set = |path: &str| !service.is_empty_at(path);
    let external = service.text("spec.type") == "ExternalName";
    let headless = is_headless(service) && service.text("spec.type") == "ClusterIP";
    if headless {
        warn(
            is_set("spec.loadBalancerIP"),
            "spec.loadBalancerIP is ignored for headless services",
        );
        warn(
            is_set("spec.externalIPs"),
            "spec.externalIPs is ignored for headless services",
        );
        let affinity = service.text("spec.sessionAffinity") != "None";
        warn(
            affinity,
            "spec.SessionAffinity is ignored for headless services",
        );
    }
    warn(
        is_set("spec.externalIPs") && !headless && !external,
        "spec.externalIPs is deprecated and may no longer be implemented in some clusters",
    );
    warn(
        external && is_set("spec.externalIPs"),
        "spec.externalIPs is ignored when spec.type is \"ExternalName\"",
    );
    warn(
        !external && is_set("spec.externalName"),
        "spec.externalName is ignored when spec.type is not \"ExternalName\"",
    );
    warn(
        service.text("spec.trafficDistribution") == "PreferClose",
        "spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"",
    );
    warnings
}

const LABELS: [&str; 2] = ["spec.clusterIP", "spec.type"];

fn set_defaults(service: &mut Json) {
    service.default_to("spec.sessionAffinity", "None");
    match service.text("spec.sessionAffinity") {
        "None" => {
            service.take("spec.sessionAffinityConfig");
        }
        "ClientIP" => {
            service.default_to("spec.sessionAffinityConfig.clientIP.timeoutSeconds", 10800);
        }
        _ => {}
    }
    service.default_to("spec.type", "ClusterIP");
    for port in service.objects_mut("spec.ports") {
        port.default_to("protocol", "TCP");
        if let Some(number) = port.int("port") {
            port.default_nonzero("targetPort", number);
        }
    }
    let kind = service.text("spec.type").to_owned();
    let external = match kind.as_str() {
        "LoadBalancer" | "NodePort" => true,
        "ClusterIP" => !service.is_empty_at("spec.externalIPs"),
        _ => false,
    };
    if external {
        service.default_to("spec.externalTrafficPolicy", "Cluster");
    }
    if matches!(kind.as_str(), "ClusterIP" | "LoadBalancer" | "NodePort") {
        service.default_to("spec.internalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        service.default_to("spec.allocateLoadBalancerNodePorts", true);
        for ingress in service.objects_mut("status.loadBalancer.ingress") {
            if !ingress.text("ip").is_empty() {
                ingress.default_to("ipMode", "VIP");
            }
        }
    }
}

/// Whether a client resolves the name to the Pods themselves.
fn is_headless(service: &Json) -> bool {
    service.text("spec.clusterIP") == "None"
        || service.texts("spec.clusterIPs").next() == Some("None")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::json::tests::{object, pretty};

    #[test]
    fn a_port_is_all_a_service_needs() {
        let mut service = object(json!({"spec": {"ports": [{"port": 80}]}}));
        set_defaults(&mut service);
        insta::assert_snapshot!(pretty(service));
    }

    #[test]
    fn a_named_target_port_stays() {
        let mut service = object(json!({"spec": {"ports": [{"port": 80, "targetPort": "http"}]}}));
        set_defaults(&mut service);
        assert_eq!(service["spec"]["ports"][0]["targetPort"], "http");
    }

    #[test]
    fn what_faces_outside_has_a_traffic_policy() {
        let mut service = object(json!({"spec": {"type": "NodePort"}}));
        set_defaults(&mut service);
        assert_eq!(service["spec"]["externalTrafficPolicy"], "Cluster");
        let mut service = object(json!({"spec": {"type": "ExternalName"}}));
        set_defaults(&mut service);
        assert_eq!(service["spec"].get("internalTrafficPolicy"), None);
    }
}
