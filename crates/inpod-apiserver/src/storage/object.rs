use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::Value;

use super::key::key;
use crate::schema::{Json, write_json};

/// A stored object: immutable, indexed by what selectors and look-ups ask for, its JSON kept encoded.
///
/// ```
/// use inpod_apiserver::storage::Object;
/// use serde_json::json;
///
/// let value = json!({"metadata": {"name": "a", "namespace": "default"}, "data": {"k": "v"}});
/// let object = Object::new(value.as_object().unwrap(), Vec::new()).at_revision(7);
/// assert_eq!(
///     &object.bytes()[..],
///     br#"{"metadata":{"name":"a","namespace":"default","resourceVersion":"7"},"data":{"k":"v"}}"#
/// );
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// Its namespace, empty for cluster-scoped kinds.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Its `resourceVersion`; 0 while it was never stored.
    pub revision: u64,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The fields that field selectors may name, with their values.
    pub fields: Vec<(&'static str, String)>,
    /// `metadata.deletionTimestamp`, where it is being deleted.
    pub deletion_timestamp: Option<String>,
    /// `metadata.ownerReferences`; most objects have none.
    pub owners: Vec<OwnerReference>,
    bytes: Bytes,
    /// Where `,"resourceVersion":"…"` is in `bytes`, or (empty) belongs.
    version_at: Range<usize>,
}

/// An entry of `metadata.ownerReferences`: an object that this one goes with.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OwnerReference {
    /// The owner's group and version.
    pub api_version: String,
    /// The owner's kind.
    pub kind: String,
    /// The owner's name; it is in the dependent's namespace, or in none.
    pub name: String,
    /// The owner's uid.
    pub uid: String,
    /// `blockOwnerDeletion`: a foreground deletion of the owner waits for this object.
    pub blocks: bool,
}

impl Object {
    /// An object that was not stored yet. `json` is in the storage version; kind, apiVersion and resourceVersion are left out.
    pub fn new(json: &Json, fields: Vec<(&'static str, String)>) -> Self {
        let metadata = json.get("metadata").and_then(Value::as_object);
        let text = |key: &str| {
            metadata
                .and_then(|m| m.get(key))
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let labels = metadata
            .and_then(|m| m.get("labels"))
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned())))
            .collect();
        let deletion_timestamp = text("deletionTimestamp");
        let name = text("name");
        let (bytes, version_at) = encode(json, metadata, &name);
        Self {
            namespace: text("namespace"),
            uid: text("uid"),
            revision: 0,
            labels,
            fields,
            deletion_timestamp: (!deletion_timestamp.is_empty()).then_some(deletion_timestamp),
            owners: owners(metadata),
            bytes,
            version_at: version_at..version_at,
            name,
        }
    }

    /// The same object with `revision` as its resourceVersion.
    #[must_use]
    pub fn at_revision(&self, revision: u64) -> Self {
        let version = format!(",\"resourceVersion\":\"{revision}\"");
        let Range { start, end } = self.version_at;
        let mut bytes = BytesMut::with_capacity(self.bytes.len() - (end - start) + version.len());
        bytes.put_slice(&self.bytes[..start]);
        bytes.put_slice(version.as_bytes());
        bytes.put_slice(&self.bytes[end..]);
        Self {
            revision,
            bytes: bytes.freeze(),
            version_at: start..start + version.len(),
            ..self.clone()
        }
    }

    /// The object as compact JSON in the storage version: an object that starts with `metadata`, without kind and apiVersion,
    /// with its resourceVersion in place.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// What [`Object::bytes`] says, parsed.
    pub fn value(&self) -> Json {
        serde_json::from_slice(&self.bytes).unwrap_or_default()
    }

    /// The value of a field that field selectors may name.
    pub fn field(&self, label: &str) -> Option<&str> {
        match label {
            "metadata.name" => Some(&self.name),
            "metadata.namespace" => Some(&self.namespace),
            _ => self
                .fields
                .iter()
                .find(|(name, _)| *name == label)
                .map(|(_, value)| value.as_str()),
        }
    }

    /// Whether `other` says the same, whatever its revision.
    pub fn same_content(&self, other: &Self) -> bool {
        let parts = |o: &Self| {
            let Range { start, end } = o.version_at;
            (o.bytes.slice(..start), o.bytes.slice(end..))
        };
        parts(self) == parts(other)
    }

    /// Where the object is in its resource's order: `namespace/name`, or the name for cluster-scoped kinds, as in etcd's keys.
    pub(crate) fn key(&self) -> String {
        key(&self.namespace, &self.name)
    }
}

