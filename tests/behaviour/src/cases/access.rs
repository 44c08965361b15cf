//! Who is who, and may do what: tokens, the accounts of Pods, RBAC and impersonation.

use serde_json::{Value, json};

use crate::{Failure, Outcome, Session, case_list, delete, get, post};

case_list![
    "access":
    a_pod_gets_a_token,
    a_token_dies_with_its_pod,
    a_token_is_for_its_audiences,
    an_account_that_was_granted_nothing,
    nobody_grants_what_they_do_not_hold,
    an_impersonated_user,
    nobody_and_bad_tokens,
    what_is_asked_of_a_token,
];

async fn token(s: &mut Session, ns: &str, spec: &Value) -> Result<String, Failure> {
    let path = format!("/api/v1/namespaces/{ns}/serviceaccounts/default/token");
    let answer = s.set_up(post(path, &json!({"spec": spec}))).await?;
    answer.text("/status/token")
}

fn pod() -> Value {
    json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
}

async fn a_pod_gets_a_token(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    s.send(post(format!("/api/v1/namespaces/{ns}/pods"), &pod()))
        .await?;
    let mut without = pod();
    without["metadata"]["name"] = json!("q");
    without["spec"]["automountServiceAccountToken"] = json!(false);
    s.send(post(format!("/api/v1/namespaces/{ns}/pods"), &without))
        .await?;
    let mut other = pod();
    other["spec"]["serviceAccountName"] = json!("nobody");
    s.send(post(format!("/api/v1/namespaces/{ns}/pods"), &other))
        .await?;
    Ok(())
}

async fn a_token_dies_with_its_pod(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let pods = format!("/api/v1/namespaces/{ns}/pods");
    let created = s.set_up(post(&pods, &pod())).await?;
    let uid = created.text("/metadata/uid")?;
    let bound =
        json!({"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "p", "uid": uid}});
    let token = token(s, &ns, &bound).await?;
    s.set_up(get("/apis").bearer(&token)).await?;
    s.set_up(delete(format!("{pods}/p?gracePeriodSeconds=0")))
        .await?;
    // A real server remembers for ten seconds that a token was good.
    s.eventually(get("/version").bearer(&token), |answer| {
        answer.status == 401
    })
    .await?;
    Ok(())
}

async fn a_token_is_for_its_audiences(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let vault = token(s, &ns, &json!({"audiences": ["vault"]})).await?;
    s.send(get("/version").bearer(&vault)).await?;
    let review = |audiences: Value| {
        let spec = json!({"token": vault, "audiences": audiences});
        post(
            "/apis/authentication.k8s.io/v1/tokenreviews",
            &json!({"spec": spec}),
        )
    };
    for audiences in [
        json!(["vault"]),
        json!(["vault", "other"]),
        json!(["other"]),
        json!([]),
    ] {
        let answer = s.set_up(review(audiences)).await?;
        for part in [
            "/status/authenticated",
            "/status/audiences",
            "/status/error",
            "/status/user",
        ] {
            s.observe(part, answer.at(part));
        }
    }
    Ok(())
}

async fn an_account_that_was_granted_nothing(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let token = token(s, &ns, &json!({})).await?;
    for path in [
        "/".to_owned(),
        "/healthz/ping".to_owned(),
        "/metrics".to_owned(),
        "/api/v1/pods".to_owned(),
        "/api/v1/nodes/n".to_owned(),
        "/apis/nothing.example/v1/things".to_owned(),
        format!("/api/v1/namespaces/{ns}/pods"),
        format!("/api/v1/namespaces/{ns}/pods/p"),
        format!("/api/v1/namespaces/{ns}/pods/p/log"),
        format!("/api/v1/namespaces/{ns}/serviceaccounts/default"),
        format!("/api/v1/namespaces/{ns}/secrets?watch=1"),
    ] {
        s.send(get(path).bearer(&token)).await?;
    }
    s.send(delete(format!("/api/v1/namespaces/{ns}/pods")).bearer(&token))
        .await?;
    s.send(post(format!("/api/v1/namespaces/{ns}/pods"), &pod()).bearer(&token))
        .await?;
    let path = format!("/api/v1/namespaces/{ns}/serviceaccounts/default/token");
    s.send(post(path, &json!({})).bearer(&token)).await?;
    for path in ["/healthz", "/livez", "/readyz"] {
        s.send(get(path).bearer(&token)).await?;
    }
    Ok(())
}

async fn nobody_grants_what_they_do_not_hold(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let rbac = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}");
    let user = "system:serviceaccount:other:writer";
    // All verbs would have `escalate` and `bind` among them.
    let rules = json!([
        {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"], "verbs": ["create"]},
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]},
    ]);
    s.set_up(post(
        format!("{rbac}/roles"),
        &json!({"metadata": {"name": "writer"}, "rules": rules}),
    ))
    .await?;
    let binding = |name: &str, kind: &str, role: &str| {
        json!({
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": "writer", "namespace": "other"}],
        })
    };
    s.set_up(post(
        format!("{rbac}/rolebindings"),
        &binding("writer", "Role", "writer"),
    ))
    .await?;
    for (name, resource, verbs) in [
        ("held", "configmaps", json!(["get"])),
        ("more", "configmaps", json!(["get", "update"])),
        ("other", "secrets", json!(["get"])),
    ] {
        let rules = json!([{"apiGroups": [""], "resources": [resource], "verbs": verbs}]);
        let body = json!({"metadata": {"name": name}, "rules": rules});
        s.send(post(format!("{rbac}/roles"), &body).impersonate(user))
            .await?;
    }
    for (name, kind, role) in [
        ("a", "Role", "held"),
        ("b", "ClusterRole", "system:basic-user"),
        ("c", "Role", "none"),
        ("d", "ClusterRole", "none"),
    ] {
        let body = binding(name, kind, role);
        s.send(post(format!("{rbac}/rolebindings"), &body).impersonate(user))
            .await?;
    }
    Ok(())
}

