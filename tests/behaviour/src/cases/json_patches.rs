//! JSON patches (RFC 6902) and merge patches (RFC 7386).

use http::Method;
use serde_json::{Value, json};

use crate::{Failure, Outcome, Request, Session, case_list, get, patch, post};

case_list!["patches":
    operations_of_a_json_patch,
    json_patches_that_do_not_fit,
    json_patches_that_are_none,
    a_json_patch_tests_before_it_changes,
    a_json_patch_tests_text_that_is_escaped,
    merge_patches_replace_and_remove,
    merge_patches_that_are_none,
    a_patch_of_what_the_server_keeps,
    a_patch_of_the_status,
    unknown_fields_of_patches_are_told,
];

/// The path of a config map with data and labels.
async fn config_map(s: &mut Session) -> Result<String, Failure> {
    let ns = s.namespace().await?;
    let all = format!("/api/v1/namespaces/{ns}/configmaps");
    let body = json!({
        "metadata": {"name": "a", "labels": {"l": "1"}, "annotations": {"a/b": "1", "c.d": "2"}},
        "data": {"k": "v"},
    });
    s.set_up(post(&all, &body)).await?;
    Ok(format!("{all}/a"))
}

async fn operations_of_a_json_patch(s: &mut Session) -> Outcome {
    let one = config_map(s).await?;
    for operations in [
        json!([{"op": "add", "path": "/data/n", "value": "1"}]),
        json!([{"op": "replace", "path": "/data/n", "value": "2"}]),
        json!([{"op": "copy", "from": "/data/n", "path": "/data/m"}]),
        json!([{"op": "move", "from": "/data/m", "path": "/data/o"}]),
        json!([{"op": "remove", "path": "/data/o"}]),
        json!([{"op": "add", "path": "/metadata/annotations/a~1b", "value": "3"}]),
        json!([{"op": "remove", "path": "/metadata/annotations/c.d"}]),
        json!([{"op": "add", "path": "/metadata/finalizers", "value": ["a.example/a"]}]),
        json!([{"op": "add", "path": "/metadata/finalizers/-", "value": "a.example/c"}]),
        json!([{"op": "add", "path": "/metadata/finalizers/1", "value": "a.example/b"}]),
        json!([{"op": "remove", "path": "/metadata/finalizers/-1"}]),
        json!([{"op": "replace", "path": "/metadata/finalizers", "value": null}]),
        json!([]),
    ] {
        s.send(patch(&one, "json", &operations)).await?;
    }
    Ok(())
}

async fn json_patches_that_do_not_fit(s: &mut Session) -> Outcome {
    let one = config_map(s).await?;
    for operation in [
        json!({"op": "remove", "path": "/data/none"}),
        json!({"op": "replace", "path": "/data/none", "value": "1"}),
        json!({"op": "add", "path": "/none/none", "value": "1"}),
        json!({"op": "move", "from": "/data/none", "path": "/data/k"}),
        json!({"op": "copy", "from": "/data/none", "path": "/data/k"}),
        json!({"op": "add", "path": "/metadata/labels/-", "value": "1"}),
        json!({"op": "add", "path": "data", "value": "1"}),
        json!({"op": "add", "path": "", "value": {}}),
        json!({"op": "remove", "path": "/metadata"}),
        json!({"op": "replace", "path": "/data", "value": "no map"}),
        json!({"op": "add", "path": "/data/k", "value": 1}),
    ] {
        s.send(patch(&one, "json", &json!([operation]))).await?;
    }
    Ok(())
}

async fn json_patches_that_are_none(s: &mut Session) -> Outcome {
    let one = config_map(s).await?;
    for body in [
        "{}",
        "[1]",
        "[{}]",
        "[null]",
        "null",
        "[{\"op\": \"none\", \"path\": \"/data\"}]",
        "[{\"op\": \"add\"}]",
        "[{\"op\": 1}]",
        "[",
        "",
        "[{\"op\": \"add\", \"path\": \"/data/x\", \"value\": \"1\", \"more\": 1}]",
    ] {
        let request = Request::new(Method::PATCH, &one).body("application/json-patch+json", body);
        s.send(request).await?;
    }
    let many: Vec<Value> = (0..10_001)
        .map(|_| json!({"op": "test", "path": "/data/k", "value": "v"}))
        .collect();
    s.send(patch(&one, "json", &many.into())).await?;
    Ok(())
}

async fn a_json_patch_tests_before_it_changes(s: &mut Session) -> Outcome {
    let one = config_map(s).await?;
    for (path, value) in [
        ("/data/k", json!("v")),
        ("/data/k", json!("w")),
        ("/data/none", Value::Null),
        ("/data/none", json!("v")),
        ("/kind", json!("ConfigMap")),
        ("/apiVersion", json!("v1")),
    ] {
        let operations = json!([
            {"op": "test", "path": path, "value": value},
            {"op": "add", "path": "/data/n", "value": "1"},
        ]);
        s.send(patch(&one, "json", &operations)).await?;
    }
    Ok(())
}

