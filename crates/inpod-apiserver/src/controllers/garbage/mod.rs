//! What goes with its owners: dependents of deleted objects, and deletions that wait for them or leave them behind.
//!
//! <https://kubernetes.io/docs/concepts/architecture/garbage-collection/#owners-dependents>

mod dependents;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};

use super::local::{Local, Refused};
use crate::core::Core;
use crate::registry::json::Fields as _;
use crate::registry::validation::{FOREGROUND, ORPHAN};
use crate::schema::{self, Json};
use crate::storage::{Change, ChangeKind, Lookup as _, Object, OwnerReference};
use crate::wire::Door;
use dependents::{Dependents, Place};

/// The most objects that are looked at before the other controllers have their turn.
const BATCH: usize = 200;
const OWNERS: &str = "metadata.ownerReferences";
const FINALIZERS: &str = "metadata.finalizers";

/// Collects garbage. What is to be done for an object is read off the store when its turn comes, so that an object queued
/// once too often costs a look and nothing else.
#[derive(Debug)]
pub(super) struct Garbage {
    core: Arc<Core>,
    collector: Local,
    dependents: Dependents,
    queue: BTreeSet<Place>,
    /// Where something was refused.
    failed: BTreeSet<Place>,
}

/// What a reference to an owner amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// It is there: a reason to stay.
    Present,
    /// It is being deleted in the foreground: it waits for this one to go.
    Waiting,
    Gone,
}

impl Garbage {
    pub(super) fn new(door: &Arc<Door>) -> Self {
        Self {
            core: door.core().clone(),
            collector: Local::controller(door.clone(), "generic-garbage-collector"),
            dependents: Dependents::default(),
            queue: BTreeSet::new(),
            failed: BTreeSet::new(),
        }
    }

