use serde_json::{Value, json};

use super::SERVED;
use crate::{Answer, Outcome, Session, case_list, get};

case_list![
    "discovery":
    everything_in_one_document,
    an_unchanged_document_is_not_sent_again,
    the_forms_of_the_document,
];

const V2: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

async fn everything_in_one_document(s: &mut Session) -> Outcome {
    for path in ["/api", "/apis"] {
        let answer = s.set_up(get(path).accept(V2)).await?;
        s.observe(&format!("{path} headers"), headers(&answer));
        for key in ["kind", "apiVersion", "metadata"] {
            s.observe(&format!("{path} {key}"), answer.body[key].clone());
        }
        let items = answer.body["items"].as_array().cloned().unwrap_or_default();
        for (root, resources) in SERVED
            .iter()
            .filter(|(root, _)| root.starts_with(&format!("{path}/")))
        {
            let group = root
                .strip_prefix("/apis/")
                .and_then(|rest| rest.split('/').next());
            let found = items
                .iter()
                .find(|item| item["metadata"]["name"].as_str() == group);
            let mut group = found.cloned().unwrap_or_default();
            let version = group["versions"][0].clone();
            group["versions"] = Value::Null;
            s.observe(&format!("{root} group"), group);
            s.observe(
                &format!("{root} version"),
                json!([version["version"], version["freshness"]]),
            );
            for name in *resources {
                if !name.contains('/') {
                    s.observe(&format!("{root}/{name}"), row(&version, name, resources));
                }
            }
        }
    }
    Ok(())
}

async fn an_unchanged_document_is_not_sent_again(s: &mut Session) -> Outcome {
    for path in ["/api", "/apis"] {
        let answer = s.set_up(get(path).accept(V2)).await?;
        let etag = answer.header("etag").unwrap_or_default().to_owned();
        s.observe(
            "the form of the tag",
            etag.chars()
                .map(|c| if c.is_ascii_hexdigit() { '0' } else { c })
                .collect::<String>(),
        );
        s.hide(&etag, "‹etag›");
        s.hide(etag.trim_matches('"'), "‹etag›");
        s.send(get(path).accept(V2).header("if-none-match", &etag))
            .await?;
        let plain = s.set_up(get(path).header("if-none-match", &etag)).await?;
        s.observe(
            "the plain document",
            json!([plain.status, plain.header("etag")]),
        );
        let other = s
            .set_up(get(path).accept(V2).header("if-none-match", "\"other\""))
            .await?;
        s.observe("another tag", json!([other.status, other.header("etag")]));
    }
    Ok(())
}

async fn the_forms_of_the_document(s: &mut Session) -> Outcome {
    for accept in [
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json",
        "application/json,application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        "application/json;q=0.5,application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList;profile=nopeer,*/*",
        "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json",
        "application/yaml;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json",
        "application/json;as=APIGroupDiscoveryList;v=v2;g=apidiscovery.k8s.io;pretty=1,*/*",
    ] {
        for path in ["/api", "/apis", "/api/", "/apis/"] {
            let answer = s.set_up(get(path).accept(accept)).await?;
            s.observe(&format!("{path} as {accept}"), headers(&answer));
            s.observe("indented", answer.raw.starts_with(b"{\n"));
            s.observe("ends its line", answer.raw.ends_with(b"\n"));
        }
    }
    for accept in [
        "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList;stream=none",
        "application/json;g=apidiscovery.k8s.io;v=v3;as=APIGroupDiscoveryList",
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupList",
        "application/json;v=v2;as=APIGroupDiscoveryList",
    ] {
        s.send(get("/apis/events.k8s.io").accept(accept)).await?;
    }
    Ok(())
}

/// What decides how a client keeps it, less the tag.
fn headers(answer: &Answer) -> Value {
    ["content-type", "cache-control", "vary"]
        .map(|name| answer.header(name))
        .to_vec()
        .into()
}

/// A resource of a version, with those of its subresources that both servers have.
fn row(version: &Value, name: &str, served: &[&str]) -> Value {
    let mut rows = version["resources"].as_array().into_iter().flatten();
    let mut row = rows
        .find(|row| row["resource"] == name)
        .cloned()
        .unwrap_or_default();
    if let Some(subresources) = row.get_mut("subresources").and_then(Value::as_array_mut) {
        subresources.retain(|row| {
            let subresource = row["subresource"].as_str().unwrap_or_default();
            served.contains(&format!("{name}/{subresource}").as_str())
        });
        if subresources.is_empty()
            && let Some(row) = row.as_object_mut()
        {
            row.remove("subresources");
        }
    }
    row
}
