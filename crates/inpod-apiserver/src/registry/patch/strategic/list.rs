//! Lists: replaced, merged by the key of their items or, where they are of scalars, as sets.

use serde_json::Value;

use super::order::ordered;
use super::{
    DIRECTIVE, PatchError, PatchStrategy, merge_map, no_merge_key, unknown_directive, wrong_type,
};
use crate::registry::patch::go;
use crate::schema::Json;
use crate::schema::types::{GoType, Shape};

/// The list of a field after the list of a patch; `deletes` says that the latter has what goes.
pub(super) fn merge_field(
    original: Vec<Value>,
    patch: &mut [Value],
    strategy: PatchStrategy,
    element: &'static GoType,
    deletes: bool,
) -> Result<Vec<Value>, PatchError> {
    match strategy {
        PatchStrategy::Merge(key) => merge_list(original, patch, key, element, deletes),
        _ if deletes => merge_list(original, patch, "", element, deletes),
        _ => Ok(patch.to_vec()),
    }
}

/// Whether the items of both lists are objects.
///
/// # Errors
/// Where there is no item, they are of several types, or they are lists.
pub(super) fn are_objects(lists: [&[Value]; 2]) -> Result<bool, PatchError> {
    let mut items = lists.into_iter().flatten();
    let Some(first) = items.next() else {
        return Err(PatchError::Other(
            "no elements in any of the given slices".into(),
        ));
    };
    if first.is_array() {
        return Err(PatchError::ListOfLists);
    }
    if items.any(|item| go::kind(item) != go::kind(first)) {
        let [left, right] = lists.map(|list| go::print(&Value::Array(list.to_vec())));
        return Err(PatchError::Other(format!(
            "list element types are not identical: [{left} {right}]"
        )));
    }
    Ok(first.is_object())
}

/// Where the first item is whose `key` is `value`.
pub(super) fn position(
    list: &[Value],
    key: &str,
    value: &Value,
) -> Result<Option<usize>, PatchError> {
    for (index, item) in list.iter().enumerate() {
        let Value::Object(item) = item else {
            return Err(PatchError::Other(format!(
                "value for key {index} is not a map"
            )));
        };
        if item.get(key) == Some(value) {
            return Ok(Some(index));
        }
    }
    Ok(None)
}

/// The value of `key`, which every item of a merged list has.
pub(super) fn key_of<'a>(item: &'a Value, key: &str) -> Result<&'a Value, PatchError> {
    let Value::Object(fields) = item else {
        return Err(wrong_type("map[string]interface {}", item));
    };
    fields.get(key).ok_or_else(|| no_merge_key(fields, key))
}

fn merge_list(
    original: Vec<Value>,
    patch: &mut [Value],
    key: &str,
    element: &'static GoType,
    deletes: bool,
) -> Result<Vec<Value>, PatchError> {
    if original.is_empty() && patch.is_empty() {
        return Ok(original);
    }
    if !are_objects([&original, patch])? {
        if deletes {
            let stays = |item: &Value| !patch.contains(item);
            return Ok(original.into_iter().filter(stays).collect());
        }
        let mut merged = [original.as_slice(), patch].concat();
        remove_duplicates(&mut merged);
        return ordered(merged, patch, &original, key);
    }
    if key.is_empty() {
        let kind = match element.shape {
            Shape::Map(_) => "map",
            _ => "struct",
        };
        return Err(PatchError::Other(format!(
            "cannot merge lists without merge key for {kind}"
        )));
    }
    let (original, mut patch) = apply_directives(original, patch, key)?;
    let mut merged = original.clone();
    for item in &mut patch {
        let value = key_of(item, key)?.clone();
        match (position(&merged, key, &value)?, item) {
            (Some(at), Value::Object(item)) => {
                let old = match merged[at].take() {
                    Value::Object(old) => old,
                    _ => Json::new(),
                };
                merged[at] = merge_map(old, item, element)?.into();
            }
            (_, item) => merged.push(item.clone()),
        }
    }
    ordered(merged, &patch, &original, key)
}

/// The original without what the patch deletes, and the patch without directives; where it replaces, it is the original.
fn apply_directives(
    mut original: Vec<Value>,
    patch: &[Value],
    key: &str,
) -> Result<(Vec<Value>, Vec<Value>), PatchError> {
    let mut rest = Vec::new();
    let mut replaces = false;
    for item in patch {
        let Some(fields) = item.as_object() else {
            continue;
        };
        let Some(directive) = fields.get(DIRECTIVE) else {
            rest.push(item.clone());
            continue;
        };
        match directive.as_str() {
            Some("delete") => {
                let gone = key_of(item, key)?;
                while let Some(at) = position(&original, key, gone)? {
                    original.remove(at);
                }
            }
            Some("replace") => replaces = true,
            Some("merge") => {
                return Err(PatchError::Other(
                    "merging lists cannot yet be specified in the patch".into(),
                ));
            }
            _ => return Err(unknown_directive(directive, fields)),
        }
    }
    Ok(if replaces {
        (rest, Vec::new())
    } else {
        (original, rest)
    })
}

/// Removes what is there twice, each time moving the last item to the place that becomes free, as Go's code does.
fn remove_duplicates(list: &mut Vec<Value>) {
    let mut at = 0;
    while at < list.len() {
        let mut other = at + 1;
        while other < list.len() {
            if list[other] == list[at] {
                list.swap_remove(other);
            } else {
                other += 1;
            }
        }
        at += 1;
    }
}
