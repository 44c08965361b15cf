use serde_json::Value;

use super::aggregation::aggregate;
use crate::schema::{self, Json};

/// The roles and bindings that a cluster starts with, with kind and apiVersion, in an order in which they can be created: roles
/// before what binds them. The roles that gather others' rules have them already, so that `view` works from the first request on.
pub(crate) fn bootstrap_objects() -> Vec<Json> {
    const ORDER: [&str; 4] = ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"];
    let rank = |object: &Json| {
        let kind = object.get("kind").and_then(Value::as_str);
        ORDER.iter().position(|k| Some(*k) == kind)
    };
    let mut objects = schema::bootstrap_roles().to_vec();
    for object in &mut objects {
        if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
            metadata.shift_remove("creationTimestamp");
        }
    }
    objects.sort_by_key(rank);
    let roles = objects.partition_point(|object| rank(object) == Some(0));
    aggregate(&mut objects[..roles]);
    objects
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::UserInfo;
    use crate::auth::rbac::index::GROUP;
    use crate::auth::rbac::{Attributes, Decision, Rbac};
    use crate::auth::testing::FakeStore;

    /// A new cluster, with those roles bound to a user of their name.
    fn cluster(bound: &[&str]) -> Rbac {
        let store = Arc::new(FakeStore::default());
        for object in bootstrap_objects() {
            let kind = object["kind"]
                .as_str()
                .expect("a kind")
                .to_ascii_lowercase();
            store.put(GROUP, &format!("{kind}s"), &Value::Object(object));
        }
        for role in bound {
            let binding = serde_json::json!({
                "metadata": {"name": role},
                "roleRef": {"kind": "ClusterRole", "name": role},
                "subjects": [{"kind": "User", "name": role}],
            });
            store.put(GROUP, "clusterrolebindings", &binding);
        }
        Rbac::new(store)
    }

    fn gets(rbac: &Rbac, user: &UserInfo, path: &str) -> bool {
        let asked = Attributes {
            verb: "get".into(),
            path: path.into(),
            ..Attributes::default()
        };
        matches!(rbac.decide(user, &asked), Decision::Allow(_))
    }

    /// `resource` may name a group and a subresource: `apps/deployments` is not one, `deployments.apps` and `pods/log` are.
    fn may(rbac: &Rbac, user: &UserInfo, verb: &str, resource: &str) -> bool {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let (resource, group) = resource.split_once('.').unwrap_or((resource, ""));
        let asked = Attributes {
            verb: verb.into(),
            namespace: "default".into(),
            group: group.into(),
            resource: resource.into(),
            subresource: subresource.into(),
            is_resource_request: true,
            ..Attributes::default()
        };
        matches!(rbac.decide(user, &asked), Decision::Allow(_))
    }

    fn account() -> UserInfo {
        let groups = [
            "system:serviceaccounts",
            "system:serviceaccounts:default",
            "system:authenticated",
        ];
        UserInfo::new("system:serviceaccount:default:default", groups)
    }

    #[test]
    fn objects_come_as_they_are_published_and_in_the_order_of_their_needs() {
        let objects = bootstrap_objects();
        assert!(objects.len() > 100, "{}", objects.len());
        let mut roles = Vec::new();
        for object in &objects {
            let metadata = &object["metadata"];
            let name = &metadata["name"];
            assert_eq!(
                metadata["annotations"]["rbac.authorization.kubernetes.io/autoupdate"], "true",
                "{name}"
            );
            assert_eq!(metadata.get("creationTimestamp"), None, "{name}");
            assert_eq!(
                object["apiVersion"], "rbac.authorization.k8s.io/v1",
                "{name}"
            );
            match object.get("roleRef") {
                None => roles.push((&object["kind"], metadata.get("namespace"), name)),
                Some(role) => {
                    let namespace = metadata.get("namespace").filter(|_| role["kind"] == "Role");
                    assert!(
                        roles.contains(&(&role["kind"], namespace, &role["name"])),
                        "{name}"
                    );
                }
            }
        }
    }

    #[test]
    fn an_account_without_a_role_may_look_around_and_no_more() {
        let (rbac, account) = (cluster(&[]), account());
        for path in [
            "/api",
            "/api/v1",
            "/apis",
            "/apis/apps/v1",
            "/openapi/v2",
            "/openapi/v3/api/v1",
            "/version",
            "/version/",
            "/healthz",
            "/livez",
            "/readyz",
            "/.well-known/openid-configuration",
            "/openid/v1/jwks",
        ] {
            assert!(gets(&rbac, &account, path), "{path}");
        }
        for path in ["/", "/metrics", "/healthz/ping", "/logs", "/apisx"] {
            assert!(!gets(&rbac, &account, path), "{path}");
        }
        for review in [
            "selfsubjectaccessreviews.authorization.k8s.io",
            "selfsubjectrulesreviews.authorization.k8s.io",
            "selfsubjectreviews.authentication.k8s.io",
        ] {
            assert!(may(&rbac, &account, "create", review), "{review}");
        }
        for resource in [
            "pods",
            "services",
            "serviceaccounts",
            "configmaps",
            "nodes",
            "namespaces",
        ] {
            for verb in ["get", "list", "watch", "create"] {
                assert!(!may(&rbac, &account, verb, resource), "{verb} {resource}");
            }
        }
        assert!(!may(&rbac, &account, "create", "serviceaccounts/token"));
        assert!(!may(
            &rbac,
            &account,
            "create",
            "tokenreviews.authentication.k8s.io"
        ));
    }

    #[test]
    fn the_anonymous_may_ask_whether_the_server_lives() {
        let (rbac, nobody) = (cluster(&[]), UserInfo::anonymous());
        for path in ["/healthz", "/livez", "/readyz", "/version"] {
            assert!(gets(&rbac, &nobody, path), "{path}");
        }
        for path in [
            "/",
            "/api",
            "/apis",
            "/openid/v1/jwks",
            "/.well-known/openid-configuration",
        ] {
            assert!(!gets(&rbac, &nobody, path), "{path}");
        }
    }

    #[test]
    fn the_roles_for_users_gather_what_they_are_known_for() {
        let rbac = cluster(&["view", "edit", "admin", "cluster-admin"]);
        let allowed = |user: &str, verb: &str, resource: &str| {
            may(&rbac, &UserInfo::new(user, []), verb, resource)
        };
        for (verb, resource, least) in [
            ("list", "pods", "view"),
            ("get", "pods/log", "view"),
            ("watch", "deployments.apps", "view"),
            ("get", "secrets", "edit"),
            ("create", "pods", "edit"),
            ("create", "serviceaccounts/token", "edit"),
            ("impersonate", "serviceaccounts", "edit"),
            ("create", "rolebindings.rbac.authorization.k8s.io", "admin"),
            (
                "create",
                "clusterroles.rbac.authorization.k8s.io",
                "cluster-admin",
            ),
            ("delete", "nodes", "cluster-admin"),
        ] {
            let users = ["view", "edit", "admin", "cluster-admin"];
            let first = users.into_iter().find(|user| allowed(user, verb, resource));
            assert_eq!(first, Some(least), "{verb} {resource}");
        }
    }
}
