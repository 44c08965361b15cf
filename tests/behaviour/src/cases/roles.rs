//! What a cluster's own roles allow, and to whom they are bound.

use serde_json::{Value, json};

use crate::{Answer, Failure, Outcome, Session, case_list, get, post};

case_list!["roles":
    the_default_cluster_roles,
    the_default_cluster_role_bindings,
    the_roles_that_are_gathered,
    what_a_viewer_may,
    what_an_editor_may,
    what_an_administrator_may,
    what_a_cluster_administrator_may,
    a_role_is_gathered_from_others,
    roles_and_bindings_are_checked,
];

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";

/// Shows the parts that are every cluster's.
fn show(s: &mut Session, object: &Answer, parts: &[&str]) {
    for part in ["/metadata/labels", "/metadata/annotations"]
        .iter()
        .chain(parts)
    {
        s.observe(part, object.at(part));
    }
}

/// The rules of the roles that an account may be bound to, and those of everybody. Those of Kubernetes' own parts are theirs.
async fn the_default_cluster_roles(s: &mut Session) -> Outcome {
    for name in [
        "cluster-admin",
        "system:discovery",
        "system:basic-user",
        "system:public-info-viewer",
        "system:monitoring",
        "system:service-account-issuer-discovery",
        "system:aggregate-to-view",
        "system:aggregate-to-edit",
        "system:aggregate-to-admin",
        "system:auth-delegator",
    ] {
        let role = s
            .ask_aside(get(format!("{RBAC}/clusterroles/{name}")))
            .await?;
        s.observe(name, role.status);
        show(s, &role, &["/rules", "/aggregationRule"]);
    }
    Ok(())
}

async fn the_default_cluster_role_bindings(s: &mut Session) -> Outcome {
    for name in [
        "cluster-admin",
        "system:discovery",
        "system:basic-user",
        "system:public-info-viewer",
        "system:monitoring",
        "system:service-account-issuer-discovery",
    ] {
        let binding = s
            .ask_aside(get(format!("{RBAC}/clusterrolebindings/{name}")))
            .await?;
        s.observe(name, binding.status);
        show(s, &binding, &["/roleRef", "/subjects"]);
    }
    Ok(())
}

async fn the_roles_that_are_gathered(s: &mut Session) -> Outcome {
    for name in ["view", "edit", "admin"] {
        let role = s
            .ask_aside(get(format!("{RBAC}/clusterroles/{name}")))
            .await?;
        show(s, &role, &["/rules", "/aggregationRule"]);
    }
    Ok(())
}

