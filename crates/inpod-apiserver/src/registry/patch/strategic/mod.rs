//! Strategic merge patches: merge patches that know of some lists by which field their items are told apart.
//! <https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/>
//!
//! A patch can hold directives beside fields: `$patch` (`replace` or `delete` what it lies in), `$retainKeys` (the only keys
//! that stay), `$deleteFromPrimitiveList/FIELD` and `$setElementOrder/FIELD`.

mod list;
mod order;
#[cfg(test)]
mod tests;

use http::StatusCode;
use serde_json::Value;

use super::go;
use crate::schema::types::{Field, GoType, PatchStrategy, Shape};
use crate::schema::{Json, Type};
use crate::status::Reason;
use crate::{Details, Status};

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM_LIST: &str = "$deleteFromPrimitiveList";
const SET_ORDER: &str = "$setElementOrder";

/// Why a patch cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(super) enum PatchError {
    /// A directive that is not as directives are.
    #[error("{0}")]
    Format(&'static str),
    #[error("lists of lists are not supported")]
    ListOfLists,
    /// What the real server has no code of its own for, and tells as an error within.
    #[error("{0}")]
    Other(String),
}

/// Merges `patch` into `original`, which is of type `ty`. What is left of the patch is what the real server shows of it in
/// messages: without the directives, and without nulls in what was added.
///
/// # Errors
/// Where a directive is malformed, or a list cannot be merged.
pub(super) fn merge(ty: Type, original: Json, patch: &mut Json) -> Result<Json, PatchError> {
    merge_map(original, patch, ty.0)
}

impl From<PatchError> for Status {
    fn from(error: PatchError) -> Self {
        let message = error.to_string();
        match error {
            PatchError::Format(_) => Self::bad_request(message),
            PatchError::ListOfLists => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                Reason::Invalid,
                "the server rejected our request due to an error in our request",
            )
            .with_details(Details::default()),
            PatchError::Other(_) => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, Reason::Unknown, message)
            }
        }
    }
}

fn merge_map(
    mut original: Json,
    patch: &mut Json,
    ty: &'static GoType,
) -> Result<Json, PatchError> {
    match patch.get(DIRECTIVE) {
        None => {}
        Some(Value::String(directive)) if directive == "replace" => {
            patch.shift_remove(DIRECTIVE);
            return Ok(patch.clone());
        }
        Some(Value::String(directive)) if directive == "delete" => return Ok(Json::new()),
        Some(other) => return Err(unknown_directive(other, patch)),
    }
    retain_keys(&mut original, patch)?;
    order::merge_ordered(&mut original, patch, ty)?;
    for (key, value) in patch.iter_mut() {
        let (key, deletes) = match key.strip_prefix(DELETE_FROM_LIST) {
            None => (key.as_str(), false),
            Some(rest) => {
                let key = rest
                    .strip_prefix('/')
                    .ok_or(PatchError::Format("invalid patch format of primitive list"))?;
                (key, true)
            }
        };
        if value.is_null() {
            original.shift_remove(key);
            continue;
        }
        let merged = match (original.get_mut(key), &mut *value) {
            (Some(Value::Object(old)), Value::Object(new)) => {
                let field = field(ty, key)?;
                match field.patch {
                    PatchStrategy::Replace => new.clone(),
                    _ => merge_map(std::mem::take(old), new, field.ty)?,
                }
                .into()
            }
            (Some(Value::Array(old)), Value::Array(new)) => {
                let (field, element) = list_field(ty, key)?;
                let old = std::mem::take(old);
                list::merge_field(old, new, field.patch, element, deletes)?.into()
            }
            // Nothing is deleted from what is no list.
            (Some(old), new) if deletes && go::kind(old) != go::kind(new) => continue,
            (None, _) if deletes => continue,
            (_, new) => {
                discard_nulls(new);
                let Some(new) = without_directives(new) else {
                    original.shift_remove(key);
                    continue;
                };
                new
            }
        };
        original.insert(key.to_owned(), merged);
    }
    Ok(original)
}

