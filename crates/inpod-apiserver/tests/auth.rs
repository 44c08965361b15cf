//! Who may do what, seen from outside: tokens that die with their Pod, roles, impersonation, reviews.

mod common;

use common::{Answer, As, get, json, send, server};
use http::{Method, Request, StatusCode};
use inpod_apiserver::{Options, Server};
use rcgen::KeyPair;
use serde_json::{Value, json};

const PODS: &str = "/api/v1/namespaces/default/pods";

async fn post(server: &Server, path: &str, body: &Value) -> Value {
    let answer = json(server, Method::POST, path, body).await;
    assert_eq!(answer.code, StatusCode::CREATED, "{}", answer.text());
    answer.json()
}

/// A token of the account `default`, bound to a new Pod of that name.
async fn token_in_pod(server: &Server, pod: &str) -> String {
    let body = json!({
        "metadata": {"name": pod},
        "spec": {"containers": [{"name": "main", "image": "none"}]},
    });
    let uid = post(server, PODS, &body).await["metadata"]["uid"].clone();
    let request = json!({"spec": {
        "expirationSeconds": 600,
        "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": pod, "uid": uid},
    }});
    let path = "/api/v1/namespaces/default/serviceaccounts/default/token";
    let answer = post(server, path, &request).await;
    answer["status"]["token"]
        .as_str()
        .expect("a token")
        .to_owned()
}

async fn list_pods(server: &Server, token: &str) -> Answer {
    send(server, As::Token(token), Request::get(PODS), "").await
}

#[tokio::test]
async fn a_token_dies_at_once_with_its_pod_and_no_other_does() {
    let server = server().await;
    let ours = token_in_pod(&server, "ours").await;
    let other = token_in_pod(&server, "other").await;
    for token in [&ours, &other] {
        assert_eq!(list_pods(&server, token).await.code, StatusCode::FORBIDDEN);
    }
    let path = format!("{PODS}/ours");
    let options = json!({"gracePeriodSeconds": 0});
    let deleted = json(&server, Method::DELETE, &path, &options).await;
    assert_eq!(deleted.code, StatusCode::OK, "{}", deleted.text());
    assert_eq!(get(&server, &path).await.code, StatusCode::NOT_FOUND);
    let refused = list_pods(&server, &ours).await;
    assert_eq!(refused.code, StatusCode::UNAUTHORIZED);
    assert_eq!(
        refused.text(),
        "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\"message\":\"Unauthorized\",\"reason\":\"Unauthorized\",\"code\":401}\n"
    );
    assert_eq!(list_pods(&server, &other).await.code, StatusCode::FORBIDDEN);
    server.shutdown().await;
}

/// The second server knows the key, and misses only the account.
#[tokio::test]
async fn servers_that_are_given_one_key_know_each_others_signatures() {
    let key = KeyPair::generate().expect("a key").serialize_pem();
    let options = Options::default().token_key(&key).expect("a good key");
    let one = Server::start(options.clone()).await.expect("it starts");
    let token = token_in_pod(&one, "web").await;
    for (options, error) in [
        (options, "[invalid bearer token, service account UID ("),
        (
            Options::default(),
            "[invalid bearer token, invalid signature, no keys found]",
        ),
    ] {
        let other = Server::start(options).await.expect("it starts");
        let reviews = "/apis/authentication.k8s.io/v1/tokenreviews";
        let review = post(&other, reviews, &json!({"spec": {"token": token}})).await;
        let said = review["status"]["error"].as_str().unwrap_or_default();
        assert!(said.starts_with(error), "{said}");
        other.shutdown().await;
    }
    one.shutdown().await;
}

#[test]
fn a_key_of_another_kind_is_refused_with_what_would_do() {
    let other = KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
    for (pem, why) in [
        (other.serialize_pem(), "not an ECDSA key on the curve P-256"),
        ("nonsense".into(), "no PEM block PRIVATE KEY"),
    ] {
        let error = Options::default().token_key(&pem).expect_err("no such key");
        assert!(error.to_string().contains(why), "{error}");
        assert!(error.to_string().contains("PKCS#8"), "{error}");
    }
}

#[tokio::test]
async fn a_role_counts_from_the_next_request_on() {
    let server = server().await;
    let token = token_in_pod(&server, "web").await;
    let bindings = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings";
    let binding = json!({
        "metadata": {"name": "viewers"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "default"}],
    });
    assert_eq!(list_pods(&server, &token).await.code, StatusCode::FORBIDDEN);
    post(&server, bindings, &binding).await;
    assert_eq!(list_pods(&server, &token).await.code, StatusCode::OK);
    let elsewhere = Request::get("/api/v1/pods");
    let everywhere = send(&server, As::Token(&token), elsewhere, "").await;
    assert_eq!(everywhere.code, StatusCode::FORBIDDEN);
    let gone = json(
        &server,
        Method::DELETE,
        &format!("{bindings}/viewers"),
        &json!({}),
    )
    .await;
    assert_eq!(gone.code, StatusCode::OK);
    assert_eq!(list_pods(&server, &token).await.code, StatusCode::FORBIDDEN);
    server.shutdown().await;
}

