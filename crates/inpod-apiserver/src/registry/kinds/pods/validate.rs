//! What is wrong with a Pod, or with a change of one.

use std::collections::HashSet;

use serde_json::Value;

use crate::Cause;
use crate::registry::json::Fields as _;
use crate::registry::kinds::{field, names};
use crate::schema::Json;

/// What is wrong with a Pod by itself.
pub(super) fn create(pod: &Json) -> Vec<Cause> {
    let mut causes = Vec::new();
    let volumes = volumes(pod, &mut causes);
    containers(pod, &volumes, &mut causes);
    one_of(
        pod,
        "spec.restartPolicy",
        &["Always", "OnFailure", "Never"],
        &mut causes,
    );
    let policies = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
    one_of(pod, "spec.dnsPolicy", &policies, &mut causes);
    for path in [
        "spec.serviceAccountName",
        "spec.nodeName",
        "spec.priorityClassName",
    ] {
        named(pod, path, names::dns1123_subdomain, &mut causes);
    }
    for path in ["spec.hostname", "spec.subdomain"] {
        named(pod, path, names::dns1123_label, &mut causes);
    }
    if let Some(seconds) = pod.int("spec.activeDeadlineSeconds")
        && !(1..=i64::from(i32::MAX)).contains(&seconds)
    {
        let detail = "must be between 1 and 2147483647, inclusive";
        causes.push(field::invalid(
            "spec.activeDeadlineSeconds",
            seconds,
            detail,
        ));
    }
    causes
}

/// What is wrong with a change: a Pod's spec is fixed but for images, deadlines and more tolerations.
pub(super) fn update(pod: &Json, old: &Json) -> Vec<Cause> {
    let mut causes = Vec::new();
    for path in ["spec.containers", "spec.initContainers"] {
        if pod.list(path).len() != old.list(path).len() {
            let detail = "pod updates may not add or remove containers";
            causes.push(field::forbidden(path, detail));
            return causes;
        }
        for (i, container) in pod.objects(path).enumerate() {
            let image = container.text("image");
            if image.trim() != image {
                let detail = "must not have leading or trailing whitespace";
                causes.push(field::invalid(format!("{path}[{i}].image"), image, detail));
            }
        }
    }
    deadline_change(pod, old, &mut causes);
    let kept = |old: &Json| {
        pod.objects("spec.tolerations")
            .any(|new| same_but_for(new, old, "tolerationSeconds"))
    };
    if !old.objects("spec.tolerations").all(kept) {
        let detail = "existing toleration can not be modified except its tolerationSeconds";
        causes.push(field::forbidden("spec.tolerations", detail));
    }
    let gates = old.list("spec.schedulingGates");
    if pod
        .list("spec.schedulingGates")
        .iter()
        .any(|gate| !gates.contains(gate))
    {
        let detail = "only deletion is allowed, but found new scheduling gate";
        causes.push(field::forbidden("spec.schedulingGates", detail));
    }
    let changed = fixed_changes(pod, old);
    if !changed.is_empty() {
        let detail = format!(
            "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,\
             `spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),\
             `spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n{}",
            changed.join("\n")
        );
        causes.push(field::forbidden("spec", &detail));
    }
    causes
}

fn deadline_change(pod: &Json, old: &Json, causes: &mut Vec<Cause>) {
    let path = "spec.activeDeadlineSeconds";
    match (pod.int(path), old.int(path)) {
        (Some(new), Some(old)) if old < new => {
            let detail = "must be less than or equal to previous value";
            causes.push(field::invalid(path, new, detail));
        }
        (None, Some(_)) => {
            let detail = "must not update from a positive integer to nil value";
            causes.push(field::invalid(path, Value::Null, detail));
        }
        _ => {}
    }
}

/// The fields of the spec that changed and may not, each as `-old` and `+new`.
fn fixed_changes(pod: &Json, old: &Json) -> Vec<String> {
    let fixed = |pod: &Json| {
        let mut spec = pod.map("spec").cloned().unwrap_or_default();
        for list in ["containers", "initContainers"] {
            for container in spec.objects_mut(list) {
                container.take("image");
            }
        }
        for field in ["activeDeadlineSeconds", "tolerations", "schedulingGates"] {
            spec.take(field);
        }
        // A Pod that waits at a gate may still be told where to go.
        if !old.is_empty_at("spec.schedulingGates") {
            spec.take("nodeSelector");
            spec.take("affinity.nodeAffinity");
        }
        spec
    };
    let (new, old) = (fixed(pod), fixed(old));
    let mut lines = Vec::new();
    for key in old
        .keys()
        .chain(new.keys().filter(|key| !old.contains_key(*key)))
    {
        let (before, after) = (old.get(key), new.get(key));
        if before == after || (old.is_empty_at(key) && new.is_empty_at(key)) {
            continue;
        }
        lines.extend(before.map(|value| format!("-{key:?}: {value}")));
        lines.extend(after.map(|value| format!("+{key:?}: {value}")));
    }
    lines
}

fn same_but_for(a: &Json, b: &Json, key: &str) -> bool {
    let without = |object: &Json| {
        let mut object = object.clone();
        object.take(key);
        object
    };
    without(a) == without(b)
}

