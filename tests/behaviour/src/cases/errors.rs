//! What is refused, and in which words.

use http::Method;
use serde_json::{Value, json};

use crate::{Failure, Outcome, Request, Session, case_list, delete, get, patch, post, put};

case_list!["errors":
    bodies_that_are_no_json,
    bodies_of_other_types,
    bodies_of_another_kind,
    bodies_about_another_object,
    values_of_another_type,
    names_that_are_none,
    metadata_that_is_not_allowed,
    finalizers_need_a_domain,
    a_name_that_is_taken,
    objects_that_are_not_there,
    methods_that_resources_have_not,
    options_that_are_none,
    an_update_of_another_uid,
    an_immutable_object_stays,
    a_namespace_that_is_not_there,
    a_body_that_is_too_large,
];

async fn config_maps(s: &mut Session) -> Result<String, Failure> {
    let ns = s.namespace().await?;
    Ok(format!("/api/v1/namespaces/{ns}/configmaps"))
}

fn named(name: &str) -> Value {
    json!({"metadata": {"name": name}})
}

async fn bodies_that_are_no_json(s: &mut Session) -> Outcome {
    let all = config_maps(s).await?;
    for body in ["", " ", "{", "[]", "null", "\"a\"", "{}x", "{\"a\":}", "\0"] {
        let request = Request::new(Method::POST, &all).body("application/json", body);
        s.send(request).await?;
    }
    Ok(())
}

async fn bodies_of_other_types(s: &mut Session) -> Outcome {
    let all = config_maps(s).await?;
    for content_type in [
        "text/plain",
        "application/xml",
        "application/json-patch+json",
        "nonsense",
        "application/json; charset=utf-8",
        "application/yaml",
    ] {
        let body = named("a").to_string();
        s.send(Request::new(Method::POST, &all).body(content_type, body))
            .await?;
        s.ask_aside(delete(format!("{all}/a"))).await?;
    }
    s.send(Request::new(Method::PATCH, format!("{all}/a")).body("application/json", "{}"))
        .await?;
    Ok(())
}

async fn bodies_of_another_kind(s: &mut Session) -> Outcome {
    let all = config_maps(s).await?;
    for (version, kind) in [
        ("v1", "Secret"),
        ("v1", "Pods"),
        ("v2", "ConfigMap"),
        ("apps/v1", "Deployment"),
        ("apps/v1", "ConfigMap"),
        ("nothing.example/v1", "Thing"),
        ("a/b/c", "ConfigMap"),
        ("v1", ""),
        ("", "ConfigMap"),
        ("", "Secret"),
        ("v1", "ConfigMapList"),
        ("v1", "Status"),
    ] {
        let body = json!({"kind": kind, "apiVersion": version, "metadata": {"name": "a"}});
        s.send(post(&all, &body)).await?;
        s.ask_aside(delete(format!("{all}/a"))).await?;
    }
    Ok(())
}

async fn bodies_about_another_object(s: &mut Session) -> Outcome {
    let all = config_maps(s).await?;
    s.set_up(post(&all, &named("a"))).await?;
    for metadata in [
        json!({"name": "b"}),
        json!({}),
        json!({"name": "a", "namespace": "other"}),
        json!({"name": "a", "generateName": "c-"}),
    ] {
        s.send(put(format!("{all}/a"), &json!({"metadata": metadata})))
            .await?;
    }
    let elsewhere = json!({"metadata": {"name": "c", "namespace": "other"}});
    s.send(post(&all, &elsewhere)).await?;
    let known = json!({"metadata": {"name": "c", "resourceVersion": "1"}});
    s.send(post(&all, &known)).await?;
    s.send(patch(format!("{all}/a"), "merge", &named("b")))
        .await?;
    let elsewhere = json!({"metadata": {"namespace": "other"}});
    s.send(patch(format!("{all}/a"), "merge", &elsewhere))
        .await?;
    Ok(())
}

