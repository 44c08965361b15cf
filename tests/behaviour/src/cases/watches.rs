//! Watches: from which version, what they bring, and how they end.

use serde_json::{Value, json};

use crate::{Failure, Outcome, Session, case_list, delete, get, patch, post, put};

case_list![
    "watches":
    from_a_version_in_order,
    from_now_on_begins_with_what_is_there,
    a_watch_list,
    a_watch_list_of_nothing,
    a_watch_list_from_a_version,
    a_watch_list_that_makes_no_sense,
    an_object_enters_and_leaves_the_selection,
    fields_enter_and_leave_the_selection,
    one_name,
    all_namespaces_by_label,
    the_old_paths,
    a_timeout_ends_it,
    a_bookmark_comes_before_the_end,
    a_version_from_the_future,
    the_end_of_an_object_with_finalizers,
    the_end_of_a_pod,
    quick_changes_of_several_objects,
    as_a_table,
    as_a_table_with_bookmarks,
    as_metadata,
    what_cannot_be_watched,
    options_that_are_none,
    other_representations,
];

async fn collection(s: &mut Session) -> Result<String, Failure> {
    let ns = s.namespace().await?;
    Ok(format!("/api/v1/namespaces/{ns}/configmaps"))
}

async fn create(s: &mut Session, all: &str, name: &str, label: &str) -> Result<Value, Failure> {
    let body = json!({"metadata": {"name": name, "labels": {"l": label}}});
    Ok(s.set_up(post(all, &body)).await?.body)
}

async fn label(s: &mut Session, all: &str, name: &str, label: &str) -> Result<Value, Failure> {
    let body = json!({"metadata": {"labels": {"l": label}}});
    let request = patch(format!("{all}/{name}"), "merge", &body);
    Ok(s.set_up(request).await?.body)
}

/// The version of the collection.
async fn now(s: &mut Session, all: &str) -> Result<String, Failure> {
    let answer = s.set_up(get(format!("{all}?limit=1"))).await?;
    let version = answer.text("/metadata/resourceVersion")?;
    s.hide(
        &format!("resourceVersion={version}"),
        "resourceVersion=‹start›",
    );
    Ok(version)
}

async fn from_a_version_in_order(s: &mut Session) -> Outcome {
    let all = collection(s).await?;
    let start = now(s, &all).await?;
    create(s, &all, "a", "1").await?;
    create(s, &all, "b", "1").await?;
    label(s, &all, "a", "2").await?;
    s.set_up(delete(format!("{all}/b"))).await?;
    create(s, &all, "b", "3").await?;
    let mut watch = s
        .watch(get(format!("{all}?watch=1&resourceVersion={start}")))
        .await?;
    s.events(&mut watch, 5).await?;
    label(s, &all, "b", "4").await?;
    s.set_up(delete(format!("{all}/a"))).await?;
    s.events(&mut watch, 2).await?;
    Ok(())
}

async fn from_now_on_begins_with_what_is_there(s: &mut Session) -> Outcome {
    let all = collection(s).await?;
    create(s, &all, "a", "1").await?;
    create(s, &all, "b", "1").await?;
    for version in ["", "&resourceVersion=", "&resourceVersion=0"] {
        let mut watch = s
            .watch(get(format!("{all}?watch=true&labelSelector=l{version}")))
            .await?;
        s.events(&mut watch, 2).await?;
        label(s, &all, "a", &format!("x{}", version.len())).await?;
        s.events(&mut watch, 1).await?;
    }
    Ok(())
}

const WATCH_LIST: &str =
    "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";

async fn a_watch_list(s: &mut Session) -> Outcome {
    let all = collection(s).await?;
    create(s, &all, "b", "1").await?;
    create(s, &all, "a", "1").await?;
    let mut watch = s
        .watch(get(format!("{all}?{WATCH_LIST}&labelSelector=l%3D1")))
        .await?;
    s.events(&mut watch, 3).await?;
    create(s, &all, "c", "1").await?;
    s.events(&mut watch, 1).await?;
    let mut watch = s
        .watch(get(format!(
            "{all}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&labelSelector=l%3D1"
        )))
        .await?;
    // Without bookmarks nobody says where the beginning ends.
    s.events(&mut watch, 3).await?;
    create(s, &all, "d", "1").await?;
    s.events(&mut watch, 1).await?;
    Ok(())
}

