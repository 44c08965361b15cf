//! Nobody grants what they do not hold: <https://kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping>.

use serde_json::{Value, json};

use super::Operation;
use crate::Status;
use crate::auth::{Attributes, Decision};
use crate::registry::Context;
use crate::registry::json::Fields as _;
use crate::schema::Json;
use crate::storage::Lookup as _;

const GROUP: &str = "rbac.authorization.k8s.io";

pub(super) fn admit(
    cx: &Context<'_>,
    operation: Operation<'_>,
    object: &Json,
) -> Result<(), Status> {
    let old = match operation {
        Operation::Create => None,
        Operation::Update(old) if only_collectable_changes(object, old) => return Ok(()),
        Operation::Update(old) => Some(old),
        Operation::Delete(_) => return Ok(()),
    };
    if cx.user.in_group("system:masters") {
        return Ok(());
    }
    match cx.resource.name {
        "roles" | "clusterroles" => may_write_role(cx, object, old),
        _ => may_bind(cx, object),
    }
}

/// A role's rules must be held by whoever writes it, unless they may `escalate`.
fn may_write_role(cx: &Context<'_>, role: &Json, old: Option<&Json>) -> Result<(), Status> {
    let name = role.text("metadata.name");
    let namespace = &cx.info.namespace;
    if allowed(cx, "escalate", cx.resource.name, &cx.info.name) {
        return Ok(());
    }
    let grant = |rules: &[Value]| cx.core.rbac.may_grant(cx.user, namespace, rules);
    let refuse = |why: &str| Status::forbidden(GROUP, cx.resource.name, name, why);
    grant(role.list("rules")).map_err(|why| refuse(&why))?;
    let aggregates = |role: &Json| !role.is_empty_at("aggregationRule.clusterRoleSelectors");
    if aggregates(role) || old.is_some_and(aggregates) {
        let everything = [
            json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}),
            json!({"verbs": ["*"], "nonResourceURLs": ["*"]}),
        ];
        let why = "must have cluster-admin privileges to use the aggregationRule";
        grant(&everything).map_err(|_| refuse(why))?;
    }
    Ok(())
}

/// The rules of a role must be held by whoever binds it, unless they may `bind` it.
fn may_bind(cx: &Context<'_>, binding: &Json) -> Result<(), Status> {
    let role = binding.text("roleRef.name");
    let (resource, role_namespace) = match binding.text("roleRef.kind") {
        "ClusterRole" => ("clusterroles", ""),
        "Role" => ("roles", cx.info.namespace.as_str()),
        // Validation has the better answer.
        _ => return Ok(()),
    };
    if allowed(cx, "bind", resource, role) {
        return Ok(());
    }
    let Some(found) = cx.core.store.get(GROUP, resource, role_namespace, role) else {
        return Err(Status::not_found(GROUP, resource, role));
    };
    cx.core
        .rbac
        .may_grant(cx.user, &cx.info.namespace, found.value().list("rules"))
        .map_err(|why| {
            let name = binding.text("metadata.name");
            Status::forbidden(GROUP, cx.resource.name, name, &why)
        })
}

fn allowed(cx: &Context<'_>, verb: &str, resource: &str, name: &str) -> bool {
    let attributes = Attributes {
        verb: verb.to_owned(),
        namespace: cx.info.namespace.clone(),
        group: GROUP.to_owned(),
        version: "*".to_owned(),
        resource: resource.to_owned(),
        name: name.to_owned(),
        is_resource_request: true,
        ..Attributes::default()
    };
    matches!(
        cx.core.rbac.decide(cx.user, &attributes),
        Decision::Allow(_)
    )
}

/// Whether nothing changes but what garbage collection needs to change to get rid of the object.
fn only_collectable_changes(new: &Json, old: &Json) -> bool {
    let rest = |object: &Json| {
        let mut object = object.clone();
        for field in [
            "ownerReferences",
            "finalizers",
            "managedFields",
            "resourceVersion",
        ] {
            object.take(&format!("metadata.{field}"));
        }
        object
    };
    rest(new) == rest(old)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::json::tests::object;

    #[test]
    fn owners_and_finalizers_are_the_collectors_business() {
        let old = object(json!({"metadata": {"name": "r", "finalizers": ["f"]}, "rules": []}));
        let new = object(json!({"metadata": {"name": "r"}, "rules": []}));
        assert!(only_collectable_changes(&new, &old));
        let new = object(json!({"metadata": {"name": "r"}, "rules": [{"verbs": ["*"]}]}));
        assert!(!only_collectable_changes(&new, &old));
    }
}