async fn values_of_another_type(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let at = |resource: &str| format!("/api/v1/namespaces/{ns}/{resource}");
    for (resource, body) in [
        ("configmaps", json!({"metadata": "a"})),
        ("configmaps", json!({"metadata": {"name": 1}})),
        (
            "configmaps",
            json!({"metadata": {"name": "a"}, "data": {"k": 1}}),
        ),
        (
            "configmaps",
            json!({"metadata": {"name": "a"}, "data": ["v"]}),
        ),
        (
            "configmaps",
            json!({"metadata": {"name": "a"}, "binaryData": {"k": "?"}}),
        ),
        (
            "configmaps",
            json!({"metadata": {"name": "a"}, "immutable": "yes"}),
        ),
        (
            "configmaps",
            json!({"metadata": {"name": "a", "creationTimestamp": "now"}}),
        ),
        (
            "configmaps",
            json!({"metadata": {"name": "a", "labels": {"l": true}}}),
        ),
        (
            "secrets",
            json!({"metadata": {"name": "a"}, "data": {"k": 1}}),
        ),
        ("pods", json!({"metadata": {"name": "a"}, "spec": []})),
        (
            "pods",
            json!({"metadata": {"name": "a"}, "spec": {"containers": {}}}),
        ),
        (
            "services",
            json!({"metadata": {"name": "a"}, "spec": {"ports": [{"port": "80"}]}}),
        ),
        (
            "services",
            json!({"metadata": {"name": "a"}, "spec": {"ports": [{"port": 1.5}]}}),
        ),
        (
            "services",
            json!({"metadata": {"name": "a"}, "spec": {"ports": [{"port": 4_294_967_376_u64}]}}),
        ),
    ] {
        s.send(post(at(resource), &body)).await?;
    }
    Ok(())
}

async fn names_that_are_none(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let at = |resource: &str| format!("/api/v1/namespaces/{ns}/{resource}");
    let long = "a".repeat(254);
    for name in ["", "A", "a_b", "-a", "a.", "a/b", ".", "..", "%", &long] {
        s.send(post(at("configmaps"), &named(name))).await?;
    }
    let rbac = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}/roles");
    for name in ["A:b", "a/b", "..", "a%b"] {
        s.send(post(&rbac, &named(name))).await?;
    }
    let service = |name: &str| json!({"metadata": {"name": name}, "spec": {"clusterIP": "None", "ports": [{"port": 80}]}});
    for name in ["1a", "a.b", "A"] {
        s.send(post(at("services"), &service(name))).await?;
    }
    for name in ["a.b", "A", &"a".repeat(64)] {
        s.send(post("/api/v1/namespaces?dryRun=All", &named(name)))
            .await?;
    }
    for prefix in ["A-", "a_", "-"] {
        let body = json!({"metadata": {"generateName": prefix}});
        s.send(post(at("configmaps"), &body)).await?;
    }
    Ok(())
}

async fn metadata_that_is_not_allowed(s: &mut Session) -> Outcome {
    let all = config_maps(s).await?;
    for metadata in [
        json!({"labels": {"a/b/c": "v"}}),
        json!({"labels": {"": "v"}}),
        json!({"labels": {"/a": "v"}}),
        json!({"labels": {"A/a": "v"}}),
        json!({"labels": {"a": "no spaces"}}),
        json!({"labels": {"a": "a".repeat(64)}}),
        json!({"labels": {"a".repeat(64): ""}}),
        json!({"annotations": {"a b": ""}}),
        json!({"annotations": {"a/b/c": ""}}),
        json!({"ownerReferences": [{"apiVersion": "", "kind": "", "name": "", "uid": ""}]}),
        json!({"ownerReferences": [{"apiVersion": "v1", "kind": "Event", "name": "e", "uid": "u"}]}),
        json!({"ownerReferences": [{"apiVersion": "a/b/c", "kind": "K", "name": "n", "uid": "u"}]}),
        json!({"ownerReferences": [
            {"apiVersion": "v1", "kind": "K", "name": "a", "uid": "u", "controller": true},
            {"apiVersion": "v1", "kind": "K", "name": "b", "uid": "v", "controller": true},
        ]}),
        json!({"generation": -1}),
    ] {
        let mut metadata = metadata;
        metadata["name"] = json!("a");
        s.send(post(&all, &json!({"metadata": metadata}))).await?;
    }
    Ok(())
}

