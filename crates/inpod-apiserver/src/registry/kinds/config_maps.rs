//! `ConfigMaps`, and what they share with Secrets.

use serde_json::Value;

use super::{age, column, field, names};
use crate::Cause;
use crate::registry::json::Fields as _;
use crate::registry::{Column, Strategy};
use crate::schema::Json;

/// The strategy of `ConfigMaps`.
pub(super) struct ConfigMaps;

/// The most that the values of a `ConfigMap` or Secret may have together, in bytes.
pub(super) const MAX_SIZE: usize = 1024 * 1024;

impl Strategy for ConfigMaps {
    fn validate(&self, map: &Json) -> Vec<Cause> {
        let mut causes = Vec::new();
        let mut size = 0;
        let binary = map.map("binaryData");
        for (key, value) in map.map("data").into_iter().flatten() {
            causes.extend(key_problems("data", key));
            if binary.is_some_and(|binary| binary.contains_key(key)) {
                let detail = "duplicate of key present in binaryData";
                causes.push(field::invalid(format!("data[{key}]"), key.as_str(), detail));
            }
            size += value.as_str().map_or(0, str::len);
        }
        for (key, value) in binary.into_iter().flatten() {
            causes.extend(key_problems("binaryData", key));
            size += decoded_len(value);
        }
        if size > MAX_SIZE {
            causes.push(field::too_long("[]", MAX_SIZE));
        }
        causes
    }

    fn validates_update_first(&self) -> bool {
        true
    }

    fn validate_update(&self, map: &Json, old: &Json) -> Vec<Cause> {
        immutability(map, old, &["data", "binaryData"])
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[Column::NAME, column("Data"), Column::AGE];
        COLUMNS
    }

    fn cells(&self, map: &Json, now: i64) -> Vec<Value> {
        let entries = |path| map.map(path).map_or(0, Json::len);
        vec![
            super::name(map),
            (entries("data") + entries("binaryData")).into(),
            age::age(map, now),
        ]
    }
}

/// What is wrong with a key, which becomes a file name.
pub(super) fn key_problems(path: &str, key: &str) -> Vec<Cause> {
    names::config_key(key)
        .iter()
        .map(|why| field::invalid(format!("{path}[{key}]"), key, why))
        .collect()
}

/// What an object that was made `immutable` does not allow to change.
pub(super) fn immutability(new: &Json, old: &Json, fields: &[&str]) -> Vec<Cause> {
    const DETAIL: &str = "field is immutable when `immutable` is set";
    if old.boolean("immutable") != Some(true) {
        return Vec::new();
    }
    let unlocked = new.boolean("immutable") != Some(true);
    let changed = fields.iter().filter(|field| {
        !(new.is_empty_at(field) && old.is_empty_at(field)) && new.at(field) != old.at(field)
    });
    unlocked
        .then_some(&"immutable")
        .into_iter()
        .chain(changed)
        .map(|path| field::forbidden(*path, DETAIL))
        .collect()
}

/// How many bytes base64 stands for.
pub(super) fn decoded_len(value: &Value) -> usize {
    let text = value.as_str().unwrap_or_default();
    text.trim_end_matches('=').len() * 3 / 4
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::json::tests::object;

    #[test]
    fn keys_are_file_names_and_unique() {
        let map = object(json!({"data": {"a/b": "", "c": ""}, "binaryData": {"c": ""}}));
        let causes = ConfigMaps.validate(&map);
        assert_eq!(causes.len(), 2);
        assert_eq!(causes[0].field, "data[a/b]");
        assert_eq!(
            causes[1].message,
            r#"Invalid value: "c": duplicate of key present in binaryData"#
        );
    }

    #[test]
    fn a_mebibyte_is_the_limit() {
        let map = |bytes: usize| object(json!({"data": {"k": "x".repeat(bytes)}}));
        assert!(ConfigMaps.validate(&map(MAX_SIZE)).is_empty());
        assert_eq!(
            ConfigMaps.validate(&map(MAX_SIZE + 1))[0].message,
            "Too long: may not be more than 1048576 bytes"
        );
    }

    #[test]
    fn an_immutable_map_keeps_its_data_and_stays_immutable() {
        let old = object(json!({"data": {"k": "v"}, "immutable": true}));
        let new = object(json!({"data": {"k": "w"}}));
        let causes = ConfigMaps.validate_update(&new, &old);
        let paths: Vec<&str> = causes.iter().map(|c| c.field.as_str()).collect();
        assert_eq!(paths, ["immutable", "data"]);
        assert!(ConfigMaps.validate_update(&old, &old).is_empty());
    }

    #[test]
    fn the_row_counts_both_kinds_of_data() {
        let map =
            object(json!({"metadata": {"name": "m"}, "data": {"a": ""}, "binaryData": {"b": ""}}));
        assert_eq!(
            ConfigMaps.cells(&map, 0),
            [json!("m"), json!(2), json!("<unknown>")]
        );
    }
}
