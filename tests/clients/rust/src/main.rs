//! Does what programs do with kube-rs, and prints one line for each operation.
//!
//! Without an argument it finds the API server as a program in a Pod does; an argument is the address of a sidecar.

mod controller;

use std::error::Error;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::authorization::v1::SelfSubjectAccessReview;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, ServiceAccount};
use kube::api::{
    DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, WatchEvent,
    WatchParams,
};
use kube::runtime::{WatchStreamExt as _, reflector, watcher};
use kube::{Api, Client, Config, ResourceExt as _, discovery};
use serde_json::json;

type Outcome = Result<(), Box<dyn Error>>;

/// The longest an operation may take.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::main]
async fn main() {
    let config = match std::env::args().nth(1) {
        Some(address) => Ok(Config::new(address.parse().expect("an address"))),
        None => Config::incluster(),
    };
    let client = config
        .map_err(|error| error.to_string())
        .and_then(|config| Client::try_from(config).map_err(|error| error.to_string()));
    let client = match client {
        Ok(client) => client,
        Err(error) => return println!("failed in-cluster configuration: {error}"),
    };
    if std::env::args().len() == 1 {
        report("in-cluster configuration", pods(&client)).await;
    }

    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    report("create", create(&maps)).await;
    report("create where the name is taken", taken(&maps)).await;
    report("get", get(&maps)).await;
    report("get what is not there", not_there(&maps)).await;
    report("list in pages", list(&maps)).await;
    report("replace", replace(&maps)).await;
    report("JSON patch", json_patch(&maps)).await;
    let data = json!({"data": {"patched": "yes"}});
    report("merge patch", patch(&maps, &Patch::Merge(&data))).await;
    report(
        "strategic merge patch",
        patch(&maps, &Patch::Strategic(&data)),
    )
    .await;
    report("server-side apply", apply(&maps)).await;
    report("watch", watch(&maps)).await;
    report("watcher", informer(&maps, watcher::Config::default())).await;
    let streaming = watcher::Config::default().streaming_lists();
    report("watcher by watch-list", informer(&maps, streaming)).await;
    report("dynamic objects by discovery", dynamic(&client)).await;
    report("controller", controller::operation(&client)).await;
    report("delete", delete(&maps)).await;
    report("TokenRequest", token_request(&client)).await;
    report("SelfSubjectAccessReview", access_review(&client)).await;
}

async fn report(name: &str, operation: impl Future<Output = Outcome>) {
    match tokio::time::timeout(PATIENCE, operation).await {
        Ok(Ok(())) => println!("ok {name}"),
        Ok(Err(error)) => println!("failed {name}: {}", error.to_string().replace('\n', " ")),
        Err(_) => println!("failed {name}: not done within {PATIENCE:?}"),
    }
}

async fn pods(client: &Client) -> Outcome {
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    equal(pods.list(&ListParams::default()).await?.items.len(), 1)
}

async fn create(maps: &Api<ConfigMap>) -> Outcome {
    maps.create(&PostParams::default(), &config_map("rust"))
        .await?;
    Ok(())
}

async fn taken(maps: &Api<ConfigMap>) -> Outcome {
    match maps
        .create(&PostParams::default(), &config_map("rust"))
        .await
    {
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
        other => Err(format!("instead: {other:?}").into()),
    }
}

async fn get(maps: &Api<ConfigMap>) -> Outcome {
    equal(value(&maps.get("rust").await?, "key"), Some("value"))
}

async fn not_there(maps: &Api<ConfigMap>) -> Outcome {
    equal(maps.get_opt("nobody").await?.is_none(), true)
}

async fn list(maps: &Api<ConfigMap>) -> Outcome {
    let first = maps.list(&ListParams::default().limit(1)).await?;
    let next = first.metadata.continue_.ok_or("one page only")?;
    let rest = maps
        .list(&ListParams::default().continue_token(&next))
        .await?;
    let names: Vec<String> = [first.items, rest.items]
        .iter()
        .flatten()
        .map(|map| map.name_any())
        .collect();
    equal(names, vec!["kube-root-ca.crt", "rust"])
}

async fn replace(maps: &Api<ConfigMap>) -> Outcome {
    let mut entry = maps
        .entry("rust")
        .await?
        .and_modify(|map| {
            drop(
                map.data
                    .get_or_insert_default()
                    .insert("key".into(), "replaced".into()),
            )
        })
        .or_insert(|| config_map("rust"));
    entry.commit(&PostParams::default()).await?;
    equal(value(entry.get(), "key"), Some("replaced"))
}

