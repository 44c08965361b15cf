//! The roles and bindings of RBAC that every cluster starts with.

use std::sync::OnceLock;

use super::{FieldValidation, Json, decode_json, type_of};

/// One object a line, in the order of the published files.
const ROLES: &str = include_str!("tables/roles.jsonl");

/// The `ClusterRoles`, `Roles` and their bindings that a cluster starts with, those of the controllers included, with kind
/// and apiVersion, in the order of the published files. The rules of aggregated roles (`admin`, `edit`, `view`) are null:
/// gathering them is a controller's work.
pub fn bootstrap_roles() -> &'static [Json] {
    static PARSED: OnceLock<Vec<Json>> = OnceLock::new();
    PARSED.get_or_init(|| ROLES.lines().filter_map(parse).collect())
}

/// What the generator wrote is always good, as a test makes sure.
fn parse(line: &str) -> Option<Json> {
    let kind = line.split('"').nth(3)?;
    let ty = type_of("rbac.authorization.k8s.io", "v1", kind)?;
    let decoded = decode_json(ty, line.as_bytes(), FieldValidation::Ignore).ok()?;
    Some(decoded.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named<'a>(kind: &str, namespace: Option<&str>, name: &str) -> Option<&'a Json> {
        bootstrap_roles().iter().find(|role| {
            let metadata = &role["metadata"];
            role["kind"] == kind
                && metadata["name"] == name
                && metadata.get("namespace").and_then(|n| n.as_str()) == namespace
        })
    }

    #[test]
    fn every_line_is_an_object() {
        assert_eq!(bootstrap_roles().len(), ROLES.lines().count());
    }

    #[test]
    fn roles_and_bindings_of_the_cluster_and_of_namespaces_are_there() {
        assert!(named("ClusterRole", None, "cluster-admin").is_some());
        assert!(
            named(
                "ClusterRole",
                None,
                "system:controller:namespace-controller"
            )
            .is_some()
        );
        assert!(
            named(
                "Role",
                Some("kube-system"),
                "extension-apiserver-authentication-reader"
            )
            .is_some()
        );
        assert!(
            named(
                "RoleBinding",
                Some("kube-public"),
                "system:controller:bootstrap-signer"
            )
            .is_some()
        );
        let binding =
            named("ClusterRoleBinding", None, "system:discovery").expect("it is a default");
        assert_eq!(binding["subjects"][0]["name"], "system:authenticated");
    }
}