async fn a_watch_list_of_nothing(s: &mut Session) -> Outcome {
    let all = collection(s).await?;
    let mut watch = s
        .watch(get(format!("{all}?{WATCH_LIST}&labelSelector=l")))
        .await?;
    s.events(&mut watch, 1).await?;
    create(s, &all, "a", "1").await?;
    s.events(&mut watch, 1).await?;
    Ok(())
}

async fn a_watch_list_from_a_version(s: &mut Session) -> Outcome {
    let all = collection(s).await?;
    let first = create(s, &all, "a", "1").await?;
    let version = first["metadata"]["resourceVersion"].as_str().unwrap_or("0");
    s.hide(
        &format!("resourceVersion={version}"),
        "resourceVersion=‹first›",
    );
    label(s, &all, "a", "2").await?;
    for version in ["0", version] {
        let mut watch = s
            .watch(get(format!(
                "{all}?{WATCH_LIST}&labelSelector=l&resourceVersion={version}"
            )))
            .await?;
        s.events(&mut watch, 2).await?;
    }
    let mut watch = s
        .watch(get(format!(
            "{all}?watch=1&sendInitialEvents=false&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&labelSelector=l"
        )))
        .await?;
    label(s, &all, "a", "3").await?;
    s.events(&mut watch, 1).await?;
    Ok(())
}

async fn a_watch_list_that_makes_no_sense(s: &mut Session) -> Outcome {
    let all = collection(s).await?;
    for query in [
        "watch=1&sendInitialEvents=true",
        "watch=1&sendInitialEvents=false",
        "watch=1&sendInitialEvents=true&resourceVersionMatch=Exact",
        "watch=1&sendInitialEvents=true&resourceVersionMatch=Sometimes",
        "watch=1&resourceVersionMatch=NotOlderThan&timeoutSeconds=1",
        "watch=1&resourceVersionMatch=Exact&resourceVersion=1",
        "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&continue=x",
        "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&limit=1&timeoutSeconds=1&resourceVersion=x",
        "watch=1&continue=x&timeoutSeconds=1",
    ] {
        s.send(get(format!("{all}?{query}"))).await?;
    }
    Ok(())
}

async fn an_object_enters_and_leaves_the_selection(s: &mut Session) -> Outcome {
    let all = collection(s).await?;
    create(s, &all, "a", "no").await?;
    let start = now(s, &all).await?;
    for value in ["yes", "yes-more", "no", "other", "yes"] {
        label(s, &all, "a", value).await?;
    }
    s.set_up(delete(format!("{all}/a"))).await?;
    let mut watch = s
        .watch(get(format!(
            "{all}?watch=1&resourceVersion={start}&labelSelector=l%20in%20(yes,yes-more)"
        )))
        .await?;
    s.events(&mut watch, 5).await?;
    Ok(())
}

async fn fields_enter_and_leave_the_selection(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let all = format!("/api/v1/namespaces/{ns}/pods");
    let start = now(s, &all).await?;
    let spec = json!({"containers": [{"name": "c", "image": "i"}]});
    s.set_up(post(
        &all,
        &json!({"metadata": {"name": "p"}, "spec": spec}),
    ))
    .await?;
    for phase in ["Running", "Succeeded"] {
        let body = json!({"status": {"phase": phase}});
        s.set_up(patch(format!("{all}/p/status"), "merge", &body))
            .await?;
    }
    let mut watch = s
        .watch(get(format!(
            "{all}?watch=1&resourceVersion={start}&fieldSelector=status.phase%3DRunning"
        )))
        .await?;
    s.events(&mut watch, 2).await?;
    Ok(())
}

async fn one_name(s: &mut Session) -> Outcome {
    let all = collection(s).await?;
    let start = now(s, &all).await?;
    for name in ["a", "b"] {
        create(s, &all, name, "1").await?;
    }
    let mut watch = s
        .watch(get(format!(
            "{all}?watch=1&resourceVersion={start}&fieldSelector=metadata.name%3Db"
        )))
        .await?;
    s.events(&mut watch, 1).await?;
    label(s, &all, "a", "2").await?;
    label(s, &all, "b", "2").await?;
    s.events(&mut watch, 1).await?;
    Ok(())
}