    /// Whether [`Self::collect`] has something to do.
    pub(super) fn is_queued(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Whether [`Self::retry`] has.
    pub(super) fn is_unfinished(&self) -> bool {
        !self.failed.is_empty()
    }

    /// Queues again what was refused.
    pub(super) fn retry(&mut self) {
        self.queue.append(&mut self.failed);
    }

    /// Keeps the index up to date, and queues whom the change concerns.
    pub(super) fn follow(&mut self, change: &Change) {
        let object = &*change.object;
        let before = change.old.as_ref().map_or(&[][..], |old| &old.owners);
        let after = match change.kind {
            ChangeKind::Deleted => &[],
            ChangeKind::Created | ChangeKind::Updated => &object.owners[..],
        };
        if before != after {
            let place = Place::of(change.resource, object);
            self.dependents.replace(&place, before, after);
            // An owner may have waited for this one.
            let owners = before.iter().filter_map(|o| Place::of_owner(o, object));
            self.queue.extend(owners);
            self.queue.insert(place);
        }
        if change.kind == ChangeKind::Deleted {
            self.queue.extend(self.dependents.of(object).cloned());
        } else if object.deletion_timestamp.is_some() {
            self.queue.insert(Place::of(change.resource, object));
        }
    }

    /// After changes were missed: everything anew.
    pub(super) fn start_over(&mut self) {
        self.dependents = Dependents::default();
        for resource in schema::resources() {
            let key = (resource.group, resource.name);
            if resource.storage != key {
                continue;
            }
            for object in self.core.store.list(key.0, key.1, None) {
                if object.owners.is_empty() && object.deletion_timestamp.is_none() {
                    continue;
                }
                let place = Place::of(key, &object);
                self.dependents.replace(&place, &[], &object.owners);
                self.queue.insert(place);
            }
        }
    }

    /// Does what is queued, or the first part of it.
    pub(super) async fn collect(&mut self) {
        for _ in 0..BATCH {
            let Some(place) = self.queue.pop_first() else {
                return;
            };
            match self.look_at(&place).await {
                Ok(()) => {}
                // It is another one by now.
                Err(refused) if refused.code == StatusCode::CONFLICT => {
                    self.queue.insert(place);
                }
                Err(refused) => {
                    tracing::warn!(%refused, "cannot collect garbage, and will try again");
                    self.failed.insert(place);
                }
            }
        }
    }

    async fn look_at(&mut self, place: &Place) -> Result<(), Refused> {
        let Some(object) = self.get(place) else {
            return Ok(());
        };
        if object.deletion_timestamp.is_none() {
            return self.keep_or_delete(place, &object).await;
        }
        let value = object.value();
        if has_finalizer(&value, ORPHAN) {
            self.leave_dependents(place, &object).await
        } else if has_finalizer(&value, FOREGROUND) {
            self.wait_for_dependents(place, &object).await
        } else {
            Ok(())
        }
    }

    async fn leave_dependents(&self, place: &Place, owner: &Object) -> Result<(), Refused> {
        for (place, dependent) in self.dependents(owner) {
            let other = |reference: &Json| reference.text("uid") != owner.uid;
            self.keep_owners(&place, &dependent, other).await?;
        }
        self.finish(place, owner, ORPHAN).await
    }

    /// Lets the owner go unless a dependent blocks that; then all of them are to go, which leads back here.
    async fn wait_for_dependents(&mut self, place: &Place, owner: &Object) -> Result<(), Refused> {
        let dependents = self.dependents(owner);
        let blocks = |reference: &OwnerReference| reference.blocks && reference.uid == owner.uid;
        if !dependents.iter().any(|(_, d)| d.owners.iter().any(blocks)) {
            return self.finish(place, owner, FOREGROUND).await;
        }
        for (place, dependent) in dependents {
            if dependent.deletion_timestamp.is_none() {
                self.queue.insert(place);
            }
        }
        Ok(())
    }

    /// Deletes an object none of whose owners is a reason to stay; one that stays loses its references to the others.
    async fn keep_or_delete(&self, place: &Place, object: &Object) -> Result<(), Refused> {
        let references = object.owners.iter();
        let Some(owners) = references
            .map(|reference| self.owner(reference, object))
            .collect::<Option<Vec<_>>>()
        else {
            return Ok(());
        };
        if owners.iter().all(|owner| *owner == Owner::Present) {
            return Ok(());
        }
        if owners.contains(&Owner::Present) {
            let mut owners = owners.into_iter();
            let present = |_: &Json| owners.next() == Some(Owner::Present);
            return self.keep_owners(place, object, present).await;
        }
        let value = object.value();
        let policy =
            if owners.contains(&Owner::Waiting) && self.dependents.of(object).next().is_some() {
                if self.is_in_a_circle(object) {
                    return self.unblock(place, object).await;
                }
                "Foreground"
            } else if has_finalizer(&value, ORPHAN) {
                "Orphan"
            } else if has_finalizer(&value, FOREGROUND) {
                "Foreground"
            } else {
                "Background"
            };
        let options = json!({
            "preconditions": {"uid": object.uid, "resourceVersion": object.revision.to_string()},
            "propagationPolicy": policy,
        });
        self.collector.delete(&place.path(), Some(&options)).await
    }

    /// What the reference amounts to; none where it cannot be told, because its kind is not served or is one of a namespace
    /// where the dependent is in none.
    fn owner(&self, reference: &OwnerReference, dependent: &Object) -> Option<Owner> {
        let owner = self
            .get(&Place::of_owner(reference, dependent)?)
            .filter(|owner| owner.uid == reference.uid);
        Some(match owner {
            None => Owner::Gone,
            Some(owner) if is_waiting(&owner) => Owner::Waiting,
            Some(_) => Owner::Present,
        })
    }

    /// Whether the object keeps its owner waiting while one of its dependents waits for the object itself.
    fn is_in_a_circle(&self, object: &Object) -> bool {
        let mut dependents = self.dependents(object).into_iter();
        object.owners.iter().any(|owner| owner.blocks) && dependents.any(|(_, d)| is_waiting(&d))
    }

    async fn unblock(&self, place: &Place, object: &Object) -> Result<(), Refused> {
        let mut owners = object.value().list(OWNERS).to_vec();
        for owner in &mut owners {
            owner["blockOwnerDeletion"] = false.into();
        }
        self.patch(place, object, "ownerReferences", owners).await
    }

    /// Takes from the object the owner references that `keep` is false for.
    async fn keep_owners(
        &self,
        place: &Place,
        object: &Object,
        mut keep: impl FnMut(&Json) -> bool,
    ) -> Result<(), Refused> {
        let value = object.value();
        let kept = value.objects(OWNERS).filter(|owner| keep(owner));
        let kept = kept.cloned().map(Value::Object).collect();
        self.patch(place, object, "ownerReferences", kept).await
    }

    async fn finish(&self, place: &Place, object: &Object, finalizer: &str) -> Result<(), Refused> {
        let value = object.value();
        let others = value.texts(FINALIZERS).filter(|other| *other != finalizer);
        let others = others.map(Value::from).collect();
        self.patch(place, object, "finalizers", others).await
    }

    /// Replaces a list of the object's metadata, if it still is the one given.
    async fn patch(
        &self,
        place: &Place,
        object: &Object,
        list: &str,
        entries: Vec<Value>,
    ) -> Result<(), Refused> {
        let revision = object.revision.to_string();
        let patch = json!({"metadata": {"resourceVersion": revision, list: entries}});
        self.collector.patch(&place.path(), &patch).await
    }

    fn get(&self, place: &Place) -> Option<Arc<Object>> {
        let (group, resource) = place.resource;
        let store = &self.core.store;
        store.get(group, resource, &place.namespace, &place.name)
    }

    fn dependents(&self, owner: &Object) -> Vec<(Place, Arc<Object>)> {
        self.dependents
            .of(owner)
            .filter_map(|place| Some((place.clone(), self.get(place)?)))
            .collect()
    }
}

/// Whether the object is being deleted in the foreground: its dependents are to go first.
fn is_waiting(object: &Object) -> bool {
    object.deletion_timestamp.is_some() && has_finalizer(&object.value(), FOREGROUND)
}

fn has_finalizer(value: &Json, finalizer: &str) -> bool {
    value.texts(FINALIZERS).any(|other| other == finalizer)
}
