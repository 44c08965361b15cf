//! Types and the kinds they have in the API.

use std::fmt;

use super::Json;
use super::lookup::type_of;
use super::tables::kinds::KINDS;
use super::types::GoType;
use crate::Status;
use crate::quote::quoted;

/// A type of the tables: a struct of `k8s.io/api` or `apimachinery`.
#[derive(Clone, Copy)]
pub struct Type(pub(crate) &'static GoType);

impl PartialEq for Type {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

impl Eq for Type {}

impl fmt::Debug for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Type({})", self.0.go)
    }
}

impl Type {
    /// Its group and version; those of `meta.k8s.io/v1` for what belongs to every group.
    pub(super) fn group_version(self) -> (&'static str, &'static str) {
        KINDS
            .iter()
            .find(|(_, ty)| Self(ty) == self)
            .map_or(("", "v1"), |((group, version, _), _)| (*group, *version))
    }
}

/// Group and version of an `apiVersion`.
pub(super) fn split(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

/// The `apiVersion` of a group and version: `group/version`, or the bare version in the core group.
pub(crate) fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    }
}

/// Makes sure that a body which names a kind or version names those of `ty`.
///
/// # Errors
/// 400 with the real server's message.
pub(super) fn check_kind(ty: Type, body: &Json) -> Result<(), Status> {
    let text = |key: &str| body.get(key).and_then(serde_json::Value::as_str);
    let (kind, api_version) = (text("kind"), text("apiVersion"));
    if kind.is_none() && api_version.is_none() {
        return Ok(());
    }
    let own = ty.group_version();
    let kind = kind.unwrap_or(ty.0.name());
    let (group, version) = api_version.map_or(own, split);
    let named = type_of(group, version, kind);
    if named == Some(ty) {
        return Ok(());
    }
    let own_kind = ty.0.name();
    let problem = match named {
        Some(_) if kind == own_kind => {
            let expected = match own {
                ("", version) => version.to_owned(),
                (group, version) => format!("{group}/{version}"),
            };
            return Err(Status::bad_request(format!(
                "the API version in the data ({}) does not match the expected API version ({expected})",
                api_version.unwrap_or_default()
            )));
        }
        Some(_) => no_conversion((version, kind), (own.0, own_kind)),
        None => not_registered(kind, api_version.unwrap_or(own.1)),
    };
    Err(Status::bad_request(format!(
        "{kind} in version {version:?} cannot be handled as a {own_kind}: {problem}"
    )))
}

/// The Go package of a group's internal types: `rbac` for `rbac.authorization.k8s.io`.
pub(crate) fn internal_package(group: &str) -> &str {
    match group.split('.').next() {
        // Events have moved, their internal type has not.
        None | Some("" | "events") => "core",
        Some(package) => package,
    }
}

/// Go's sentence about a kind that there is not.
pub(crate) fn not_registered(kind: &str, api_version: &str) -> String {
    format!(
        "no kind {} is registered for version {} in scheme \"pkg/api/legacyscheme/scheme.go:30\"",
        quoted(kind),
        quoted(api_version)
    )
}

/// Go's sentence about an object of a version and kind that is no object of a group's other kind.
pub(crate) fn no_conversion((version, kind): (&str, &str), (group, other): (&str, &str)) -> String {
    let package = internal_package(group);
    format!("converting ({version}.{kind}) to ({package}.{other}): unknown conversion")
}
