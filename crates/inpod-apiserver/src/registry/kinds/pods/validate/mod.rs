//! What is wrong with a Pod, or with a change of one.

mod containers;
mod update;

use std::collections::HashSet;

use crate::Cause;
use crate::registry::json::Fields as _;
use crate::registry::kinds::{field, names};
use crate::registry::validation;
use crate::schema::Json;

use self::containers::containers;
pub(super) use self::update::update;

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
    let selector = pod.map("spec.nodeSelector");
    causes.extend(validation::labels(selector, "spec.nodeSelector"));
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
pub(super) mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::registry::json::tests::object;
    use crate::registry::kinds::pods::defaults;

    #[expect(clippy::needless_pass_by_value, reason = "it is given a literal")]
    pub(super) fn pod(spec: Value) -> Json {
        let mut pod = object(json!({"metadata": {"name": "p"}, "spec": spec}));
        defaults::set(&mut pod);
        pod
    }

    pub(super) fn sentences(causes: &[Cause]) -> Vec<String> {
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
}
