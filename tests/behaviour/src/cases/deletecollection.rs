//! The deletion of what a list would answer.

use serde_json::{Value, json};

use crate::{Failure, Outcome, Request, Session, case_list, delete, get, patch, post};

case_list!["lists":
    a_collection_is_deleted_by_labels,
    a_collection_is_deleted_by_fields,
    a_limit_bounds_what_is_deleted,
    a_dry_run_deletes_nothing,
    preconditions_hold_for_each_object,
    a_collection_at_a_version_is_what_was_then,
    objects_with_finalizers_are_marked,
    options_of_deletecollection_are_checked,
    an_empty_collection_is_deleted,
    collections_that_cannot_be_deleted_are_refused,
];

/// A namespace with the config maps a, b and c, the last with another label.
async fn three(s: &mut Session) -> Result<String, Failure> {
    let ns = s.namespace().await?;
    let all = format!("/api/v1/namespaces/{ns}/configmaps");
    for (name, label) in [("a", "1"), ("b", "1"), ("c", "2")] {
        let body = json!({"metadata": {"name": name, "labels": {"l": label}}});
        s.set_up(post(&all, &body)).await?;
    }
    Ok(all)
}

fn own(all: &str) -> Request {
    delete(all).query("labelSelector", "l")
}

/// What is left.
async fn left(s: &mut Session, all: &str) -> Outcome {
    s.send(get(all).query("labelSelector", "l")).await?;
    Ok(())
}

async fn a_collection_is_deleted_by_labels(s: &mut Session) -> Outcome {
    let all = three(s).await?;
    s.send(delete(&all).query("labelSelector", "l=1")).await?;
    left(s, &all).await
}

async fn a_collection_is_deleted_by_fields(s: &mut Session) -> Outcome {
    let all = three(s).await?;
    s.send(own(&all).query("fieldSelector", "metadata.name!=b"))
        .await?;
    left(s, &all).await
}

async fn a_limit_bounds_what_is_deleted(s: &mut Session) -> Outcome {
    let all = three(s).await?;
    s.send(own(&all).query("limit", "1")).await?;
    left(s, &all).await
}

async fn a_dry_run_deletes_nothing(s: &mut Session) -> Outcome {
    let all = three(s).await?;
    s.send(own(&all).query("dryRun", "All")).await?;
    s.send(own(&all).json(&json!({"dryRun": ["All"]}))).await?;
    left(s, &all).await
}

async fn preconditions_hold_for_each_object(s: &mut Session) -> Outcome {
    let all = three(s).await?;
    let uid = "00000000-0000-4000-8000-000000000000";
    let body = json!({"preconditions": {"uid": uid}});
    s.send(delete(&all).query("labelSelector", "l=2").json(&body))
        .await?;
    let body = json!({"preconditions": {"resourceVersion": "1"}});
    s.send(delete(&all).query("labelSelector", "l=2").json(&body))
        .await?;
    let one = s.send(get(format!("{all}/c"))).await?;
    let body = json!({"preconditions": {"uid": one.text("/metadata/uid")?}});
    s.send(delete(&all).query("labelSelector", "l=2").json(&body))
        .await?;
    left(s, &all).await
}

async fn a_collection_at_a_version_is_what_was_then(s: &mut Session) -> Outcome {
    let all = three(s).await?;
    let changed = patch(
        format!("{all}/c"),
        "merge",
        &json!({"metadata": {"labels": {"l": "1"}}}),
    );
    let version = s.set_up(changed).await?.version()?;
    s.set_up(delete(format!("{all}/a"))).await?;
    s.send(
        own(&all)
            .query("resourceVersion", &version)
            .query("resourceVersionMatch", "Exact"),
    )
    .await?;
    left(s, &all).await
}

async fn objects_with_finalizers_are_marked(s: &mut Session) -> Outcome {
    let all = three(s).await?;
    let held = |finalizers: Value| json!({"metadata": {"finalizers": finalizers}});
    let one = format!("{all}/b");
    s.set_up(patch(&one, "merge", &held(json!(["x.example/wait"]))))
        .await?;
    s.send(own(&all)).await?;
    left(s, &all).await?;
    s.send(patch(&one, "merge", &held(json!(null)))).await?;
    left(s, &all).await
}

async fn options_of_deletecollection_are_checked(s: &mut Session) -> Outcome {
    let all = three(s).await?;
    for query in [
        "labelSelector==",
        "fieldSelector=data.k=v",
        "limit=x",
        "resourceVersion=x",
        "resourceVersionMatch=Exact",
        "sendInitialEvents=true",
        "dryRun=x",
        "propagationPolicy=x",
        "propagationPolicy=Orphan&orphanDependents=true",
        "gracePeriodSeconds=x",
        "continue=x",
        "watch=true&labelSelector=none",
        "timeoutSeconds=x",
    ] {
        s.send(delete(format!("{all}?{query}"))).await?;
    }
    for body in [json!({"propagationPolicy": "x"}), json!({"dryRun": ["x"]})] {
        s.send(own(&all).json(&body)).await?;
    }
    left(s, &all).await
}

async fn an_empty_collection_is_deleted(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    s.send(delete(format!("/api/v1/namespaces/{ns}/secrets")))
        .await?;
    s.send(delete("/api/v1/namespaces/no-such-namespace/secrets"))
        .await?;
    Ok(())
}

async fn collections_that_cannot_be_deleted_are_refused(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    for path in [
        "/api/v1/namespaces?labelSelector=none",
        "/api/v1/configmaps?labelSelector=none",
        &format!("/api/v1/namespaces/{ns}/services?labelSelector=none"),
        &format!("/api/v1/namespaces/{ns}/pods/a/status"),
        "/apis/authentication.k8s.io/v1/tokenreviews",
        "/api/v1/nodes?labelSelector=none",
    ] {
        s.send(delete(path)).await?;
    }
    Ok(())
}