async fn json_patch(maps: &Api<ConfigMap>) -> Outcome {
    let operations = json!([{"op": "add", "path": "/data/json", "value": "1"}]);
    let patch = Patch::Json::<()>(serde_json::from_value(operations)?);
    let patched = maps.patch("rust", &PatchParams::default(), &patch).await?;
    equal(value(&patched, "json"), Some("1"))
}

async fn patch(maps: &Api<ConfigMap>, patch: &Patch<&serde_json::Value>) -> Outcome {
    let patched = maps.patch("rust", &PatchParams::default(), patch).await?;
    equal(value(&patched, "patched"), Some("yes"))
}

async fn apply(maps: &Api<ConfigMap>) -> Outcome {
    let applied = Patch::Apply(config_map("applied"));
    maps.patch("applied", &PatchParams::apply("rust"), &applied)
        .await?;
    Ok(())
}

async fn watch(maps: &Api<ConfigMap>) -> Outcome {
    let version = maps
        .list(&ListParams::default())
        .await?
        .metadata
        .resource_version;
    maps.create(&PostParams::default(), &config_map("watched"))
        .await?;
    let mut events = maps
        .watch(&WatchParams::default(), &version.unwrap_or_default())
        .await?
        .boxed();
    while let Some(event) = events.try_next().await? {
        if matches!(&event, WatchEvent::Added(map) if map.name_any() == "watched") {
            return Ok(());
        }
    }
    Err("the watch ended without the object".into())
}

/// A store that a watch fills, and that hears of what comes later.
async fn informer(maps: &Api<ConfigMap>, config: watcher::Config) -> Outcome {
    let (store, writer) = reflector::store();
    let mut touched = watcher(maps.clone(), config)
        .reflect(writer)
        .applied_objects()
        .boxed();
    let mut seen = async |name: &str| {
        while let Some(map) = touched.try_next().await? {
            if map.name_any() == name {
                return Ok(());
            }
        }
        Err::<(), Box<dyn Error>>("the watch ended".into())
    };
    seen("kube-root-ca.crt").await?;
    maps.create(&PostParams::default(), &config_map("informed"))
        .await?;
    seen("informed").await?;
    maps.delete("informed", &DeleteParams::default()).await?;
    equal(
        store.find(|map| map.name_any() == "informed").is_some(),
        true,
    )
}

async fn dynamic(client: &Client) -> Outcome {
    let group = discovery::group(client, "").await?;
    let (resource, _) = group.recommended_kind("ConfigMap").ok_or("no ConfigMap")?;
    let maps: Api<DynamicObject> = Api::default_namespaced_with(client.clone(), &resource);
    let mut map = DynamicObject::new("", &resource).data(json!({"data": {"key": "value"}}));
    map.metadata.name = None;
    map.metadata.generate_name = Some("dynamic-".into());
    let created = maps.create(&PostParams::default(), &map).await?;
    maps.delete(&created.name_any(), &DeleteParams::default())
        .await?;
    Ok(())
}

async fn delete(maps: &Api<ConfigMap>) -> Outcome {
    maps.delete("rust", &DeleteParams::default()).await?;
    Ok(())
}

async fn token_request(client: &Client) -> Outcome {
    let accounts: Api<ServiceAccount> = Api::default_namespaced(client.clone());
    let request = serde_json::from_value(
        json!({"spec": {"audiences": ["vault"], "expirationSeconds": 600}}),
    )?;
    let answer = accounts
        .create_token_request("default", &PostParams::default(), &request)
        .await?;
    let token = answer.status.and_then(|status| status.token);
    equal(token.unwrap_or_default().split('.').count(), 3)
}

async fn access_review(client: &Client) -> Outcome {
    let attributes = json!({"namespace": "default", "verb": "create", "resource": "configmaps"});
    let review: SelfSubjectAccessReview =
        serde_json::from_value(json!({"spec": {"resourceAttributes": attributes}}))?;
    let answer = Api::all(client.clone())
        .create(&PostParams::default(), &review)
        .await?;
    equal(answer.status.is_some_and(|status| status.allowed), true)
}

fn config_map(name: &str) -> ConfigMap {
    ConfigMap {
        metadata: kube::api::ObjectMeta {
            name: Some(name.into()),
            ..Default::default()
        },
        data: Some([("key".into(), "value".into())].into()),
        ..ConfigMap::default()
    }
}

fn value<'a>(map: &'a ConfigMap, key: &str) -> Option<&'a str> {
    map.data.as_ref()?.get(key).map(String::as_str)
}

fn equal<A: std::fmt::Debug + PartialEq<B>, B: std::fmt::Debug>(is: A, should: B) -> Outcome {
    if is == should {
        Ok(())
    } else {
        Err(format!("{is:?} instead of {should:?}").into())
    }
}
