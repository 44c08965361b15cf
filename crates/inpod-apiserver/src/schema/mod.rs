//! What Kubernetes publishes about its kinds, as tables, and the codecs that walk them.

mod json;
mod kind;
mod lookup;
mod normalize;
mod protobuf;
mod quantity;
mod roles;
#[rustfmt::skip]
mod tables;
mod time;
pub(crate) mod types;
mod yaml;

use serde_json::{Map, Value};

pub use json::decode_json;
pub(crate) use json::{check_value, decode_untyped, found, to_json, unrecognized, write_json};
pub use kind::Type;
pub(crate) use kind::{
    api_version, check_named, internal_package, no_conversion, not_registered, split,
};
pub use lookup::{by_kind, group_versions, resource, resources, type_of};
pub use normalize::normalize;
pub use protobuf::decode_protobuf;
pub use roles::bootstrap_roles;
pub(crate) use types::{Field, GoType, Merge, Shape};
pub use yaml::decode_yaml;

/// An object, a list or an options struct as JSON, keys in the order of the Go struct.
pub type Json = Map<String, Value>;

/// A resource that is served: one row of the published discovery documents.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resource {
    /// The API group, empty for the core group.
    pub group: &'static str,
    /// The version within the group.
    pub version: &'static str,
    /// The plural, as in paths.
    pub name: &'static str,
    /// The singular, as kubectl accepts it.
    pub singular: &'static str,
    /// The kind of its objects.
    pub kind: &'static str,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// The verbs, in discovery's order.
    pub verbs: &'static [&'static str],
    /// kubectl's short names.
    pub short_names: &'static [&'static str],
    /// kubectl's categories, for example `all`.
    pub categories: &'static [&'static str],
    /// Discovery's `storageVersionHash`.
    pub storage_version_hash: &'static str,
    /// Its subresources.
    pub subresources: &'static [Subresource],
    /// The resource whose objects these are: `events.k8s.io` Events are stored as core Events are.
    pub storage: (&'static str, &'static str),
}

/// A subresource, for example `serviceaccounts/token`.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Subresource {
    /// The last segment of its path.
    pub name: &'static str,
    /// Group, version and kind of its body, where they differ from the resource's.
    pub kind: (&'static str, &'static str, &'static str),
    /// The verbs, in discovery's order.
    pub verbs: &'static [&'static str],
}

/// The versions of one group that are served.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupVersions {
    /// The API group, empty for the core group.
    pub group: &'static str,
    /// The versions, in the order of `/apis`.
    pub versions: &'static [&'static str],
    /// The version that discovery recommends.
    pub preferred: &'static str,
}

/// What is done about fields that the kind does not have: the `fieldValidation` parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FieldValidation {
    /// They are dropped.
    Ignore,
    /// They are dropped, and each is named in a `Warning` header.
    #[default]
    Warn,
    /// They are an error.
    Strict,
}

/// A body that was decoded.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Decoded {
    /// The object, known fields only, with `kind` and `apiVersion` as the body had them.
    pub value: Json,
    /// What [`FieldValidation::Warn`] has to say, one entry a header.
    pub warnings: Vec<String>,
}
