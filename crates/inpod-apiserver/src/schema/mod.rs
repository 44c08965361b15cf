//! What Kubernetes publishes about its kinds, as tables, and the codecs that walk them.

mod lookup;
#[rustfmt::skip]
mod tables;

use serde_json::{Map, Value};

use crate::Status;

pub use lookup::{bootstrap_roles, by_kind, group_versions, resource, resources, type_of};

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

/// A type of the tables: a struct of `k8s.io/api` or `apimachinery`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Type(pub(crate) u16);

/// A body that was decoded.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Decoded {
    /// The object, known fields only, with `kind` and `apiVersion` as the body had them.
    pub value: Json,
    /// What [`FieldValidation::Warn`] has to say, one entry a header.
    pub warnings: Vec<String>,
}

/// Decodes a JSON body of type `ty`: unknown and duplicate fields as `validation` says, wrong types as Go's decoder does.
///
/// # Errors
/// 400 with the real server's message where the body is no JSON, has a field of the wrong type or, under
/// [`FieldValidation::Strict`], an unknown or duplicate field.
pub fn decode_json(
    _ty: Type,
    _body: &[u8],
    _validation: FieldValidation,
) -> Result<Decoded, Status> {
    Err(Status::internal("not yet"))
}

/// Decodes a YAML body of type `ty` as [`decode_json`] does; YAML 1.1's `yes` and `0o` stay strings as in `sigs.k8s.io/yaml`.
///
/// # Errors
/// As [`decode_json`].
pub fn decode_yaml(
    _ty: Type,
    _body: &[u8],
    _validation: FieldValidation,
) -> Result<Decoded, Status> {
    Err(Status::internal("not yet"))
}

/// Decodes a body in the protobuf envelope (`k8s\0`, `runtime.Unknown`), whose kind is in the envelope.
///
/// # Errors
/// 400 where the envelope or the message is malformed, or the kind is unknown.
pub fn decode_protobuf(_body: &[u8]) -> Result<Json, Status> {
    Err(Status::internal("not yet"))
}

/// Puts the keys of `value` in the order of the Go structs and leaves out what `omitempty` leaves out, at every depth; a
/// struct field without `omitempty` that is absent is put in as Go's zero value.
pub fn normalize(_ty: Type, _value: &mut Json) {}
