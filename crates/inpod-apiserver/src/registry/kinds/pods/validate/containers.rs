//! What is wrong with a Pod's containers.

use std::collections::HashSet;

use crate::Cause;
use crate::registry::json::Fields as _;
use crate::registry::kinds::pods::qos::parse_quantity;
use crate::registry::kinds::{field, names};
use crate::schema::Json;

/// Checks all containers; they may mount `volumes`.
pub(super) fn containers(pod: &Json, volumes: &HashSet<&str>, causes: &mut Vec<Cause>) {
    if pod.is_empty_at("spec.containers") {
        causes.push(field::required("spec.containers", ""));
    }
    let mut taken = HashSet::new();
    for list in [
        "spec.containers",
        "spec.initContainers",
        "spec.ephemeralContainers",
    ] {
        for (i, spec) in pod.objects(list).enumerate() {
            let path = format!("{list}[{i}]");
            container(spec, &path, volumes, causes);
            let name = spec.text("name");
            if !taken.insert(name) && !name.is_empty() {
                causes.push(field::duplicate(format!("{path}.name"), name));
            }
            if list == "spec.initContainers" && spec.text("restartPolicy") != "Always" {
                for probe in [
                    "lifecycle",
                    "livenessProbe",
                    "readinessProbe",
                    "startupProbe",
                ] {
                    if spec.at(probe).is_some() {
                        let detail =
                            "may not be set for init containers without restartPolicy=Always";
                        causes.push(field::forbidden(format!("{path}.{probe}"), detail));
                    }
                }
            }
        }
    }
}

fn container(container: &Json, path: &str, volumes: &HashSet<&str>, causes: &mut Vec<Cause>) {
    let at = |field: &str| format!("{path}.{field}");
    let name = container.text("name");
    if name.is_empty() {
        causes.push(field::required(at("name"), ""));
    }
    if !name.is_empty() {
        let wrong = names::dns1123_label(name);
        causes.extend(
            wrong
                .iter()
                .map(|why| field::invalid(at("name"), name, why)),
        );
    }
    if container.text("image").is_empty() {
        causes.push(field::required(at("image"), ""));
    }
    let policy = container.text("terminationMessagePolicy");
    let known = ["File", "FallbackToLogsOnError"];
    if !policy.is_empty() && !known.contains(&policy) {
        causes.push(field::not_supported(
            at("terminationMessagePolicy"),
            policy,
            &known,
        ));
    }
    ports(container, path, causes);
    for (i, variable) in container.objects("env").enumerate() {
        let name = variable.text("name");
        let path = format!("{path}.env[{i}]");
        if name.is_empty() {
            causes.push(field::required(format!("{path}.name"), ""));
        }
        for why in names::env_name(name) {
            causes.push(field::invalid(format!("{path}.name"), name, &why));
        }
        if !variable.text("value").is_empty() && variable.map("valueFrom").is_some() {
            let detail = "may not be specified when `value` is not empty";
            causes.push(field::invalid(format!("{path}.valueFrom"), "", detail));
        }
    }
    mounts(container, path, volumes, causes);
    let policy = container.text("imagePullPolicy");
    let known = ["Always", "IfNotPresent", "Never"];
    if !policy.is_empty() && !known.contains(&policy) {
        causes.push(field::not_supported(at("imagePullPolicy"), policy, &known));
    }
    requests(container, &at("resources.requests"), causes);
}

/// What is requested is within the limits.
fn requests(container: &Json, path: &str, causes: &mut Vec<Cause>) {
    let Some(limits) = container.map("resources.limits") else {
        return;
    };
    for (resource, request) in container.map("resources.requests").into_iter().flatten() {
        let (Some(request), Some(limit)) = (request.as_str(), limits.get(resource)) else {
            continue;
        };
        let limit = limit.as_str().unwrap_or_default();
        if parse_quantity(request) > parse_quantity(limit) {
            let why = format!("must be less than or equal to {resource} limit of {limit}");
            causes.push(field::invalid(path, request, &why));
        }
    }
}

fn ports(container: &Json, path: &str, causes: &mut Vec<Cause>) {
    let mut taken = HashSet::new();
    for (i, port) in container.objects("ports").enumerate() {
        let at = |field: &str| format!("{path}.ports[{i}].{field}");
        let name = port.text("name");
        if !name.is_empty() {
            let wrong = names::port_name(name);
            if wrong.is_empty() && !taken.insert(name) {
                causes.push(field::duplicate(at("name"), name));
            }
            causes.extend(
                wrong
                    .iter()
                    .map(|why| field::invalid(at("name"), name, why)),
            );
        }
        match port.int("containerPort").unwrap_or_default() {
            0 => causes.push(field::required(at("containerPort"), "")),
            number => {
                let wrong = names::port_number(number);
                causes.extend(
                    wrong
                        .iter()
                        .map(|why| field::invalid(at("containerPort"), number, why)),
                );
            }
        }
        if let Some(number) = port.int("hostPort").filter(|number| *number != 0) {
            let wrong = names::port_number(number);
            causes.extend(
                wrong
                    .iter()
                    .map(|why| field::invalid(at("hostPort"), number, why)),
            );
        }
        let protocol = port.text("protocol");
        let known = ["SCTP", "TCP", "UDP"];
        if !known.contains(&protocol) {
            causes.push(field::not_supported(at("protocol"), protocol, &known));
        }
    }
}

fn mounts(container: &Json, path: &str, volumes: &HashSet<&str>, causes: &mut Vec<Cause>) {
    let mut taken = HashSet::new();
    for (i, mount) in container.objects("volumeMounts").enumerate() {
        let at = |field: &str| format!("{path}.volumeMounts[{i}].{field}");
        let name = mount.text("name");
        if name.is_empty() {
            causes.push(field::required(at("name"), ""));
        }
        if !volumes.contains(name) {
            causes.push(field::not_found(at("name"), name));
        }
        let target = mount.text("mountPath");
        if target.is_empty() {
            causes.push(field::required(at("mountPath"), ""));
        }
        if !taken.insert(target) {
            causes.push(field::invalid(at("mountPath"), target, "must be unique"));
        }
    }
}
