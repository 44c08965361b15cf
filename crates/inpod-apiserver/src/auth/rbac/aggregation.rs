//! `ClusterRoles` that gather the rules of others, by label: `admin`, `edit` and `view` are made so.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::index::GROUP;
use crate::schema::Json;
use crate::storage::Lookup;

/// The stored `ClusterRoles` whose rules are not what their `aggregationRule` says, each by name with the rules it should have:
/// what the cluster-role-aggregation controller has to do.
pub(crate) fn outdated_cluster_roles(lookup: &dyn Lookup) -> Vec<(String, Value)> {
    let objects = lookup.list(GROUP, "clusterroles", None);
    let mut values: Vec<Json> = objects.iter().map(|object| object.value()).collect();
    let changed = aggregate(&mut values);
    let outdated = |at: usize| {
        let rules = values.get(at)?.get("rules")?.clone();
        Some((objects.get(at)?.name.clone(), rules))
    };
    changed.into_iter().filter_map(outdated).collect()
}

/// Sets the rules of each role that gathers others', and says which changed. An aggregated role may be gathered itself, so it goes
/// on until nothing changes; roles that gather each other in a circle might never settle, so it ends after as many rounds as there are roles.
pub(super) fn aggregate(roles: &mut [Json]) -> BTreeSet<usize> {
    let mut changed = BTreeSet::new();
    for _ in 0..roles.len() {
        let mut settled = true;
        for at in 0..roles.len() {
            if let Some(gathered) = gathered(roles, at)
                && let Some(role) = roles.get_mut(at)
                && role.get("rules") != Some(&gathered)
            {
                role.insert("rules".to_owned(), gathered);
                changed.insert(at);
                settled = false;
            }
        }
        if settled {
            break;
        }
    }
    changed
}

/// The rules that the role at `at` should have; None where it gathers none.
fn gathered(roles: &[Json], at: usize) -> Option<Value> {
    let role = roles.get(at)?;
    let selectors = role.get("aggregationRule")?.get("clusterRoleSelectors")?;
    let mut others: Vec<&Json> = roles
        .iter()
        .filter(|other| name(other) != name(role))
        .collect();
    others.sort_by_key(|other| name(other));
    let mut all: Vec<&Value> = Vec::new();
    for selector in selectors.as_array()? {
        for other in others.iter().filter(|other| selects(selector, other)) {
            let found = other.get("rules").and_then(Value::as_array);
            for rule in found.into_iter().flatten() {
                if !all.contains(&rule) {
                    all.push(rule);
                }
            }
        }
    }
    Some(all.into_iter().cloned().collect())
}

/// Whether a `meta/v1` `LabelSelector` selects the object. One that says nothing selects everything; an operator that there is
/// not selects nothing.
fn selects(selector: &Value, object: &Json) -> bool {
    let empty = Map::new();
    let labels = object
        .get("metadata")
        .and_then(|metadata| metadata.get("labels"))
        .and_then(Value::as_object)
        .unwrap_or(&empty);
    let equal = selector.get("matchLabels").and_then(Value::as_object);
    let expressions = selector.get("matchExpressions").and_then(Value::as_array);
    equal
        .into_iter()
        .flatten()
        .all(|(key, value)| labels.get(key) == Some(value))
        && expressions.into_iter().flatten().all(|expression| {
            let text = |key: &str| {
                expression
                    .get(key)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
            };
            let label = labels.get(text("key"));
            let listed = || {
                let values = expression.get("values").and_then(Value::as_array);
                label.is_some_and(|label| values.is_some_and(|values| values.contains(label)))
            };
            match text("operator") {
                "In" => listed(),
                "NotIn" => !listed(),
                "Exists" => label.is_some(),
                "DoesNotExist" => label.is_none(),
                _ => false,
            }
        })
}

fn name(role: &Json) -> &str {
    let metadata = role.get("metadata");
    let name = metadata.and_then(|metadata| metadata.get("name"));
    name.and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::auth::testing::FakeStore;

    fn put(store: &FakeStore, role: &Value) {
        store.put(GROUP, "clusterroles", role);
    }

    #[test]
    fn a_role_gathers_what_is_labelled_for_it_through_others_too() {
        let store = FakeStore::default();
        let gathering = |name: &str, labels: &Value, from: &str| {
            json!({
                "metadata": {"name": name, "labels": labels},
                "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {from: "true"}}]},
                "rules": null,
            })
        };
        put(&store, &gathering("a-edit", &json!({}), "to-edit"));
        put(
            &store,
            &gathering("view", &json!({"to-edit": "true"}), "to-view"),
        );
        let plain = |name: &str, label: &str, verb: &str| json!({"metadata": {"name": name, "labels": {label: "true"}}, "rules": [{"verbs": [verb]}]});
        put(&store, &plain("x", "to-view", "get"));
        put(&store, &plain("b", "to-edit", "update"));
        put(&store, &plain("c", "to-edit", "get"));
        assert_eq!(
            outdated_cluster_roles(&store),
            [
                (
                    "a-edit".to_owned(),
                    json!([{"verbs": ["update"]}, {"verbs": ["get"]}])
                ),
                ("view".to_owned(), json!([{"verbs": ["get"]}])),
            ]
        );
        let mut done = gathering("view", &json!({}), "to-view");
        done["rules"] = json!([{"verbs": ["get"]}]);
        put(&store, &done);
        store.remove(GROUP, "clusterroles", "", "a-edit");
        assert_eq!(outdated_cluster_roles(&store), []);
    }

    #[test]
    fn selectors_select_as_the_real_ones() {
        let role = json!({"metadata": {"labels": {"a": "1"}}});
        let role = role.as_object().expect("an object");
        let expression = |key: &str, operator: &str, values: &Value| json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]});
        for (selector, selected) in [
            (json!({}), true),
            (json!({"matchLabels": {"a": "1"}}), true),
            (json!({"matchLabels": {"a": "2"}}), false),
            (expression("a", "In", &json!(["0", "1"])), true),
            (expression("b", "In", &json!(["1"])), false),
            (expression("a", "NotIn", &json!(["1"])), false),
            (expression("b", "NotIn", &json!(["1"])), true),
            (expression("a", "Exists", &json!(null)), true),
            (expression("a", "DoesNotExist", &json!(null)), false),
            (expression("a", "Near", &json!(["1"])), false),
        ] {
            assert_eq!(selects(&selector, role), selected, "{selector}");
        }
    }

    #[test]
    fn a_circle_of_roles_comes_to_an_end() {
        let store = FakeStore::default();
        for (name, next) in [("a", "b"), ("b", "c"), ("c", "a")] {
            put(
                &store,
                &json!({
                    "metadata": {"name": name, "labels": {name: "true"}},
                    "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {next: "true"}}]},
                    "rules": [{"verbs": [name]}],
                }),
            );
        }
        assert!(!outdated_cluster_roles(&store).is_empty());
    }
}