#[tokio::test]
async fn the_administrator_may_act_as_an_account_and_an_account_as_nobody() {
    let server = server().await;
    let account = "system:serviceaccount:default:default";
    let request = Request::get(PODS).header("impersonate-user", account);
    let refused = send(&server, As::Admin, request, "").await;
    assert_eq!(
        refused.json()["message"],
        "pods is forbidden: User \"system:serviceaccount:default:default\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\""
    );
    let token = token_in_pod(&server, "web").await;
    let request = Request::get("/api").header("impersonate-user", "kubernetes-admin");
    let refused = send(&server, As::Token(&token), request, "").await;
    assert_eq!(refused.code, StatusCode::FORBIDDEN);
    server.shutdown().await;
}

#[tokio::test]
async fn nobody_gives_themselves_more_than_they_have() {
    let server = server().await;
    let token = token_in_pod(&server, "web").await;
    let account = json!([{"kind": "ServiceAccount", "name": "default", "namespace": "default"}]);
    let bind = |name: &str, role: &str| {
        json!({
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": account,
        })
    };
    let bindings = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings";
    post(&server, bindings, &bind("admins", "admin")).await;
    let ask = |role: &'static str| {
        let request = Request::post(bindings).header("content-type", "application/json");
        send(
            &server,
            As::Token(&token),
            request,
            bind(role, role).to_string(),
        )
    };
    assert_eq!(ask("edit").await.code, StatusCode::CREATED);
    let refused = ask("cluster-admin").await;
    assert_eq!(refused.code, StatusCode::FORBIDDEN);
    let message = refused.json()["message"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let start = "rolebindings.rbac.authorization.k8s.io \"cluster-admin\" is forbidden: user \"system:serviceaccount:default:default\" (groups=[\"system:serviceaccounts\" \"system:serviceaccounts:default\" \"system:authenticated\"]) is attempting to grant RBAC permissions not currently held:\n";
    assert!(message.starts_with(start), "{message}");
    server.shutdown().await;
}

#[tokio::test]
async fn a_review_says_who_a_token_is_and_what_is_wrong_with_it() {
    let server = server().await;
    let token = token_in_pod(&server, "web").await;
    let review = |token: &str, audiences: &[&str]| {
        let body = json!({"spec": {"token": token, "audiences": audiences}});
        let server = &server;
        async move {
            post(server, "/apis/authentication.k8s.io/v1/tokenreviews", &body).await["status"]
                .clone()
        }
    };
    let status = review(&token, &[]).await;
    assert_eq!(status["authenticated"], true);
    assert_eq!(
        status["user"]["username"],
        "system:serviceaccount:default:default"
    );
    assert_eq!(
        status["user"]["extra"]["authentication.kubernetes.io/pod-name"],
        json!(["web"])
    );
    assert_eq!(
        review(&token, &["vault"]).await["error"],
        "[invalid bearer token, token audiences [\"https://kubernetes.default.svc.cluster.local\"] is invalid for the target audiences [\"vault\"]]"
    );
    assert_eq!(
        review("garbage", &[]).await["error"],
        "invalid bearer token"
    );
    server.shutdown().await;
}

#[tokio::test]
async fn an_added_role_is_gathered_by_those_that_ask_for_it() {
    let server = server().await;
    let roles = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
    let role = json!({
        "metadata": {
            "name": "widgets",
            "labels": {"rbac.authorization.k8s.io/aggregate-to-view": "true"},
        },
        "rules": [{"apiGroups": ["example.com"], "resources": ["widgets"], "verbs": ["get"]}],
    });
    let mut watch = common::watch(
        &server,
        &format!("{roles}?watch=true&fieldSelector=metadata.name%3Dadmin"),
        "application/json",
    )
    .await;
    assert_eq!(watch.next_name().await, "ADDED admin");
    post(&server, roles, &role).await;
    // `admin` gathers `edit`, which gathers `view`.
    let event = watch.next().await.expect("the controller writes");
    let gathered = event["object"]["rules"].as_array().expect("rules");
    assert!(gathered.contains(&role["rules"][0]), "{gathered:?}");
    server.shutdown().await;
}
