//! Lists: at which version, how much of them, and of what.

use serde_json::{Value, json};

use crate::{Answer, Failure, Outcome, Session, case_list, delete, get, post, put};

case_list![
    "lists":
    an_empty_collection,
    any_exact_or_not_older_version,
    a_version_that_is_no_number,
    a_version_from_the_future,
    matches_that_make_no_sense,
    pages_are_of_one_version,
    a_page_of_any_version_is_everything,
    a_continue_token_that_is_none,
    label_selectors,
    label_selectors_that_are_none,
    field_selectors_of_every_kind,
    field_selectors_of_pods,
    field_selectors_of_secrets_and_events,
    field_selectors_that_are_none,
    all_namespaces_by_label,
    values_that_are_none,
    deleting_what_is_selected,
    deleting_at_most_so_many,
    a_dry_deletion_of_all,
    a_version_in_a_get,
];

/// Some `ConfigMaps`, each labelled with its name and with whether its place is even; and their collection.
async fn some(s: &mut Session, names: &[&str]) -> Result<String, Failure> {
    let ns = s.namespace().await?;
    let all = format!("/api/v1/namespaces/{ns}/configmaps");
    for (index, name) in names.iter().enumerate() {
        let even = if index % 2 == 0 { "yes" } else { "no" };
        let labels = json!({"name": name, "even": even, "all": "yes"});
        let body = json!({"metadata": {"name": name, "labels": labels}});
        s.set_up(post(&all, &body)).await?;
    }
    Ok(all)
}

fn list_version(answer: &Answer) -> Result<String, Failure> {
    answer.text("/metadata/resourceVersion")
}

/// Every namespace has `kube-root-ca.crt`, which is not labelled.
const OURS: &str = "labelSelector=all%3Dyes";

async fn an_empty_collection(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    for resource in ["secrets", "pods", "services", "endpoints"] {
        s.send(get(format!("/api/v1/namespaces/{ns}/{resource}")))
            .await?;
    }
    s.send(get(format!(
        "/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}/roles?limit=1"
    )))
    .await?;
    s.send(get("/api/v1/namespaces/none-of-this-name/configmaps"))
        .await?;
    Ok(())
}

async fn any_exact_or_not_older_version(s: &mut Session) -> Outcome {
    let all = some(s, &["a", "b"]).await?;
    let before = s.send(get(format!("{all}?{OURS}"))).await?;
    let version = list_version(&before)?;
    s.set_up(post(
        &all,
        &json!({"metadata": {"name": "c", "labels": {"all": "yes"}}}),
    ))
    .await?;
    s.set_up(delete(format!("{all}/a"))).await?;
    s.hide(
        &format!("resourceVersion={version}"),
        "resourceVersion=‹before›",
    );
    for query in [
        format!("resourceVersion={version}&resourceVersionMatch=Exact"),
        format!("resourceVersion={version}&limit=10"),
    ] {
        let answer = s.send(get(format!("{all}?{OURS}&{query}"))).await?;
        s.observe("at that version", list_version(&answer)? == version);
    }
    // These are answered at the newest version, which the real server's cache has by the time that it has answered a plain list.
    s.send(get(format!("{all}?{OURS}"))).await?;
    for query in [
        format!("resourceVersion={version}"),
        format!("resourceVersion={version}&resourceVersionMatch=NotOlderThan"),
        "resourceVersion=0".to_owned(),
        "resourceVersion=0&resourceVersionMatch=NotOlderThan".to_owned(),
    ] {
        s.send(get(format!("{all}?{OURS}&{query}"))).await?;
    }
    Ok(())
}

async fn a_version_that_is_no_number(s: &mut Session) -> Outcome {
    let all = some(s, &["a"]).await?;
    for query in [
        "resourceVersion=x",
        "resourceVersion=-1",
        "resourceVersion=1.5",
        "resourceVersion=x&resourceVersionMatch=Exact",
        "resourceVersion=x&limit=1",
        "watch=1&resourceVersion=x",
        "watch=1&resourceVersion=-1",
    ] {
        s.send(get(format!("{all}?{query}"))).await?;
    }
    s.send(get(format!("{all}/a?resourceVersion=x"))).await?;
    Ok(())
}