/// Removes what `$retainKeys` does not name.
fn retain_keys(original: &mut Json, patch: &mut Json) -> Result<(), PatchError> {
    const MALFORMED: PatchError = PatchError::Format("invalid patch format of retainKeys");
    let Some(keys) = patch.shift_remove(RETAIN_KEYS) else {
        return Ok(());
    };
    let Value::Array(keys) = keys else {
        return Err(MALFORMED);
    };
    let stays = |key: &str| keys.iter().any(|kept| kept == key);
    let named = patch.iter().all(|(key, value)| {
        value.is_null()
            || key.starts_with(DELETE_FROM_LIST)
            || key.starts_with(SET_ORDER)
            || stays(key)
    });
    if !named {
        return Err(MALFORMED);
    }
    original.retain(|key, _| stays(key));
    Ok(())
}

/// The field of a struct that is named `key`.
fn field(ty: &'static GoType, key: &str) -> Result<&'static Field, PatchError> {
    let Shape::Struct(fields) = ty.shape else {
        let kind = match ty.shape {
            Shape::Map(_) => "map",
            Shape::List(_) | Shape::Items(_) | Shape::Bytes => "slice",
            Shape::Bool => "bool",
            Shape::Int32 => "int32",
            Shape::Int64 => "int64",
            Shape::String => "string",
            // Structs of their own making, whose fields JSON does not know.
            _ => return Err(no_field(ty, key)),
        };
        return Err(PatchError::Other(format!(
            "merging an object in json but data type is not struct, instead is: {kind}"
        )));
    };
    fields
        .iter()
        .find(|field| field.json == key)
        .ok_or_else(|| no_field(ty, key))
}

/// The field of a struct that is named `key` and is a list, with the type of its items.
fn list_field(
    ty: &'static GoType,
    key: &str,
) -> Result<(&'static Field, &'static GoType), PatchError> {
    let field = field(ty, key)?;
    match field.ty.shape {
        Shape::List(element) | Shape::Items(element) => Ok((field, element)),
        _ => Err(PatchError::Other(
            "expected slice or array type, but got: struct".into(),
        )),
    }
}

fn no_field(ty: &GoType, key: &str) -> PatchError {
    PatchError::Other(format!(
        "unable to find api field in struct {} for the json field {key:?}",
        ty.name()
    ))
}

fn unknown_directive(directive: &Value, map: &Json) -> PatchError {
    let shown = match directive {
        Value::String(text) => text.clone(),
        other => format!("%!s({}={})", go::type_name(other), go::print(other)),
    };
    let map = go::print(&Value::Object(map.clone()));
    PatchError::Other(format!("unknown patch type: {shown} in map: {map}"))
}

fn no_merge_key(item: &Json, key: &str) -> PatchError {
    let item = go::print(&Value::Object(item.clone()));
    PatchError::Other(format!(
        "map: {item} does not contain declared merge key: {key}"
    ))
}

fn wrong_type(expected: &str, found: &Value) -> PatchError {
    PatchError::Other(format!(
        "expected a {expected}, but received a {}",
        go::type_name(found)
    ))
}

/// Removes the nulls of objects, at any depth.
fn discard_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(discard_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(discard_nulls),
        _ => {}
    }
}

/// What stays of a value that is new: nothing of one with a directive.
fn without_directives(value: &Value) -> Option<Value> {
    match value {
        Value::Object(map) if map.contains_key(DIRECTIVE) => None,
        Value::Object(map) => Some(Value::Object(
            map.iter()
                .filter_map(|(key, value)| Some((key.clone(), without_directives(value)?)))
                .collect(),
        )),
        Value::Array(items) => Some(items.iter().filter_map(without_directives).collect()),
        scalar => Some(scalar.clone()),
    }
}
