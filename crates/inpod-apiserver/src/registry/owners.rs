//! The owners of an object's fields, as each verb finds and keeps them; what they are is [`managed_fields`]' business.

use serde_json::Value;

use crate::managed_fields::{self, Write};
use crate::registry::json::Fields as _;
use crate::registry::{Context, served_as_stored, served_item, special, strategy};
use crate::schema::{self, Json};

const PATH: &str = "metadata.managedFields";

/// What `metadata.managedFields` will be once `new` was written over `old`; taken out of `new`. Both are in the storage version.
pub(super) fn track(cx: &Context<'_>, old: Option<&Json>, new: &mut Json) -> Option<Value> {
    let resource = cx.resource;
    let own = (resource.group, resource.version, resource.kind);
    let (group, version, kind) = match cx.subresource.map(|s| s.kind) {
        Some(kind) if !kind.2.is_empty() => kind,
        _ => own,
    };
    let Some(ty) = schema::type_of(group, version, kind) else {
        // A kind without a table has no owners, as one without an OpenAPI model on the real server.
        new.take(PATH);
        return old.and_then(|old| old.at(PATH)).cloned();
    };
    let api_version = schema::api_version(group, version);
    let subresource = cx.subresource.map_or("", |s| s.name);
    let reset = match special(resource, cx.subresource) {
        Some(_) => &[],
        None => strategy(resource).reset_fields(subresource),
    };
    let write = Write {
        manager: cx.manager,
        api_version: &api_version,
        ty,
        subresource,
        reset,
        now: &cx.core.source.timestamp(),
    };
    if served_as_stored(resource) {
        return managed_fields::track(write, old, new);
    }
    let old = old.map(|old| served_item(resource, old.clone()));
    let mut served = served_item(resource, new.clone());
    new.take(PATH);
    managed_fields::track(write, old.as_ref(), &mut served)
}

/// Gives an object its owners.
pub(super) fn put(object: &mut Json, owners: Option<Value>) {
    if let Some(owners) = owners {
        object.put(PATH, owners);
    }
}

/// Gives the new form of an object its owners; a write that changes nothing but when somebody became one changes nothing.
pub(super) fn put_over(new: &mut Json, old: &Json, owners: Option<Value>) {
    let before = old.at(PATH);
    let kept = managed_fields::with_times_of(before, owners.as_ref())
        .filter(|kept| owners.as_ref() != Some(kept) && says_the_same(new, old));
    put(new, kept.or(owners));
}

/// Whether two forms of an object are equal but for their owners and resourceVersions.
fn says_the_same(new: &Json, old: &Json) -> bool {
    let ignored = ["managedFields", "resourceVersion"];
    let metadata = |object: &Json| -> Vec<(String, Value)> {
        let metadata = object.map("metadata").into_iter().flatten();
        metadata
            .filter(|(key, _)| !ignored.contains(&key.as_str()))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    };
    new.len() == old.len()
        && new
            .iter()
            .all(|(key, value)| key == "metadata" || old.get(key) == Some(value))
        && metadata(new) == metadata(old)
}
