//! Strategic merge patches.

use serde_json::{Value, json};

use crate::{Failure, Outcome, Request, Session, case_list, get, patch, post};

case_list!["patches":
    labels_and_data_are_merged_and_null_removes,
    service_ports_are_merged_by_port,
    lists_of_an_account_are_merged_by_name,
    finalizers_are_a_set,
    owners_are_merged_by_uid,
    rules_of_a_role_are_replaced,
    containers_and_tolerations_of_a_pod_are_patched,
    an_order_of_elements_is_kept,
    directives_replace_and_delete,
    conditions_are_merged_by_type,
    retained_keys_are_all_that_stay,
    malformed_directives_are_refused,
    what_does_not_fit_the_type_is_refused,
    unknown_and_duplicate_fields_are_told,
    a_patch_is_bound_by_the_revision_it_names,
    a_dry_run_changes_nothing,
    bodies_that_are_no_patch_are_refused,
];

fn strategic(path: &str, body: &Value) -> Request {
    patch(path, "strategic-merge", body)
}

/// Makes `object` in a namespace of its own, and answers its path.
async fn made(s: &mut Session, collection: &str, mut object: Value) -> Result<String, Failure> {
    let ns = s.namespace().await?;
    let all = match collection {
        "roles" => format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}/{collection}"),
        _ => format!("/api/v1/namespaces/{ns}/{collection}"),
    };
    object["metadata"]["name"] = json!("a");
    s.set_up(post(&all, &object)).await?;
    Ok(format!("{all}/a"))
}

async fn send_all(s: &mut Session, path: &str, patches: &[Value]) -> Outcome {
    for patch in patches {
        s.send(strategic(path, patch)).await?;
    }
    Ok(())
}

async fn labels_and_data_are_merged_and_null_removes(s: &mut Session) -> Outcome {
    let object =
        json!({"metadata": {"labels": {"a": "1", "b": "2"}}, "data": {"x": "1", "y": "2"}});
    let one = made(s, "configmaps", object).await?;
    let patches = [
        json!({"metadata": {"labels": {"a": null, "c": "3"}}, "data": {"x": "7", "z": null}}),
        json!({"data": {"$patch": "replace", "only": "this"}}),
        json!({"metadata": {"labels": {"$patch": "delete"}}}),
        json!({"data": null}),
        json!({}),
        json!({"kind": "Other", "apiVersion": "other/v1"}),
    ];
    send_all(s, &one, &patches).await
}

async fn service_ports_are_merged_by_port(s: &mut Session) -> Outcome {
    let ports = json!([{"name": "a", "port": 80}, {"name": "b", "port": 81, "targetPort": "http"}]);
    let one = made(
        s,
        "services",
        json!({"spec": {"clusterIP": "None", "ports": ports}}),
    )
    .await?;
    let patches = [
        json!({"spec": {"ports": [{"port": 81, "targetPort": 8081}]}}),
        json!({"spec": {"ports": [{"port": 82, "name": "c"}]}}),
        json!({"spec": {"ports": [{"port": 80, "$patch": "delete"}]}}),
        json!({"spec": {"ports": [{"name": "no-port"}]}}),
    ];
    send_all(s, &one, &patches).await
}

async fn lists_of_an_account_are_merged_by_name(s: &mut Session) -> Outcome {
    let object = json!({"secrets": [{"name": "a"}], "imagePullSecrets": [{"name": "p"}]});
    let one = made(s, "serviceaccounts", object).await?;
    let patches = [
        json!({"secrets": [{"name": "b"}], "imagePullSecrets": [{"name": "q"}]}),
        json!({"imagePullSecrets": [{"name": "p", "$patch": "delete"}]}),
        json!({"secrets": [{"$patch": "replace"}, {"name": "c"}]}),
        json!({"automountServiceAccountToken": false}),
    ];
    send_all(s, &one, &patches).await
}

async fn finalizers_are_a_set(s: &mut Session) -> Outcome {
    let finalizers = ["example.com/a", "example.com/b"];
    let one = made(
        s,
        "configmaps",
        json!({"metadata": {"finalizers": finalizers}}),
    )
    .await?;
    let patches = [
        json!({"metadata": {"finalizers": ["example.com/b", "example.com/c"]}}),
        json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["example.com/a"]}}),
        json!({"metadata": {"$setElementOrder/finalizers": ["example.com/c", "example.com/b"]}}),
        json!({"metadata": {"$setElementOrder/finalizers": ["example.com/b"], "finalizers": ["example.com/d"]}}),
        json!({"metadata": {"finalizers": [{"name": "x"}]}}),
        json!({"metadata": {"finalizers": null}}),
    ];
    send_all(s, &one, &patches).await
}