async fn finalizers_need_a_domain(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    for collection in [
        format!("/api/v1/namespaces/{ns}/configmaps"),
        format!("/apis/coordination.k8s.io/v1/namespaces/{ns}/leases"),
    ] {
        for finalizers in [
            json!(["wait"]),
            json!(["example.com/wait"]),
            json!(["a b"]),
            json!(["orphan", "foregroundDeletion"]),
        ] {
            let body = json!({"metadata": {"name": "a", "finalizers": finalizers}});
            s.send(post(format!("{collection}?dryRun=All"), &body))
                .await?;
        }
    }
    let all = format!("/api/v1/namespaces/{ns}/configmaps");
    s.set_up(post(&all, &named("a"))).await?;
    let finalizers = json!({"metadata": {"finalizers": ["wait"]}});
    s.send(patch(format!("{all}/a"), "merge", &finalizers))
        .await?;
    Ok(())
}

async fn a_name_that_is_taken(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let lease = format!("/apis/coordination.k8s.io/v1/namespaces/{ns}/leases");
    s.set_up(post(&lease, &named("a"))).await?;
    s.send(post(&lease, &named("a"))).await?;
    s.send(post(format!("{lease}?dryRun=All"), &named("a")))
        .await?;
    let held = json!({"metadata": {"name": "b", "finalizers": ["example.com/wait"]}});
    let all = format!("/api/v1/namespaces/{ns}/configmaps");
    s.set_up(post(&all, &held)).await?;
    s.set_up(delete(format!("{all}/b"))).await?;
    s.send(post(&all, &held)).await?;
    let free = json!({"metadata": {"finalizers": null}});
    s.set_up(patch(format!("{all}/b"), "merge", &free)).await?;
    Ok(())
}

async fn objects_that_are_not_there(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    for one in [
        format!("/api/v1/namespaces/{ns}/configmaps/none"),
        format!("/apis/coordination.k8s.io/v1/namespaces/{ns}/leases/none"),
        format!("/api/v1/namespaces/{ns}/pods/none/status"),
        "/api/v1/nodes/none".to_owned(),
        "/api/v1/namespaces/none-of-these".to_owned(),
    ] {
        s.send(get(&one)).await?;
        s.send(patch(&one, "merge", &json!({}))).await?;
        s.send(patch(&one, "json", &json!([]))).await?;
        s.send(delete(&one)).await?;
    }
    let one = format!("/api/v1/namespaces/{ns}/configmaps/none");
    s.send(put(&one, &named("none"))).await?;
    for (kind, body) in [
        ("merge", json!([])),
        ("merge", json!(null)),
        ("json", json!({})),
        ("strategic-merge", json!([])),
    ] {
        s.send(patch(&one, kind, &body)).await?;
    }
    Ok(())
}

async fn methods_that_resources_have_not(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    for (method, path) in [
        (Method::PUT, format!("/api/v1/namespaces/{ns}/configmaps")),
        (Method::PATCH, format!("/api/v1/namespaces/{ns}/configmaps")),
        (
            Method::POST,
            format!("/api/v1/namespaces/{ns}/configmaps/a"),
        ),
        (Method::POST, "/api/v1/configmaps".to_owned()),
        (Method::DELETE, "/api/v1/namespaces".to_owned()),
        (Method::DELETE, "/api/v1/services".to_owned()),
        (
            Method::OPTIONS,
            format!("/api/v1/namespaces/{ns}/configmaps"),
        ),
        (
            Method::from_bytes(b"BREW").unwrap_or_default(),
            "/api/v1/nodes".to_owned(),
        ),
        (
            Method::GET,
            "/apis/authorization.k8s.io/v1/subjectaccessreviews".to_owned(),
        ),
    ] {
        s.send(Request::new(method, path).json(&json!({}))).await?;
    }
    Ok(())
}

