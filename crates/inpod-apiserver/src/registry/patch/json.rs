//! JSON patches (RFC 6902) as the real server applies them, which takes more than the RFC does: an index may count from the
//! end, and what is replaced in an object need not be there.

use serde_json::{Map, Value};

use crate::Status;
use crate::schema;
use crate::status::Reason;

/// The most operations of a patch.
const MAX_OPERATIONS: usize = 10_000;
/// The most bytes that the `copy` operations of one patch may add together.
const MAX_COPIED: usize = 3 << 20;
/// The deepest that a patch may nest an object: patches of patches are not to outgrow what can be read back.
const MAX_DEPTH: usize = 100;
/// The most unknown fields that are named.
const MOST_STRICT: usize = 100;
/// The members of an operation.
const MEMBERS: [&str; 4] = ["op", "path", "from", "value"];

/// A patch that was read.
pub(super) struct Operations<'a>(Vec<Operation<'a>>);

#[derive(Default)]
struct Operation<'a> {
    op: &'a str,
    path: Option<&'a str>,
    from: Option<&'a str>,
    value: Option<&'a Value>,
}

impl<'a> Operations<'a> {
    /// Reads a patch, and adds to `strict` what is in it that no operation has.
    ///
    /// # Errors
    /// 400 for what is no patch, 413 for one with too many operations.
    pub(super) fn read(patch: &'a Value, strict: &mut Vec<String>) -> Result<Self, Status> {
        let refuse = |found: &Value, place: &str| {
            Status::bad_request(format!(
                "error decoding patch: json: cannot unmarshal {} into Go {place}",
                schema::found(found)
            ))
        };
        let operations = match patch {
            Value::Array(operations) => operations.as_slice(),
            Value::Null => &[],
            other => return Err(refuse(other, "value of type []handlers.jsonPatchOp")),
        };
        if operations.len() > MAX_OPERATIONS {
            return Err(Status::new(
                http::StatusCode::PAYLOAD_TOO_LARGE,
                Reason::RequestEntityTooLarge,
                format!(
                    "Request entity too large: The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {}",
                    operations.len()
                ),
            ));
        }
        let mut read = Vec::with_capacity(operations.len());
        for (i, operation) in operations.iter().enumerate() {
            let fields = match operation {
                Value::Object(fields) => fields,
                Value::Null => {
                    read.push(Operation::default());
                    continue;
                }
                other => return Err(refuse(other, "value of type handlers.jsonPatchOp")),
            };
            let unknown = fields.keys().filter(|key| !MEMBERS.contains(&key.as_str()));
            let room = MOST_STRICT.saturating_sub(strict.len());
            let unknown = unknown.take(room);
            strict.extend(unknown.map(|key| format!("json patch unknown field \"[{i}].{key}\"")));
            let text = |name: &str| match fields.get(name) {
                None | Some(Value::Null) => Ok(None),
                Some(Value::String(text)) => Ok(Some(text.as_str())),
                Some(other) => {
                    let place = format!("struct field jsonPatchOp.{name} of type string");
                    Err(refuse(other, &place))
                }
            };
            read.push(Operation {
                op: text("op")?.unwrap_or_default(),
                path: text("path")?,
                from: text("from")?,
                value: fields.get("value"),
            });
        }
        Ok(Self(read))
    }

    /// Applies all, in order. Objects on the way to what changes come in order of the alphabet then, as Go writes maps: messages
    /// show it.
    ///
    /// # Errors
    /// The operation that does not fit, and why.
    pub(super) fn apply(&self, document: &mut Value) -> Result<(), String> {
        let mut copied = 0;
        for operation in &self.0 {
            operation
                .apply(document, &mut copied)
                .map_err(|why| operation.refused(why))?;
        }
        for operation in &self.0 {
            for path in [operation.path, operation.from].into_iter().flatten() {
                sort_on_the_way(document, path);
            }
        }
        Ok(())
    }
}

const MISSING: &str = "there is no such place";

