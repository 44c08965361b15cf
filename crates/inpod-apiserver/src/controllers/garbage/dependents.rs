use std::collections::{BTreeSet, HashMap};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::controllers::local::collection;
use crate::schema::{self, Resource};
use crate::storage::{Object, OwnerReference, ResourceKey};

/// What is escaped in a name: roles have almost any.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b':')
    .remove(b'_');

/// Who refers to whom, by the uid of the owner, which need not be there.
#[derive(Debug, Default)]
pub(super) struct Dependents(HashMap<String, BTreeSet<Place>>);

/// Where an object is stored.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) resource: ResourceKey,
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Dependents {
    pub(super) fn of(&self, owner: &Object) -> impl Iterator<Item = &Place> {
        self.0.get(&owner.uid).into_iter().flatten()
    }

    /// Takes note that the object at `place`, which referred to `before`, refers to `after`.
    pub(super) fn replace(
        &mut self,
        place: &Place,
        before: &[OwnerReference],
        after: &[OwnerReference],
    ) {
        for owner in before {
            if let Some(dependents) = self.0.get_mut(&owner.uid) {
                dependents.remove(place);
                if dependents.is_empty() {
                    self.0.remove(&owner.uid);
                }
            }
        }
        for owner in after {
            let dependents = self.0.entry(owner.uid.clone()).or_default();
            dependents.insert(place.clone());
        }
    }
}

impl Place {
    pub(super) fn of(resource: ResourceKey, object: &Object) -> Self {
        Self {
            resource,
            namespace: object.namespace.clone(),
            name: object.name.clone(),
        }
    }

    /// Where the owner is that `dependent` refers to; none where that is no place.
    pub(super) fn of_owner(reference: &OwnerReference, dependent: &Object) -> Option<Self> {
        let (group, version) = schema::split(&reference.api_version);
        let resource = schema::by_kind(group, version, &reference.kind)?;
        let namespace = if resource.namespaced {
            dependent.namespace.clone()
        } else {
            String::new()
        };
        let exists = resource.verbs.contains(&"get") && resource.namespaced != namespace.is_empty();
        exists.then(|| Self {
            resource: resource.storage,
            namespace,
            name: reference.name.clone(),
        })
    }

    pub(super) fn path(&self) -> String {
        let stored = |r: &&Resource| (r.group, r.name) == self.resource;
        let resource = schema::resources().iter().find(stored);
        let collection = resource.map(|resource| collection(resource, &self.namespace));
        let name = utf8_percent_encode(&self.name, SEGMENT);
        format!("{}/{name}", collection.unwrap_or_default())
    }
}