/// Go compares the bytes of what is tested, and escapes `<` in its own.
async fn a_json_patch_tests_text_that_is_escaped(s: &mut Session) -> Outcome {
    let one = config_map(s).await?;
    let set = json!([{"op": "add", "path": "/data/k", "value": "<v>"}]);
    s.set_up(patch(&one, "json", &set)).await?;
    for body in [
        r#"[{"op": "test", "path": "/data/k", "value": "<v>"}]"#,
        r#"[{"op": "test", "path": "/data/k", "value": "\u003cv\u003e"}]"#,
    ] {
        let request = Request::new(Method::PATCH, &one).body("application/json-patch+json", body);
        let answer = s.ask_aside(request).await?;
        s.observe("status", answer.status);
    }
    Ok(())
}

async fn merge_patches_replace_and_remove(s: &mut Session) -> Outcome {
    let one = config_map(s).await?;
    for body in [
        json!({"data": {"k": null, "n": "1"}}),
        json!({"data": null}),
        json!({"data": {"a": "1"}, "binaryData": {"b": "AAE="}}),
        json!({"metadata": {"labels": {"l": null}}}),
        json!({"metadata": {"annotations": {"x": "", "c.d": null}}}),
        json!({"metadata": {"finalizers": ["a.example/a", "a.example/b"]}}),
        json!({"metadata": {"finalizers": []}}),
        json!({}),
    ] {
        s.send(patch(&one, "merge", &body)).await?;
    }
    Ok(())
}

async fn merge_patches_that_are_none(s: &mut Session) -> Outcome {
    let one = config_map(s).await?;
    for body in [
        "[]",
        "null",
        "1",
        "\"a\"",
        "{",
        "",
        "{\"data\": {\"k\": 1}}",
        "{\"kind\": \"Secret\"}",
        "{\"apiVersion\": \"v2\"}",
        "{\"metadata\": null}",
        "{\"data\": []}",
        "{\"a\": 1, \"a\": 2}",
    ] {
        let request = Request::new(Method::PATCH, &one).body("application/merge-patch+json", body);
        s.send(request).await?;
    }
    Ok(())
}

async fn a_patch_of_what_the_server_keeps(s: &mut Session) -> Outcome {
    let one = config_map(s).await?;
    for metadata in [
        json!({"uid": "other"}),
        json!({"uid": null}),
        json!({"creationTimestamp": null}),
        json!({"creationTimestamp": "2020-01-01T00:00:00Z"}),
        json!({"deletionTimestamp": "2020-01-01T00:00:00Z"}),
        json!({"resourceVersion": null}),
        json!({"resourceVersion": "nonsense"}),
        json!({"resourceVersion": "+1"}),
        json!({"resourceVersion": "00"}),
        json!({"generation": 7}),
        json!({"selfLink": "/somewhere"}),
        json!({"name": null}),
        json!({"managedFields": []}),
    ] {
        s.send(patch(&one, "merge", &json!({"metadata": metadata})))
            .await?;
    }
    Ok(())
}

async fn a_patch_of_the_status(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let pods = format!("/api/v1/namespaces/{ns}/pods");
    let pod =
        json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    s.set_up(post(&pods, &pod)).await?;
    let change = json!({
        "metadata": {"labels": {"l": "1"}},
        "spec": {"activeDeadlineSeconds": 5},
        "status": {"phase": "Running", "podIP": "192.0.2.1"},
    });
    s.send(patch(format!("{pods}/p/status"), "merge", &change))
        .await?;
    // Owners are told in the order of their seconds.
    s.let_time_pass().await;
    s.send(patch(format!("{pods}/p"), "merge", &change)).await?;
    let operations = json!([{"op": "add", "path": "/status/message", "value": "m"}]);
    s.send(patch(format!("{pods}/p/status"), "json", &operations))
        .await?;
    s.send(get(format!("{pods}/p/status"))).await?;
    Ok(())
}

async fn unknown_fields_of_patches_are_told(s: &mut Session) -> Outcome {
    let one = config_map(s).await?;
    for query in ["", "?fieldValidation=Strict", "?fieldValidation=Ignore"] {
        let path = format!("{one}{query}");
        let body = json!({"metadata": {"unknown": 1}, "foo": {}, "data": {"k": query}});
        s.send(patch(&path, "merge", &body)).await?;
        let operations = json!([
            {"op": "add", "path": "/foo", "value": 1},
            {"op": "add", "path": "/data/n", "value": query, "bar": 1},
        ]);
        s.send(patch(&path, "json", &operations)).await?;
        let twice = "{\"data\": {\"k\": \"1\", \"k\": \"2\"}}";
        let request =
            Request::new(Method::PATCH, &path).body("application/merge-patch+json", twice);
        s.send(request).await?;
    }
    Ok(())
}
