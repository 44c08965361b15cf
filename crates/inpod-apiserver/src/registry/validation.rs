//! What may stand in `metadata`, after `apimachinery/pkg/api/validation/objectmeta.go`.

use serde_json::Value;

use crate::Cause;
use crate::managed_fields::{MAX_MANAGER, is_printable};
use crate::registry::json::Fields as _;
use crate::registry::kinds::field::{forbidden, immutable, invalid, required, too_long};
use crate::registry::kinds::names::{dns1123_label, dns1123_subdomain, longer_than, regex_error};
use crate::registry::{name_problems, strategy};
use crate::schema::{Json, Resource};

/// The most bytes of all annotations of an object together.
const MAX_ANNOTATIONS: usize = 256 << 10;
/// The most bytes of a subresource in `metadata.managedFields`.
const MAX_SUBRESOURCE: usize = 256;
/// The finalizer that makes a deletion leave the dependents behind.
pub(crate) const ORPHAN: &str = "orphan";
/// The finalizer that makes a deletion wait for the dependents'.
pub(crate) const FOREGROUND: &str = "foregroundDeletion";
/// The finalizer of the core itself, which namespaces have in their spec.
const KUBERNETES: &str = "kubernetes";

/// What is wrong with the metadata of an object, new or changed.
pub(crate) fn metadata(resource: &Resource, object: &Json) -> Vec<Cause> {
    let mut causes = Vec::new();
    let generate = object.text("metadata.generateName");
    if !generate.is_empty() {
        let path = "metadata.generateName";
        causes.extend(
            name_problems(resource, &mask_trailing_dash(generate))
                .iter()
                .map(|p| invalid(path, generate, p)),
        );
    }
    let name = object.text("metadata.name");
    if name.is_empty() {
        causes.push(required(
            "metadata.name",
            "name or generateName is required",
        ));
    }
    causes.extend(
        Some(name)
            .filter(|name| !name.is_empty())
            .map(|name| name_problems(resource, name))
            .unwrap_or_default()
            .iter()
            .map(|p| invalid("metadata.name", name, p)),
    );
    causes.extend(namespace(resource, object.text("metadata.namespace")));
    if let Some(generation) = object.int("metadata.generation").filter(|g| *g < 0) {
        let why = "must be greater than or equal to 0";
        causes.push(invalid("metadata.generation", generation, why));
    }
    causes.extend(labels(object.map("metadata.labels"), "metadata.labels"));
    causes.extend(annotations(object.map("metadata.annotations")));
    causes.extend(owner_references(object));
    causes.extend(finalizers(object));
    causes.extend(managed_fields(object));
    if strategy(resource).qualifies_finalizers() {
        causes.extend(unqualified_finalizers(object));
    }
    causes
}

/// What is wrong with the managers that a client put into `metadata.managedFields`; the rest of it was read already.
fn managed_fields(object: &Json) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (i, entry) in object.objects("metadata.managedFields").enumerate() {
        let path = format!("metadata.managedFields[{i}]");
        causes.extend(manager(entry.text("manager"), &format!("{path}.manager")));
        if entry.text("subresource").len() > MAX_SUBRESOURCE {
            let path = format!("{path}.subresource");
            causes.push(too_long(path, MAX_SUBRESOURCE));
        }
    }
    causes
}

/// What is wrong with the name of a manager at `path`.
pub(crate) fn manager(manager: &str, path: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    if manager.len() > MAX_MANAGER {
        causes.push(too_long(path, MAX_MANAGER));
    }
    for (at, c) in manager.char_indices().filter(|(_, c)| !is_printable(*c)) {
        let code = u32::from(c);
        let why = format!("invalid character U+{code:04X} (at position {at})");
        causes.push(invalid(path, manager, &why));
    }
    causes
}

/// What is wrong with a change of metadata.
pub(crate) fn metadata_update(object: &Json, old: &Json) -> Vec<Cause> {
    let mut causes = Vec::new();
    if !old.is_empty_at("metadata.deletionTimestamp") {
        let before: Vec<&str> = old.texts("metadata.finalizers").collect();
        let mut new: Vec<&str> = object
            .texts("metadata.finalizers")
            .filter(|f| !before.contains(f))
            .collect();
        new.sort_unstable();
        if !new.is_empty() {
            let why = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                new.iter()
                    .map(|f| format!("{f:?}"))
                    .collect::<Vec<_>>()
                    .join(", ")
            );
            causes.push(forbidden("metadata.finalizers", &why));
        }
    }
    for path in [
        "metadata.name",
        "metadata.namespace",
        "metadata.uid",
        "metadata.creationTimestamp",
        "metadata.deletionTimestamp",
        "metadata.deletionGracePeriodSeconds",
    ] {
        causes.extend(immutable(path, object.at(path), old.at(path)));
    }
    causes
}

