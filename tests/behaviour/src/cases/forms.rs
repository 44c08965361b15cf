//! In which form an answer comes, and a body may be sent.

use http::Method;
use serde_json::json;

use crate::{Failure, Outcome, Request, Session, case_list, delete, get, post};

case_list!["forms":
    an_object_in_every_form,
    a_collection_in_every_form,
    forms_that_there_are_not,
    an_error_in_every_form,
    what_is_written_in_every_form,
    a_body_in_yaml,
    yaml_that_is_read_in_another_way,
    indented_for_people,
    an_answer_that_is_compressed,
];

/// What clients ask for.
const FORMS: &[&str] = &[
    "*/*",
    "application/json",
    "application/*",
    "application/yaml",
    "application/json;pretty=true",
    "application/json, */*",
    "text/html, application/json;q=0.5",
    "application/json;q=0.5, application/yaml;q=0.9",
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
    "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
    "application/json;as=Table;v=v1alpha1;g=meta.k8s.io,application/json",
    "application/yaml;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
];

/// The path of a config map among others' own.
async fn config_map(s: &mut Session) -> Result<String, Failure> {
    let ns = s.namespace().await?;
    let all = format!("/api/v1/namespaces/{ns}/configmaps");
    let body = json!({"metadata": {"name": "a", "labels": {"l": "1"}}, "data": {"k": "<v>"}});
    s.set_up(post(&all, &body)).await?;
    Ok(format!("{all}/a"))
}

/// Keeps what of a Table does not depend on how long the object has been there.
async fn shown(s: &mut Session, request: Request) -> Outcome {
    let answer = s.ask_aside(request.clone()).await?;
    if answer.at("/kind") == "Table" {
        s.observe("status", answer.status);
        s.observe("content type", answer.header("content-type"));
        s.observe("its first cells", answer.at("/rows/0/cells/0"));
        s.observe("its object", answer.at("/rows/0/object/kind"));
        return Ok(());
    }
    s.send(request).await?;
    Ok(())
}

async fn an_object_in_every_form(s: &mut Session) -> Outcome {
    let one = config_map(s).await?;
    for form in FORMS {
        shown(s, get(&one).accept(form)).await?;
    }
    Ok(())
}

async fn a_collection_in_every_form(s: &mut Session) -> Outcome {
    let one = config_map(s).await?;
    let own = format!("{}?labelSelector=l", one.trim_end_matches("/a"));
    for form in FORMS {
        shown(s, get(&own).accept(form)).await?;
    }
    Ok(())
}

async fn forms_that_there_are_not(s: &mut Session) -> Outcome {
    let one = config_map(s).await?;
    for form in [
        "text/html",
        "application/xml",
        "application/json;as=Chair;g=meta.k8s.io;v=v1",
        "application/json;as=Table;g=meta.k8s.io;v=v9",
        "application/json;q=0",
        "nonsense",
        "",
    ] {
        s.send(get(&one).accept(form)).await?;
        s.send(delete(format!("{one}?dryRun=All")).accept(form))
            .await?;
    }
    Ok(())
}

async fn an_error_in_every_form(s: &mut Session) -> Outcome {
    let one = config_map(s).await?.replace("/a", "/none");
    for form in FORMS.iter().chain(&["text/html"]) {
        s.send(get(&one).accept(form)).await?;
    }
    Ok(())
}

async fn what_is_written_in_every_form(s: &mut Session) -> Outcome {
    let one = config_map(s).await?;
    let all = one.trim_end_matches("/a");
    for (number, form) in FORMS.iter().enumerate() {
        let body = json!({"metadata": {"name": format!("b{number}")}});
        shown(s, post(format!("{all}?dryRun=All"), &body).accept(form)).await?;
    }
    s.send(delete(&one).accept("application/yaml")).await?;
    Ok(())
}

async fn a_body_in_yaml(s: &mut Session) -> Outcome {
    let one = config_map(s).await?;
    let all = one.trim_end_matches("/a");
    for body in [
        "kind: ConfigMap\napiVersion: v1\nmetadata:\n  name: b\ndata:\n  k: |\n    a\n    b\n",
        "metadata: {name: c}\ndata: {a: \"1\", b: 'true'}\n",
        "metadata: {name: d}\ndata: {n: 1}\n",
        "- a\n",
        "metadata: {name: h}\nunknown: 1\n",
    ] {
        let request = Request::new(Method::POST, all).body("application/yaml", body);
        s.send(request).await?;
    }
    Ok(())
}

/// The words for false and true of YAML 1.1, keys that come twice, and what a parser says of what it cannot read.
async fn yaml_that_is_read_in_another_way(s: &mut Session) -> Outcome {
    let one = config_map(s).await?;
    let all = one.trim_end_matches("/a");
    for body in [
        "metadata: {name: b}\ndata: {n: \"1\"}\n",
        "metadata: {name: c}\nmetadata: {name: d}\n",
        "metadata:\n\tname: e\n",
    ] {
        let request = Request::new(Method::POST, all).body("application/yaml", body);
        let answer = s.ask_aside(request).await?;
        s.observe("status", answer.status);
        s.observe("name", answer.at("/metadata/name"));
        s.observe("data", answer.at("/data"));
        s.observe("warning", answer.header("warning"));
        s.observe("message", answer.at("/message"));
    }
    Ok(())
}

/// curl, kubectl and browsers are people's.
async fn indented_for_people(s: &mut Session) -> Outcome {
    let one = config_map(s).await?;
    for agent in [
        "curl/8.5.0",
        "Wget/1.21",
        "Mozilla/5.0 (X11; Linux)",
        "kubectl/v1.37.2",
        "Go-http-client/2.0",
        "",
    ] {
        for query in ["", "?pretty=true", "?pretty=false", "?pretty=0", "?pretty"] {
            let request = get(format!("{one}{query}")).header("user-agent", agent);
            let answer = s.ask_aside(request).await?;
            let lines = answer.raw.trim_ascii_end().contains(&b'\n');
            s.observe(&format!("lines for {agent:?}{query}"), lines);
        }
    }
    Ok(())
}

async fn an_answer_that_is_compressed(s: &mut Session) -> Outcome {
    let one = config_map(s).await?;
    let all = one.trim_end_matches("/a");
    let body = json!({"metadata": {"name": "b"}, "data": {"k": "v".repeat(200_000)}});
    s.set_up(post(all, &body)).await?;
    for path in [one.as_str(), all] {
        for encoding in ["gzip", "gzip, br", "br", "identity", "gzip;q=0"] {
            let request = get(path).header("accept-encoding", encoding);
            let answer = s.ask_aside(request).await?;
            s.observe(encoding, answer.header("content-encoding"));
            s.observe("varies", answer.header("vary"));
        }
    }
    Ok(())
}
