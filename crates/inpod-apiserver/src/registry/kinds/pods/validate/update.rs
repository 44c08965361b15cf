//! What is wrong with a change of a Pod.

use serde_json::Value;

use crate::Cause;
use crate::registry::json::Fields as _;
use crate::registry::kinds::field;
use crate::schema::Json;

/// What is wrong with a change: a Pod's spec is fixed but for images, deadlines and more tolerations.
pub(in crate::registry::kinds::pods) fn update(pod: &Json, old: &Json) -> Vec<Cause> {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::kinds::pods::validate::tests::{pod, sentences};

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