async fn options_that_are_none(s: &mut Session) -> Outcome {
    let all = config_maps(s).await?;
    for query in [
        "dryRun=all",
        "dryRun=All&dryRun=None",
        "fieldValidation=strict",
        "fieldManager=%00",
        "fieldValidation=Warn&dryRun=",
    ] {
        s.send(post(format!("{all}?{query}"), &named("a"))).await?;
        s.ask_aside(delete(format!("{all}/a"))).await?;
    }
    let long = "m".repeat(129);
    s.send(post(format!("{all}?fieldManager={long}"), &named("a")))
        .await?;
    s.set_up(post(&all, &named("b"))).await?;
    for query in [
        "propagationPolicy=Sometimes",
        "gracePeriodSeconds=-1",
        "gracePeriodSeconds=soon",
        "orphanDependents=true&propagationPolicy=Orphan",
        "dryRun=all",
    ] {
        s.send(delete(format!("{all}/b?{query}"))).await?;
    }
    Ok(())
}

async fn an_update_of_another_uid(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let leases = format!("/apis/coordination.k8s.io/v1/namespaces/{ns}/leases");
    let all = format!("/api/v1/namespaces/{ns}/configmaps");
    let services = format!("/api/v1/namespaces/{ns}/services");
    let object = json!({"metadata": {"name": "a", "uid": "other"}});
    s.send(put(format!("{leases}/a"), &object)).await?;
    s.send(put(format!("{all}/a"), &object)).await?;
    s.set_up(post(&all, &named("a"))).await?;
    s.send(put(format!("{all}/a"), &object)).await?;
    s.send(patch(format!("{all}/a"), "merge", &object)).await?;
    let mut service = object.clone();
    service["spec"] = json!({"clusterIP": "None", "ports": [{"port": 80}]});
    let mut new = service.clone();
    new["metadata"] = json!({"name": "a"});
    s.set_up(post(&services, &new)).await?;
    s.send(put(format!("{services}/a"), &service)).await?;
    Ok(())
}

async fn an_immutable_object_stays(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let at = |resource: &str| format!("/api/v1/namespaces/{ns}/{resource}");
    for (resource, data) in [
        ("configmaps", json!({"k": "v"})),
        ("secrets", json!({"k": "dg=="})),
    ] {
        let body = json!({"metadata": {"name": "a"}, "data": data, "immutable": true});
        s.set_up(post(at(resource), &body)).await?;
        for change in [
            json!({"data": {"k": null}}),
            json!({"immutable": false}),
            json!({"immutable": null}),
            json!({"metadata": {"labels": {"l": "1"}}}),
        ] {
            let one = format!("{}/a", at(resource));
            s.send(patch(one, "merge", &change)).await?;
        }
    }
    let one = format!("{}/a", at("secrets"));
    s.send(patch(one, "merge", &json!({"type": "example.com/t"})))
        .await?;
    Ok(())
}

async fn a_namespace_that_is_not_there(s: &mut Session) -> Outcome {
    let all = "/api/v1/namespaces/none-of-these/configmaps";
    s.send(get(all)).await?;
    s.send(post(all, &named("a"))).await?;
    s.send(delete(all)).await?;
    let pod =
        json!({"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    s.send(post("/api/v1/namespaces/none-of-these/pods", &pod))
        .await?;
    Ok(())
}

async fn a_body_that_is_too_large(s: &mut Session) -> Outcome {
    let all = config_maps(s).await?;
    for size in [1 << 20, (1 << 20) + 1, 3 << 20] {
        let body = json!({"metadata": {"name": "a"}, "data": {"k": "v".repeat(size)}});
        let answer = s.ask_aside(post(&all, &body)).await?;
        s.observe("status", answer.status);
        s.observe("reason", answer.at("/reason"));
        s.observe("message", answer.at("/message"));
    }
    let long = json!({"metadata": {"name": "b", "annotations": {"a": "v".repeat(256 << 10)}}});
    s.send(post(&all, &long)).await?;
    Ok(())
}
