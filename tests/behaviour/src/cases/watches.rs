//! Watches: where they begin, what they tell, and how they end.

use serde_json::{Value, json};

use crate::{Failure, Outcome, Request, Session, case_list, delete, get, patch, post};

case_list!["watches":
    a_watch_from_nowhere_tells_what_is_there,
    a_watch_from_a_version_tells_what_came_after,
    a_timeout_ends_the_stream,
    events_are_in_the_order_of_the_changes,
    an_object_enters_and_leaves_what_labels_select,
    an_object_enters_and_leaves_what_fields_select,
    a_name_is_watched_alone,
    the_old_paths_watch,
    all_namespaces_are_watched_by_label,
    a_finalizer_shows_as_a_change_before_the_deletion,
    a_grace_period_shows_as_a_change_before_the_deletion,
    a_collection_is_deleted_one_by_one,
    a_bookmark_comes_near_the_end,
    a_watch_list_ends_in_a_bookmark,
    a_watch_list_of_any_version_ends_in_a_bookmark,
    a_watch_list_not_older_than_a_version_ends_in_a_bookmark,
    a_watch_list_selects,
    a_watch_list_of_nothing_is_a_bookmark,
    a_watch_without_initial_events_begins_now,
    a_watch_without_initial_events_at_any_version_begins_now,
    a_watch_without_initial_events_begins_at_a_version,
    a_watch_is_served_as_table,
    a_watch_is_served_as_metadata,
    a_bookmark_is_served_as_asked,
];

/// The parameters of a watch-list.
const WATCH_LIST: &str =
    "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";

/// The path of a new namespace's Secrets, of which there are none.
async fn secrets(s: &mut Session) -> Result<String, Failure> {
    let ns = s.namespace().await?;
    Ok(format!("/api/v1/namespaces/{ns}/secrets"))
}

/// The path of a new namespace's Roles, whose Tables tell times rather than ages.
async fn roles(s: &mut Session) -> Result<String, Failure> {
    let ns = s.namespace().await?;
    Ok(format!(
        "/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}/roles"
    ))
}

fn named(name: &str, label: &str) -> Value {
    json!({"metadata": {"name": name, "labels": {"l": label}}})
}

fn labelled(one: &str, label: &str) -> Request {
    patch(one, "merge", &json!({"metadata": {"labels": {"l": label}}}))
}

/// A version at which nothing is there yet: that of another object, so that the recording can name it.
async fn now(s: &mut Session, all: &str) -> Result<String, Failure> {
    let namespace = all.rsplit('/').nth(1).unwrap_or_default();
    let body = json!({"metadata": {"name": "start"}});
    s.send(post(
        format!("/api/v1/namespaces/{namespace}/configmaps"),
        &body,
    ))
    .await?
    .version()
}

fn watch(all: &str) -> Request {
    get(all).query("watch", "true")
}

async fn a_watch_from_nowhere_tells_what_is_there(s: &mut Session) -> Outcome {
    let all = secrets(s).await?;
    s.set_up(post(&all, &named("b", "1"))).await?;
    s.set_up(post(&all, &named("a", "1"))).await?;
    // From then on what may be of any version has them too.
    s.send(get(&all)).await?;
    for request in [
        watch(&all),
        watch(&all).query("resourceVersion", ""),
        watch(&all).query("resourceVersion", "0"),
    ] {
        let mut watch = s.watch(request).await?;
        s.events(&mut watch, 2).await?;
        s.set_up(labelled(&format!("{all}/a"), "2")).await?;
        s.events(&mut watch, 1).await?;
        s.set_up(labelled(&format!("{all}/a"), "1")).await?;
        s.events(&mut watch, 1).await?;
        s.send(get(&all)).await?;
    }
    Ok(())
}

async fn a_watch_from_a_version_tells_what_came_after(s: &mut Session) -> Outcome {
    let all = secrets(s).await?;
    let mut versions = vec![now(s, &all).await?];
    let one = format!("{all}/a");
    for request in [
        post(&all, &named("a", "1")),
        labelled(&one, "2"),
        post(&all, &named("b", "1")),
    ] {
        versions.push(s.send(request).await?.version()?);
    }
    s.set_up(delete(&one)).await?;
    for (at, version) in versions.iter().enumerate() {
        let mut watch = s
            .watch(watch(&all).query("resourceVersion", version))
            .await?;
        s.events(&mut watch, 4 - at).await?;
    }
    Ok(())
}

async fn a_timeout_ends_the_stream(s: &mut Session) -> Outcome {
    let all = secrets(s).await?;
    s.set_up(post(&all, &named("a", "1"))).await?;
    for version in [None, Some(now(s, &all).await?)] {
        let mut request = watch(&all).query("timeoutSeconds", "1");
        if let Some(version) = version {
            request = request.query("resourceVersion", &version);
        }
        let mut watch = s.watch(request).await?;
        s.end(&mut watch).await?;
    }
    Ok(())
}