async fn a_version_from_the_future(s: &mut Session) -> Outcome {
    let all = some(s, &["a"]).await?;
    for query in [
        "resourceVersion=999999999",
        "resourceVersion=999999999&resourceVersionMatch=NotOlderThan",
        "resourceVersion=999999999&resourceVersionMatch=Exact",
    ] {
        s.send(get(format!("{all}?{query}"))).await?;
    }
    s.send(get(format!("{all}/a?resourceVersion=999999999")))
        .await?;
    Ok(())
}

async fn matches_that_make_no_sense(s: &mut Session) -> Outcome {
    let all = some(s, &["a"]).await?;
    for query in [
        "resourceVersionMatch=Exact",
        "resourceVersionMatch=NotOlderThan",
        "resourceVersionMatch=Sometimes&resourceVersion=1",
        "resourceVersionMatch=Exact&resourceVersion=0",
        "resourceVersionMatch=NotOlderThan&resourceVersion=1&continue=x",
        "sendInitialEvents=true",
        "sendInitialEvents=false&resourceVersionMatch=NotOlderThan",
    ] {
        s.send(get(format!("{all}?{query}"))).await?;
    }
    Ok(())
}

async fn pages_are_of_one_version(s: &mut Session) -> Outcome {
    let all = some(s, &["a", "b", "c", "d", "e"]).await?;
    let first = s.send(get(format!("{all}?limit=2"))).await?;
    let version = list_version(&first)?;
    let token = first.text("/metadata/continue")?;
    // What happens now is after that version.
    s.set_up(delete(format!("{all}/d"))).await?;
    s.set_up(post(&all, &json!({"metadata": {"name": "bb"}})))
        .await?;
    let mut token = Some(token);
    while let Some(next) = token {
        let page = s
            .send(get(format!("{all}?limit=2&continue={next}")))
            .await?;
        s.observe(
            "of the first page's version",
            list_version(&page)? == version,
        );
        token = page.text("/metadata/continue").ok();
    }
    let selected = s.send(get(format!("{all}?limit=1&{OURS}"))).await?;
    let token = selected.text("/metadata/continue")?;
    s.send(get(format!("{all}?limit=1&{OURS}&continue={token}")))
        .await?;
    // The rest at once, and with other selectors.
    s.send(get(format!("{all}?continue={token}"))).await?;
    s.send(get(format!(
        "{all}?labelSelector=name%3De&continue={token}"
    )))
    .await?;
    Ok(())
}

async fn a_page_of_any_version_is_everything(s: &mut Session) -> Outcome {
    let all = some(s, &["a", "b", "c"]).await?;
    s.send(get(format!("{all}?{OURS}"))).await?;
    s.send(get(format!("{all}?{OURS}&limit=1&resourceVersion=0")))
        .await?;
    s.send(get(format!("{all}?limit=0"))).await?;
    s.send(get(format!("{all}?limit=500"))).await?;
    Ok(())
}

async fn a_continue_token_that_is_none(s: &mut Session) -> Outcome {
    let all = some(s, &["a", "b", "c"]).await?;
    let first = s.send(get(format!("{all}?limit=1"))).await?;
    let token = first.text("/metadata/continue")?;
    for query in [
        "limit=1&continue=x".to_owned(),
        "limit=1&continue=%25%25".to_owned(),
        // {"v":"meta.k8s.io/v2"}, then no JSON, then without a start.
        "limit=1&continue=eyJ2IjoibWV0YS5rOHMuaW8vdjIifQ".to_owned(),
        "limit=1&continue=e30".to_owned(),
        "limit=1&continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MX0".to_owned(),
        format!("limit=1&resourceVersion=1&continue={token}"),
        format!("limit=1&resourceVersion=0&continue={token}"),
        format!("limit=1&resourceVersionMatch=Exact&continue={token}"),
    ] {
        s.send(get(format!("{all}?{query}"))).await?;
    }
    Ok(())
}

