//! Creating, reading, changing and deleting objects.

use serde_json::json;

use crate::{Outcome, Request, Session, case_list, delete, get, patch, post, put};

case_list!["objects": a_new_object_has_what_the_server_sets, a_stale_update_conflicts, a_dry_run_stores_nothing, an_unknown_field_is_told_of, an_object_keeps_its_age, a_body_in_protobuf, an_entry_of_discovery, as_a_table];

async fn a_new_object_has_what_the_server_sets(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let all = format!("/api/v1/namespaces/{ns}/configmaps");
    let body = json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a"}, "data": {"k": "v"}});
    s.send(post(&all, &body)).await?;
    s.send(get(format!("{all}/a"))).await?;
    s.send(get(format!("{all}?labelSelector=none=none")))
        .await?;
    s.send(post(&all, &body)).await?;
    let named = json!({"metadata": {"generateName": "b-"}});
    let answer = s.send(post(&all, &named)).await?;
    let name = answer.text("/metadata/name")?;
    s.send(delete(format!("{all}/{name}"))).await?;
    s.send(get(format!("{all}/{name}"))).await?;
    Ok(())
}

async fn a_stale_update_conflicts(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let all = format!("/api/v1/namespaces/{ns}/configmaps");
    let one = format!("{all}/a");
    let first = s
        .send(post(&all, &json!({"metadata": {"name": "a"}})))
        .await?;
    s.send(patch(&one, "merge", &json!({"data": {"k": "1"}})))
        .await?;
    let mut stale = first.body.clone();
    stale["data"] = json!({"k": "2"});
    s.send(put(&one, &stale)).await?;
    stale["metadata"]["resourceVersion"] = json!("");
    s.send(put(&one, &stale)).await?;
    Ok(())
}

async fn a_dry_run_stores_nothing(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let all = format!("/api/v1/namespaces/{ns}/configmaps");
    let body = json!({"metadata": {"name": "a"}, "data": {"k": "v"}});
    let dry = s.set_up(post(format!("{all}?dryRun=All"), &body)).await?;
    s.observe("its data", dry.at("/data"));
    s.send(get(format!("{all}/a"))).await?;
    s.send(post(&all, &body)).await?;
    s.send(delete(format!("{all}/a?dryRun=All"))).await?;
    s.send(get(format!("{all}/a"))).await?;
    Ok(())
}

async fn an_unknown_field_is_told_of(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let all = format!("/api/v1/namespaces/{ns}/configmaps");
    for (name, query) in [
        ("a", ""),
        ("b", "?fieldValidation=Warn"),
        ("c", "?fieldValidation=Ignore"),
        ("d", "?fieldValidation=Strict"),
    ] {
        let body = json!({"metadata": {"name": name, "unknown": 1}, "foo": {}, "data": {"k": "v"}});
        s.send(post(format!("{all}{query}"), &body)).await?;
    }
    Ok(())
}

async fn an_object_keeps_its_age(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let all = format!("/api/v1/namespaces/{ns}/configmaps");
    s.send(post(&all, &json!({"metadata": {"name": "a"}})))
        .await?;
    s.let_time_pass().await;
    s.send(patch(
        format!("{all}/a"),
        "merge",
        &json!({"data": {"k": "v"}}),
    ))
    .await?;
    Ok(())
}

/// The `ConfigMap` `a` with `k: v`, as protobuf: the envelope, and in it metadata (1) with the name (1), and data (2).
async fn a_body_in_protobuf(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let all = format!("/api/v1/namespaces/{ns}/configmaps");
    let object = b"\x0a\x03\x0a\x01a\x12\x06\x0a\x01k\x12\x01v";
    let mut body = b"k8s\0\x0a\x0f\x0a\x02v1\x12\x09ConfigMap\x12".to_vec();
    body.push(u8::try_from(object.len()).unwrap_or_default());
    body.extend_from_slice(object);
    let request =
        Request::new(http::Method::POST, &all).body("application/vnd.kubernetes.protobuf", body);
    s.send(request).await?;
    Ok(())
}

async fn an_entry_of_discovery(s: &mut Session) -> Outcome {
    let answer = s.set_up(get("/api/v1").accept("application/json")).await?;
    let rows = answer.at("/resources");
    for row in rows.as_array().into_iter().flatten() {
        let name = row["name"].as_str().unwrap_or_default();
        if ["configmaps", "pods", "services", "namespaces/status"].contains(&name) {
            s.observe(name, row.clone());
        }
    }
    Ok(())
}

async fn as_a_table(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let all = format!("/api/v1/namespaces/{ns}/configmaps");
    s.set_up(post(
        &all,
        &json!({"metadata": {"name": "a"}, "data": {"k": "v"}}),
    ))
    .await?;
    let table = s
        .set_up(
            get(format!("{all}?fieldSelector=metadata.name%3Da"))
                .accept("application/json;as=Table;v=v1;g=meta.k8s.io"),
        )
        .await?;
    // The last cell, the age, depends on how fast the two are.
    for cell in ["/rows/0/cells/0", "/rows/0/cells/1", "/rows/0/cells/3"] {
        s.observe(cell, table.at(cell));
    }
    let cells = table.at("/rows/0/cells");
    s.observe("cells", cells.as_array().map_or(0, Vec::len));
    Ok(())
}
