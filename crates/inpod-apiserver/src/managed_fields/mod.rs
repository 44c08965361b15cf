//! `metadata.managedFields`: who owns which field of an object, and since when.
//!
//! After `k8s.io/apimachinery/pkg/util/managedfields` and structured-merge-diff, as far as writes go that send the whole
//! object (create, update, and patches, which come to the same). Who writes a value owns it, and takes it from everybody else; what
//! is removed has no owner. The server tracks what was sent with its defaults, before admission and the kind's own changes: what those
//! add has no owner either. <https://kubernetes.io/docs/reference/using-api/server-side-apply/>

mod cap;
mod compare;
mod element;
mod entry;
mod manager;
mod reconcile;
mod set;
#[cfg(test)]
mod tests;

use serde_json::Value;

use crate::schema::{Json, Type};
use compare::{Comparison, compare};
use entry::{Entry, UPDATE};

pub(crate) use manager::{MAX as MAX_MANAGER, is_printable, manager};

/// A write, as far as owners are concerned.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Write<'a> {
    /// Who writes.
    pub(crate) manager: &'a str,
    /// The version that the object is written in.
    pub(crate) api_version: &'a str,
    /// The type of that version.
    pub(crate) ty: Type,
    /// The subresource that is written, empty for the object itself.
    pub(crate) subresource: &'a str,
    /// What the write leaves alone, whatever was sent: `status`, `metadata.ownerReferences`.
    pub(crate) reset: &'a [&'a str],
    /// The time now, RFC 3339.
    pub(crate) now: &'a str,
}

/// What `metadata.managedFields` is once `new` was written over `old`, or for the first time. It is taken out of `new`, where clients
/// may send it to change it.
pub(crate) fn track(write: Write<'_>, old: Option<&Json>, new: &mut Json) -> Option<Value> {
    let sent = new
        .get_mut("metadata")
        .and_then(Value::as_object_mut)
        .and_then(|metadata| metadata.shift_remove("managedFields"));
    let mut entries = known(write, old, sent.as_ref());
    // An object that has no owners was made before there were any, or its owners were forgotten on purpose.
    if entries.is_empty() && old.is_some() {
        return None;
    }
    update(write, &mut entries, old, new);
    cap::cap(&mut entries);
    entry::write(entries)
}

/// `new`, a value of `metadata.managedFields`, with the times of `old` where that is all that differs; `None` where more does.
pub(crate) fn with_times_of(old: Option<&Value>, new: Option<&Value>) -> Option<Value> {
    let (old, new) = (old?.as_array()?, new?.as_array()?);
    let same = |(a, b): (&Value, &Value)| {
        let (Some(a), Some(b)) = (a.as_object(), b.as_object()) else {
            return false;
        };
        a.len() == b.len() && a.iter().all(|(k, v)| k == "time" || b.get(k) == Some(v))
    };
    (old.len() == new.len() && old.iter().zip(new).all(same)).then(|| old.clone().into())
}

/// The entries to go on from: those of the client, where it sends good ones with the object itself, or else those of `old`.
fn known(write: Write<'_>, old: Option<&Json>, sent: Option<&Value>) -> Vec<Entry> {
    let of_old = || {
        old.and_then(|old| old.get("metadata")?.get("managedFields"))
            .and_then(|entries| entry::read(entries).ok())
            .unwrap_or_default()
    };
    match sent {
        Some(sent) if write.subresource.is_empty() => {
            if is_reset(sent) {
                return Vec::new();
            }
            match entry::read(sent) {
                Ok(mut entries) if !entries.is_empty() => {
                    for entry in &mut entries {
                        reconcile::reconcile(write.ty.0, &mut entry.set);
                    }
                    entries
                }
                _ => of_old(),
            }
        }
        _ => of_old(),
    }
}

/// Whether a client asks to forget all owners: with an empty list, or one empty entry.
fn is_reset(sent: &Value) -> bool {
    match sent.as_array().map(Vec::as_slice) {
        Some([]) => true,
        Some([Value::Object(entry)]) => entry.is_empty(),
        _ => false,
    }
}

fn update(write: Write<'_>, entries: &mut Vec<Entry>, old: Option<&Json>, new: &Json) {
    let zero = match old {
        Some(_) => Value::Null,
        None => write.ty.0.zero(),
    };
    let empty = Json::new();
    let old = old.or(zero.as_object()).unwrap_or(&empty);
    let Comparison { changed, removed } = compare(write.ty.0, old, new, write.reset);
    // Each group of versions has its types by itself on the real server, which forgets what it cannot compare.
    entries.retain_mut(|entry| {
        entry.set.remove(&changed);
        entry.set.remove(&removed);
        entry.api_version == write.api_version && !entry.set.is_empty()
    });
    if changed.is_empty() {
        return;
    }
    let mut own = Entry {
        manager: write.manager.to_owned(),
        operation: UPDATE.to_owned(),
        api_version: write.api_version.to_owned(),
        time: Some(write.now.to_owned()),
        set: changed,
        subresource: write.subresource.to_owned(),
    };
    if own.manager.is_empty() {
        "unknown".clone_into(&mut own.manager);
    }
    match entries.iter_mut().find(|entry| entry.is_same(&own)) {
        Some(entry) => {
            entry.set.extend(own.set);
            entry.time = own.time;
        }
        None => entries.push(own),
    }
}
