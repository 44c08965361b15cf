//! Namespaces.

use serde_json::Value;

use super::{age, column, field};
use crate::Cause;
use crate::registry::json::Fields as _;
use crate::registry::{Column, Context, Strategy};
use crate::schema::Json;

/// The strategy of Namespaces.
pub(super) struct Namespaces;

/// The finalizer that stays until what is in the namespace is gone.
const KUBERNETES: &str = "kubernetes";

impl Strategy for Namespaces {
    fn default(&self, namespace: &mut Json) {
        label_with_name(namespace);
        namespace.default_to("status.phase", "Active");
    }

    fn prepare_create(&self, _cx: &Context<'_>, namespace: &mut Json) {
        start(namespace);
    }

    fn prepare_update(&self, cx: &Context<'_>, namespace: &mut Json, old: &Json) {
        // Only `namespaces/finalize` changes these.
        if cx.subresource.is_none() {
            namespace.put_back("spec.finalizers", old);
        }
    }

    fn validate_update(&self, namespace: &Json, old: &Json) -> Vec<Cause> {
        let phase = namespace.text("status.phase");
        if phase == old.text("status.phase") {
            return Vec::new();
        }
        let (expected, detail) = if namespace.is_empty_at("metadata.deletionTimestamp") {
            (
                "Active",
                "may only be 'Active' if `deletionTimestamp` is empty",
            )
        } else {
            (
                "Terminating",
                "may only be 'Terminating' if `deletionTimestamp` is not empty",
            )
        };
        if phase == expected {
            return Vec::new();
        }
        vec![field::invalid("status.Phase", phase, detail)]
    }

    /// Its deletion always begins with a mark, finalizers or not: what is in it has to go first.
    fn is_held(&self, namespace: &Json) -> bool {
        namespace.is_empty_at("metadata.deletionTimestamp")
            || !namespace.is_empty_at("spec.finalizers")
    }

    fn prepare_delete(&self, namespace: &mut Json) {
        namespace.put("status.phase", "Terminating");
    }

    fn returns_deleted(&self) -> bool {
        true
    }

    fn fields(&self, namespace: &Json) -> Vec<(&'static str, String)> {
        vec![("status.phase", namespace.text("status.phase").to_owned())]
    }

    fn field_labels(&self) -> &'static [&'static str] {
        &["status.phase"]
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[Column::NAME, column("Status"), Column::AGE];
        COLUMNS
    }

    fn cells(&self, namespace: &Json, now: i64) -> Vec<Value> {
        vec![
            super::name(namespace),
            namespace.text("status.phase").into(),
            age::age(namespace, now),
        ]
    }
}

/// What a client may not choose.
fn start(namespace: &mut Json) {
    label_with_name(namespace);
    let mut status = Json::new();
    status.put("phase", "Active");
    namespace.put("status", status);
    let finalizers = namespace.list_mut("spec.finalizers");
    if !finalizers.iter().any(|f| f == KUBERNETES) {
        finalizers.push(KUBERNETES.into());
    }
}

/// The label by which selectors can name a namespace.
fn label_with_name(namespace: &mut Json) {
    let name = namespace.text("metadata.name").to_owned();
    if !name.is_empty() {
        let labels = namespace.map_mut("metadata.labels");
        labels.insert("kubernetes.io/metadata.name".to_owned(), name.into());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::json::tests::object;

    #[test]
    fn a_new_namespace_is_active_labelled_and_held() {
        let mut namespace = object(json!({
            "metadata": {"name": "a"},
            "spec": {"finalizers": ["example.com/x"]},
            "status": {"phase": "Terminating"},
        }));
        start(&mut namespace);
        assert_eq!(
            Value::Object(namespace.clone()),
            json!({
                "metadata": {"name": "a", "labels": {"kubernetes.io/metadata.name": "a"}},
                "spec": {"finalizers": ["example.com/x", "kubernetes"]},
                "status": {"phase": "Active"},
            })
        );
        assert!(Namespaces.is_held(&namespace));
        assert_eq!(
            Namespaces.cells(&namespace, 0),
            ["a", "Active", "<unknown>"]
        );
    }

    #[test]
    fn only_a_namespace_that_is_being_deleted_is_terminating() {
        let old = object(json!({"metadata": {}, "status": {"phase": "Active"}}));
        let mut new = old.clone();
        Namespaces.prepare_delete(&mut new);
        assert_eq!(Namespaces.validate_update(&new, &old).len(), 1);
        new.put("metadata.deletionTimestamp", "2026-01-01T00:00:00Z");
        assert!(Namespaces.validate_update(&new, &old).is_empty());
    }
}