async fn label_selectors(s: &mut Session) -> Outcome {
    let all = some(s, &["a", "b", "c"]).await?;
    for selector in [
        "name=a",
        "name==a",
        "name!=a",
        "name in (a,b)",
        "name in (a, c ),even",
        "name notin (a,b)",
        "even,name=c",
        "!name",
        "name",
        "even=no,name in (b)",
        "name=",
        "none!=x,all=yes",
        "name>0",
        "name<5",
        " name = a , all = yes ",
        "",
    ] {
        let encoded = encode(selector);
        let answer = s
            .send(get(format!("{all}?labelSelector={encoded}")))
            .await?;
        s.observe("selects", names(&answer));
    }
    Ok(())
}

async fn label_selectors_that_are_none(s: &mut Session) -> Outcome {
    let all = some(s, &["a"]).await?;
    for selector in [
        "=",
        "a=b=c",
        "a in",
        "a in (",
        "a in ()",
        "a in (b",
        "a b",
        "a==",
        "!a=b",
        ",",
        "a,,b",
        "a in (b)c",
        "A B=c",
        "-a=b",
        "a=-b",
        "a=b!",
        "a/b/c=d",
        "x>y",
        "(a)",
        "a notin b",
        "!",
        "!!a",
        "a!b",
    ] {
        let encoded = encode(selector);
        s.send(get(format!("{all}?labelSelector={encoded}")))
            .await?;
    }
    Ok(())
}

async fn field_selectors_of_every_kind(s: &mut Session) -> Outcome {
    let all = some(s, &["a", "b"]).await?;
    let ns = all.split('/').nth(4).unwrap_or_default().to_owned();
    for selector in [
        "metadata.name=a".to_owned(),
        "metadata.name==b".to_owned(),
        "metadata.name!=a".to_owned(),
        "metadata.name=none".to_owned(),
        format!("metadata.namespace={ns}"),
        "metadata.namespace=other".to_owned(),
        format!("metadata.name=a,metadata.namespace={ns}"),
        "metadata.name=a,metadata.name=b".to_owned(),
        "metadata.name=a\\,b".to_owned(),
        String::new(),
    ] {
        let encoded = encode(&selector);
        let answer = s
            .send(get(format!("{all}?{OURS}&fieldSelector={encoded}")))
            .await?;
        s.observe("selects", names(&answer));
    }
    Ok(())
}

async fn field_selectors_of_pods(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let all = format!("/api/v1/namespaces/{ns}/pods");
    for (name, node, policy) in [("a", "", "Always"), ("b", "some-node", "Never")] {
        let spec = json!({
            "nodeName": node, "restartPolicy": policy, "containers": [{"name": "c", "image": "i"}],
        });
        s.set_up(post(
            &all,
            &json!({"metadata": {"name": name}, "spec": spec}),
        ))
        .await?;
    }
    for selector in [
        "spec.nodeName=",
        "spec.nodeName=some-node",
        "spec.nodeName!=some-node",
        "spec.restartPolicy=Never",
        "spec.schedulerName=default-scheduler",
        "spec.serviceAccountName=default",
        "spec.hostNetwork=false",
        "status.phase=Pending",
        "status.phase!=Pending",
        "status.podIP=",
        "status.podIPs=",
        "status.nominatedNodeName=",
        "spec.containers=x",
        "status.phase=Pending,spec.nodeName=some-node",
    ] {
        let encoded = encode(selector);
        let answer = s
            .send(
                get(format!("{all}?fieldSelector={encoded}"))
                    .accept("application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"),
            )
            .await?;
        s.observe("selects", names(&answer));
    }
    Ok(())
}