async fn events_are_in_the_order_of_the_changes(s: &mut Session) -> Outcome {
    let all = secrets(s).await?;
    let version = now(s, &all).await?;
    let mut watch = s
        .watch(watch(&all).query("resourceVersion", &version))
        .await?;
    for name in ["c", "a", "b"] {
        s.set_up(post(&all, &named(name, "0"))).await?;
    }
    for round in ["1", "2"] {
        for name in ["b", "c", "a"] {
            s.set_up(labelled(&format!("{all}/{name}"), round)).await?;
        }
    }
    for name in ["a", "b", "c"] {
        s.set_up(delete(format!("{all}/{name}"))).await?;
    }
    s.set_up(post(&all, &named("a", "0"))).await?;
    s.events(&mut watch, 13).await?;
    Ok(())
}

async fn an_object_enters_and_leaves_what_labels_select(s: &mut Session) -> Outcome {
    let all = secrets(s).await?;
    let version = s.send(post(&all, &named("a", "0"))).await?.version()?;
    let selected = |selector: &str| {
        watch(&all)
            .query("resourceVersion", &version)
            .query("labelSelector", selector)
    };
    let mut equal = s.watch(selected("l=1")).await?;
    let mut other = s.watch(selected("l!=1")).await?;
    let mut exists = s.watch(selected("!l")).await?;
    let one = format!("{all}/a");
    for label in ["1", "1", "2", "3", "1"] {
        s.send(labelled(&one, label)).await?;
        s.send(patch(&one, "merge", &json!({"data": {label: "djE="}})))
            .await?;
    }
    s.send(patch(&one, "merge", &json!({"metadata": {"labels": null}})))
        .await?;
    s.send(delete(&one)).await?;
    s.events(&mut equal, 5).await?;
    s.events(&mut other, 8).await?;
    s.events(&mut exists, 2).await?;
    Ok(())
}