async fn owners_are_merged_by_uid(s: &mut Session) -> Outcome {
    let one = made(s, "configmaps", json!({})).await?;
    let owner = |uid: &str, name: &str| json!({"apiVersion": "v1", "kind": "Node", "uid": uid, "name": name});
    let patches = [
        json!({"metadata": {"ownerReferences": [owner("11111111-1111-4111-8111-111111111111", "x")]}}),
        json!({"metadata": {"ownerReferences": [{"name": "no-uid"}]}}),
    ];
    for body in patches {
        s.send(strategic(&format!("{one}?dryRun=All"), &body))
            .await?;
    }
    Ok(())
}

async fn rules_of_a_role_are_replaced(s: &mut Session) -> Outcome {
    let rule = |verb: &str| json!({"apiGroups": [""], "resources": ["pods"], "verbs": [verb]});
    let one = made(s, "roles", json!({"rules": [rule("get"), rule("list")]})).await?;
    send_all(
        s,
        &one,
        &[json!({"rules": [rule("watch")]}), json!({"rules": null})],
    )
    .await
}

async fn containers_and_tolerations_of_a_pod_are_patched(s: &mut Session) -> Outcome {
    let spec = json!({
        "nodeName": "none",
        "automountServiceAccountToken": false,
        "containers": [{"name": "a", "image": "a"}, {"name": "b", "image": "b"}],
        "tolerations": [{"key": "t", "operator": "Exists"}],
    });
    let one = made(s, "pods", json!({"spec": spec})).await?;
    for spec in [
        json!({"containers": [{"name": "a", "image": "c"}]}),
        json!({"$setElementOrder/containers": [{"name": "a"}, {"name": "b"}], "containers": [{"name": "b", "image": "d"}]}),
        json!({"activeDeadlineSeconds": 60.0}),
        json!({"containers": [{"image": "nameless"}]}),
        json!({"containers": [{"name": "a", "image": {"b": 1}}]}),
    ] {
        let body = json!({"spec": spec});
        s.send(strategic(&format!("{one}?dryRun=All"), &body))
            .await?;
    }
    Ok(())
}

async fn an_order_of_elements_is_kept(s: &mut Session) -> Outcome {
    let names =
        |names: &[&str]| -> Value { names.iter().map(|name| json!({"name": name})).collect() };
    let one = made(
        s,
        "serviceaccounts",
        json!({"secrets": names(&["a", "b", "c", "d"])}),
    )
    .await?;
    let order = "$setElementOrder/secrets";
    let patches = [
        json!({order: names(&["d", "a"])}),
        json!({order: names(&["e", "b"]), "secrets": names(&["e"])}),
        json!({order: names(&["b", "e"]), "secrets": names(&["e", "b"])}),
        json!({order: names(&["b"]), "secrets": [{"name": "a", "$patch": "delete"}]}),
        json!({"secrets": names(&["f", "c"])}),
    ];
    send_all(s, &one, &patches).await
}

async fn directives_replace_and_delete(s: &mut Session) -> Outcome {
    let one = made(s, "serviceaccounts", json!({"secrets": [{"name": "a"}]})).await?;
    let patches = [
        json!({"metadata": {"annotations": {"a": "1", "b": null}}}),
        json!({"secrets": [{"name": "a", "$patch": "merge"}]}),
        json!({"secrets": [{"name": "a", "$patch": "other"}]}),
        json!({"secrets": [{"$patch": "delete"}]}),
        json!({"$patch": "other"}),
        json!({"$patch": "delete"}),
        json!({"$patch": "replace", "metadata": {"name": "a"}}),
    ];
    send_all(s, &one, &patches).await
}

async fn conditions_are_merged_by_type(s: &mut Session) -> Outcome {
    let name = s.name("node");
    let one = format!("/api/v1/nodes/{name}");
    s.set_up(post("/api/v1/nodes", &json!({"metadata": {"name": name}})))
        .await?;
    s.clean_up_later(&one);
    let status = format!("{one}/status");
    for (path, body) in [
        (
            &status,
            json!({"status": {"conditions": [{"type": "A", "status": "True"}, {"type": "B", "status": "False"}]}}),
        ),
        (
            &status,
            json!({"status": {"conditions": [{"type": "B", "status": "True", "reason": "Because"}]}}),
        ),
        (
            &status,
            json!({"status": {"addresses": [{"type": "Hostname", "address": "h"}], "capacity": {"cpu": "2000m"}}}),
        ),
        (&status, json!({"spec": {"unschedulable": true}})),
        (
            &one,
            json!({"status": {"conditions": [{"type": "A", "$patch": "delete"}]}}),
        ),
    ] {
        // The controllers of the node's life write to it too.
        let body_only = s.set_up(strategic(path, &body)).await?;
        s.observe("conditions", body_only.body["status"]["conditions"].clone());
        s.observe("addresses", body_only.body["status"]["addresses"].clone());
        s.observe("capacity", body_only.body["status"]["capacity"].clone());
    }
    Ok(())
}

