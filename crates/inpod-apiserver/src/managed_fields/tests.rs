//! Who owns what after which write.

use serde_json::{Value, json};

use super::*;
use crate::schema::{Json, normalize, type_of};

const FIRST: &str = "2026-01-01T00:00:00Z";
const LATER: &str = "2026-01-01T00:00:01Z";

/// An object and what was written to it.
struct Written {
    ty: Type,
    object: Json,
}

impl Written {
    fn create(kind: &str, manager: &str, object: Value) -> Self {
        let ty = type_of("", "v1", kind).expect("a kind of the tables");
        let mut written = Self {
            ty,
            object: Json::new(),
        };
        written.store(write(ty, manager, FIRST), None, object);
        written
    }

    fn update(&mut self, manager: &str, object: Value) -> Value {
        self.write(write(self.ty, manager, LATER), object)
    }

    fn write(&mut self, write: Write<'_>, object: Value) -> Value {
        let old = self.object.clone();
        self.store(write, Some(&old), object);
        self.entries()
    }

    fn store(&mut self, write: Write<'_>, old: Option<&Json>, object: Value) {
        let Value::Object(mut object) = object else {
            panic!("it is no object: {object}")
        };
        normalize(self.ty, &mut object);
        let owners = track(write, old, &mut object);
        if let Some(owners) = owners {
            object["metadata"]["managedFields"] = owners;
        }
        self.object = object;
    }

    fn entries(&self) -> Value {
        self.object["metadata"]["managedFields"].clone()
    }

    /// By manager, what it owns and since when.
    fn owners(&self) -> Value {
        let entries = self.entries();
        let entry = |entry: &Value| {
            let manager = entry["manager"].as_str().unwrap_or_default().to_owned();
            (manager, json!([entry["time"], entry["fieldsV1"]]))
        };
        Value::Object(
            entries
                .as_array()
                .into_iter()
                .flatten()
                .map(entry)
                .collect(),
        )
    }
}

fn write<'a>(ty: Type, manager: &'a str, now: &'a str) -> Write<'a> {
    Write {
        manager,
        api_version: "v1",
        ty,
        subresource: "",
        reset: &["status"],
        now,
    }
}

fn config_map(data: &Value) -> Value {
    json!({"metadata": {"name": "a"}, "data": data})
}

#[test]
fn who_creates_owns_what_was_sent_but_its_identity() {
    let written = Written::create(
        "ConfigMap",
        "me",
        json!({
            "kind": "ConfigMap", "apiVersion": "v1",
            "metadata": {"name": "a", "namespace": "n", "uid": "u", "labels": {"l": "1"}, "finalizers": ["a/b"]},
            "data": {"k": "v"},
        }),
    );
    assert_eq!(
        written.entries(),
        json!([{
            "manager": "me",
            "operation": "Update",
            "apiVersion": "v1",
            "time": FIRST,
            "fieldsType": "FieldsV1",
            "fieldsV1": {
                "f:data": {".": {}, "f:k": {}},
                "f:metadata": {
                    "f:finalizers": {".": {}, "v:\"a/b\"": {}},
                    "f:labels": {".": {}, "f:l": {}},
                },
            },
        }])
    );
}

#[test]
fn an_object_without_fields_has_no_owner() {
    let written = Written::create("ServiceAccount", "me", json!({"metadata": {"name": "a"}}));
    assert_eq!(written.entries(), Value::Null);
}

#[test]
fn items_are_owned_by_their_keys_and_atomic_values_as_one() {
    let written = Written::create(
        "Service",
        "me",
        json!({"metadata": {"name": "a"}, "spec": {
            "selector": {"a": "b"},
            "ports": [{"port": 80, "targetPort": 80}, {"port": 80, "protocol": "UDP", "targetPort": 80}],
        }}),
    );
    assert_eq!(
        written.entries()[0]["fieldsV1"],
        json!({"f:spec": {
            "f:ports": {
                ".": {},
                "k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}, "f:targetPort": {}},
                "k:{\"port\":80,\"protocol\":\"UDP\"}": {".": {}, "f:port": {}, "f:protocol": {}, "f:targetPort": {}},
            },
            "f:selector": {},
        }})
    );
}

#[test]
fn items_with_one_key_are_owned_together() {
    let secrets = |names: &[&str]| {
        let secrets: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
        json!({"metadata": {"name": "a"}, "secrets": secrets})
    };
    let mut written = Written::create("ServiceAccount", "me", secrets(&["x", "x", "y"]));
    let fields = |both: Value| json!({"f:secrets": {".": {}, "k:{\"name\":\"x\"}": both, "k:{\"name\":\"y\"}": {}}});
    assert_eq!(written.entries()[0]["fieldsV1"], fields(json!({})));
    written.update("other", secrets(&["x", "y"]));
    assert_eq!(
        written.owners(),
        json!({
            "me": [FIRST, {"f:secrets": {".": {}, "k:{\"name\":\"y\"}": {}}}],
            "other": [LATER, {"f:secrets": {"k:{\"name\":\"x\"}": {}}}],
        })
    );
}

