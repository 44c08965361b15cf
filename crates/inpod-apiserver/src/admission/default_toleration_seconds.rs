//! `DefaultTolerationSeconds`: a Pod stays five minutes on a node that is not ready or cannot be reached.

use serde_json::json;

use crate::registry::json::Fields as _;
use crate::schema::Json;

const SECONDS: i64 = 300;

pub(super) fn admit(pod: &mut Json) {
    for taint in [
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/unreachable",
    ] {
        let tolerated = pod.objects("spec.tolerations").any(|toleration| {
            let (key, effect) = (toleration.text("key"), toleration.text("effect"));
            (key.is_empty() || key == taint) && matches!(effect, "" | "NoExecute")
        });
        if !tolerated {
            pod.list_mut("spec.tolerations").push(json!({
                "key": taint,
                "operator": "Exists",
                "effect": "NoExecute",
                "tolerationSeconds": SECONDS,
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::json::tests::object;

    #[test]
    fn a_pod_that_says_nothing_gets_two_tolerations_once() {
        let mut pod = object(json!({"spec": {}}));
        admit(&mut pod);
        admit(&mut pod);
        let keys: Vec<&str> = pod
            .objects("spec.tolerations")
            .map(|t| t.text("key"))
            .collect();
        assert_eq!(
            keys,
            [
                "node.kubernetes.io/not-ready",
                "node.kubernetes.io/unreachable"
            ]
        );
    }

    #[test]
    fn a_pod_that_tolerates_everything_is_left_alone() {
        let mut pod = object(json!({"spec": {"tolerations": [{"operator": "Exists"}]}}));
        admit(&mut pod);
        assert_eq!(pod.list("spec.tolerations").len(), 1);
    }
}
