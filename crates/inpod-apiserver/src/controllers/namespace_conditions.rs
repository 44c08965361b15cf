//! What a namespace that is being deleted waits for, as its `status.conditions` tell it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::storage::Object;

/// What is left of a namespace's content.
#[derive(Debug, Default)]
pub(super) struct Remaining {
    /// By resource and group.
    objects: BTreeMap<(&'static str, &'static str), usize>,
    finalizers: BTreeMap<String, usize>,
}

impl Remaining {
    pub(super) fn add(&mut self, resource: &'static str, group: &'static str, object: &Object) {
        *self.objects.entry((resource, group)).or_default() += 1;
        let value = object.value();
        let finalizers = value["metadata"]["finalizers"].as_array();
        for finalizer in finalizers.into_iter().flatten().filter_map(Value::as_str) {
            *self.finalizers.entry(finalizer.to_owned()).or_default() += 1;
        }
    }

    /// The conditions of a namespace with this content, or none where `old` say the same.
    pub(super) fn conditions(&self, old: &[Value], now: &str) -> Option<Vec<Value>> {
        let mut conditions = old.to_vec();
        for condition in self.all() {
            let found = conditions
                .iter_mut()
                .find(|other| other["type"] == condition["type"]);
            let Some(found) = found else {
                let mut new = condition;
                new["lastTransitionTime"] = now.into();
                conditions.push(new);
                continue;
            };
            if found["status"] != condition["status"] {
                found["lastTransitionTime"] = now.into();
            }
            for field in ["status", "reason", "message"] {
                found[field] = condition[field].clone();
            }
        }
        (conditions != old).then_some(conditions)
    }

    fn all(&self) -> [Value; 5] {
        let objects = listed(self.objects.iter(), |(resource, group), count| {
            format!("{resource}.{group} has {count} resource instances")
        });
        let finalizers = listed(self.finalizers.iter(), |finalizer, count| {
            format!("{finalizer} in {count} resource instances")
        });
        [
            met(
                "NamespaceDeletionDiscoveryFailure",
                "ResourcesDiscovered",
                "All resources successfully discovered",
            ),
            met(
                "NamespaceDeletionGroupVersionParsingFailure",
                "ParsedGroupVersions",
                "All legacy kube types successfully parsed",
            ),
            met(
                "NamespaceDeletionContentFailure",
                "ContentDeleted",
                "All content successfully deleted, may be waiting on finalization",
            ),
            match objects {
                None => met(
                    "NamespaceContentRemaining",
                    "ContentRemoved",
                    "All content successfully removed",
                ),
                Some(list) => json!({
                    "type": "NamespaceContentRemaining", "status": "True", "reason": "SomeResourcesRemain",
                    "message": format!("Some resources are remaining: {list}"),
                }),
            },
            match finalizers {
                None => met(
                    "NamespaceFinalizersRemaining",
                    "ContentHasNoFinalizers",
                    "All content-preserving finalizers finished",
                ),
                Some(list) => json!({
                    "type": "NamespaceFinalizersRemaining", "status": "True", "reason": "SomeFinalizersRemain",
                    "message": format!("Some content in the namespace has finalizers remaining: {list}"),
                }),
            },
        ]
    }
}

fn met(kind: &str, reason: &str, message: &str) -> Value {
    json!({"type": kind, "status": "False", "reason": reason, "message": message})
}

fn listed<'a, K: 'a>(
    counts: impl Iterator<Item = (&'a K, &'a usize)>,
    sentence: impl Fn(&K, usize) -> String,
) -> Option<String> {
    let mut sentences: Vec<String> = counts.map(|(key, count)| sentence(key, *count)).collect();
    sentences.sort();
    (!sentences.is_empty()).then(|| sentences.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_told_and_told_once() {
        let mut remaining = Remaining::default();
        let object = json!({"metadata": {"name": "a", "finalizers": ["example.com/wait"]}});
        let object = Object::new(&crate::registry::json::tests::object(object), Vec::new());
        remaining.add("configmaps", "", &object);
        let conditions = remaining.conditions(&[], "then").expect("new ones");
        assert_eq!(conditions.len(), 5);
        assert_eq!(
            conditions[3]["message"],
            "Some resources are remaining: configmaps. has 1 resource instances"
        );
        assert_eq!(
            conditions[4]["message"],
            "Some content in the namespace has finalizers remaining: example.com/wait in 1 resource instances"
        );
        assert_eq!(remaining.conditions(&conditions, "now"), None);

        let done = Remaining::default()
            .conditions(&conditions, "now")
            .expect("others");
        assert_eq!(done[4]["status"], "False");
        assert_eq!(done[4]["lastTransitionTime"], "now");
        assert_eq!(done[0]["lastTransitionTime"], "then");
    }
}
