//! What is wrong with a field, in the sentences of `apimachinery/pkg/util/validation/field`.

use serde_json::Value;

use crate::Cause;
use crate::quote::quoted;

/// The field must have a value.
pub(crate) fn required(path: impl Into<String>, detail: &str) -> Cause {
    Cause::new("FieldValueRequired", path, body("Required value", detail))
}

/// The field has a value that is not allowed there.
pub(crate) fn invalid(path: impl Into<String>, value: impl Into<Value>, detail: &str) -> Cause {
    let head = format!("Invalid value: {}", shown(&value.into()));
    Cause::new("FieldValueInvalid", path, body(&head, detail))
}

/// The value is not one of those that are known.
pub(crate) fn not_supported(
    path: impl Into<String>,
    value: impl Into<Value>,
    known: &[&str],
) -> Cause {
    let known: Vec<String> = known.iter().map(|k| quoted(k)).collect();
    let head = format!("Unsupported value: {}", shown(&value.into()));
    let detail = format!("supported values: {}", known.join(", "));
    Cause::new("FieldValueNotSupported", path, body(&head, &detail))
}

/// The value is there twice.
pub(crate) fn duplicate(path: impl Into<String>, value: impl Into<Value>) -> Cause {
    Cause::new(
        "FieldValueDuplicate",
        path,
        format!("Duplicate value: {}", shown(&value.into())),
    )
}

/// The value refers to what is not there.
pub(crate) fn not_found(path: impl Into<String>, value: impl Into<Value>) -> Cause {
    Cause::new(
        "FieldValueNotFound",
        path,
        format!("Not found: {}", shown(&value.into())),
    )
}

/// The field may not be set, or not changed.
pub(crate) fn forbidden(path: impl Into<String>, detail: &str) -> Cause {
    Cause::new("FieldValueForbidden", path, body("Forbidden", detail))
}

/// The value has more than `limit` bytes.
pub(crate) fn too_long(path: impl Into<String>, limit: usize) -> Cause {
    let head = format!("Too long: may not be more than {limit} bytes");
    Cause::new("FieldValueTooLong", path, head)
}

/// The field may not change: empty where it did not.
pub(crate) fn immutable(path: &str, new: Option<&Value>, old: Option<&Value>) -> Vec<Cause> {
    if new == old {
        return Vec::new();
    }
    vec![invalid(path, new.cloned().unwrap_or_default(), IMMUTABLE)]
}

/// The detail of [`immutable`].
pub(crate) const IMMUTABLE: &str = "field is immutable";

/// A value as messages show it: text as Go quotes it, the rest as JSON.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        other => other.to_string(),
    }
}

fn body(head: &str, detail: &str) -> String {
    if detail.is_empty() {
        head.to_owned()
    } else {
        format!("{head}: {detail}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn causes_read_as_the_real_servers() {
        assert_eq!(required("spec.containers", "").message, "Required value");
        assert_eq!(invalid("a", "b", "no").message, r#"Invalid value: "b": no"#);
        assert_eq!(
            invalid("a", json!(["b"]), "no").message,
            r#"Invalid value: ["b"]: no"#
        );
        assert_eq!(
            not_supported("kind", "X", &["Role", "ClusterRole"]).message,
            r#"Unsupported value: "X": supported values: "Role", "ClusterRole""#
        );
    }

    #[test]
    fn an_unchanged_field_is_no_problem() {
        assert!(immutable("a", Some(&json!(1)), Some(&json!(1))).is_empty());
        assert_eq!(immutable("a", Some(&json!(1)), None).len(), 1);
    }
}
