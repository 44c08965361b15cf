//! The order of a merged list: that of `$setElementOrder`, before that of the patch, before that of the original.

use serde_json::Value;

use super::list::{are_objects, key_of, merge_field, position};
use super::{
    DIRECTIVE, PatchError, PatchStrategy, SET_ORDER, list_field, without_directives, wrong_type,
};
use crate::registry::patch::go;
use crate::schema::Json;
use crate::schema::types::GoType;

const MALFORMED: PatchError = PatchError::Format("invalid patch format of setElementOrder list");

/// Merges the fields that the patch gives an order for, and takes them out of the patch.
pub(super) fn merge_ordered(
    original: &mut Json,
    patch: &mut Json,
    ty: &'static GoType,
) -> Result<(), PatchError> {
    let directives: Vec<String> = patch
        .keys()
        .filter(|key| key.starts_with(SET_ORDER))
        .cloned()
        .collect();
    for directive in directives {
        let order = list(patch.shift_remove(&directive).unwrap_or_default())?;
        let key = directive
            .strip_prefix(SET_ORDER)
            .and_then(|rest| rest.strip_prefix('/'))
            .ok_or(MALFORMED)?;
        let old = original.get(key).cloned().map(list).transpose()?;
        let new = patch.get(key).cloned().map(list).transpose()?;
        let (field, element) = list_field(ty, key)?;
        let merge_key = match field.patch {
            PatchStrategy::Merge(key) => key,
            _ => "",
        };
        let before = old.clone().unwrap_or_default();
        let change = new.clone().unwrap_or_default();
        check_order(&change, &order, merge_key)?;
        let merged = match (old, new) {
            (None, None) => continue,
            (Some(old), None) => old,
            (None, Some(new)) => new.iter().filter_map(without_directives).collect(),
            (Some(old), Some(mut new)) => merge_field(old, &mut new, field.patch, element, false)?,
        };
        are_objects([&before, &change])?;
        let merged = ordered(merged, &order, &before, merge_key)?;
        original.insert(key.to_owned(), merged.into());
        patch.shift_remove(key);
    }
    Ok(())
}

/// The items that `first` names in its order, among them the others, in the order of the original as far as that goes.
pub(super) fn ordered(
    merged: Vec<Value>,
    first: &[Value],
    original: &[Value],
    key: &str,
) -> Result<Vec<Value>, PatchError> {
    let objects = merged.first().is_some_and(Value::is_object);
    let mut named = Vec::new();
    let mut others = Vec::new();
    for item in merged {
        let is_named = if key.is_empty() {
            first.contains(&item)
        } else {
            position(first, key, key_of(&item, key)?)?.is_some()
        };
        if is_named {
            named.push(item);
        } else {
            others.push(item);
        }
    }
    if objects {
        for item in named.iter().chain(first).chain(&others).chain(original) {
            key_of(item, key)?;
        }
    }
    let index = |list: &[Value], item: &Value| {
        let found = |other: &Value| {
            if objects {
                other.get(key) == item.get(key)
            } else {
                other == item
            }
        };
        list.iter().position(found)
    };
    named.sort_by_key(|item| index(first, item));
    others.sort_by_key(|item| index(original, item));

    let mut all = Vec::with_capacity(named.len() + others.len());
    let mut others = others.into_iter().peekable();
    for item in named {
        let place = index(original, &item);
        let is_before = |other: &Value| match (index(original, other), place) {
            (Some(other), Some(place)) => other < place,
            _ => false,
        };
        while let Some(other) = others.next_if(is_before) {
            all.push(other);
        }
        all.push(item);
    }
    all.extend(others);
    Ok(all)
}

/// Whether what is not deleted in the list of a patch is in the order that the patch gives.
fn check_order(patch: &[Value], order: &[Value], key: &str) -> Result<(), PatchError> {
    if patch.is_empty() || order.is_empty() {
        return Ok(());
    }
    let mut rest = order.iter();
    for item in patch {
        if !key.is_empty() && !item.is_object() {
            return Err(wrong_type("map[string]interface {}", item));
        }
        if item.get(DIRECTIVE).is_some() {
            continue;
        }
        let mut found = false;
        for other in rest.by_ref() {
            found = match key {
                "" => item == other,
                key => key_of(item, key)? == key_of(other, key)?,
            };
            if found {
                break;
            }
        }
        if !found {
            let [patch, order] = [patch, order].map(|list| go::print(&Value::Array(list.to_vec())));
            return Err(PatchError::Other(format!(
                "The order in patch list:\n{patch}\n doesn't match {SET_ORDER} list:\n{order}\n"
            )));
        }
    }
    Ok(())
}

fn list(value: Value) -> Result<Vec<Value>, PatchError> {
    match value {
        Value::Array(items) => Ok(items),
        other => Err(wrong_type("[]interface {}", &other)),
    }
}
