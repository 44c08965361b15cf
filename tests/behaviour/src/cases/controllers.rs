//! What happens without being asked for: a namespace is filled and emptied, what has lost its owner goes.

use serde_json::{Value, json};

use crate::{Failure, Outcome, Session, case_list, delete, get, patch, post};

case_list!["controllers":
    a_namespace_is_filled,
    a_namespace_has_the_root_certificate,
    what_every_namespace_has_comes_again,
    a_namespace_goes_with_all_in_it,
    a_namespace_that_goes_takes_nothing_new,
    a_namespace_waits_for_finalizers,
    dependents_go_in_the_background,
    dependents_go_first,
    dependents_stay_as_orphans,
    an_owner_that_never_was_takes_its_dependents,
    a_second_owner_keeps_its_dependent,
];

async fn config_maps(s: &mut Session) -> Result<String, Failure> {
    let ns = s.namespace().await?;
    Ok(format!("/api/v1/namespaces/{ns}/configmaps"))
}

/// Makes a config map, and answers how others name it as their owner.
async fn owner(s: &mut Session, all: &str, name: &str) -> Result<Value, Failure> {
    let body = json!({"metadata": {"name": name}});
    let uid = s.set_up(post(all, &body)).await?.text("/metadata/uid")?;
    Ok(json!({"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": uid}))
}

async fn owned(s: &mut Session, all: &str, name: &str, owners: &[Value]) -> Outcome {
    let body = json!({"metadata": {"name": name, "ownerReferences": owners}});
    s.set_up(post(all, &body)).await?;
    Ok(())
}

async fn until_gone(s: &mut Session, path: &str) -> Outcome {
    s.eventually(get(path), |answer| answer.status == 404)
        .await?;
    Ok(())
}

async fn a_namespace_is_filled(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    s.send(get(format!("/api/v1/namespaces/{ns}"))).await?;
    s.send(get(format!(
        "/api/v1/namespaces/{ns}/serviceaccounts/default"
    )))
    .await?;
    Ok(())
}

async fn a_namespace_has_the_root_certificate(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let root = format!("/api/v1/namespaces/{ns}/configmaps/kube-root-ca.crt");
    s.send(get(root)).await?;
    s.send(get(format!("/api/v1/namespaces/{ns}/secrets")))
        .await?;
    Ok(())
}

async fn what_every_namespace_has_comes_again(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    for path in [
        format!("/api/v1/namespaces/{ns}/serviceaccounts/default"),
        format!("/api/v1/namespaces/{ns}/configmaps/kube-root-ca.crt"),
    ] {
        let first = s.set_up(get(&path)).await?.text("/metadata/uid")?;
        s.send(delete(&path)).await?;
        s.eventually(get(&path), |answer| {
            answer.status == 200 && answer.at("/metadata/uid") != first.as_str()
        })
        .await?;
    }
    let root = format!("/api/v1/namespaces/{ns}/configmaps/kube-root-ca.crt");
    let change = json!({"data": {"ca.crt": "forged", "more": "1"}});
    s.set_up(patch(&root, "merge", &change)).await?;
    s.eventually(get(&root), |answer| answer.at("/data/ca.crt") != "forged")
        .await?;
    Ok(())
}

async fn a_namespace_goes_with_all_in_it(s: &mut Session) -> Outcome {
    let all = config_maps(s).await?;
    let ns = all.trim_end_matches("/configmaps").to_owned();
    s.set_up(post(&all, &json!({"metadata": {"name": "a"}})))
        .await?;
    let answer = s.send(delete(&ns)).await?;
    s.observe("finalizers", answer.at("/spec/finalizers"));
    until_gone(s, &format!("{all}/a")).await?;
    until_gone(s, &ns).await
}

