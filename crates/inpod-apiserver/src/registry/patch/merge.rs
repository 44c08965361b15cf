//! Merge patches (RFC 7386), with one difference: an array's objects lose their nulls too, as they do on the real server.

use serde_json::{Map, Value};

/// The document with the patch merged into it. What the patch has touched comes in order of the alphabet, as Go writes maps:
/// messages show it.
pub(super) fn merge(document: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (key, value) in patch {
        match (document.get_mut(key), value) {
            (_, Value::Null) => {
                document.swap_remove(key);
            }
            (Some(Value::Object(old)), Value::Object(new)) => merge(old, new),
            (_, new) => {
                document.insert(key.clone(), without_nulls(new));
            }
        }
    }
    document.sort_keys();
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut new: Map<String, Value> = fields
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key.clone(), without_nulls(value)))
                .collect();
            new.sort_keys();
            new.into()
        }
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        other => other.clone(),
    }
}