#[test]
fn who_changes_a_value_takes_it() {
    let mut written = Written::create("ConfigMap", "me", config_map(&json!({"a": "1", "b": "1"})));
    written.update("other", config_map(&json!({"a": "2", "b": "1", "c": "1"})));
    assert_eq!(
        written.owners(),
        json!({
            "me": [FIRST, {"f:data": {".": {}, "f:b": {}}}],
            "other": [LATER, {"f:data": {"f:a": {}, "f:c": {}}}],
        })
    );
}

#[test]
fn what_is_removed_has_no_owner_and_who_owns_nothing_is_forgotten() {
    let mut written = Written::create("ConfigMap", "me", config_map(&json!({"a": "1"})));
    written.update("other", config_map(&json!({"a": "1", "b": "1"})));
    written.update("third", config_map(&json!({"a": "1"})));
    assert_eq!(
        written.owners(),
        json!({"me": [FIRST, {"f:data": {".": {}, "f:a": {}}}]})
    );
}

#[test]
fn a_write_without_a_change_leaves_everything_as_it_was() {
    let mut written = Written::create("ConfigMap", "me", config_map(&json!({"a": "1"})));
    let before = written.entries();
    for manager in ["me", "other"] {
        let after = written.update(manager, config_map(&json!({"a": "1"})));
        assert_eq!(after, before);
    }
}

#[test]
fn each_subresource_has_owners_of_its_own_and_none_of_the_rest() {
    let node = |status: Value| json!({"metadata": {"name": "a"}, "spec": {"podCIDR": "10.0.0.0/24"}, "status": status});
    let mut written = Written::create("Node", "me", node(json!({"phase": "Running"})));
    let status = Write {
        subresource: "status",
        reset: &["spec"],
        ..write(written.ty, "me", LATER)
    };
    let mut changed = node(json!({"phase": "Pending"}));
    changed["spec"]["podCIDR"] = json!("10.1.0.0/24");
    let entries = written.write(status, changed);
    assert_eq!(entries[0]["fieldsV1"], json!({"f:spec": {"f:podCIDR": {}}}));
    assert_eq!(entries[1]["fieldsV1"], json!({"f:status": {"f:phase": {}}}));
    assert_eq!(entries[1]["subresource"], "status");
}

#[test]
fn a_client_may_forget_all_owners() {
    for reset in [json!([]), json!([{}])] {
        let mut written = Written::create("ConfigMap", "me", config_map(&json!({"a": "1"})));
        let mut map = config_map(&json!({"a": "2"}));
        map["metadata"]["managedFields"] = reset;
        assert_eq!(written.update("other", map), Value::Null);
        // There are none to go on from.
        let after = written.update("other", config_map(&json!({"a": "3"})));
        assert_eq!(after, Value::Null);
    }
}

#[test]
fn what_a_client_says_about_owners_counts_if_it_is_well_formed() {
    let entry = json!({
        "manager": "x", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1",
        "fieldsV1": {"f:data": {"f:a": {}, "f:b": {}}},
    });
    let mut written = Written::create("ConfigMap", "me", config_map(&json!({"a": "1", "b": "1"})));
    for (field, value) in [
        ("operation", "Replace"),
        ("apiVersion", ""),
        ("fieldsType", "FieldsV2"),
    ] {
        let mut malformed = entry.clone();
        malformed[field] = json!(value);
        let mut map = config_map(&json!({"a": "1", "b": "1"}));
        map["metadata"]["managedFields"] = json!([malformed]);
        let before = written.entries();
        assert_eq!(written.update("other", map), before, "{field}");
    }
    let mut map = config_map(&json!({"a": "2", "b": "1"}));
    map["metadata"]["managedFields"] = json!([entry]);
    written.update("other", map);
    assert_eq!(
        written.owners(),
        json!({
            "x": [null, {"f:data": {"f:b": {}}}],
            "other": [LATER, {"f:data": {"f:a": {}}}],
        })
    );
}

#[test]
fn owners_of_a_version_that_cannot_be_compared_are_forgotten() {
    let mut written = Written::create("ConfigMap", "me", config_map(&json!({"a": "1"})));
    written.object["metadata"]["managedFields"][0]["apiVersion"] = json!("v2");
    written.update("other", config_map(&json!({"a": "1", "b": "1"})));
    assert_eq!(
        written.owners(),
        json!({"other": [LATER, {"f:data": {"f:b": {}}}]})
    );
}

#[test]
fn a_later_time_alone_is_no_change() {
    let entries =
        |time: &str, field: &str| json!([{"manager": "a", "time": time, "fieldsV1": {field: {}}}]);
    let (old, new) = (entries(FIRST, "f:a"), entries(LATER, "f:a"));
    assert_eq!(with_times_of(Some(&old), Some(&new)), Some(old.clone()));
    let other = entries(LATER, "f:b");
    assert_eq!(with_times_of(Some(&old), Some(&other)), None);
    assert_eq!(with_times_of(None, Some(&new)), None);
}