async fn all_namespaces_by_label(s: &mut Session) -> Outcome {
    let one = s.namespace().await?;
    let two = s.namespace().await?;
    let path = |ns: &str| format!("/api/v1/namespaces/{ns}/configmaps");
    let start = now(s, &path(&one)).await?;
    for ns in [&two, &one] {
        create(s, &path(ns), "a", &one).await?;
    }
    let mut watch = s
        .watch(get(format!(
            "/api/v1/configmaps?watch=1&resourceVersion={start}&labelSelector=l%3D{one}"
        )))
        .await?;
    s.events(&mut watch, 2).await?;
    Ok(())
}

async fn the_old_paths(s: &mut Session) -> Outcome {
    let all = collection(s).await?;
    let start = now(s, &all).await?;
    create(s, &all, "a", "1").await?;
    create(s, &all, "b", "1").await?;
    let old = all.replace("/api/v1/", "/api/v1/watch/");
    let mut watch = s
        .watch(get(format!("{old}?resourceVersion={start}")))
        .await?;
    s.events(&mut watch, 2).await?;
    let mut watch = s
        .watch(get(format!("{old}/b?resourceVersion={start}")))
        .await?;
    s.events(&mut watch, 1).await?;
    Ok(())
}

async fn a_timeout_ends_it(s: &mut Session) -> Outcome {
    let all = collection(s).await?;
    create(s, &all, "a", "1").await?;
    let mut watch = s
        .watch(get(format!(
            "{all}?watch=1&labelSelector=l&timeoutSeconds=1"
        )))
        .await?;
    s.end(&mut watch).await
}

async fn a_bookmark_comes_before_the_end(s: &mut Session) -> Outcome {
    let all = collection(s).await?;
    create(s, &all, "a", "1").await?;
    let mut watch = s
        .watch(get(format!(
            "{all}?watch=1&labelSelector=l&timeoutSeconds=4&allowWatchBookmarks=true"
        )))
        .await?;
    let first = s.events(&mut watch, 1).await?;
    s.observe("first", first["type"].clone());
    let bookmark = s.events(&mut watch, 1).await?;
    s.observe("then", bookmark["type"].clone());
    Ok(())
}

async fn a_version_from_the_future(s: &mut Session) -> Outcome {
    let all = collection(s).await?;
    s.send(get(format!(
        "{all}?watch=1&resourceVersion=999999999&timeoutSeconds=1"
    )))
    .await?;
    s.send(get(format!(
        "{all}?{WATCH_LIST}&resourceVersion=999999999&timeoutSeconds=1"
    )))
    .await?;
    Ok(())
}

async fn the_end_of_an_object_with_finalizers(s: &mut Session) -> Outcome {
    let all = collection(s).await?;
    let start = now(s, &all).await?;
    let body = json!({"metadata": {"name": "a", "finalizers": ["example.com/stay"]}});
    s.set_up(post(&all, &body)).await?;
    s.set_up(delete(format!("{all}/a"))).await?;
    s.set_up(delete(format!("{all}/a"))).await?;
    let free = json!({"metadata": {"finalizers": null}});
    s.set_up(patch(format!("{all}/a"), "merge", &free)).await?;
    let mut watch = s
        .watch(get(format!("{all}?watch=1&resourceVersion={start}")))
        .await?;
    s.events(&mut watch, 3).await?;
    Ok(())
}

async fn the_end_of_a_pod(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let all = format!("/api/v1/namespaces/{ns}/pods");
    let start = now(s, &all).await?;
    for (name, node) in [("nowhere", ""), ("somewhere", "some-node")] {
        let spec = json!({"nodeName": node, "containers": [{"name": "c", "image": "i"}]});
        s.set_up(post(
            &all,
            &json!({"metadata": {"name": name}, "spec": spec}),
        ))
        .await?;
    }
    s.send(delete(format!("{all}/nowhere"))).await?;
    s.send(delete(format!("{all}/somewhere"))).await?;
    s.send(delete(format!("{all}/somewhere?gracePeriodSeconds=10")))
        .await?;
    s.send(delete(format!("{all}/somewhere?gracePeriodSeconds=0")))
        .await?;
    let mut watch = s
        .watch(get(format!("{all}?watch=1&resourceVersion={start}")))
        .await?;
    loop {
        let event = s.events(&mut watch, 1).await?;
        let name = event["object"]["metadata"]["name"].as_str();
        if event["type"] == "DELETED" && name == Some("somewhere") {
            return Ok(());
        }
    }
}