async fn a_namespace_that_goes_takes_nothing_new(s: &mut Session) -> Outcome {
    let all = config_maps(s).await?;
    let ns = all.trim_end_matches("/configmaps").to_owned();
    let held = json!({"metadata": {"name": "a", "finalizers": ["example.com/wait"]}});
    s.set_up(post(&all, &held)).await?;
    s.set_up(delete(&ns)).await?;
    s.send(post(&all, &json!({"metadata": {"name": "b"}})))
        .await?;
    s.send(post(
        all.replace("configmaps", "serviceaccounts/default/token"),
        &json!({}),
    ))
    .await?;
    let free = json!({"metadata": {"finalizers": null}});
    s.set_up(patch(format!("{all}/a"), "merge", &free)).await?;
    until_gone(s, &ns).await
}

async fn a_namespace_waits_for_finalizers(s: &mut Session) -> Outcome {
    let all = config_maps(s).await?;
    let ns = all.trim_end_matches("/configmaps").to_owned();
    let held = json!({"metadata": {"name": "a", "finalizers": ["example.com/wait"]}});
    s.set_up(post(&all, &held)).await?;
    s.set_up(delete(&ns)).await?;
    let remains = |conditions: &Value| {
        let mut all = conditions.as_array().into_iter().flatten();
        all.any(|c| c["type"] == "NamespaceFinalizersRemaining" && c["status"] == "True")
    };
    let waits = s
        .eventually_aside(&get(&ns), |answer| {
            remains(&answer.at("/status/conditions"))
        })
        .await?;
    let conditions = waits.at("/status/conditions");
    // A real controller looks again only after some seconds.
    for condition in conditions.as_array().into_iter().flatten() {
        for part in ["type", "status", "reason", "message"] {
            s.observe(part, condition[part].clone());
        }
    }
    let free = json!({"metadata": {"finalizers": null}});
    s.set_up(patch(format!("{all}/a"), "merge", &free)).await?;
    until_gone(s, &ns).await
}

async fn dependents_go_in_the_background(s: &mut Session) -> Outcome {
    let all = config_maps(s).await?;
    let owner = owner(s, &all, "a").await?;
    owned(s, &all, "b", &[owner]).await?;
    s.send(delete(format!("{all}/a?propagationPolicy=Background")))
        .await?;
    until_gone(s, &format!("{all}/b")).await
}

async fn dependents_go_first(s: &mut Session) -> Outcome {
    let all = config_maps(s).await?;
    let mut owner = owner(s, &all, "a").await?;
    owner["blockOwnerDeletion"] = json!(true);
    owned(s, &all, "b", &[owner]).await?;
    s.send(delete(format!("{all}/a?propagationPolicy=Foreground")))
        .await?;
    until_gone(s, &format!("{all}/a")).await?;
    s.send(get(format!("{all}/b"))).await?;
    Ok(())
}

async fn dependents_stay_as_orphans(s: &mut Session) -> Outcome {
    let all = config_maps(s).await?;
    let owner = owner(s, &all, "a").await?;
    owned(s, &all, "b", &[owner]).await?;
    s.send(delete(format!("{all}/a?propagationPolicy=Orphan")))
        .await?;
    until_gone(s, &format!("{all}/a")).await?;
    s.send(get(format!("{all}/b"))).await?;
    Ok(())
}

async fn an_owner_that_never_was_takes_its_dependents(s: &mut Session) -> Outcome {
    let all = config_maps(s).await?;
    let none = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "name": "none",
        "uid": "00000000-0000-0000-0000-000000000000",
    });
    owned(s, &all, "b", &[none]).await?;
    until_gone(s, &format!("{all}/b")).await
}

async fn a_second_owner_keeps_its_dependent(s: &mut Session) -> Outcome {
    let all = config_maps(s).await?;
    let owners = [owner(s, &all, "a").await?, owner(s, &all, "c").await?];
    owned(s, &all, "b", &owners).await?;
    s.send(delete(format!("{all}/a"))).await?;
    s.eventually(get(format!("{all}/b")), |answer| {
        answer.at("/metadata/ownerReferences/1").is_null()
    })
    .await?;
    s.send(delete(format!("{all}/c"))).await?;
    until_gone(s, &format!("{all}/b")).await
}
