use http::Method;
use serde_json::Value;

use super::SERVED;
use crate::{Outcome, Request, Session, case_list, get};

case_list![
    "discovery":
    the_version,
    the_paths,
    head_instead_of_get,
    methods_that_documents_have_not,
    what_is_not_there,
    openapi_documents_by_group,
    paths_of_the_ungranted,
];

async fn the_version(s: &mut Session) -> Outcome {
    let answer = s.set_up(get("/version")).await?;
    // What tells of the build differs by design.
    for key in [
        "major",
        "minor",
        "emulationMajor",
        "emulationMinor",
        "minCompatibilityMajor",
        "minCompatibilityMinor",
        "gitVersion",
        "platform",
    ] {
        s.observe(key, answer.body[key].clone());
    }
    let keys: Vec<String> = answer
        .body
        .as_object()
        .into_iter()
        .flat_map(|map| map.keys().cloned())
        .collect();
    s.observe("keys", keys);
    s.observe("indented", answer.raw.starts_with(b"{\n"));
    s.send(get("/version").accept("application/yaml")).await?;
    let slash = s.set_up(get("/version/")).await?;
    s.observe("with a slash", slash.status);
    s.send(get("/version/more")).await?;
    Ok(())
}

async fn the_paths(s: &mut Session) -> Outcome {
    for path in ["/", "/index.html"] {
        let answer = s.set_up(get(path)).await?;
        let paths = answer.body["paths"].as_array().cloned().unwrap_or_default();
        let of_both = |path: &Value| {
            let path = path.as_str().unwrap_or_default();
            let group = |root: &str| root.rsplit_once('/').map(|(group, _)| group.to_owned());
            SERVED
                .iter()
                .any(|(root, _)| path == *root || group(root).as_deref() == Some(path))
                || [
                    "/api",
                    "/apis",
                    "/healthz",
                    "/healthz/ping",
                    "/livez",
                    "/livez/ping",
                    "/readyz",
                    "/readyz/ping",
                ]
                .contains(&path)
                || [
                    "/version",
                    "/openapi/v3",
                    "/openid/v1/jwks",
                    "/.well-known/openid-configuration",
                    "/apis/",
                ]
                .contains(&path)
        };
        s.observe(
            "paths",
            paths.into_iter().filter(of_both).collect::<Vec<_>>(),
        );
        s.observe("content-type", answer.header("content-type"));
        s.observe("indented", answer.raw.starts_with(b"{\n"));
    }
    Ok(())
}

async fn head_instead_of_get(s: &mut Session) -> Outcome {
    for path in [
        "/api",
        "/apis",
        "/apis/events.k8s.io",
        "/apis/events.k8s.io/v1",
        "/version",
        "/",
        "/none",
        "/apis/",
    ] {
        s.send(Request::new(Method::HEAD, path)).await?;
    }
    for path in [
        "/api/v1/namespaces",
        "/api/v1/namespaces/default",
        "/api/v1/namespaces/none",
    ] {
        s.send(Request::new(Method::HEAD, path)).await?;
    }
    Ok(())
}

async fn methods_that_documents_have_not(s: &mut Session) -> Outcome {
    let methods = || {
        [
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
            Method::OPTIONS,
        ]
    };
    for path in [
        "/api",
        "/api/v1",
        "/apis/events.k8s.io",
        "/apis/events.k8s.io/v1",
        "/version",
        "/none",
    ] {
        for method in methods() {
            s.send(Request::new(method, path)).await?;
        }
    }
    for method in methods() {
        for path in ["/", "/apis", "/apis/"] {
            let answer = s.set_up(Request::new(method.clone(), path)).await?;
            s.observe(&format!("{method} {path}"), answer.status);
        }
    }
    Ok(())
}

async fn what_is_not_there(s: &mut Session) -> Outcome {
    for path in [
        "/none",
        "/none/",
        "/api/v2",
        "/api/v2/namespaces",
        "/api/v1/nothings",
        "/api/v1/namespaces/default/nothings",
        "/api/v1/namespaces/default/pods/a/nothing",
        "/api/v1/pods/a",
        "/api/v1/namespaces/default/nodes",
        "/apis/none.example.com",
        "/apis/none.example.com/v1",
        "/apis/none.example.com/v1/things",
        "/apis/events.k8s.io/v9",
        "/apis/events.k8s.io/v9/events",
        "/apis/events.k8s.io/v1/nothings",
        "/apis/events.k8s.io/v1/namespaces/default/nothings/a",
        "/openapi",
        "/openapi/v3/",
        "/openapi/v3/none",
        "/openapi/v3/apis/none.example.com/v1",
        "/.well-known",
        "/openid/v1/none",
        "/metric",
    ] {
        s.send(get(path)).await?;
    }
    for path in ["/none", "/api/v1/nothings", "/apis/events.k8s.io/v9"] {
        s.send(get(path).accept("application/yaml")).await?;
        s.send(get(path).accept("text/html")).await?;
        s.send(get(format!("{path}?pretty=1"))).await?;
    }
    Ok(())
}

async fn openapi_documents_by_group(s: &mut Session) -> Outcome {
    // A real server goes on building the documents after it is ready.
    let mut paths = Value::Null;
    for _ in 0..20 {
        let index = s.set_up(get("/openapi/v3")).await?;
        let document: Value = serde_json::from_slice(&index.raw)?;
        paths = document["paths"].clone();
        if SERVED.iter().all(|(root, _)| !paths[&root[1..]].is_null()) {
            s.observe("content-type", index.header("content-type"));
            break;
        }
        s.let_time_pass().await;
    }
    for (root, _) in SERVED {
        let url = paths[&root[1..]]["serverRelativeURL"].as_str();
        let (path, hash) = url.and_then(|url| url.split_once("?hash=")).unzip();
        s.observe(root, path);
        s.observe("the length of the hash", hash.map(str::len));
    }
    Ok(())
}

async fn paths_of_the_ungranted(s: &mut Session) -> Outcome {
    for path in [
        "/",
        "/api",
        "/apis",
        "/openapi/v3",
        "/none",
        "/apis/none.example.com",
        "/metrics",
        "/healthz/",
    ] {
        s.send(get(path).anonymous()).await?;
    }
    for path in [
        "/",
        "/none",
        "/apis/none.example.com",
        "/metrics",
        "/healthz/",
        "/readyz",
    ] {
        s.send(get(path).impersonate("somebody")).await?;
    }
    for path in ["/api", "/apis", "/version", "/version/", "/openapi/v3"] {
        let answer = s.set_up(get(path).impersonate("somebody")).await?;
        s.observe(path, answer.status);
    }
    for path in ["/version", "/version/"] {
        let answer = s.set_up(get(path).anonymous()).await?;
        s.observe(path, answer.status);
    }
    Ok(())
}
