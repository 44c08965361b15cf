//! Who may write roles and bindings: whoever holds what they grant already, or may `escalate` a role or `bind` it.
//!
//! <https://kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping>

use std::fmt::Write;

use inpod::RequestInfo;
use serde_json::{Value, json};

use super::index::{GROUP, rules_of};
use super::rule::Rule;
use super::{Attributes, Decision, MASTERS, Rbac, aggregate, covers};
use crate::breaks::{self, Break};
use crate::quote::{quoted, quoted_list};
use crate::schema::Json;
use crate::{Status, UserInfo};

impl Rbac {
    /// Whether `user` may write `object`, a role or a binding, by the request `info`; `old` is what it replaces. To be asked
    /// once admission is done with the object, and before it is validated: who may not grant is not told what else is wrong.
    ///
    /// # Errors
    /// 403 with the permissions that the user lacks; 404 for a binding whose role is not there.
    pub(crate) fn may_write(
        &self,
        user: &UserInfo,
        info: &RequestInfo,
        object: &Json,
        old: Option<&Json>,
    ) -> Result<(), Status> {
        if breaks::is_on(Break::Escalation) {
            return Ok(());
        }
        if user.in_group(MASTERS) || old.is_some_and(|old| is_for_garbage_collection(object, old)) {
            return Ok(());
        }
        match info.resource.as_str() {
            "roles" | "clusterroles" => self.may_write_role(user, info, object, old),
            _ => self.may_write_binding(user, info, object),
        }
    }

    /// Whether `user` holds every permission of `rules` in `namespace` (empty: everywhere); else the end of the 403's sentence.
    pub(super) fn holds(
        &self,
        user: &UserInfo,
        namespace: &str,
        rules: &[Rule],
    ) -> Result<(), String> {
        if covers::too_many(rules) {
            return Err(format!(
                "user {} is attempting to grant more RBAC permissions than can be compared with those currently held",
                quoted(&user.username)
            ));
        }
        let (held, errors) = self.held(user, namespace);
        let missing = covers::missing(&held, rules);
        if missing.is_empty() {
            return Ok(());
        }
        let mut message = format!(
            "user {} (groups={}) is attempting to grant RBAC permissions not currently held:\n{}",
            quoted(&user.username),
            quoted_list(&user.groups),
            missing.join("\n")
        );
        if let Some(errors) = aggregate(&errors) {
            let _ = write!(message, "; resolution errors: [{errors}]");
        }
        Err(message)
    }

    fn may_write_role(
        &self,
        user: &UserInfo,
        info: &RequestInfo,
        role: &Json,
        old: Option<&Json>,
    ) -> Result<(), Status> {
        let escalate = Attributes {
            verb: "escalate".to_owned(),
            subresource: String::new(),
            ..Attributes::of(info)
        };
        if let Decision::Allow(_) = self.decide(user, &escalate) {
            return Ok(());
        }
        let forbidden = |why: &str| Status::forbidden(GROUP, &info.resource, name_of(role), why);
        self.holds(user, &info.namespace, &rules_of(role))
            .map_err(|why| forbidden(&why))?;
        // An aggregation rule gathers whatever other roles say, now and later.
        if is_aggregated(role) || old.is_some_and(is_aggregated) {
            let everything = [
                json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}),
                json!({"verbs": ["*"], "nonResourceURLs": ["*"]}),
            ];
            self.holds(user, &info.namespace, &everything.each_ref().map(Rule::of))
                .map_err(|_| {
                    forbidden("must have cluster-admin privileges to use the aggregationRule")
                })?;
        }
        Ok(())
    }

    fn may_write_binding(
        &self,
        user: &UserInfo,
        info: &RequestInfo,
        binding: &Json,
    ) -> Result<(), Status> {
        let reference = |key: &str| {
            let role = binding.get("roleRef").and_then(|role| role.get(key));
            role.and_then(Value::as_str).unwrap_or_default()
        };
        let (resource, namespace) = match reference("kind") {
            "Role" => ("roles", info.namespace.as_str()),
            "ClusterRole" => ("clusterroles", ""),
            // Validation has the better answer.
            _ => return Ok(()),
        };
        let name = reference("name");
        let bind = Attributes {
            verb: "bind".to_owned(),
            namespace: info.namespace.clone(),
            group: GROUP.to_owned(),
            version: "*".to_owned(),
            resource: resource.to_owned(),
            name: name.to_owned(),
            is_resource_request: true,
            ..Attributes::default()
        };
        if let Decision::Allow(_) = self.decide(user, &bind) {
            return Ok(());
        }
        let role = self
            .lookup
            .get(GROUP, resource, namespace, name)
            // The real server has the role's name here, and the binding's resource.
            .ok_or_else(|| Status::not_found(GROUP, &info.resource, name))?;
        self.holds(user, &info.namespace, &rules_of(&role.value()))
            .map_err(|why| Status::forbidden(GROUP, &info.resource, name_of(binding), &why))
    }
}

/// Whether nothing changes but what the garbage collector has to change to have the object deleted.
fn is_for_garbage_collection(object: &Json, old: &Json) -> bool {
    let rest = |object: &Json| {
        let mut object = object.clone();
        if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
            for key in [
                "finalizers",
                "ownerReferences",
                "managedFields",
                "resourceVersion",
            ] {
                metadata.shift_remove(key);
            }
        }
        object
    };
    rest(object) == rest(old)
}