async fn an_impersonated_user(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let all = format!("/api/v1/namespaces/{ns}/configmaps");
    s.send(get(&all).impersonate("jane")).await?;
    s.send(
        get(&all)
            .impersonate("jane")
            .header("impersonate-group", "system:masters"),
    )
    .await?;
    s.send(get(&all).header("impersonate-group", "developers"))
        .await?;
    let token = token(s, &ns, &json!({})).await?;
    s.send(get(&all).bearer(&token).impersonate("jane")).await?;
    Ok(())
}

async fn nobody_and_bad_tokens(s: &mut Session) -> Outcome {
    for path in ["/api", "/api/v1/pods", "/healthz"] {
        s.send(get(path).anonymous()).await?;
    }
    for value in ["Bearer nothing", "Bearer ", "Basic YTpi", "Bearer a.b.c"] {
        s.send(
            get("/api/v1/pods")
                .anonymous()
                .header("authorization", value),
        )
        .await?;
    }
    Ok(())
}

async fn what_is_asked_of_a_token(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let path = format!("/api/v1/namespaces/{ns}/serviceaccounts/default/token");
    for spec in [
        json!({"expirationSeconds": 599}),
        json!({"expirationSeconds": -1}),
        json!({"expirationSeconds": 4_294_967_297_u64}),
        json!({"boundObjectRef": {"kind": "ConfigMap", "apiVersion": "v1", "name": "x"}}),
        json!({"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "none"}}),
        json!({"expirationSeconds": 600}),
        json!({"expirationSeconds": 3607}),
    ] {
        s.send(post(&path, &json!({"spec": spec}))).await?;
    }
    s.send(post(&path, &json!({"metadata": {"name": "other"}})))
        .await?;
    s.send(post(
        format!("/api/v1/namespaces/{ns}/serviceaccounts/none/token"),
        &json!({}),
    ))
    .await?;
    Ok(())
}
