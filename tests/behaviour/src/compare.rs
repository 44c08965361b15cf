//! What differs between two recordings of one case.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::recording::Recording;

/// By how much the time between two events may differ from server to server, in seconds: they are not equally fast.
const SLACK: i64 = 20;

/// How often a case is run at most while [`only_seconds`] differ.
pub const TRIES: usize = 3;

/// One place where the embedded server's recording is not the real one's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The place, as a JSON pointer into the steps. The last segment may be `(keys)`, for the order of an object's keys, or
    /// `(order)`, for that of a list.
    pub pointer: String,
    /// What the real server has there; nothing where it has not.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "some")]
    pub real: Option<Value>,
    /// What the embedded server has there.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "some")]
    pub embedded: Option<Value>,
}

/// All differences, in the order of the steps.
pub fn compare(real: &Recording, embedded: &Recording) -> Vec<Difference> {
    let mut differences = Vec::new();
    lists("", &real.steps, &embedded.steps, &mut differences);
    // Where there are more on one server, the steps have said so. They are compared beside other differences too: one that is
    // accepted must not hide a wrong order.
    let orders = [
        ("(versions)", &real.versions, &embedded.versions),
        ("(collections)", &real.collections, &embedded.collections),
    ];
    for (pointer, real, embedded) in orders {
        if real.len() == embedded.len() && real != embedded {
            push(
                pointer,
                Some(&real.as_slice().into()),
                Some(&embedded.as_slice().into()),
                &mut differences,
            );
        }
    }
    if real.times.len() == embedded.times.len() {
        times(&real.times, &embedded.times, &mut differences);
    }
    differences
}

/// Whether nothing but times differ, or the owners of fields, who are told in the order of their seconds. That may be because a
/// server was slow: what it does wrong it does again.
pub fn only_seconds<'a>(differences: impl IntoIterator<Item = &'a Difference>) -> bool {
    let mut differences = differences.into_iter().peekable();
    differences.peek().is_some()
        && differences.all(|difference| {
            let pointer = &difference.pointer;
            pointer.starts_with("(times)") || pointer.contains("/metadata/managedFields/")
        })
}

impl Difference {
    /// Of a case that has no recording yet.
    pub fn missing() -> Self {
        Self {
            pointer: String::new(),
            real: None,
            embedded: None,
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |value: &Option<Value>| {
            value
                .as_ref()
                .map_or_else(|| "(nothing)".to_owned(), Value::to_string)
        };
        write!(
            f,
            "{}\n    real:     {}\n    embedded: {}",
            self.pointer,
            show(&self.real),
            show(&self.embedded)
        )
    }
}

fn values(pointer: &str, real: &Value, embedded: &Value, differences: &mut Vec<Difference>) {
    match (real, embedded) {
        (Value::Object(real), Value::Object(embedded)) => {
            maps(pointer, real, embedded, differences);
        }
        (Value::Array(real), Value::Array(embedded)) => {
            lists(pointer, real, embedded, differences);
        }
        _ if real == embedded => {}
        _ => push(pointer, Some(real), Some(embedded), differences),
    }
}

fn maps(
    pointer: &str,
    real: &Map<String, Value>,
    embedded: &Map<String, Value>,
    differences: &mut Vec<Difference>,
) {
    for (key, value) in real {
        if std::env::var("INPOD_CONFORM_WITHOUT").is_ok_and(|without| without == *key) {
            continue;
        }
        let pointer = format!("{pointer}/{}", escape(key));
        match embedded.get(key) {
            Some(other) => values(&pointer, value, other, differences),
            None => push(&pointer, Some(value), None, differences),
        }
    }
    for (key, value) in embedded {
        if !real.contains_key(key) {
            push(
                &format!("{pointer}/{}", escape(key)),
                None,
                Some(value),
                differences,
            );
        }
    }
    let common = |one: &Map<String, Value>, other: &Map<String, Value>| -> Value {
        one.keys()
            .filter(|key| other.contains_key(*key))
            .map(String::as_str)
            .collect()
    };
    let (real, embedded) = (common(real, embedded), common(embedded, real));
    if real != embedded {
        push(
            &format!("{pointer}/(keys)"),
            Some(&real),
            Some(&embedded),
            differences,
        );
    }
}

/// Element by element; where all have names that are distinct, those of the same name.
fn lists(pointer: &str, real: &[Value], embedded: &[Value], differences: &mut Vec<Difference>) {
    if let (Some(names), Some(others)) = (names(real), names(embedded)) {
        for (index, (name, value)) in names.iter().zip(real).enumerate() {
            let pointer = format!("{pointer}/{index}");
            match others.iter().position(|other| other == name) {
                Some(at) => values(&pointer, value, &embedded[at], differences),
                None => push(&pointer, Some(value), None, differences),
            }
        }
        for (name, value) in others.iter().zip(embedded) {
            if !names.contains(name) {
                push(&format!("{pointer}/{name}"), None, Some(value), differences);
            }
        }
        let common = |one: &[&str], other: &[&str]| -> Value {
            one.iter()
                .filter(|name| other.contains(name))
                .copied()
                .collect()
        };
        let (real, embedded) = (common(&names, &others), common(&others, &names));
        if real != embedded {
            push(
                &format!("{pointer}/(order)"),
                Some(&real),
                Some(&embedded),
                differences,
            );
        }
        return;
    }
    for index in 0..real.len().max(embedded.len()) {
        let pointer = format!("{pointer}/{index}");
        match (real.get(index), embedded.get(index)) {
            (Some(real), Some(embedded)) => values(&pointer, real, embedded, differences),
            (real, embedded) => push(&pointer, real, embedded, differences),
        }
    }
}

fn names(values: &[Value]) -> Option<Vec<&str>> {
    let names: Vec<&str> = values
        .iter()
        .map(|value| {
            let own = |key: &str| value.get(key)?.as_str();
            own("name")
                .or_else(|| own("resource"))
                .or_else(|| own("version"))
                .or_else(|| value.pointer("/metadata/name")?.as_str())
        })
        .collect::<Option<_>>()?;
    let distinct = (1..names.len()).all(|end| !names[..end].contains(&names[end]));
    (distinct && !names.is_empty()).then_some(names)
}

/// One event after another on one server must not come before it on the other, nor much later. Times are told in whole seconds,
/// so that two may be the same on one server and a second apart on the other.
fn times(real: &[i64], embedded: &[i64], differences: &mut Vec<Difference>) {
    for (at, (real_time, embedded_time)) in real.iter().zip(embedded).enumerate() {
        for (other, (real_other, embedded_other)) in real.iter().zip(embedded).enumerate().take(at)
        {
            let (real_gap, embedded_gap) = (real_time - real_other, embedded_time - embedded_other);
            let opposite = real_gap.signum() * embedded_gap.signum() < 0;
            let still = |one: i64, two: i64| one == 0 && two.abs() > 1;
            if opposite
                || still(real_gap, embedded_gap)
                || still(embedded_gap, real_gap)
                || (real_gap - embedded_gap).abs() > SLACK
            {
                return push(
                    &format!("(times)/{other}-{at}"),
                    Some(&real_gap.into()),
                    Some(&embedded_gap.into()),
                    differences,
                );
            }
        }
    }
}

fn push(
    pointer: &str,
    real: Option<&Value>,
    embedded: Option<&Value>,
    differences: &mut Vec<Difference>,
) {
    differences.push(Difference {
        pointer: pointer.to_owned(),
        real: real.cloned(),
        embedded: embedded.cloned(),
    });
}

/// As RFC 6901 has it.
fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// Keeps a `null` that was there apart from nothing.
mod some {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};
    use serde_json::Value;

