use serde_json::Value;

use super::{SERVED, hide_address};
use crate::{Outcome, Session, case_list, get};

case_list![
    "discovery":
    the_core_versions_and_where_they_are,
    each_group_by_itself,
    groups_within_the_list_of_all,
    resources_within_the_list_of_their_version,
    whole_lists_of_what_is_served_whole,
    documents_as_yaml_and_indented,
    what_has_no_such_form,
];

async fn the_core_versions_and_where_they_are(s: &mut Session) -> Outcome {
    hide_address(s).await?;
    for path in ["/api", "/api/"] {
        s.send(get(path)).await?;
    }
    Ok(())
}

async fn each_group_by_itself(s: &mut Session) -> Outcome {
    for (root, _) in &SERVED[1..] {
        let group = root.rsplit_once('/').map_or(*root, |(group, _)| group);
        s.send(get(group)).await?;
    }
    s.send(get("/apis/coordination.k8s.io/")).await?;
    Ok(())
}

async fn groups_within_the_list_of_all(s: &mut Session) -> Outcome {
    let list = s.set_up(get("/apis")).await?.body;
    s.observe("kind", list["kind"].clone());
    s.observe("apiVersion", list["apiVersion"].clone());
    for (root, _) in &SERVED[1..] {
        let name = root.split('/').nth(2).unwrap_or_default();
        s.observe(name, named(&list["groups"], "name", name));
    }
    let served: Vec<Value> = list["groups"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|group| group["name"].clone())
        .filter(|name| {
            SERVED
                .iter()
                .any(|(root, _)| root.split('/').nth(2) == name.as_str())
        })
        .collect();
    s.observe("order", served);
    Ok(())
}

async fn resources_within_the_list_of_their_version(s: &mut Session) -> Outcome {
    for (root, resources) in SERVED {
        let list = s.set_up(get(*root)).await?.body;
        for key in ["kind", "apiVersion", "groupVersion"] {
            s.observe(&format!("{root} {key}"), list[key].clone());
        }
        for name in *resources {
            let row = named(&list["resources"], "name", name);
            s.observe(&format!("{root}/{name}"), row);
        }
    }
    Ok(())
}

async fn whole_lists_of_what_is_served_whole(s: &mut Session) -> Outcome {
    for group in [
        "events.k8s.io",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "rbac.authorization.k8s.io",
    ] {
        s.send(get(format!("/apis/{group}/v1"))).await?;
    }
    s.send(get("/apis/events.k8s.io/v1/")).await?;
    Ok(())
}

async fn documents_as_yaml_and_indented(s: &mut Session) -> Outcome {
    hide_address(s).await?;
    for path in ["/api", "/apis/events.k8s.io", "/apis/events.k8s.io/v1"] {
        s.send(get(path).accept("application/yaml")).await?;
        s.send(get(format!("{path}?pretty=true"))).await?;
        s.send(get(path).header("user-agent", "curl/8.5.0")).await?;
        s.send(get(path).accept("application/json;pretty=1"))
            .await?;
    }
    Ok(())
}

async fn what_has_no_such_form(s: &mut Session) -> Outcome {
    hide_address(s).await?;
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
    for path in [
        "/api",
        "/apis",
        "/apis/events.k8s.io",
        "/apis/events.k8s.io/v1",
    ] {
        s.send(get(path).accept("text/html")).await?;
        s.send(get(path).accept(table)).await?;
        if path != "/apis" {
            let both = format!("{table},application/json");
            s.send(get(path).accept(&both)).await?;
        }
    }
    Ok(())
}

/// The row of a list whose `key` has that value.
fn named(list: &Value, key: &str, name: &str) -> Value {
    let mut rows = list.as_array().into_iter().flatten();
    rows.find(|row| row[key] == name)
        .cloned()
        .unwrap_or_default()
}