/// What is wrong with a map of labels at `path`.
pub(crate) fn labels(labels: Option<&Json>, path: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (key, value) in labels.into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        let keys = label_key(key)
            .into_iter()
            .map(|p| invalid(path, key.as_str(), &p));
        let values = label_value(value)
            .into_iter()
            .map(|p| invalid(path, value, &p));
        causes.extend(keys.chain(values));
    }
    causes
}

/// What is wrong with the key of a label, which is also how finalizers are named.
pub(crate) fn label_key(key: &str) -> Vec<String> {
    let rule = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
    let rule = |head: &str| {
        regex_error(
            &format!("{head}{rule}"),
            "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]",
            &["MyName", "my.name", "123-abc"],
        )
    };
    let mut problems = Vec::new();
    let name = match key.split_once('/') {
        None => key,
        Some((_, name)) if name.contains('/') => {
            let rule = rule("a valid label key ");
            return vec![format!(
                "{rule} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )];
        }
        Some((prefix, name)) => {
            if prefix.is_empty() {
                problems.push("prefix part must be non-empty".to_owned());
            } else {
                let wrong = dns1123_subdomain(prefix).into_iter();
                // Of another place in Go, which counts the same in other words.
                let wrong = wrong.map(|problem| problem.replace("253 characters", "253 bytes"));
                problems.extend(wrong.map(|p| format!("prefix part {p}")));
            }
            name
        }
    };
    if name.is_empty() {
        problems.push("name part must be non-empty".to_owned());
    }
    problems.extend(
        longer_than(name, 63, "bytes")
            .iter()
            .map(|p| format!("name part {p}")),
    );
    if !is_qualified(name) {
        problems.push(rule("name part "));
    }
    problems
}

/// What is wrong with the value of a label.
pub(crate) fn label_value(value: &str) -> Vec<String> {
    let mut problems = longer_than(value, 63, "bytes");
    if !value.is_empty() && !is_qualified(value) {
        let rule = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must \
                    start and end with an alphanumeric character";
        problems.push(regex_error(
            rule,
            "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?",
            &["MyValue", "my_value", "12345"],
        ));
    }
    problems
}

fn is_qualified(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric();
    name.bytes()
        .all(|b| plain(b) || matches!(b, b'-' | b'_' | b'.'))
        && name.bytes().next().is_some_and(plain)
        && name.bytes().last().is_some_and(plain)
}

/// A prefix may end in a dash, because something follows it.
fn mask_trailing_dash(prefix: &str) -> String {
    match prefix.strip_suffix('-') {
        // As the real server does it, the character before the dash goes with it.
        Some(rest) if !rest.is_empty() => {
            let mut chars = rest.chars();
            chars.next_back();
            format!("{}a", chars.as_str())
        }
        _ => prefix.to_owned(),
    }
}

fn namespace(resource: &Resource, namespace: &str) -> Vec<Cause> {
    let path = "metadata.namespace";
    match (resource.namespaced, namespace) {
        (true, "") => vec![required(path, "")],
        (true, name) => dns1123_label(name)
            .iter()
            .map(|p| invalid(path, name, p))
            .collect(),
        (false, "") => Vec::new(),
        (false, _) => vec![forbidden(path, "not allowed on this type")],
    }
}

fn annotations(annotations: Option<&Json>) -> Vec<Cause> {
    let path = "metadata.annotations";
    let mut causes = Vec::new();
    let mut size = 0;
    for (key, value) in annotations.into_iter().flatten() {
        size += key.len() + value.as_str().map_or(0, str::len);
        let problems = label_key(&key.to_lowercase()).into_iter();
        causes.extend(problems.map(|p| invalid(path, key.as_str(), &p)));
    }
    if size > MAX_ANNOTATIONS {
        causes.push(too_long(path, MAX_ANNOTATIONS));
    }
    causes
}

fn owner_references(object: &Json) -> Vec<Cause> {
    let path = "metadata.ownerReferences";
    let mut causes = Vec::new();
    let mut controller: Option<String> = None;
    for (i, owner) in object.objects(path).enumerate() {
        let version = owner.text("apiVersion");
        for field in ["apiVersion", "kind", "name", "uid"] {
            if owner.text(field).is_empty() {
                causes.push(required(
                    format!("{path}[{i}].{field}"),
                    "must not be empty",
                ));
            }
        }
        if version.matches('/').count() > 1 || version.ends_with('/') {
            causes.push(invalid(
                format!("{path}[{i}].apiVersion"),
                version,
                "must be <group>/<version> or <version>",
            ));
        }
        if version == "v1" && owner.text("kind") == "Event" {
            let why = "/v1, Kind=Event is disallowed from being an owner";
            causes.push(invalid(format!("{path}[{i}]"), owner.clone(), why));
        }
        if owner.boolean("controller") == Some(true) {
            let this = format!("{}/{}", owner.text("kind"), owner.text("name"));
            if let Some(first) = &controller {
                let why = format!(
                    "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {this}"
                );
                causes.push(invalid(path, object.list(path).to_vec(), &why));
            } else {
                controller = Some(this);
            }
        }
    }
    causes
}

fn finalizers(object: &Json) -> Vec<Cause> {
    let path = "metadata.finalizers";
    let finalizers: Vec<&str> = object.texts(path).collect();
    let mut causes: Vec<Cause> = finalizers
        .iter()
        .flat_map(|f| label_key(f).into_iter().map(|p| invalid(path, *f, &p)))
        .collect();
    if finalizers.contains(&ORPHAN) && finalizers.contains(&FOREGROUND) {
        let why = format!("finalizer {ORPHAN} and {FOREGROUND} cannot be both set");
        let value: Vec<Value> = object.list(path).to_vec();
        causes.push(invalid(path, value, &why));
    }
    causes
}

fn unqualified_finalizers(object: &Json) -> Vec<Cause> {
    let finalizers = object.texts("metadata.finalizers").enumerate();
    let unknown = finalizers.filter(|(_, name)| {
        !name.contains('/') && ![KUBERNETES, ORPHAN, FOREGROUND].contains(name)
    });
    let why = "name is neither a standard finalizer name nor is it fully qualified";
    unknown
        .map(|(i, name)| invalid(format!("metadata.finalizers[{i}]"), name, why))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::json::tests::object;
    use crate::registry::testing::THINGS;

    fn messages(metadata_: &Value) -> Vec<String> {
        metadata(&THINGS, &object(json!({"metadata": metadata_})))
            .into_iter()
            .map(|c| format!("{}: {}", c.field, c.message))
            .collect()
    }

    #[test]
    fn good_metadata_passes() {
        let good = json!({
            "name": "a", "namespace": "default", "generateName": "a-",
            "labels": {"app.kubernetes.io/name": "x_y.Z", "empty": ""},
            "annotations": {"Example.com/Key": "anything goes"},
            "finalizers": ["example.com/wait"],
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "u", "controller": true}],
        });
        assert_eq!(messages(&good), Vec::<String>::new());
    }

    #[test]
    fn each_problem_is_named() {
        assert_eq!(
            messages(&json!({"namespace": "default"})),
            ["metadata.name: Required value: name or generateName is required"]
        );
        assert_eq!(
            messages(&json!({"name": "a"})),
            ["metadata.namespace: Required value"]
        );
        let wrong = messages(&json!({
            "name": "A", "namespace": "default", "labels": {"a/b/c": "-"},
            "finalizers": ["orphan", "foregroundDeletion"], "ownerReferences": [{"apiVersion": "a/b/c"}],
        }));
        assert!(wrong[0].starts_with(
            "metadata.name: Invalid value: \"A\": a lowercase RFC 1123 subdomain must consist of"
        ));
        assert!(
            wrong[1].starts_with("metadata.labels: Invalid value: \"a/b/c\": a valid label key ")
        );
        assert!(
            wrong[2].starts_with("metadata.labels: Invalid value: \"-\": a valid label must be")
        );
        assert_eq!(wrong.len(), 8, "{wrong:?}");
    }

    #[test]
    fn what_the_server_sets_cannot_be_changed() {
        let old = object(
            json!({"metadata": {"name": "a", "uid": "1", "deletionTimestamp": "t", "finalizers": ["a"]}}),
        );
        let new = object(
            json!({"metadata": {"name": "a", "uid": "2", "deletionTimestamp": "t", "finalizers": ["a", "b"]}}),
        );
        let messages: Vec<String> = metadata_update(&new, &old)
            .into_iter()
            .map(|c| format!("{}: {}", c.field, c.message))
            .collect();
        assert_eq!(
            messages,
            [
                "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new \
                 finalizers []string{\"b\"}",
                "metadata.uid: Invalid value: \"2\": field is immutable",
            ]
        );
    }
}