async fn an_object_enters_and_leaves_what_fields_select(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let all = format!("/api/v1/namespaces/{ns}/pods");
    let version = now(s, &all).await?;
    let mut watch = s
        .watch(
            watch(&all)
                .query("resourceVersion", &version)
                .query("fieldSelector", "status.phase=Running"),
        )
        .await?;
    let body =
        json!({"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    s.set_up(post(&all, &body)).await?;
    for phase in ["Running", "Succeeded", "Running"] {
        let body = json!({"status": {"phase": phase}});
        s.set_up(patch(format!("{all}/a/status"), "merge", &body))
            .await?;
    }
    s.set_up(delete(format!("{all}/a?gracePeriodSeconds=0")))
        .await?;
    s.events(&mut watch, 4).await?;
    Ok(())
}

async fn a_name_is_watched_alone(s: &mut Session) -> Outcome {
    let all = secrets(s).await?;
    let version = now(s, &all).await?;
    let from = |path: &str| watch(path).query("resourceVersion", &version);
    let mut by_field = s
        .watch(from(&all).query("fieldSelector", "metadata.name=b"))
        .await?;
    // A single object's path does not watch.
    for request in [
        watch(&format!("{all}/b")),
        from(&format!("{all}/b")),
        from(&format!("{all}/b")).query("labelSelector", "="),
    ] {
        s.send(request.query("timeoutSeconds", "1")).await?;
    }
    for name in ["a", "b", "c"] {
        s.set_up(post(&all, &named(name, "1"))).await?;
        s.set_up(labelled(&format!("{all}/{name}"), "2")).await?;
    }
    s.events(&mut by_field, 2).await?;
    s.send(watch(&format!("{all}/b")).query("timeoutSeconds", "1"))
        .await?;
    Ok(())
}

async fn the_old_paths_watch(s: &mut Session) -> Outcome {
    let all = secrets(s).await?;
    let version = now(s, &all).await?;
    let old = all.replace("/api/v1/", "/api/v1/watch/");
    let from = |path: &str| get(path).query("resourceVersion", &version);
    let mut collection = s.watch(from(&old)).await?;
    let mut one = s.watch(from(&format!("{old}/b"))).await?;
    let mut flagged = s
        .watch(from(&format!("{old}/b")).query("watch", "false"))
        .await?;
    for name in ["a", "b"] {
        s.set_up(post(&all, &named(name, "1"))).await?;
    }
    s.events(&mut collection, 2).await?;
    s.events(&mut one, 1).await?;
    s.events(&mut flagged, 1).await?;
    for request in [
        get(format!("{old}/b")).query("fieldSelector", "metadata.name=a"),
        get(format!("{old}/b/status")),
        get("/api/v1/watch/nothings"),
        post(&old, &named("c", "1")),
        delete(&old),
    ] {
        s.send(request.query("timeoutSeconds", "1")).await?;
    }
    Ok(())
}

async fn all_namespaces_are_watched_by_label(s: &mut Session) -> Outcome {
    let label = s.name("label");
    let (one, two) = (secrets(s).await?, secrets(s).await?);
    let version = now(s, &one).await?;
    let mut watch = s
        .watch(
            watch("/api/v1/secrets")
                .query("resourceVersion", &version)
                .query("labelSelector", &format!("l={label}")),
        )
        .await?;
    for all in [&one, &two] {
        s.set_up(post(all, &named("a", &label))).await?;
        s.set_up(post(all, &named("b", "other"))).await?;
    }
    s.set_up(delete(format!("{one}/a"))).await?;
    s.events(&mut watch, 3).await?;
    Ok(())
}

async fn a_finalizer_shows_as_a_change_before_the_deletion(s: &mut Session) -> Outcome {
    let all = secrets(s).await?;
    let one = format!("{all}/a");
    let version = now(s, &all).await?;
    let mut watch = s
        .watch(watch(&all).query("resourceVersion", &version))
        .await?;
    let body = json!({"metadata": {"name": "a", "finalizers": ["x.example/wait"]}});
    s.send(post(&all, &body)).await?;
    s.send(delete(&one)).await?;
    s.send(delete(&one)).await?;
    s.send(patch(
        &one,
        "merge",
        &json!({"metadata": {"finalizers": null}}),
    ))
    .await?;
    s.events(&mut watch, 3).await?;
    Ok(())
}

async fn a_grace_period_shows_as_a_change_before_the_deletion(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let all = format!("/api/v1/namespaces/{ns}/pods");
    let one = format!("{all}/a");
    let version = now(s, &all).await?;
    let mut watch = s
        .watch(watch(&all).query("resourceVersion", &version))
        .await?;
    let body = json!({
        "metadata": {"name": "a"}, "spec": {"nodeName": "n", "containers": [{"name": "c", "image": "i"}]}
    });
    s.set_up(post(&all, &body)).await?;
    s.set_up(delete(&one)).await?;
    s.set_up(delete(&one).query("gracePeriodSeconds", "5"))
        .await?;
    s.set_up(delete(&one).query("gracePeriodSeconds", "0"))
        .await?;
    s.events(&mut watch, 4).await?;
    Ok(())
}

async fn a_collection_is_deleted_one_by_one(s: &mut Session) -> Outcome {
    let all = secrets(s).await?;
    s.set_up(post(&all, &named("a", "1"))).await?;
    let version = s.send(post(&all, &named("b", "2"))).await?.version()?;
    let mut watch = s
        .watch(watch(&all).query("resourceVersion", &version))
        .await?;
    s.set_up(delete(&all).query("labelSelector", "l=1")).await?;
    s.set_up(delete(&all).query("labelSelector", "l=2")).await?;
    s.events(&mut watch, 2).await?;
    Ok(())
}

async fn a_bookmark_comes_near_the_end(s: &mut Session) -> Outcome {
    let all = secrets(s).await?;
    let version = s.send(post(&all, &named("a", "1"))).await?.version()?;
    let mut watch = s
        .watch(
            watch(&all)
                .query("resourceVersion", &version)
                .query("allowWatchBookmarks", "true")
                .query("timeoutSeconds", "4"),
        )
        .await?;
    s.set_up(post(&all, &named("b", "1"))).await?;
    s.events(&mut watch, 2).await?;
    Ok(())
}

async fn a_watch_list_ends_in_a_bookmark(s: &mut Session) -> Outcome {
    watch_list(s, None).await
}

async fn a_watch_list_of_any_version_ends_in_a_bookmark(s: &mut Session) -> Outcome {
    watch_list(s, Some("0")).await
}

async fn a_watch_list_not_older_than_a_version_ends_in_a_bookmark(s: &mut Session) -> Outcome {
    watch_list(s, Some("newest")).await
}

/// A watch-list at a version, which may be the newest object's, and what happens after it.
async fn watch_list(s: &mut Session, version: Option<&str>) -> Outcome {
    let all = secrets(s).await?;
    s.set_up(post(&all, &named("b", "1"))).await?;
    let newest = s.send(post(&all, &named("a", "1"))).await?.version()?;
    s.send(get(&all)).await?;
    let list = get(format!("{all}?{WATCH_LIST}"));
    let mut watch = s
        .watch(match version {
            Some("newest") => list.query("resourceVersion", &newest),
            Some(version) => list.query("resourceVersion", version),
            None => list,
        })
        .await?;
    s.events(&mut watch, 3).await?;
    s.set_up(post(&all, &named("c", "1"))).await?;
    s.changes(&mut watch, 1).await?;
    Ok(())
}

async fn a_watch_list_selects(s: &mut Session) -> Outcome {
    let all = secrets(s).await?;
    for (name, label) in [("a", "1"), ("b", "2"), ("c", "1")] {
        s.set_up(post(&all, &named(name, label))).await?;
    }
    s.send(get(&all)).await?;
    let list = || get(format!("{all}?{WATCH_LIST}"));
    for (request, count) in [
        (list().query("labelSelector", "l=1"), 3),
        (list().query("fieldSelector", "metadata.name=b"), 2),
        (list().query("labelSelector", "l=3"), 1),
    ] {
        let mut watch = s.watch(request).await?;
        s.events(&mut watch, count).await?;
    }
    Ok(())
}

async fn a_watch_list_of_nothing_is_a_bookmark(s: &mut Session) -> Outcome {
    let all = secrets(s).await?;
    let mut watch = s.watch(get(format!("{all}?{WATCH_LIST}"))).await?;
    s.events(&mut watch, 1).await?;
    s.set_up(post(&all, &named("a", "1"))).await?;
    s.changes(&mut watch, 1).await?;
    Ok(())
}

async fn a_watch_without_initial_events_begins_now(s: &mut Session) -> Outcome {
    without_initial_events(s, Some("")).await
}

async fn a_watch_without_initial_events_at_any_version_begins_now(s: &mut Session) -> Outcome {
    without_initial_events(s, Some("0")).await
}

async fn a_watch_without_initial_events_begins_at_a_version(s: &mut Session) -> Outcome {
    without_initial_events(s, None).await
}

/// A watch that wants no initial events, at a version or that of the newest object, and what happens after it.
async fn without_initial_events(s: &mut Session, version: Option<&str>) -> Outcome {
    let all = secrets(s).await?;
    let newest = s.send(post(&all, &named("a", "1"))).await?.version()?;
    let none = "watch=true&sendInitialEvents=false&resourceVersionMatch=NotOlderThan";
    let version = version.unwrap_or(&newest);
    let mut watch = s
        .watch(get(format!("{all}?{none}")).query("resourceVersion", version))
        .await?;
    s.set_up(post(&all, &named("c", "1"))).await?;
    s.events(&mut watch, 1).await?;
    Ok(())
}

async fn a_watch_is_served_as_table(s: &mut Session) -> Outcome {
    let all = roles(s).await?;
    let version = now(s, &all).await?;
    let table = "application/json;as=Table;g=meta.k8s.io;v=v1";
    let from = || watch(&all).query("resourceVersion", &version).accept(table);
    let mut metadata = s.watch(from()).await?;
    let mut object = s.watch(from().query("includeObject", "Object")).await?;
    let mut none = s.watch(from().query("includeObject", "None")).await?;
    s.set_up(post(&all, &named("a", "1"))).await?;
    s.set_up(labelled(&format!("{all}/a"), "2")).await?;
    s.set_up(delete(format!("{all}/a"))).await?;
    for watch in [&mut metadata, &mut object, &mut none] {
        s.events(watch, 3).await?;
    }
    Ok(())
}

async fn a_watch_is_served_as_metadata(s: &mut Session) -> Outcome {
    let all = secrets(s).await?;
    let version = now(s, &all).await?;
    let from = |accept: &str| {
        watch(&all)
            .query("resourceVersion", &version)
            .accept(accept)
    };
    let mut one = s
        .watch(from(
            "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
        ))
        .await?;
    s.set_up(post(&all, &named("a", "1"))).await?;
    s.set_up(delete(format!("{all}/a"))).await?;
    s.events(&mut one, 2).await?;
    Ok(())
}

async fn a_bookmark_is_served_as_asked(s: &mut Session) -> Outcome {
    let all = roles(s).await?;
    s.set_up(post(&all, &named("a", "1"))).await?;
    s.send(get(&all)).await?;
    for accept in [
        "application/json;as=Table;g=meta.k8s.io;v=v1",
        "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
    ] {
        for selector in ["l", "none"] {
            let list = get(format!("{all}?{WATCH_LIST}")).query("labelSelector", selector);
            let mut watch = s.watch(list.accept(accept)).await?;
            s.events(&mut watch, if selector == "l" { 2 } else { 1 })
                .await?;
            s.set_up(post(&all, &named("b", "1"))).await?;
            s.set_up(delete(format!("{all}/b"))).await?;
            if selector == "l" {
                s.changes(&mut watch, 2).await?;
            }
        }
    }
    Ok(())
}
