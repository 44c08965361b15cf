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
pub(crate) fn split(api_version: &str) -> (&str, &str) {
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
/// As [`check_named`].
pub(super) fn check_kind(ty: Type, body: &Json) -> Result<(), Status> {
    let text = |key: &str| body.get(key).and_then(serde_json::Value::as_str);
    let named = (text("apiVersion").unwrap_or(""), text("kind").unwrap_or(""));
    let (group, version) = ty.group_version();
    let own = (group, version, ty.0.name());
    let (group, version, kind) = completed(named, own);
    // Some, `DeleteOptions` for one, are of every group.
    if type_of(group, version, kind) == Some(ty) {
        return Ok(());
    }
    check_named(named, own)
}

/// Group, version and kind that a body names, or else its own.
fn completed<'a>(
    (api_version, kind): (&'a str, &'a str),
    own: (&'a str, &'a str, &'a str),
) -> (&'a str, &'a str, &'a str) {
    let kind = if kind.is_empty() { own.2 } else { kind };
    let (group, version) = match api_version {
        "" => (own.0, own.1),
        named => split(named),
    };
    (group, version, kind)
}

/// Makes sure that a body with this `apiVersion` and kind is one of the group, version and kind. What it leaves out is theirs.
///
/// # Errors
/// 400 with the real server's message.
pub(crate) fn check_named(named: (&str, &str), own: (&str, &str, &str)) -> Result<(), Status> {
    let (group, version, kind) = completed(named, own);
    if (group, version, kind) == own {
        return Ok(());
    }
    let (own_group, own_version, own_kind) = own;
    let problem = match type_of(group, version, kind) {
        Some(_) if kind == own_kind => {
            return Err(Status::bad_request(format!(
                "the API version in the data ({}) does not match the expected API version ({})",
                named.0,
                api_version(own_group, own_version)
            )));
        }
        Some(_) => no_conversion((version, kind), (own_group, own_kind)),
        None => not_registered(kind, &api_version(group, version)),
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
