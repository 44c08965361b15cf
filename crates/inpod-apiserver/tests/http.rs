//! The server over real TLS and HTTP.

mod common;

use bytes::Bytes;
use common::{As, Lines, get, http2, json, open, send, server, watch};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const JSON: &str = "application/json";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

fn map(name: &str) -> Value {
    json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name}, "data": {"k": "v"}})
}

/// A token of the account `default`, which has no role.
async fn token(server: &inpod_apiserver::Server) -> String {
    let path = "/api/v1/namespaces/default/serviceaccounts/default/token";
    let answer = json(server, Method::POST, path, &json!({})).await;
    assert_eq!(answer.code, StatusCode::CREATED, "{}", answer.text());
    answer.json()["status"]["token"]
        .as_str()
        .expect("a token")
        .to_owned()
}

#[tokio::test]
async fn a_config_map_lives_from_create_to_delete() {
    let server = server().await;
    let created = json(&server, Method::POST, MAPS, &map("a")).await;
    assert_eq!(created.code, StatusCode::CREATED, "{}", created.text());
    assert!(
        created
            .text()
            .starts_with(r#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a""#)
    );
    assert!(created.text().ends_with("}\n"));
    assert_eq!(created.header("content-type"), JSON);
    assert_eq!(created.header("cache-control"), "no-cache, private");
    assert_eq!(created.header("audit-id").len(), 36);

    let again = json(&server, Method::POST, MAPS, &map("a")).await;
    assert_eq!(again.code, StatusCode::CONFLICT);
    assert_eq!(again.json()["message"], r#"configmaps "a" already exists"#);

    let one = format!("{MAPS}/a");
    let mut changed = created.json();
    changed["data"]["k"] = "w".into();
    let updated = json(&server, Method::PUT, &one, &changed).await;
    assert_eq!(updated.code, StatusCode::OK, "{}", updated.text());
    let stale = json(&server, Method::PUT, &one, &changed).await;
    assert_eq!(stale.code, StatusCode::CONFLICT);

    let patch = |kind, body| {
        let request = Request::patch(&one).header("content-type", kind);
        send(&server, As::Admin, request, body)
    };
    let merged = patch("application/merge-patch+json", r#"{"data":{"m":"1"}}"#).await;
    assert_eq!(merged.json()["data"], json!({"k": "w", "m": "1"}));
    let patched = patch(
        "application/json-patch+json",
        r#"[{"op":"remove","path":"/data/m"}]"#,
    )
    .await;
    assert_eq!(patched.json()["data"], json!({"k": "w"}));
    let strategic = patch(
        "application/strategic-merge-patch+json",
        r#"{"data":{"s":"1"}}"#,
    )
    .await;
    assert_eq!(strategic.json()["data"], json!({"k": "w", "s": "1"}));

    let list = get(&server, MAPS).await.json();
    assert_eq!(list["kind"], "ConfigMapList");
    let names: Vec<&Value> = list["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|i| &i["metadata"]["name"])
        .collect();
    assert_eq!(names, ["a", "kube-root-ca.crt"]);
    assert!(list["items"][0].get("kind").is_none());

    let deleted = send(&server, As::Admin, Request::delete(&one), "").await;
    assert_eq!(deleted.json()["status"], "Success");
    let missing = get(&server, &one).await;
    assert_eq!(missing.code, StatusCode::NOT_FOUND);
    assert_eq!(
        missing.text(),
        "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\"message\":\"configmaps \\\"a\\\" not found\",\
         \"reason\":\"NotFound\",\"details\":{\"name\":\"a\",\"kind\":\"configmaps\"},\"code\":404}\n"
    );
    server.shutdown().await;
}

#[tokio::test]
async fn an_account_without_a_role_is_forbidden_before_anything_is_looked_up() {
    let server = server().await;
    let token = token(&server).await;
    let as_account = |path: &'static str| send(&server, As::Token(&token), Request::get(path), "");
    let pods = as_account("/api/v1/namespaces/default/pods").await;
    assert_eq!(
        pods.text(),
        "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\"message\":\"pods is forbidden: \
         User \\\"system:serviceaccount:default:default\\\" cannot list resource \\\"pods\\\" in API group \\\"\\\" in the namespace \
         \\\"default\\\"\",\"reason\":\"Forbidden\",\"details\":{\"kind\":\"pods\"},\"code\":403}\n"
    );
    assert_eq!(
        as_account("/apis/none/v1/things").await.code,
        StatusCode::FORBIDDEN
    );
    assert_eq!(as_account("/").await.code, StatusCode::FORBIDDEN);
    for readable in ["/api", "/apis", "/version", "/healthz", "/openid/v1/jwks"] {
        assert_eq!(
            as_account(readable).await.code,
            StatusCode::OK,
            "{readable}"
        );
    }
    let nobody = send(&server, As::Nobody, Request::get("/api"), "").await;
    assert_eq!(nobody.code, StatusCode::FORBIDDEN);
    let wrong = send(&server, As::Token("wrong"), Request::get("/api"), "").await;
    assert_eq!(wrong.code, StatusCode::UNAUTHORIZED);
    server.shutdown().await;
}

#[tokio::test]
async fn curl_gets_the_api_versions_indented() {
    let server = server().await;
    let request = Request::get("/api").header("user-agent", "curl/8.5.0");
    let answer = send(&server, As::Admin, request, "").await;
    assert_eq!(
        answer.text(),
        format!(
            r#"{{
  "kind": "APIVersions",
  "versions": [
    "v1"
  ],
  "serverAddressByClientCIDRs": [
    {{
      "clientCIDR": "0.0.0.0/0",
      "serverAddress": "{}"
    }}
  ]
}}"#,
            server.address()
        )
    );
    server.shutdown().await;
}

#[tokio::test]
async fn discovery_says_the_same_in_many_documents_and_in_one() {
    let server = server().await;
    let core = get(&server, "/api/v1").await.json();
    assert_eq!(core["kind"], "APIResourceList");
    assert_eq!(core["groupVersion"], "v1");
    let token = core["resources"]
        .as_array()
        .expect("resources")
        .iter()
        .find(|row| row["name"] == "serviceaccounts/token")
        .expect("tokens can be asked for");
    assert_eq!(
        token.to_string(),
        r#"{"name":"serviceaccounts/token","singularName":"","namespaced":true,"group":"authentication.k8s.io","version":"v1","kind":"TokenRequest","verbs":["create"]}"#
    );

    let groups = get(&server, "/apis").await.json();
    let group_names: Vec<&Value> = groups["groups"]
        .as_array()
        .expect("groups")
        .iter()
        .map(|g| &g["name"])
        .collect();
    assert!(!group_names.is_empty());
    for name in &group_names {
        let path = format!("/apis/{}", name.as_str().expect("a name"));
        assert_eq!(
            get(&server, &path).await.json()["kind"],
            "APIGroup",
            "{path}"
        );
    }

    let accept =
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
    let ask = |path| {
        send(
            &server,
            As::Admin,
            Request::get(path).header("accept", accept),
            "",
        )
    };
    let aggregated = ask("/apis").await;
    assert_eq!(
        aggregated.header("content-type"),
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    );
    let items = aggregated.json()["items"].clone();
    let names: Vec<&Value> = items
        .as_array()
        .expect("items")
        .iter()
        .map(|i| &i["metadata"]["name"])
        .collect();
    assert_eq!(names, group_names);
    assert_eq!(ask("/api").await.json()["items"][0]["metadata"], json!({}));

    let known = Request::get("/apis")
        .header("accept", accept)
        .header("if-none-match", aggregated.header("etag"));
    let unchanged = send(&server, As::Admin, known, "").await;
    assert_eq!(unchanged.code, StatusCode::NOT_MODIFIED);

    assert_eq!(
        get(&server, "/apis/none").await.text(),
        "404 page not found\n"
    );
    assert_eq!(
        get(&server, "/api/v1/nothings").await.json()["reason"],
        "NotFound"
    );
    let method = json(
        &server,
        Method::POST,
        "/api/v1/namespaces/default/nodes",
        &json!({}),
    )
    .await;
    assert_eq!(method.code, StatusCode::NOT_FOUND);
    let method = json(&server, Method::POST, "/api/v1/pods", &json!({})).await;
    assert_eq!(method.code, StatusCode::METHOD_NOT_ALLOWED);
    server.shutdown().await;
}

#[tokio::test]
async fn a_watch_list_ends_its_initial_events_with_a_bookmark() {
    let server = server().await;
    json(&server, Method::POST, MAPS, &map("a")).await;
    let path = format!(
        "{MAPS}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    );
    let mut events = watch(&server, &path, JSON).await;
    assert_eq!(events.next_name().await, "ADDED a");
    assert_eq!(events.next_name().await, "ADDED kube-root-ca.crt");
    let bookmark = events.next().await.expect("a bookmark");
    assert_eq!(bookmark["type"], "BOOKMARK");
    let object = &bookmark["object"];
    assert_eq!(object["kind"], "ConfigMap");
    assert_eq!(
        object["metadata"]["annotations"],
        json!({"k8s.io/initial-events-end": "true"})
    );
    assert!(object["metadata"]["resourceVersion"].is_string());

    json(&server, Method::POST, MAPS, &map("b")).await;
    assert_eq!(events.next_name().await, "ADDED b");
    let one = format!("{MAPS}/b");
    send(&server, As::Admin, Request::delete(&one), "").await;
    assert_eq!(events.next_name().await, "DELETED b");
    server.shutdown().await;
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn a_table_says_its_columns_once_a_watch() {
    let server = server().await;
    let table = send(
        &server,
        As::Admin,
        Request::get(MAPS).header("accept", TABLE),
        "",
    )
    .await
    .json();
    assert_eq!(table["kind"], "Table");
    assert_eq!(table["columnDefinitions"][0]["name"], "Name");
    assert_eq!(table["rows"][0]["cells"][0], "kube-root-ca.crt");
    assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");

    let mut events = watch(
        &server,
        &format!("{MAPS}?watch=true&timeoutSeconds=60"),
        TABLE,
    )
    .await;
    let first = events.next().await.expect("an event");
    assert!(first["object"]["columnDefinitions"].is_array());
    json(&server, Method::POST, MAPS, &map("z")).await;
    let second = events.next().await.expect("an event");
    assert_eq!(second["object"]["rows"][0]["cells"][0], "z");
    assert!(second["object"]["columnDefinitions"].is_null());
    server.shutdown().await;
}

#[tokio::test]
async fn one_http2_connection_carries_watches_beside_other_requests() {
    let server = server().await;
    let (mut client, ended) = http2(&server).await;
    let mut request = |request: http::request::Builder, body: String| {
        client.send_request(
            request
                .body(Full::new(Bytes::from(body)))
                .expect("well-formed"),
        )
    };
    let url = |path: &str| format!("https://kubernetes.default.svc{path}");
    let watch = request(Request::get(url(&format!("{MAPS}?watch=1"))), String::new());
    let response = watch.await.expect("an answer");
    assert_eq!(response.version(), http::Version::HTTP_2);
    let mut events = Lines::of(response.into_body());
    assert_eq!(events.next_name().await, "ADDED kube-root-ca.crt");
    for name in ["a", "b", "c"] {
        let created = request(Request::post(url(MAPS)), map(name).to_string()).await;
        assert_eq!(created.expect("an answer").status(), StatusCode::CREATED);
        assert_eq!(events.next_name().await, format!("ADDED {name}"));
    }
    server.shutdown().await;
    assert_eq!(events.next().await, None);
    ended.await.expect("the connection ends with the server");
}

#[tokio::test]
async fn a_head_over_http2_is_answered_without_a_body() {
    let server = server().await;
    let (mut client, ended) = http2(&server).await;
    // Few paths have a HEAD; which do is the real server's choice, recorded in the behaviour suite.
    for (path, status) in [
        ("/apis", 200),
        ("/livez", 200),
        ("/version", 405),
        ("/api/v1/namespaces/default", 405),
        (MAPS, 405),
        ("/nothing", 404),
    ] {
        let mut send = |method| {
            let request = Request::builder()
                .method(method)
                .uri(format!("https://kubernetes.default.svc{path}"));
            client.send_request(request.body(Full::default()).expect("well-formed"))
        };
        let whole = send(Method::GET).await.expect("an answer");
        let head = send(Method::HEAD).await.expect("an answer");
        assert_eq!(head.status(), status, "{path}");
        let length =
            |response: &http::Response<_>| response.headers().get("content-length").cloned();
        if head.status() == whole.status() {
            assert_eq!(length(&head), length(&whole), "{path}");
        }
        let body = head
            .into_body()
            .collect()
            .await
            .expect("the stream is whole");
        assert!(body.to_bytes().is_empty(), "{path}");
    }
    drop(client);
    server.shutdown().await;
    ended.await.expect("the connection ends well");
}

#[tokio::test]
async fn a_watch_ends_when_its_time_is_over() {
    let server = server().await;
    let mut events = watch(&server, &format!("{MAPS}?watch=1&timeoutSeconds=1"), JSON).await;
    assert_eq!(events.next_name().await, "ADDED kube-root-ca.crt");
    assert_eq!(events.next().await, None);
    server.shutdown().await;
}

#[tokio::test]
async fn wrong_bodies_and_types_are_refused_in_the_real_words() {
    let server = server().await;
    let post = |kind: &'static str, body: String| {
        let mut request = Request::post(MAPS);
        if !kind.is_empty() {
            request = request.header("content-type", kind);
        }
        send(&server, As::Admin, request, body)
    };
    let large = post(
        JSON,
        format!("{{\"data\":{{\"k\":\"{}\"}}}}", "x".repeat(3 << 20)),
    )
    .await;
    assert_eq!(large.code, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(
        large.json()["message"],
        "Request entity too large: limit is 3145728"
    );

    let format = post("text/plain", "a".into()).await;
    assert_eq!(format.code, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(
        format.json()["message"],
        "the body of the request was in an unknown format - accepted media types include: \
         application/json, application/yaml, application/vnd.kubernetes.protobuf"
    );

    let other = post(
        JSON,
        r#"{"kind":"Secret","apiVersion":"v1","metadata":{"name":"s"}}"#.into(),
    )
    .await;
    assert_eq!(other.code, StatusCode::BAD_REQUEST);
    assert_eq!(
        other.json()["message"],
        "Secret in version \"v1\" cannot be handled as a ConfigMap: converting (v1.Secret) to (core.ConfigMap): unknown conversion"
    );

    let without_type = post("", map("plain").to_string()).await;
    assert_eq!(without_type.code, StatusCode::CREATED);
    let yaml = post(
        "application/yaml",
        "metadata:\n  name: yaml\ndata:\n  k: v\n".into(),
    )
    .await;
    assert_eq!(yaml.code, StatusCode::CREATED, "{}", yaml.text());

    let unknown = post(JSON, r#"{"metadata":{"name":"w"},"foo":1}"#.into()).await;
    assert_eq!(unknown.code, StatusCode::CREATED);
    assert_eq!(
        unknown.header("warning"),
        r#"299 - "unknown field \"foo\"""#
    );

    let accept = Request::get(MAPS).header("accept", "application/vnd.kubernetes.protobuf");
    let refused = send(&server, As::Admin, accept, "").await;
    assert_eq!(refused.code, StatusCode::NOT_ACCEPTABLE);
    server.shutdown().await;
}

#[tokio::test]
async fn what_every_namespace_has_comes_back() {
    let server = server().await;
    let namespace = json!({"metadata": {"name": "team"}});
    json(&server, Method::POST, "/api/v1/namespaces", &namespace).await;
    let pod = json!({
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    });
    let created = json(&server, Method::POST, "/api/v1/namespaces/team/pods", &pod).await;
    assert_eq!(created.code, StatusCode::CREATED, "{}", created.text());
    assert_eq!(created.json()["spec"]["serviceAccountName"], "default");

    let path =
        "/api/v1/namespaces/team/configmaps?watch=1&fieldSelector=metadata.name%3Dkube-root-ca.crt";
    let mut events = watch(&server, path, JSON).await;
    let first = events.next().await.expect("it is there");
    assert_eq!(first["object"]["data"]["ca.crt"], server.ca_pem());
    let one = "/api/v1/namespaces/team/configmaps/kube-root-ca.crt";
    send(&server, As::Admin, Request::delete(one), "").await;
    assert_eq!(events.next_name().await, "DELETED kube-root-ca.crt");
    assert_eq!(events.next_name().await, "ADDED kube-root-ca.crt");
    let change = Request::patch(one).header("content-type", "application/merge-patch+json");
    send(&server, As::Admin, change, r#"{"data":{"ca.crt":"x"}}"#).await;
    assert_eq!(
        events.next().await.expect("changed")["object"]["data"]["ca.crt"],
        "x"
    );
    assert_eq!(
        events.next().await.expect("changed back")["object"]["data"]["ca.crt"],
        server.ca_pem()
    );
    server.shutdown().await;
}

#[tokio::test]
async fn the_default_account_and_the_kubernetes_service_come_back() {
    let server = server().await;
    for (collection, name) in [
        ("/api/v1/namespaces/default/serviceaccounts", "default"),
        ("/api/v1/namespaces/default/services", "kubernetes"),
        (
            "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
            "kubernetes",
        ),
    ] {
        let mut events = watch(&server, &format!("{collection}?watch=1"), JSON).await;
        assert_eq!(events.next_name().await, format!("ADDED {name}"));
        let one = format!("{collection}/{name}");
        send(&server, As::Admin, Request::delete(one), "").await;
        assert_eq!(events.next_name().await, format!("DELETED {name}"));
        assert_eq!(events.next_name().await, format!("ADDED {name}"));
    }
    server.shutdown().await;
}

#[tokio::test]
async fn a_deleted_namespace_goes_with_what_is_in_it() {
    let server = server().await;
    namespace_goes_with_what_is_in_it(&server, false).await;
    server.shutdown().await;
}

#[tokio::test]
async fn a_namespace_that_lost_its_finalizer_still_goes_with_what_is_in_it() {
    let server = server().await;
    namespace_goes_with_what_is_in_it(&server, true).await;
    server.shutdown().await;
}

async fn namespace_goes_with_what_is_in_it(server: &inpod_apiserver::Server, finalized: bool) {
    let namespace = json!({"metadata": {"name": "gone"}});
    json(server, Method::POST, "/api/v1/namespaces", &namespace).await;
    json(
        server,
        Method::POST,
        "/api/v1/namespaces/gone/configmaps",
        &map("a"),
    )
    .await;
    let path = "/api/v1/namespaces?watch=1&fieldSelector=metadata.name%3Dgone";
    let mut events = watch(server, path, JSON).await;
    assert_eq!(events.next_name().await, "ADDED gone");
    if finalized {
        let path = "/api/v1/namespaces/gone/finalize";
        json(server, Method::PUT, path, &namespace).await;
        assert_eq!(events.next_name().await, "MODIFIED gone");
    }
    let deleted = send(
        server,
        As::Admin,
        Request::delete("/api/v1/namespaces/gone"),
        "",
    )
    .await;
    assert_eq!(
        deleted.json()["status"]["phase"],
        "Terminating",
        "{}",
        deleted.text()
    );
    loop {
        let event = events.next_name().await;
        if event == "DELETED gone" {
            break;
        }
        assert_eq!(event, "MODIFIED gone");
    }
    let maps = get(server, "/api/v1/namespaces/gone/configmaps")
        .await
        .json();
    assert_eq!(maps["items"], json!([]));
}

#[tokio::test]
async fn a_long_list_comes_whole() {
    let server = server().await;
    let mut big = map("big");
    big["data"]["k"] = "x".repeat(200_000).into();
    json(&server, Method::POST, MAPS, &big).await;
    let list = get(&server, MAPS).await.json();
    assert_eq!(list["items"][0]["data"]["k"], big["data"]["k"]);
    assert_eq!(list["items"][1]["metadata"]["name"], "kube-root-ca.crt");
    server.shutdown().await;
}

#[tokio::test]
async fn plain_http_on_the_tls_port_is_told_so() {
    let server = server().await;
    let mut stream = tokio::net::TcpStream::connect(server.address())
        .await
        .expect("it listens");
    stream
        .write_all(b"GET /api HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answered");
    assert!(
        answer.ends_with("Client sent an HTTP request to an HTTPS server.\n"),
        "{answer}"
    );
    server.shutdown().await;
}

#[tokio::test]
async fn a_taken_port_is_an_error_that_names_it() {
    let first = server().await;
    let options = inpod_apiserver::Options::default().port(first.address().port());
    let error = inpod_apiserver::Server::start(options)
        .await
        .expect_err("the port is taken");
    assert!(
        error.to_string().contains(&first.address().to_string()),
        "{error}"
    );
    first.shutdown().await;
}

#[tokio::test]
async fn a_server_that_is_dropped_stops() {
    let server = server().await;
    let path = format!("{MAPS}?watch=1");
    let response = open(&server, As::Admin, Request::get(path), "").await;
    drop(server);
    let body = http_body_util::BodyExt::collect(response.into_body()).await;
    assert!(body.is_ok());
}