impl Operation<'_> {
    /// Without the value, which may be a secret.
    fn refused(&self, why: &str) -> String {
        let path = self.path.unwrap_or_default();
        format!("{} {path:?}: {why}", self.op)
    }

    /// `copied` counts the bytes that were copied so far, because copies of copies grow without bound.
    fn apply(&self, document: &mut Value, copied: &mut usize) -> Result<(), &'static str> {
        let path = self.path.ok_or("it has no path")?;
        match self.op {
            "add" => add(document, path, self.value.cloned().unwrap_or_default()),
            "remove" => remove(document, path).map(drop),
            "replace" => self.replace(document, path),
            "move" => {
                let value = remove(document, self.from.ok_or("it has no from")?)?;
                add(document, path, value)
            }
            "copy" => {
                let value = get(document, self.from.ok_or("it has no from")?)?;
                let value = value.cloned().unwrap_or_default();
                *copied += value.to_string().len();
                if *copied > MAX_COPIED {
                    return Err("the copies of a patch are too large together");
                }
                add(document, path, value)
            }
            "test" => self.test(document, path),
            _ => Err("there is no such operation"),
        }
    }

    fn replace(&self, document: &mut Value, path: &str) -> Result<(), &'static str> {
        let value = self.value.cloned().unwrap_or_default();
        if path.is_empty() {
            if !value.is_object() && !value.is_array() {
                return Err("a document is an object or an array");
            }
            *document = value;
            return Ok(());
        }
        let (container, key) = find(document, path).ok_or(MISSING)?;
        check_depth(&value, path)?;
        match container {
            Container::Object(fields) => {
                fields.insert(key, value);
            }
            Container::Array(items) => {
                let at = index(&key, items.len())?;
                *items.get_mut(at).ok_or(MISSING)? = value;
            }
        }
        Ok(())
    }

    fn test(&self, document: &mut Value, path: &str) -> Result<(), &'static str> {
        let found = if path.is_empty() {
            Some(&*document)
        } else {
            get(document, path)?
        };
        // What is not there equals null.
        if not_null(found) == not_null(self.value) {
            Ok(())
        } else {
            Err("the value is another one")
        }
    }
}

fn not_null(value: Option<&Value>) -> Option<&Value> {
    value.filter(|value| !value.is_null())
}

/// What a value is added to, removed from or read in.
enum Container<'a> {
    Object(&'a mut Map<String, Value>),
    Array(&'a mut Vec<Value>),
}

/// What holds the value at `path`, and the value's key there.
fn find<'a>(document: &'a mut Value, path: &str) -> Option<(Container<'a>, String)> {
    let mut segments = segments(path);
    let key = segments.pop()?;
    let mut at = document;
    for segment in segments {
        at = step(at, &segment)?;
    }
    match at {
        Value::Object(fields) => Some((Container::Object(fields), key)),
        Value::Array(items) => Some((Container::Array(items), key)),
        _ => None,
    }
}

/// Sorts the objects that lead to `path`.
fn sort_on_the_way(document: &mut Value, path: &str) {
    let mut at = document;
    let mut segments = segments(path);
    // The last one names the value, which is as it came.
    segments.pop();
    for segment in segments {
        sort(at);
        match step(at, &segment) {
            Some(next) => at = next,
            None => return,
        }
    }
    sort(at);
}

/// Once is enough: an object that is sorted is left alone.
fn sort(value: &mut Value) {
    if let Value::Object(fields) = value
        && !fields.keys().is_sorted()
    {
        fields.sort_keys();
    }
}

fn segments(path: &str) -> Vec<String> {
    let segments = path.split('/').skip(1);
    segments
        .map(|segment| segment.replace("~1", "/").replace("~0", "~"))
        .collect()
}

fn step<'a>(value: &'a mut Value, segment: &str) -> Option<&'a mut Value> {
    match value {
        Value::Object(fields) => fields.get_mut(segment),
        Value::Array(items) => {
            let at = index(segment, items.len()).ok()?;
            items.get_mut(at)
        }
        _ => None,
    }
}

/// The value at `path`; of an object's keys, what is not there is none.
fn get<'a>(document: &'a mut Value, path: &str) -> Result<Option<&'a Value>, &'static str> {
    let (container, key) = find(document, path).ok_or(MISSING)?;
    match container {
        Container::Object(fields) => Ok((*fields).get(&key)),
        Container::Array(items) => {
            let at = index(&key, items.len())?;
            items.get(at).map(Some).ok_or(MISSING)
        }
    }
}