async fn retained_keys_are_all_that_stay(s: &mut Session) -> Outcome {
    let one = made(
        s,
        "configmaps",
        json!({"data": {"a": "1", "b": "2", "c": "3"}}),
    )
    .await?;
    let patches = [
        json!({"data": {"$retainKeys": ["a", "d"], "d": "4"}}),
        json!({"data": {"$retainKeys": ["a"], "b": "5"}}),
        json!({"data": {"$retainKeys": "a"}}),
    ];
    send_all(s, &one, &patches).await
}

async fn malformed_directives_are_refused(s: &mut Session) -> Outcome {
    let object = json!({"metadata": {"finalizers": ["example.com/a"]}, "data": {"a": "1"}});
    let one = made(s, "configmaps", object).await?;
    let patches = [
        json!({"$setElementOrder": ["a"]}),
        json!({"$setElementOrder/nothing": ["a"]}),
        json!({"$setElementOrder/data": ["a"]}),
        json!({"metadata": {"$setElementOrder/finalizers": "example.com/a"}}),
        json!({"metadata": {"$setElementOrder/finalizers": ["example.com/a"], "finalizers": ["example.com/b"]}}),
        json!({"metadata": {"$deleteFromPrimitiveList": ["x"]}}),
        json!({"metadata": {"$deleteFromPrimitiveList/finalizers": "example.com/a"}}),
        json!({"metadata": {"$deleteFromPrimitiveList/nothing": ["a"]}}),
        json!({"metadata": {"finalizers": [["a"]]}}),
        json!({"metadata": {"finalizers": null}}),
    ];
    send_all(s, &one, &patches).await
}

async fn what_does_not_fit_the_type_is_refused(s: &mut Session) -> Outcome {
    let one = made(s, "configmaps", json!({"data": {"a": "1"}})).await?;
    let patches = [
        json!({"data": {"a": 1}}),
        json!({"data": {"a": true}}),
        json!({"data": {"a": {"b": null, "c": "d"}}}),
        json!({"data": ["a"]}),
        json!({"data": "a"}),
        json!({"metadata": "a"}),
        json!({"immutable": "yes"}),
        json!({"binaryData": {"a": "?"}}),
        json!({"metadata": {"creationTimestamp": "never"}}),
        json!({"metadata": {"creationTimestamp": 1}}),
        json!({"metadata": {"name": "other"}}),
        json!({"metadata": {"namespace": "other"}}),
        json!({"metadata": {"labels": {"a": "not a label"}}}),
    ];
    send_all(s, &one, &patches).await
}

async fn unknown_and_duplicate_fields_are_told(s: &mut Session) -> Outcome {
    let one = made(s, "configmaps", json!({})).await?;
    let body =
        r#"{"other":1,"data":{"a":"1","a":"2"},"metadata":{"labels":{},"thing":{"x":null}}}"#;
    for validation in ["Ignore", "Warn", "Strict"] {
        let path = format!("{one}?fieldValidation={validation}");
        let request =
            strategic(&path, &json!({})).body("application/strategic-merge-patch+json", body);
        s.send(request).await?;
    }
    Ok(())
}

async fn a_patch_is_bound_by_the_revision_it_names(s: &mut Session) -> Outcome {
    let one = made(s, "configmaps", json!({})).await?;
    let version = s.send(get(&one)).await?.body["metadata"]["resourceVersion"].clone();
    let body = json!({"metadata": {"resourceVersion": version}, "data": {"a": "1"}});
    s.send(strategic(&one, &body)).await?;
    let body = json!({"metadata": {"resourceVersion": version}, "data": {"a": "2"}});
    s.send(strategic(&one, &body)).await?;
    s.send(strategic(
        &one.replace("configmaps/a", "configmaps/none"),
        &json!({}),
    ))
    .await?;
    Ok(())
}

async fn a_dry_run_changes_nothing(s: &mut Session) -> Outcome {
    let one = made(s, "configmaps", json!({})).await?;
    let path = format!("{one}?dryRun=All");
    s.send(strategic(&path, &json!({"data": {"a": "1"}})))
        .await?;
    s.send(get(&one)).await?;
    Ok(())
}

async fn bodies_that_are_no_patch_are_refused(s: &mut Session) -> Outcome {
    let one = made(s, "configmaps", json!({})).await?;
    for body in ["", "{", "[]", "\"a\"", "1", "null", "data:\n  a: b\n"] {
        let request =
            strategic(&one, &json!({})).body("application/strategic-merge-patch+json", body);
        s.send(request).await?;
    }
    Ok(())
}
