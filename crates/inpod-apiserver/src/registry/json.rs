//! Reading and writing JSON objects by field path, so that a strategy reads like the sentence it re-expresses.
//!
//! A path is written as Kubernetes writes one: `spec.nodeName`. It names fields of objects only; the entries of lists are
//! reached through [`Fields::objects`] and [`Fields::objects_mut`], the keys of maps (labels, data) through
//! [`Fields::map`]. As in Go, a field that is absent, null or of another type reads as the zero value.

use serde_json::Value;

use crate::schema::Json;

/// Access by path, for [`Json`].
pub(crate) trait Fields {
    /// The value at `path`, unless it is absent or null.
    fn at(&self, path: &str) -> Option<&Value>;

    /// The object at `path`.
    fn map(&self, path: &str) -> Option<&Json> {
        self.at(path).and_then(Value::as_object)
    }

    /// The string at `path`, or the empty string.
    fn text(&self, path: &str) -> &str {
        self.at(path).and_then(Value::as_str).unwrap_or_default()
    }

    /// The integer at `path`.
    fn int(&self, path: &str) -> Option<i64> {
        self.at(path).and_then(Value::as_i64)
    }

    /// The boolean at `path`.
    fn boolean(&self, path: &str) -> Option<bool> {
        self.at(path).and_then(Value::as_bool)
    }

    /// The list at `path`, or an empty one.
    fn list(&self, path: &str) -> &[Value] {
        self.at(path)
            .and_then(Value::as_array)
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    /// The objects of the list at `path`.
    fn objects(&self, path: &str) -> impl DoubleEndedIterator<Item = &Json> {
        self.list(path).iter().filter_map(Value::as_object)
    }

    /// The strings of the list at `path`.
    fn texts(&self, path: &str) -> impl Iterator<Item = &str> {
        self.list(path).iter().filter_map(Value::as_str)
    }

    /// Whether Go would find the zero value of a string, slice, map or pointer at `path`.
    fn is_empty_at(&self, path: &str) -> bool {
        match self.at(path) {
            None => true,
            Some(Value::String(s)) => s.is_empty(),
            Some(Value::Array(a)) => a.is_empty(),
            Some(Value::Object(o)) => o.is_empty(),
            Some(_) => false,
        }
    }

    /// The object at `path` for changing; made where it is absent or something else.
    fn map_mut(&mut self, path: &str) -> &mut Json;

    /// The list at `path` for changing, made where it is absent or something else.
    fn list_mut(&mut self, path: &str) -> &mut Vec<Value>;

    /// The objects of the list at `path`, for changing; nothing is made.
    fn objects_mut(&mut self, path: &str) -> impl Iterator<Item = &mut Json>;

    /// The object at `path` for changing, where there is one.
    fn existing_mut(&mut self, path: &str) -> Option<&mut Json>;

    /// Puts `value` at `path`.
    fn put(&mut self, path: &str, value: impl Into<Value>);

    /// Puts `value` at `path` where nothing is: absent, null or an empty string.
    fn default_to(&mut self, path: &str, value: impl Into<Value>) {
        match self.at(path) {
            None => self.put(path, value),
            Some(Value::String(s)) if s.is_empty() => self.put(path, value),
            Some(_) => {}
        }
    }

    /// Puts `value` at `path` where [`Fields::default_to`] would, and where the number 0 is: for fields that are no
    /// pointer in Go.
    fn default_nonzero(&mut self, path: &str, value: impl Into<Value>) {
        if self.int(path) == Some(0) {
            self.put(path, value);
        } else {
            self.default_to(path, value);
        }
    }

    /// Removes what is at `path`.
    fn take(&mut self, path: &str) -> Option<Value>;

    /// Makes `path` what it is in `other`, absent included.
    fn put_back(&mut self, path: &str, other: &Json) {
        match other.at(path) {
            Some(value) => self.put(path, value.clone()),
            None => {
                self.take(path);
            }
        }
    }
}

impl Fields for Json {
    fn at(&self, path: &str) -> Option<&Value> {
        let (parents, last) = split(path);
        let mut object = self;
        for key in parents {
            object = object.get(key)?.as_object()?;
        }
        object.get(last).filter(|value| !value.is_null())
    }

    fn map_mut(&mut self, path: &str) -> &mut Json {
        let mut object = self;
        for key in path.split('.') {
            object = child(object, key);
        }
        object
    }