    #[expect(clippy::ref_option, reason = "the signature that `with` asks for")]
    pub(super) fn serialize<S: Serializer>(
        value: &Option<Value>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        value.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Value>, D::Error> {
        Value::deserialize(deserializer).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn recording(steps: Value, times: &[i64]) -> Recording {
        Recording {
            case: "area/case".to_owned(),
            steps: serde_json::from_value(steps).expect("a list of steps"),
            versions: Vec::new(),
            collections: Vec::new(),
            times: times.to_vec(),
        }
    }

    fn pointers(real: Value, embedded: Value) -> Vec<String> {
        compare(&recording(real, &[]), &recording(embedded, &[]))
            .into_iter()
            .map(|difference| difference.pointer)
            .collect()
    }

    #[test]
    fn a_difference_is_named_by_its_place() {
        let real = json!([{"body": {"a": 1, "b/c": [1, 2]}}]);
        assert!(pointers(real.clone(), real.clone()).is_empty());
        let embedded = json!([{"body": {"a": null, "b/c": [1]}}]);
        assert_eq!(pointers(real, embedded), ["/0/body/a", "/0/body/b~1c/1"]);
    }

    #[test]
    fn the_order_of_keys_and_of_named_items_counts() {
        assert_eq!(
            pointers(json!([{"a": 1, "b": 2}]), json!([{"b": 2, "a": 1}])),
            ["/0/(keys)"]
        );
        assert_eq!(
            pointers(
                json!([[{"name": "a"}, {"name": "b"}, {"name": "c"}]]),
                json!([[{"name": "c"}, {"name": "a"}]])
            ),
            ["/0/1", "/0/(order)"]
        );
    }

    #[test]
    fn a_wrong_order_is_seen_beside_another_difference() {
        let ordered = |steps, versions: &[usize]| Recording {
            versions: versions.to_vec(),
            ..recording(steps, &[])
        };
        let differences = compare(
            &ordered(json!([{"a": 1}]), &[0, 1]),
            &ordered(json!([{"a": 2}]), &[1, 0]),
        );
        let pointers: Vec<_> = differences.iter().map(|d| d.pointer.as_str()).collect();
        assert_eq!(pointers, ["/0/a", "(versions)"]);
        assert!(!only_seconds(&differences));
    }

    #[test]
    fn null_is_not_nothing() {
        let differences = compare(
            &recording(json!([{"a": null}]), &[]),
            &recording(json!([{}]), &[]),
        );
        assert_eq!(differences[0].real, Some(Value::Null));
        let text = serde_json::to_string(&differences).expect("serializable");
        let read: Vec<Difference> = serde_json::from_str(&text).expect("what was written");
        assert_eq!(read, differences);
    }

    #[test]
    fn times_may_be_a_second_apart_but_not_the_other_way_round() {
        let differs = |real: &[i64], embedded: &[i64]| {
            !compare(&recording(json!([]), real), &recording(json!([]), embedded)).is_empty()
        };
        assert!(!differs(&[0, 0, 2], &[0, 1, 3]));
        assert!(differs(&[0, 2], &[0, 0]));
        assert!(differs(&[0, 0], &[0, 2]));
        assert!(differs(&[0, 1], &[0, -1]));
        assert!(differs(&[0, 3600], &[0, 600]));
    }
}
