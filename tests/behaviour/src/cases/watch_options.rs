//! What a watch is refused for, and in which forms it is served.

use serde_json::json;

use crate::{Failure, Outcome, Session, case_list, delete, get, patch, post};

case_list!["watches":
    watch_options_that_contradict_each_other_are_refused,
    malformed_watch_options_are_refused,
    versions_that_are_no_number_end_a_watch,
    flags_that_ask_for_a_watch,
    a_version_to_come_ends_a_watch,
    media_types_of_watches,
    media_types_that_watches_lack,
    what_cannot_be_watched_is_refused,
    a_write_with_watch_is_a_write,
    a_limit_does_not_bound_a_watch,
];

/// Asks for a watch that is over at once, with one query after the other.
async fn try_all(s: &mut Session, queries: &[&str]) -> Outcome {
    let ns = s.namespace().await?;
    for query in queries {
        let path = format!("/api/v1/namespaces/{ns}/secrets?{query}&timeoutSeconds=1");
        s.send(get(path)).await?;
    }
    Ok(())
}

/// The path of a new namespace's Secrets, of which there is one.
async fn one_secret(s: &mut Session) -> Result<String, Failure> {
    let ns = s.namespace().await?;
    let all = format!("/api/v1/namespaces/{ns}/secrets");
    s.set_up(post(&all, &json!({"metadata": {"name": "a"}})))
        .await?;
    s.send(get(&all)).await?;
    Ok(all)
}

async fn watch_options_that_contradict_each_other_are_refused(s: &mut Session) -> Outcome {
    try_all(
        s,
        &[
            "watch=true&sendInitialEvents=true",
            "watch=true&sendInitialEvents=false",
            "watch=true&sendInitialEvents=true&resourceVersion=1",
            "watch=true&sendInitialEvents=true&resourceVersionMatch=Exact",
            "watch=true&sendInitialEvents=true&resourceVersionMatch=x",
            "watch=true&resourceVersionMatch=NotOlderThan",
            "watch=true&resourceVersionMatch=NotOlderThan&resourceVersion=1",
            "watch=true&resourceVersionMatch=Exact&resourceVersion=1",
            "watch=true&resourceVersionMatch=x",
            "watch=true&continue=x",
            "watch=true&continue=x&sendInitialEvents=true&resourceVersionMatch=NotOlderThan",
            "watch=true&continue=x&resourceVersion=1&resourceVersionMatch=x",
        ],
    )
    .await
}

async fn malformed_watch_options_are_refused(s: &mut Session) -> Outcome {
    try_all(
        s,
        &[
            "watch=true&labelSelector==",
            "watch=true&fieldSelector=a",
            "watch=true&fieldSelector=data.k=v",
            "watch=true&limit=x",
            "watch=true&timeoutSeconds=x",
            "watch=true&includeObject=x",
        ],
    )
    .await
}

async fn versions_that_are_no_number_end_a_watch(s: &mut Session) -> Outcome {
    try_all(
        s,
        &[
            "watch=true&resourceVersion=x",
            "watch=true&resourceVersion=-1",
            "watch=true&resourceVersion=99999999999999999999",
            "watch=true&resourceVersion=x&sendInitialEvents=true&resourceVersionMatch=NotOlderThan",
        ],
    )
    .await
}

async fn flags_that_ask_for_a_watch(s: &mut Session) -> Outcome {
    let all = one_secret(s).await?;
    for query in [
        "watch=1",
        "watch",
        "watch=",
        "watch=yes",
        // The first counts.
        "watch=true&watch=false",
    ] {
        let mut watch = s.watch(get(format!("{all}?{query}"))).await?;
        s.events(&mut watch, 1).await?;
    }
    s.send(get(format!("{all}?watch=false&watch=true"))).await?;
    Ok(())
}

async fn a_version_to_come_ends_a_watch(s: &mut Session) -> Outcome {
    try_all(
        s,
        &[
            "watch=true&resourceVersion=9000000000&sendInitialEvents=true&resourceVersionMatch=NotOlderThan",
            "watch=true&resourceVersion=9000000000",
        ],
    )
    .await
}

async fn media_types_of_watches(s: &mut Session) -> Outcome {
    let all = one_secret(s).await?;
    let all = || get(&all).query("watch", "true");
    for request in [
        all().accept("application/json"),
        all().accept("application/json;stream=watch"),
        all().accept("*/*"),
        all().accept("application/json;pretty=1"),
        all().accept("application/json;as=Table;g=meta.k8s.io;v=v9,application/json"),
        all().query("pretty", "true"),
        all().header("accept-encoding", "gzip"),
    ] {
        let mut watch = s.watch(request).await?;
        s.events(&mut watch, 1).await?;
    }
    Ok(())
}

async fn media_types_that_watches_lack(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let all = format!("/api/v1/namespaces/{ns}/secrets?watch=true&timeoutSeconds=1");
    for accept in ["application/yaml", "application/yaml, application/json"] {
        s.send(get(&all).accept(accept)).await?;
    }
    Ok(())
}

async fn what_cannot_be_watched_is_refused(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    for path in [
        &format!("/api/v1/namespaces/{ns}/pods/a/status"),
        &format!("/api/v1/namespaces/{ns}/serviceaccounts/default/token"),
        &format!("/apis/authorization.k8s.io/v1/namespaces/{ns}/localsubjectaccessreviews"),
        "/apis/authentication.k8s.io/v1/tokenreviews",
        "/api/v1/nothings",
        "/apis/none.example/v1/nothings",
        "/api/v1/namespaces/no-such-namespace/secrets",
    ] {
        s.send(
            get(path)
                .query("watch", "true")
                .query("timeoutSeconds", "1"),
        )
        .await?;
    }
    Ok(())
}

async fn a_write_with_watch_is_a_write(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let all = format!("/api/v1/namespaces/{ns}/secrets");
    let body = json!({"metadata": {"name": "a"}});
    let flagged = |path: &str| format!("{path}?watch=true&timeoutSeconds=1");
    s.send(post(flagged(&all), &body)).await?;
    let one = flagged(&format!("{all}/a"));
    s.send(patch(&one, "merge", &json!({"data": {"k": "djE="}})))
        .await?;
    s.send(delete(&one)).await?;
    Ok(())
}

async fn a_limit_does_not_bound_a_watch(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let all = format!("/api/v1/namespaces/{ns}/secrets");
    for name in ["a", "b"] {
        s.set_up(post(&all, &json!({"metadata": {"name": name}})))
            .await?;
    }
    let mut watch = s
        .watch(get(&all).query("watch", "true").query("limit", "1"))
        .await?;
    s.events(&mut watch, 2).await?;
    Ok(())
}