    fn list_mut(&mut self, path: &str) -> &mut Vec<Value> {
        let (parents, last) = split(path);
        let mut object = self;
        for key in parents {
            object = child(object, key);
        }
        let value = object.entry(last).or_insert(Value::Null);
        if !value.is_array() {
            *value = Value::Array(Vec::new());
        }
        match value {
            Value::Array(made) => made,
            _ => unreachable!("it was made a list above"),
        }
    }

    fn objects_mut(&mut self, path: &str) -> impl Iterator<Item = &mut Json> {
        let (parents, last) = split(path);
        let mut object = Some(self);
        for key in parents {
            object = object
                .and_then(|o| o.get_mut(key))
                .and_then(Value::as_object_mut);
        }
        object
            .and_then(|o| o.get_mut(last))
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
            .filter_map(Value::as_object_mut)
    }

    fn existing_mut(&mut self, path: &str) -> Option<&mut Json> {
        let mut object = self;
        for key in path.split('.') {
            object = object.get_mut(key)?.as_object_mut()?;
        }
        Some(object)
    }

    fn put(&mut self, path: &str, value: impl Into<Value>) {
        let (parents, last) = split(path);
        let mut object = self;
        for key in parents {
            object = child(object, key);
        }
        object.insert(last.to_owned(), value.into());
    }

    fn take(&mut self, path: &str) -> Option<Value> {
        let (parents, last) = split(path);
        let mut object = self;
        for key in parents {
            object = object.get_mut(key)?.as_object_mut()?;
        }
        object.shift_remove(last)
    }
}

/// The keys above the last one, and the last one.
fn split(path: &str) -> (impl Iterator<Item = &str>, &str) {
    let (parents, last) = path.rsplit_once('.').unwrap_or(("", path));
    (parents.split('.').filter(|key| !key.is_empty()), last)
}

fn child<'a>(object: &'a mut Json, key: &str) -> &'a mut Json {
    let value = object.entry(key).or_insert(Value::Null);
    if !value.is_object() {
        *value = Value::Object(Json::new());
    }
    match value {
        Value::Object(made) => made,
        _ => unreachable!("it was made an object above"),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// The object of a literal, for the tests of strategies.
    pub(crate) fn object(value: Value) -> Json {
        match value {
            Value::Object(object) => object,
            other => panic!("not an object: {other}"),
        }
    }

    /// The object as indented JSON, for snapshots.
    pub(crate) fn pretty(object: Json) -> String {
        format!("{:#}", Value::Object(object))
    }

    proptest! {
        #[test]
        fn what_is_put_is_read(path in "[a-c]{1,2}(\\.[a-c]{1,2}){0,3}", before in "[a-c](\\.[a-c]){0,3}") {
            let mut o = Json::new();
            o.put(&before, "in the way");
            o.put(&path, "value");
            prop_assert_eq!(o.text(&path), "value");
            prop_assert_eq!(o.take(&path), Some(json!("value")));
            prop_assert_eq!(o.at(&path), None);
        }
    }

    #[test]
    fn absent_null_and_mistyped_fields_read_as_zero() {
        let o = object(json!({"spec": {"nodeName": null, "n": "7", "list": {}}, "status": 3}));
        assert_eq!(o.text("spec.nodeName"), "");
        assert_eq!(o.text("status.phase"), "");
        assert_eq!(o.int("spec.n"), None);
        assert!(o.list("spec.list").is_empty());
        assert!(o.is_empty_at("spec.nodeName"));
    }

    #[test]
    fn putting_makes_the_objects_above() {
        let mut o = object(json!({"spec": null}));
        o.put("spec.a.b", 1);
        o.list_mut("spec.c").push(json!(2));
        assert_eq!(Value::Object(o), json!({"spec": {"a": {"b": 1}, "c": [2]}}));
    }

    #[test]
    fn defaults_leave_what_is_set() {
        let mut o = object(json!({"a": "", "b": false, "n": 0}));
        o.default_to("a", "x");
        o.default_to("b", true);
        o.default_to("n", 5);
        assert_eq!(o, object(json!({"a": "x", "b": false, "n": 0})));
        o.default_nonzero("n", 5);
        assert_eq!(o.int("n"), Some(5));
    }

    #[test]
    fn putting_back_removes_what_was_not_there() {
        let mut o = object(json!({"status": {"x": 1}, "spec": {}}));
        o.put_back("status", &object(json!({})));
        assert_eq!(o, object(json!({"spec": {}})));
    }
}
