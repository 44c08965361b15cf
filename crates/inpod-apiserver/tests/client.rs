//! The server as the crate `inpod` sees it.

mod common;

use common::{admin, config, server};
use futures_util::StreamExt as _;
use inpod::{Client, List, WatchEvent};
use serde_json::{Value, json};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

#[tokio::test]
async fn a_client_creates_lists_watches_patches_and_deletes() {
    let server = server().await;
    let client = admin(&server);
    let map = json!({"metadata": {"name": "a"}, "data": {"k": "v"}});
    let created: Value = client.create(MAPS, &map).await.expect("created");
    assert_eq!(created["data"], map["data"]);

    let list: List<Value> = client.get(MAPS).await.expect("a list");
    assert_eq!(list.items.len(), 2);
    let path = format!("{MAPS}?resourceVersion={}", list.metadata.resource_version);
    let mut events = client.watch::<Value>(&path).await.expect("a watch");

    let one = format!("{MAPS}/a");
    let patched: Value = client
        .merge_patch(&one, &json!({"data": {"m": "1"}}))
        .await
        .expect("patched");
    assert_eq!(patched["data"], json!({"k": "v", "m": "1"}));
    client.delete(&one, &json!({})).await.expect("deleted");
    let event = events.next().await.expect("an event").expect("no error");
    assert!(matches!(event, WatchEvent::Modified(map) if map["data"]["m"] == "1"));
    let event = events.next().await.expect("an event").expect("no error");
    assert!(matches!(event, WatchEvent::Deleted(map) if map["metadata"]["name"] == "a"));

    let missing = client.get::<Value>(&one).await.expect_err("it is gone");
    assert_eq!(missing.to_string(), "configmaps \"a\" not found");
    server.shutdown().await;
}

#[tokio::test]
async fn a_token_is_who_it_was_made_for() {
    let server = server().await;
    let path = "/api/v1/namespaces/default/serviceaccounts/default/token";
    let made: Value = admin(&server)
        .create(path, &json!({}))
        .await
        .expect("a token");
    let token = made["status"]["token"].as_str().expect("a token");
    let config = config(&server).token(token).build().expect("a config");
    let account = Client::new(config).expect("a client");
    let review: Value = account
        .create(
            "/apis/authentication.k8s.io/v1/selfsubjectreviews",
            &json!({}),
        )
        .await
        .expect("a review");
    assert_eq!(
        review["status"]["userInfo"]["username"],
        "system:serviceaccount:default:default"
    );
    server.shutdown().await;
}
