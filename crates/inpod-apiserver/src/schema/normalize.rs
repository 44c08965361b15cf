//! JSON objects as Go would have written them.

use serde_json::Value;

use super::types::{Fields, GoType, Presence, Shape};
use super::{Json, Type};

/// Puts the keys of `value` in the order of the Go structs and leaves out what `omitempty` leaves out, at every depth; a
/// struct field without `omitempty` that is absent is put in as Go's zero value. Fields that the type does not have go.
///
/// Values are left as they are: what comes from outside goes through [`decode_json`](super::decode_json), which checks them
/// and brings quantities and times into their canonical forms (the result of a patch, too: write it out and decode it again).
pub fn normalize(ty: Type, value: &mut Json) {
    let object = Value::Object(std::mem::take(value));
    if let Value::Object(object) = normalized(ty.0, object) {
        *value = object;
    }
}

fn normalized(ty: &'static GoType, value: Value) -> Value {
    match (ty.shape, value) {
        (Shape::Struct(table), Value::Object(object)) => {
            let mut fields = Fields::new(table);
            for (key, value) in object {
                if let Some(index) = fields.find(&key) {
                    let field = &table[index];
                    // The real server stores protobuf, which knows no difference between an empty list and none.
                    let always = matches!(field.presence, Presence::Always | Presence::Nullable);
                    let no_list = always && value == Value::Array(Vec::new());
                    let value = if no_list { Value::Null } else { value };
                    fields.set(index, normalized(field.ty, value));
                }
            }
            fields.finish().into()
        }
        (Shape::Map(ty), Value::Object(map)) => {
            let map = map
                .into_iter()
                .map(|(key, value)| (key, normalized(ty, value)));
            Value::Object(map.collect())
        }
        (Shape::List(ty) | Shape::Items(ty), Value::Array(list)) => list
            .into_iter()
            .map(|value| normalized(ty, value))
            .collect(),
        (_, value) => value,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::schema::type_of;

    #[test]
    fn order_omissions_and_zero_values_are_gos_at_every_depth() {
        let ty = type_of("", "v1", "Pod").expect("a kind of the tables");
        let Value::Object(mut pod) = json!({
            "spec": {"containers": [{"image": "i", "name": "c", "args": [], "stdin": false}], "nodeName": ""},
            "unknown": 1,
            "metadata": {"name": "p", "labels": {"b": "", "a": ""}, "creationTimestamp": null},
        }) else {
            panic!("it is an object")
        };
        normalize(ty, &mut pod);
        let text = serde_json::to_string(&pod).expect("JSON can be written");
        assert_eq!(
            text,
            r#"{"metadata":{"name":"p","labels":{"a":"","b":""}},"spec":{"containers":[{"name":"c","image":"i","resources":{}}]},"status":{}}"#
        );
    }
}