fn is_aggregated(role: &Json) -> bool {
    role.get("aggregationRule")
        .and_then(|rule| rule.get("clusterRoleSelectors"))
        .and_then(Value::as_array)
        .is_some_and(|selectors| !selectors.is_empty())
}

fn name_of(object: &Json) -> &str {
    let metadata = object.get("metadata");
    let name = metadata.and_then(|metadata| metadata.get("name"));
    name.and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::auth::testing::FakeStore;

    /// A cluster where the users named in each pair hold the rules beside them, everywhere.
    fn cluster(grants: &[(&str, Value)]) -> Rbac {
        let store = Arc::new(FakeStore::default());
        for (user, rules) in grants {
            let role = json!({"metadata": {"name": user}, "rules": rules});
            store.put(GROUP, "clusterroles", &role);
            let binding = json!({
                "metadata": {"name": user},
                "roleRef": {"kind": "ClusterRole", "name": user},
                "subjects": [{"kind": "User", "name": user}],
            });
            store.put(GROUP, "clusterrolebindings", &binding);
        }
        Rbac::new(store)
    }

    fn request(resource: &str) -> RequestInfo {
        let mut info = RequestInfo::default();
        info.is_resource_request = true;
        info.verb = "create".into();
        info.api_group = GROUP.into();
        info.resource = resource.into();
        info
    }

    fn object(value: &Value) -> Json {
        value.as_object().expect("an object").clone()
    }

    fn rule(verb: &str, resource: &str) -> Value {
        json!([{"verbs": [verb], "apiGroups": ["*"], "resources": [resource]}])
    }

    #[test]
    fn a_role_needs_its_permissions_or_the_right_to_escalate() {
        let rbac = cluster(&[
            ("holder", rule("get", "pods")),
            ("escalator", rule("escalate", "clusterroles")),
            ("other", rule("get", "secrets")),
        ]);
        let role = object(&json!({"metadata": {"name": "r"}, "rules": rule("get", "pods")}));
        let write = |user: &str| {
            rbac.may_write(
                &UserInfo::new(user, []),
                &request("clusterroles"),
                &role,
                None,
            )
        };
        assert_eq!(write("holder"), Ok(()));
        assert_eq!(write("escalator"), Ok(()));
        assert_eq!(
            write("other").expect_err("refused").message,
            "clusterroles.rbac.authorization.k8s.io \"r\" is forbidden: user \"other\" (groups=[]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[\"*\"], Resources:[\"pods\"], Verbs:[\"get\"]}"
        );
    }

    #[test]
    fn an_aggregation_rule_is_for_administrators() {
        let all = json!([
            {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
            {"verbs": ["*"], "nonResourceURLs": ["*"]},
        ]);
        let rbac = cluster(&[
            ("admin", all),
            (
                "most",
                json!([{"verbs": ["get"], "apiGroups": ["*"], "resources": ["*"]}]),
            ),
        ]);
        let role = object(&json!({
            "metadata": {"name": "r"},
            "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]},
        }));
        let write = |user: &str| {
            rbac.may_write(
                &UserInfo::new(user, []),
                &request("clusterroles"),
                &role,
                None,
            )
        };
        assert_eq!(write("admin"), Ok(()));
        assert_eq!(
            write("most").expect_err("refused").message,
            "clusterroles.rbac.authorization.k8s.io \"r\" is forbidden: must have cluster-admin privileges to use the aggregationRule"
        );
    }

    #[test]
    fn a_binding_needs_the_roles_permissions_or_the_right_to_bind() {
        let rbac = cluster(&[
            ("holder", rule("get", "pods")),
            ("binder", rule("bind", "clusterroles")),
            ("escalator", rule("escalate", "clusterroles")),
        ]);
        let binding = |role: &str| {
            object(
                &json!({"metadata": {"name": "b"}, "roleRef": {"kind": "ClusterRole", "name": role}}),
            )
        };
        let write = |user: &str, role: &str| {
            let info = request("clusterrolebindings");
            rbac.may_write(&UserInfo::new(user, []), &info, &binding(role), None)
        };
        assert_eq!(write("holder", "holder"), Ok(()));
        assert_eq!(write("binder", "holder"), Ok(()));
        assert!(write("escalator", "holder").is_err());
        assert_eq!(
            write("holder", "gone"),
            Err(Status::not_found(GROUP, "clusterrolebindings", "gone"))
        );
    }

    #[test]
    fn taking_a_finalizer_off_grants_nothing() {
        let rbac = cluster(&[]);
        let old = object(&json!({
            "metadata": {"name": "r", "finalizers": ["x"], "resourceVersion": "1"},
            "rules": rule("*", "*"),
        }));
        let new = object(&json!({"metadata": {"name": "r"}, "rules": rule("*", "*")}));
        let nobody = UserInfo::new("nobody", []);
        let info = request("clusterroles");
        assert_eq!(rbac.may_write(&nobody, &info, &new, Some(&old)), Ok(()));
        assert!(rbac.may_write(&nobody, &info, &new, None).is_err());
    }
}