async fn quick_changes_of_several_objects(s: &mut Session) -> Outcome {
    let all = collection(s).await?;
    let start = now(s, &all).await?;
    let mut watch = s
        .watch(get(format!("{all}?watch=1&resourceVersion={start}")))
        .await?;
    for name in ["a", "b", "c"] {
        create(s, &all, name, "0").await?;
    }
    for round in 1..6 {
        for name in ["c", "a", "b"] {
            label(s, &all, name, &round.to_string()).await?;
        }
    }
    s.events(&mut watch, 18).await?;
    Ok(())
}

async fn as_a_table(s: &mut Session) -> Outcome {
    let all = collection(s).await?;
    let start = now(s, &all).await?;
    for name in ["a", "b"] {
        create(s, &all, name, "1").await?;
    }
    s.set_up(delete(format!("{all}/a"))).await?;
    for query in ["", "&includeObject=None", "&includeObject=Object"] {
        let mut watch = s
            .watch(
                get(format!("{all}?watch=1&resourceVersion={start}{query}"))
                    .accept("application/json;as=Table;v=v1;g=meta.k8s.io"),
            )
            .await?;
        s.events(&mut watch, 3).await?;
    }
    Ok(())
}

async fn as_a_table_with_bookmarks(s: &mut Session) -> Outcome {
    let all = collection(s).await?;
    create(s, &all, "a", "1").await?;
    let mut watch = s
        .watch(
            get(format!("{all}?{WATCH_LIST}&labelSelector=l"))
                .accept("application/json;as=Table;v=v1;g=meta.k8s.io"),
        )
        .await?;
    s.events(&mut watch, 2).await?;
    Ok(())
}

async fn as_metadata(s: &mut Session) -> Outcome {
    let all = collection(s).await?;
    create(s, &all, "a", "1").await?;
    let mut watch = s
        .watch(
            get(format!("{all}?{WATCH_LIST}&labelSelector=l"))
                .accept("application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"),
        )
        .await?;
    s.events(&mut watch, 2).await?;
    Ok(())
}

async fn what_cannot_be_watched(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    for path in [
        format!("/api/v1/namespaces/{ns}/bindings?watch=1"),
        format!("/api/v1/namespaces/{ns}/serviceaccounts/default/token?watch=1"),
        "/apis/authentication.k8s.io/v1/tokenreviews?watch=1".to_owned(),
        "/api/v1/nothing?watch=1".to_owned(),
        "/api/v1/watch/nothing".to_owned(),
        "/api/v1?watch=1".to_owned(),
    ] {
        s.send(get(path)).await?;
    }
    let all = format!("/api/v1/namespaces/{ns}/configmaps");
    s.send(post(
        format!("{all}?watch=1"),
        &json!({"metadata": {"name": "a"}}),
    ))
    .await?;
    s.send(put(
        format!("{all}/a?watch=1"),
        &json!({"metadata": {"name": "a"}, "data": {"k": "v"}}),
    ))
    .await?;
    s.send(delete(format!("{all}/a?watch=1"))).await?;
    Ok(())
}

async fn options_that_are_none(s: &mut Session) -> Outcome {
    let all = collection(s).await?;
    for query in [
        "watch=1&timeoutSeconds=x",
        "watch=1&timeoutSeconds=1&limit=x",
        "watch=1&labelSelector=%3D",
        "watch=1&fieldSelector=foo.bar%3Dx",
        "watch=maybe&timeoutSeconds=1",
    ] {
        s.send(get(format!("{all}?{query}"))).await?;
    }
    Ok(())
}

async fn other_representations(s: &mut Session) -> Outcome {
    let all = collection(s).await?;
    create(s, &all, "a", "1").await?;
    let query = "watch=1&labelSelector=l&timeoutSeconds=1";
    for accept in [
        "application/yaml",
        "text/html",
        "application/json;stream=watch",
        "application/json;as=Table;v=v9;g=meta.k8s.io",
        "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
        "*/*",
    ] {
        s.send(get(format!("{all}?{query}")).accept(accept)).await?;
    }
    s.send(get(format!("{all}?{query}&pretty=1"))).await?;
    Ok(())
}