fn add(document: &mut Value, path: &str, value: Value) -> Result<(), &'static str> {
    check_depth(&value, path)?;
    let (container, key) = find(document, path).ok_or(MISSING)?;
    match container {
        Container::Object(fields) => {
            fields.insert(key, value);
        }
        Container::Array(items) if key == "-" => items.push(value),
        Container::Array(items) => {
            let at = index(&key, items.len() + 1)?;
            if at > items.len() {
                return Err(MISSING);
            }
            items.insert(at, value);
        }
    }
    Ok(())
}

fn remove(document: &mut Value, path: &str) -> Result<Value, &'static str> {
    let (container, key) = find(document, path).ok_or(MISSING)?;
    match container {
        Container::Object(fields) => fields.swap_remove(&key).ok_or(MISSING),
        Container::Array(items) => {
            let at = index(&key, items.len())?;
            if at >= items.len() {
                return Err(MISSING);
            }
            Ok(items.remove(at))
        }
    }
}

/// A place in an array of that length; a negative one counts from the end.
fn index(key: &str, length: usize) -> Result<usize, &'static str> {
    let index: isize = key.parse().map_err(|_| "an array has numbers")?;
    match usize::try_from(index) {
        Ok(index) => Ok(index),
        Err(_) => length.checked_add_signed(index).ok_or(MISSING),
    }
}

fn check_depth(value: &Value, path: &str) -> Result<(), &'static str> {
    if depth(value) + path.split('/').count() > MAX_DEPTH {
        return Err("an object may not be nested that deep");
    }
    Ok(())
}

/// How deep `value` is nested. Documents are never deeper than a body may be, so that recursion is safe.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn apply(mut document: Value, patch: &Value) -> Option<Value> {
        let operations = Operations::read(patch, &mut Vec::new()).ok()?;
        operations.apply(&mut document).ok()?;
        Some(document)
    }

    #[test]
    fn operations_are_applied_in_order() {
        let patch = json!([
            {"op": "add", "path": "/b", "value": [1]},
            {"op": "add", "path": "/b/-", "value": 3},
            {"op": "add", "path": "/b/1", "value": 2},
            {"op": "copy", "from": "/b", "path": "/a"},
            {"op": "move", "from": "/b/0", "path": "/c~1d"},
            {"op": "remove", "path": "/b/-1"},
            {"op": "replace", "path": "/none", "value": "is taken"},
        ]);
        let after = apply(json!({}), &patch).expect("it fits");
        assert_eq!(
            after,
            json!({"a": [1, 2, 3], "b": [2], "c/d": 1, "none": "is taken"})
        );
    }

    #[test]
    fn what_was_on_the_way_is_sorted_and_nothing_else() {
        let document = json!({"z": {"b": 1, "a": {"d": 1, "c": 2}}, "y": {"f": 1, "e": 2}});
        let patch = json!([{"op": "add", "path": "/z/a", "value": {"h": 1, "g": 2}}]);
        let after = apply(document, &patch).expect("it fits");
        assert_eq!(
            after.to_string(),
            r#"{"y":{"f":1,"e":2},"z":{"a":{"h":1,"g":2},"b":1}}"#
        );
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for operation in [
            json!({"op": "remove", "path": "/none"}),
            json!({"op": "add", "path": "/none/a", "value": 1}),
            json!({"op": "add", "path": "a", "value": 1}),
            json!({"op": "add", "path": "/list/3", "value": 1}),
            json!({"op": "remove", "path": "/list/-3"}),
            json!({"op": "test", "path": "/list/0", "value": 7}),
            json!({"op": "test", "path": "/none", "value": 7}),
            json!({"op": "none", "path": "/list"}),
            json!({"op": "remove"}),
        ] {
            let patch = json!([operation]);
            assert_eq!(apply(json!({"list": [1, 2]}), &patch), None, "{patch}");
        }
    }

    #[test]
    fn copies_of_copies_end() {
        let copy = json!({"op": "copy", "from": "/spec", "path": "/spec/more"});
        assert_eq!(
            apply(json!({"spec": {"a": 1}}), &vec![copy; 1000].into()),
            None
        );
        let twice = json!({"op": "copy", "from": "/a", "path": "/a/-"});
        assert_eq!(apply(json!({"a": ["x"]}), &vec![twice; 1000].into()), None);
    }
}