/// Checks the volumes and returns the names of the good ones.
fn volumes<'a>(pod: &'a Json, causes: &mut Vec<Cause>) -> HashSet<&'a str> {
    let mut good = HashSet::new();
    for (i, volume) in pod.objects("spec.volumes").enumerate() {
        let path = format!("spec.volumes[{i}]");
        let name = volume.text("name");
        let before = causes.len();
        volume_source(volume, &path, causes);
        if name.is_empty() {
            causes.push(field::required(format!("{path}.name"), ""));
        } else {
            for why in names::dns1123_label(name) {
                causes.push(field::invalid(format!("{path}.name"), name, &why));
            }
        }
        if good.contains(name) {
            causes.push(field::duplicate(format!("{path}.name"), name));
        }
        if causes.len() == before {
            good.insert(name);
        }
    }
    good
}

fn volume_source(volume: &Json, path: &str, causes: &mut Vec<Cause>) {
    let mut sources = volume
        .iter()
        .filter(|(key, value)| *key != "name" && !value.is_null());
    sources.next();
    for (source, _) in sources {
        let detail = "may not specify more than 1 volume type";
        causes.push(field::forbidden(format!("{path}.{source}"), detail));
    }
    for (source, must) in [
        ("secret", "secretName"),
        ("configMap", "name"),
        ("hostPath", "path"),
        ("persistentVolumeClaim", "claimName"),
    ] {
        if volume.map(source).is_some_and(|s| s.text(must).is_empty()) {
            causes.push(field::required(format!("{path}.{source}.{must}"), ""));
        }
    }
}

fn containers(pod: &Json, volumes: &HashSet<&str>, causes: &mut Vec<Cause>) {
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

fn one_of(pod: &Json, path: &str, known: &[&str], causes: &mut Vec<Cause>) {
    let value = pod.text(path);
    if value.is_empty() {
        causes.push(field::required(path, ""));
    } else if !known.contains(&value) {
        causes.push(field::not_supported(path, value, known));
    }
}

fn named(pod: &Json, path: &str, check: fn(&str) -> Vec<String>, causes: &mut Vec<Cause>) {
    let value = pod.text(path);
    if !value.is_empty() {
        let wrong = check(value);
        causes.extend(wrong.iter().map(|why| field::invalid(path, value, why)));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::json::tests::object;
    use crate::registry::kinds::pods::defaults;

    #[expect(clippy::needless_pass_by_value, reason = "it is given a literal")]
    fn pod(spec: Value) -> Json {
        let mut pod = object(json!({"metadata": {"name": "p"}, "spec": spec}));
        defaults::set(&mut pod);
        pod
    }

    fn sentences(causes: &[Cause]) -> Vec<String> {
        causes
            .iter()
            .map(|cause| format!("{}: {}", cause.field, cause.message))
            .collect()
    }

    #[test]
    fn a_pod_needs_containers_with_names_and_images() {
        assert_eq!(
            sentences(&create(&pod(json!({})))),
            ["spec.containers: Required value"]
        );
        assert_eq!(
            sentences(&create(&pod(json!({"containers": [{}]})))),
            [
                "spec.containers[0].name: Required value",
                "spec.containers[0].image: Required value"
            ]
        );
        assert!(create(&pod(json!({"containers": [{"name": "a", "image": "i"}]}))).is_empty());
    }

    #[test]
    fn names_are_unique_and_mounts_have_volumes() {
        let pod = pod(json!({
            "containers": [
                {"name": "a", "image": "i", "volumeMounts": [{"name": "v", "mountPath": "/x"}]},
                {"name": "a", "image": "i", "volumeMounts": [{"name": "w", "mountPath": "/x"}]},
            ],
            "volumes": [{"name": "v"}, {"name": "v"}],
        }));
        assert_eq!(
            sentences(&create(&pod)),
            [
                r#"spec.volumes[1].name: Duplicate value: "v""#,
                r#"spec.containers[1].volumeMounts[0].name: Not found: "w""#,
                r#"spec.containers[1].name: Duplicate value: "a""#,
            ]
        );
    }

    #[test]
    fn an_unknown_restart_policy_is_told_the_known_ones() {
        let pod =
            pod(json!({"restartPolicy": "Sometimes", "containers": [{"name": "a", "image": "i"}]}));
        assert_eq!(
            sentences(&create(&pod)),
            [
                r#"spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never""#
            ]
        );
    }

    #[test]
    fn an_image_may_change_and_little_else() {
        let old = pod(
            json!({"containers": [{"name": "a", "image": "i:1"}], "tolerations": [{"key": "k"}]}),
        );
        let mut new = old.clone();
        new["spec"]["containers"][0]["image"] = json!("i:2");
        new.list_mut("spec.tolerations")
            .push(json!({"key": "more"}));
        assert!(update(&new, &old).is_empty());

        new.put("spec.hostNetwork", true);
        let causes = update(&new, &old);
        assert_eq!(causes.len(), 1);
        assert_eq!(causes[0].reason, "FieldValueForbidden");
        assert!(causes[0].message.starts_with(
            "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
        ));
        assert!(causes[0].message.ends_with("\n+\"hostNetwork\": true"));
    }

    #[test]
    fn containers_stay_as_many_as_they_were() {
        let old = pod(json!({"containers": [{"name": "a", "image": "i"}]}));
        let new =
            pod(json!({"containers": [{"name": "a", "image": "i"}, {"name": "b", "image": "i"}]}));
        assert_eq!(
            sentences(&update(&new, &old)),
            ["spec.containers: Forbidden: pod updates may not add or remove containers"]
        );
    }
}