fn owners(metadata: Option<&Json>) -> Vec<OwnerReference> {
    metadata
        .and_then(|m| m.get("ownerReferences"))
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|owner| {
            let text = |key: &str| owner[key].as_str().unwrap_or_default().to_owned();
            OwnerReference {
                api_version: text("apiVersion"),
                kind: text("kind"),
                name: text("name"),
                uid: text("uid"),
                blocks: owner["blockOwnerDeletion"] == true,
            }
        })
        .collect()
}

/// The encoded object without its resourceVersion, and the offset at which that belongs: after the uid, as in `ObjectMeta`.
fn encode(json: &Json, metadata: Option<&Json>, name: &str) -> (Bytes, usize) {
    let mut out = Vec::with_capacity(1024);
    out.extend_from_slice(b"{\"metadata\":{\"name\":");
    write_json(&mut out, name);
    let mut version_at = out.len();
    for (key, value) in metadata.into_iter().flatten() {
        if key == "name" || key == "resourceVersion" {
            continue;
        }
        out.push(b',');
        member(&mut out, key, value);
        if matches!(
            key.as_str(),
            "generateName" | "namespace" | "selfLink" | "uid"
        ) {
            version_at = out.len();
        }
    }
    out.push(b'}');
    for (key, value) in json {
        if !matches!(key.as_str(), "metadata" | "kind" | "apiVersion") {
            out.push(b',');
            member(&mut out, key, value);
        }
    }
    out.push(b'}');
    (Bytes::from(out), version_at)
}

fn member(out: &mut Vec<u8>, key: &str, value: &Value) {
    write_json(out, key);
    out.push(b':');
    write_json(out, value);
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: &Value) -> Object {
        Object::new(value.as_object().expect("an object"), Vec::new())
    }

    #[test]
    fn the_resource_version_follows_the_uid_and_is_replaced() {
        let one = object(&json!({
            "kind": "Pod", "apiVersion": "v1",
            "metadata": {"name": "a", "namespace": "n", "uid": "u", "resourceVersion": "5", "generation": 1},
            "spec": {}
        }))
        .at_revision(9);
        assert_eq!(
            one.at_revision(10).bytes(),
            &br#"{"metadata":{"name":"a","namespace":"n","uid":"u","resourceVersion":"10","generation":1},"spec":{}}"#[..]
        );
        assert!(one.same_content(&one.at_revision(123)));
        assert!(!one.same_content(&object(&json!({"metadata": {"name": "a"}}))));
    }

    #[test]
    fn an_object_that_was_not_stored_has_no_resource_version() {
        let one = object(&json!({"metadata": {"name": "a", "resourceVersion": "5"}}));
        assert_eq!(one.bytes(), &br#"{"metadata":{"name":"a"}}"#[..]);
        assert_eq!(one.revision, 0);
    }

    #[test]
    fn metadata_is_indexed() {
        let one = object(&json!({"metadata": {
            "name": "a", "namespace": "n", "labels": {"app": "x"}, "deletionTimestamp": "2020-01-01T00:00:00Z",
            "ownerReferences": [
                {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u", "blockOwnerDeletion": true}
            ],
        }}));
        assert_eq!(one.labels["app"], "x");
        assert_eq!(
            one.deletion_timestamp.as_deref(),
            Some("2020-01-01T00:00:00Z")
        );
        let owner = OwnerReference {
            api_version: "v1".to_owned(),
            kind: "Pod".to_owned(),
            name: "p".to_owned(),
            uid: "u".to_owned(),
            blocks: true,
        };
        assert_eq!(one.owners, [owner]);
        assert_eq!(one.field("metadata.namespace"), Some("n"));
        assert_eq!(one.key(), "n/a");
    }
}
