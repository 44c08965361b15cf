//! `TaintNodesByCondition`: nothing is scheduled to a new node until it is ready.

use serde_json::json;

use super::Operation;
use crate::registry::json::Fields as _;
use crate::schema::Json;

pub(super) fn admit(operation: Operation<'_>, node: &mut Json) {
    const KEY: &str = "node.kubernetes.io/not-ready";
    const EFFECT: &str = "NoSchedule";
    // A real server taints every new node, and its node controller takes the taint off once the node is ready. There is no
    // node controller here, so a node that is ready from the start does not get it.
    let ready = node
        .objects("status.conditions")
        .any(|condition| condition.text("type") == "Ready" && condition.text("status") == "True");
    let tainted = node
        .objects("spec.taints")
        .any(|taint| taint.text("key") == KEY && taint.text("effect") == EFFECT);
    if matches!(operation, Operation::Create) && !ready && !tainted {
        node.list_mut("spec.taints")
            .push(json!({"key": KEY, "effect": EFFECT}));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::json::tests::object;

    #[test]
    fn a_new_node_is_tainted_until_it_is_ready() {
        let mut node = object(json!({"metadata": {"name": "n"}}));
        admit(Operation::Create, &mut node);
        admit(Operation::Create, &mut node);
        assert_eq!(node.list("spec.taints").len(), 1);

        let ready =
            object(json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}}));
        let mut node = ready.clone();
        admit(Operation::Create, &mut node);
        assert_eq!(node, ready);
    }

    #[test]
    fn an_update_may_take_the_taint_off() {
        let mut node = Json::new();
        admit(Operation::Update(&Json::new()), &mut node);
        assert!(node.is_empty());
    }
}
