//! Questions about who may what: the review kinds.

use serde_json::{Value, json};

use crate::{Failure, Outcome, Session, case_list, post};

case_list!["reviews":
    whether_another_may,
    whether_a_service_account_may,
    whether_another_may_in_a_namespace,
    whether_one_may_oneself,
    all_that_one_may,
    who_one_is,
    a_question_is_checked,
    a_question_within_a_namespace_is_checked,
];

const GROUP: &str = "/apis/authorization.k8s.io/v1";

/// An account that may read config maps and the one secret `s`, and ask `/metrics`.
async fn granted(s: &mut Session) -> Result<String, Failure> {
    let ns = s.namespace().await?;
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    let rules = json!([
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["s"], "verbs": ["get"]},
        {"apiGroups": ["apps"], "resources": ["*"], "verbs": ["*"]},
        {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
    ]);
    let role = json!({"metadata": {"name": "r"}, "rules": rules});
    let subject = json!({"kind": "ServiceAccount", "name": "default", "namespace": ns});
    let binding = json!({
        "metadata": {"name": "b"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
        "subjects": [subject],
    });
    s.set_up(post(format!("{rbac}/namespaces/{ns}/roles"), &role))
        .await?;
    let bindings = format!("{rbac}/namespaces/{ns}/rolebindings");
    s.set_up(post(bindings, &binding)).await?;
    Ok(ns)
}

/// The attributes of requests that the account may and may not make.
fn attributes(ns: &str) -> Vec<Value> {
    vec![
        json!({"namespace": ns, "verb": "get", "resource": "configmaps"}),
        json!({"namespace": ns, "verb": "get", "resource": "configmaps", "name": "a", "version": "v1"}),
        json!({"namespace": ns, "verb": "delete", "resource": "configmaps"}),
        json!({"namespace": "other", "verb": "get", "resource": "configmaps"}),
        json!({"verb": "get", "resource": "configmaps"}),
        json!({"namespace": ns, "verb": "get", "resource": "secrets"}),
        json!({"namespace": ns, "verb": "get", "resource": "secrets", "name": "s"}),
        json!({"namespace": ns, "verb": "get", "resource": "secrets", "name": "t"}),
        json!({"namespace": ns, "verb": "scale", "group": "apps", "resource": "deployments"}),
        json!({"namespace": ns, "verb": "get", "resource": "pods", "subresource": "log"}),
        json!({"namespace": ns, "verb": "get", "resource": "pods"}),
        json!({"namespace": ns, "verb": "*", "resource": "configmaps"}),
        json!({"namespace": ns, "verb": "list", "resource": "configmaps", "fieldSelector": {"rawSelector": "a=b"}}),
    ]
}

async fn whether_another_may(s: &mut Session) -> Outcome {
    let reviews = format!("{GROUP}/subjectaccessreviews");
    for spec in [
        json!({"user": "jane", "resourceAttributes": {"verb": "get", "resource": "pods"}}),
        json!({"user": "jane", "groups": ["system:masters"], "resourceAttributes": {"verb": "get", "resource": "pods"}}),
        json!({"user": "jane", "groups": ["system:authenticated"], "nonResourceAttributes": {"verb": "get", "path": "/apis"}}),
        json!({"user": "jane", "nonResourceAttributes": {"verb": "get", "path": "/metrics"}}),
        json!({"groups": ["system:unauthenticated"], "nonResourceAttributes": {"verb": "get", "path": "/version"}}),
        json!({"user": "jane", "uid": "u", "extra": {"e": ["1"]}, "resourceAttributes": {"verb": "*", "group": "*", "resource": "*"}}),
    ] {
        s.send(post(&reviews, &json!({"spec": spec}))).await?;
    }
    Ok(())
}

async fn whether_a_service_account_may(s: &mut Session) -> Outcome {
    let ns = granted(s).await?;
    let user = format!("system:serviceaccount:{ns}:default");
    for attributes in attributes(&ns) {
        let spec = json!({"user": user, "resourceAttributes": attributes});
        let reviews = format!("{GROUP}/subjectaccessreviews");
        s.send(post(reviews, &json!({"spec": spec}))).await?;
    }
    Ok(())
}

async fn whether_another_may_in_a_namespace(s: &mut Session) -> Outcome {
    let ns = granted(s).await?;
    let user = format!("system:serviceaccount:{ns}:default");
    let reviews = format!("{GROUP}/namespaces/{ns}/localsubjectaccessreviews");
    for attributes in attributes(&ns) {
        let spec = json!({"user": user, "resourceAttributes": attributes});
        s.send(post(&reviews, &json!({"spec": spec}))).await?;
    }
    Ok(())
}

async fn whether_one_may_oneself(s: &mut Session) -> Outcome {
    let ns = granted(s).await?;
    let user = format!("system:serviceaccount:{ns}:default");
    let reviews = format!("{GROUP}/selfsubjectaccessreviews");
    for attributes in attributes(&ns) {
        let body = json!({"spec": {"resourceAttributes": attributes}});
        s.send(post(&reviews, &body).impersonate(&user)).await?;
    }
    let body =
        json!({"spec": {"resourceAttributes": {"verb": "get", "group": "*", "resource": "*"}}});
    s.send(post(&reviews, &body)).await?;
    s.send(post(&reviews, &body).anonymous()).await?;
    Ok(())
}

/// The rules come in the order of the bindings, which is any.
async fn all_that_one_may(s: &mut Session) -> Outcome {
    let ns = granted(s).await?;
    let user = format!("system:serviceaccount:{ns}:default");
    let reviews = format!("{GROUP}/selfsubjectrulesreviews");
    for (namespace, user) in [
        (ns.as_str(), Some(&user)),
        ("other", Some(&user)),
        (ns.as_str(), None),
    ] {
        let request = post(&reviews, &json!({"spec": {"namespace": namespace}}));
        let request = match user {
            Some(user) => request.impersonate(user),
            None => request,
        };
        let answer = s.ask_aside(request).await?;
        for kind in ["resourceRules", "nonResourceRules"] {
            let rules = answer.at(&format!("/status/{kind}"));
            let mut rules = rules.as_array().cloned().unwrap_or_default();
            rules.sort_by_key(ToString::to_string);
            s.observe(kind, rules);
        }
        s.observe("incomplete", answer.at("/status/incomplete"));
    }
    s.send(post(&reviews, &json!({"spec": {}}))).await?;
    s.send(post(&reviews, &json!({}))).await?;
    Ok(())
}

async fn who_one_is(s: &mut Session) -> Outcome {
    let reviews = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    s.send(post(reviews, &json!({})).impersonate("jane"))
        .await?;
    s.send(
        post(reviews, &json!({}))
            .impersonate("system:serviceaccount:default:default")
            .header("impersonate-extra-some%2fkey", "1"),
    )
    .await?;
    s.send(post(reviews, &json!({})).anonymous()).await?;
    s.send(post(reviews, &json!({"metadata": {"name": "a"}})).impersonate("jane"))
        .await?;
    Ok(())
}

async fn a_question_is_checked(s: &mut Session) -> Outcome {
    let resource = json!({"verb": "get", "resource": "pods"});
    let path = json!({"verb": "get", "path": "/healthz"});
    for spec in [
        json!({}),
        json!({"user": "jane"}),
        json!({"resourceAttributes": resource}),
        json!({"user": "jane", "resourceAttributes": resource, "nonResourceAttributes": path}),
        json!({"user": "jane", "resourceAttributes": {"labelSelector": {"rawSelector": "a=b", "requirements": []}}}),
        json!({"user": "jane", "resourceAttributes": {"fieldSelector": {}}}),
        json!({"user": "jane", "resourceAttributes": {"fieldSelector": {"requirements": [{"key": "a", "operator": "Near"}]}}}),
    ] {
        let reviews = format!("{GROUP}/subjectaccessreviews");
        s.send(post(reviews, &json!({"spec": spec}))).await?;
    }
    for spec in [
        json!({}),
        json!({"resourceAttributes": resource, "nonResourceAttributes": path}),
    ] {
        let reviews = format!("{GROUP}/selfsubjectaccessreviews");
        s.send(post(reviews, &json!({"spec": spec}))).await?;
    }
    Ok(())
}

async fn a_question_within_a_namespace_is_checked(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let reviews = format!("{GROUP}/namespaces/{ns}/localsubjectaccessreviews");
    for spec in [
        json!({"user": "jane", "resourceAttributes": {"verb": "get", "resource": "pods"}}),
        json!({"user": "jane", "resourceAttributes": {"namespace": "other", "verb": "get", "resource": "pods"}}),
        json!({"user": "jane", "nonResourceAttributes": {"verb": "get", "path": "/healthz"}}),
        json!({"resourceAttributes": {"namespace": ns, "verb": "get", "resource": "pods"}}),
    ] {
        s.send(post(&reviews, &json!({"spec": spec}))).await?;
    }
    Ok(())
}
