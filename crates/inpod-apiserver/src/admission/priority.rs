//! `Priority`: the number that a Pod's priority class stands for.

use super::{Operation, forbidden};
use crate::Status;
use crate::registry::Context;
use crate::registry::json::Fields as _;
use crate::schema::Json;

pub(super) fn admit(
    cx: &Context<'_>,
    operation: Operation<'_>,
    pod: &mut Json,
) -> Result<(), Status> {
    match operation {
        Operation::Create => set(pod).map_err(|why| forbidden(cx, pod, &why)),
        Operation::Update(old) => {
            keep(pod, old);
            Ok(())
        }
        Operation::Delete(_) => Ok(()),
    }
}

/// The priority of a class. Only those that every cluster has are known: priority classes are not served.
fn priority_of(class: &str) -> Option<i64> {
    match class {
        "" => Some(0),
        "system-cluster-critical" => Some(2_000_000_000),
        "system-node-critical" => Some(2_000_001_000),
        _ => None,
    }
}

fn set(pod: &mut Json) -> Result<(), String> {
    let class = pod.text("spec.priorityClassName");
    let priority = priority_of(class)
        .ok_or_else(|| format!("no PriorityClass with name {class} was found"))?;
    if let Some(given) = pod.int("spec.priority")
        && given != priority
    {
        return Err(format!(
            "the integer value of priority ({given}) must not be provided in pod spec; priority admission controller \
             computed {priority} from the given PriorityClass name"
        ));
    }
    let policy = "PreemptLowerPriority";
    let given = pod.text("spec.preemptionPolicy");
    if !given.is_empty() && given != policy {
        return Err(format!(
            "the string value of PreemptionPolicy ({given}) must not be provided in pod spec; priority admission \
             controller computed {policy} from the given PriorityClass name"
        ));
    }
    pod.put("spec.priority", priority);
    pod.put("spec.preemptionPolicy", policy);
    Ok(())
}

/// An update that says nothing changes nothing.
fn keep(pod: &mut Json, old: &Json) {
    for path in ["spec.priority", "spec.preemptionPolicy"] {
        if pod.at(path).is_none() {
            pod.put_back(path, old);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::json::tests::object;

    #[test]
    fn a_pod_without_a_class_has_priority_0() {
        let mut pod = object(json!({"spec": {}}));
        assert_eq!(set(&mut pod), Ok(()));
        assert_eq!(
            pod["spec"],
            json!({"priority": 0, "preemptionPolicy": "PreemptLowerPriority"})
        );
    }

    #[test]
    fn the_class_decides() {
        let mut pod = object(json!({"spec": {"priority": 5}}));
        assert!(
            set(&mut pod)
                .unwrap_err()
                .starts_with("the integer value of priority (5)")
        );
        let mut pod = object(json!({"spec": {"priorityClassName": "mine"}}));
        assert_eq!(
            set(&mut pod).unwrap_err(),
            "no PriorityClass with name mine was found"
        );
    }

    #[test]
    fn an_update_without_a_priority_keeps_it() {
        let old =
            object(json!({"spec": {"priority": 0, "preemptionPolicy": "PreemptLowerPriority"}}));
        let mut new = object(json!({"spec": {}}));
        keep(&mut new, &old);
        assert_eq!(new, old);
    }
}
