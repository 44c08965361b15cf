use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use crate::schema::Json;

/// A stored object: immutable, indexed by what selectors and look-ups ask for.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// Its namespace, empty for cluster-scoped kinds.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Its `resourceVersion`.
    pub revision: u64,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The fields that field selectors may name, with their values.
    pub fields: Vec<(&'static str, String)>,
    /// `metadata.deletionTimestamp`, where it is being deleted.
    pub deletion_timestamp: Option<String>,
    json: Json,
}

impl Object {
    /// The object as JSON in the storage version, without kind and apiVersion, with its resourceVersion.
    pub fn value(&self) -> Json {
        self.json.clone()
    }
}

/// Reads of the store that authentication, authorization and admission need: always the newest revision.
pub trait Lookup: Debug + Send + Sync + 'static {
    /// The newest revision of the whole store.
    fn revision(&self) -> u64;

    /// The object of that name. `namespace` is empty for cluster-scoped kinds; `group` and `resource` are those of storage.
    fn get(&self, group: &str, resource: &str, namespace: &str, name: &str) -> Option<Arc<Object>>;

    /// All objects of the resource, in one namespace or (with `None`) in all, ordered by namespace and name.
    fn list(&self, group: &str, resource: &str, namespace: Option<&str>) -> Vec<Arc<Object>>;

    /// A number that changes whenever an object of one of `resources` (group, resource) does: what caches are keyed by.
    fn generation(&self, resources: &[(&str, &str)]) -> u64;
}
