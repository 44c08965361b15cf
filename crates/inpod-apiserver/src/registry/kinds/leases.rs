//! Leases.

use serde_json::Value;

use super::{age, column, field};
use crate::Cause;
use crate::registry::json::Fields as _;
use crate::registry::{Column, Strategy};
use crate::schema::Json;

/// The strategy of Leases.
pub(super) struct Leases;

impl Strategy for Leases {
    fn validate(&self, lease: &Json) -> Vec<Cause> {
        let mut causes = Vec::new();
        if let Some(seconds @ ..=0) = lease.int("spec.leaseDurationSeconds") {
            causes.push(field::invalid(
                "spec.leaseDurationSeconds",
                seconds,
                "must be greater than 0",
            ));
        }
        if let Some(transitions @ ..0) = lease.int("spec.leaseTransitions") {
            let detail = "must be greater than or equal to 0";
            causes.push(field::invalid("spec.leaseTransitions", transitions, detail));
        }
        if !lease.is_empty_at("spec.preferredHolder") && lease.is_empty_at("spec.strategy") {
            let detail = "may only be specified if `strategy` is defined";
            causes.push(field::forbidden("spec.preferredHolder", detail));
        }
        causes
    }

    fn create_on_update(&self) -> bool {
        true
    }

    fn qualifies_finalizers(&self) -> bool {
        false
    }

    /// Of two who take a lease at once, the later must see that it was.
    fn unconditional_update(&self) -> bool {
        false
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[Column::NAME, column("Holder"), Column::AGE];
        COLUMNS
    }

    fn cells(&self, lease: &Json, now: i64) -> Vec<Value> {
        vec![
            super::name(lease),
            lease.text("spec.holderIdentity").into(),
            age::age(lease, now),
        ]
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::json::tests::object;
    use crate::registry::kinds::testing::Cluster;

    #[test]
    fn a_lease_lasts() {
        let lease = object(json!({"spec": {"leaseDurationSeconds": 0, "leaseTransitions": -1}}));
        let messages: Vec<String> = Leases
            .validate(&lease)
            .into_iter()
            .map(|c| c.message)
            .collect();
        assert_eq!(
            messages,
            [
                "Invalid value: 0: must be greater than 0",
                "Invalid value: -1: must be greater than or equal to 0"
            ]
        );
    }

    #[test]
    fn an_update_has_to_say_which_lease_it_saw() {
        let cluster = Cluster::new();
        let put = |metadata: Value, holder: &str| {
            let lease = json!({"metadata": metadata, "spec": {"holderIdentity": holder}});
            cluster.serve("update", ("coordination.k8s.io", "leases", "l"), lease)
        };
        let created = put(json!({"name": "l"}), "a").expect("created");
        let refused = put(json!({"name": "l"}), "b").expect_err("unconditional");
        assert_eq!(
            refused.message,
            "leases.coordination.k8s.io \"l\" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update"
        );
        let version = created.text("metadata.resourceVersion");
        put(json!({"name": "l", "resourceVersion": version}), "b").expect("updated");
    }
}
