//! From a patched document to an object of its type, as `runtime.DefaultUnstructuredConverter` goes: it is stricter than the
//! JSON decoder in some places (nothing goes on after an error), laxer in others (`1.0` is an integer, and a large one wraps).

use std::fmt::Write as _;

use serde_json::Value;

use super::go;
use crate::schema::types::{GoType, Shape};
use crate::schema::{Json, Type, check_value};

/// Checks `object` against `ty`, makes its numbers those that the fields hold, and answers the fields that `ty` does not have.
///
/// # Errors
/// What is wrong with the first field that does not fit, in Go's words.
pub(super) fn convert(ty: Type, object: &mut Json) -> Result<Vec<String>, String> {
    let mut converter = Converter::default();
    let mut value = Value::Object(std::mem::take(object));
    let outcome = converter.value(ty.0, &mut value);
    if let Value::Object(converted) = value {
        *object = converted;
    }
    outcome?;
    converter.unknown.sort();
    Ok(converter.unknown)
}

#[derive(Default)]
struct Converter {
    path: String,
    unknown: Vec<String>,
}

impl Converter {
    fn value(&mut self, ty: &'static GoType, value: &mut Value) -> Result<(), String> {
        if value.is_null() {
            return Ok(());
        }
        match (ty.shape, &mut *value) {
            (
                Shape::Quantity | Shape::IntOrString | Shape::Time | Shape::MicroTime | Shape::Raw,
                _,
            ) => check_value(ty, value),
            (Shape::Bytes, Value::String(_)) => {
                check_value(ty, value).map_err(|why| format!("error decoding from json: {why}"))
            }
            (Shape::Struct(_), Value::Object(object)) => self.structure(ty, object),
            (Shape::Struct(_), _) => {
                Err(format!("cannot restore struct from: {}", go::kind(value)))
            }
            (Shape::Map(element), Value::Object(map)) => map
                .iter_mut()
                .try_for_each(|(_, value)| self.value(element, value)),
            (Shape::Map(_), _) => Err(format!("cannot restore map from {}", go::kind(value))),
            (Shape::List(element) | Shape::Items(element), Value::Array(list)) => {
                self.list(element, list)
            }
            (Shape::List(_) | Shape::Items(_) | Shape::Bytes, _) => {
                Err(format!("cannot restore slice from {}", go::kind(value)))
            }
            (Shape::Bool, Value::Bool(_)) | (Shape::String, Value::String(_)) => Ok(()),
            (Shape::String, Value::Number(number)) if !number.is_f64() => {
                Err(format!("cannot convert int64 to {}", ty.go))
            }
            (Shape::Int32 | Shape::Int64, Value::Number(_)) => integer(ty, value),
            (Shape::Bool, _) => Err("unrecognized type: bool".into()),
            (Shape::String, _) => Err("unrecognized type: string".into()),
            (Shape::Int32, _) => Err("unrecognized type: int32".into()),
            (Shape::Int64, _) => Err("unrecognized type: int64".into()),
        }
    }

    /// The fields in the order of the struct, then those that it does not have.
    fn structure(&mut self, ty: &'static GoType, object: &mut Json) -> Result<(), String> {
        let Shape::Struct(fields) = ty.shape else {
            return Ok(());
        };
        for field in fields {
            if let Some(value) = object.get_mut(field.json) {
                let outer = self.enter_field(field.json);
                self.value(field.ty, value)?;
                self.path.truncate(outer);
            }
        }
        for key in object.keys() {
            if fields.iter().all(|field| field.json != key) {
                let outer = self.enter_field(key);
                self.unknown
                    .push(format!("unknown field \"{}\"", self.path));
                self.path.truncate(outer);
            }
        }
        Ok(())
    }

    fn list(&mut self, element: &'static GoType, list: &mut [Value]) -> Result<(), String> {
        for (index, value) in list.iter_mut().enumerate() {
            let outer = self.path.len();
            let _ = write!(self.path, "[{index}]");
            self.value(element, value)?;
            self.path.truncate(outer);
        }
        Ok(())
    }

    /// Goes on with the path of a field, and answers how long the path was.
    fn enter_field(&mut self, name: &str) -> usize {
        let outer = self.path.len();
        if outer > 0 {
            self.path.push('.');
        }
        self.path.push_str(name);
        outer
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "Go converts with its own conversion of numbers, which wraps"
)]
fn integer(ty: &GoType, value: &mut Value) -> Result<(), String> {
    let number = match (value.as_i64(), value.as_f64()) {
        (Some(number), _) => number,
        (None, Some(float)) if float.fract().abs() < f64::MIN_POSITIVE => float as i64,
        _ => return Err(format!("cannot convert {} to {}", go::kind(value), ty.go)),
    };
    *value = match ty.shape {
        Shape::Int32 => (number as i32).into(),
        _ => number.into(),
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::json::tests::object;
    use crate::schema::type_of;

    fn converted(kind: &str, value: Value) -> Result<(Value, Vec<String>), String> {
        let ty = type_of("", "v1", kind).expect("a kind of the tables");
        let mut object = object(value);
        convert(ty, &mut object).map(|unknown| (object.into(), unknown))
    }

    #[test]
    fn what_does_not_fit_is_told_in_gos_words() {
        for (kind, value, why) in [
            (
                "ConfigMap",
                json!({"data": {"a": 1}}),
                "cannot convert int64 to string",
            ),
            (
                "ConfigMap",
                json!({"data": {"a": true}}),
                "unrecognized type: string",
            ),
            (
                "ConfigMap",
                json!({"data": []}),
                "cannot restore map from slice",
            ),
            (
                "ConfigMap",
                json!({"metadata": "x"}),
                "cannot restore struct from: string",
            ),
            (
                "Pod",
                json!({"spec": {"containers": {}}}),
                "cannot restore slice from map",
            ),
            (
                "Pod",
                json!({"spec": {"priority": "1"}}),
                "unrecognized type: int32",
            ),
            (
                "Pod",
                json!({"spec": {"priority": 1.5}}),
                "cannot convert float64 to int32",
            ),
        ] {
            assert_eq!(converted(kind, value), Err(why.into()));
        }
    }

    #[test]
    fn unknown_fields_are_named_by_their_paths_and_whole_floats_are_integers() {
        let pod = json!({"z": 1, "spec": {"priority": 7.0, "containers": [{"name": "a", "x": 1}]}});
        let (pod, unknown) = converted("Pod", pod).expect("it fits");
        assert_eq!(pod["spec"]["priority"], json!(7));
        assert_eq!(
            unknown,
            [
                "unknown field \"spec.containers[0].x\"",
                "unknown field \"z\""
            ]
        );
    }
}