/// Binds a cluster role to a user within a new namespace.
async fn bound(s: &mut Session, role: &str, user: &str) -> Result<String, Failure> {
    let ns = s.namespace().await?;
    let binding = json!({
        "metadata": {"name": "b"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    });
    s.set_up(post(
        format!("{RBAC}/namespaces/{ns}/rolebindings"),
        &binding,
    ))
    .await?;
    Ok(ns)
}

async fn what_is_allowed(s: &mut Session, role: &str) -> Outcome {
    let user = format!("a-{role}");
    let ns = bound(s, role, &user).await?;
    for (group, resource) in [
        ("", "configmaps"),
        ("", "secrets"),
        ("", "pods"),
        ("", "pods/exec"),
        ("", "pods/log"),
        ("", "services"),
        ("", "serviceaccounts"),
        ("", "serviceaccounts/token"),
        ("", "namespaces"),
        ("", "nodes"),
        ("", "endpoints"),
        ("", "events"),
        ("", "resourcequotas"),
        ("apps", "deployments"),
        ("batch", "jobs"),
        ("coordination.k8s.io", "leases"),
        ("discovery.k8s.io", "endpointslices"),
        ("rbac.authorization.k8s.io", "roles"),
        ("rbac.authorization.k8s.io", "clusterroles"),
        ("nothing.example", "things"),
    ] {
        let mut allowed = Vec::new();
        for verb in [
            "get",
            "list",
            "watch",
            "create",
            "update",
            "delete",
            "deletecollection",
            "bind",
            "impersonate",
        ] {
            let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
            let attributes = json!({
                "namespace": ns, "verb": verb, "group": group, "resource": resource, "subresource": subresource,
            });
            let spec = json!({"user": user, "resourceAttributes": attributes});
            let reviews = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
            let review = s.ask_aside(post(reviews, &json!({"spec": spec}))).await?;
            if review.at("/status/allowed") == true {
                allowed.push(Value::from(verb));
            }
        }
        s.observe(resource, allowed);
    }
    Ok(())
}

async fn what_a_viewer_may(s: &mut Session) -> Outcome {
    what_is_allowed(s, "view").await
}

async fn what_an_editor_may(s: &mut Session) -> Outcome {
    what_is_allowed(s, "edit").await
}

async fn what_an_administrator_may(s: &mut Session) -> Outcome {
    what_is_allowed(s, "admin").await
}

async fn what_a_cluster_administrator_may(s: &mut Session) -> Outcome {
    what_is_allowed(s, "cluster-admin").await
}

async fn a_role_is_gathered_from_others(s: &mut Session) -> Outcome {
    let label = s.name("gather");
    let whole = s.name("whole");
    let parts = [s.name("part"), s.name("part")];
    let selector = json!({"matchLabels": {label.as_str(): "true"}});
    let gathered = json!({
        "metadata": {"name": whole}, "aggregationRule": {"clusterRoleSelectors": [selector]},
        "rules": [{"apiGroups": [""], "resources": ["lost"], "verbs": ["get"]}],
    });
    s.send(post(format!("{RBAC}/clusterroles"), &gathered))
        .await?;
    s.clean_up_later(format!("{RBAC}/clusterroles/{whole}"));
    for (part, resource) in parts.iter().zip(["pods", "nodes"]) {
        let role = json!({
            "metadata": {"name": part, "labels": {label.as_str(): "true"}},
            "rules": [{"apiGroups": [""], "resources": [resource], "verbs": ["get"]}],
        });
        s.set_up(post(format!("{RBAC}/clusterroles"), &role))
            .await?;
        s.clean_up_later(format!("{RBAC}/clusterroles/{part}"));
    }
    let request = get(format!("{RBAC}/clusterroles/{whole}"));
    let both = |role: &Answer| {
        role.at("/rules")
            .as_array()
            .is_some_and(|rules| rules.len() == 2)
    };
    let role = s.eventually_aside(&request, both).await?;
    let rules = role.at("/rules");
    let rules = rules.as_array().into_iter().flatten();
    let mut resources: Vec<Value> = rules.map(|rule| rule["resources"][0].clone()).collect();
    resources.sort_by_key(ToString::to_string);
    s.observe("gathered", resources);
    Ok(())
}

async fn roles_and_bindings_are_checked(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    for rules in [
        json!([{}]),
        json!([{"verbs": ["get"]}]),
        json!([{"verbs": ["get"], "apiGroups": [""]}]),
        json!([{"verbs": [], "apiGroups": [""], "resources": ["pods"]}]),
        json!([{"verbs": ["get"], "nonResourceURLs": ["/a"]}]),
        json!([{"verbs": ["get"], "nonResourceURLs": ["/a"], "apiGroups": [""]}]),
    ] {
        let role = json!({"metadata": {"name": "r"}, "rules": rules});
        for collection in ["clusterroles".to_owned(), format!("namespaces/{ns}/roles")] {
            s.send(post(format!("{RBAC}/{collection}?dryRun=All"), &role))
                .await?;
        }
    }
    let good = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"});
    for (reference, subjects) in [
        (json!({}), json!([])),
        (json!({"kind": "Role", "name": "r"}), json!([])),
        (
            json!({"apiGroup": "v1", "kind": "Part", "name": "a/b"}),
            json!([]),
        ),
        (good.clone(), json!([{}])),
        (
            good.clone(),
            json!([{"kind": "User", "name": "jane", "apiGroup": "v1"}]),
        ),
        (
            good.clone(),
            json!([{"kind": "User", "name": "jane", "namespace": "a"}]),
        ),
        (
            good.clone(),
            json!([{"kind": "ServiceAccount", "name": "A"}]),
        ),
        (
            good.clone(),
            json!([{"kind": "ServiceAccount", "name": "a", "apiGroup": "v1"}]),
        ),
        (good.clone(), json!([{"kind": "Robot", "name": "r"}])),
    ] {
        let binding =
            json!({"metadata": {"name": "b"}, "roleRef": reference, "subjects": subjects});
        for collection in [
            "clusterrolebindings".to_owned(),
            format!("namespaces/{ns}/rolebindings"),
        ] {
            s.send(post(format!("{RBAC}/{collection}?dryRun=All"), &binding))
                .await?;
        }
    }
    Ok(())
}
