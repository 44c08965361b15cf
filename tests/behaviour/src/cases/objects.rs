//! Creating, reading, changing and deleting objects.

use serde_json::json;

use crate::{Outcome, Session, case_list, delete, get, patch, post, put};

case_list!["objects": a_new_object_has_what_the_server_sets, a_stale_update_conflicts];

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