async fn field_selectors_of_secrets_and_events(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let secrets = format!("/api/v1/namespaces/{ns}/secrets");
    s.set_up(post(&secrets, &json!({"metadata": {"name": "a"}})))
        .await?;
    s.set_up(post(
        &secrets,
        &json!({"metadata": {"name": "b"}, "type": "example.com/own"}),
    ))
    .await?;
    let events = format!("/api/v1/namespaces/{ns}/events");
    let event = json!({
        "metadata": {"name": "e"}, "reason": "Started", "type": "Normal", "source": {"component": "kubelet"},
        "involvedObject": {"kind": "Pod", "name": "p", "namespace": ns, "uid": "u", "apiVersion": "v1", "fieldPath": "f"},
    });
    s.set_up(post(&events, &event)).await?;
    for selector in [
        "type=Opaque",
        "type!=Opaque",
        "type=example.com/own",
        "kind=x",
    ] {
        let answer = s
            .send(get(format!("{secrets}?fieldSelector={}", encode(selector))))
            .await?;
        s.observe("selects", names(&answer));
    }
    for selector in [
        "involvedObject.kind=Pod",
        "involvedObject.name=p,involvedObject.uid=u",
        "involvedObject.namespace!=x",
        "involvedObject.apiVersion=v1",
        "involvedObject.resourceVersion=",
        "involvedObject.fieldPath=f",
        "reason=Started",
        "reportingComponent=kubelet",
        "source=kubelet",
        "type=Warning",
        "message=x",
    ] {
        let answer = s
            .send(get(format!("{events}?fieldSelector={}", encode(selector))))
            .await?;
        s.observe("selects", names(&answer));
    }
    s.send(get(format!(
        "/apis/events.k8s.io/v1/namespaces/{ns}/events?fieldSelector=regarding.name%3Dp"
    )))
    .await?;
    s.send(get("/api/v1/nodes?fieldSelector=spec.unschedulable%3Dtrue"))
        .await?;
    s.send(get(format!(
        "/api/v1/namespaces/{ns}/services?fieldSelector=spec.clusterIP%3DNone"
    )))
    .await?;
    s.send(get(format!(
        "/api/v1/namespaces/{ns}/services?fieldSelector=spec.type%3DNodePort"
    )))
    .await?;
    Ok(())
}

async fn field_selectors_that_are_none(s: &mut Session) -> Outcome {
    let all = some(s, &["a"]).await?;
    for selector in [
        "foo.bar=x",
        "metadata.labels=x",
        "x",
        "=",
        "a=b=c",
        "metadata.name",
        "metadata.uid=x",
        "metadata.name=a\\",
        "metadata.name=\\x",
    ] {
        let encoded = encode(selector);
        s.send(get(format!("{all}?fieldSelector={encoded}")))
            .await?;
        s.send(delete(format!(
            "{all}?fieldSelector={encoded}&dryRun=All&{OURS}"
        )))
        .await?;
    }
    Ok(())
}

async fn all_namespaces_by_label(s: &mut Session) -> Outcome {
    let one = s.namespace().await?;
    let two = s.namespace().await?;
    for (ns, name) in [(&two, "a"), (&one, "b"), (&one, "a")] {
        let body = json!({"metadata": {"name": name, "labels": {"of": one}}});
        s.set_up(post(format!("/api/v1/namespaces/{ns}/configmaps"), &body))
            .await?;
    }
    let query = format!("labelSelector=of%3D{one}");
    s.send(get(format!("/api/v1/configmaps?{query}"))).await?;
    let first = s
        .send(get(format!("/api/v1/configmaps?{query}&limit=1")))
        .await?;
    let token = first.text("/metadata/continue")?;
    s.send(get(format!("/api/v1/configmaps?{query}&continue={token}")))
        .await?;
    s.send(get(format!(
        "/api/v1/configmaps?{query}&fieldSelector=metadata.namespace%3D{two}"
    )))
    .await?;
    s.send(get(format!(
        "/api/v1/configmaps?{query}&fieldSelector=metadata.name%3Da"
    )))
    .await?;
    s.send(delete(format!("/api/v1/configmaps?{query}")))
        .await?;
    s.send(post(
        "/api/v1/configmaps",
        &json!({"metadata": {"name": "a"}}),
    ))
    .await?;
    Ok(())
}

async fn values_that_are_none(s: &mut Session) -> Outcome {
    let all = some(s, &["a"]).await?;
    for query in [
        "limit=x",
        "limit=-1",
        "limit=1.5",
        "limit=99999999999999999999",
        "timeoutSeconds=x",
        "timeoutSeconds=-1",
        "watch=x&timeoutSeconds=1",
        "watch=&timeoutSeconds=1",
        "watch=0",
        "watch=false",
        "allowWatchBookmarks=x&timeoutSeconds=1",
        "sendInitialEvents=x",
        "pretty=x",
        "unknownParameter=1",
        "limit=1&limit=2",
    ] {
        s.send(get(format!("{all}?{OURS}&{query}"))).await?;
    }
    Ok(())
}

async fn deleting_what_is_selected(s: &mut Session) -> Outcome {
    let all = some(s, &["a", "b", "c", "d"]).await?;
    s.send(delete(format!("{all}?labelSelector=even%3Dyes")))
        .await?;
    s.send(get(format!("{all}?{OURS}"))).await?;
    s.send(delete(format!("{all}?labelSelector=none"))).await?;
    let options =
        json!({"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": "other"}});
    s.send(delete(format!("{all}?{OURS}")).json(&options))
        .await?;
    let policy = json!({"propagationPolicy": "Foreground", "gracePeriodSeconds": 0});
    s.send(delete(format!("{all}?fieldSelector=metadata.name%3Db")).json(&policy))
        .await?;
    s.eventually(get(format!("{all}?{OURS}")), |answer| {
        names(answer) == ["d"]
    })
    .await?;
    Ok(())
}

async fn deleting_at_most_so_many(s: &mut Session) -> Outcome {
    let all = some(s, &["a", "b", "c", "d"]).await?;
    s.send(delete(format!("{all}?{OURS}&limit=2"))).await?;
    s.send(get(format!("{all}?{OURS}"))).await?;
    let body = json!({"metadata": {"name": "e", "labels": {"all": "yes"}, "finalizers": ["example.com/stay"]}});
    let kept = s.set_up(post(&all, &body)).await?;
    s.send(delete(format!("{all}?{OURS}"))).await?;
    let last = s.send(get(format!("{all}/e"))).await?;
    let mut free = kept.body.clone();
    free["metadata"]["finalizers"] = Value::Null;
    free["metadata"]["resourceVersion"] = last.at("/metadata/resourceVersion");
    s.send(put(format!("{all}/e"), &free)).await?;
    s.send(get(format!("{all}?{OURS}"))).await?;
    Ok(())
}

async fn a_dry_deletion_of_all(s: &mut Session) -> Outcome {
    let all = some(s, &["a", "b"]).await?;
    s.send(delete(format!("{all}?{OURS}&dryRun=All"))).await?;
    s.send(delete(format!("{all}?{OURS}&dryRun=Some"))).await?;
    s.send(get(format!("{all}?{OURS}"))).await?;
    Ok(())
}

async fn a_version_in_a_get(s: &mut Session) -> Outcome {
    let all = some(s, &["a"]).await?;
    let one = s.send(get(format!("{all}/a"))).await?;
    let version = one.version()?;
    for query in [
        format!("resourceVersion={version}"),
        "resourceVersion=0".to_owned(),
        "resourceVersion=".to_owned(),
    ] {
        s.send(get(format!("{all}/a?{query}"))).await?;
    }
    Ok(())
}

fn names(answer: &Answer) -> Vec<String> {
    let items = answer.body.get("items").and_then(Value::as_array);
    items
        .into_iter()
        .flatten()
        .filter_map(|item| item.pointer("/metadata/name")?.as_str())
        .map(str::to_owned)
        .collect()
}

fn encode(selector: &str) -> String {
    selector
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}
